//! What is asked of a canary, and the raw material of the answer.

use serde::{Deserialize, Serialize};

/// One check as the verdict sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its name.
    pub name: String,
    /// Only requests of this mode.
    pub mode: Option<String>,
    /// Share of alpha relative to other checks of its kind.
    pub weight: f64,
    /// Reported, never acted upon: takes no share of alpha.
    pub observe_only: bool,
    /// What counts as bad.
    pub bad: Bad,
}

/// What counts as a bad request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bad {
    /// It failed; at most this share may (0 < max < 0.98).
    Failed {
        /// The bound.
        max: f64,
    },
    /// It was slower than `max` seconds; at most `1 - quantile` may be.
    Slower {
        /// 0.95 for p95.
        quantile: f64,
        /// The bound in seconds.
        max: f64,
    },
}

impl Bad {
    /// The largest tolerated share of bad requests, p0: `max`, or `1 - quantile` (0.05 for p95).
    ///
    /// Always within 1e-9 ..= 0.979, where P1 is defined; a manifest outside of it is refused long before.
    #[must_use]
    pub fn limit(self) -> f64 {
        let limit = match self {
            Self::Failed { max } => max,
            // 1 - 0.95 is 0.050000000000000044; people wrote 0.95 and mean 0.05
            Self::Slower { quantile, .. } => ((1.0 - quantile) * 1e12).round() / 1e12,
        };
        limit.clamp(1e-9, 0.979)
    }

    /// Whether `sample` counts as bad. No answer at all is slower than any bound.
    pub(crate) fn is_bad(self, sample: &Sample) -> bool {
        match self {
            Self::Failed { .. } => sample.failed,
            Self::Slower { max, .. } => sample.latency.is_none_or(|latency| latency > max),
        }
    }
}

impl Question {
    /// Whether `sample` is asked about at all.
    pub(crate) fn concerns(&self, sample: &Sample) -> bool {
        self.mode.is_none() || self.mode == sample.mode
    }
}

/// Which side of the split an attempt was sent to by the *split* (forced requests are no evidence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arm {
    /// The set on trial.
    Canary,
    /// The set compared with.
    Production,
}

/// One attempt at one replica: the raw material.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Whose.
    pub arm: Arm,
    /// Which replica (for the warm-up).
    pub ordinal: u32,
    /// It failed: 5xx, no answer, timeout, or the client gave up on a slow one.
    pub failed: bool,
    /// Seconds that the replica took; `None` when it never answered.
    pub latency: Option<f64>,
    /// Mode of the request.
    pub mode: Option<String>,
    /// Salted hash of the client (or of the sticky key).
    pub client: u64,
}
