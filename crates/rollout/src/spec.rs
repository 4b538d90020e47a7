//! A resolved rollout: defaults filled in, files read, images looked up. Types here cannot hold a wrong manifest.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ComponentName, RevisionId, RolloutName, Weight};

/// Everything that one manifest says, ready to be acted upon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `metadata.name`.
    pub name: RolloutName,
    /// File and line that the document came from, for messages: `shop.yaml:1`.
    pub origin: String,
    /// `spec.version`, as written.
    pub version: String,
    /// Hash over the content with image digests; equals `provisional` while an image is not resolved.
    pub revision: RevisionId,
    /// Hash over the content with image references instead of digests: known before any image is there.
    pub provisional: RevisionId,
    /// Every image that a component names, by reference.
    pub images: BTreeMap<String, ImageState>,
    /// The HTTP component behind the gateway.
    pub app: Component,
    /// Components without HTTP.
    pub workers: Vec<Component>,
    /// The gateway in front of `app`.
    pub gateway: Gateway,
    /// At least one; weights rise; the last is 100 %.
    pub stages: Vec<Stage>,
    /// How checks are judged.
    pub analysis: Analysis,
    /// At least one; names are unique.
    pub checks: Vec<Check>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// What happens at and after the end.
    pub promotion: Promotion,
    /// What the disappearance of the manifest means.
    pub on_delete: OnDelete,
}

impl Rollout {
    /// `app` first, then the workers in the order of the manifest.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        std::iter::once(&self.app).chain(&self.workers)
    }
    /// The component of that name.
    #[must_use]
    pub fn component(&self, name: &ComponentName) -> Option<&Component> {
        self.components().find(|c| &c.name == name)
    }
}

/// What is known of an image that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ImageState {
    /// In the engine, under this content id (`sha256:…`).
    Present {
        /// Content id.
        id: String,
    },
    /// Not looked up yet, or being pulled.
    Pending,
    /// It cannot be had; the reason says why and what to do.
    Missing {
        /// One sentence.
        reason: String,
    },
}

/// One component: the app, or one kind of worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// `app` or the worker's name.
    pub name: ComponentName,
    /// Image reference as written, after interpolation.
    pub image: String,
    /// When to pull.
    pub pull: PullPolicy,
    /// Containers in production; at least 1 for the app (live: not part of a revision).
    pub replicas: u32,
    /// Containers of a canary before it is promoted (live).
    pub canary_replicas: CanaryReplicas,
    /// Port that the app listens on inside; `None` for workers.
    pub port: Option<u16>,
    /// Create body of a container (part of the revision).
    pub container: Container,
    /// How a replica proves that it is well (policy).
    pub health: Health,
    /// How a replica ends (policy).
    pub stop: Stop,
    /// Workers: whether the new one starts before the old one stops. The app always starts first.
    pub order: Order,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PullPolicy {
    /// When it is not in the engine.
    Missing,
    /// Once for each change of the manifest.
    Always,
    /// Never: it must be there.
    Never,
}

/// How many containers of the new version run before its promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryReplicas {
    /// The app: as many as the weight needs, `ceil(weight × replicas)`, all of them before 100 %.
    Auto,
    /// All at once.
    Full,
    /// Workers: this many replace as many production ones.
    Fixed(u32),
}

/// Whether the successor starts before its predecessor stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// New, then old.
    StartFirst,
    /// Old, then new (`singleton: true` means this too).
    StopFirst,
}

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
    /// Name of the copy: hexadecimal digest of the content.
    pub copy: String,
    /// Absolute path inside.
    pub target: String,
    /// A secret: never shown, mode 0400 unless said otherwise.
    pub secret: bool,
    /// File mode.
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

/// The gateway of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Image of NGINX (fixed at creation).
    pub image: String,
    /// Address and port that users (or the TLS proxy) reach (fixed at creation).
    pub listen: Vec<Listen>,
    /// Old names of the service that internal callers use on the user's networks.
    pub aliases: Vec<String>,
    /// User's networks that the gateway joins, with `aliases`.
    pub networks: Vec<String>,
    /// Lane-pinned ports on 127.0.0.1: production, canary.
    pub expose: Expose,
    /// Cookie that keeps a user on a lane; `None`: each request is drawn.
    pub sticky: Option<Sticky>,
    /// Networks (CIDR) of proxies in front whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<String>,
    /// Header name and secret that force a lane.
    pub force: Option<Force>,
    /// Limits and timeouts.
    pub limits: Limits,
    /// User's own directives; tested by `nginx -t` before they are used.
    pub snippets: Snippets,
    /// Worker processes.
    pub workers: u32,
}

/// One published address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Listen {
    /// Host address; 127.0.0.1 unless another one is written.
    pub address: std::net::IpAddr,
    /// Host port.
    pub port: u16,
}

/// Lane-pinned ports on 127.0.0.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expose {
    /// Always production.
    pub production: Option<u16>,
    /// Always the canary (503 while there is none).
    pub canary: Option<u16>,
}

/// Cookie that keeps a user on a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sticky {
    /// Cookie name.
    pub cookie: String,
    /// `Max-Age`.
    pub max_age: Duration,
}

/// Header that forces a lane; its value is a secret token made by canaryd and kept in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Force {
    /// Header name.
    pub header: String,
}

/// Limits and timeouts of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Longest time between two reads of an answer.
    pub read_timeout: Duration,
    /// Longest time to connect to a replica.
    pub connect_timeout: Duration,
    /// Largest request body in bytes; 0 = any.
    pub body: u64,
    /// How long open streams outlive a change of the weights.
    pub stream_timeout: Duration,
}

/// User's own NGINX directives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippets {
    /// In `http { }`.
    pub http: Option<String>,
    /// In the traffic `server { }`.
    pub server: Option<String>,
    /// In `location / { }`.
    pub location: Option<String>,
}

/// One step of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// The canary's share; 0 is a rehearsal.
    pub weight: Weight,
    /// Least time at this weight (`observed` time, not wall time).
    pub observe: Duration,
    /// Most wall time without pauses; by default 4 × `observe`.
    pub max_duration: Duration,
}

/// How checks are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Chance that a version within tolerance is reverted by statistics, over the whole rollout; 0 < alpha ≤ 0.5.
    pub alpha: f64,
    /// Chance, per advance, that an unacceptable version gets more traffic; 0 < beta ≤ 0.5.
    pub beta: f64,
    /// What a stage does when it has not enough data by its `maxDuration`.
    pub on_inconclusive: OnInconclusive,
    /// Latencies of a new container that are left out at first.
    pub warmup: Duration,
    /// Where the mode of a request is read.
    pub mode: Option<ModeFrom>,
}

/// What a stage does when it has not enough data by its `maxDuration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// Keep the weight and wait for a person.
    Pause,
    /// Take the version off.
    Revert,
    /// Go on.
    Promote,
}

/// Where the mode of a request is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ModeFrom {
    /// A request header.
    Header(String),
    /// A response header.
    ResponseHeader(String),
    /// The first path segment after this prefix.
    Path(String),
    /// A query parameter.
    Query(String),
}

/// One question asked of the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Unique within the rollout.
    pub name: String,
    /// Only requests of this mode.
    pub mode: Option<String>,
    /// Share of alpha relative to other checks of its kind; 1 by default.
    pub weight: f64,
    /// Reported, never acted upon.
    pub observe_only: bool,
    /// The question.
    pub kind: CheckKind,
}

/// The question of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckKind {
    /// "At most `max` of the canary's requests fail" (5xx, no answer, timeout).
    ErrorRate {
        /// 0 < max < 0.98.
        max: f64,
    },
    /// "Quantile `quantile` of the latency is at most `max`" (quantile 0.02 < q < 1).
    Latency {
        /// 0.95 for p95.
        quantile: f64,
        /// The bound.
        max: Duration,
    },
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    /// Pull of the images.
    pub pull: Duration,
    /// From the start of a set to all its replicas healthy, beyond `health.startup`.
    pub start: Duration,
}

/// What happens at and after the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// How long the previous app keeps running without traffic.
    pub keep_previous: Duration,
    /// How long a failed set is kept, stopped.
    pub keep_failed: Duration,
    /// How long going back to the previous version is an undo; `None`: as long as it is kept.
    pub rollback_window: Option<Duration>,
}

/// What the disappearance of a manifest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    /// Production and gateway keep serving as orphans.
    Keep,
    /// Everything is stopped.
    Remove,
}
