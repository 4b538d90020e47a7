//! What the planner decides. Every action is an idempotent "ensure …"; the executor has no choice left to make.

use std::time::Duration;

use canaryd_gateway::{Intent, PageId};
use canaryd_rollout::{ComponentName, RevisionId, SetId, Weight};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Action {
    /// Ask the gateway for this traffic. Lowerings come first in a plan and never wait.
    Route(Intent),
    /// Containers of a set exist, and run or are stopped, as stated.
    EnsureSet(SetGoal),
    /// The set has no containers any more (stopped with `grace` first, if they run).
    RemoveSet {
        /// Which set.
        set: SetId,
        /// From stop signal to SIGKILL.
        grace: Duration,
    },
    /// Logs and facts of a failed set are saved before anything of it goes.
    SaveFailure {
        /// Which set.
        set: SetId,
        /// Which revision.
        revision: RevisionId,
        /// The sentence of the outcome.
        reason: String,
    },
    /// Give the revision's images a tag of ours, so that nobody's prune removes them.
    KeepImages {
        /// Which revision.
        revision: RevisionId,
    },
    /// Nothing needs this revision's files and image tags any more.
    ForgetRevision {
        /// Which revision.
        revision: RevisionId,
    },
    /// The gateway is stopped and removed (only on an explicit delete).
    RemoveGateway,
    /// Ask the daemon to look the manifest's images up again (a person said `retry`).
    ResolveAgain,
}

impl Action {
    /// Whether it is about files and image tags only: nobody waits for it.
    #[must_use]
    pub fn is_housekeeping(&self) -> bool {
        match self {
            Self::KeepImages { .. } | Self::ForgetRevision { .. } => true,
            Self::Route(_)
            | Self::EnsureSet(_)
            | Self::RemoveSet { .. }
            | Self::SaveFailure { .. }
            | Self::RemoveGateway
            | Self::ResolveAgain => false,
        }
    }

    /// The set that it starts, stops or removes.
    #[must_use]
    pub fn set(&self) -> Option<&SetId> {
        match self {
            Self::EnsureSet(goal) => Some(&goal.set),
            Self::RemoveSet { set, .. } => Some(set),
            Self::Route(_)
            | Self::SaveFailure { .. }
            | Self::KeepImages { .. }
            | Self::ForgetRevision { .. }
            | Self::RemoveGateway
            | Self::ResolveAgain => None,
        }
    }

    /// The traffic that it asks for, if it is about traffic.
    #[must_use]
    pub fn route(&self) -> Option<&Intent> {
        match self {
            Self::Route(intent) => Some(intent),
            Self::EnsureSet(_)
            | Self::RemoveSet { .. }
            | Self::SaveFailure { .. }
            | Self::KeepImages { .. }
            | Self::ForgetRevision { .. }
            | Self::RemoveGateway
            | Self::ResolveAgain => None,
        }
    }
}

/// Containers of one set as they should be. What exists beyond it is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetGoal {
    /// Which set.
    pub set: SetId,
    /// Of which component.
    pub component: ComponentName,
    /// Of which revision: the executor finds the create body under it.
    pub revision: RevisionId,
    /// These run, with restart policy `unless-stopped`.
    pub running: Vec<u32>,
    /// These exist and are stopped, with restart policy `no` (stopped with `grace` if they run).
    pub stopped: Vec<u32>,
    /// These are removed.
    pub removed: Vec<u32>,
    /// From stop signal to SIGKILL.
    pub grace: Duration,
    /// The first to go when memory is short.
    pub expendable: bool,
}

/// What a person asked for, journalled before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Unique; a repeated id is answered as before and acts once.
    pub id: String,
    /// Who: user name and uid, or `offline`.
    pub actor: String,
    /// Why, in the person's words.
    #[serde(default)]
    pub comment: Option<String>,
    /// When it was received.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What the person saw when deciding; a stale expectation is refused.
    #[serde(default)]
    pub expected: Option<Expected>,
    /// What to do.
    pub verb: Verb,
}

/// What the person saw when deciding. What is left out is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// The phase, kebab-case: also that nothing was on trial, or had no stage yet.
    #[serde(default)]
    pub phase: Option<String>,
    /// The revision on trial.
    #[serde(default)]
    pub revision: Option<RevisionId>,
    /// Index of the stage, from 0.
    #[serde(default)]
    pub stage: Option<usize>,
    /// The canary's share that was asked for: within a stage it changes by hand, and by the step back to the stage's own.
    #[serde(default)]
    pub weight: Option<Weight>,
}

impl Expected {
    /// All that a report shows of where a rollout stands.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        Self {
            phase: Some(report.phase.clone()),
            revision: report.canary.as_ref().map(|c| c.revision.clone()),
            stage: report.stage,
            weight: Some(report.wanted_weight),
        }
    }
}

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "verb")]
pub enum Verb {
    /// Next stage now, whatever the clock and clearance say (a Fail still wins).
    Advance,
    /// To 100 % and finish, with a reason; health, crash and Fail stay on.
    Promote {
        /// Why.
        reason: String,
    },
    /// No progress until `resume`; safety stays.
    Pause,
    /// Progress again; also gives a weight set by hand back.
    Resume,
    /// Before the lane swap: the canary to 0 % and off.
    Abort,
    /// After a promotion: back to the previous version at 100 %, when it is healthy.
    Undo,
    /// Whichever of abort and undo is right.
    Rollback,
    /// The blocked revision may be tried again.
    Retry,
    /// A second set of the production revision takes over when it is healthy.
    Restart,
    /// The weight by hand.
    Traffic {
        /// The canary's share.
        weight: Weight,
    },
    /// Everything of it stops for a while; users get a page with 503.
    #[serde(rename_all = "camelCase")]
    Stop {
        /// The user's own page, which the daemon keeps; `None`: the built-in one, or the one that is shown already.
        #[serde(default)]
        page: Option<PageId>,
        /// What clients are told to wait, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// What was stopped starts, and serves when it is healthy.
    Start,
    /// Stop everything of this rollout and forget it.
    Delete,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Of which command.
    pub id: String,
    /// Whether it was accepted (doing nothing because it is so already is accepted, too).
    pub accepted: bool,
    /// What was done, or why not and what to do instead: one sentence.
    pub message: String,
}
