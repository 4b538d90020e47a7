//! Where a rollout stands, and the time of the stage it is in.

use std::time::Duration;

use canaryd_rollout::RevisionId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a rollout stands. A pause and a weight set by hand are flags beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub(crate) enum Phase {
    /// Entered when nothing moves. Leaves to `Preflight` when the manifest asks for another revision that is not
    /// blocked, to `Starting` for an undo or a restart. Cannot fail.
    #[default]
    Idle,
    /// Entered when a revision is asked for; nothing of it runs. Leaves to `Starting` (or `Installing`) when every
    /// image is there and a slot is free. On failure (image missing, pull deadline) back to `Idle`, blocked.
    Preflight {
        /// Of what: the manifest's provisional revision.
        of: RevisionId,
        /// When it was entered.
        since: Timestamp,
        /// Time spent waiting for images.
        waited: Duration,
    },
    /// Entered by the very first version: there is nothing to compare with. It serves from its first healthy replica
    /// on. Leaves to `Idle` when all are healthy. On failure to `Reverting`: nobody serves, an honest 503.
    Installing,
    /// Entered when the containers of a trial are asked for; weight 0. Leaves to `Observing(0)`, or to `Promoting` for an
    /// undo or a restart, when all are healthy. On failure to `Reverting`.
    Starting,
    /// Entered when a stage's weight is asked for. Leaves to the next stage when observed long enough and cleared, to
    /// `Soaking` for the last stage. On failure to `Reverting`.
    Observing {
        /// Index of the stage.
        stage: usize,
        /// Its time.
        watch: Watch,
    },
    /// Entered when 100 % is asked for by the last stage: remaining workers are replaced one at a time. Leaves to
    /// `Promoting` when observed, cleared, and every replica is well. On failure to `Reverting`.
    Soaking {
        /// Its time.
        watch: Watch,
    },
    /// Entered when all is proven. Swaps the lanes as soon as 100 % is live: that commit is the point of no return.
    /// Leaves to `Idle` when the swapped lanes are live. Before the swap, on failure to `Reverting`.
    Promoting {
        /// The lanes are swapped.
        swapped: bool,
    },
    /// Entered when a version is taken off, whatever the reason; its weight is 0 from that very plan on. Leaves to
    /// `Idle` when it is drained and stopped. Cannot fail; needs nothing of production.
    Reverting {
        /// Whether the set is kept for a look.
        keep: bool,
        /// Why it goes.
        why: String,
        /// Time spent in it.
        spent: Duration,
    },
}

impl Phase {
    /// Kebab-case.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Preflight { .. } => "preflight",
            Self::Installing => "installing",
            Self::Starting => "starting",
            Self::Observing { .. } => "observing",
            Self::Soaking { .. } => "soaking",
            Self::Promoting { .. } => "promoting",
            Self::Reverting { .. } => "reverting",
        }
    }

    /// The time of the stage, in a phase that has one.
    pub(crate) fn watch(&self) -> Option<Watch> {
        // a copy, so that there is one list of the phases that have a stage
        self.clone().watch_mut().copied()
    }

    /// Likewise.
    pub(crate) fn watch_mut(&mut self) -> Option<&mut Watch> {
        match self {
            Self::Observing { watch, .. } | Self::Soaking { watch } => Some(watch),
            Self::Idle
            | Self::Preflight { .. }
            | Self::Installing
            | Self::Starting
            | Self::Promoting { .. }
            | Self::Reverting { .. } => None,
        }
    }

    /// The same phase with all accumulated time left out.
    pub(crate) fn without_clock(mut self) -> Self {
        if let Some(watch) = self.watch_mut() {
            (watch.observed, watch.spent, watch.unlive) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        }
        match &mut self {
            Self::Preflight { waited, .. } => *waited = Duration::ZERO,
            Self::Reverting { spent, .. } => *spent = Duration::ZERO,
            Self::Idle
            | Self::Installing
            | Self::Starting
            | Self::Observing { .. }
            | Self::Soaking { .. }
            | Self::Promoting { .. } => {}
        }
        self
    }
}

/// The time of one stage. All of it is accumulated, at most 2 s a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// Time at the stage's weight, proven live, with evidence.
    pub(crate) observed: Duration,
    /// All time with what is asked for proven live, without pauses.
    pub(crate) spent: Duration,
    /// All time in which it was not live, without pauses.
    #[serde(default)]
    pub(crate) unlive: Duration,
    /// When the stage was entered.
    pub(crate) entered: Timestamp,
    /// Canary requests counted before it.
    pub(crate) requests_before: u64,
    /// A person waits for this time no longer.
    #[serde(default)]
    pub(crate) skipped: bool,
}

impl Watch {
    pub(crate) fn begin(now: Timestamp, requests_before: u64) -> Self {
        let none = Duration::ZERO;
        Self { observed: none, spent: none, unlive: none, entered: now, requests_before, skipped: false }
    }
}
