//! Taking a version off: its weight is 0 in the very plan that decides it, then it is drained, then stopped.

use std::time::Duration;

use canaryd_rollout::Weight;

use crate::action::Action;
use crate::crew::{Crew, Crews, Wish};
use crate::lanes::REVERT_DRAIN;
use crate::memory::{Previous, Retired};
use crate::phase::Phase;
use crate::release::{Blocked, Release};
use crate::report::{Outcome, OutcomeView, Severity};
use crate::trial::{Kind, Trial};
use crate::turn::{Did, Turn, occupies};

/// Revisions that are remembered as blocked.
const BLOCKED: usize = 20;

/// A gateway that does not take the weight off within this time is not waited for: production is the backup of the
/// canary's lane, so stopping the canary costs no GET.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(10);

impl Turn<'_> {
    /// Decides that what is on trial (or about to be) goes, and how that is remembered.
    pub(crate) fn take_off(
        &mut self,
        outcome: Outcome,
        reason: &str,
        check: Option<String>,
        actor: Option<String>,
    ) -> Did {
        if self.trial().is_some_and(|t| t.kind == Kind::Restart) {
            self.tell_failed_restart(outcome, reason);
        } else {
            self.record(outcome, reason, check, actor);
            self.block_if_due(outcome, reason);
        }
        self.memory.paused = None;
        self.memory.manual = None;
        let keep = outcome == Outcome::Reverted;
        match self.memory.trial.as_ref().map(|t| (&t.kind, t.crews.is_empty())) {
            None | Some((_, true)) => {
                self.memory.trial = None;
                self.memory.phase = Phase::Idle;
            }
            Some((Kind::Undo { .. }, false)) if !keep => self.give_up_undo(),
            Some((Kind::Install | Kind::Canary | Kind::Undo { .. } | Kind::Restart, false)) => {
                self.begin_reverting(keep, reason);
            }
        }
        Did::TakeOff
    }

    /// canaryd lowered the canary and was killed before it could write down why. What it knew is read again: then crash,
    /// deadline and verdict decide as they did. If none of them does, it stays off all the same.
    pub(crate) fn heed_unexplained(&mut self) -> Option<Did> {
        let gateway = &self.world.gateway;
        let lowered = gateway.unexplained && !gateway.precaution && self.trial().is_some_and(Trial::is_canary);
        if !lowered || self.is_reverting() {
            return None;
        }
        if !self.engine_answers() || self.stale_evidence().is_some() {
            return Some(Did::Wait);
        }
        let reason = "it was taken off, and canaryd was killed before it could write down why";
        Some(self.take_off(Outcome::Aborted, reason, None, None))
    }

    fn begin_reverting(&mut self, keep: bool, reason: &str) {
        if keep {
            self.save_failure(reason);
        }
        if let Some(mut trial) = self.memory.trial.take() {
            (trial.weight, trial.crash, trial.push) = (Weight::ZERO, None, None);
            trial.refusal = None;
            for crew in trial.crews.values_mut() {
                self.leave_down(crew);
            }
            self.memory.trial = Some(trial);
        }
        self.memory.phase = Phase::Reverting { keep, why: reason.to_owned(), spent: Duration::ZERO };
    }

    /// What has ended is not started again.
    fn leave_down(&self, crew: &mut Crew) {
        let is_down = |o: &u32| !self.replica(&crew.set, *o).is_some_and(occupies);
        let down: Vec<u32> = crew.running().map(|(o, _)| o).filter(is_down).collect();
        for ordinal in down {
            crew.want(ordinal, Wish::Stopped);
        }
    }

    /// No version ended: the first set serves on.
    fn tell_failed_restart(&mut self, outcome: Outcome, reason: &str) {
        let severity = if outcome == Outcome::Reverted { Severity::Notify } else { Severity::Warning };
        let message = format!("{}: the second set does not take over: {reason}; the first serves on", self.version());
        self.tell(severity, "restart-failed", message);
    }

    /// An undo that is not wanted any more: what runs of the previous version is kept as before, without traffic; what was
    /// not started yet is not.
    fn give_up_undo(&mut self) {
        let Some(mut trial) = self.memory.trial.take() else { return };
        for crew in trial.crews.values_mut() {
            let view = self.set(&crew.set);
            crew.members.retain(|ordinal, _| view.is_some_and(|v| v.replicas.iter().any(|r| r.ordinal == *ordinal)));
        }
        trial.crews.retain(|_, crew| !crew.members.is_empty());
        self.memory.phase = Phase::Idle;
        if let Kind::Undo { left, warm_until, .. } = trial.kind {
            self.memory.previous = Some(Previous { release: trial.release, crews: trial.crews, left, warm_until });
        }
    }

    fn save_failure(&mut self, reason: &str) {
        let saves = self.trial().map(|trial| saves(&trial.release, &trial.crews, reason)).unwrap_or_default();
        self.actions.extend(saves);
    }

    fn record(&mut self, outcome: Outcome, reason: &str, check: Option<String>, actor: Option<String>) {
        let Some((version, revision)) = self.tried() else { return };
        if let Some(stage) = self.stage() {
            self.close_stage(stage, false);
        }
        let begun = match (&self.memory.trial, &self.memory.phase) {
            (Some(trial), _) => trial.begun,
            (None, Phase::Preflight { since, .. }) => *since,
            (None, _) => self.now,
        };
        let (requests, failed) = self.requests();
        let took = self.now.duration_since(begun).as_secs_f64().max(0.0);
        let at = self.now;
        let (severity, kind) = match outcome {
            Outcome::Reverted => (Severity::Notify, "reverted"),
            Outcome::Aborted => (Severity::Warning, "aborted"),
            Outcome::Superseded => (Severity::Info, "superseded"),
            Outcome::Undone => (Severity::Warning, "undone"),
            Outcome::Promoted => (Severity::Info, "promoted"),
        };
        let name = self.told_apart(&version, &revision);
        self.tell(severity, kind, format!("{name} {}: {reason}", past(outcome)));
        let reason = reason.to_owned();
        self.memory.has_ended(OutcomeView {
            outcome,
            version,
            revision,
            reason,
            check,
            at,
            took,
            requests,
            failed,
            actor,
        });
    }

    /// Version and revision of what is on trial, or about to be.
    fn tried(&self) -> Option<(String, canaryd_rollout::RevisionId)> {
        let trial = self.trial().map(|t| (t.release.version.clone(), t.release.revision.clone()));
        trial.or_else(|| self.manifest().map(|m| (m.version.clone(), m.revision.clone())))
    }

    /// Remembers a revision that must not come back by itself. Production's own is never blocked (a failed restart).
    fn block_if_due(&mut self, outcome: Outcome, reason: &str) {
        let due = match outcome {
            Outcome::Reverted | Outcome::Aborted | Outcome::Undone => true,
            Outcome::Promoted | Outcome::Superseded => false,
        };
        let trial = self.trial().map(|t| (&t.release.version, &t.release.revision, &t.release.provisional));
        let asked = self.manifest().map(|m| (&m.version, &m.revision, &m.provisional));
        let Some((version, revision, provisional)) = trial.or(asked).filter(|_| due) else { return };
        if self.memory.production.as_ref().is_some_and(|d| &d.release.revision == revision) {
            return;
        }
        let blocked = Blocked {
            version: version.clone(),
            revision: revision.clone(),
            provisional: provisional.clone(),
            outcome,
            why: reason.to_owned(),
            at: self.now,
        };
        self.block(blocked);
    }

    pub(crate) fn block(&mut self, blocked: Blocked) {
        self.memory.blocked.retain(|b| b.revision != blocked.revision);
        self.memory.blocked.push(blocked);
        let surplus = self.memory.blocked.len().saturating_sub(BLOCKED);
        self.memory.blocked.drain(..surplus);
    }

    /// Drains, stops, and gives the slot back.
    pub(crate) fn progress_reverting(&mut self) -> Option<Did> {
        let Phase::Reverting { keep, spent, .. } = &mut self.memory.phase else { return None };
        *spent += self.delta;
        let (keep, spent) = (*keep, *spent);
        let Some(mut trial) = self.memory.trial.take() else {
            self.memory.phase = Phase::Idle;
            return Some(Did::Move);
        };
        self.stand_down(&mut trial, keep, spent);
        if self.engine_answers() && !self.any_runs(&trial.crews) && all_stand_down(&trial) {
            self.retire_trial(trial, keep);
            return Some(Did::Move);
        }
        self.memory.trial = Some(trial);
        Some(Did::TakeOff)
    }

    /// Workers stop at once; app replicas that run leave their lane's traffic first.
    fn stand_down(&mut self, trial: &mut Trial, keep: bool, spent: Duration) {
        let app = canaryd_rollout::ComponentName::app();
        let mut stopped_now = false;
        for (name, crew) in &mut trial.crews {
            let drained = name != &app || self.is_set_drained(crew, REVERT_DRAIN);
            let tired = spent >= GATEWAY_PATIENCE && self.production_is_well();
            let ordinals: Vec<u32> = crew.with(Wish::Running).chain(crew.with(Wish::Leaving)).map(|(o, _)| o).collect();
            for ordinal in ordinals {
                let up = self.replica(&crew.set, ordinal).is_some_and(occupies);
                let stop = drained || tired || !up;
                stopped_now |= stop && up;
                crew.want(ordinal, if stop { Wish::Stopped } else { Wish::Running });
            }
            if !drained && !tired {
                self.wait_drain(self.world.gateway.old_workers, REVERT_DRAIN);
            }
        }
        if keep && stopped_now {
            self.save_failure_again(trial);
        }
    }

    /// Said once more when it stops and when it is stopped: a kill in between loses nothing.
    fn save_failure_again(&mut self, trial: &Trial) {
        let Phase::Reverting { why, .. } = &self.memory.phase else { return };
        let reason = why.clone();
        self.actions.extend(saves(&trial.release, &trial.crews, &reason));
    }

    fn retire_trial(&mut self, trial: Trial, keep: bool) {
        let until = keep.then(|| self.later(self.keep_failed()));
        if keep {
            self.save_failure_again(&trial);
        }
        let Trial { release, crews, .. } = trial;
        self.retire(Retired { release, crews, drain: REVERT_DRAIN, until, works_on: false });
        self.memory.phase = Phase::Idle;
    }

    fn keep_failed(&self) -> Duration {
        self.manifest().map_or(Duration::from_secs(3600), |m| m.promotion.keep_failed)
    }

    /// The end of time is far enough when a sum does not fit.
    pub(crate) fn later(&self, duration: Duration) -> jiff::Timestamp {
        self.now.checked_add(duration).unwrap_or(jiff::Timestamp::MAX)
    }
}

/// What the containers of a version said is kept, with the reason why it goes.
fn saves(release: &Release, crews: &Crews, reason: &str) -> Vec<Action> {
    let revision = &release.revision;
    let save = |set| Action::SaveFailure { set, revision: revision.clone(), reason: reason.to_owned() };
    crews.values().map(|crew| save(crew.set.clone())).collect()
}

fn all_stand_down(trial: &Trial) -> bool {
    trial.crews.values().flat_map(|c| c.members.values()).all(|m| match m.wish {
        Wish::Stopped | Wish::Removed => true,
        Wish::Running | Wish::Leaving => false,
    })
}

/// "v2 …".
pub(crate) fn past(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted => "is in production",
        Outcome::Reverted => "was taken off",
        Outcome::Aborted => "was aborted",
        Outcome::Superseded => "was superseded",
        Outcome::Undone => "was undone",
    }
}
