//! What a container is created with, and how it lives and ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The create body of a container, in canonical form. Lists keep the order of the manifest where order has a meaning
/// and are sorted where it has none. Values are never logged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// `None`: the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's.
    pub command: Option<Vec<String>>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Supplementary groups.
    pub group_add: Vec<String>,
    /// Working directory inside.
    pub workdir: Option<String>,
    /// Environment after env files and `env` were merged: the values that the container gets.
    pub env: BTreeMap<String, String>,
    /// Bind mounts and named volumes.
    pub mounts: Vec<Mount>,
    /// Paths inside with a tmpfs, with its options ("" = none).
    pub tmpfs: BTreeMap<String, String>,
    /// Configs and secrets: copies of files, mounted read-only.
    pub files: Vec<FileMount>,
    /// User's networks that it joins beside canaryd's own.
    pub networks: Vec<String>,
    /// `host:address`.
    pub extra_hosts: Vec<String>,
    /// DNS servers.
    pub dns: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// Limits.
    pub resources: Resources,
    /// Host devices: `path[:path[:rwm]]`.
    pub devices: Vec<String>,
    /// GPUs.
    pub gpus: Option<Gpus>,
    /// `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Name → (soft, hard).
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Kernel settings of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Added capabilities.
    pub cap_add: Vec<String>,
    /// Dropped capabilities.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges` and the like.
    pub security_opt: Vec<String>,
    /// An init process that reaps.
    pub init: bool,
    /// Read-only root file system.
    pub read_only: bool,
    /// User's labels (never `io.canaryd.*` nor `com.docker.compose.*`).
    pub labels: BTreeMap<String, String>,
    /// Log driver with its options; `None`: the engine's default.
    pub logging: Option<Logging>,
    /// `os/arch[/variant]`.
    pub platform: Option<String>,
    /// Signal that asks it to end; `None`: the image's.
    pub stop_signal: Option<String>,
    /// Docker's own health check: `Some` only for `health: exec`.
    pub healthcheck: Option<ExecHealth>,
}

/// A writable or read-only mount from the host or from a named volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Absolute host path, or the name of a volume.
    pub source: String,
    /// Absolute path inside.
    pub target: String,
    /// A named volume rather than a host path.
    pub volume: bool,
    /// Not writable from inside.
    pub read_only: bool,
    /// Writable ones: whether versions share it; `PerRevision` volumes get a name with the revision.
    pub sharing: Option<Sharing>,
}

/// Who shares a writable mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sharing {
    /// Old and new version write to the same place; the user has thought about it.
    Shared,
    /// Each revision has its own.
    PerRevision,
}

/// A config or a secret: the file's copy lives in `revisions/<hash>/files/<copy>` of the state directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileMount {
    /// Name of the copy: hexadecimal digest of the content, and `.` with its mode in octal where that is not 0444.
    pub copy: String,
    /// Absolute path inside.
    pub target: String,
    /// A secret: never shown.
    pub secret: bool,
    /// File mode as the manifest says it; the copy is readable for everybody inside besides.
    pub mode: u32,
}

/// Limits of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: Option<i64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Soft limit, bytes.
    pub memory_reservation: Option<u64>,
    /// Processes.
    pub pids: Option<i64>,
}

/// GPUs of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gpus {
    /// All of them.
    All,
    /// This many.
    Count(u32),
    /// Those of these ids.
    Devices(Vec<String>),
}

/// Where a container's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Log driver.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// How a replica proves that it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The kind of proof.
    pub probe: Probe,
    /// Between two probes.
    pub interval: Duration,
    /// For one probe.
    pub timeout: Duration,
    /// Failures in a row that make a healthy replica unhealthy.
    pub failures: u32,
    /// From start to the first success; a replica that needs longer has failed.
    pub startup: Duration,
}

/// The kind of proof that a replica is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// GET of this path on the component's port answers 200–399.
    Http {
        /// Path with a leading slash.
        path: String,
        /// Port when it is not the component's.
        port: Option<u16>,
    },
    /// A command inside exits 0 (run by Docker as the container's health check).
    Exec(ExecHealth),
    /// The image's own HEALTHCHECK.
    Image,
    /// None: running for `startup` counts as well. The user said so.
    None,
}

/// A command that Docker runs inside as a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecHealth {
    /// The command, one argument each.
    pub command: Vec<String>,
    /// Between two runs.
    pub interval: Duration,
    /// For one run.
    pub timeout: Duration,
    /// Failures in a row.
    pub failures: u32,
}

/// How a replica ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
    /// At most this long old NGINX workers are waited for before the stop signal (5 s at most after a revert).
    pub drain: Duration,
}
