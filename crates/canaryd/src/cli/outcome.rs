//! When a rollout that somebody waits for has ended, and how.

use std::time::{Duration, Instant};

use canaryd_planner::{Outcome, OutcomeView, Report, Unmet, VersionView};
use canaryd_rollout::RevisionId;
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::words::{self, moves};

/// What is waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// This version, whether its rollout has begun or not.
    pub(crate) version: Option<String>,
    /// An outcome before this moment is one of an earlier attempt.
    pub(crate) since: Option<Timestamp>,
    /// The revision that was seen on trial.
    pub(crate) revision: Option<RevisionId>,
    /// The manifest was edited then: a mistake in it ends the waiting.
    pub(crate) edited: Option<Instant>,
}

/// After an edit an old complaint may still stand for so long.
const READ_BY_THEN: Duration = Duration::from_secs(3);

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
        if let Some(end) = self.earlier(report) {
            return Some(code(end.outcome));
        }
        if moves(report) && !self.is_past(report) {
            return None;
        }
        if self.version.is_none() && self.revision.is_none() && is_blocked(report) {
            return Some(Exit::No);
        }
        // It is in production, and nobody is served by it.
        let production = report.production.as_ref().filter(|_| report.stopped.is_none())?;
        match (&self.version, &self.revision) {
            (Some(version), _) => (&production.version == version).then_some(Exit::Yes),
            // What the manifest asks for is in production, however another version ended before.
            (None, None) => Some(Exit::Yes),
            (None, Some(revision)) => (&production.revision == revision).then_some(Exit::Yes),
        }
    }

    /// What is waited for stands still, and only a person can make it go on: whoever waits is not called for a pause that ends
    /// by itself.
    pub(crate) fn held(&self, report: &Report) -> Option<Failure> {
        if report.stopped.is_some() {
            let held = words::held(report)?;
            let again = format!("canaryd wait {}", report.name);
            let message = format!("{} waits for a person: {}", report.name, held.why);
            let hint = format!("bring it back: {}\n        then wait again: {again}", held.go_on);
            return Some(Failure::new(Exit::Undecided, message).hint(hint));
        }
        let canary = report.canary.as_ref().filter(|c| self.version.as_ref().is_none_or(|v| v == &c.version))?;
        let (name, version, held) = (&report.name, &canary.version, words::held(report).filter(|held| held.alone)?);
        let message = format!("{version} of {name} is not decided; it waits for a person: {}", held.why);
        let again = format!("canaryd wait {name} --version {version}");
        let way = if held.go_on.starts_with("canaryd abort ") { "take it off" } else { "go on" };
        Some(
            Failure::new(Exit::Undecided, message)
                .hint(format!("{way}: {}\n        then wait again: {again}", held.go_on)),
        )
    }

    /// Why waiting any longer is of no use.
    pub(crate) fn hopeless(&self, report: &Report) -> Option<Failure> {
        let name = &report.name;
        match report.unmet.as_ref()? {
            Unmet::Blocked { version, why } => {
                let message = format!("{version} was taken off ({why}) and is not tried again by itself");
                (self.version.as_ref() == Some(version) && !moves(report)).then(|| {
                    Failure::new(Exit::No, message).hint(format!("if the cause lay elsewhere: canaryd retry {name}"))
                })
            }
            Unmet::Ignored { why } => {
                let message = format!("the manifest of {name} is not taken over: {why}");
                self.edited
                    .is_some_and(|edited| edited.elapsed() >= READ_BY_THEN)
                    .then(|| Failure::usage(message).hint("mend it: the daemon takes it over by itself then"))
            }
        }
    }

    /// That nobody asks for the version that is waited for, as far as can be seen: it may still come.
    pub(crate) fn unasked(&self, report: &Report) -> Option<String> {
        let version = self.version.as_ref()?;
        let is = |v: &VersionView| &v.version == version;
        let is_there = report.production.as_ref().is_some_and(is) || report.canary.as_ref().is_some_and(is);
        // What waits to begin, or comes after one that is taken off, is not named yet.
        let is_known = match report.phase.as_str() {
            "preflight" | "reverting" => false,
            _ => report.canary.is_some() || !moves(report),
        };
        let name = &report.name;
        (is_known && !is_there).then(|| format!("{version} is not asked for: canaryd set {name} {version} does that."))
    }

    /// Time is over: what is known of it by then.
    pub(crate) fn how_it_stands(&self, failure: Failure, seen: Option<&Report>) -> Failure {
        let Some(report) = seen.filter(|_| failure.exit == Exit::Undecided && failure.hint.is_none()) else {
            return failure;
        };
        let sentence = &report.sentence;
        failure.hint(match self.unasked(report) {
            Some(unasked) => format!("{unasked} {sentence}"),
            None => format!("now: {sentence}"),
        })
    }

    /// What became of the version that was waited for, where the report speaks of a later one.
    pub(crate) fn overtaken(&self, report: &Report) -> Option<String> {
        let last = report.outcome.as_ref();
        let mine = last.filter(|end| self.is_mine(&end.revision, &end.version, end.at));
        let end = match mine {
            Some(end) => {
                let is_another = report.canary.as_ref().is_some_and(|c| c.version != end.version);
                Some(end).filter(|end| end.outcome == Outcome::Superseded || is_another)?
            }
            None => self.earlier(report)?,
        };
        let (what, at) = (&end.version, words::date(end.at));
        Some(match end.outcome {
            Outcome::Promoted => format!("{what} was promoted at {at}"),
            Outcome::Reverted => format!("{what} was taken off at {at}: {}", end.reason),
            Outcome::Aborted => format!("{what} was aborted at {at}: {}", end.reason),
            Outcome::Superseded => format!("{what} was superseded before it was decided: {}", end.reason),
            Outcome::Undone => format!("{what} was undone at {at}: {}", end.reason),
        })
    }

    /// How the version ended before the waiting began, where others came since. That it was promoted once and is in
    /// production no more is no answer: it may be asked for again.
    fn earlier<'r>(&self, report: &'r Report) -> Option<&'r OutcomeView> {
        let version = self.version.as_ref().filter(|_| self.is_past(report))?;
        let end = report.ended.iter().find(|end| &end.version == version)?;
        (end.outcome != Outcome::Promoted).then_some(end)
    }

    /// Whether nothing that goes on is about the version that is waited for. What is being prepared may be that very
    /// version, and a way back to an earlier one takes it out of production.
    fn is_past(&self, report: &Report) -> bool {
        let Some(version) = self.version.as_ref().filter(|_| self.since.is_none() && self.revision.is_none()) else {
            return false;
        };
        let goes_back = |revision: &RevisionId| {
            report.ended.iter().any(|end| end.outcome == Outcome::Promoted && &end.revision == revision)
        };
        let is_another = |c: &VersionView| &c.version != version && !goes_back(&c.revision);
        !moves(report) || report.canary.as_ref().is_some_and(is_another)
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

fn is_blocked(report: &Report) -> bool {
    match &report.unmet {
        Some(Unmet::Blocked { .. }) => true,
        Some(Unmet::Ignored { .. }) | None => false,
    }
}

fn code(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Promoted => Exit::Yes,
        Outcome::Reverted | Outcome::Aborted | Outcome::Superseded | Outcome::Undone => Exit::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_version_that_a_later_one_took_the_place_of_is_told_of_it_first() {
        let version =
            |v: &str, r: &str| serde_json::json!({ "version": v, "revision": r, "since": "2026-11-23T12:00:00Z" });
        let report: Report = serde_json::from_value(serde_json::json!({
            "name": "shop", "phase": "observing", "sentence": "v4 is on trial", "liveWeight": 5, "wantedWeight": 5,
            "production": version("v1", "aaaaaaaaaa"), "canary": version("v4", "cccccccccc"),
            "stages": [], "checks": [], "waiting": [], "notes": [], "can": [], "replicas": {},
            "undo": { "is": "cold", "version": "v1" },
            "outcome": {
                "version": "v2", "revision": "bbbbbbbbbb", "outcome": "superseded", "at": "2026-11-23T12:00:00Z",
                "reason": "the manifest now asks for v4", "took": 12.0, "requests": 0, "failed": 0
            }
        }))
        .unwrap();
        let mut asked = Asked { version: Some("v2".to_owned()), ..Asked::default() };
        assert_eq!(asked.decide(&report), Some(Exit::No));
        let said = asked.overtaken(&report).unwrap();
        assert_eq!(said, "v2 was superseded before it was decided: the manifest now asks for v4");
        let later = Asked { version: Some("v4".to_owned()), ..Asked::default() };
        assert_eq!(later.overtaken(&report), None);
    }

    /// Production v3, promoted after `ends`, oldest first; `canary` is on trial.
    fn after(ends: &[(&str, &str)], canary: Option<&str>) -> Report {
        let revision = |version: &str| version.replace('v', "a").repeat(5);
        let view =
            |v: &str| serde_json::json!({ "version": v, "revision": revision(v), "since": "2026-11-23T12:00:00Z" });
        let end = |(version, outcome): &(&str, &str)| {
            serde_json::json!({
                "version": version, "revision": revision(version), "outcome": outcome, "at": "2026-11-23T12:00:00Z",
                "reason": "errors", "took": 12.0, "requests": 0, "failed": 0
            })
        };
        let ended: Vec<_> = ends.iter().rev().map(end).collect();
        serde_json::from_value(serde_json::json!({
            "name": "shop", "phase": if canary.is_some() { "observing" } else { "idle" }, "sentence": "v3 serves all",
            "liveWeight": 0, "wantedWeight": 0, "production": view("v3"), "canary": canary.map(view),
            "stages": [], "checks": [], "waiting": [], "notes": [], "can": [], "replicas": {},
            "undo": { "is": "cold", "version": "v1" }, "outcome": ended[0], "ended": ended
        }))
        .unwrap()
    }

    #[test]
    fn a_version_that_ended_before_a_later_one_is_answered_at_once() {
        let ends = [("v1", "promoted"), ("v2", "reverted"), ("v3", "promoted")];
        let asked = |version: &str| Asked { version: Some(version.to_owned()), ..Asked::default() };
        for canary in [None, Some("v4")] {
            let report = after(&ends, canary);
            for (version, exit) in [("v1", None), ("v2", Some(Exit::No)), ("v3", Some(Exit::Yes))] {
                assert_eq!(asked(version).decide(&report), exit, "{version} {canary:?}");
            }
            let said = asked("v2").overtaken(&report).unwrap();
            assert_eq!(said, "v2 was taken off at 2026-11-23 12:00:00 UTC: errors");
            assert_eq!(asked("v5").decide(&report), None, "nobody has heard of it yet");
        }
        let superseded = after(&[("v2", "superseded"), ("v3", "promoted")], None);
        assert_eq!(asked("v2").decide(&superseded), Some(Exit::No));
    }

    #[test]
    fn an_earlier_end_decides_nothing_while_the_version_is_tried_again_or_taken_back() {
        let ends = [("v1", "promoted"), ("v2", "reverted"), ("v3", "promoted")];
        let asked = |version: &str| Asked { version: Some(version.to_owned()), ..Asked::default() };
        assert_eq!(asked("v2").decide(&after(&ends, Some("v2"))), None, "it is on trial again");
        let undone = after(&[("v1", "promoted"), ("v3", "promoted"), ("v4", "reverted")], Some("v1"));
        assert_eq!(asked("v3").decide(&undone), None, "an undo is under way");
        let mut prepared = after(&ends, None);
        prepared.phase = "preflight".to_owned();
        assert_eq!(asked("v2").decide(&prepared), None, "it may be this one that is being prepared");
        let mut edited = Asked { since: Some(Timestamp::now()), ..asked("v2") };
        assert_eq!(edited.decide(&after(&ends, None)), None, "the edit that asks for it is not read yet");
    }

    #[test]
    fn a_version_that_nobody_asks_for_is_told_and_one_that_may_be_on_its_way_is_not() {
        let ends = [("v1", "promoted")];
        let asked = |version: &str| Asked { version: Some(version.to_owned()), ..Asked::default() };
        let unasked = |version: &str, report: &Report| asked(version).unasked(report);
        let told = unasked("v9", &after(&ends, None)).unwrap_or_default();
        assert!(told.starts_with("v9 is not asked for: canaryd set shop v9"), "{told}");
        assert!(unasked("v9", &after(&ends, Some("v2"))).is_some(), "another one is on trial");
        assert_eq!(unasked("v2", &after(&ends, Some("v2"))), None);
        let mut prepared = after(&ends, None);
        prepared.phase = "preflight".to_owned();
        assert_eq!(unasked("v9", &prepared), None);
    }
}
