//! The gateway's container: what it should be and what it is.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use canaryd_rollout::RolloutName;
use jiff::Timestamp;

/// The gateway's container as it should be. It gets `restart: always`, stop signal SIGQUIT, a read-only root file system
/// with a tmpfs on `/tmp`, no capabilities, `no-new-privileges`, and a fixed address on the rollout's own network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// Content id of the NGINX image, `sha256:…` (a reference works as well).
    pub image_id: String,
    /// Numeric `uid:gid`.
    pub user: String,
    /// The whole command, replacing the image's entrypoint and command: `nginx -c …`.
    pub entrypoint: Vec<String>,
    /// Directories of the host.
    pub binds: Vec<Bind>,
    /// Published ports, the ops port not among them.
    pub ports: Vec<PublishedPort>,
    /// Port of the ops server inside; it is published on 127.0.0.1.
    pub ops_port: u16,
    /// Host port for it; `None`: any free one (it changes when the container restarts; `observe` tells).
    pub ops_host_port: Option<u16>,
    /// User's networks that it joins.
    pub networks: Vec<String>,
    /// Names that it has on those networks.
    pub aliases: Vec<String>,
    /// Hash of what is fixed at creation, kept as a label and reported back.
    pub spec_hash: String,
    /// Replace an existing container that differs. There is a gap while it is replaced.
    pub recreate: bool,
    /// From SIGQUIT to SIGKILL when it is replaced or removed.
    pub grace: Duration,
}

/// A directory or file of the host inside a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// Absolute host path; it must exist.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: String,
    /// Not writable from inside.
    pub read_only: bool,
}

/// A port of a container that is reachable on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    /// TCP port inside.
    pub container: u16,
    /// Address of the host.
    pub address: IpAddr,
    /// Port of the host.
    pub host: u16,
}

/// The gateway's container as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayContainer {
    /// Container id.
    pub id: String,
    /// Process id of the NGINX master on the host; `None` while it does not run.
    pub pid: Option<i64>,
    /// Host port on 127.0.0.1 that leads to the ops port; `None` while it does not run.
    pub ops_port: Option<u16>,
    /// Its address on the rollout's own network.
    pub addr: Option<IpAddr>,
    /// Content id of the image that it was created from.
    pub image_id: String,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// What is fixed at creation and differs from the plan, in words; empty when it is as planned.
    pub drift: Vec<String>,
}

/// Signals that NGINX knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Hup,
    /// SIGUSR1: open the log files again.
    Usr1,
    /// SIGQUIT: finish requests and end.
    Quit,
}
