//! The laws, tried on random histories. Every plan of every history is checked by `sim/laws.rs`; here is what is asked at
//! the end of each. A history that breaks a law is cut down to the events that it needs, and shown.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "laws/chance.rs"]
mod chance;
#[path = "laws/hands.rs"]
mod hands;
#[path = "laws/program.rs"]
mod program;
#[path = "laws/refusing.rs"]
mod refusing;
#[path = "laws/relief.rs"]
mod relief;
#[path = "sim/mod.rs"]
mod sim;
#[path = "laws/unseen.rs"]
mod unseen;

use std::time::Duration;

use canaryd_gateway::{Lane, Traffic};
use canaryd_planner::{Desired, Fault, RunState, Verb, Waiting};
use canaryd_rollout::{SetId, Weight};

use chance::{Dice, Event, befall, heal, history, newborn};
use sim::Sim;
use sim::laws::LARGEST_MEMORY;

thread_local! {
    /// Panics of this thread are not worth a word.
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// While a history is tried, panics are findings and no failures yet.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
}

/// Tries the seeds of one law.
fn for_each_history(law: &str, seeds: std::ops::Range<u64>, events: usize, check: fn(&[Event])) {
    for_each(law, seeds.map(|seed| (seed, history(seed, events))), check);
}

fn for_each(law: &str, histories: impl Iterator<Item = (u64, Vec<Event>)>, check: fn(&[Event])) {
    hush();
    for (seed, history) in histories {
        if breaks(&history, check).is_some() {
            let least = cut_down(history, check);
            sim::LOUD.set(true);
            let why = breaks(&least, check).unwrap();
            panic!("{law}, seed {seed}: {why}\nafter {least:#?}");
        }
    }
}

fn breaks(history: &[Event], check: fn(&[Event])) -> Option<String> {
    QUIET.set(true);
    let caught = std::panic::catch_unwind(|| check(history));
    QUIET.set(false);
    let caught = caught.err()?;
    let text = caught.downcast_ref::<String>().cloned();
    Some(text.or_else(|| caught.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default())
}

/// Leaves out every event that is not needed to break the law.
fn cut_down(mut history: Vec<Event>, check: fn(&[Event])) -> Vec<Event> {
    let mut at = history.len();
    while at > 0 {
        at -= 1;
        let mut shorter = history.clone();
        shorter.remove(at);
        if breaks(&shorter, check).is_some() {
            history = shorter;
        }
    }
    history
}

fn live(history: &[Event]) -> Sim {
    let mut sim = newborn();
    for event in history {
        befall(&mut sim, event);
    }
    sim
}

/// A person lets go of every pause and of the weight, and pushes what has too little traffic, until nothing moves any more.
fn go_on(sim: &mut Sim) {
    sim.say(Verb::Start);
    for n in 0..10 {
        sim.say(Verb::Resume);
        if n > 4 {
            sim.say(Verb::Advance);
        }
        sim.until("idle", |s| s.is_idle() || s.is_paused());
        if sim.is_idle() {
            return;
        }
    }
    panic!("it pauses again and again: {}", sim.why());
}

/// With everything well again, it comes to rest without help, asks for nothing any more, and has forgotten what it can.
fn it_comes_to_rest(history: &[Event]) {
    let mut sim = live(history);
    heal(&mut sim);
    go_on(&mut sim);
    sim.advance(80); // keepPrevious and keepFailed are over by then, even if the clock was set back
    for _ in 0..20 {
        sim.tick();
        let last = sim.last.as_ref().unwrap();
        assert!(last.actions.is_empty() && last.events.is_empty(), "law 9: {:?} {:?}", last.actions, last.events);
    }
    let size = serde_json::to_string(&sim.memory).unwrap().len();
    assert!(size < LARGEST_MEMORY, "law 10: a memory of {size} bytes");
    let needed = sim.memory.revisions();
    assert!(sim.docker.kept.is_subset(&needed), "law 10: kept {:?}, needed {needed:?}", sim.docker.kept);
}

#[test]
fn whatever_happens_the_laws_hold_and_it_comes_to_rest() {
    for_each_history("laws 1 to 4, 7, 9, 10, 11", 1..2500, 25, it_comes_to_rest);
}

#[test]
fn whatever_happens_in_long_histories_the_laws_hold_and_it_comes_to_rest() {
    for_each_history("laws 1 to 4, 7, 9, 10, 11", 10_000..10_600, 100, it_comes_to_rest);
}

/// At one and the same moment, with a gateway and an engine that follow, planning ends.
fn it_has_a_fixpoint(history: &[Event]) {
    let mut sim = live(history);
    (sim.nginx.delay, sim.nginx.problem) = (Duration::ZERO, None);
    sim.docker.refused.clear(); // what is refused is asked for again and again
    sim.advance(3); // what was asked of the gateway before is live by then
    sim.settle();
}

#[test]
fn a_plan_of_a_plan_is_nothing_to_do() {
    for_each_history("the fixpoint", 20_000..22_000, 20, it_has_a_fixpoint);
}

/// Law 5: weight 0 in the very next plan, then idle with nothing but an engine that answers.
fn abort_works(history: &[Event]) {
    let mut sim = live(history);
    (sim.world.engine.unreachable, sim.world.engine.asking) = (None, false);
    sim.world.journal_trouble = None;
    let version = sim.production();
    let swapped =
        sim.memory.phase_name() == "promoting" && sim.last.iter().flat_map(|p| &p.report).all(|r| r.canary.is_none());
    if swapped {
        sim.nginx.problem = None; // an abort is refused: it goes forward, and that needs a gateway
    }
    sim.say(Verb::Abort);
    let asked = sim.memory.asked().map_or(Weight::ZERO, |a| a.traffic.canary());
    assert!(asked == Weight::ZERO, "law 5: {asked} % after an abort");
    sim.world.desired = Desired::Unknown;
    // Being deleted, nothing is on trial either, however long its gateway takes.
    // What is stopped for maintenance stays so.
    let rests = ["idle", "deleting", "stopping", "stopped", "returning"];
    sim.until("idle after an abort", |s| rests.contains(&s.memory.phase_name()));
    let deleted = history.iter().any(|e| matches!(e, Event::Say(Verb::Delete)));
    assert!(swapped || deleted || sim.production() == version, "law 5: {version:?} became {:?}", sim.production());
}

#[test]
fn abort_works_in_every_state() {
    for_each_history("law 5", 30_000..32_500, 20, abort_works);
}

/// Law 11: what fails while the journal cannot be written is at 0 % all the same.
fn lowering_needs_no_journal(history: &[Event]) {
    let mut sim = live(history);
    heal(&mut sim);
    sim.tick();
    sim.world.journal_trouble = Some("no space left".to_owned());
    sim.world.engine.unreachable = Some("gone".to_owned());
    sim.users.silent = None;
    sim.users.extra(500, 500);
    sim.tick();
    let judged = sim.memory.canary_set().is_some() && sim.memory.phase_name() != "starting";
    let waits = sim.last.iter().flat_map(|p| &p.report).flat_map(|r| &r.waiting);
    let is_suspected =
        |w: &Waiting| matches!(w, Waiting::Environment { why } if why.contains("whether it is to blame"));
    if judged && waits.into_iter().any(is_suspected) {
        assert_eq!(sim.weight(), Weight::ZERO, "law 11: not lowered");
    }
}

#[test]
fn a_lowering_needs_neither_journal_nor_engine() {
    for_each_history("law 11", 40_000..41_000, 20, lowering_needs_no_journal);
}

/// Law 6: kills between any actions lead to the same end as none.
fn kills_change_nothing(seeds: std::ops::RangeInclusive<u64>, kills: fn(&mut Dice, u64) -> Vec<program::Kill>) {
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let program = program::random(&mut dice);
        let (end, turns) = program::run(&program, &[]);
        let kills = kills(&mut dice, turns);
        let (killed, _) = program::run(&program, &kills);
        sim::LOUD.set(killed != end);
        if killed != end {
            program::run(&program, &kills);
        }
        assert_eq!(killed, end, "law 6, seed {seed}: {kills:?} in {program:#?}");
    }
}

/// The journal is lost, with and without safe mode before its rebuild: production is who served as production, in the same
/// life; nobody else gets a single request; and it comes to rest.
fn a_rebuilt_journal_promotes_nobody(history: &[Event], safe_mode: bool) {
    let mut sim = live(history);
    heal(&mut sim);
    let served = served(&sim);
    let lane = sim.nginx.live.as_ref().and_then(|live| live.intent.lane(Lane::Production).first());
    let version = lane.and_then(|e| sim.docker.set(&e.set)).map(|set| sim.docker.version(&set.revision));
    sim.rebuild(safe_mode);
    assert_eq!(sim.memory.production_revision().map(|r| sim.docker.version(&r)), version, "who is production");
    for _ in 0..90 {
        sim.tick();
        let asked = sim.memory.asked().map_or(Weight::ZERO, |asked| asked.traffic.canary());
        assert_eq!(asked, Weight::ZERO, "a canary is given requests");
    }
    let now = self::served(&sim);
    let stopped = sim.nginx.live.as_ref().is_some_and(|live| matches!(live.intent.traffic, Traffic::Stopped { .. }));
    let same = now.iter().any(|life| served.contains(life)) || served.is_empty() || stopped;
    assert!(same, "{served:?} became {now:?}");
    let last = sim.last.as_ref().unwrap();
    assert!(last.actions.is_empty() && last.events.is_empty(), "no rest: {:?} {:?}", last.actions, last.events);
}

/// The containers that run in the production lane of what is live, with the start of their lives.
fn served(sim: &Sim) -> Vec<(SetId, u32, Option<jiff::Timestamp>)> {
    let serving = sim.nginx.live.iter().flat_map(|live| live.intent.lane(Lane::Production));
    let life = |endpoint: &canaryd_gateway::Endpoint| {
        let replica = sim.docker.set(&endpoint.set)?.replicas.iter().find(|r| r.ordinal == endpoint.ordinal)?;
        (replica.state == RunState::Running).then(|| (endpoint.set.clone(), endpoint.ordinal, replica.started_at))
    };
    serving.filter_map(life).collect()
}

#[test]
fn a_journal_that_was_lost_and_rebuilt_promotes_nobody_and_touches_no_production() {
    for_each_history("the rebuild", 60_000..61_000, 20, |history| a_rebuilt_journal_promotes_nobody(history, true));
    for_each_history("the rebuild", 61_000..62_000, 20, |history| a_rebuilt_journal_promotes_nobody(history, false));
}

fn kill(dice: &mut Dice, turn: u64) -> program::Kill {
    program::Kill { turn, spared: usize::try_from(dice.roll(4)).unwrap() }
}

#[test]
fn a_kill_between_any_two_actions_changes_nothing_in_the_end() {
    kills_change_nothing(1..=1500, |dice, turns| {
        let turn = dice.roll(turns);
        vec![kill(dice, turn)]
    });
}

/// Also when it is killed again while it makes up for the first.
#[test]
fn two_kills_change_nothing_in_the_end() {
    kills_change_nothing(2001..=3000, |dice, turns| {
        let first = dice.roll(turns);
        let second = first + 1 + dice.roll(4);
        vec![kill(dice, first), kill(dice, second)]
    });
}

/// Law 10: a thousand versions leave no more behind than ten.
#[test]
fn a_memory_does_not_grow_with_age() {
    let mut dice = Dice::new(7);
    let mut sim = newborn();
    let mut largest = 0;
    for n in 0..1000 {
        sim.docker.conduct.clear();
        sim.apply(&format!("v{}", 100 + n));
        match dice.roll(6) {
            0 => sim.until("serving", |s| s.weight() > Weight::ZERO || s.is_idle()),
            1 => drop(sim.say(Verb::Abort)),
            2 => {
                sim.until("serving", |s| s.weight() > Weight::ZERO || s.is_idle());
                sim.users.extra(50, 50);
            }
            _ => sim.until("through", Sim::is_idle),
        }
        if dice.roll(5) == 0 {
            sim.say(Verb::Undo);
        }
        sim.until("idle", Sim::is_idle);
        let size = serde_json::to_string(&sim.memory).unwrap().len();
        assert!(size < LARGEST_MEMORY, "law 10: {size} bytes after {n} versions");
        largest = if n < 100 { largest.max(size) } else { largest };
        assert!(
            n < 100 || size < largest * 2,
            "law 10: {size} bytes after {n} versions, {largest} in the first hundred"
        );
        assert!(sim.docker.kept.len() <= 10, "law 10: {} revisions are kept", sim.docker.kept.len());
    }
}

/// Law 8, as one rollout sees it: a manifest that is not known changes nothing.
fn the_unknown_changes_nothing(history: &[Event]) {
    let mut sim = live(history);
    heal(&mut sim);
    go_on(&mut sim);
    let (production, traffic) = (sim.production(), sim.nginx.view().traffic());
    sim.world.desired = Desired::Unknown;
    sim.advance(60);
    assert_eq!((sim.production(), sim.nginx.view().traffic()), (production, traffic), "law 8");
}

#[test]
fn a_manifest_that_cannot_be_read_changes_nothing() {
    for_each_history("law 8", 50_000..50_500, 15, the_unknown_changes_nothing);
}

/// Whatever the host refuses, for however long and through kills: a good version is never blocked, and is promoted in the end.
#[test]
fn a_host_fault_never_blocks_a_version() {
    for seed in 1..=300 {
        let mut dice = Dice::new(seed);
        let mut sim = newborn();
        sim.apply("v2");
        for _ in 0..12 {
            match dice.roll(8) {
                0 | 1 => befall(&mut sim, &Event::Refused(2, Some(Fault::Host))),
                2 => befall(&mut sim, &Event::Refused(2, Some(Fault::Passing))),
                3 => befall(&mut sim, &Event::Refused(2, None)),
                7 if dice.roll(2) == 0 => befall(&mut sim, &Event::Unseen { canary: true }),
                4 => befall(&mut sim, &Event::Kill(usize::try_from(dice.roll(4)).unwrap())),
                5 => sim.advance(400),
                6 => drop(sim.say(Verb::Resume)),
                _ => sim.advance(1 + dice.roll(8)),
            }
            let blocked = sim.memory.is_blocked(&sim.manifest);
            assert!(!blocked, "seed {seed}: the version is blamed: {}", sim.why());
        }
        heal(&mut sim);
        go_on(&mut sim);
        assert_eq!(sim.production().as_deref(), Some("v2"), "seed {seed}: {}", sim.why());
    }
}

/// Law 7: while the gateway takes nothing over, time proves nothing: nobody is promoted by it, and nobody is blamed for it.
/// `sim/observed.rs` sees to that at every plan.
#[test]
fn a_gateway_that_refuses_for_long_promotes_nobody_and_blames_nobody() {
    let histories = (1..=10_000).map(|seed| (seed, refusing::history(seed)));
    for_each("law 7", histories, |history| drop(live(history)));
}

/// Law 7 likewise, when people take the weight and give it back while the host refuses things and canaryd is killed.
#[test]
fn a_weight_that_was_in_a_person_s_hand_shortens_no_stage() {
    for_each("law 7", (1..=1_000).map(|seed| (seed, hands::history(seed))), it_comes_to_rest);
}

/// Promise one: users get no version for longer than half a minute while nobody sees how it does; `sim/sight.rs` sees to that
/// at every plan.
#[test]
fn whatever_else_fails_no_version_stays_unseen_and_it_comes_to_rest() {
    for_each("sight", (1..=1_500).map(|seed| (seed, unseen::history(seed))), it_comes_to_rest);
}

/// Promise two: nobody has to say a word for a good one.
#[test]
fn a_good_version_that_nobody_saw_for_a_while_gets_through_by_itself() {
    let histories = (1..=1_000).map(|seed| (seed, unseen::faults(seed)));
    for_each("sight", histories, |history| {
        let mut sim = live(history);
        heal(&mut sim);
        sim.until("in production", |s| s.is_idle() && s.production().as_deref() == Some("v2"));
        assert!(!sim.memory.is_blocked(&sim.manifest), "it is blamed: {}", sim.why());
    });
}

/// Law 3: whatever becomes of the new ones, a restart or an undo never leaves fewer workers than there are to be.
#[test]
fn workers_work_on_until_others_have_taken_their_place() {
    let promoted = relief::promoted();
    for seed in 1..=1_000 {
        relief::live(&mut promoted.clone(), &mut Dice::new(seed));
    }
}

/// Law 9: what the host refuses is tried for a while, and then not before somebody says so.
#[test]
fn what_the_host_refuses_is_not_tried_for_ever() {
    let mut sim = newborn();
    befall(&mut sim, &Event::Refused(2, Some(Fault::Host)));
    sim.apply("v2");
    sim.until("paused", Sim::is_paused);
    let tries = sim.docker.tries;
    assert!(tries > 0);
    sim.advance(600);
    assert_eq!(sim.docker.tries, tries, "nobody said to go on");
    sim.say(Verb::Resume);
    sim.advance(5);
    assert!(sim.docker.tries > tries, "resume tries again");
}

/// Whatever was seen, two advances by it go one step, in the same moment and later.
#[test]
fn two_advances_on_one_look_go_one_step() {
    for apart in 0..4 {
        for by_hand in [None, Some(0), Some(1), Some(300)] {
            let mut sim = newborn();
            for stage in &mut sim.manifest.stages {
                (stage.observe, stage.max_duration) = (Duration::from_secs(600), Duration::from_secs(2400));
            }
            sim.apply("v2");
            sim.until("5 %", |s| s.weight().basis_points() == 500);
            if let Some(weight) = by_hand {
                sim.say(Verb::Traffic { weight: Weight::from_basis_points(weight).unwrap() });
                sim.advance(2);
            }
            let seen = canaryd_planner::Expected::of(sim.report());
            for _ in 0..2 {
                sim.send(Verb::Advance, None);
                sim.memory.inbox.last_mut().unwrap().expected = Some(seen.clone());
                sim.advance(apart);
            }
            sim.tick();
            let step = usize::from(by_hand.is_none());
            assert_eq!(sim.report().stage, Some(step), "{apart} s apart, {by_hand:?} by hand: {}", sim.why());
        }
    }
}
