//! What is decided, and everything that a person needs to see why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The four answers to "may this version stay, and may it get more?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Verdict {
    /// Clearance for the next weight.
    Pass,
    /// A check proved harm.
    Fail {
        /// Which check.
        check: String,
        /// The numbers in one sentence: "7 of 52 canary requests failed (13.5 %, at least 4.9 % with 95 % certainty); limit 0.5 %".
        reason: String,
    },
    /// Not enough evidence for the next weight.
    Inconclusive {
        /// The check that needs most.
        check: String,
        /// Canary requests counted for it so far.
        have: u64,
        /// Canary requests needed more, if they are as good as those before.
        need: u64,
    },
    /// Nothing can be said now.
    Hold {
        /// Why.
        reason: HoldReason,
    },
}

/// Why nothing can be said now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "why")]
pub enum HoldReason {
    /// A check is above a third of its bar: no more traffic until it calms down or fails.
    Suspicious {
        /// Which check.
        check: String,
    },
}

/// One check with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// The question in words: "do more than 0.5 % of the canary's requests fail?".
    pub question: String,
    /// Reported, never acted upon.
    pub observe_only: bool,
    /// Counts of the lanes: the canary's and, for comparison by eye, production's.
    pub canary: LaneNumbers,
    /// Production's.
    pub production: LaneNumbers,
    /// The bound as a bad rate: 0.005, or 0.05 for a p95.
    pub limit: f64,
    /// Latency checks: the bound in seconds and the quantile.
    pub latency: Option<LatencyNumbers>,
    /// Latency checks: canary requests that are not counted, because they fell into the warm-up of a container.
    #[serde(default)]
    pub left_out: u64,
    /// While all of them did: the Unix second from which the first container counts as warm.
    #[serde(default)]
    pub cold_until: Option<i64>,
    /// Largest of (E × share / k) over its processes: reverts at 1/alpha.
    pub suspicion: f64,
    /// Natural logarithm of the e-value of P1.
    pub ln_e: f64,
    /// The e-value at which P1 fails.
    pub bar: f64,
    /// Whether it proved harm; that is never taken back. Always `false` for a check that only observes.
    pub failed: bool,
    /// For the next weight: cleared, or how many requests more.
    pub clearance: Clearance,
    /// One-sided upper bound on the canary's bad rate at beta ("could still be up to"), 0.0 to 1.0.
    pub upper: f64,
    /// One-sided, anytime-valid lower bound at alpha ("is at least"), 0.0 to 1.0.
    pub lower: f64,
}

/// Counts of one lane in one check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneNumbers {
    /// Requests counted.
    pub requests: u64,
    /// Of these, bad: failed, or slower than the bound.
    pub bad: u64,
}

/// What people want to see of a latency check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyNumbers {
    /// 0.95 for p95.
    pub quantile: f64,
    /// The bound in seconds.
    pub max: f64,
    /// Estimated quantile of the canary in seconds, if it has requests.
    pub canary: Option<f64>,
    /// Estimated quantile of production in seconds, if it has requests.
    pub production: Option<f64>,
}

impl LaneNumbers {
    /// One request more.
    pub(crate) fn add(&mut self, bad: bool) {
        self.requests += 1;
        self.bad += u64::from(bad);
    }
}

/// Whether a check allows the next weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Clearance {
    /// Enough clean requests for the next weight.
    Cleared,
    /// Its bound allows any rate at the next weight: no data needed.
    NotNeeded,
    /// So many more, if they are as good as those before (all clean ones, where those before could never be enough).
    Needs {
        /// Canary requests.
        more: u64,
    },
}
