//! What a manifest would begin, before anybody begins it: the words of `canaryd plan`.

use std::time::Duration;

use canaryd_rollout::Rollout;
use jiff::{SignedDuration, Timestamp};

use crate::memory::Memory;
use crate::phase::Phase;

/// The way that a manifest would go if it were committed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// It is the first version.
    Install,
    /// It is in production already: no new version, though stages, replicas and limits may change.
    Serves,
    /// It is on trial already.
    OnTrial,
    /// It was taken off and is not tried again by itself.
    Blocked {
        /// Why it was taken off.
        why: String,
    },
    /// It is the previous version: health, then all traffic, without stages.
    Back,
    /// A new version, through the stages.
    Stages,
}

impl Memory {
    /// Which way this manifest would go. In the order in which an idle rollout decides.
    #[must_use]
    pub fn course(&self, rollout: &Rollout, now: Timestamp) -> Course {
        let window = rollout.promotion.rollback_window;
        let is_previous = self.previous.as_ref().is_some_and(|p| p.release.is_asked_by(rollout));
        if self.production.as_ref().is_some_and(|p| p.release.is_asked_by(rollout)) {
            return Course::Serves;
        }
        if let Some(blocked) = self.blocked.iter().find(|b| b.is_asked_by(rollout)) {
            return Course::Blocked { why: blocked.why.clone() };
        }
        if self.trial.as_ref().is_some_and(|t| t.release.is_asked_by(rollout)) {
            return Course::OnTrial;
        }
        match (is_previous && self.undo_is_open(window, now), &self.production) {
            (true, _) => Course::Back,
            (false, Some(_)) => Course::Stages,
            (false, None) => Course::Install,
        }
    }

    /// The version on trial that a new one would take the place of.
    #[must_use]
    pub fn on_trial(&self) -> Option<&str> {
        self.trial.as_ref().map(|t| t.release.version.as_str())
    }

    /// Since when a version is on trial or being prepared for one.
    #[must_use]
    pub fn on_its_way_since(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Preflight { since, .. } => Some(since),
            Phase::Idle
            | Phase::Installing
            | Phase::Starting
            | Phase::Observing { .. }
            | Phase::Soaking { .. }
            | Phase::Promoting { .. }
            | Phase::Reverting { .. } => self.trial.as_ref().map(|t| t.begun),
        }
    }

    /// What a word that was left without the daemon will do, when the daemon finds it: the version that it aborts, while
    /// nobody gets it yet.
    #[must_use]
    pub fn offline_aborts(&self) -> Option<&str> {
        let prepared = || self.manifest.as_ref().map(|m| m.version.as_str());
        let on_trial = || self.trial.as_ref().filter(|t| t.is_canary()).map(|t| t.release.version.as_str());
        match self.phase {
            Phase::Preflight { .. } => prepared(),
            Phase::Starting | Phase::Observing { .. } | Phase::Soaking { .. } | Phase::Promoting { .. } => on_trial(),
            Phase::Idle | Phase::Installing | Phase::Reverting { .. } => None,
        }
    }

    /// The version that is being taken off already.
    #[must_use]
    pub fn taking_off(&self) -> Option<&str> {
        let leaves = matches!(self.phase, Phase::Reverting { .. });
        self.trial.as_ref().filter(|_| leaves).map(|t| t.release.version.as_str())
    }

    /// Whether the way back to the previous version is still open (`rollbackWindow`).
    pub(crate) fn undo_is_open(&self, window: Option<Duration>, now: Timestamp) -> bool {
        let Some(previous) = &self.previous else { return false };
        let window = window.map(|w| SignedDuration::try_from(w).unwrap_or(SignedDuration::MAX));
        window.is_none_or(|w| now.duration_since(previous.left) <= w)
    }
}
