//! What is remembered of one rollout between two reconciles: serialised into the journal before any action runs.
//!
//! It names sets and replicas by what is *wanted* of them ([`Wish`]); what *is* comes from the world. It never holds
//! environment values, file contents or anything else secret: manifests are kept without their create bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use canaryd_gateway::{Intent, Lane};
use canaryd_rollout::{
    Analysis, Check, Component, ComponentName, Container, RevisionId, Rollout, RolloutName, SetId, Snippets, Stage,
    Weight,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{Answer, Command};
use crate::crew::{Crew, Crews};
use crate::report::{Outcome, OutcomeView};

/// Format of a memory written by this version.
pub(crate) const FORMAT: u32 = 1;

/// The memory of one rollout. Begins as `Memory::default()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Format number, for migrations.
    pub format: u32,
    /// Commands that were journalled and not yet planned.
    pub inbox: Vec<Command>,
    /// When the last plan was made: accumulated time is measured from it.
    pub(crate) clock: Option<Timestamp>,
    /// The last valid manifest, without create bodies.
    pub(crate) manifest: Option<Box<Rollout>>,
    /// The last traffic that was asked for.
    pub(crate) asked: Option<Intent>,
    /// The highest number an intent had.
    pub(crate) seq: u64,
    /// The highest number a set had.
    pub(crate) last_set: u64,
    /// The highest number a replica of each component had.
    pub(crate) last_ordinal: BTreeMap<ComponentName, u32>,
    /// What was last promoted.
    pub(crate) production: Option<Deployed>,
    /// What may become production.
    pub(crate) trial: Option<Trial>,
    /// What was production before.
    pub(crate) previous: Option<Previous>,
    /// Sets that left and are on their way out, or kept stopped for a look.
    pub(crate) retired: Vec<Retired>,
    /// Where the rollout stands.
    pub(crate) phase: Phase,
    /// No progress.
    pub(crate) paused: Option<Pause>,
    /// A weight set by hand.
    pub(crate) manual: Option<Manual>,
    /// Revisions that are not tried again, oldest first.
    pub(crate) blocked: Vec<Blocked>,
    /// The last productions before this one, newest first.
    pub(crate) history: Vec<Past>,
    /// Revisions whose files and image tags were not given up yet.
    pub(crate) kept: BTreeSet<RevisionId>,
    /// How the last rollout ended.
    pub(crate) outcome: Option<OutcomeView>,
    /// Answers given, oldest first.
    pub(crate) answers: Vec<Answer>,
    /// The manifest is gone; production serves on.
    pub(crate) orphaned: bool,
    /// Everything is being removed, or was: who asked.
    pub(crate) deletion: Option<Deletion>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            format: FORMAT,
            inbox: Vec::new(),
            clock: None,
            manifest: None,
            asked: None,
            seq: 0,
            last_set: 0,
            last_ordinal: BTreeMap::new(),
            production: None,
            trial: None,
            previous: None,
            retired: Vec::new(),
            phase: Phase::Idle,
            paused: None,
            manual: None,
            blocked: Vec::new(),
            history: Vec::new(),
            kept: BTreeSet::new(),
            outcome: None,
            answers: Vec::new(),
            orphaned: false,
            deletion: None,
        }
    }
}

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
        /// Time spent in it.
        spent: Duration,
    },
}

/// The time of one stage. All of it is accumulated, at most 2 s a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// Time at the stage's weight, proven live, with evidence.
    pub(crate) observed: Duration,
    /// All time without pauses.
    pub(crate) spent: Duration,
    /// When the stage was entered.
    pub(crate) entered: Timestamp,
    /// Canary requests counted before it.
    pub(crate) requests_before: u64,
}

impl Watch {
    pub(crate) fn begin(now: Timestamp, requests_before: u64) -> Self {
        Self { observed: Duration::ZERO, spent: Duration::ZERO, entered: now, requests_before }
    }
}

/// One revision with what the planner needs of it: components without create bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) provisional: RevisionId,
    pub(crate) components: Vec<Component>,
}

impl Release {
    pub(crate) fn of(rollout: &Rollout) -> Self {
        Self {
            version: rollout.version.clone(),
            revision: rollout.revision.clone(),
            provisional: rollout.provisional.clone(),
            components: rollout.components().map(bare_component).collect(),
        }
    }
    pub(crate) fn component(&self, name: &ComponentName) -> Option<&Component> {
        self.components.iter().find(|c| &c.name == name)
    }
    /// Whether the manifest asks for this content. With images pending only the provisional hash is known.
    pub(crate) fn is_asked_by(&self, rollout: &Rollout) -> bool {
        rollout.revision == self.revision || (unresolved(rollout) && rollout.provisional == self.provisional)
    }
}

/// Whether some image of the manifest is not resolved.
pub(crate) fn unresolved(rollout: &Rollout) -> bool {
    rollout.images.values().any(|i| match i {
        canaryd_rollout::ImageState::Present { .. } => false,
        canaryd_rollout::ImageState::Pending | canaryd_rollout::ImageState::Missing { .. } => true,
    })
}

fn bare_component(component: &Component) -> Component {
    Component { container: Container::default(), ..component.clone() }
}

/// The manifest without anything that may be secret.
pub(crate) fn bare(rollout: &Rollout) -> Rollout {
    let mut bare = rollout.clone();
    bare.app.container = Container::default();
    for worker in &mut bare.workers {
        worker.container = Container::default();
    }
    bare.gateway.snippets = Snippets::default();
    bare
}

/// A revision with its sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deployed {
    pub(crate) release: Release,
    pub(crate) crews: Crews,
    pub(crate) since: Timestamp,
}

/// What was production before. Warm while its crews are there, cold after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Previous {
    pub(crate) release: Release,
    pub(crate) crews: Crews,
    /// When it left.
    pub(crate) left: Timestamp,
    /// Until when its app runs without traffic.
    pub(crate) warm_until: Timestamp,
}

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
    /// Rises with each fresh start of the evidence.
    pub(crate) evidence: u64,
    /// An exit that holds the weight at 0.
    pub(crate) crash: Option<Crash>,
    /// How often the environment was at fault.
    pub(crate) holds: u32,
    /// Time since some replica should be healthy and never was.
    pub(crate) unready: Duration,
    /// What became of the stages behind it.
    pub(crate) passed: BTreeMap<usize, Passed>,
    /// What a person pushed it to.
    pub(crate) push: Option<Push>,
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
}

/// Sets without traffic that are drained, stopped and, in the end, removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub(crate) release: Release,
    pub(crate) crews: Crews,
    /// At most this long old NGINX workers are waited for.
    pub(crate) drain: Duration,
    /// Kept stopped until then.
    pub(crate) until: Option<Timestamp>,
}

/// No progress until somebody resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// `None`: canaryd itself.
    pub(crate) by: Option<String>,
    pub(crate) why: String,
    pub(crate) at: Timestamp,
    /// When a person was last told.
    pub(crate) told: Timestamp,
}

/// A weight set by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manual {
    pub(crate) by: String,
    pub(crate) weight: Weight,
    pub(crate) at: Timestamp,
}

/// A revision that is not tried again until `retry` or new content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blocked {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) provisional: RevisionId,
    pub(crate) outcome: Outcome,
    /// Short: the check, or what happened.
    pub(crate) why: String,
    pub(crate) at: Timestamp,
}

impl Blocked {
    pub(crate) fn is_asked_by(&self, rollout: &Rollout) -> bool {
        let never_resolved = self.revision == self.provisional;
        rollout.revision == self.revision
            || ((never_resolved || unresolved(rollout)) && rollout.provisional == self.provisional)
    }
}

/// A production of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    pub(crate) left: Timestamp,
}

/// Everything goes, or went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    /// Time spent draining.
    pub(crate) spent: Duration,
    /// The manifest's revision when it was deleted, once it is done: that content does not start again by itself.
    pub(crate) done: Option<(RevisionId, RevisionId)>,
}

impl Memory {
    /// Whether this rollout holds one of the host's slots for moving.
    #[must_use]
    pub fn moving(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Preflight { .. } => false,
            Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Promoting { .. }
            | Phase::Reverting { .. } => true,
        }
    }

    /// Whether this rollout starts containers of a trial now: some were asked for and were never healthy yet.
    #[must_use]
    pub fn starting(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Preflight { .. } | Phase::Reverting { .. } => false,
            Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Promoting { .. } => {
                self.trial.as_ref().is_some_and(|t| t.crews.values().any(|c| c.running().any(|(_, m)| !m.ready)))
            }
        }
    }

    /// Name of the phase, kebab-case.
    #[must_use]
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "idle",
            Phase::Preflight { .. } => "preflight",
            Phase::Installing => "installing",
            Phase::Starting => "starting",
            Phase::Observing { .. } => "observing",
            Phase::Soaking { .. } => "soaking",
            Phase::Promoting { .. } => "promoting",
            Phase::Reverting { .. } => "reverting",
        }
    }

    /// Every revision whose files and image tags are still needed.
    #[must_use]
    pub fn revisions(&self) -> BTreeSet<RevisionId> {
        let mut all = BTreeSet::new();
        all.extend(self.production.iter().map(|d| d.release.revision.clone()));
        all.extend(self.trial.iter().map(|t| t.release.revision.clone()));
        all.extend(self.previous.iter().map(|p| p.release.revision.clone()));
        all.extend(self.retired.iter().map(|r| r.release.revision.clone()));
        all.extend(self.history.iter().map(|p| p.revision.clone()));
        if self.deletion.is_none() {
            all.extend(self.manifest.iter().map(|m| m.revision.clone()));
        }
        all
    }

    /// The app set on trial that evidence is kept for.
    #[must_use]
    pub fn canary_set(&self) -> Option<SetId> {
        let trial = self.trial.as_ref().filter(|t| t.kind == Kind::Canary)?;
        trial.crews.get(&ComponentName::app()).map(|c| c.set.clone())
    }

    /// The set on trial and the number of its evidence: a higher number than the one last seen means that the evidence
    /// was to begin from nothing (this is how a `FreshEvidence` survives a crash between commit and action).
    #[must_use]
    pub fn evidence(&self) -> Option<(SetId, u64)> {
        let number = self.trial.as_ref()?.evidence;
        self.canary_set().map(|set| (set, number))
    }

    /// The app set that production traffic goes to (during the first installation: the set being installed).
    #[must_use]
    pub fn production_app_set(&self) -> Option<SetId> {
        let app = ComponentName::app();
        let installing = self.trial.as_ref().filter(|t| t.kind == Kind::Install).map(|t| &t.crews);
        self.production.as_ref().map(|d| &d.crews).or(installing)?.get(&app).map(|c| c.set.clone())
    }

    /// The lane that a set belongs to now, if it belongs to any.
    #[must_use]
    pub fn lane_of(&self, set: &SetId) -> Option<Lane> {
        let has = |crews: &Crews| crews.values().any(|c| &c.set == set);
        if self.production.as_ref().is_some_and(|d| has(&d.crews)) {
            return Some(Lane::Production);
        }
        let trial = self.trial.as_ref().filter(|t| has(&t.crews))?;
        match trial.kind {
            Kind::Install => Some(Lane::Production),
            Kind::Canary | Kind::Undo { .. } | Kind::Restart => Some(Lane::Canary),
        }
    }

    /// The component of a set, with the health and stop settings that hold for its revision. Its create body is empty.
    #[must_use]
    pub fn component_of(&self, set: &SetId) -> Option<&Component> {
        self.deployments().find_map(|(release, crews)| {
            let name = crews.iter().find(|(_, c)| &c.set == set).map(|(name, _)| name)?;
            release.component(name)
        })
    }

    fn deployments(&self) -> impl Iterator<Item = (&Release, &Crews)> {
        self.production
            .iter()
            .map(|d| (&d.release, &d.crews))
            .chain(self.trial.iter().map(|t| (&t.release, &t.crews)))
            .chain(self.previous.iter().map(|p| (&p.release, &p.crews)))
            .chain(self.retired.iter().map(|r| (&r.release, &r.crews)))
    }

    /// Every set that this memory knows.
    #[must_use]
    pub fn sets(&self) -> BTreeSet<SetId> {
        self.deployments().flat_map(|(_, crews)| crews.values().map(|c| c.set.clone())).collect()
    }

    /// The share that clearance is asked for.
    #[must_use]
    pub fn next_weight(&self) -> Option<f64> {
        let trial = self.trial.as_ref().filter(|t| t.kind == Kind::Canary)?;
        let stages = &self.manifest.as_ref()?.stages;
        match self.phase {
            Phase::Observing { stage, .. } => {
                let here = stages.get(stage).filter(|s| s.weight > trial.weight);
                here.or(stages.get(stage + 1)).map(|s| s.weight.share())
            }
            Phase::Soaking { .. } => Some(1.0),
            Phase::Idle
            | Phase::Preflight { .. }
            | Phase::Installing
            | Phase::Starting
            | Phase::Promoting { .. }
            | Phase::Reverting { .. } => None,
        }
    }

    /// The revision that was last promoted.
    #[must_use]
    pub fn production_revision(&self) -> Option<RevisionId> {
        self.production.as_ref().map(|p| p.release.revision.clone())
    }

    /// Whether everything of it was removed at somebody's request.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deletion.as_ref().is_some_and(|d| d.done.is_some())
    }

    /// The last traffic asked for: what the gateway is to show, also after a restart of the daemon.
    #[must_use]
    pub fn asked(&self) -> Option<&Intent> {
        self.asked.as_ref()
    }

    /// The last valid manifest (without create bodies).
    #[must_use]
    pub fn manifest(&self) -> Option<&Rollout> {
        self.manifest.as_deref()
    }

    /// Name of the rollout, once it had a manifest.
    #[must_use]
    pub fn name(&self) -> Option<&RolloutName> {
        self.manifest.as_ref().map(|m| &m.name)
    }

    /// This memory with all accumulated time left out: two memories that are equal so differ in nothing that must be
    /// durable before an action.
    #[must_use]
    pub fn without_clock(&self) -> Self {
        let mut still = self.clone();
        still.clock = None;
        match &mut still.phase {
            Phase::Observing { watch, .. } | Phase::Soaking { watch } => {
                watch.observed = Duration::ZERO;
                watch.spent = Duration::ZERO;
            }
            Phase::Preflight { waited, .. } => *waited = Duration::ZERO,
            Phase::Reverting { spent, .. } => *spent = Duration::ZERO,
            Phase::Idle | Phase::Installing | Phase::Starting | Phase::Promoting { .. } => {}
        }
        if let Some(trial) = &mut still.trial {
            trial.unready = Duration::ZERO;
        }
        if let Some(deletion) = &mut still.deletion {
            deletion.spent = Duration::ZERO;
        }
        still
    }

    /// A set number that was never used.
    pub(crate) fn new_crew(&mut self) -> Crew {
        self.last_set += 1;
        Crew::new(SetId::nth(self.last_set))
    }

    /// A replica number that was never used.
    pub(crate) fn new_ordinal(&mut self, component: &ComponentName) -> u32 {
        let last = self.last_ordinal.entry(component.clone()).or_insert(0);
        *last += 1;
        *last
    }
}
