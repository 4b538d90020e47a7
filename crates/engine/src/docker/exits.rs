//! The exit book: who or what ended a container's process. It hears every container event of the host, is told before
//! canaryd stops anything, and reads from inspections what it did not hear.
//!
//! Docker's `kill` event comes before `die` for `docker kill`, `stop`, `restart` and `rm -f`; a process that ends by
//! itself has no `kill`. A cause is worked out when it is asked for, so a neighbour that dies a moment later still counts.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::host::EngineStart;
use crate::observation::{ExitCause, ObservedExit};

/// Exits kept per container.
const KEPT: usize = 5;
/// Deaths of the host that are kept for comparison.
const DEATHS: usize = 64;
const AT_ONCE: SignedDuration = SignedDuration::from_secs(2);
/// An event is later than the exit that it tells of, but by no more than the clocks' grain earlier.
const GRAIN: SignedDuration = SignedDuration::from_millis(50);
/// A stop signal may be answered this much later.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Containers that die more often than this within `PATIENCE` prove nothing about the environment.
const CRASH_LOOP: usize = 3;
/// How long an engine takes at most to stop its containers before it goes.
const SHUTDOWN: SignedDuration = SignedDuration::from_secs(20);
/// How long a restarted engine takes to look after its containers.
const RESTORE: SignedDuration = SignedDuration::from_secs(60);

/// One container event of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) at: Timestamp,
    pub(super) id: String,
    /// Rollout and revision, of whatever instance; `None` for containers of others.
    pub(super) kin: Option<String>,
    pub(super) what: HeardKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeardKind {
    Start,
    /// With the signal's number.
    Kill(i32),
    Oom,
    Die(i64),
    Destroy,
}

/// What an inspection says about the latest exit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one inspection, each named where it is built")]
pub(super) struct Seen<'a> {
    pub(super) id: &'a str,
    pub(super) kin: Option<String>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) code: i64,
    pub(super) oom: bool,
    /// It runs again, or Docker is about to start it again.
    pub(super) goes_on: bool,
    /// Automatic restarts since it was last started by a person or by us.
    pub(super) restarts: i64,
    /// Docker would start it again after every exit that nobody asked for.
    pub(super) restarts_always: bool,
    /// A start failed.
    pub(super) failed_start: bool,
}

#[derive(Debug, Default)]
pub(super) struct ExitBook {
    pages: BTreeMap<String, Page>,
    deaths: VecDeque<Death>,
    gaps: VecDeque<Gap>,
    /// Not listening since.
    deaf_since: Option<Timestamp>,
    listening: bool,
    last_answer: Option<Timestamp>,
    engine: Option<EngineStart>,
}

#[derive(Debug, Default)]
struct Page {
    kin: Option<String>,
    /// We asked for its end; until the next start.
    ours: Option<Timestamp>,
    kill: Option<(Timestamp, i32)>,
    oom: Option<Timestamp>,
    last_heard: Option<Timestamp>,
    exits: VecDeque<Exit>,
}

#[derive(Debug, Clone)]
struct Exit {
    at: Timestamp,
    code: i64,
    oom: bool,
    /// Known from an inspection; the event may still come.
    unheard: bool,
    asked: Asked,
}

/// Whether somebody asked for an exit, as far as the container's own history tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    ByUs,
    BySomebody,
    /// The engine went away, or came up, at that moment.
    ByEngine,
}

#[derive(Debug)]
struct Death {
    at: Timestamp,
    id: String,
    kin: Option<String>,
    by_itself: bool,
}

/// A time without events, after which the engine was another process, as far as can be told. One that is only a hiccup of
/// our own connection is none: it excuses nothing.
#[derive(Debug)]
struct Gap {
    from: Timestamp,
    to: Timestamp,
}

impl ExitBook {
    /// Events are heard from now on, from this engine.
    pub(super) fn listening(&mut self, now: Timestamp, engine: Option<EngineStart>) {
        self.answered(now, engine);
        self.deaf_since = None;
        self.listening = true;
    }

    /// The engine answers. After a time without events it is known from now on whether it came back as another process.
    pub(super) fn answered(&mut self, now: Timestamp, engine: Option<EngineStart>) {
        let restarted = match (self.engine, engine) {
            (Some(before), Some(after)) => !before.is_same_life(after),
            (None, _) | (_, None) => self.deaf_since.is_some(),
        };
        if let Some(from) = self.deaf_since.or(self.last_answer).filter(|_| restarted) {
            self.gaps.push_back(Gap { from, to: now });
            trim(&mut self.gaps, 16);
        }
        self.deaf_since = self.deaf_since.map(|_| now);
        self.last_answer = Some(now);
        self.engine = engine.or(self.engine);
    }

    /// No event is heard from now on.
    pub(super) fn deaf(&mut self, now: Timestamp) {
        if self.listening {
            self.listening = false;
            self.deaf_since = Some(now);
        }
    }

    /// canaryd is about to stop or remove it.
    pub(super) fn we_stop(&mut self, id: &str, now: Timestamp) {
        self.pages.entry(id.to_owned()).or_default().ours = Some(now);
    }

    /// An event. One that was heard before is ignored.
    pub(super) fn heard(&mut self, event: &Heard) {
        let page = self.pages.entry(event.id.clone()).or_default();
        if page.last_heard.is_some_and(|last| event.at <= last) {
            return;
        }
        page.last_heard = Some(event.at);
        if page.kin.is_none() {
            page.kin.clone_from(&event.kin);
        }
        match event.what {
            HeardKind::Start => page.started(event.at),
            HeardKind::Kill(signal) => page.kill = Some((event.at, signal)),
            HeardKind::Oom => page.oom = Some(event.at),
            HeardKind::Die(code) => {
                let by_itself = page.died(event.at, code);
                self.note_death(event, by_itself && code != 0);
            }
            HeardKind::Destroy => {
                self.pages.remove(&event.id);
            }
        }
    }

    fn note_death(&mut self, event: &Heard, by_itself: bool) {
        let death = Death { at: event.at, id: event.id.clone(), kin: event.kin.clone(), by_itself };
        self.deaths.push_back(death);
        trim(&mut self.deaths, DEATHS);
        // Pages of others' containers are only needed to tell a kill from an end of its own.
        if event.kin.is_none() && self.pages.len() > 1024 {
            self.pages.retain(|_, page| page.kin.is_some());
        }
    }

    /// An inspection, which may tell of an exit that no event told of.
    pub(super) fn seen(&mut self, seen: &Seen) {
        let page = self.pages.entry(seen.id.to_owned()).or_default();
        if page.kin.is_none() {
            page.kin.clone_from(&seen.kin);
        }
        let Some(finished) = seen.finished_at else { return };
        if let Some(last) = page.exits.iter_mut().rev().find(|e| e.at >= finished - GRAIN) {
            last.oom |= seen.oom && !seen.goes_on;
            return;
        }
        let by_engine = self.went_with_engine(seen, finished);
        let listening = self.listening;
        let page = self.pages.entry(seen.id.to_owned()).or_default();
        let asked = page.asked_unheard(seen, finished, listening, by_engine);
        page.push(Exit { at: finished, code: seen.code, oom: seen.oom, unheard: true, asked });
    }

    /// Forgets containers that do not exist any more.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.pages.retain(|id, page| page.kin.is_none() || exists(id));
    }

    /// The latest exits of a container, oldest first.
    pub(super) fn exits(&self, id: &str) -> Vec<ObservedExit> {
        let Some(page) = self.pages.get(id) else { return Vec::new() };
        let exits = page.exits.iter();
        exits.map(|e| ObservedExit { at: e.at, code: e.code, oom: e.oom, cause: self.cause(id, page, e) }).collect()
    }

    fn cause(&self, id: &str, page: &Page, exit: &Exit) -> ExitCause {
        match exit.asked {
            Asked::ByUs => ExitCause::Us,
            Asked::ByEngine => ExitCause::Engine,
            Asked::BySomebody if self.in_engine_restart(exit.at, SHUTDOWN) => ExitCause::Engine,
            Asked::BySomebody => ExitCause::Somebody,
            Asked::No if self.in_engine_restart(exit.at, SignedDuration::from_secs(1)) => ExitCause::Engine,
            // Killed for its own memory limit: that is its own doing, whoever else died.
            Asked::No if exit.oom => ExitCause::Itself,
            Asked::No if self.neighbour_died(id, page, exit.at) => ExitCause::Neighbour,
            Asked::No => ExitCause::Itself,
        }
    }

    /// An end that no event told of, while the engine was away or before this one came up: the engine that is there now looked
    /// after it, or started it again.
    fn went_with_engine(&self, seen: &Seen, finished: Timestamp) -> bool {
        let by_this_one = self.engine.is_some_and(|engine| {
            let looked_after = (engine.at - AT_ONCE..=engine.at + RESTORE).contains(&finished);
            looked_after || (seen.goes_on && finished < engine.at)
        });
        by_this_one || self.in_engine_restart(finished, SignedDuration::from_secs(1))
    }

    fn in_engine_restart(&self, at: Timestamp, before: SignedDuration) -> bool {
        let over = self.gaps.iter().any(|g| g.from - before <= at && at <= g.to + SignedDuration::from_secs(5));
        over || self.deaf_since.is_some_and(|from| from - before <= at && before >= SHUTDOWN)
    }

    /// Something of another revision (or of nobody's) died by itself at the same time, and is not dying all the time.
    fn neighbour_died(&self, id: &str, page: &Page, at: Timestamp) -> bool {
        let near = |other: Timestamp, within: SignedDuration| other.duration_since(at).abs() <= within;
        let candidates = self.deaths.iter().filter(|d| {
            let kin = d.kin.is_some() && d.kin == page.kin;
            d.by_itself && d.id != id && !kin && near(d.at, AT_ONCE)
        });
        candidates.into_iter().any(|d| {
            let often = self.deaths.iter().filter(|other| other.id == d.id && near(other.at, PATIENCE)).count();
            often <= CRASH_LOOP
        })
    }
}

impl Page {
    fn started(&mut self, _at: Timestamp) {
        (self.ours, self.kill, self.oom) = (None, None, None);
    }

    /// Whether it died by itself.
    fn died(&mut self, at: Timestamp, code: i64) -> bool {
        let asked = self.asked(at);
        let oom =
            code != 0 && self.oom.take().is_some_and(|oom| at.duration_since(oom) <= SignedDuration::from_secs(10));
        // The event of an exit that an inspection already told of: the oldest one that is not later than the event.
        let known = self.exits.iter_mut().find(|e| e.unheard && e.at <= at + GRAIN);
        match known {
            Some(exit) => {
                exit.unheard = false;
                exit.oom |= oom;
                if exit.asked == Asked::No {
                    exit.asked = asked;
                }
            }
            None => self.push(Exit { at, code, oom, unheard: false, asked }),
        }
        asked == Asked::No
    }

    /// A deadly signal counts for as long as a stop may take, any other one only when death follows at once.
    fn asked(&self, at: Timestamp) -> Asked {
        if self.ours.is_some() {
            return Asked::ByUs;
        }
        let killed = self.kill.is_some_and(|(when, signal)| {
            let deadly = matches!(signal, 2 | 3 | 6 | 9 | 15);
            at.duration_since(when) <= if deadly { PATIENCE } else { AT_ONCE }
        });
        if killed { Asked::BySomebody } else { Asked::No }
    }

    /// While we listen, the event will tell. For what happened before, Docker's own state is the witness.
    fn asked_unheard(&self, seen: &Seen, finished: Timestamp, listening: bool, by_engine: bool) -> Asked {
        let asked = self.asked(finished);
        if asked != Asked::No {
            return asked;
        }
        if by_engine {
            return Asked::ByEngine;
        }
        if listening || seen.failed_start {
            return Asked::No;
        }
        match (seen.goes_on, seen.restarts_always) {
            (true, _) if seen.restarts > 0 => Asked::No,
            // Docker would have started it again: somebody stopped it.
            (false, true) => Asked::BySomebody,
            // We take the policy away before we stop; or it was started again by hand after an end that we know nothing of.
            (false, false) | (true, _) => Asked::ByUs,
        }
    }

    fn push(&mut self, exit: Exit) {
        let place = self.exits.iter().rposition(|e| e.at <= exit.at).map_or(0, |i| i + 1);
        self.exits.insert(place, exit);
        trim(&mut self.exits, KEPT);
    }
}

fn trim<T>(list: &mut VecDeque<T>, most: usize) {
    while list.len() > most {
        list.pop_front();
    }
}

#[cfg(test)]
#[path = "exits_tests.rs"]
mod tests;
