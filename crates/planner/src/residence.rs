//! Where a set lives: what commands that look inside containers ask.

use canaryd_gateway::Lane;
use canaryd_rollout::{RevisionId, SetId};

use crate::crew::Crews;
use crate::memory::Memory;
use crate::trial::{Kind, Trial};

impl Memory {
    /// The lane that a set is in; `None`: it is kept for the way back or for a look, or on its way out.
    #[must_use]
    pub fn lane_of(&self, set: &SetId) -> Option<Lane> {
        let has = |crews: &Crews| crews.values().any(|crew| &crew.set == set);
        let production = self.production.as_ref().filter(|d| has(&d.crews)).map(|_| Lane::Production);
        production.or_else(|| self.trial.as_ref().filter(|t| has(&t.crews)).map(lane_of_trial))
    }

    /// The version that a lane runs, and its revision.
    #[must_use]
    pub fn release_in(&self, lane: Lane) -> Option<(&str, &RevisionId)> {
        let production = self.production.as_ref().map(|d| &d.release).filter(|_| lane == Lane::Production);
        let trial = self.trial.as_ref().filter(|t| lane_of_trial(t) == lane).map(|t| &t.release);
        production.or(trial).map(|release| (release.version.as_str(), &release.revision))
    }
}

/// The very first version is on its way to production without a trial.
fn lane_of_trial(trial: &Trial) -> Lane {
    match trial.kind {
        Kind::Install => Lane::Production,
        Kind::Canary | Kind::Undo { .. } | Kind::Restart => Lane::Canary,
    }
}
