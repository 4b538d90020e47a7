//! What a changed or vanished manifest means for what is under way.

use std::time::Duration;

use canaryd_rollout::{OnDelete, RevisionId, Rollout, Weight};

use crate::action::Action;
use crate::memory::Deletion;
use crate::phase::{Phase, Watch};
use crate::release::{Release, bare};
use crate::report::{Outcome, Severity, Waiting};
use crate::turn::{Did, Turn};
use crate::world::Desired;

impl Turn<'_> {
    /// Takes the manifest's live and policy fields over, and notices edits of stages and checks.
    pub(crate) fn heed_edits(&mut self) {
        let Some(rollout) = self.asks() else { return };
        self.memory.orphaned = false;
        self.memory.manifest = Some(Box::new(bare(rollout)));
        let fresh = Release::of(rollout);
        let memory = &mut self.memory;
        let releases = memory.production.iter_mut().map(|d| &mut d.release);
        let releases = releases.chain(memory.trial.iter_mut().map(|t| &mut t.release));
        for release in releases.chain(memory.previous.iter_mut().map(|p| &mut p.release)) {
            if release.revision == fresh.revision {
                *release = fresh.clone();
            }
        }
        self.heed_changed_preflight(rollout);
        let ours = self.trial().is_some_and(|t| t.is_canary() && t.release.is_asked_by(rollout));
        if ours && !self.is_reverting() {
            self.heed_changed_checks();
            self.heed_changed_stages();
        }
    }

    /// Something else is asked for before the first could begin: it has its own time.
    fn heed_changed_preflight(&mut self, rollout: &Rollout) {
        let Phase::Preflight { of, .. } = &self.memory.phase else { return };
        if of == &rollout.provisional {
            return;
        }
        if self.production_is(rollout) || self.is_blocked(rollout) || self.previous_is(rollout) {
            self.memory.phase = Phase::Idle;
            (self.memory.paused, self.memory.manual) = (None, None);
        } else {
            self.memory.phase =
                Phase::Preflight { of: rollout.provisional.clone(), since: self.now, waited: Duration::ZERO };
            self.tell(Severity::Info, "preflight", format!("{} is asked for now", rollout.version));
        }
    }

    fn heed_changed_checks(&mut self) {
        let Some(manifest) = self.memory.manifest.clone() else { return };
        let Some(trial) = &mut self.memory.trial else { return };
        if trial.checks == manifest.checks && trial.analysis == manifest.analysis {
            return;
        }
        trial.checks = manifest.checks;
        trial.analysis = manifest.analysis;
        trial.rechecked = Some(self.now);
        self.renew_evidence();
        self.tell(Severity::Info, "fresh-evidence", "the checks were changed: the evidence begins from nothing");
    }

    /// The weight stays; the trial is at the first stage at or above it.
    fn heed_changed_stages(&mut self) {
        let Some(stages) = self.manifest().map(|m| m.stages.clone()) else { return };
        let Some(trial) = &mut self.memory.trial else { return };
        if trial.stages == stages {
            return;
        }
        trial.stages = stages;
        trial.passed.clear();
        self.reenter();
        let (weight, last) = (self.granted(), self.last_stage() + 1);
        let goes_on = self.stage().map(|stage| {
            let own = self.stage_weight(stage);
            format!(" at {weight} %; it is in stage {} of {last}, {own} %, whose time begins", stage + 1)
        });
        let message = format!("the stages were changed: the weight stays{}", goes_on.unwrap_or_default());
        self.tell(Severity::Info, "stages-changed", message);
    }

    /// At the first stage at or above the present weight, its time from zero: also below its weight, so that no edit shortens
    /// the way to the next one.
    fn reenter(&mut self) {
        let weight = self.granted();
        let stages = self.manifest().map(|m| m.stages.clone()).unwrap_or_default();
        self.begin_again_at(stages.iter().position(|s| s.weight >= weight).unwrap_or(0));
    }

    /// A weight that was set by hand is given back: at the last stage that gives no more than the hand gave, its time from
    /// zero. Nobody gets more by it than a stage that was observed allows.
    pub(crate) fn give_back(&mut self) {
        let weight = self.granted();
        let stages = self.manifest().map(|m| m.stages.clone()).unwrap_or_default();
        let stage = stages.iter().rposition(|s| s.weight <= weight).unwrap_or(0);
        let least = stages.get(stage).map_or(weight, |s| s.weight.min(weight));
        if let Some(trial) = &mut self.memory.trial {
            trial.weight = least;
        }
        self.begin_again_at(stage);
    }

    fn begin_again_at(&mut self, stage: usize) {
        if self.stage().is_none() {
            return;
        }
        let watch = Watch::begin(self.now, self.requests().0);
        let last = stage == self.last_stage();
        self.memory.phase = if last { Phase::Soaking { watch } } else { Phase::Observing { stage, watch } };
    }

    /// The manifest asks for something else than what is on trial.
    pub(crate) fn heed_superseded(&mut self) -> Option<Did> {
        if let Desired::Gone { since, confirmed } = self.world.desired {
            return self.heed_gone(since, confirmed);
        }
        let rollout = self.asks()?;
        let trial = self.trial().filter(|_| !self.is_reverting())?;
        let interruptible = trial.is_canary() || self.is_install();
        if trial.release.is_asked_by(rollout) || !interruptible {
            return None;
        }
        if self.first_version_serves() {
            return Some(self.finish_install());
        }
        let back = if self.production_is(rollout) { "was set back to" } else { "now asks for" };
        // The same name once more: only the revision tells them apart.
        let revision = if trial.release.version == rollout.version {
            format!(" (revision {}, it was {})", rollout.revision, trial.release.revision)
        } else {
            String::new()
        };
        let reason = format!("the manifest {back} {}{revision}", rollout.version);
        Some(self.take_off(Outcome::Superseded, &reason, None, None))
    }

    /// What is held at 0 % waits for its environment, and for nothing newer: that takes its place at once.
    pub(crate) fn give_way_while_held(&mut self, crash: Option<Did>) -> Option<Did> {
        match crash {
            Some(Did::Hold) => self.heed_superseded().or(crash),
            Some(Did::Delete | Did::TakeOff | Did::Wait | Did::Move) | None => crash,
        }
    }

    fn heed_gone(&mut self, since: jiff::Timestamp, confirmed: bool) -> Option<Did> {
        if !confirmed {
            self.wait_for_absence(since);
            return None;
        }
        if !self.memory.orphaned && self.memory.production.is_some() {
            let stays = if self.memory.maintenance.is_some() { "stays stopped" } else { "and gateway keep serving" };
            self.tell(Severity::Notify, "orphaned", format!("the manifest is gone; production {stays}"));
        }
        self.memory.orphaned = true;
        match self.memory.phase {
            Phase::Idle | Phase::Reverting { .. } | Phase::Promoting { swapped: true } => None,
            Phase::Preflight { .. }
            | Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Promoting { swapped: false } => {
                Some(self.take_off(Outcome::Superseded, "its manifest was removed", None, None))
            }
        }
    }

    fn wait_for_absence(&mut self, since: jiff::Timestamp) {
        let absent = u64::try_from(self.now.duration_since(since).as_secs()).unwrap_or(0);
        let all = self.manifest().is_some_and(|m| m.on_delete == OnDelete::Remove);
        self.waiting.push(Waiting::Deletion { all, seconds: 30_u64.saturating_sub(absent) });
    }

    /// A weight set by hand: capacity first, lowerings at once. Progress stops, safety stays.
    pub(crate) fn heed_manual_weight(&mut self) -> Option<Did> {
        let manual = self.memory.manual.clone()?;
        let serves = self.stage().is_some() && self.trial()?.is_canary();
        let pushed = self.trial()?.push.is_some();
        if !serves || pushed || !self.is_still_asked() {
            return None;
        }
        self.wait_for_hand();
        if manual.weight == self.granted() {
            return Some(Did::Wait);
        }
        let raise = manual.weight > self.granted();
        if raise && (!self.engine_answers() || !self.can_raise(manual.weight)) {
            return Some(Did::Wait);
        }
        if let Some(trial) = &mut self.memory.trial {
            trial.weight = manual.weight.min(Weight::FULL);
        }
        Some(Did::Move)
    }

    /// Says who has the weight in the hand, and how it is given back.
    pub(crate) fn wait_for_hand(&mut self) {
        let Some(manual) = &self.memory.manual else { return };
        let since = crate::crash::clock(manual.at);
        let why = format!("{} % by {} since {since}; resume gives control back", manual.weight, manual.by);
        self.waiting.push(Waiting::Manual { why });
    }

    /// Whether the manifest, as far as it is known, still asks for what is on trial.
    fn is_still_asked(&self) -> bool {
        match &self.world.desired {
            Desired::Ready(rollout) => self.trial().is_some_and(|t| t.release.is_asked_by(rollout)),
            Desired::Unknown => true,
            Desired::Gone { confirmed, .. } => !confirmed,
        }
    }

    /// Everything goes: traffic first, then containers, then the gateway.
    pub(crate) fn heed_delete(&mut self) -> Option<Did> {
        if let Desired::Gone { confirmed: true, .. } = self.world.desired {
            let remove = self.manifest().is_some_and(|m| m.on_delete == OnDelete::Remove);
            if remove && self.memory.deletion.is_none() {
                self.begin_delete("the manifest (onDelete: remove)".to_owned(), "by the manifest (onDelete: remove)");
            }
        }
        let done = self.memory.deletion.as_ref()?.done.clone();
        match done {
            Some(deleted) => self.after_delete(&deleted),
            None => Some(self.progress_delete()),
        }
    }

    pub(crate) fn begin_delete(&mut self, by: String, said: &str) {
        self.tell(
            Severity::Warning,
            "deleting",
            format!("everything of this rollout is being stopped and removed, {said}"),
        );
        self.memory.trial = None;
        self.memory.paused = None;
        self.memory.manual = None;
        if let Some(held) = &mut self.memory.maintenance {
            held.back = None; // users get the page until the gateway goes
        }
        self.memory.phase = Phase::Idle;
        self.memory.deletion = Some(Deletion { by, at: self.now, spent: None, swept: false, done: None });
    }

    fn progress_delete(&mut self) -> Did {
        self.refuse_commands();
        if !self.engine_answers() {
            return Did::Delete;
        }
        let component = self.manifest().map(|m| m.app.clone());
        let drain = component.as_ref().map_or(crate::lanes::REVERT_DRAIN, |c| c.stop.drain);
        let grace = crate::capacity::grace(component.as_ref());
        if self.is_all_drained(drain) {
            let sets = self.world.sets.iter().map(|s| s.id.clone());
            self.actions.extend(sets.map(|set| Action::RemoveSet { set, grace }));
        }
        if self.world.sets.is_empty() {
            self.actions.push(Action::RemoveGateway);
            self.sweep();
        }
        Did::Delete
    }

    /// Whether no request can be on its way to anything of this rollout.
    fn is_all_drained(&mut self, at_most: Duration) -> bool {
        let carried = self.world.sets.iter().any(|s| self.is_carried(&s.id, None));
        let gateway = &self.world.gateway;
        let workers_are_gone = gateway.live.is_some() && gateway.old_workers == 0;
        let delta = self.delta;
        let Some(deletion) = &mut self.memory.deletion else { return false };
        deletion.spent = (!carried).then(|| deletion.spent.map_or(Duration::ZERO, |spent| spent + delta));
        !carried && (workers_are_gone || deletion.spent.is_some_and(|spent| spent >= at_most))
    }

    /// The gateway is asked to go twice before it is believed to be gone: what is not seen may not have been looked at.
    fn sweep(&mut self) {
        let Some(deletion) = &mut self.memory.deletion else { return };
        let swept = std::mem::replace(&mut deletion.swept, true);
        if swept && self.world.gateway.live.is_none() {
            self.finish_delete();
        }
    }

    /// Nothing is remembered but that this content does not start again by itself, while its manifest is still there.
    fn finish_delete(&mut self) {
        let old = std::mem::take(&mut self.memory);
        let Some(rollout) = self.asks().or(old.manifest.as_deref()) else { return };
        let done = Some((rollout.revision.clone(), rollout.provisional.clone()));
        self.memory.deletion = old.deletion.map(|d| Deletion { done, ..d });
        self.memory.manifest = old.manifest;
        self.memory.clock = old.clock;
        self.memory.answers = old.answers;
        (self.memory.kept, self.memory.given_up) = (old.kept, old.given_up);
        (self.memory.seq, self.memory.last_set, self.memory.last_ordinal) = (old.seq, old.last_set, old.last_ordinal);
        self.memory.last_without_canary = old.last_without_canary;
    }

    fn after_delete(&mut self, deleted: &(RevisionId, RevisionId)) -> Option<Did> {
        self.tend_revisions();
        match &self.world.desired {
            Desired::Ready(r) if r.revision != deleted.0 && r.provisional != deleted.1 => {
                self.memory.deletion = None;
                None
            }
            Desired::Gone { confirmed: true, .. } => {
                self.refuse_commands();
                if self.memory.kept.is_empty() && self.memory.given_up.is_empty() {
                    self.memory = crate::memory::Memory::default();
                }
                Some(Did::Delete)
            }
            // It may come back in a moment (a checkout, a file being moved), and must not start again by that.
            Desired::Gone { since, confirmed: false } => {
                self.refuse_commands();
                self.wait_for_absence(*since);
                Some(Did::Delete)
            }
            Desired::Ready(_) | Desired::Unknown => self.heed_commands().or(Some(Did::Delete)),
        }
    }
}
