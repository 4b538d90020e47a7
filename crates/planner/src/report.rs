//! What people and machines are told about a rollout: one type for CLI, API, page, log and notifications.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_gateway::Lane;
use canaryd_rollout::{ComponentName, RevisionId, RolloutName, Weight};
use canaryd_verdict::{CheckReport, Verdict};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of one rollout, complete enough to render every screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which rollout.
    pub name: RolloutName,
    /// Name of the phase, kebab-case: `idle`, `observing` …
    pub phase: String,
    /// Are users fine, do I have to do something? One or two sentences.
    pub sentence: String,
    /// The version that production runs.
    pub production: Option<VersionView>,
    /// The version on trial.
    pub canary: Option<VersionView>,
    /// The version that `undo` would go back to.
    pub previous: Option<VersionView>,
    /// The canary's share that is proven live.
    pub live_weight: Weight,
    /// The canary's share that is asked for.
    pub wanted_weight: Weight,
    /// Every stage with what became of it.
    pub stages: Vec<StageView>,
    /// Index of the stage under observation.
    pub stage: Option<usize>,
    /// The last verdict on the set on trial.
    pub verdict: Option<Verdict>,
    /// Every check with its numbers.
    pub checks: Vec<CheckReport>,
    /// The one number, reverts at 1/alpha.
    pub suspicion: Option<f64>,
    /// 1/alpha.
    pub suspicion_limit: Option<f64>,
    /// What it waits for.
    pub waiting: Vec<Waiting>,
    /// Facts worth a line: drift, ignored manifest, blocked revision, sticky judged per request …
    pub notes: Vec<String>,
    /// Directory with logs and facts of the version that was taken off last, where it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// Commands that make sense now, the likeliest first.
    pub can: Vec<String>,
    /// How ready the way back is.
    pub undo: UndoView,
    /// Paused by whom and since when.
    pub paused: Option<String>,
    /// Weight by hand: by whom and since when.
    pub manual: Option<String>,
    /// How the last rollout ended.
    pub outcome: Option<OutcomeView>,
    /// How the last rollouts ended, newest first, that one included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<OutcomeView>,
    /// Why what the manifest asks for does not come by itself.
    #[serde(default)]
    pub unmet: Option<Unmet>,
    /// Replicas per component and lane: (healthy, running, wanted).
    pub replicas: BTreeMap<ComponentName, BTreeMap<Lane, ReplicaCount>>,
    /// Why users are not fine, or not all of production is; nothing: as far as canaryd can see they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwell: Option<String>,
    /// It is stopped for maintenance: users get a page with 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedView>,
}

/// A rollout that is stopped for maintenance. The phase says how far: `stopping`, `stopped`, `returning`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoppedView {
    /// Who asked for it.
    pub by: String,
    /// Why, in that person's words.
    pub why: Option<String>,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Name of the user's own page; nothing: the built-in one.
    pub page: Option<String>,
    /// What clients are told to wait, in seconds.
    pub retry_after: u32,
    /// Who asked for the start, if it is on its way back.
    pub started_by: Option<String>,
}

/// Why what the manifest asks for does not come by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Unmet {
    /// It was taken off, and is not tried again until `retry` or new content.
    Blocked {
        /// The version that is asked for.
        version: String,
        /// Why it was taken off.
        why: String,
    },
    /// It cannot be used; what was in force stays.
    Ignored {
        /// Place and mistake.
        why: String,
    },
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    /// As written in the manifest.
    pub version: String,
    /// Its revision.
    pub revision: RevisionId,
    /// Since when it is in this place.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// Replicas of one component in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaCount {
    /// Proven well.
    pub healthy: u32,
    /// Running.
    pub running: u32,
    /// Wanted.
    pub wanted: u32,
}

/// One stage with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageView {
    /// The canary's share.
    pub weight: Weight,
    /// Least observed time, seconds.
    #[schemars(with = "f64")]
    #[serde(with = "crate::report::seconds")]
    pub observe: Duration,
    /// Observed time so far, seconds.
    #[schemars(with = "f64")]
    #[serde(with = "crate::report::seconds")]
    pub observed: Duration,
    /// Canary requests counted in this stage.
    pub requests: u64,
    /// Where it stands.
    pub state: StageState,
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StageState {
    /// Not reached.
    Ahead,
    /// Under observation.
    Current,
    /// Passed.
    Passed,
    /// Left out (advance, promote, fast return).
    Skipped,
    /// Ended here by a failure.
    Failed,
}

/// What a rollout waits for. Every "not yet" is one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "for")]
pub enum Waiting {
    /// An image is being pulled or looked up.
    ImagePull {
        /// Which image.
        image: String,
        /// "12 of 40 MB", if known.
        progress: Option<String>,
    },
    /// A replica is not healthy yet.
    Healthy {
        /// Of which component.
        component: ComponentName,
        /// Which replica.
        ordinal: u32,
        /// What its probe said last.
        last: Option<String>,
    },
    /// The asked traffic is not proven live yet.
    GatewayLive {
        /// Why not, if known.
        problem: Option<String>,
    },
    /// A manifest with gateway settings that NGINX takes.
    Settings {
        /// What it refuses.
        why: String,
    },
    /// Observed time of the stage.
    Time {
        /// Seconds to go.
        seconds: u64,
    },
    /// More canary requests.
    Samples {
        /// For which check.
        check: String,
        /// Counted so far.
        have: u64,
        /// Needed more.
        need: u64,
        /// Seconds until then at the present traffic.
        eta: Option<u64>,
    },
    /// The source of evidence is silent.
    Evidence {
        /// Since when and why.
        why: String,
    },
    /// The version on trial, at 0 % as a precaution, is to be seen again.
    Sight {
        /// What keeps it from being seen, or kept it.
        why: String,
        /// For so many seconds in one go, from now on.
        seconds: u64,
    },
    /// Something is wrong around the version; it is not blamed.
    Environment {
        /// What.
        why: String,
    },
    /// Old NGINX workers finish requests before a set stops.
    Drain {
        /// Old workers.
        workers: u32,
        /// Seconds at most.
        seconds: u64,
    },
    /// Another rollout's turn.
    Slot {
        /// Whose.
        ahead: Vec<RolloutName>,
    },
    /// A person paused it, or it paused itself.
    Resume {
        /// Who or why, since when.
        why: String,
        /// The command that goes on: `resume` or `advance`.
        #[serde(default = "resume")]
        verb: String,
        /// It also goes on by itself, with what is missing, and that may come.
        #[serde(default)]
        by_itself: bool,
        /// What is missing, where that ends the pause: `enough numbers`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
    },
    /// A person set the weight.
    Manual {
        /// Who, since when.
        why: String,
    },
    /// The next step of replacing workers one at a time.
    Workers {
        /// Which component.
        component: ComponentName,
        /// Replaced so far.
        done: u32,
        /// Of how many.
        of: u32,
    },
    /// Containers that were told to end.
    Ending {
        /// How many still run.
        containers: u32,
    },
    /// It is stopped for maintenance: a person starts it.
    Start {
        /// Since when, by whom, why.
        why: String,
    },
    /// The engine or the journal cannot be used now.
    Trouble {
        /// What, and what canaryd does about it.
        why: String,
    },
    /// Whether a vanished manifest means deletion.
    Deletion {
        /// Production goes, too: `onDelete: remove`.
        #[serde(default)]
        all: bool,
        /// Seconds, or 0 when it waits for a confirmation.
        seconds: u64,
    },
}

fn resume() -> String {
    "resume".to_owned()
}

/// How ready the way back is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum UndoView {
    /// The previous set runs: at most 2 s.
    Warm {
        /// The version it goes back to.
        version: String,
        /// Until when it is kept warm.
        #[schemars(with = "String")]
        until: Timestamp,
    },
    /// Its containers must be started first.
    Cold {
        /// The version it goes back to.
        version: String,
    },
    /// There is no way back.
    Impossible {
        /// Because …
        why: String,
    },
}

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeView {
    /// How.
    pub outcome: Outcome,
    /// Of which version.
    pub version: String,
    /// Of which revision.
    pub revision: RevisionId,
    /// Why: the deciding check or fact, in one sentence.
    pub reason: String,
    /// Which check decided, if one did.
    pub check: Option<String>,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// From start to end, seconds.
    pub took: f64,
    /// Canary requests counted.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Who, when a person decided.
    pub actor: Option<String>,
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// In production.
    Promoted,
    /// Taken off by evidence, a crash, a deadline or a missing image.
    Reverted,
    /// Taken off by a person before the lane swap.
    Aborted,
    /// A newer version came before it was through.
    Superseded,
    /// Taken out of production again.
    Undone,
}

/// One line of a rollout's history; the journal gives it its global number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// How loud.
    pub severity: Severity,
    /// Stable kebab-case kind: `stage-entered`, `reverted` …
    pub kind: String,
    /// The sentence.
    pub message: String,
}

/// How loud an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Normal progress.
    Info,
    /// Worth a look.
    Warning,
    /// A person should know now.
    Notify,
}

/// Durations as seconds in JSON.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(d)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
