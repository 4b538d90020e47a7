//! The processes of all checks of one canary set, from its first request to its end.

use serde::{Deserialize, Serialize};

use crate::verdict::{CheckReport, Verdict};

/// What is asked, and at which price. Fixed when the evidence begins; a change means fresh evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Chance that a version within tolerance is reverted by statistics, over the whole rollout.
    pub alpha: f64,
    /// Chance, per advance, that an unacceptable version gets more traffic.
    pub beta: f64,
    /// Planned canary minutes of the rollout (for restarts; at least 45 are used).
    pub planned_minutes: f64,
    /// Latencies of a new container that are left out, seconds.
    pub warmup: f64,
    /// The checks.
    pub checks: Vec<Question>,
}

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

/// The processes of all checks of one set. Serialisable after every tick; resuming loses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    settings: Settings,
}

impl Judge {
    /// Begins with no evidence.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What is asked.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One second of evidence. `second` is Unix time; seconds never go back, empty seconds may be left out.
    pub fn tick(&mut self, _second: i64, _samples: &[Sample]) {}

    /// The verdict on going to `next` (share of the traffic, 0.0 to 1.0; `None`: only staying is asked).
    #[must_use]
    pub fn verdict(&self, _next: Option<f64>) -> Verdict {
        Verdict::Pass
    }

    /// Every check with its numbers, for the same question.
    #[must_use]
    pub fn reports(&self, _next: Option<f64>) -> Vec<CheckReport> {
        Vec::new()
    }

    /// The one number: largest suspicion over all checks that act.
    #[must_use]
    pub fn suspicion(&self) -> f64 {
        0.0
    }

    /// Canary requests counted so far, and of these failed ones.
    #[must_use]
    pub fn canary_requests(&self) -> (u64, u64) {
        (0, 0)
    }
}
