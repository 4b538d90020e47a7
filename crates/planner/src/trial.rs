//! What may become production, and what happened to it so far.

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_rollout::{Analysis, Check, ComponentName, Rollout, Stage, Weight};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::crew::Crews;
use crate::release::Release;
use crate::sight::Sight;

/// Why something is on its way to production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub(crate) enum Kind {
    /// The very first version.
    Install,
    /// A new version, through the stages.
    Canary,
    /// Back to the previous version, at once.
    Undo {
        /// Who asked, and what they said.
        by: String,
        /// When production left, if this is given up.
        left: Timestamp,
        /// Until when it is kept warm, if this is given up.
        warm_until: Timestamp,
    },
    /// The same revision in a second set.
    Restart,
}

/// What may become production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    pub(crate) release: Release,
    pub(crate) crews: Crews,
    pub(crate) begun: Timestamp,
    /// The weight that was granted; asked for unless something holds it at 0.
    pub(crate) weight: Weight,
    /// The stages as they were when last looked at, to notice an edit.
    pub(crate) stages: Vec<Stage>,
    /// Likewise.
    pub(crate) checks: Vec<Check>,
    /// Likewise.
    pub(crate) analysis: Analysis,
    /// How often the evidence began from nothing. Only what was counted under this number is looked at.
    #[serde(default)]
    pub(crate) evidence: u64,
    /// When the checks were last changed under it.
    #[serde(default)]
    pub(crate) rechecked: Option<Timestamp>,
    /// An exit that holds the weight at 0.
    pub(crate) crash: Option<Crash>,
    /// Its failed requests when the engine was last heard.
    #[serde(default)]
    pub(crate) failures: u64,
    /// Whether the harm that it does would be seen.
    #[serde(default)]
    pub(crate) sight: Sight,
    /// What the engine could not do for it, through no fault of its own.
    #[serde(default)]
    pub(crate) refusal: Option<Refusal>,
    /// How often the environment was at fault.
    pub(crate) holds: u32,
    /// Time since some replica should be healthy and never was.
    pub(crate) unready: Duration,
    /// What became of the stages behind it.
    pub(crate) passed: BTreeMap<usize, Passed>,
    /// What a person pushed it to.
    pub(crate) push: Option<Push>,
    /// The history has that it is being started.
    #[serde(default)]
    pub(crate) told: bool,
}

impl Trial {
    /// At weight 0, with nothing behind it, by the manifest of this moment.
    pub(crate) fn new(kind: Kind, release: Release, crews: Crews, manifest: &Rollout, now: Timestamp) -> Self {
        Self {
            kind,
            release,
            crews,
            begun: now,
            weight: Weight::ZERO,
            stages: manifest.stages.clone(),
            checks: manifest.checks.clone(),
            analysis: manifest.analysis.clone(),
            evidence: 0,
            rechecked: None,
            crash: None,
            failures: 0,
            sight: Sight::default(),
            refusal: None,
            holds: 0,
            unready: Duration::ZERO,
            passed: BTreeMap::new(),
            push: None,
            told: false,
        }
    }

    /// Whether the host keeps it from running as it should: until that is mended its weight is 0.
    pub(crate) fn is_refused_by_host(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| refusal.host)
    }

    /// Whether stages and evidence decide about it.
    pub(crate) fn is_canary(&self) -> bool {
        match self.kind {
            Kind::Canary => true,
            Kind::Install | Kind::Undo { .. } | Kind::Restart => false,
        }
    }
}

/// What the engine could not do for a trial, through no fault of the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// In words, as last heard.
    pub(crate) what: String,
    /// It is the host's fault: no try helps before somebody mends it.
    pub(crate) host: bool,
    /// Time of trying since it began, or since somebody said to go on.
    pub(crate) spent: Duration,
}

/// A stage that is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) observed: Duration,
    pub(crate) requests: u64,
    pub(crate) skipped: bool,
}

/// What a person pushed the trial to: clock and clearance do not matter, safety does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "to")]
pub(crate) enum Push {
    /// This stage.
    Stage {
        /// Index.
        stage: usize,
    },
    /// Production.
    Finish {
        /// Why.
        reason: String,
        /// Who, if it was a person.
        #[serde(default)]
        by: Option<String>,
    },
}

/// An exit of a replica on trial. The weight is 0 until it is blamed or its set is healthy again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Crash {
    pub(crate) component: ComponentName,
    pub(crate) ordinal: u32,
    pub(crate) at: Timestamp,
    /// In words.
    pub(crate) what: String,
    /// `false`: the cause may still turn out to be another one.
    pub(crate) held: bool,
    /// It is no exit: a check failed, and the engine could not be asked whether it took the containers along.
    #[serde(default)]
    pub(crate) failed: Option<FailedUnheard>,
}

/// A check that failed while the engine could not be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FailedUnheard {
    pub(crate) check: String,
    /// Most of what failed had failed before the engine went away: it was not the engine.
    pub(crate) before: bool,
}
