//! What is remembered of one rollout between two reconciles: serialised into the journal before any action runs.
//!
//! It names sets and replicas by what is *wanted* of them ([`Wish`]); what *is* comes from the world. It never holds
//! environment values, file contents or anything else secret: manifests are kept without their create bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use canaryd_gateway::Intent;
use canaryd_rollout::{ComponentName, RevisionId, Rollout, SetId, Weight};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{Answer, Command};
use crate::crew::{Crew, Crews};
use crate::gateway_life::GatewayLife;
use crate::maintenance::Maintenance;
use crate::phase::Phase;
use crate::release::{Blocked, Past, Release};
use crate::relief::Relief;
use crate::report::OutcomeView;
use crate::trial::Trial;
use crate::wellness::Unwell;

/// Ends of rollouts that are remembered.
const ENDED: usize = 8;

/// The memory of one rollout. Begins as `Memory::default()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Format number, for migrations: whoever reads a memory looks at it before anything else.
    pub format: u32,
    /// Commands that were journalled and not yet planned.
    pub inbox: Vec<Command>,
    /// Commands that were carried out and could not be journalled: recorded by the next plan that can be.
    #[serde(default)]
    pub(crate) unrecorded: Vec<Command>,
    /// When the last plan was made: accumulated time is measured from it.
    pub(crate) clock: Option<Timestamp>,
    /// The last valid manifest, without create bodies.
    pub(crate) manifest: Option<Box<Rollout>>,
    /// The last traffic that was asked for.
    pub(crate) asked: Option<Intent>,
    /// The highest number an intent had.
    pub(crate) seq: u64,
    /// The number of the last intent without weight for a canary.
    #[serde(default)]
    pub(crate) last_without_canary: u64,
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
    /// Revisions whose files and image tags are to go and are not known to be gone yet.
    pub(crate) given_up: BTreeSet<RevisionId>,
    /// Sets in trouble of which a person was told.
    #[serde(default)]
    pub(crate) troubled: BTreeSet<SetId>,
    /// How the last rollout ended.
    pub(crate) outcome: Option<OutcomeView>,
    /// How the last rollouts ended, newest first, that one included.
    #[serde(default)]
    pub(crate) ended: Vec<OutcomeView>,
    /// Answers given, oldest first.
    pub(crate) answers: Vec<Answer>,
    /// The manifest is gone; production serves on.
    pub(crate) orphaned: bool,
    /// Everything is being removed, or was: who asked.
    pub(crate) deletion: Option<Deletion>,
    /// The gateway is not as asked.
    #[serde(default)]
    pub(crate) gateway_trouble: Option<GatewayTrouble>,
    /// The life of the gateway's container.
    #[serde(default)]
    pub(crate) gateway_life: Option<GatewayLife>,
    /// How many replicas of each component production was last seen to have by the manifest's word.
    #[serde(default)]
    pub(crate) sizes: BTreeMap<ComponentName, u32>,
    /// Users are not fine.
    #[serde(default)]
    pub(crate) unwell: Option<Unwell>,
    /// It is stopped for a while.
    #[serde(default)]
    pub(crate) maintenance: Option<Maintenance>,
    /// Workers of the production before go on until production's have taken their place.
    #[serde(default)]
    pub(crate) relief: Option<Relief>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            format: Self::FORMAT,
            inbox: Vec::new(),
            unrecorded: Vec::new(),
            clock: None,
            manifest: None,
            asked: None,
            seq: 0,
            last_without_canary: 0,
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
            given_up: BTreeSet::new(),
            troubled: BTreeSet::new(),
            outcome: None,
            ended: Vec::new(),
            answers: Vec::new(),
            orphaned: false,
            deletion: None,
            gateway_trouble: None,
            gateway_life: None,
            sizes: BTreeMap::new(),
            unwell: None,
            maintenance: None,
            relief: None,
        }
    }
}

impl Memory {
    /// Format of a memory written by this version. Whoever changes what a memory means raises it.
    pub const FORMAT: u32 = 1;

    /// The crews of every set, wherever it is.
    pub(crate) fn crews_mut(&mut self) -> impl Iterator<Item = &mut Crews> {
        let production = self.production.iter_mut().map(|d| &mut d.crews);
        let trial = self.trial.iter_mut().map(|t| &mut t.crews);
        let previous = self.previous.iter_mut().map(|p| &mut p.crews);
        production.chain(trial).chain(previous).chain(self.retired.iter_mut().map(|r| &mut r.crews))
    }

    /// How a rollout ended.
    pub(crate) fn has_ended(&mut self, outcome: OutcomeView) {
        self.ended.insert(0, outcome.clone());
        self.ended.truncate(ENDED);
        self.outcome = Some(outcome);
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

/// Sets without traffic that are drained, stopped and, in the end, removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub(crate) release: Release,
    pub(crate) crews: Crews,
    /// At most this long old NGINX workers are waited for.
    pub(crate) drain: Duration,
    /// Kept stopped until then.
    pub(crate) until: Option<Timestamp>,
    /// Its workers go on until those of production have taken their place.
    #[serde(default)]
    pub(crate) works_on: bool,
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
    /// What is missing: when that is there, the pause ends by itself.
    #[serde(default)]
    pub(crate) lacks: Option<Lack>,
}

impl Pause {
    /// By whom, since when, why.
    pub(crate) fn in_words(&self) -> String {
        let by = self.by.as_deref().unwrap_or("canaryd");
        format!("by {by} since {}: {}", crate::crash::clock(self.at), self.why)
    }
}

/// What canaryd may wait for in a pause of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Lack {
    /// Requests, or a source that tells of them.
    Evidence,
    /// A check that looks bad to calm down; a proof takes the version off.
    Calm,
    /// A gateway that does what is asked.
    Gateway,
}

/// A gateway that is not as asked for some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayTrouble {
    pub(crate) since: Timestamp,
    /// Whether the history has it.
    pub(crate) told: bool,
}

/// A weight set by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manual {
    pub(crate) by: String,
    pub(crate) weight: Weight,
    pub(crate) at: Timestamp,
}

/// Everything goes, or went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    /// Time since nothing sends requests to anything of it.
    pub(crate) spent: Option<Duration>,
    /// The gateway was asked to go.
    pub(crate) swept: bool,
    /// The manifest's revision when it was deleted, once it is done: that content does not start again by itself.
    pub(crate) done: Option<(RevisionId, RevisionId)>,
}
