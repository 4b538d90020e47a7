//! What the exit book makes of events and inspections.

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

/// What is read of a container after the engine came back: Docker started it again, and counts no restarts of before.
fn up_again(id: &str, finished: i64) -> Seen<'_> {
    Seen { restarts: 0, code: 0, ..seen(id, finished) }
}

#[test]
fn what_ended_while_the_engine_went_down_ended_with_it_from_the_first_look_on() {
    let mut book = book();
    book.deaf(ms(10_000));
    book.answered(ms(15_000), Some(EngineStart { pid: 99, at: ms(14_000) }));
    book.seen(&up_again("a", 10_300));
    assert_eq!(causes(&book, "a"), [ExitCause::Engine], "it is not listened to yet");
    book.listening(ms(15_100), Some(EngineStart { pid: 99, at: ms(14_000) }));
    assert_eq!(causes(&book, "a"), [ExitCause::Engine]);
}

#[test]
fn what_ended_before_the_engine_came_up_and_runs_again_ended_with_the_engine_that_was_there_before() {
    let mut book = ExitBook::default();
    book.answered(ms(60_000), Some(EngineStart { pid: 99, at: ms(50_000) }));
    book.seen(&up_again("by the engine", 20_000));
    book.seen(&Seen { goes_on: false, ..up_again("by hand", 20_000) });
    book.seen(&up_again("by hand, and started again", 55_000));
    let all = ["by the engine", "by hand", "by hand, and started again"].map(|id| causes(&book, id)).concat();
    assert_eq!(all, [ExitCause::Engine, ExitCause::Somebody, ExitCause::Engine], "near its start it looks after all");
}

#[test]
fn an_engine_that_came_back_before_anybody_noticed_that_it_was_gone_was_gone_all_the_same() {
    let mut book = book();
    book.answered(ms(1_000), Some(EngineStart { pid: 7, at: ms(-9_000_000) }));
    book.answered(ms(4_000), Some(EngineStart { pid: 99, at: ms(3_000) }));
    book.deaf(ms(4_100));
    book.listening(ms(4_200), Some(EngineStart { pid: 99, at: ms(3_000) }));
    book.seen(&up_again("a", 1_500));
    assert_eq!(causes(&book, "a"), [ExitCause::Engine]);
}

#[test]
fn a_clock_that_is_set_makes_no_other_engine() {
    let mut book = book();
    book.deaf(ms(0));
    book.listening(ms(2_000), Some(EngineStart { pid: 7, at: ms(-8_999_000) }));
    book.seen(&seen("a", 1_000));
    assert_eq!(causes(&book, "a"), [ExitCause::Itself]);
}
