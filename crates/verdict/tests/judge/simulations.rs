//! The promises, kept in many simulated rollouts.

use canaryd_verdict::{Judge, Sample, Settings, Verdict};

use crate::{Dice, errors, p95, settings};

/// Canary requests a tick.
const BATCH: u64 = 10;

/// How many of `rollouts` are reverted within `ticks` ticks of ten requests, ten seconds apart.
fn reverted(settings: &Settings, rollouts: u32, ticks: i64, failing: f64, slow: f64) -> u32 {
    let mut dice = Dice(20_261_123);
    let fresh = Judge::new(settings.clone());
    let one = |dice: &mut Dice| {
        let mut judge = fresh.clone();
        (0..ticks).any(|tick| {
            let samples: Vec<Sample> = (0..BATCH).map(|_| dice.request(failing, slow)).collect();
            judge.tick(10 * tick, &samples);
            matches!(judge.verdict(None), Verdict::Fail { .. })
        })
    };
    let reverted = (0..rollouts).filter(|_| one(&mut dice)).count();
    u32::try_from(reverted).unwrap()
}

#[test]
fn a_version_exactly_at_the_tolerance_is_reverted_in_at_most_alpha() {
    let settings = settings(vec![errors(0.005), p95(2.5)]);
    let share = f64::from(reverted(&settings, 2_000, 60, 0.005, 0.05)) / 2_000.0;
    assert!(share <= 0.05, "{share}");
    assert!(share > 0.0005, "alpha is spent on purpose: {share}");
}

#[test]
fn the_default_check_alone_keeps_the_promise_at_the_tolerance() {
    let settings = settings(vec![errors(0.01)]);
    let share = f64::from(reverted(&settings, 2_000, 60, 0.01, 0.0)) / 2_000.0;
    assert!(share <= 0.05, "{share}");
}

#[test]
fn a_good_version_is_hardly_ever_reverted() {
    let settings = settings(vec![errors(0.005), p95(2.5)]);
    let reverted = reverted(&settings, 2_000, 60, 0.001, 0.01);
    assert!(reverted <= 10, "{reverted} of 2,000");
}

/// Canary requests, one a tick, until a version with these rates fails (at most `most`).
fn until_failed(dice: &mut Dice, fresh: &Judge, failing: f64, slow: f64, most: i64) -> i64 {
    let mut judge = fresh.clone();
    (1..most)
        .find(|second| {
            judge.tick(*second, &[dice.request(failing, slow)]);
            matches!(judge.verdict(None), Verdict::Fail { .. })
        })
        .unwrap_or(most)
}

fn median_until_failed(settings: Settings, failing: f64, slow: f64) -> i64 {
    let mut dice = Dice(7);
    let fresh = Judge::new(settings);
    let mut requests: Vec<i64> = (0..301).map(|_| until_failed(&mut dice, &fresh, failing, slow, 2_000)).collect();
    requests.sort_unstable();
    requests[150]
}

#[test]
fn half_of_all_requests_failing_is_found_within_four() {
    for checks in [vec![errors(0.005)], vec![errors(0.01)], vec![errors(0.005), p95(2.5)]] {
        let median = median_until_failed(settings(checks), 0.5, 0.0);
        assert!(median <= 4, "{median}");
    }
}

#[test]
fn five_percent_of_errors_are_found_within_forty_five() {
    let median = median_until_failed(settings(vec![errors(0.005)]), 0.05, 0.0);
    assert!(median <= 45, "{median}");
}

#[test]
fn half_of_all_requests_slow_is_found_within_twenty() {
    let median = median_until_failed(settings(vec![errors(0.005), p95(2.5)]), 0.0, 0.5);
    assert!(median <= 20, "{median}");
}

#[test]
fn a_regression_that_begins_late_is_found_soon() {
    let fresh = Judge::new(settings(vec![errors(0.005)]));
    let mut dice = Dice(11);
    let found = (0..100)
        .filter(|_| {
            let mut judge = fresh.clone();
            for second in 0..1_800 {
                judge.tick(second, &[dice.request(0.0005, 0.0)]);
            }
            (1_800..2_100).any(|second| {
                judge.tick(second, &[dice.request(0.1, 0.0)]);
                matches!(judge.verdict(None), Verdict::Fail { .. })
            })
        })
        .count();
    assert!(found >= 95, "{found} of 100");
}

#[test]
fn an_unacceptable_version_is_cleared_in_at_most_beta() {
    // three times the allowed 0.5 % at 100 %: P = 1.5 %
    let fresh = Judge::new(settings(vec![errors(0.005)]));
    let mut dice = Dice(5);
    let cleared = (0..1_000)
        .filter(|_| {
            let mut judge = fresh.clone();
            (0..60).any(|tick| {
                let samples: Vec<Sample> = (0..BATCH).map(|_| dice.request(0.015, 0.0)).collect();
                judge.tick(10 * tick, &samples);
                judge.verdict(Some(1.0)) == Verdict::Pass
            })
        })
        .count();
    assert!(cleared <= 50, "{cleared} of 1,000");
}
