//! The report: the same facts for every screen, the sentence first.

use std::collections::BTreeMap;

use canaryd_gateway::Lane;
use canaryd_rollout::{ComponentName, Weight};
use jiff::Timestamp;

use crate::crew::{Crews, count, several};
use crate::maintenance::Maintenance;
use crate::memory::Pause;
use crate::phase::Phase;
use crate::release::{Blocked, Release};
use crate::report::{Outcome, ReplicaCount, Report, StageState, StageView, UndoView, Unmet, VersionView, Waiting};
use crate::takeoff::past;
use crate::trial::Kind;
use crate::turn::{Turn, is_running};
use crate::wellness::Grade;

impl Turn<'_> {
    /// `None` when this name never had a manifest.
    pub(crate) fn report(&self) -> Option<Report> {
        let manifest = self.manifest()?;
        let next = self.memory.next_weight();
        let judge = self.judge();
        let view = |r: &Release, since| VersionView { version: r.version.clone(), revision: r.revision.clone(), since };
        let memory = &self.memory;
        let clock = crate::crash::clock;
        Some(Report {
            name: manifest.name.clone(),
            phase: memory.phase_name().to_owned(),
            sentence: self.sentence(),
            production: memory.production.as_ref().filter(|_| !self.is_gone()).map(|d| view(&d.release, d.since)),
            canary: memory.trial.as_ref().map(|t| view(&t.release, t.begun)),
            previous: memory.previous.as_ref().map(|p| view(&p.release, p.left)),
            live_weight: self.world.gateway.traffic().canary(),
            wanted_weight: memory.asked.as_ref().map_or(Weight::ZERO, |a| a.traffic.canary()),
            stages: if self.is_at_once() || memory.maintenance.is_some() { Vec::new() } else { self.stage_views() },
            stage: self.stage(),
            verdict: judge.map(|j| j.verdict(next)),
            checks: judge.map(|j| j.reports(next)).unwrap_or_default(),
            suspicion: judge.map(canaryd_verdict::Judge::suspicion),
            suspicion_limit: judge.map(|_| 1.0 / manifest.analysis.alpha),
            waiting: self.all_waiting(),
            notes: self.all_notes(),
            files: None,
            can: self.can(),
            undo: self.undo_view(),
            paused: memory.paused.as_ref().map(Pause::in_words),
            manual: memory.manual.as_ref().map(|m| format!("{} % by {} since {}", m.weight, m.by, clock(m.at))),
            outcome: memory.outcome.clone(),
            ended: memory.ended.clone(),
            // the same content may have got another version meanwhile: that is what is asked for
            unmet: self.blocked().map(|b| Unmet::Blocked { version: manifest.version.clone(), why: b.why.clone() }),
            replicas: self.replica_views(),
            unwell: self.ill.as_ref().map(|ill| ill.what.clone()),
            stopped: memory.maintenance.as_ref().map(Maintenance::view),
        })
    }

    fn all_waiting(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.clone();
        if let Some(why) = &self.world.engine.unreachable {
            let why = format!("the container engine cannot be asked ({why}); what serves goes on serving");
            waiting.insert(0, Waiting::Trouble { why });
        }
        if !waiting.iter().any(|w| matches!(w, Waiting::Resume { .. })) {
            // It was paused by this very plan, or in a phase that a pause does not hold up yet.
            waiting.extend(self.that_it_is_paused());
        }
        waiting
    }

    fn all_notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        let said = self.waiting.iter().any(|w| matches!(w, Waiting::GatewayLive { problem: Some(_) }));
        if let Some(problem) = self.world.gateway.problem.as_ref().filter(|_| !said) {
            notes.push(format!("gateway: {problem}"));
        }
        let said = self.waiting.iter().any(|w| matches!(w, Waiting::Settings { .. }));
        notes.extend(self.refused_settings().filter(|_| !said).map(|why| format!("gateway: {why}")));
        if self.memory.orphaned {
            let name = self.memory.name().map(ToString::to_string).unwrap_or_default();
            notes.push(format!("orphaned: its manifest is gone; canaryd delete {name} stops it"));
        }
        if self.memory.is_deleted() && self.asks().is_some() {
            notes.push("deleted; the manifest is still there: change it, or retry, to start it again".to_owned());
        }
        let Some(manifest) = self.manifest() else { return notes };
        if let Some(blocked) = self.blocked() {
            let production = self.production_version().unwrap_or_else(|| "none".to_owned());
            let why = &blocked.why;
            notes.push(format!(
                "manifest asks for {}, which {} ({why}); production is {production}",
                self.told_apart(&manifest.version, &blocked.revision),
                past(blocked.outcome)
            ));
        }
        if let Some(at) = self.trial().and_then(|t| t.rechecked) {
            let at = crate::crash::clock(at);
            notes.push(format!("the checks were changed at {at}: the evidence began from nothing"));
        }
        notes.extend(self.unbegun_while_stopped());
        if manifest.gateway.sticky.is_some() {
            notes.push("sticky traffic is judged per request for now".to_owned());
        }
        notes
    }

    fn blocked(&self) -> Option<&Blocked> {
        let manifest = self.manifest()?;
        self.memory.blocked.iter().find(|b| b.is_asked_by(manifest))
    }

    /// What is on trial takes no stages: it is the first version, the version itself once more, or the one before.
    fn is_at_once(&self) -> bool {
        self.trial().is_some_and(|t| match t.kind {
            Kind::Install | Kind::Restart | Kind::Undo { .. } => true,
            Kind::Canary => false,
        })
    }

    fn stage_views(&self) -> Vec<StageView> {
        let Some(manifest) = self.manifest() else { return Vec::new() };
        let here = self.stage();
        let total = self.requests().0;
        let view = |(index, stage): (usize, &canaryd_rollout::Stage)| {
            let passed = self.trial().and_then(|t| t.passed.get(&index));
            let watch = self.memory.phase.watch().filter(|_| here == Some(index));
            let state = match (watch, passed) {
                (Some(_), _) => StageState::Current,
                (None, Some(_))
                    if self.is_reverting() && self.trial().is_some_and(|t| t.passed.keys().last() == Some(&index)) =>
                {
                    StageState::Failed
                }
                (None, Some(p)) if p.skipped => StageState::Skipped,
                (None, Some(_)) => StageState::Passed,
                (None, None) if here.is_some_and(|h| index < h) => StageState::Skipped,
                (None, None) => StageState::Ahead,
            };
            StageView {
                weight: stage.weight,
                observe: stage.observe,
                observed: watch.map(|w| w.observed).or(passed.map(|p| p.observed)).unwrap_or_default(),
                requests: watch
                    .map(|w| total.saturating_sub(w.requests_before))
                    .or(passed.map(|p| p.requests))
                    .unwrap_or(0),
                state,
            }
        };
        manifest.stages.iter().enumerate().map(view).collect()
    }

    /// What a person can say now. While the journal cannot be written that is what lowers.
    fn can(&self) -> Vec<String> {
        let mut verbs = self.verbs();
        if self.world.journal_trouble.is_some() {
            verbs.retain(|verb| verb == "abort");
        }
        if self.precaution().is_some() {
            verbs.retain(|verb| verb != "advance");
        }
        verbs
    }

    fn verbs(&self) -> Vec<String> {
        let verbs: &[&str] = match (&self.memory.phase, self.memory.paused.is_some() || self.memory.manual.is_some()) {
            (Phase::Observing { .. } | Phase::Soaking { .. }, true) => {
                &["resume", "advance", "abort", "promote", "traffic"]
            }
            (Phase::Observing { .. } | Phase::Soaking { .. }, false) => {
                &["abort", "pause", "advance", "promote", "traffic"]
            }
            (
                Phase::Preflight { .. } | Phase::Installing | Phase::Starting | Phase::Promoting { swapped: false },
                true,
            ) => &["resume", "abort"],
            (Phase::Preflight { .. } | Phase::Installing | Phase::Starting, false) => &["abort", "pause"],
            (Phase::Promoting { swapped: false }, false) => &["abort"],
            (Phase::Promoting { swapped: true } | Phase::Reverting { .. }, _) => &[],
            (Phase::Idle, _) => return self.can_when_idle(),
        };
        verbs.iter().map(|v| (*v).to_owned()).collect()
    }

    /// It is being deleted, and nobody gets anything of it any more.
    fn is_gone(&self) -> bool {
        let nobody = !self.world.gateway.traffic().reaches_somebody() || self.world.sets.is_empty();
        self.memory.is_being_deleted() && nobody
    }

    fn can_when_idle(&self) -> Vec<String> {
        if self.memory.is_being_deleted() {
            return Vec::new();
        }
        if let Some(held) = &self.memory.maintenance {
            let verb = if held.back.is_some() { "stop" } else { "start" };
            return vec![verb.to_owned(), "delete".to_owned()];
        }
        let blocked = self.manifest().is_some_and(|m| self.is_blocked(m));
        let undo = self.memory.previous.is_some() && self.undo_is_open();
        let deleted = self.memory.is_deleted();
        let all = [
            ("retry", blocked || deleted),
            ("undo", undo),
            ("restart", self.memory.production.is_some()),
            ("stop", self.memory.production.is_some()),
            ("delete", !deleted),
        ];
        all.into_iter().filter(|(_, sense)| *sense).map(|(verb, _)| verb.to_owned()).collect()
    }

    pub(crate) fn undo_view(&self) -> UndoView {
        let Some(previous) = &self.memory.previous else {
            return UndoView::Impossible { why: "there is no earlier version".to_owned() };
        };
        let version = previous.release.version.clone();
        if !self.undo_is_open() {
            return UndoView::Impossible { why: "rollbackWindow is over".to_owned() };
        }
        if previous.crews.is_empty() {
            UndoView::Cold { version }
        } else {
            UndoView::Warm { version, until: previous.warm_until }
        }
    }

    fn replica_views(&self) -> BTreeMap<ComponentName, BTreeMap<Lane, ReplicaCount>> {
        let mut views = BTreeMap::new();
        let production = self.memory.production.as_ref().map(|d| (Lane::Production, &d.crews));
        let lane = if self.is_install() { Lane::Production } else { Lane::Canary };
        let trial = self.memory.trial.as_ref().map(|t| (lane, &t.crews));
        for (lane, crews) in production.into_iter().chain(trial) {
            self.count_replicas(lane, crews, &mut views);
        }
        views
    }

    fn count_replicas(
        &self,
        lane: Lane,
        crews: &Crews,
        views: &mut BTreeMap<ComponentName, BTreeMap<Lane, ReplicaCount>>,
    ) {
        for (name, crew) in crews {
            let up = crew.running().filter_map(|(o, _)| self.replica(&crew.set, o)).filter(|r| is_running(r)).count();
            let numbers = ReplicaCount { healthy: self.healthy(crew), running: count(up), wanted: crew.size() };
            views.entry(name.clone()).or_default().insert(lane, numbers);
        }
    }

    /// Are users fine, do I have to do something?
    fn sentence(&self) -> String {
        let mut sentence = self.main_sentence();
        if let Some(ailing) = self.ailing.as_ref().filter(|_| self.memory.maintenance.is_none()) {
            sentence.push_str(&format!(" But {ailing}."));
        }
        // Every screen leaves it to the sentence.
        let is_said =
            |pause: &&Pause| sentence.contains(&pause.why) || (pause.by.is_none() && self.refusal().is_some());
        let unsaid = self.memory.paused.as_ref().filter(|pause| !is_said(pause));
        if let Some(pause) = unsaid.and(self.pause_sentence()) {
            sentence.push_str(&format!(" {pause}"));
        }
        sentence
    }

    /// Why it stands still, and with what it goes on by itself.
    pub(crate) fn pause_sentence(&self) -> Option<String> {
        let pause = self.memory.paused.as_ref()?;
        let ends = pause.lacks.map(|lack| format!("; it goes on by itself with {}", self.what_is_missing(lack)));
        Some(format!("It waits: paused {}{}.", pause.in_words(), ends.unwrap_or_default()))
    }

    fn main_sentence(&self) -> String {
        let production = self.production_version();
        let serves = self.serves();
        let version = self.version();
        if let Some(deletion) = &self.memory.deletion {
            let going = "it is being deleted: first its traffic, then its containers and its gateway.";
            return if deletion.done.is_some() { "deleted; nothing of it serves." } else { going }.to_owned();
        }
        if let Some(stopped) = self.maintenance_sentence() {
            return stopped;
        }
        match self.memory.phase {
            Phase::Idle => self.idle_sentence(&serves),
            Phase::Preflight { .. } if self.waits_for_turn() => format!("{serves}. {version} waits for its turn."),
            Phase::Preflight { .. } => format!("{serves}. {version} is being prepared."),
            Phase::Installing | Phase::Starting if self.refusal().is_some() => {
                format!("{serves}. {version} cannot be started: {}.", self.refusal().unwrap_or_default())
            }
            Phase::Installing => self.install_sentence(&version),
            Phase::Starting => format!("{serves}. {}", self.starting_sentence(&version)),
            Phase::Observing { .. } | Phase::Soaking { .. } => self.split_sentence(&version, production.as_deref()),
            Phase::Promoting { swapped: false } => {
                let ill = self.ill.as_ref().map(|ill| format!("{}. ", ill.what)).unwrap_or_default();
                let restart = self.trial().is_some_and(|t| t.kind == Kind::Restart);
                let what = if restart { format!("the second set of {version}") } else { version };
                format!("{ill}{what} is healthy and takes over now.")
            }
            Phase::Promoting { swapped: true } => format!("{serves}. The change is being finished."),
            Phase::Reverting { .. } if self.trial().is_some_and(|t| t.kind == Kind::Restart) => {
                format!("{serves}. Its second set does not take over and is being stopped.")
            }
            Phase::Reverting { .. } => self.outcome_sentence(&serves),
        }
    }

    fn starting_sentence(&self, version: &str) -> String {
        let restart = self.trial().is_some_and(|t| t.kind == Kind::Restart);
        let what = if restart { format!("a second set of {version}") } else { version.to_owned() };
        if self.waits_for_turn() {
            return format!("{what} waits for its turn to start.");
        }
        let gets = if self.stands_in() { "" } else { " and gets no requests yet" };
        format!("{what} is being started{gets}.")
    }

    fn waits_for_turn(&self) -> bool {
        self.waiting.iter().any(|w| matches!(w, Waiting::Slot { .. }))
    }

    fn install_sentence(&self, version: &str) -> String {
        let healthy = self.trial().and_then(|t| Self::app_crew(&t.crews)).map_or(0, |c| self.healthy(c));
        if healthy > 0 && self.world.gateway.problem.is_some() {
            return format!(
                "{version}, the first version, is healthy, but nobody can reach it: its gateway does not run."
            );
        }
        if healthy > 0 && self.world.gateway.traffic().reaches_somebody() {
            return format!("{version}, the first version, serves all; not all of its containers are healthy yet.");
        }
        format!("{version}, the first version, is being started; it serves as soon as it is healthy.")
    }

    fn split_sentence(&self, version: &str, production: Option<&str>) -> String {
        let weight = self.world.gateway.traffic().canary();
        let production = production.unwrap_or("nobody");
        let split =
            format!("{weight} % of users' requests go to {version}, {} % to {production}.", weight.complement());
        let held = self.trial().and_then(|t| t.crash.as_ref());
        let unseen = self.precaution_sentence(version);
        if held.is_none()
            && unseen.is_none()
            && let Some(blind) = self.blind_sentence(version)
        {
            let stuck = || self.next_need().filter(|_| self.world.journal_trouble.is_some());
            let rest = self.pause_sentence().or_else(stuck).map(|need| format!(" {need}")).unwrap_or_default();
            return format!("{blind} {split}{rest}");
        }
        let rest = match (held, self.refusal(), self.next_need()) {
            (Some(crash), _, _) if self.memory.paused.as_ref().is_some_and(|p| p.why.contains(&crash.what)) => {
                format!("{version} is off as a precaution. {}", self.pause_sentence().unwrap_or_default())
            }
            (Some(crash), _, _) => format!("{version} is off as a precaution: {}.", crash.what),
            (None, Some(why), _) => format!("{version} is off: {why}."),
            (None, None, need) if let Some(unseen) = unseen => {
                let stuck = need.filter(|_| self.world.journal_trouble.is_some());
                format!("{unseen}{}", stuck.map(|need| format!(" {need}")).unwrap_or_default())
            }
            (None, None, Some(need)) => need,
            (None, None, None) if self.ill.is_some() => "No sign that it does harm.".to_owned(),
            (None, None, None) => format!("{}.", self.no_sign_of_harm()),
        };
        match &self.ill {
            None => format!("{split} {rest}"),
            // What is wrong with production hurts nobody now.
            Some(ill) if weight == Weight::FULL && ill.grade < Grade::Unreachable && !self.stands_in() => {
                format!("{split} {rest} {}.", ill.what)
            }
            Some(ill) => format!("{}. {}. {split} {rest}", ill.what, ill.way_on),
        }
    }

    /// What the host refuses to the trial, and how it goes on.
    fn refusal(&self) -> Option<String> {
        let refusal = self.trial()?.refusal.as_ref().filter(|refusal| refusal.host)?;
        let name = self.memory.name().map(ToString::to_string).unwrap_or_default();
        let goes_on = match self.memory.paused {
            Some(_) => format!("then canaryd resume {name}"),
            None => "it is tried again by itself".to_owned(),
        };
        Some(format!("{}; {goes_on}", refusal.what))
    }

    fn next_need(&self) -> Option<String> {
        self.waiting.iter().find_map(|w| match w {
            Waiting::Resume { .. } => self.pause_sentence(),
            Waiting::Settings { why } => Some(format!("It waits: {why}.")),
            Waiting::Manual { why } => Some(format!("The weight is set by hand: {why}.")),
            Waiting::Evidence { why } if self.is_suspicious() => {
                let name = &self.manifest()?.name;
                Some(format!("It waits: {why}; canaryd abort {name} takes it off at once."))
            }
            Waiting::Evidence { why } => Some(format!("Nothing can be said now: {why}.")),
            Waiting::Environment { .. } if self.stands_in() => {
                let production = self.production_version().unwrap_or_default();
                Some(format!("Its stage waits until {production} answers."))
            }
            Waiting::Environment { why } => Some(format!("It waits for its environment: {why}.")),
            Waiting::Samples { need, .. } => {
                let next = self.memory.next_weight().unwrap_or(1.0) * 100.0;
                let all = self.granted() == Weight::FULL;
                let goal = if all { "production".to_owned() } else { format!("{next} %") };
                let more = several(*need, "more request");
                Some(format!("{}; {more} before {goal}.", self.no_sign_of_harm()))
            }
            Waiting::GatewayLive { problem: Some(problem) } => {
                Some(format!("The gateway has not taken over {} % yet: {problem}.", self.wanted_weight()))
            }
            Waiting::Trouble { why } if self.refused || self.world.journal_trouble.is_some() => {
                Some(format!("It waits: {why}."))
            }
            Waiting::ImagePull { .. }
            | Waiting::Healthy { .. }
            | Waiting::GatewayLive { .. }
            | Waiting::Sight { .. }
            | Waiting::Time { .. }
            | Waiting::Drain { .. }
            | Waiting::Slot { .. }
            | Waiting::Workers { .. }
            | Waiting::Trouble { .. }
            | Waiting::Ending { .. }
            | Waiting::Start { .. }
            | Waiting::Deletion { .. } => None,
        })
    }

    /// What the manifest asks for is blocked: said of that version, whatever happened last.
    fn idle_sentence(&self, serves: &str) -> String {
        let asked = self.manifest().zip(self.blocked());
        asked.map_or(format!("{serves}."), |(manifest, b)| {
            self.end_sentence(b.outcome, &self.told_apart(&manifest.version, &b.revision), b.at, serves)
        })
    }

    fn outcome_sentence(&self, serves: &str) -> String {
        let outcome = self.memory.outcome.as_ref();
        outcome.map_or(format!("{serves}."), |o| {
            self.end_sentence(o.outcome, &self.told_apart(&o.version, &o.revision), o.at, serves)
        })
    }

    fn end_sentence(&self, outcome: Outcome, version: &str, at: Timestamp, serves: &str) -> String {
        let at = crate::crash::clock(at);
        let what = match outcome {
            Outcome::Reverted | Outcome::Promoted => format!("{version} was taken off at {at}"),
            Outcome::Aborted => format!("{version} was aborted at {at}"),
            Outcome::Superseded => format!("{version} gave way at {at}"),
            Outcome::Undone => format!("{version} was undone at {at}"),
        };
        match &self.memory.production {
            Some(_) if self.ill.is_some() => format!("{serves}. {what}."),
            Some(_) if self.ailing.is_none() => format!("users are fine. {what}; {serves}. Nothing to do tonight."),
            Some(_) | None => format!("{what}; {serves}."),
        }
    }
}
