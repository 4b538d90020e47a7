//! From proven to production: the lane swap, and the ways back to a version that was.

use std::time::Duration;

use canaryd_rollout::{Rollout, Weight};

use crate::crew::{Crews, Wish};
use crate::memory::{Deployed, Previous, Retired};
use crate::phase::Phase;
use crate::release::{Blocked, Past, Release};
use crate::relief::Relief;
use crate::report::{Outcome, OutcomeView, Severity, Waiting};
use crate::trial::{Kind, Push, Trial};
use crate::turn::{Did, Turn};

/// Productions of the past that are remembered; their files and image tags are kept.
pub(crate) const HISTORY: usize = 5;

impl Turn<'_> {
    /// 100 % must be live with every replica healthy; then the lanes are swapped.
    pub(crate) fn progress_swap(&mut self) -> Option<Did> {
        let app = self.app_has_capacity(Weight::FULL);
        if !app || !self.trial_is_well() || !self.engine_answers() {
            return Some(Did::Wait);
        }
        if self.granted() < Weight::FULL {
            if let Some(trial) = &mut self.memory.trial {
                trial.weight = Weight::FULL;
            }
            return Some(Did::Move);
        }
        if !self.weight_is_live() {
            let problem = self.world.gateway.problem.clone();
            self.waiting.push(Waiting::GatewayLive { problem });
            return Some(Did::Wait);
        }
        let (requests, failed) = self.requests();
        let trial = self.memory.trial.take()?;
        self.memory.phase = Phase::Promoting { swapped: true };
        self.memory.paused = None;
        self.memory.manual = None;
        self.swap(trial, requests, failed);
        Some(Did::Move)
    }

    /// The point of no return. Names change, containers do not.
    fn swap(&mut self, trial: Trial, requests: u64, failed: u64) {
        let Trial { kind, release, crews, begun, push, .. } = trial;
        let new = Deployed { release: release.clone(), crews, since: self.now };
        let old = self.memory.production.replace(new);
        match kind {
            Kind::Canary | Kind::Install => {
                let (reason, by) = match push {
                    Some(Push::Finish { reason, by }) => (format!("promoted: {reason}"), by),
                    Some(Push::Stage { .. }) | None => ("every check had enough data".to_owned(), None),
                };
                self.keep_as_previous(old);
                self.conclude(Outcome::Promoted, &release, reason, begun, (requests, failed), by);
            }
            Kind::Undo { by, .. } => self.end_undo(old, &release, begun, by),
            Kind::Restart => {
                self.retire_after_drain(old, None);
                let workers =
                    if self.memory.relief.is_some() { "; its workers are replaced one at a time" } else { "" };
                self.tell(Severity::Info, "restarted", format!("{} was restarted{workers}", self.name_of(&release)));
            }
        }
    }

    fn keep_as_previous(&mut self, old: Option<Deployed>) {
        let Some(Deployed { release, mut crews, .. }) = old else { return };
        if let Some(Previous { release, crews, left, .. }) = self.memory.previous.take() {
            let since = left;
            self.retire_after_drain(Some(Deployed { release, crews, since }), None);
        }
        for (name, crew) in &mut crews {
            let stopped: Vec<u32> = crew.members.keys().copied().collect();
            for ordinal in stopped.into_iter().filter(|_| !name.is_app()) {
                crew.want(ordinal, Wish::Stopped);
            }
        }
        self.remember(&release);
        let keep = self.manifest().map_or(Duration::ZERO, |m| m.promotion.keep_previous);
        self.memory.previous = Some(Previous { release, crews, left: self.now, warm_until: self.later(keep) });
    }

    fn remember(&mut self, release: &Release) {
        let past = Past { version: release.version.clone(), revision: release.revision.clone(), left: self.now };
        let now = self.memory.production.as_ref().map(|d| d.release.revision.clone());
        self.memory.history.retain(|p| p.revision != past.revision && Some(&p.revision) != now.as_ref());
        self.memory.history.insert(0, past);
        self.memory.history.truncate(HISTORY);
    }

    fn end_undo(&mut self, old: Option<Deployed>, back: &Release, begun: jiff::Timestamp, by: String) {
        let Some(old) = old else { return };
        let reason = format!("back to {} by {by}", self.name_of(back));
        let gone = &old.release;
        self.block(Blocked {
            version: gone.version.clone(),
            revision: gone.revision.clone(),
            provisional: gone.provisional.clone(),
            outcome: Outcome::Undone,
            why: reason.clone(),
            at: self.now,
        });
        self.remember(gone);
        self.conclude(Outcome::Undone, gone, reason, begun, (0, 0), Some(by));
        let keep = self.manifest().map_or(Duration::from_secs(3600), |m| m.promotion.keep_failed);
        self.retire_after_drain(Some(old), Some(self.later(keep)));
    }

    fn conclude(
        &mut self,
        outcome: Outcome,
        release: &Release,
        reason: String,
        begun: jiff::Timestamp,
        (requests, failed): (u64, u64),
        actor: Option<String>,
    ) {
        let name = self.name_of(release);
        let (kind, text) = match outcome {
            Outcome::Promoted => ("promoted", format!("{name} is in production")),
            Outcome::Undone => ("undone", format!("{name} was undone: {reason}")),
            Outcome::Reverted | Outcome::Aborted | Outcome::Superseded => ("ended", name),
        };
        self.tell(Severity::Info, kind, text);
        self.memory.has_ended(OutcomeView {
            outcome,
            version: release.version.clone(),
            revision: release.revision.clone(),
            reason,
            check: None,
            at: self.now,
            took: self.now.duration_since(begun).as_secs_f64().max(0.0),
            requests,
            failed,
            actor,
        });
    }

    /// Sets that left production: the app drains first, workers go on until production's have taken their place.
    fn retire_after_drain(&mut self, old: Option<Deployed>, until: Option<jiff::Timestamp>) {
        let Some(Deployed { release, mut crews, .. }) = old else { return };
        let at_work = self.keep_at_work(&mut crews);
        leave(&mut crews);
        let drain = release.app().map_or(Duration::from_secs(30), |a| a.stop.drain);
        self.retire(Retired { release: release.clone(), crews, drain, until, works_on: false });
        if !at_work.is_empty() {
            self.memory.relief = Some(Relief::default());
            self.memory.retired.push(Retired { release, crews: at_work, drain, until, works_on: true });
        }
    }

    /// The swapped lanes are live: done.
    pub(crate) fn progress_promoted(&mut self) -> Did {
        if !self.asked_is_live() {
            let problem = self.world.gateway.problem.clone();
            self.waiting.push(Waiting::GatewayLive { problem });
            return Did::Wait;
        }
        self.memory.phase = Phase::Idle;
        Did::Move
    }

    /// The first version serves.
    pub(crate) fn finish_install(&mut self) -> Did {
        let Some(trial) = self.memory.trial.take() else { return Did::Wait };
        let Trial { release, crews, begun, .. } = trial;
        let reason = "the first version".to_owned();
        self.memory.production = Some(Deployed { release: release.clone(), crews, since: self.now });
        self.memory.phase = Phase::Idle;
        self.memory.paused = None;
        self.memory.manual = None;
        self.conclude(Outcome::Promoted, &release, reason, begun, (0, 0), None);
        Did::Move
    }

    // --- back to the previous version ---

    /// Whether the manifest asks for the previous version while going there is an undo.
    pub(crate) fn previous_is(&self, rollout: &Rollout) -> bool {
        let same = self.memory.previous.as_ref().is_some_and(|p| p.release.is_asked_by(rollout));
        same && self.undo_is_open()
    }

    /// Whether the way back is still open (`rollbackWindow`).
    pub(crate) fn undo_is_open(&self) -> bool {
        let window = self.manifest().and_then(|m| m.promotion.rollback_window);
        self.memory.undo_is_open(window, self.now)
    }

    /// The previous version becomes what is on trial; it gets 100 % as soon as it is healthy.
    pub(crate) fn begin_undo(&mut self, by: String) -> Did {
        let Some(Previous { release, mut crews, left, warm_until }) = self.memory.previous.take() else {
            return Did::Wait;
        };
        crews.retain(|name, _| name.is_app() || release.component(name).is_some());
        for (name, crew) in &mut crews {
            let all: Vec<u32> = crew.members.keys().copied().collect();
            for ordinal in all.into_iter().filter(|_| name.is_app()) {
                crew.want(ordinal, Wish::Running);
            }
        }
        self.begin_trial(Kind::Undo { by, left, warm_until }, release);
        if let Some(trial) = &mut self.memory.trial {
            trial.crews = crews;
        }
        Did::Move
    }
}

/// The app leaves its lane; workers that nobody waits for stop.
fn leave(crews: &mut Crews) {
    for (name, crew) in crews.iter_mut() {
        let ordinals: Vec<u32> = crew.running().map(|(o, _)| o).collect();
        for ordinal in ordinals {
            crew.want(ordinal, if name.is_app() { Wish::Leaving } else { Wish::Stopped });
        }
    }
}
