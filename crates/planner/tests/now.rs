//! The only clock is the `now` that a plan is given.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(dead_code, reason = "the simulated world is shared with the stories and the laws")]

#[path = "sim/mod.rs"]
mod sim;

use std::time::Duration;

use canaryd_planner::{Course, Memory, World, plan};
use jiff::Timestamp;
use sim::{DAWN, Sim};

const DAY: &str = "2026-03-02";
const ANOTHER_DAY: &str = "1996-03-02";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// v1, then v2 into production, beginning at that moment.
fn history(dawn: &str) -> Sim {
    let mut sim = Sim::new();
    sim.now = at(dawn);
    sim.users.rate = 200.0;
    sim.manifest.promotion.rollback_window = Some(Duration::from_secs(3_600));
    for version in ["v1", "v2"] {
        sim.apply(version);
        sim.tick();
        sim.until("idle", Sim::is_idle);
    }
    sim
}

#[test]
fn the_same_history_on_another_day_differs_in_nothing_but_the_day() {
    let (here, there) = (history(DAWN), history(&DAWN.replace(DAY, ANOTHER_DAY)));
    assert_eq!(here.told, there.told);
    let text = |sim: &Sim| {
        format!("{}{}", serde_json::to_string(&sim.memory).unwrap(), report(&sim.memory, &sim.world, sim.now))
    };
    assert!(text(&here).contains(DAY) && !text(&there).contains(DAY));
    assert_eq!(text(&here).replace(DAY, ANOTHER_DAY), text(&there));
}

fn report(memory: &Memory, world: &World, now: Timestamp) -> String {
    serde_json::to_string(&plan(memory, world, now).report).unwrap()
}

#[test]
fn time_is_counted_from_plan_to_plan_and_of_a_leap_no_more_than_two_seconds() {
    let mut sim = Sim::installed(|_| {});
    sim.users.rate = 200.0;
    sim.apply("v2");
    sim.until("it observes", |sim| sim.report().stages.first().is_some_and(|s| !s.observed.is_zero()));
    // Numbers that were read this very moment: old ones count for nothing.
    let observed = |now| {
        let mut world = sim.world.clone();
        world.evidence.read_at = Some(now);
        plan(&sim.memory, &world, now).report.unwrap().stages[0].observed
    };
    let before = observed(sim.now);
    for (later, counts) in [(1, 1), (2, 2), (3, 2), (3_600, 2)] {
        let later = sim.now + Duration::from_secs(later);
        assert_eq!(observed(later).checked_sub(before), Some(Duration::from_secs(counts)), "{later}");
    }
}

#[test]
fn whether_the_way_back_is_open_is_a_matter_of_the_moment_that_is_asked_about() {
    let mut sim = history(DAWN);
    let left = sim.report().previous.as_ref().unwrap().since;
    let remembered = sim.memory.clone();
    sim.apply("v1");
    let v1 = &sim.manifest;
    assert_eq!(remembered.course(v1, left + Duration::from_secs(3_600)), Course::Back);
    assert_eq!(remembered.course(v1, left + Duration::from_secs(3_601)), Course::Stages);
}
