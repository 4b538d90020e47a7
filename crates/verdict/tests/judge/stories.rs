//! Single cases that a person could check by hand.

use canaryd_verdict::{Arm, Clearance, HoldReason, Judge, LaneNumbers, Question, Sample, Settings, Verdict};

use crate::{errors, failed, good, p95, settings, slow};

/// Feeds one request a second and returns the judge.
fn fed(settings: Settings, requests: impl IntoIterator<Item = Sample>) -> Judge {
    let mut judge = Judge::new(settings);
    for (second, request) in (1_000..).zip(requests) {
        judge.tick(second, &[request]);
    }
    judge
}

fn clean(n: u64) -> impl Iterator<Item = Sample> {
    (0..n).map(good)
}

fn failed_check(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Fail { check, .. } => check,
        Verdict::Pass | Verdict::Inconclusive { .. } | Verdict::Hold { .. } => {
            panic!("no fail: {verdict:?}")
        }
    }
}

#[test]
fn no_request_is_never_a_pass_for_a_raise() {
    for checks in [vec![], vec![errors(0.005)], vec![p95(2.5)]] {
        let judge = Judge::new(settings(checks));
        let verdict = judge.verdict(Some(0.05));
        assert!(matches!(verdict, Verdict::Inconclusive { have: 0, need, .. } if need >= 1), "{verdict:?}");
        assert_eq!(judge.verdict(None), Verdict::Pass, "staying needs nothing");
    }
}

#[test]
fn a_bound_that_allows_any_rate_wants_one_request_all_the_same() {
    let first = fed(settings(vec![p95(2.5)]), []);
    let need = |judge: &Judge| judge.verdict(Some(0.05));
    assert!(matches!(need(&first), Verdict::Inconclusive { need: 1, .. }));
    assert_eq!(first.reports(Some(0.05))[0].clearance, Clearance::NotNeeded);
    assert_eq!(need(&fed(settings(vec![errors(0.5)]), clean(1))), Verdict::Pass);
}

#[test]
fn a_version_that_was_only_seen_cold_gets_no_more_traffic() {
    let warm = Settings { warmup: 60.0, ..settings(vec![errors(0.5), p95(2.5)]) };
    let judge = fed(warm.clone(), (0..60).map(slow));
    let wanting = Verdict::Inconclusive { check: "latency".into(), have: 0, need: 1 };
    assert_eq!(judge.verdict(Some(0.05)), wanting);
    assert_eq!(judge.verdict(None), Verdict::Pass, "staying needs nothing");
    let report = &judge.reports(Some(0.05))[1];
    assert_eq!((report.left_out, report.cold_until), (60, Some(1_060)));
    assert_eq!(report.clearance, Clearance::Needs { more: 1 });
    assert_eq!(judge.reports(None)[1].clearance, Clearance::NotNeeded);

    let judge = fed(warm, clean(61));
    assert_eq!(judge.verdict(Some(0.05)), Verdict::Pass);
    let report = &judge.reports(Some(0.05))[1];
    assert_eq!((report.left_out, report.cold_until), (60, None));
}

#[test]
fn a_cold_check_that_only_observes_and_a_mode_that_nobody_asks_for_hold_nothing_up() {
    let watching = Question { observe_only: true, ..p95(2.5) };
    let creative = Question { name: "creative".into(), mode: Some("creative".into()), ..p95(4.5) };
    let warm = Settings { warmup: 60.0, ..settings(vec![watching, creative, errors(0.5)]) };
    assert_eq!(fed(warm, clean(20)).verdict(Some(0.05)), Verdict::Pass);
}

#[test]
fn ten_clean_requests_are_leave_for_5_percent_and_54_for_25() {
    let judge = fed(settings(vec![errors(0.005)]), clean(9));
    let wanting = Verdict::Inconclusive { check: "errors".into(), have: 9, need: 1 };
    assert_eq!(judge.verdict(Some(0.05)), wanting);
    let judge = fed(settings(vec![errors(0.005)]), clean(10));
    assert_eq!(judge.verdict(Some(0.05)), Verdict::Pass);
    let wanting = Verdict::Inconclusive { check: "errors".into(), have: 10, need: 44 };
    assert_eq!(judge.verdict(Some(0.25)), wanting);
    assert_eq!(judge.reports(Some(0.25))[0].clearance, Clearance::Needs { more: 44 });
}

#[test]
fn the_check_that_needs_most_is_named() {
    let checks = vec![p95(2.5), errors(0.005)];
    let judge = fed(settings(checks), clean(100));
    let verdict = judge.verdict(Some(1.0));
    assert!(matches!(&verdict, Verdict::Inconclusive { check, need: 119, .. } if check == "errors"), "{verdict:?}");
}

#[test]
fn two_failures_too_early_fail_at_once_and_say_so() {
    let requests = clean(3).chain([failed(101), failed(102)]);
    let judge = fed(settings(vec![errors(0.005)]), requests);
    let fail = Verdict::Fail {
        check: "errors".into(),
        reason: "2 of 5 canary requests failed (40 %, at least 2.5 % with 95 % certainty); limit 0.5 %".into(),
    };
    assert_eq!(judge.verdict(None), fail);
    assert_eq!(judge.verdict(Some(0.05)), fail);
}

#[test]
fn one_failure_never_fails_a_version() {
    for max in [0.0001, 0.001, 0.005, 0.01, 0.05, 0.5] {
        let judge = fed(settings(vec![errors(max)]), [failed(1)]);
        let verdict = judge.verdict(None);
        assert!(!matches!(verdict, Verdict::Fail { .. }), "{max}: {verdict:?}");
        assert!(judge.suspicion() < 20.0);
    }
}

#[test]
fn a_suspicious_check_holds_a_raise_that_needs_no_clearance() {
    let requests = clean(1).chain([failed(901)]);
    let judge = fed(settings(vec![errors(0.005), p95(2.5)]), requests);
    assert_eq!(judge.reports(Some(0.01))[0].clearance, Clearance::NotNeeded);
    let hold = Verdict::Hold { reason: HoldReason::Suspicious { check: "errors".into() } };
    assert_eq!(judge.verdict(Some(0.01)), hold);
    assert!(judge.suspicion() >= 20.0 / 3.0 && judge.suspicion() < 20.0);
}

#[test]
fn a_fail_is_never_taken_back() {
    let requests = [failed(1), failed(2)].into_iter().chain(clean(5_000));
    let judge = fed(settings(vec![errors(0.005)]), requests);
    assert_eq!(failed_check(&judge.verdict(None)), "errors");
    assert!(judge.suspicion() >= 20.0);
    assert!(judge.reports(None)[0].failed);
}

#[test]
fn slow_answers_fail_the_latency_check() {
    let requests = clean(10).chain((20..60).map(|i| if i % 3 == 0 { slow(i) } else { good(i) }));
    let judge = fed(settings(vec![errors(0.005), p95(2.5)]), requests);
    let Verdict::Fail { check, reason } = judge.verdict(None) else {
        panic!("a third is slow");
    };
    assert_eq!(check, "latency");
    assert!(reason.starts_with("p95 is above 2.5 s: "), "{reason}");
    assert!(reason.ends_with("; at most 5 % may be"), "{reason}");
}

#[test]
fn no_answer_is_slower_than_any_bound() {
    let silent = |client| Sample { latency: None, ..good(client) };
    let judge = fed(settings(vec![p95(2.5)]), (0..60).map(silent));
    assert_eq!(failed_check(&judge.verdict(None)), "latency");
}

#[test]
fn a_failure_is_told_rather_than_the_slowness_it_causes() {
    let broken = |client| Sample { failed: true, latency: None, ..good(client) };
    let mut judge = Judge::new(settings(vec![p95(2.5), errors(0.005)]));
    judge.tick(1, &(0..5).map(good).collect::<Vec<_>>());
    judge.tick(2, &(0..90).map(broken).collect::<Vec<_>>());
    assert!(judge.reports(None).iter().all(|report| report.failed));
    assert_eq!(failed_check(&judge.verdict(None)), "errors");
}

#[test]
fn a_check_that_only_observes_never_acts() {
    let watching = Question { observe_only: true, ..errors(0.005) };
    let requests = (0..500).map(failed);
    let judge = fed(settings(vec![watching, p95(2.5)]), requests);
    assert_eq!(judge.verdict(Some(0.05)), Verdict::Pass);
    let report = &judge.reports(Some(0.05))[0];
    assert!(report.suspicion > 20.0, "but it reports");
    assert!(!report.failed);
    assert!(judge.suspicion() < 20.0);
}

#[test]
fn production_is_counted_for_the_eye_only() {
    let production = Sample { arm: Arm::Production, ..failed(1) };
    let requests = std::iter::repeat_n(production, 500).chain(clean(10));
    let judge = fed(settings(vec![errors(0.005)]), requests);
    assert_eq!(judge.verdict(Some(0.05)), Verdict::Pass);
    let report = &judge.reports(None)[0];
    let all_bad = LaneNumbers { requests: 500, bad: 500 };
    assert_eq!(report.production, all_bad);
    assert_eq!(report.canary.requests, 10);
    assert_eq!(judge.canary_requests(), (10, 0));
}

#[test]
fn the_latencies_of_a_cold_replica_are_left_out_but_not_its_failures() {
    let warm = Settings { warmup: 60.0, ..settings(vec![errors(0.5), p95(2.5)]) };
    let judge = fed(warm.clone(), (0..60).map(slow));
    let counts = |judge: &Judge| judge.reports(None).iter().map(|r| r.canary.requests).collect::<Vec<_>>();
    assert_eq!(counts(&judge), [60, 0]);
    let judge = fed(warm, (0..70).map(slow));
    assert_eq!(counts(&judge), [70, 10]);
}

#[test]
fn a_mode_is_asked_for_itself() {
    let creative = Question { mode: Some("creative".into()), ..p95(4.5) };
    let requests =
        (0..100).map(|i| Sample { mode: Some(if i % 2 == 0 { "fast" } else { "creative" }.into()), ..good(i) });
    let judge = fed(settings(vec![creative, errors(0.005)]), requests);
    let report = &judge.reports(None)[0];
    assert!((45..=50).contains(&report.canary.requests));
    assert!(report.question.contains("of mode creative"));
}

#[test]
fn retries_of_one_client_in_a_second_are_one_failure_but_count_in_full_for_clearance() {
    let mut judge = Judge::new(settings(vec![errors(0.005)]));
    judge.tick(1, &std::iter::repeat_n(failed(7), 6).collect::<Vec<_>>());
    assert!(!matches!(judge.verdict(None), Verdict::Fail { .. }));
    let report = &judge.reports(None)[0];
    assert_eq!(report.canary, LaneNumbers { requests: 6, bad: 6 });
}

#[test]
fn a_version_that_is_all_broken_fails_within_seconds_even_behind_one_address() {
    for per_second in [1, 3, 75, 500] {
        let mut judge = Judge::new(settings(vec![errors(0.01)]));
        let seconds = (1..100).find(|second| {
            judge.tick(*second, &vec![failed(7); per_second]);
            matches!(judge.verdict(None), Verdict::Fail { .. })
        });
        assert!(seconds.unwrap() <= 3, "{per_second} a second: {seconds:?}");
    }
}

#[test]
fn a_second_that_goes_back_is_taken_as_the_last_one() {
    let mut judge = Judge::new(Settings { warmup: 60.0, ..settings(vec![p95(2.5)]) });
    judge.tick(5_000, &vec![good(1); 10]);
    judge.tick(60, &vec![good(1); 10]);
    judge.tick(5_060, &vec![good(1); 10]);
    assert_eq!(judge.reports(None)[0].canary.requests, 10);
}

#[test]
fn quantiles_are_estimated_for_both_lanes() {
    let production = |client| Sample { arm: Arm::Production, latency: Some(1.5), ..good(client) };
    let judge = fed(settings(vec![p95(2.5)]), clean(50).chain((0..50).map(production)));
    let latency = judge.reports(None)[0].latency.unwrap();
    assert!((latency.canary.unwrap() / 0.2 - 1.0).abs() < 0.011);
    assert!((latency.production.unwrap() / 1.5 - 1.0).abs() < 0.011);
    assert!((judge.reports(None)[0].limit - 0.05).abs() < 1e-15);
}
