//! What is remembered of one rollout between two reconciles: serialised into the journal before any action runs.

use serde::{Deserialize, Serialize};

use crate::action::Command;

/// The memory of one rollout. Begins as `Memory::default()`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Commands that were journalled and not yet planned.
    pub inbox: Vec<Command>,
}
