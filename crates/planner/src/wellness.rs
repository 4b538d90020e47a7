//! Whether users are fine: what is wrong with production or with its gateway at this moment, in words. Nothing is decided by
//! it: it is said, and a person is told once of what lasts.

use canaryd_rollout::{CheckKind, ComponentName, Weight};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::crew::{Crew, Member, count};
use crate::report::{Severity, UndoView, Waiting};
use crate::trial::Kind;
use crate::turn::{Turn, is_healthy, is_presumed_healthy, is_running, occupies, why_not_healthy};
use crate::world::{ExitCause, Health, Recent, Replica, RunState};

/// What lasts this long is told; what comes and goes is in the report only.
const LASTING: SignedDuration = SignedDuration::from_secs(10);
/// Fewer requests of production in a minute say nothing about its share of failures.
const FEWEST: u64 = 20;
/// Share of failures from which users are not fine, whatever the checks allow.
const SHARE: f64 = 0.05;
/// Where an `errors` check allows more: so many times what it allows.
const TIMES: f64 = 5.0;

/// How bad it is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Grade {
    /// Some replicas are ill, others answer.
    Some,
    /// The replicas count as healthy, and many requests fail.
    Failing,
    /// No replica of production is healthy.
    Dead,
    /// Nobody reaches production: its gateway does not answer.
    Unreachable,
}

/// What is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Illness {
    pub(crate) grade: Grade,
    /// Whether users are fine: no full stop at its end.
    pub(crate) what: String,
    /// What canaryd does, or what a person can do: likewise.
    pub(crate) way_on: String,
}

/// Since when production is unwell, and how much of that a person knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unwell {
    pub(crate) since: Timestamp,
    /// The worst that was told.
    pub(crate) told: Option<Grade>,
    /// Since when it is well again.
    pub(crate) well: Option<Timestamp>,
}

impl Recent {
    /// The share of failures, where there are enough requests to say anything.
    fn telling_share(self) -> Option<f64> {
        self.share().filter(|_| self.requests >= FEWEST)
    }

    /// Whether so many fail that a plan is due, which knows what the checks allow.
    #[must_use]
    pub fn is_alarming(self) -> bool {
        self.telling_share().is_some_and(|share| share > SHARE)
    }
}

impl Turn<'_> {
    /// Whether users are fine, as far as canaryd can see.
    pub(crate) fn what_ails(&self) -> Option<Illness> {
        let version = self.production_version().filter(|_| self.memory.deletion.is_none())?;
        if self.memory.maintenance.is_some() {
            return self.deaf_gateway(&version);
        }
        self.deaf_gateway(&version)
            .or_else(|| self.dead_production(&version))
            .or_else(|| self.failing_production(&version))
            .or_else(|| self.ill_replicas(&version))
    }

    /// Whether production's app has containers and not one of them is healthy.
    pub(crate) fn production_is_dead(&self) -> bool {
        let crew = self.memory.production.as_ref().and_then(|d| Self::app_crew(&d.crews));
        crew.is_some_and(|crew| self.engine_answers() && crew.size() > 0 && self.well(crew) == 0)
    }

    fn deaf_gateway(&self, version: &str) -> Option<Illness> {
        let silent = self.world.gateway.silent.as_ref()?;
        let what = format!("users get no answers: {silent}");
        let behind = if self.memory.maintenance.is_some() { "stopped" } else { "in production" };
        Some(Illness { grade: Grade::Unreachable, what, way_on: format!("{version} is {behind} behind it") })
    }

    fn dead_production(&self, version: &str) -> Option<Illness> {
        if !self.production_is_dead() {
            return None;
        }
        let crew = self.memory.production.as_ref().and_then(|d| Self::app_crew(&d.crews))?;
        let none = if crew.size() == 1 {
            "its only container is not healthy".to_owned()
        } else {
            format!("none of its {} containers is healthy", crew.size())
        };
        let why =
            crew.running().find_map(|(o, _)| self.why_ill(crew, o)).map(|w| format!(" ({w})")).unwrap_or_default();
        let weight = self.world.gateway.traffic().canary();
        let users = match weight {
            Weight::ZERO => ": users get errors".to_owned(),
            Weight::FULL if self.stands_in() => format!(": users get {} in its place", self.stand_in()),
            Weight::FULL => String::new(),
            _ => ": requests that go to it fail".to_owned(),
        };
        let what = format!("{version} is in production, but {none}{why}{users}");
        Some(Illness { grade: Grade::Dead, what, way_on: self.way_on_when_dead(crew) })
    }

    /// What is on trial.
    fn stand_in(&self) -> String {
        if self.trial().is_some_and(|t| t.kind == Kind::Restart) {
            return "its second set".to_owned();
        }
        self.version()
    }

    /// What has to come first where production does not answer and what is on trial stands in for it.
    pub(crate) fn wait_for_production(&mut self) -> bool {
        let Some(version) = self.production_version().filter(|_| self.stands_in()) else { return false };
        let why = format!("{version} does not answer, and users get {} in its place", self.stand_in());
        self.waiting.push(Waiting::Environment { why });
        true
    }

    fn failing_production(&self, version: &str) -> Option<Illness> {
        let recent = self.world.evidence.production;
        let share = recent.telling_share()?;
        if share <= self.alarming_share() {
            return None;
        }
        let percent = (share * 100.0).round();
        let what = format!("{version} is in production; {percent} % of its requests of the last minute failed");
        Some(Illness { grade: Grade::Failing, what, way_on: self.commands(false) })
    }

    /// From which share of failures on users are not fine.
    fn alarming_share(&self) -> f64 {
        let checks = self.manifest().map(|m| m.checks.as_slice()).unwrap_or_default();
        let limits = checks.iter().filter_map(|check| match check.kind {
            CheckKind::ErrorRate { max } => Some(max * TIMES),
            CheckKind::Latency { .. } => None,
        });
        limits.fold(SHARE, f64::max)
    }

    fn ill_replicas(&self, version: &str) -> Option<Illness> {
        let crews = &self.memory.production.as_ref().filter(|_| self.engine_answers())?.crews;
        let app = ComponentName::app();
        let (name, crew, ordinal) = crews.iter().find_map(|(name, crew)| {
            crew.running().find(|(o, m)| self.is_ill(crew, *o, m)).map(|(o, _)| (name, crew, o))
        })?;
        let ill = crew.running().filter(|(o, m)| self.is_ill(crew, *o, m)).count();
        let part = if name == &app { String::new() } else { format!("{name} of ") };
        let why = self.why_ill(crew, ordinal).map(|w| format!(": {w}")).unwrap_or_default();
        let is = if ill == 1 { "is" } else { "are" };
        let what =
            format!("{version} is in production, but {ill} of {} containers of {part}it {is} ill{why}", crew.size());
        let rest = if name == &app { "the others take the requests" } else { "users send it nothing" };
        let way_on = format!("{rest}; {}", self.commands(false));
        Some(Illness { grade: Grade::Some, what, way_on })
    }

    /// Replicas of it that count as healthy, or of which nothing is known.
    fn well(&self, crew: &Crew) -> u32 {
        let well = |(o, m): &(u32, &Member)| self.replica(&crew.set, *o).is_some_and(|r| is_well(m, r));
        count(crew.running().filter(well).count())
    }

    /// It was healthy and is not any more, or it had its time to become so. What still starts is not ill, nor is what canaryd
    /// stopped itself and is about to start again.
    fn is_ill(&self, crew: &Crew, ordinal: u32, member: &Member) -> bool {
        let Some(replica) = self.replica(&crew.set, ordinal) else { return false };
        let begins = member.proven.is_none() || member.proven != replica.started_at;
        let starts = match replica.state {
            RunState::Created => true,
            RunState::Running => matches!(replica.health, Health::Starting { .. }) && begins,
            RunState::Exited => replica.exits.last().is_some_and(|exit| exit.cause == ExitCause::Us),
            RunState::Paused | RunState::Restarting => false,
        };
        !is_well(member, replica) && !starts
    }

    fn why_ill(&self, crew: &Crew, ordinal: u32) -> Option<String> {
        let Some(replica) = self.replica(&crew.set, ordinal) else {
            return Some("its container does not exist".to_owned());
        };
        match replica.state {
            RunState::Running if replica.addr.is_none() => {
                Some(format!("its container {} is not on canaryd's network", replica.container))
            }
            RunState::Running | RunState::Paused | RunState::Created | RunState::Restarting | RunState::Exited => {
                why_not_healthy(replica)
            }
        }
    }

    fn way_on_when_dead(&self, crew: &Crew) -> String {
        let down = |o: u32| !self.replica(&crew.set, o).is_some_and(occupies);
        if crew.running().any(|(o, _)| down(o)) {
            return format!("canaryd starts what is missing; {}", self.commands(true));
        }
        self.commands(true)
    }

    /// The commands that may help, the surest first.
    fn commands(&self, restart: bool) -> String {
        let name = self.memory.name().map(ToString::to_string).unwrap_or_default();
        let mut ways = Vec::new();
        let idle = self.trial().is_none();
        if let (true, UndoView::Warm { version, .. }) = (idle, self.undo_view()) {
            ways.push(format!("canaryd undo {name} goes back to {version} at once"));
        }
        if idle && restart && ways.is_empty() {
            ways.push(format!("canaryd restart {name} starts fresh containers of it"));
        }
        ways.push(format!("canaryd logs {name} shows what it says"));
        ways.join("; ")
    }

    /// What is wrong, for the report; an event when it lasts, when it gets worse, and when it is over.
    pub(crate) fn tell_wellness(&mut self) {
        self.ill = self.what_ails();
        let (now, ill) = (self.now, self.ill.clone());
        let Some(ill) = ill else { return self.tell_well() };
        let unwell = self.memory.unwell.get_or_insert(Unwell { since: now, told: None, well: None });
        unwell.well = None;
        // A clock that was set back must not keep it quiet.
        unwell.since = unwell.since.min(now);
        let lasts = now.duration_since(unwell.since) >= LASTING;
        if lasts && unwell.told.is_none_or(|told| told < ill.grade) {
            unwell.told = Some(ill.grade);
            let severity = if ill.grade == Grade::Some { Severity::Warning } else { Severity::Notify };
            self.tell(severity, "unwell", format!("{}. {}", ill.what, ill.way_on));
        }
    }

    fn tell_well(&mut self) {
        let now = self.now;
        let Some(unwell) = &mut self.memory.unwell else { return };
        let well = *unwell.well.get_or_insert(now);
        let told = unwell.told.is_some();
        if !told || now.duration_since(well.min(now)) >= LASTING {
            self.memory.unwell = None;
            if let Some(version) = self.production_version().filter(|_| told) {
                self.tell(Severity::Info, "well", format!("{version} answers again"));
            }
        }
    }

    /// Whether a look in a second is due: something is to be told then.
    pub(crate) fn owes_wellness(&self) -> bool {
        let untold = |grade: Grade| self.memory.unwell.as_ref().is_some_and(|u| u.told.is_none_or(|told| told < grade));
        match &self.ill {
            Some(ill) => untold(ill.grade),
            None => self.memory.unwell.is_some(),
        }
    }

    /// "v1 serves all", or what is wrong.
    pub(crate) fn serves(&self) -> String {
        match (&self.ill, self.production_version()) {
            (Some(ill), _) => format!("{}. {}", ill.what, ill.way_on),
            (None, Some(version)) => format!("{version} serves all"),
            (None, None) if self.world.gateway.live.is_none() => "nobody serves yet".to_owned(),
            (None, None) => "nobody serves: requests get 503".to_owned(),
        }
    }
}

/// Healthy, or nothing speaks against it: canaryd has just started, or has no way to ask it yet.
fn is_well(member: &Member, replica: &Replica) -> bool {
    let unasked = is_running(replica) && replica.health == Health::Unasked;
    let presumed = is_presumed_healthy(member, replica) && replica.addr.is_some();
    is_healthy(replica) || presumed || unasked
}
