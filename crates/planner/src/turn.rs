//! One turn of the planner: the next memory in the making, the world beside it, and what was decided so far.

use std::time::Duration;

use canaryd_gateway::Intent;
use canaryd_rollout::{Component, ComponentName, ImageState, Rollout, SetId, Weight};
use jiff::{SignedDuration, Timestamp};

use crate::action::{Action, Answer};
use crate::crew::{Crew, Crews, Member, Wish, count};
use crate::lanes::carries;
use crate::memory::Memory;
use crate::phase::Phase;
use crate::report::{Event, Severity, Waiting};
use crate::trial::Trial;
use crate::wellness::Illness;
use crate::world::{Desired, Health, Replica, RunState, SetView, World};

/// The most that one turn adds to any accumulated time.
pub(crate) const STRIDE: Duration = Duration::from_secs(2);

/// What ended the list of steps of a turn: nothing further is decided in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    /// Everything goes away.
    Delete,
    /// The version on trial is on its way out.
    TakeOff,
    /// The weight is held at 0.
    Hold,
    /// Nothing more until a person or the world moves.
    Wait,
    /// A phase, a stage or a weight changed: there may be more to do at once.
    Move,
}

/// The next memory in the making.
pub(crate) struct Turn<'a> {
    pub(crate) memory: Memory,
    pub(crate) world: &'a World,
    pub(crate) now: Timestamp,
    /// Time since the last turn, as far as it counts.
    pub(crate) delta: Duration,
    pub(crate) actions: Vec<Action>,
    pub(crate) events: Vec<Event>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) notes: Vec<String>,
    /// Production is unwell, too: no raise, no blame for health.
    pub(crate) unwell: bool,
    /// Something that the trial needs cannot be done now, through no fault of its own.
    pub(crate) refused: bool,
    /// What is wrong with production's containers, in words.
    pub(crate) ailing: Option<String>,
    /// Why users are not fine now.
    pub(crate) ill: Option<Illness>,
}

impl<'a> Turn<'a> {
    pub(crate) fn begin(memory: &Memory, world: &'a World, now: Timestamp) -> Self {
        let since = memory.clock.map_or(SignedDuration::ZERO, |last| now.duration_since(last));
        let delta = Duration::try_from(since).unwrap_or(Duration::ZERO).min(STRIDE);
        let mut memory = memory.clone();
        memory.clock = Some(now);
        Self {
            memory,
            world,
            now,
            delta,
            actions: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            waiting: Vec::new(),
            notes: Vec::new(),
            unwell: false,
            refused: false,
            ailing: None,
            ill: None,
        }
    }

    pub(crate) fn tell(&mut self, severity: Severity, kind: &str, message: impl Into<String>) {
        self.events.push(Event { severity, kind: kind.to_owned(), message: message.into() });
    }

    // --- what the manifest says ---

    /// The last valid manifest.
    pub(crate) fn manifest(&self) -> Option<&Rollout> {
        self.memory.manifest.as_deref()
    }

    /// The manifest, if it is known now.
    pub(crate) fn asks(&self) -> Option<&'a Rollout> {
        match &self.world.desired {
            Desired::Ready(rollout) => Some(rollout),
            Desired::Unknown | Desired::Gone { .. } => None,
        }
    }

    /// The first image that is not there, if any.
    pub(crate) fn absent_image(&self) -> Option<(&String, &ImageState)> {
        self.manifest()?.images.iter().find(|(_, state)| match state {
            ImageState::Present { .. } => false,
            ImageState::Pending | ImageState::Missing { .. } => true,
        })
    }

    /// Replicas of a component in production: live, so the manifest's word counts before the revision's.
    pub(crate) fn replicas(&self, component: &Component) -> u32 {
        self.manifest().and_then(|m| m.component(&component.name)).unwrap_or(component).replicas
    }

    // --- what is ---

    pub(crate) fn set(&self, id: &SetId) -> Option<&'a SetView> {
        self.world.sets.iter().find(|s| &s.id == id)
    }

    pub(crate) fn replica(&self, set: &SetId, ordinal: u32) -> Option<&'a Replica> {
        self.set(set)?.replicas.iter().find(|r| r.ordinal == ordinal)
    }

    pub(crate) fn engine_answers(&self) -> bool {
        self.world.engine.unreachable.is_none()
    }

    /// Whether what is known of the containers is as new as what is known of their requests.
    pub(crate) fn engine_is_heard(&self) -> bool {
        self.engine_answers() && !self.world.engine.asking
    }

    /// Replicas that should run, run, and are healthy.
    pub(crate) fn healthy(&self, crew: &Crew) -> u32 {
        count(crew.running().filter(|(o, _)| self.replica(&crew.set, *o).is_some_and(is_healthy)).count())
    }

    /// The first replica that should be healthy and is not, with the last word of its probe.
    pub(crate) fn not_healthy(&self, crew: &Crew) -> Option<(u32, Option<String>)> {
        crew.running().find_map(|(ordinal, _)| match self.replica(&crew.set, ordinal) {
            None => Some((ordinal, Some("its container does not exist yet".to_owned()))),
            Some(replica) if is_healthy(replica) => None,
            Some(replica) => Some((ordinal, why_not_healthy(replica))),
        })
    }

    /// Whether every replica on trial that should run is healthy.
    pub(crate) fn trial_is_well(&self) -> bool {
        self.memory.trial.as_ref().is_some_and(|t| t.crews.values().all(|c| self.not_healthy(c).is_none()))
    }

    /// Whether any replica of a set's crew runs in fact, whatever is wanted.
    pub(crate) fn any_runs(&self, crews: &Crews) -> bool {
        crews.values().filter_map(|c| self.set(&c.set)).any(|s| s.replicas.iter().any(occupies))
    }

    pub(crate) fn app_crew(crews: &Crews) -> Option<&Crew> {
        crews.get(&ComponentName::app())
    }

    /// Whether production's app has a replica that is healthy.
    pub(crate) fn production_is_well(&self) -> bool {
        self.production_has(is_healthy)
    }

    fn production_has(&self, fact: fn(&Replica) -> bool) -> bool {
        let crew = self.memory.production.as_ref().and_then(|d| Self::app_crew(&d.crews));
        crew.is_some_and(|c| c.running().any(|(o, _)| self.replica(&c.set, o).is_some_and(fact)))
    }

    // --- what is on trial ---

    pub(crate) fn trial(&self) -> Option<&Trial> {
        self.memory.trial.as_ref()
    }

    pub(crate) fn is_reverting(&self) -> bool {
        match self.memory.phase {
            Phase::Reverting { .. } => true,
            Phase::Idle
            | Phase::Preflight { .. }
            | Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Promoting { .. } => false,
        }
    }

    /// Whether the trial is at a point where users may get it.
    pub(crate) fn is_serving(&self) -> bool {
        match self.memory.phase {
            Phase::Observing { .. } | Phase::Soaking { .. } => true,
            Phase::Promoting { swapped } => !swapped,
            Phase::Idle | Phase::Preflight { .. } | Phase::Installing | Phase::Starting | Phase::Reverting { .. } => {
                false
            }
        }
    }

    /// Index of the stage the trial is at.
    pub(crate) fn stage(&self) -> Option<usize> {
        match self.memory.phase {
            Phase::Observing { stage, .. } => Some(stage),
            Phase::Soaking { .. } => Some(self.last_stage()),
            Phase::Promoting { .. }
            | Phase::Idle
            | Phase::Preflight { .. }
            | Phase::Installing
            | Phase::Starting
            | Phase::Reverting { .. } => None,
        }
    }

    pub(crate) fn last_stage(&self) -> usize {
        self.manifest().map_or(0, |m| m.stages.len().saturating_sub(1))
    }

    pub(crate) fn stage_weight(&self, stage: usize) -> Weight {
        self.manifest().and_then(|m| m.stages.get(stage)).map_or(Weight::FULL, |s| s.weight)
    }

    /// Whether the manifest's revision is one that is not tried again.
    pub(crate) fn is_blocked(&self, rollout: &Rollout) -> bool {
        self.memory.is_blocked(rollout)
    }

    /// Whether production is what the manifest asks for.
    pub(crate) fn production_is(&self, rollout: &Rollout) -> bool {
        self.memory.production.as_ref().is_some_and(|d| d.release.is_asked_by(rollout))
    }

    // --- bookkeeping of what was seen ---

    fn time_quiet(&mut self) {
        let asked = self.memory.asked.clone();
        let live = self.world.gateway.live.as_ref().map(|l| &l.intent);
        for crew in self.memory.crews_mut().flat_map(Crews::values_mut) {
            time_quiet_of(crew, asked.as_ref(), live, self.delta);
        }
    }

    /// Notes what was born, what proved well, and what is gone as wished.
    pub(crate) fn look(&mut self) {
        self.time_quiet();
        if !self.engine_answers() {
            return;
        }
        let world = self.world;
        let memory = &mut self.memory;
        for crew in memory.crews_mut().flat_map(Crews::values_mut) {
            let view = world.sets.iter().find(|s| s.id == crew.set);
            look_at(crew, view);
        }
        if let Some(production) = &mut memory.production {
            drop_vanished(&mut production.crews, world);
        }
        if let Some(previous) = &mut memory.previous {
            drop_vanished(&mut previous.crews, world);
        }
    }
}

/// Adds the time since the last turn for a replica that nothing sends requests to.
fn time_quiet_of(crew: &mut Crew, asked: Option<&Intent>, live: Option<&Intent>, delta: Duration) {
    for (ordinal, member) in &mut crew.members {
        let carried = asked.into_iter().chain(live).any(|intent| carries(intent, &crew.set, Some(*ordinal)));
        member.quiet = (!carried).then(|| member.quiet.map_or(Duration::ZERO, |quiet| quiet + delta));
    }
}

fn look_at(crew: &mut Crew, view: Option<&SetView>) {
    let find = |ordinal: u32| view.and_then(|v| v.replicas.iter().find(|r| r.ordinal == ordinal));
    crew.members.retain(|ordinal, member| {
        let replica = find(*ordinal);
        member.born |= replica.is_some();
        member.ready |= replica.is_some_and(is_healthy);
        member.proven = replica.filter(|r| is_healthy(r)).map_or(member.proven, |r| r.started_at);
        let settled = match member.wish {
            Wish::Removed | Wish::Leaving => true,
            Wish::Stopped => member.born,
            Wish::Running => false,
        };
        replica.is_some() || !settled
    });
}

/// Running replicas that were removed by somebody are forgotten: fresh ones take their place.
fn drop_vanished(crews: &mut Crews, world: &World) {
    for crew in crews.values_mut() {
        let view = world.sets.iter().find(|s| s.id == crew.set);
        let exists = |ordinal: u32| view.is_some_and(|v| v.replicas.iter().any(|r| r.ordinal == ordinal));
        crew.members.retain(|ordinal, member| !member.born || exists(*ordinal));
    }
}

pub(crate) fn is_running(replica: &Replica) -> bool {
    match replica.state {
        RunState::Running => true,
        RunState::Created | RunState::Paused | RunState::Restarting | RunState::Exited => false,
    }
}

/// Whether it is up, or Docker is about to bring it up.
pub(crate) fn occupies(replica: &Replica) -> bool {
    match replica.state {
        RunState::Running | RunState::Paused | RunState::Restarting => true,
        RunState::Created | RunState::Exited => false,
    }
}

/// Whether it was proven well in this very life and was not probed since: canaryd has just started.
pub(crate) fn is_presumed_healthy(member: &Member, replica: &Replica) -> bool {
    let unprobed = matches!(replica.health, Health::Unasked | Health::Starting { last: None });
    is_running(replica) && unprobed && member.proven.is_some() && member.proven == replica.started_at
}

pub(crate) fn is_healthy(replica: &Replica) -> bool {
    is_running(replica) && replica.health == Health::Healthy
}

pub(crate) fn why_not_healthy(replica: &Replica) -> Option<String> {
    match replica.state {
        RunState::Running => match &replica.health {
            Health::Unasked => {
                Some("it could not be asked yet; canaryd finds the way to it when the gateway runs".to_owned())
            }
            Health::Starting { last } => last.clone(),
            Health::Healthy => None,
            Health::Unhealthy { why } => Some(why.clone()),
        },
        RunState::Created => Some("its container is not started yet".to_owned()),
        RunState::Paused => {
            Some(format!("its container is paused; docker unpause {} lets it go on", replica.container))
        }
        RunState::Restarting => Some("its container restarts".to_owned()),
        RunState::Exited => Some("its container has ended".to_owned()),
    }
}
