//! The way forward, one phase at a time. Reached only when no safety step had anything to do.

use std::time::Duration;

use canaryd_rollout::Weight;

use crate::crew::Crews;
use crate::memory::Lack;
use crate::phase::{Phase, Watch};
use crate::release::Release;
use crate::report::{Severity, Waiting};
use crate::trial::{Kind, Passed, Push, Trial};
use crate::turn::{Did, Turn};

impl Turn<'_> {
    /// One step forward, if the phase allows one.
    pub(crate) fn progress(&mut self) -> Option<Did> {
        if self.memory.maintenance.is_some() {
            return self.progress_maintenance();
        }
        match self.memory.phase {
            Phase::Idle => self.progress_idle(),
            Phase::Preflight { .. } => self.progress_preflight(),
            Phase::Installing => Some(self.progress_installing()),
            Phase::Starting => self.progress_starting(),
            Phase::Observing { stage, .. } => self.progress_observing(stage),
            Phase::Soaking { .. } => self.progress_soaking(),
            Phase::Promoting { swapped: false } => self.progress_swap(),
            Phase::Promoting { swapped: true } => Some(self.progress_promoted()),
            Phase::Reverting { .. } => self.progress_reverting(),
        }
    }

    fn progress_idle(&mut self) -> Option<Did> {
        let rollout = self.asks()?;
        if self.production_is(rollout) || self.memory.deletion.is_some() {
            return None;
        }
        if self.is_blocked(rollout) {
            return None;
        }
        if self.previous_is(rollout) {
            return Some(self.begin_undo("the manifest".to_owned()));
        }
        self.memory.phase =
            Phase::Preflight { of: rollout.provisional.clone(), since: self.now, waited: Duration::ZERO };
        self.tell(Severity::Info, "preflight", format!("{} is asked for", self.version()));
        Some(Did::Move)
    }

    fn progress_preflight(&mut self) -> Option<Did> {
        let asked = self.manifest()?;
        if self.production_is(asked) || self.is_blocked(asked) || self.previous_is(asked) {
            self.memory.paused = None;
            self.memory.manual = None;
            self.memory.phase = Phase::Idle;
            return Some(Did::Move);
        }
        if let Some((image, _)) = self.absent_image() {
            let waits = Waiting::ImagePull { image: image.clone(), progress: None };
            let busy = self.world.engine.busy.iter().filter(|b| matches!(b, Waiting::ImagePull { .. }));
            let named: Vec<Waiting> = busy.cloned().collect();
            self.waiting.extend(if named.is_empty() { vec![waits] } else { named });
            let delta = self.delta;
            let counts = self.memory.paused.is_none() && self.engine_answers();
            if let Phase::Preflight { waited, .. } = &mut self.memory.phase {
                *waited += if counts { delta } else { Duration::ZERO };
            }
            return Some(Did::Wait);
        }
        if self.holds_progress() {
            return Some(Did::Wait);
        }
        if !(self.world.slots.may_move && self.may_start()) {
            self.wait_slot();
            return Some(Did::Wait);
        }
        let kind = if self.memory.production.is_some() { Kind::Canary } else { Kind::Install };
        let release = Release::of(self.manifest()?);
        self.begin_trial(kind, release);
        Some(Did::Move)
    }

    /// Puts a release on trial.
    pub(crate) fn begin_trial(&mut self, kind: Kind, release: Release) {
        let Some(manifest) = self.manifest() else { return };
        let trial = Trial::new(kind, release.clone(), Crews::new(), manifest, self.now);
        self.memory.phase = if trial.kind == Kind::Install { Phase::Installing } else { Phase::Starting };
        self.memory.trial = Some(trial);
        self.memory.kept.insert(release.revision);
        if self.may_start() {
            self.tell_started();
        }
    }

    /// Told once, and not while it waits for its turn.
    pub(crate) fn tell_started(&mut self) {
        let Some(trial) = self.memory.trial.as_mut().filter(|t| !t.told) else { return };
        trial.told = true;
        let message = format!("{} is being started", self.version());
        self.tell(Severity::Info, "started", message);
    }

    fn progress_installing(&mut self) -> Did {
        let app = self.app_has_capacity(Weight::FULL);
        let workers = self.first_workers_are_up();
        if app && workers && self.serves_as_it_should() {
            return self.finish_install();
        }
        if app && workers {
            let problem = self.world.gateway.problem.clone();
            self.waiting.push(Waiting::GatewayLive { problem });
        }
        Did::Wait
    }

    fn progress_starting(&mut self) -> Option<Did> {
        let trial = self.trial()?;
        let at_once = !trial.is_canary();
        let first = self.manifest()?.stages.iter().map(|s| s.weight).find(|w| *w > Weight::ZERO)?;
        let weight = if at_once { Weight::FULL } else { first };
        let app = self.app_has_capacity(weight);
        let workers = at_once || self.some_workers_are_up();
        if !(app && workers && self.trial_is_well()) || self.holds_progress() {
            return Some(Did::Wait);
        }
        if at_once {
            self.memory.phase = Phase::Promoting { swapped: false };
            return Some(Did::Move);
        }
        if self.waits_for_settings() || self.gateway_is_busy() || !self.has_leave(self.stage_weight(0)) {
            return Some(Did::Wait);
        }
        self.renew_evidence();
        self.enter_stage(0, self.memory.manual.is_none());
        Some(Did::Move)
    }

    /// Grants a stage's weight and begins its time.
    pub(crate) fn enter_stage(&mut self, stage: usize, grant: bool) {
        let weight = self.stage_weight(stage);
        let requests = self.requests().0;
        let watch = Watch::begin(self.now, requests);
        let last = stage == self.last_stage();
        let Some(trial) = &mut self.memory.trial else { return };
        if grant {
            trial.weight = weight;
        }
        self.memory.phase = if last { Phase::Soaking { watch } } else { Phase::Observing { stage, watch } };
        let message = format!("{}: stage {} of {}, {weight} %", self.version(), stage + 1, self.last_stage() + 1);
        self.tell(Severity::Info, "stage-entered", message);
    }

    /// Remembers what became of a stage.
    pub(crate) fn close_stage(&mut self, stage: usize, skipped: bool) {
        let requests = self.requests().0;
        let Some(watch) = self.memory.phase.watch() else { return };
        let requests = requests.saturating_sub(watch.requests_before);
        if let Some(trial) = &mut self.memory.trial {
            trial.passed.insert(stage, Passed { observed: watch.observed, requests, skipped });
        }
    }

    /// Adds the time since the last turn to the stage's observed time, if it counts: at the stage's weight, or at the lower one
    /// that it had when the stages were edited, proven live, with evidence read (at weight 0: with the set healthy), without a
    /// pause. Behind a gateway that is down nobody is served.
    pub(crate) fn observe(&mut self) {
        let Some(stage) = self.stage() else { return };
        let Some(trial) = self.trial() else { return };
        let own = self.stage_weight(stage);
        let below = trial.weight > Weight::ZERO && trial.weight < own;
        let at_weight = (trial.weight == own || below) && self.weight_is_live() && self.gateway_answers();
        let seen = if trial.weight == Weight::ZERO { self.trial_is_well() } else { self.stale_evidence().is_none() };
        let held = trial.crash.is_some() || trial.is_refused_by_host() || trial.sight.precaution.is_some();
        let free = self.memory.paused.is_none() && self.memory.manual.is_none() && !held;
        let delta = self.delta;
        if let Some(watch) = self.memory.phase.watch_mut().filter(|_| at_weight && seen && free) {
            watch.observed += delta;
        }
    }

    /// Weight of the stage after this one; at the last, its own.
    pub(crate) fn next_stage_weight(&self, stage: usize) -> Weight {
        let here = self.stage_weight(stage);
        if self.granted() < here { here } else { self.stage_weight((stage + 1).min(self.last_stage())) }
    }

    fn progress_observing(&mut self, stage: usize) -> Option<Did> {
        let pushed = self.trial()?.push.clone();
        let target = match &pushed {
            Some(Push::Stage { stage: to }) => (*to).min(self.last_stage()),
            Some(Push::Finish { .. }) => self.last_stage(),
            None if self.granted() < self.stage_weight(stage) => stage,
            None => stage + 1,
        };
        let weight = self.stage_weight(target);
        let forced = pushed.is_some();
        let mut ready = forced || !self.holds_progress();
        if !forced {
            ready &= self.granted() == Weight::ZERO && target == stage || self.has_observed(stage);
            ready &= self.has_leave(weight);
            ready &= !self.waits_for_settings();
        }
        if !ready || !self.can_raise(weight) {
            return Some(Did::Wait);
        }
        self.close_stage(stage, forced);
        self.let_go_of_step(pushed.as_ref());
        self.enter_stage(target, true);
        Some(Did::Move)
    }

    /// A push by one step ends with that step; one to the end goes on.
    fn let_go_of_step(&mut self, pushed: Option<&Push>) {
        if let (Some(Push::Stage { .. }), Some(trial)) = (pushed, &mut self.memory.trial) {
            trial.push = None;
        }
    }

    fn has_observed(&mut self, stage: usize) -> bool {
        let (Some(watch), Some(limits)) =
            (self.memory.phase.watch(), self.manifest().and_then(|m| m.stages.get(stage).copied()))
        else {
            return false;
        };
        if !self.weight_is_live() && !self.wait_for_production() {
            let problem = self.world.gateway.problem.clone();
            self.waiting.push(Waiting::GatewayLive { problem });
        }
        let left = if watch.skipped { Duration::ZERO } else { limits.observe.saturating_sub(watch.observed) };
        if !left.is_zero() {
            self.waiting.push(Waiting::Time { seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0) });
        }
        left.is_zero()
    }

    /// Capacity first, and not while too many old NGINX workers live. A lowering or an equal weight needs neither.
    pub(crate) fn can_raise(&mut self, weight: Weight) -> bool {
        if weight <= self.granted() {
            return true;
        }
        let capacity = self.app_has_capacity(weight);
        capacity && !self.gateway_is_busy()
    }

    /// Where users get no answers nothing is seen of a version, and it does not take production's place.
    fn waits_for_gateway(&mut self) -> bool {
        let deaf = !self.gateway_answers();
        if deaf {
            let problem = self.world.gateway.silent.clone().or_else(|| Some("it does not run".to_owned()));
            self.waiting.push(Waiting::GatewayLive { problem });
        }
        deaf
    }

    /// A version gets no more requests by itself while NGINX refuses what came with it: it may need just that. What its
    /// users get, every way back and a person's word go on with the settings before.
    fn waits_for_settings(&mut self) -> bool {
        if let Some(why) = self.refused_settings() {
            self.waiting.push(Waiting::Settings { why });
            return true;
        }
        if self.world.gateway.untried {
            self.waiting.push(Waiting::GatewayLive { problem: self.world.gateway.problem.clone() });
        }
        self.world.gateway.untried
    }

    /// What NGINX refuses, and what follows.
    pub(crate) fn refused_settings(&self) -> Option<String> {
        let refused = self.world.gateway.refused.as_ref()?;
        Some(format!("{refused}; the gateway goes on with the settings before; mend spec.gateway of the manifest"))
    }

    /// A pause, an unwell production, a dead engine or one that cannot do what is asked: no progress, all safety.
    pub(crate) fn holds_progress(&mut self) -> bool {
        if let Some(pause) = self.that_it_is_paused() {
            self.waiting.push(pause);
            return true;
        }
        self.unwell || !self.engine_answers() || self.trial().is_some_and(|t| t.refusal.is_some())
    }

    /// That it is paused, by whom, why, and how it goes on.
    pub(crate) fn that_it_is_paused(&self) -> Option<Waiting> {
        let pause = self.memory.paused.as_ref()?;
        let why = format!("paused {}", pause.in_words());
        let verb = if pause.by.is_none() { self.way_on() } else { "resume" }.to_owned();
        let by_itself = match pause.lacks {
            Some(Lack::Gateway) => true,
            // Where nobody sends requests none will come.
            Some(Lack::Evidence | Lack::Calm) => self.world.evidence.requests_per_second > 0.0,
            None => false,
        };
        let lacks = pause.lacks.map(|lack| self.what_is_missing(lack));
        Some(Waiting::Resume { why, verb, by_itself, lacks })
    }

    fn progress_soaking(&mut self) -> Option<Did> {
        let last = self.last_stage();
        let pushed = self.trial()?.push.clone();
        let finish = matches!(pushed, Some(Push::Finish { .. }));
        if self.granted() < Weight::FULL {
            let observed = self.granted() == Weight::ZERO || self.has_observed(last);
            let free = !self.holds_progress() && observed & self.has_leave(Weight::FULL);
            let ready = pushed.is_some() || (free && !self.waits_for_settings());
            if !ready || !self.can_raise(Weight::FULL) {
                return Some(Did::Wait);
            }
            self.let_go_of_step(pushed.as_ref());
            self.enter_stage(last, true);
            return Some(Did::Move);
        }
        let held = self.holds_progress() && !finish;
        let app = self.app_has_capacity(Weight::FULL);
        let workers = !held && self.all_workers_are_up();
        let observed = finish || (self.has_observed(last) & self.has_leave(Weight::FULL));
        if held || !(app && workers && observed && self.trial_is_well()) || self.waits_for_gateway() {
            return Some(Did::Wait);
        }
        let skipped = finish || self.memory.phase.watch().is_some_and(|watch| watch.skipped);
        self.close_stage(last, skipped);
        self.memory.phase = Phase::Promoting { swapped: false };
        Some(Did::Move)
    }
}
