//! Exits and illness of what is on trial. An exit takes the lane to 0 % at once, whatever the cause; who is to blame is
//! decided when it can be known. An unhealthy production is never a reason to blame or to raise the canary.

use canaryd_rollout::{ComponentName, Weight, fmt};
use jiff::{SignedDuration, Timestamp};

use crate::crew::{Crew, Member};
use crate::lanes::REVERT_DRAIN;
use crate::memory::{Lack, Pause};
use crate::phase::{Phase, Watch};
use crate::report::{Outcome, Severity, Waiting};
use crate::trial::{Crash, Kind, Trial};
use crate::turn::{Did, Turn, is_healthy, is_running};
use crate::world::{Exit, ExitCause, Health, Replica};

/// Until then the cause of an exit may still turn out to be another one.
const DOUBT: SignedDuration = SignedDuration::from_secs(2);

/// Exits by itself before it was healthy: one restart is tolerated, the second exit fails the version.
const STARTS: u32 = 2;

/// Holds for the environment that end by themselves.
const HOLDS: u32 = 2;

/// An exit that was not dealt with yet.
struct News {
    component: ComponentName,
    ordinal: u32,
    exit: Exit,
}

impl Turn<'_> {
    /// Exits first, then illness, then what holds on from before.
    pub(crate) fn heed_crash(&mut self) -> Option<Did> {
        if self.trial().is_none() || self.is_reverting() {
            return None;
        }
        if !self.engine_answers() {
            return self.heed_hold(true);
        }
        if let Some(did) = self.heed_failed_before() {
            return Some(did);
        }
        let is_held = self.trial()?.crash.is_some();
        for news in self.news() {
            if let Some(did) = self.heed_exit(&news) {
                return Some(did);
            }
        }
        self.heed_vanished();
        self.heed_paused();
        self.heed_hold(is_held).or_else(|| self.heed_illness())
    }

    /// New exits of replicas on trial, oldest first.
    fn news(&self) -> Vec<News> {
        let mut news = Vec::new();
        for (name, crew) in self.trial().map(|t| &t.crews).into_iter().flatten() {
            for (ordinal, member) in crew.running() {
                let exits = self.replica(&crew.set, ordinal).map(|r| r.exits.as_slice()).unwrap_or_default();
                let fresh = exits.iter().filter(|e| member.seen.is_none_or(|seen| e.at > seen));
                news.extend(fresh.map(|e| News { component: name.clone(), ordinal, exit: e.clone() }));
            }
        }
        news.sort_by_key(|n| n.exit.at);
        news
    }

    fn heed_exit(&mut self, news: &News) -> Option<Did> {
        let exit = &news.exit;
        let age = self.now.duration_since(exit.at);
        // an exit far in the future is one from before the clock was set back
        let young = age < DOUBT && -age < DOUBT;
        let doubtful = exit.cause == ExitCause::Itself && !exit.oom && young;
        let lenient = !self.is_serving() || self.trial().is_some_and(|t| t.crash.as_ref().is_some_and(|c| c.held));
        match exit.cause {
            ExitCause::Us => self.dealt_with(news, 0),
            ExitCause::Itself if doubtful && lenient => return None,
            ExitCause::Itself if doubtful => self.hold_at_zero(news, false),
            ExitCause::Itself if lenient && !exit.oom && self.exits_of(news) + 1 < STARTS => self.dealt_with(news, 1),
            ExitCause::Itself => return Some(self.blame(news)),
            ExitCause::Somebody | ExitCause::Neighbour | ExitCause::Engine if exit.oom => {
                return Some(self.blame(news));
            }
            ExitCause::Somebody | ExitCause::Neighbour | ExitCause::Engine if lenient => self.dealt_with(news, 0),
            ExitCause::Somebody | ExitCause::Neighbour | ExitCause::Engine => {
                self.hold_at_zero(news, true);
                self.dealt_with(news, 0);
            }
        }
        None
    }

    fn blame(&mut self, news: &News) -> Did {
        let what = describe(news, self.memory_limit(news));
        let reason = if self.is_serving() { what } else { format!("{what}, before it was healthy") };
        self.take_off(Outcome::Reverted, &reason, None, None)
    }

    /// How many bytes the container may have at most.
    fn memory_limit(&self, news: &News) -> Option<u64> {
        self.trial()?.release.component(&news.component)?.container.resources.memory
    }

    fn exits_of(&self, news: &News) -> u32 {
        let crew = self.trial().and_then(|t| t.crews.get(&news.component));
        crew.and_then(|c| c.members.get(&news.ordinal)).map_or(0, |m| m.exits)
    }

    fn dealt_with(&mut self, news: &News, counts: u32) {
        let crew = self.memory.trial.as_mut().and_then(|t| t.crews.get_mut(&news.component));
        if let Some(member) = crew.and_then(|c| c.members.get_mut(&news.ordinal)) {
            member.seen = Some(news.exit.at);
            member.exits += counts;
        }
    }

    fn hold_at_zero(&mut self, news: &News, held: bool) {
        let crash = Crash {
            component: news.component.clone(),
            ordinal: news.ordinal,
            at: news.exit.at,
            what: describe(news, self.memory_limit(news)),
            held,
            failed: None,
        };
        self.hold(crash);
    }

    pub(crate) fn hold(&mut self, crash: Crash) {
        let version = self.version();
        let Some(trial) = &mut self.memory.trial else { return };
        if crash.held && !trial.is_canary() {
            return self.start_again(&crash.what);
        }
        let was_held = trial.crash.as_ref().is_some_and(|c| c.held);
        let is_new = trial.crash.as_ref().is_none_or(|c| c.failed.is_some());
        let what = crash.what.clone();
        let held = crash.held;
        if held && !was_held {
            trial.holds += 1;
            for member in trial.crews.values_mut().flat_map(|c| c.members.values_mut()) {
                member.exits = 0;
            }
        }
        if is_new || (held && !was_held) {
            trial.crash = Some(crash);
        }
        if is_new {
            self.tell(Severity::Warning, "crash", format!("{version}: {what}; its weight is 0 % at once"));
        }
        if held && !was_held {
            let message = format!("{version} is not blamed: {what}; it comes back when its replicas are healthy");
            self.tell(Severity::Warning, "held", message);
        }
    }

    /// What has no stages waits at 0 % until it is healthy, for as long as a start may take.
    fn start_again(&mut self, what: &str) {
        let version = self.version();
        self.memory.phase = Phase::Starting;
        let Some(trial) = &mut self.memory.trial else { return };
        (trial.weight, trial.crash, trial.unready) = (Weight::ZERO, None, std::time::Duration::ZERO);
        for member in trial.crews.values_mut().flat_map(|c| c.members.values_mut()) {
            (member.ready, member.exits) = (false, 0);
        }
        let message = format!("{version} is not blamed: {what}; it takes over when its replicas are healthy");
        self.tell(Severity::Warning, "held", message);
    }

    /// Containers that somebody removed: as if somebody had stopped them, and fresh ones take their place.
    fn heed_vanished(&mut self) {
        let gone = |turn: &Self, crew: &Crew, o: u32, m: &Member| m.born && turn.replica(&crew.set, o).is_none();
        let mut lost = Vec::new();
        for (name, crew) in self.trial().map(|t| &t.crews).into_iter().flatten() {
            lost.extend(crew.running().filter(|(o, m)| gone(self, crew, *o, m)).map(|(o, _)| (name.clone(), o)));
        }
        for (component, ordinal) in lost {
            if let Some(crew) = self.memory.trial.as_mut().and_then(|t| t.crews.get_mut(&component)) {
                crew.members.remove(&ordinal);
            }
            if self.is_serving() {
                let what = format!("somebody removed the container of {component} {ordinal}");
                self.hold(Crash { component, ordinal, at: self.now, what, held: true, failed: None });
            }
        }
    }

    /// While an exit holds the weight at 0: wait for the cause, or for the set. What fell in this very plan goes to 0 %
    /// first, even if it is up again by the time it is seen.
    fn heed_hold(&mut self, is_held: bool) -> Option<Did> {
        let crash = self.trial()?.crash.clone()?;
        if crash.failed.is_some() {
            return self.heed_unheard();
        }
        if !self.engine_answers() {
            return Some(Did::Hold);
        }
        if !crash.held {
            let why = format!("{}; who caused it is known in 2 s", crash.what);
            self.waiting.push(Waiting::Environment { why });
            if self.now.duration_since(crash.at).abs() >= DOUBT {
                self.hold(Crash { held: true, ..crash });
            }
            return Some(Did::Hold);
        }
        let why = format!("{}; this version is not blamed", crash.what);
        self.waiting.push(Waiting::Environment { why });
        let weight = self.trial()?.weight;
        let back = self.app_has_capacity(weight) && self.trial_is_well() && self.trial_is_drained();
        if !back || !is_held || self.memory.paused.is_some() {
            self.time_hold();
            return Some(Did::Hold);
        }
        if let Some(why) = self.blindness() {
            self.waiting.push(Waiting::Evidence { why });
            return Some(Did::Hold);
        }
        if self.trial()?.holds > HOLDS {
            self.pause_itself("its environment failed three times".to_owned());
            return Some(Did::Hold);
        }
        self.again();
        Some(Did::Move)
    }

    /// Whether the exit can cost no request any more: then the stage can begin again from zero.
    fn trial_is_drained(&self) -> bool {
        let crew = self.trial().and_then(|t| Self::app_crew(&t.crews));
        crew.is_none_or(|c| self.is_set_drained(c, REVERT_DRAIN))
    }

    /// Nobody is left waiting for an environment that does not recover: at `maxDuration` a person is told.
    fn time_hold(&mut self) {
        let Some(limits) = self.stage().and_then(|s| self.manifest()?.stages.get(s).copied()) else { return };
        let delta = self.delta;
        let Some(watch) = self.memory.phase.watch_mut().filter(|_| self.memory.paused.is_none()) else { return };
        watch.spent += delta;
        if watch.spent >= limits.max_duration.max(limits.observe) {
            let what = self.trial().and_then(|t| t.crash.as_ref()).map(|c| c.what.clone()).unwrap_or_default();
            self.pause_itself(format!("{what}, and it did not get healthy since"));
        }
    }

    /// The stage again, from zero.
    fn again(&mut self) {
        let version = self.version();
        self.renew_evidence();
        if let Some(trial) = &mut self.memory.trial {
            trial.crash = None;
        }
        self.begin_stage_again(0);
        self.tell(Severity::Info, "recovered", format!("{version} is healthy again; the stage begins again from zero"));
    }

    /// Its time is nothing; what was about to be promoted is observed once more.
    pub(crate) fn begin_stage_again(&mut self, requests: u64) {
        let watch = Watch::begin(self.now, requests);
        let canary = self.trial().is_some_and(Trial::is_canary);
        self.memory.phase = match self.memory.phase {
            Phase::Observing { stage, .. } => Phase::Observing { stage, watch },
            Phase::Soaking { .. } => Phase::Soaking { watch },
            Phase::Promoting { .. } if canary => Phase::Soaking { watch },
            Phase::Promoting { .. } | Phase::Starting => Phase::Starting,
            Phase::Idle => Phase::Idle,
            Phase::Installing => Phase::Installing,
            Phase::Preflight { .. } | Phase::Reverting { .. } => return,
        };
    }

    /// The evidence about the set on trial begins from nothing: what was counted under an earlier number is not looked at.
    pub(crate) fn renew_evidence(&mut self) {
        if let Some(trial) = self.memory.trial.as_mut().filter(|t| t.is_canary()) {
            trial.evidence += 1;
        }
    }

    pub(crate) fn pause_itself(&mut self, why: String) {
        self.pause_itself_for(None, why);
    }

    /// With what is missing, if that ends the pause.
    pub(crate) fn pause_itself_for(&mut self, lacks: Option<Lack>, why: String) {
        let pause = self.memory.paused.insert(Pause { by: None, why, at: self.now, told: self.now, lacks });
        let why = pause.why.clone();
        let message = format!("{} is paused: {why}. {}", self.version(), self.ways_on(lacks));
        self.tell(Severity::Notify, "paused", message);
    }

    /// How a pause of canaryd itself ends, for the history.
    pub(crate) fn ways_on(&self, lacks: Option<Lack>) -> String {
        let name = self.manifest().map(|m| m.name.to_string()).unwrap_or_default();
        let way_on = self.way_on();
        let reason = if way_on == "promote" { " --reason WHY" } else { "" };
        let command = format!("canaryd {way_on} {name}{reason}");
        match lacks {
            Some(Lack::Calm) => format!(
                "It goes on by itself with calmer numbers, and is taken off when a check proves harm. To take it off now: {command}"
            ),
            Some(lack) => format!("It goes on by itself with {}, at once by: {command}", self.what_is_missing(lack)),
            None => format!("To go on: {command}"),
        }
    }

    /// What ends a pause, to stand after "with" or "waits for".
    pub(crate) fn what_is_missing(&self, lack: Lack) -> String {
        match lack {
            Lack::Evidence => "enough numbers".to_owned(),
            Lack::Calm => "calmer numbers".to_owned(),
            Lack::Gateway => format!("{} % live", self.wanted_weight()),
        }
    }

    /// The one command that goes on after canaryd paused by itself.
    pub(crate) fn way_on(&self) -> &'static str {
        let held = self.trial().is_some_and(|t| t.crash.is_some() || t.refusal.is_some());
        let lacks = self.memory.paused.as_ref().and_then(|pause| pause.lacks);
        match lacks {
            Some(Lack::Gateway) => "resume",
            // Nobody is advised to give more traffic to what looks bad.
            Some(Lack::Calm) => "abort",
            Some(Lack::Evidence) | None if held || self.stage().is_none() => "resume",
            // What nobody has seen enough of goes to production on a reason alone.
            Some(Lack::Evidence) if self.granted() == Weight::FULL => "promote",
            Some(Lack::Evidence) | None => "advance",
        }
    }

    /// Every running replica of a component on trial is unhealthy: its own fault, unless production's is no better, or the
    /// engine has trouble with its containers.
    fn heed_illness(&mut self) -> Option<Did> {
        if !self.is_serving() {
            return None;
        }
        let ill = self.trial()?.crews.iter().find_map(|(name, crew)| Some((name.clone(), self.illness(crew)?)));
        let (component, why) = ill?;
        let crew = self.memory.production.as_ref().and_then(|d| d.crews.get(&component));
        let production_is_well = crew.is_none_or(|c| {
            let mut replicas = c.running().filter_map(|(o, _)| self.replica(&c.set, o)).peekable();
            replicas.peek().is_none() || replicas.any(is_healthy)
        });
        if production_is_well && self.refused {
            let ordinal = self.trial()?.crews.get(&component)?.running().next()?.0;
            let what = format!("{component} is unhealthy ({why}), while the engine has trouble with it");
            self.hold(Crash { component, ordinal, at: self.now, what, held: true, failed: None });
            return Some(Did::Hold);
        }
        if production_is_well {
            let reason = format!("{component} became unhealthy: {why}");
            return Some(self.take_off(Outcome::Reverted, &reason, None, None));
        }
        self.unwell = true;
        let why = format!("{component} is unhealthy in production, too ({why}); this version is not blamed");
        self.waiting.push(Waiting::Environment { why });
        None
    }

    /// What is wrong, if all replicas that run were healthy once and are not now.
    fn illness(&self, crew: &Crew) -> Option<String> {
        let running: Vec<&Replica> =
            crew.running().filter_map(|(o, _)| self.replica(&crew.set, o)).filter(|r| is_running(r)).collect();
        let whys: Vec<&String> = running
            .iter()
            .filter_map(|r| match &r.health {
                Health::Unhealthy { why } => Some(why),
                Health::Healthy | Health::Unasked | Health::Starting { .. } => None,
            })
            .collect();
        (!running.is_empty() && whys.len() == running.len()).then(|| whys[0].clone())
    }

    /// Whether a hold ended by a person's word.
    pub(crate) fn forgive_environment(&mut self) {
        if let Some(trial) = &mut self.memory.trial {
            trial.holds = 0;
        }
    }

    /// Weight that is granted, for texts.
    pub(crate) fn granted(&self) -> Weight {
        self.trial().map_or(Weight::ZERO, |t| t.weight)
    }

    /// Whether the trial is of this kind: an install has no lane of its own.
    pub(crate) fn is_install(&self) -> bool {
        self.trial().is_some_and(|t| t.kind == Kind::Install)
    }
}

/// The kernel's SIGKILL, as a shell tells it. Where nobody sent one, a memory limit is the likeliest reason: Docker does not
/// always hear of it (cgroup v1, or a process inside that is not the first).
const KILLED: i64 = 137;

fn describe(news: &News, memory_limit: Option<u64>) -> String {
    let News { component, ordinal, exit } = news;
    let who = by_whom(exit.cause);
    if exit.oom {
        return format!("{component} {ordinal} was killed for memory at {}", clock(exit.at));
    }
    if let (KILLED, ExitCause::Itself, Some(limit)) = (exit.code, exit.cause, memory_limit) {
        let limit = fmt::bytes(limit);
        return format!(
            "{component} {ordinal} was killed (exit code {KILLED}) at {}, probably for memory: its limit is {limit}",
            clock(exit.at)
        );
    }
    format!("{component} {ordinal} ended with exit code {} at {}{who}", exit.code, clock(exit.at))
}

/// To stand behind an exit.
pub(crate) fn by_whom(cause: ExitCause) -> &'static str {
    match cause {
        ExitCause::Itself => "",
        ExitCause::Us => ", stopped by canaryd",
        ExitCause::Somebody => ", stopped by somebody",
        ExitCause::Neighbour => ", together with a container beside it",
        ExitCause::Engine => ", together with the container engine",
    }
}

/// Time of day, UTC, for sentences.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_killed_under_a_memory_limit_is_called_so_and_nothing_else_is() {
        let said = |code, cause, limit| {
            let exit = Exit { at: Timestamp::UNIX_EPOCH, code, oom: false, cause };
            describe(&News { component: ComponentName::app(), ordinal: 1, exit }, limit)
        };
        let limit = Some(64 << 20);
        let killed = said(KILLED, ExitCause::Itself, limit);
        assert!(killed.ends_with("00:00:00 UTC, probably for memory: its limit is 64 MiB"), "{killed}");
        let others = [
            said(KILLED, ExitCause::Itself, None),
            said(KILLED, ExitCause::Somebody, limit),
            said(1, ExitCause::Itself, limit),
        ];
        assert!(
            others.iter().all(|said| said.contains("ended with exit code") && !said.contains("memory")),
            "{others:?}"
        );
    }
}
