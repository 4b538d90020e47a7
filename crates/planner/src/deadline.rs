//! How long things may take. Only time that was spent without a pause, with the daemon up, counts.

use std::time::Duration;

use canaryd_rollout::{ImageState, OnInconclusive, Weight};
use jiff::SignedDuration;

use crate::evidence::Leave;
use crate::memory::{GatewayTrouble, Lack};
use crate::phase::Phase;
use crate::report::{Outcome, Severity};
use crate::trial::Push;
use crate::turn::{Did, Turn};

/// A paused rollout is named to a person once a day.
pub(crate) const REMINDER: SignedDuration = SignedDuration::from_hours(24);
/// A trouble of the gateway that is worth a line of history.
const LASTING: SignedDuration = SignedDuration::from_secs(10);

impl Turn<'_> {
    /// What cannot succeed any more, or took too long.
    pub(crate) fn heed_deadline(&mut self) -> Option<Did> {
        self.remind();
        self.tell_gateway_trouble();
        let image = self.heed_image();
        let start = image.or_else(|| self.heed_start());
        start.or_else(|| self.heed_stage())
    }

    fn remind(&mut self) {
        let now = self.now;
        let due = self.memory.paused.as_mut().filter(|p| p.by.is_none() && now.duration_since(p.told) >= REMINDER);
        let Some(pause) = due else { return };
        pause.told = now;
        let (why, lacks) = (pause.why.clone(), pause.lacks);
        let message = format!("{} is still paused: {why}. {}", self.version(), self.ways_on(lacks));
        self.tell(Severity::Notify, "paused", message);
    }

    /// One line of history for a trouble that lasts, one for its end; what comes and goes is in the report only.
    fn tell_gateway_trouble(&mut self) {
        let (now, trouble) = (self.now, self.memory.gateway_trouble.clone());
        let lasts = |t: &GatewayTrouble| !t.told && now.duration_since(t.since) >= LASTING;
        let refused = self.refused_settings();
        let problem = self.world.gateway.problem.as_ref().map(|problem| format!("{problem}; it is tried again"));
        match (refused.or(problem), trouble) {
            (Some(_), None) => self.memory.gateway_trouble = Some(GatewayTrouble { since: now, told: false }),
            (Some(problem), Some(trouble)) if lasts(&trouble) => {
                self.memory.gateway_trouble = Some(GatewayTrouble { told: true, ..trouble });
                self.tell(Severity::Warning, "gateway", format!("not as asked: {problem}"));
            }
            // Right after a start nothing is known yet.
            (None, Some(trouble)) if self.asked_is_live() => {
                self.memory.gateway_trouble = None;
                if trouble.told {
                    self.tell(Severity::Info, "gateway", "as asked again".to_owned());
                }
            }
            (Some(_) | None, Some(_)) | (None, None) => {}
        }
    }

    fn heed_image(&mut self) -> Option<Did> {
        let Phase::Preflight { waited, .. } = self.memory.phase else { return None };
        if !self.engine_answers() {
            return None; // who cannot be asked has not said that it is missing
        }
        let limit = self.manifest()?.deadlines.pull;
        let name = self.manifest()?.name.clone();
        let (image, state) = self.absent_image().map(|(i, s)| (i.clone(), s.clone()))?;
        let reason = match state {
            ImageState::Present { .. } => return None,
            ImageState::Missing { reason } => format!("image {image} is missing: {reason}; then canaryd retry {name}"),
            ImageState::Pending if waited < limit => return None,
            ImageState::Pending => {
                format!("image {image} was not there within {}; try again with canaryd retry {name}", words(limit))
            }
        };
        Some(self.take_off(Outcome::Reverted, &reason, None, None))
    }

    fn heed_start(&mut self) -> Option<Did> {
        self.time_unready();
        let trial = self.trial().filter(|_| !self.is_reverting())?;
        let manifest = self.manifest()?;
        let startup = trial.release.components.iter().map(|c| c.health.startup).max().unwrap_or_default();
        let limit = manifest.deadlines.start + startup;
        if trial.unready < limit || !self.engine_answers() {
            return None;
        }
        let (name, ordinal, last) = trial.crews.iter().find_map(|(name, crew)| {
            let (ordinal, last) = self.not_healthy(crew)?;
            Some((name.clone(), ordinal, last))
        })?;
        let healthy = self.is_install() && Self::app_crew(&trial.crews).is_some_and(|c| self.healthy(c) > 0);
        let last = last.map(|l| format!(" (last: {l})")).unwrap_or_default();
        let reason = format!("{name} {ordinal} was not healthy within {}{last}", words(limit));
        if healthy && !self.first_version_serves() {
            return None; // it could serve: that no request reaches it is the gateway's doing
        }
        if healthy {
            self.tell(Severity::Notify, "degraded", format!("{reason}; the healthy ones serve"));
            return Some(self.finish_install());
        }
        Some(self.take_off(Outcome::Reverted, &reason, None, None))
    }

    /// A stage that is not through within `maxDuration`. Only time with its weight live counts: before that nobody knows
    /// anything of the version, and nothing is its fault.
    fn heed_stage(&mut self) -> Option<Did> {
        let stage = self.stage().filter(|_| self.precaution().is_none())?;
        self.heed_return(stage);
        let refused = self.world.gateway.refused.is_some() && self.granted() < Weight::FULL;
        let held = self.memory.paused.is_some() || self.memory.manual.is_some() || !self.engine_answers() || refused;
        if held || !self.gateway_answers() || self.trial()?.push.is_some() || self.trial()?.refusal.is_some() {
            return None;
        }
        let limits = *self.manifest()?.stages.get(stage)?;
        let limit = limits.max_duration.max(limits.observe);
        let (delta, live) = (self.delta, self.weight_is_live());
        let watch = self.memory.phase.watch_mut()?;
        if !live {
            watch.unlive += delta;
            return (watch.unlive >= limit).then(|| self.await_gateway(limit));
        }
        watch.spent += delta;
        let (spent, observed) = (watch.spent, watch.skipped || watch.observed >= limits.observe);
        if spent < limit {
            return None;
        }
        // With evidence its time goes on, and comes to an end. At weight 0 it may stand still.
        let runs = !observed && self.granted() > Weight::ZERO;
        match self.leave(self.next_stage_weight(stage)) {
            Leave::Silent(why) => Some(self.await_evidence(&why)),
            Leave::Granted | Leave::Samples { .. } if runs => None,
            Leave::Granted if observed => None,
            Leave::Granted => Some(self.give_pause(self.why_not_observed(stage))),
            Leave::Samples { check, have, need } => self.inconclusive(stage, &check, have, need),
        }
    }

    fn why_not_observed(&self, stage: usize) -> String {
        let limits = self.manifest().and_then(|m| m.stages.get(stage));
        let (observe, limit) = limits.map_or_else(Default::default, |l| (words(l.observe), words(l.max_duration)));
        let observed = words(self.memory.phase.watch().map_or(Duration::ZERO, |watch| watch.observed));
        format!("stage {} was observed for {observed} only, of {observe}, within {limit}", stage + 1)
    }

    fn give_pause(&mut self, why: String) -> Did {
        self.pause_itself(why);
        Did::Wait
    }

    /// A pause that a person may end, and the evidence as well: at night there are no requests, in the morning there are.
    fn await_evidence(&mut self, why: &str) -> Did {
        self.pause_for(self.lack_of_evidence(), why.to_owned())
    }

    fn lack_of_evidence(&self) -> Lack {
        if self.is_suspicious() { Lack::Calm } else { Lack::Evidence }
    }

    /// What looked bad has calmed down and is too little still, or looks bad by now, or it is another check: the pause says
    /// what it waits for now. A source that is silent says nothing of that.
    fn reword(&mut self, stage: usize, lack: Lack) {
        let now = self.lack_of_evidence();
        if lack == Lack::Gateway || self.stale_evidence().is_some() || (lack, now) == (Lack::Evidence, Lack::Evidence) {
            return;
        }
        let why = match self.leave(self.next_stage_weight(stage)) {
            Leave::Granted => return,
            Leave::Silent(why) => why,
            Leave::Samples { check, have, need } => {
                format!("{check} has seen {have} canary requests and needs {need} more")
            }
        };
        if let Some(pause) = &mut self.memory.paused {
            (pause.why, pause.lacks) = (why, Some(now));
        }
    }

    /// Nobody is blamed for a weight that could not be given; the stage's time begins when it is live.
    fn await_gateway(&mut self, limit: Duration) -> Did {
        let (weight, limit) = (self.wanted_weight(), words(limit));
        let why = match &self.world.gateway.problem {
            _ if self.stands_in() => {
                let version = self.production_version().unwrap_or_default();
                format!("{version} has not answered within {limit}")
            }
            Some(problem) => format!("the gateway has not taken over {weight} % within {limit}: {problem}"),
            None => format!("{weight} % could not be given to it within {limit}"),
        };
        self.pause_for(Lack::Gateway, why)
    }

    fn pause_for(&mut self, lack: Lack, why: String) -> Did {
        self.pause_itself_for(Some(lack), why);
        Did::Wait
    }

    /// The end of a pause that waited for the world: what was missing is there.
    fn heed_return(&mut self, stage: usize) {
        let Some(lack) = self.memory.paused.as_ref().and_then(|pause| pause.lacks) else { return };
        let is_there = match lack {
            Lack::Evidence | Lack::Calm => self.leave(self.next_stage_weight(stage)) == Leave::Granted,
            Lack::Gateway => true,
        };
        if !is_there || !self.weight_is_live() {
            self.reword(stage, lack);
            return;
        }
        self.memory.paused = None;
        if let Some(watch) = self.memory.phase.watch_mut() {
            (watch.spent, watch.unlive) = (Duration::ZERO, Duration::ZERO);
        }
        let why = match lack {
            Lack::Evidence => "the evidence is there".to_owned(),
            Lack::Calm => "the numbers have calmed down".to_owned(),
            Lack::Gateway => format!("{} % are live", self.wanted_weight()),
        };
        self.tell(Severity::Info, "resumed", format!("{} goes on: {why}", self.version()));
    }

    fn inconclusive(&mut self, stage: usize, check: &str, have: u64, need: u64) -> Option<Did> {
        let limits = *self.manifest()?.stages.get(stage)?;
        let why = format!(
            "{check} has seen {have} canary requests within {} and needs {need} more",
            words(limits.max_duration)
        );
        match self.manifest()?.analysis.on_inconclusive {
            OnInconclusive::Pause => Some(self.await_evidence(&why)),
            OnInconclusive::Revert => Some(self.take_off(Outcome::Reverted, &why, Some(check.to_owned()), None)),
            OnInconclusive::Promote => {
                self.tell(Severity::Warning, "inconclusive", format!("{why}; the manifest says to go on"));
                let reason = "onInconclusive: promote".to_owned();
                let push = match (self.granted() < limits.weight, stage == self.last_stage()) {
                    (true, _) => Push::Stage { stage },
                    (false, true) => Push::Finish { reason, by: None },
                    (false, false) => Push::Stage { stage: stage + 1 },
                };
                if let Some(trial) = &mut self.memory.trial {
                    trial.push = Some(push);
                }
                Some(Did::Move)
            }
        }
    }
}

/// "90 s", "15 min", "4 h": for sentences.
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200.. => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
