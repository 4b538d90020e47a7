//! What goes in and comes out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something worth telling, not yet in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// `info`, `warning`, `error`: the journal does not look.
    pub severity: String,
    /// What kind of thing, for filters and hooks.
    pub kind: String,
    /// One sentence.
    pub message: String,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// One ascending sequence over all rollouts; a number is never used again.
    pub seq: u64,
    /// Which rollout.
    pub name: String,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// As in [`NewEvent`].
    pub severity: String,
    /// As in [`NewEvent`].
    pub kind: String,
    /// As in [`NewEvent`].
    pub message: String,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this rollout only.
    pub name: Option<String>,
    /// Only those after this sequence number; 0 for all.
    pub after_seq: u64,
    /// At most so many; 0 for 1,000.
    pub limit: usize,
    /// When there are more than `limit`: the newest ones instead of the oldest. The answer ascends in either case.
    pub newest: bool,
}

/// What one second taught about everything: one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickBatch {
    /// The second (Unix time).
    pub at_second: i64,
    /// By gateway: where the tail of its log stands (JSON).
    pub offsets: Vec<(String, String)>,
    /// By rollout: the set on trial and the state of its processes (JSON). A rollout has one; a new set replaces it.
    pub judges: Vec<(String, String, String)>,
    /// By rollout: its memory (JSON) with the observed time raised. Only for rollouts that no plan was committed for
    /// since that memory was read: whoever sends this must hold the rollout's key.
    pub clocks: Vec<(String, String)>,
    /// Counts for `explain` and `replay`.
    pub ticks: Vec<TickRow>,
}

/// What one set did in one second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickRow {
    /// Which rollout.
    pub name: String,
    /// Unix time. A second that is told again (late lines) replaces the row of the same set.
    pub second: i64,
    /// Which set.
    pub set: String,
    /// The counts (JSON).
    pub json: String,
}
