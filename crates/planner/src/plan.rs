//! The decision: actions, the next memory, and a report of why.

use std::time::Duration;

use jiff::Timestamp;

use crate::action::{Action, Answer};
use crate::memory::Memory;
use crate::report::{Event, Report};
use crate::world::World;

/// What one reconcile decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In order; lowerings first.
    pub actions: Vec<Action>,
    /// What is remembered before the first action runs.
    pub memory: Memory,
    /// Why, for people and machines; `None` when this name never had a manifest.
    pub report: Option<Report>,
    /// What is new in the history.
    pub events: Vec<Event>,
    /// Answers to the commands that this plan consumed from the memory's inbox.
    pub answers: Vec<Answer>,
    /// At the latest, plan again after this long.
    pub next_wake: Duration,
}

/// Decides for one rollout. Total: every input has a plan.
#[must_use]
pub fn plan(_memory: &Memory, _world: &World, _now: Timestamp) -> Plan {
    Plan {
        actions: Vec::new(),
        memory: Memory::default(),
        report: None,
        events: Vec::new(),
        answers: Vec::new(),
        next_wake: Duration::from_secs(1),
    }
}
