//! What the gateway's container must look like: command, paths and ports inside. Everything here is fixed when it is
//! created; everything else is in a generation.

use crate::settings::Settings;

/// Where the directory of generations is mounted inside, read-only.
pub const CONF_DIR: &str = "/etc/canaryd";
/// The configuration that the master reads at start and at each HUP: `current` is a symlink inside [`CONF_DIR`].
pub const CONF_FILE: &str = "/etc/canaryd/current/nginx.conf";
/// Where the log directory is mounted inside, writable.
pub const LOG_DIR: &str = "/var/log/canaryd";
/// Every request, one JSON line each.
pub const ACCESS_LOG: &str = "access.log";
/// The canary lane's requests only, same format.
pub const CANARY_LOG: &str = "canary.log";
/// What must be a tmpfs inside: the root file system is read-only.
pub const TMPFS: &str = "/tmp";
/// Needed so that the restart policy outlives a HUP through the Docker API.
pub const STOP_SIGNAL: &str = "SIGQUIT";
/// The header that the ops port wants.
pub const OPS_TOKEN_HEADER: &str = "X-Canaryd-Token";
/// An unprivileged user and group for a daemon that is root itself.
pub const UNPRIVILEGED: (u32, u32) = (10_001, 10_001);

/// Command of the container (entrypoint and arguments together; the image's entrypoint is replaced).
#[must_use]
pub fn argv() -> Vec<String> {
    words(&["/usr/sbin/nginx", "-e", "stderr", "-c", CONF_FILE, "-g", "daemon off;"])
}

/// Command that tests the configuration at `conf`, a path inside; exit code 0 = good, else the output says why.
#[must_use]
pub fn test_argv(conf: &str) -> Vec<String> {
    words(&["/usr/sbin/nginx", "-t", "-q", "-e", "stderr", "-c", conf])
}

/// Command whose output [`crate::NginxVersion`] reads (it writes to stderr).
#[must_use]
pub fn version_argv() -> Vec<String> {
    words(&["/usr/sbin/nginx", "-v"])
}

/// Kernel setting that lets an unprivileged master listen on `app_port` when that is below 1024 and there are aliases.
/// Docker sets it by default since 20.10; older or differently set engines need it said.
pub const SYSCTLS: [(&str, &str); 1] = [("net.ipv4.ip_unprivileged_port_start", "0")];

/// Ports inside the gateway. None equals `app_port`, unless it is `traffic` itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Published as `gateway.listen`.
    pub traffic: u16,
    /// Published on 127.0.0.1 only.
    pub ops: u16,
    /// Published as `expose.production` on 127.0.0.1.
    pub production: u16,
    /// Published as `expose.canary` on 127.0.0.1.
    pub canary: u16,
    /// Not published: internal callers reach `http://<alias>:<app_port>` here; `None` without aliases.
    pub alias: Option<u16>,
}

impl Ports {
    /// The ports for an app that listens on `app_port`. The first four never depend on anything that can change
    /// without the gateway being created anew, except on `app_port`.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let app = settings.app_port;
        let pick = |usual: u16| if usual == app { usual + 10_000 } else { usual };
        let alias = (!settings.spec.aliases.is_empty()).then_some(app);
        Self { traffic: 8080, ops: pick(9099), production: pick(9081), canary: pick(9082), alias }
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}
