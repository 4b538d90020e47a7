//! The replicas of one set and what is wanted of each.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_rollout::{ComponentName, SetId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One crew for each component.
pub(crate) type Crews = BTreeMap<ComponentName, Crew>;

/// The replicas of one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crew {
    pub(crate) set: SetId,
    pub(crate) members: BTreeMap<u32, Member>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts that hold or not, each for itself")]
pub(crate) struct Member {
    pub(crate) wish: Wish,
    /// Its container was seen.
    pub(crate) born: bool,
    /// It was healthy once.
    pub(crate) ready: bool,
    /// Start of the life in which it was last seen healthy.
    #[serde(default)]
    pub(crate) proven: Option<Timestamp>,
    /// Its latest exit that was dealt with.
    pub(crate) seen: Option<Timestamp>,
    /// Exits by itself before it was healthy (or since its set is held).
    pub(crate) exits: u32,
    /// Time since it was first seen that nothing live, and nothing asked for, sends it requests. Accumulated, at most
    /// 2 s a plan.
    pub(crate) quiet: Option<Duration>,
    /// In production: it has ended, and the history has that.
    #[serde(default)]
    pub(crate) down: bool,
    /// Somebody has paused it, and the history has that.
    #[serde(default)]
    pub(crate) paused: bool,
}

/// What is wanted of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Wish {
    /// It runs.
    Running,
    /// It has left its lane and runs until it is drained.
    Leaving,
    /// It exists and is stopped.
    Stopped,
    /// It is gone.
    Removed,
}

impl Crew {
    pub(crate) fn new(set: SetId) -> Self {
        Self { set, members: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, ordinal: u32) {
        let member = Member {
            wish: Wish::Running,
            born: false,
            ready: false,
            proven: None,
            seen: None,
            exits: 0,
            quiet: None,
            down: false,
            paused: false,
        };
        self.members.insert(ordinal, member);
    }

    /// Those that should run.
    pub(crate) fn running(&self) -> impl DoubleEndedIterator<Item = (u32, &Member)> {
        self.with(Wish::Running)
    }

    /// Those of which this is wanted.
    pub(crate) fn with(&self, wish: Wish) -> impl DoubleEndedIterator<Item = (u32, &Member)> {
        self.members.iter().filter(move |(_, m)| m.wish == wish).map(|(o, m)| (*o, m))
    }

    /// How many should run.
    pub(crate) fn size(&self) -> u32 {
        count(self.running().count())
    }

    /// Wants this of one replica.
    pub(crate) fn want(&mut self, ordinal: u32, wish: Wish) {
        if let Some(member) = self.members.get_mut(&ordinal) {
            member.wish = wish;
        }
    }
}

/// A count that fits: nobody runs four billion replicas.
pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// `1 request`, `12 requests`.
pub(crate) fn several(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
