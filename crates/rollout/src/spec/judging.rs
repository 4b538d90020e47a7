//! Stages, checks and what surrounds them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::Weight;

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
