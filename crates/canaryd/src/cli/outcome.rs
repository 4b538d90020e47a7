//! When a rollout that somebody waits for has ended, and how.

use canaryd_planner::{Outcome, Report};
use canaryd_rollout::RevisionId;
use jiff::Timestamp;

use super::exit::Exit;
use super::words::moves;

/// What is waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// This version, whether its rollout has begun or not.
    pub(crate) version: Option<String>,
    /// An outcome before this moment is one of an earlier attempt.
    pub(crate) since: Option<Timestamp>,
    /// The revision that was seen on trial.
    pub(crate) revision: Option<RevisionId>,
}

impl Asked {
    /// Whether the state decides it. Remembers which revision is on trial.
    pub(crate) fn decide(&mut self, report: &Report) -> Option<Exit> {
        let wanted = |version: &str| self.version.as_deref().is_none_or(|v| v == version);
        if let Some(canary) = report.canary.as_ref().filter(|c| wanted(&c.version))
            && self.revision.is_none()
        {
            self.revision = Some(canary.revision.clone());
        }
        match &report.outcome {
            Some(end) if self.is_mine(&end.revision, &end.version, end.at) && !self.on_trial(report) => {
                return Some(code(end.outcome));
            }
            Some(_) | None => {}
        }
        if moves(report) {
            return None;
        }
        let production = report.production.as_ref()?;
        match (&self.version, &self.revision) {
            (Some(version), _) => (&production.version == version).then_some(Exit::Yes),
            (None, None) => Some(report.outcome.as_ref().map_or(Exit::Yes, |end| code(end.outcome))),
            (None, Some(revision)) => (&production.revision == revision).then_some(Exit::Yes),
        }
    }

    fn is_mine(&self, revision: &RevisionId, version: &str, at: Timestamp) -> bool {
        let new = self.since.is_none_or(|since| at >= since);
        match &self.revision {
            Some(mine) => mine == revision && new,
            None => new && self.version.as_deref() == Some(version),
        }
    }

    fn on_trial(&self, report: &Report) -> bool {
        moves(report)
            && self.revision.is_some()
            && report.canary.as_ref().map(|c| &c.revision) == self.revision.as_ref()
    }
}

fn code(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Promoted => Exit::Yes,
        Outcome::Reverted | Outcome::Aborted | Outcome::Superseded | Outcome::Undone => Exit::No,
    }
}
