//! The record of one second: small, and enough to decide again.

use std::collections::BTreeMap;

use canaryd_rollout::SetId;
use serde::{Deserialize, Serialize};

use crate::evidence::Attempt;

/// Ratio of two neighbouring bin edges: a latency is known to 1 %.
const GAMMA: f64 = 1.0202;
/// Upper edge of the first bin, seconds.
const SMALLEST: f64 = 0.001;
/// The bin of everything above 100 s.
const LAST_BIN: u16 = 576;

/// Everything that was learned in one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Unix time.
    pub second: i64,
    /// By set.
    pub sets: BTreeMap<SetId, Counts>,
}

/// What one set did in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Attempts that the split sent there.
    pub requests: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Attempts that a rule or a forced lane sent there: in no other number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forced: u32,
    /// By hundreds of the status: `[no answer, 1xx, 2xx, 3xx, 4xx, 5xx]`.
    pub classes: [u32; 6],
    /// By mode; "" for requests without one.
    pub modes: BTreeMap<String, ModeCounts>,
    /// By salted client hash: attempts and failed ones. At most 1,000 clients a second; the rest is only in the sums.
    pub clients: BTreeMap<u64, (u32, u32)>,
}

/// What one set did in one second for one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeCounts {
    /// Attempts.
    pub requests: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Latencies: [`bin_of`] to count, only bins that are not empty.
    pub bins: BTreeMap<u16, u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Tick {
    /// Counts one attempt, whatever its second.
    pub fn add(&mut self, _attempt: &Attempt) {}
}

/// The bin of a latency in seconds: `ceil(ln(x / 1 ms) / ln 1.0202)`, between 0 (up to 1 ms) and 576 (above 100 s).
/// The mapping of `DDSketch` (Masson et al., VLDB 2019): relative error at most 1 %.
#[must_use]
pub fn bin_of(_seconds: f64) -> u16 {
    LAST_BIN
}

/// The upper edge of a bin in seconds.
#[must_use]
pub fn upper_edge_of(bin: u16) -> f64 {
    SMALLEST * GAMMA.powi(i32::from(bin))
}
