//! What the rest of canaryd asks of a memory.

use std::collections::BTreeSet;
use std::time::Duration;

use canaryd_gateway::Intent;
use canaryd_rollout::{ComponentName, RevisionId, Rollout, RolloutName, SetId};

use crate::crew::Crews;
use crate::memory::Memory;
use crate::phase::Phase;
use crate::trial::Kind;

impl Memory {
    /// Whether this rollout holds one of the host's slots for moving. What waits for a person, or for the host to be mended,
    /// keeps nobody else from it; nor does a first version, which takes traffic from nobody, once its containers run.
    #[must_use]
    pub fn moving(&self) -> bool {
        let waits = self.paused.is_some() || self.manual.is_some();
        let waits = waits || self.trial.as_ref().is_some_and(|t| t.refusal.is_some() || t.sight.precaution.is_some());
        match self.phase {
            Phase::Idle | Phase::Preflight { .. } => false,
            Phase::Installing => self.starting(),
            Phase::Starting | Phase::Observing { .. } | Phase::Soaking { .. } => !waits,
            Phase::Promoting { .. } | Phase::Reverting { .. } => true,
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
                // what the host refuses keeps nobody else from starting
                let trial = self.trial.as_ref().filter(|t| t.refusal.is_none());
                trial.is_some_and(|t| t.crews.values().any(|c| c.running().any(|(_, m)| !m.ready)))
            }
        }
    }

    /// Name of the phase, kebab-case.
    #[must_use]
    pub fn phase_name(&self) -> &'static str {
        match &self.maintenance {
            _ if self.is_being_deleted() => "deleting",
            Some(held) => held.phase_name(),
            None => self.phase.name(),
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

    /// How often the evidence about the set on trial began from nothing.
    #[must_use]
    pub fn evidence_number(&self) -> u64 {
        self.trial.as_ref().map_or(0, |t| t.evidence)
    }

    /// The app set that production traffic goes to (during the first installation: the set being installed).
    #[must_use]
    pub fn production_app_set(&self) -> Option<SetId> {
        let app = ComponentName::app();
        let installing = self.trial.as_ref().filter(|t| t.kind == Kind::Install).map(|t| &t.crews);
        self.production.as_ref().map(|d| &d.crews).or(installing)?.get(&app).map(|c| c.set.clone())
    }

    /// The crews of every set that this memory knows.
    fn crews(&self) -> impl Iterator<Item = &Crews> {
        let production = self.production.iter().map(|d| &d.crews);
        let trial = self.trial.iter().map(|t| &t.crews);
        let previous = self.previous.iter().map(|p| &p.crews);
        production.chain(trial).chain(previous).chain(self.retired.iter().map(|r| &r.crews))
    }

    /// Every set that this memory knows.
    pub(crate) fn sets(&self) -> BTreeSet<SetId> {
        self.crews().flat_map(Crews::values).map(|c| c.set.clone()).collect()
    }

    /// Sets of the production before whose workers go on until those of production have taken their place.
    #[must_use]
    pub fn at_work(&self) -> BTreeSet<SetId> {
        let crews = self.retired.iter().filter(|r| r.works_on).flat_map(|r| r.crews.values());
        crews.filter(|crew| crew.size() > 0).map(|crew| crew.set.clone()).collect()
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

    /// Whether what this manifest asks for is not tried again by itself.
    #[must_use]
    pub fn is_blocked(&self, rollout: &Rollout) -> bool {
        self.blocked.iter().any(|b| b.is_asked_by(rollout))
    }

    /// Whether everything of it was removed at somebody's request.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deletion.as_ref().is_some_and(|d| d.done.is_some())
    }

    /// Whether everything of it is being removed, and is not gone yet.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.deletion.as_ref().is_some_and(|d| d.done.is_none())
    }

    /// Whether the gateway itself was asked to go: everything else of the rollout is gone.
    #[must_use]
    pub fn is_without_gateway(&self) -> bool {
        self.deletion.as_ref().is_some_and(|d| d.swept || d.done.is_some())
    }

    /// Whether it is stopped for maintenance, or on the way there or back.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.maintenance.is_some()
    }

    /// Whether its manifest was removed: production serves on, nothing is asked for.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.orphaned
    }

    /// The last traffic asked for: what the gateway is to show, also after a restart of the daemon.
    #[must_use]
    pub fn asked(&self) -> Option<&Intent> {
        self.asked.as_ref()
    }

    /// The number of the last intent that asked for no canary weight: an all-production configuration of a newer one is
    /// not the daemon's doing.
    #[must_use]
    pub fn last_without_canary(&self) -> u64 {
        self.last_without_canary
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
        still.phase = still.phase.without_clock();
        for member in still.crews_mut().flat_map(Crews::values_mut).flat_map(|c| c.members.values_mut()) {
            member.quiet = member.quiet.map(|_| Duration::ZERO);
        }
        if let Some(trial) = &mut still.trial {
            trial.unready = Duration::ZERO;
            trial.failures = 0;
            trial.sight = trial.sight.clone().without_clock();
            if let Some(refusal) = &mut trial.refusal {
                refusal.spent = Duration::ZERO;
            }
        }
        if let Some(back) = still.maintenance.as_mut().and_then(|held| held.back.as_mut()) {
            back.spent = Duration::ZERO;
        }
        if let Some(relief) = &mut still.relief {
            relief.stalled = Duration::ZERO;
        }
        if let Some(deletion) = &mut still.deletion {
            deletion.spent = deletion.spent.map(|_| Duration::ZERO);
        }
        still
    }
}
