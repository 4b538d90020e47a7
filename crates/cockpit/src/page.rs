//! What the API answers with: plain values, the same for socket, command line and page.

use canaryd_gateway::{Lane, PageId};
use canaryd_planner::{Event, Expected, Report, Severity, Verb};
use canaryd_rollout::{RolloutName, Weight};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusPage {
    /// Name of the host: people have several.
    pub host: String,
    /// Version of the daemon.
    pub version: String,
    /// The daemon's instance id.
    pub instance: String,
    /// When the daemon started.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Absolute path of its state directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Absolute paths that are watched for manifests.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Every rollout, by name.
    pub rollouts: Vec<Report>,
    /// Rendered diagnostics of manifests that are ignored.
    pub problems: Vec<String>,
    /// Nothing is written to Docker, NGINX or the journal.
    pub dry_run: bool,
    /// The daemon cannot read its journal: it has lowered every canary, and does nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_mode: Option<SafeMode>,
}

/// The daemon runs without its journal: every canary at 0 %, nothing started or stopped, until somebody acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SafeMode {
    /// That it is so, why, and who serves users: one sentence.
    pub sentence: String,
    /// What is wrong with the journal.
    pub why: String,
    /// What to do, to be typed.
    pub way_out: String,
}

impl SafeMode {
    /// What every other request is answered with.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal { error: self.sentence.clone(), hint: Some(self.way_out.clone()) }
    }
}

/// One line of the history, with its place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    /// Global, ascending.
    pub seq: u64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Of which rollout.
    pub name: RolloutName,
    /// How loud.
    pub severity: Severity,
    /// Stable kebab-case kind.
    pub kind: String,
    /// The sentence.
    pub message: String,
}

impl EventLine {
    /// The event with its place in the history.
    #[must_use]
    pub fn new(seq: u64, at: Timestamp, name: RolloutName, event: Event) -> Self {
        Self { seq, at, name, severity: event.severity, kind: event.kind, message: event.message }
    }
}

/// What a follower is sent: one of these a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Followed {
    /// The state, whenever it changed.
    Report {
        /// Which host speaks.
        host: String,
        /// The state.
        report: Box<Report>,
    },
    /// Something happened.
    Event {
        /// What.
        event: EventLine,
    },
    /// The rollout is gone, or the daemon stops.
    End {
        /// Why.
        why: String,
        /// It is the daemon that stops: the rollout stays as it is, and goes on when a daemon runs again.
        #[serde(default)]
        stops: bool,
    },
}

/// Which log lines are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogQuery {
    /// Only this lane; `None`: both.
    pub lane: Option<Lane>,
    /// Keep sending what comes.
    pub follow: bool,
    /// So many lines of each container from the end; `None`: all.
    pub tail: Option<u32>,
    /// The gateway's log instead of the containers'.
    pub gateway: bool,
    /// Only what was written from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogText {
    /// Name of the container that wrote it.
    pub source: String,
    /// The line without its end.
    pub text: String,
}

/// What forces a lane: a request header and its secret value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneHeader {
    /// Name of the header, as `gateway.force` says it.
    pub header: String,
    /// The lane that it chooses.
    pub lane: Lane,
    /// Its value: a secret.
    pub value: String,
}

/// One line of a log stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum LogLine {
    /// A line.
    Line(LogText),
    /// Nothing runs that could write one; it is waited for.
    Waits {
        /// That it is so, and how it stands: a sentence.
        why: String,
    },
    /// The log cannot be read any further.
    Failed {
        /// Why.
        why: String,
    },
    /// The daemon stops: more may come when it runs again.
    Stops,
}

/// What whoever reads a log gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// A line.
    Line(LogText),
    /// Nothing runs that could write one; it is waited for. A sentence.
    Waits(String),
}

/// A command as it is posted: who and when are the server's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandRequest {
    /// Unique; a repeated id acts once. Made by the server when it is left out.
    #[serde(default)]
    pub id: Option<String>,
    /// Why, in the person's words.
    #[serde(default)]
    pub comment: Option<String>,
    /// What the person saw when deciding.
    #[serde(default)]
    pub expected: Option<Expected>,
    /// What to do.
    pub verb: Verb,
}

/// A page of the user's own, to be shown while a rollout is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageRequest {
    /// Name of its file: its end says what it is (`.json`, `.txt`, else HTML).
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A page that the daemon keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptPage {
    /// What a command calls it.
    pub page: PageId,
}

/// A manifest that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanRequest {
    /// Absolute path of the file: paths inside it are relative to it.
    pub source: String,
    /// Its text.
    pub text: String,
}

/// What would be done about one manifest now. Nothing is changed by asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanPage {
    /// Name of the host.
    pub host: String,
    /// Of which rollout.
    pub name: RolloutName,
    /// The version in production, if any.
    pub from: Option<String>,
    /// The version that the manifest asks for.
    pub to: String,
    /// How it stands at this moment: the sentence of `status`.
    pub now: String,
    /// What would be done first, one line each; empty: nothing.
    pub actions: Vec<String>,
    /// What stands in the way or may surprise; worst first.
    pub warnings: Vec<String>,
    /// What differs between the versions.
    pub changes: Vec<PlanChange>,
    /// Memory of both versions together, if limits are known.
    pub memory: Option<PlanMemory>,
    /// The way there.
    pub steps: Vec<PlanStep>,
    /// Facts worth a line, for people: what `connections` and `replacement` say.
    pub notes: Vec<String>,
    /// Connections that the way there cuts; `None`: none.
    #[serde(default)]
    pub connections: Option<PlanConnections>,
    /// What comes only with a new container of the gateway; `None`: nothing.
    #[serde(default)]
    pub replacement: Option<PlanReplacement>,
    /// Present traffic of the gateway, requests per second; `None`: not known.
    pub requests_per_second: Option<f64>,
    /// What each stage can prove at the present traffic.
    pub stages: Vec<StageForecast>,
}

/// One difference between two versions. Values that may be secret are never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanChange {
    /// Of which component, when it is not the app.
    #[serde(default)]
    pub component: Option<String>,
    /// Which part: `image`, `env`, `memory` …
    pub what: String,
    /// In words: `shop:v3.1.4 → shop:v3.2.0`, `+ FEATURE_X   ~ POOL_SIZE`.
    pub text: String,
}

/// Memory that is needed while both versions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanMemory {
    /// Limit of one app container of the version in production, bytes.
    pub from: Option<u64>,
    /// Limit of one app container of the new version, bytes.
    pub to: Option<u64>,
    /// Both versions together at the peak, bytes; `None` when a container has no limit.
    pub together: Option<u64>,
    /// Free on the host, bytes.
    pub free: Option<u64>,
}

/// Connections that are cut because the gateway's configuration changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanConnections {
    /// Requests, WebSockets and streams that are open now, looked at several times within a second; `None`: not known,
    /// the gateway does not answer.
    pub open: Option<u64>,
    /// How often the configuration changes: each weight, then the swap into production.
    pub changes: u32,
    /// What is still open so many seconds after a change is cut.
    pub cut_after: f64,
}

/// The gateway's container must be made anew for what the manifest asks. canaryd never does that by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReplacement {
    /// What differs: `image nginx:1.28 → nginx:1.29`.
    pub changes: Vec<String>,
    /// Connections of clients that are open now, idle ones included: all are cut. `None`: not known.
    pub connections: Option<u64>,
    /// The command after which the container is made anew; until then nobody is answered.
    pub command: String,
}

/// One part of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// One word: `start`, `traffic`, `finish`.
    pub title: String,
    /// In words.
    pub text: String,
}

/// What one stage can prove at the present traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageForecast {
    /// The canary's share.
    pub weight: Weight,
    /// Least observed time, seconds.
    pub observe: f64,
    /// Canary requests by the end of the stage, those of earlier stages included.
    pub requests: u64,
    /// Clean canary requests from which the next weight is allowed; `None`: nothing is needed.
    pub enough_from: Option<u64>,
    /// If none of them fails, the error rate is below this, 0.0 to 1.0.
    pub below: f64,
    /// Seconds that the stage needs for `enough_from` at this traffic, when `observe` is too short.
    pub too_short: Option<f64>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// What is wrong.
    pub error: String,
    /// What can be done about it.
    #[serde(default)]
    pub hint: Option<String>,
}
