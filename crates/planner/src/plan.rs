//! The decision: actions, the next memory, and a report of why.

use std::time::Duration;

use jiff::Timestamp;

use crate::action::{Action, Answer};
use crate::crew::{Crew, Crews, Wish};
use crate::maintenance::Maintenance;
use crate::memory::{Memory, Retired};
use crate::phase::Phase;
use crate::report::Waiting;
use crate::report::{Event, Report};
use crate::turn::{Did, Turn};
use crate::world::{Desired, World};

/// There is more to do at once.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Time is being counted.
const TICK: Duration = Duration::from_secs(1);
/// Nothing is known to come: a look all the same, in case an event was lost.
const QUIET: Duration = Duration::from_secs(30);

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
pub fn plan(memory: &Memory, world: &World, now: Timestamp) -> Plan {
    let mut turn = Turn::begin(memory, world, now);
    turn.tell_mishaps();
    turn.tell_gateway_life();
    turn.look();
    // by the stages of until now: no edit makes use of the time before it
    turn.observe();
    turn.heed_edits();
    turn.note_sight();
    let delete = turn.heed_delete();
    let commands = delete.or_else(|| turn.heed_commands());
    let trouble = commands.or_else(|| turn.heed_trouble());
    let crash = trouble.or_else(|| turn.heed_crash());
    let held = turn.give_way_while_held(crash);
    // before a deadline, which may pause: what is proven bad is off in this very plan
    let verdict = held.or_else(|| turn.heed_verdict());
    turn.note_failures();
    turn.heed_blindness();
    let deadline = verdict.or_else(|| turn.heed_deadline());
    let unseen = deadline.or_else(|| turn.hold_unseen());
    let unseen = turn.give_way_while_held(unseen);
    let unexplained = unseen.or_else(|| turn.heed_unexplained());
    let manual = unexplained.or_else(|| turn.heed_manual_weight());
    let superseded = manual.or_else(|| turn.heed_superseded());
    let did = superseded.or_else(|| turn.progress());
    turn.tend();
    turn.route();
    turn.ensure();
    turn.tell_troubles();
    turn.tell_wellness();
    if world.journal_trouble.is_none() { turn.conclude_plan(did) } else { turn.lower_only(memory) }
}

impl Turn<'_> {
    /// What stays as it should be, whatever moves.
    fn tend(&mut self) {
        if self.memory.deletion.is_some() {
            return;
        }
        self.tell_scaling();
        if self.memory.maintenance.as_ref().is_some_and(|held| held.back.is_none()) {
            self.tend_stopped();
        } else {
            self.tend_production();
        }
        self.trim_trial();
        self.fill_trial();
        self.tend_previous();
        self.tend_retired();
        self.tend_revisions();
    }

    fn conclude_plan(self, did: Option<Did>) -> Plan {
        let report = self.report();
        let next_wake = self.next_wake(did);
        let Self { actions, memory, events, answers, .. } = self;
        Plan { actions, memory, report, events, answers, next_wake }
    }

    /// Where an event tells of a change nothing is polled; what only time brings has its moment.
    fn next_wake(&self, did: Option<Did>) -> Duration {
        if did == Some(Did::Move) {
            return AT_ONCE;
        }
        let gone = matches!(self.world.desired, Desired::Gone { confirmed: false, .. });
        let rests = self.memory.phase == Phase::Idle && self.memory.deletion.is_none() && !gone;
        let rests = rests && self.memory.maintenance.as_ref().is_none_or(Maintenance::rests);
        let untold = self.memory.gateway_trouble.as_ref().is_some_and(|t| !t.told);
        let acts = self.actions.iter().any(|action| !action.is_housekeeping());
        if !rests || acts || self.drains() || untold || self.owes_wellness() || self.owes_gateway_life() {
            return TICK;
        }
        let warm = self.memory.previous.iter().filter(|p| !p.crews.is_empty()).map(|p| p.warm_until);
        let kept = self.memory.retired.iter().filter_map(|r| r.until);
        let left = warm.chain(kept).map(|at| Duration::try_from(at.duration_since(self.now)).unwrap_or(TICK));
        left.min().unwrap_or(QUIET).clamp(AT_ONCE, QUIET)
    }

    /// Whether some replica runs on only until it is drained, or until others have taken its place.
    fn drains(&self) -> bool {
        let production = self.memory.production.iter().map(|d| &d.crews);
        let crews = production.chain(self.memory.retired.iter().map(|r| &r.crews)).flat_map(Crews::values);
        let leaving = |c: &Crew| c.with(Wish::Leaving).next().is_some();
        let going = |r: &Retired| r.until.is_none() || (r.works_on && r.crews.values().any(|c| c.size() > 0));
        crews.into_iter().any(leaving) || self.memory.retired.iter().any(going)
    }

    /// The journal cannot be written: only lowerings run, and nothing is remembered. A command that lowers is kept
    /// to be recorded when that is mended; every other one is answered, and gone.
    fn lower_only(mut self, before: &Memory) -> Plan {
        let reason = self.world.journal_trouble.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let why = format!("the journal cannot be written{reason}: only lowerings run, nothing is started or stopped");
        self.waiting.insert(0, Waiting::Trouble { why });
        let report = self.report();
        // right after a start it is not known what is live: then what was asked for last is assumed
        let live = self.world.gateway.live.as_ref().map(|l| l.intent.clone()).or_else(|| before.asked.clone());
        let lowers = |a: &Action| a.route().zip(live.as_ref()).is_some_and(|(intent, live)| intent.lowers(live));
        let actions = self.actions.into_iter().filter(lowers).collect();
        let next_wake = Duration::from_secs(1);
        let Memory { inbox, unrecorded, clock, trial, .. } = self.memory;
        let mut memory = Memory { inbox, unrecorded, clock, ..before.clone() };
        // What was seen of the trial, or was not, is known to this run alone until it can be written down.
        if let (Some(kept), Some(trial)) = (&mut memory.trial, trial)
            && kept.begun == trial.begun
        {
            kept.sight = trial.sight;
        }
        Plan { actions, memory, report, events: Vec::new(), answers: self.answers, next_wake }
    }
}
