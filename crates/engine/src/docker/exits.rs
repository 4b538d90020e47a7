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
    /// The engine came up at that moment, long before we looked.
    ByEngine,
}

#[derive(Debug)]
struct Death {
    at: Timestamp,
    id: String,
    kin: Option<String>,
    by_itself: bool,
}

/// A time without events.
#[derive(Debug)]
struct Gap {
    from: Timestamp,
    to: Timestamp,
    /// Whether the engine came back as another process; `None`: cannot be told.
    restarted: Option<bool>,
}

impl ExitBook {
    /// Events are heard from now on, from this engine.
    pub(super) fn listening(&mut self, now: Timestamp, engine: Option<EngineStart>) {
        if let Some(from) = self.deaf_since.take() {
            let restarted = match (self.engine, engine) {
                (Some(before), Some(after)) => Some(before != after),
                (None, _) | (_, None) => None,
            };
            self.gaps.push_back(Gap { from, to: now, restarted });
            trim(&mut self.gaps, 16);
        }
        self.listening = true;
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
        let engine_came_up = self.engine;
        let listening = self.listening;
        let page = self.pages.entry(seen.id.to_owned()).or_default();
        if page.kin.is_none() {
            page.kin.clone_from(&seen.kin);
        }
        let Some(finished) = seen.finished_at else { return };
        if let Some(last) = page.exits.iter_mut().rev().find(|e| e.at >= finished - GRAIN) {
            last.oom |= seen.oom && !seen.goes_on;
            return;
        }
        let asked = page.asked_unheard(seen, finished, listening, engine_came_up);
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

    /// A gap that is only a hiccup of our own connection excuses nothing.
    fn in_engine_restart(&self, at: Timestamp, before: SignedDuration) -> bool {
        let restarts = self.gaps.iter().filter(|g| g.restarted.unwrap_or(true));
        let over = restarts.into_iter().any(|g| g.from - before <= at && at <= g.to + SignedDuration::from_secs(5));
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
    fn asked_unheard(&self, seen: &Seen, finished: Timestamp, listening: bool, engine: Option<EngineStart>) -> Asked {
        let asked = self.asked(finished);
        if asked != Asked::No {
            return asked;
        }
        if engine.is_some_and(|e| (e.at - AT_ONCE..=e.at + RESTORE).contains(&finished)) {
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
mod tests {
    use super::*;
    use HeardKind::{Destroy, Die, Kill, Oom, Start};

    const BASE: i64 = 1_800_000_000_000;

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(BASE + millis).unwrap()
    }

    fn book() -> ExitBook {
        let mut book = ExitBook::default();
        book.listening(ms(-1_000_000), Some(EngineStart { pid: 7, at: ms(-9_000_000) }));
        book
    }

    fn hear(book: &mut ExitBook, id: &str, kin: Option<&str>, events: &[(i64, HeardKind)]) {
        for (at, what) in events {
            book.heard(&Heard { at: ms(*at), id: id.into(), kin: kin.map(Into::into), what: *what });
        }
    }

    fn seen(id: &str, finished: i64) -> Seen<'_> {
        Seen {
            id,
            kin: Some("shop r1".into()),
            finished_at: Some(ms(finished)),
            code: 1,
            oom: false,
            goes_on: true,
            restarts: 1,
            restarts_always: true,
            failed_start: false,
        }
    }

    fn causes(book: &ExitBook, id: &str) -> Vec<ExitCause> {
        book.exits(id).iter().map(|e| e.cause).collect()
    }

    const OURS: Option<&str> = Some("shop r1");

    #[test]
    fn a_process_that_ends_unasked_ends_by_itself() {
        let mut book = book();
        hear(&mut book, "a", OURS, &[(0, Start), (5_000, Die(1)), (5_100, Start), (6_000, Die(0))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Itself, ExitCause::Itself]);
        assert_eq!(book.exits("a")[0].code, 1);
    }

    #[test]
    fn docker_kill_stop_and_rm_are_somebodys() {
        for events in [&[(10, Kill(9)), (20, Die(137))][..], &[(10, Kill(15)), (9_000, Kill(9)), (9_100, Die(137))]] {
            let mut book = book();
            hear(&mut book, "a", OURS, events);
            assert_eq!(causes(&book, "a"), [ExitCause::Somebody]);
        }
    }

    #[test]
    fn a_reload_signal_long_before_a_crash_asked_for_nothing() {
        let mut book = book();
        hear(&mut book, "a", OURS, &[(0, Kill(1)), (60_000, Die(139))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
    }

    #[test]
    fn what_we_stop_is_ours_until_it_starts_again() {
        let mut book = book();
        book.we_stop("a", ms(0));
        hear(&mut book, "a", OURS, &[(5, Kill(15)), (900, Die(0)), (2_000, Start), (8_000, Die(3))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Us, ExitCause::Itself]);
    }

    #[test]
    fn a_neighbours_death_within_two_seconds_excuses_and_one_of_the_same_revision_does_not() {
        let mut book = book();
        hear(&mut book, "a", OURS, &[(10_000, Die(1))]);
        hear(&mut book, "sibling", OURS, &[(10_500, Die(1))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
        hear(&mut book, "database", None, &[(11_500, Die(137))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Neighbour], "known only afterwards");
        hear(&mut book, "late", Some("shop r2"), &[(15_000, Die(1))]);
        assert_eq!(causes(&book, "late"), [ExitCause::Itself]);
    }

    #[test]
    fn a_neighbour_that_finished_was_stopped_or_always_crashes_excuses_nothing() {
        let mut book = book();
        hear(&mut book, "cron", None, &[(10_000, Die(0))]);
        hear(&mut book, "stopped", None, &[(9_900, Kill(15)), (10_000, Die(143))]);
        hear(&mut book, "loop", None, &[(1_000, Die(1)), (4_000, Die(1)), (7_000, Die(1)), (10_000, Die(1))]);
        hear(&mut book, "a", OURS, &[(10_000, Die(1))]);
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
    }

    #[test]
    fn an_out_of_memory_kill_is_its_own_doing() {
        let mut book = book();
        hear(&mut book, "a", OURS, &[(0, Oom), (300, Die(137))]);
        hear(&mut book, "database", None, &[(400, Die(137))]);
        assert!(book.exits("a")[0].oom);
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
    }

    #[test]
    fn an_engine_that_comes_back_as_another_process_ended_them() {
        let mut book = book();
        hear(&mut book, "a", OURS, &[(0, Kill(15)), (3_000, Die(0))]);
        book.deaf(ms(9_000));
        assert_eq!(causes(&book, "a"), [ExitCause::Engine], "the engine is away, right after it stopped them");
        book.listening(ms(14_000), Some(EngineStart { pid: 99, at: ms(12_000) }));
        assert_eq!(causes(&book, "a"), [ExitCause::Engine]);
        book.seen(&seen("b", 12_500));
        assert_eq!(causes(&book, "b"), [ExitCause::Engine]);
    }

    #[test]
    fn a_hiccup_of_our_own_connection_excuses_nothing() {
        let mut book = book();
        book.deaf(ms(0));
        book.listening(ms(2_000), Some(EngineStart { pid: 7, at: ms(-9_000_000) }));
        book.seen(&seen("a", 1_000));
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
    }

    #[test]
    fn an_exit_that_inspection_and_event_both_tell_of_is_one() {
        let mut book = book();
        book.seen(&seen("a", 1_000));
        assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
        hear(&mut book, "a", OURS, &[(990, Kill(9)), (1_030, Die(137))]);
        book.seen(&seen("a", 1_000));
        assert_eq!(causes(&book, "a"), [ExitCause::Somebody]);
        hear(&mut book, "a", OURS, &[(1_200, Start), (1_400, Die(1))]);
        assert_eq!(book.exits("a").len(), 2);
    }

    #[test]
    fn before_we_listened_dockers_state_is_the_witness() {
        let mut book = ExitBook::default();
        book.seen(&Seen { goes_on: false, ..seen("stopped by hand", 0) });
        book.seen(&Seen { goes_on: false, restarts_always: false, ..seen("kept by us", 0) });
        book.seen(&Seen { restarts: 4, ..seen("crashed", 0) });
        book.seen(&Seen { restarts: 0, ..seen("started again by hand", 0) });
        let all = ["stopped by hand", "kept by us", "crashed", "started again by hand"].map(|id| causes(&book, id));
        assert_eq!(all.concat(), [ExitCause::Somebody, ExitCause::Us, ExitCause::Itself, ExitCause::Us]);
    }

    #[test]
    fn the_book_is_bounded_and_forgets_what_is_removed() {
        let mut book = book();
        for n in 0..100 {
            hear(&mut book, "a", OURS, &[(n * 10_000, Die(1)), (n * 10_000 + 10, Start)]);
        }
        assert_eq!(book.exits("a").len(), KEPT);
        assert!(book.deaths.len() <= DEATHS);
        hear(&mut book, "a", OURS, &[(2_000_000, Destroy)]);
        assert!(book.exits("a").is_empty());
        book.seen(&seen("b", 0));
        book.retain(|id| id != "b");
        assert!(book.exits("b").is_empty());
    }
}
