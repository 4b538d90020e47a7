use std::time::Duration;

use super::*;
use crate::stage::{Stage, nobody};

fn plan(stage: &Stage, path: &str, count: u64) -> LoadPlan {
    LoadPlan {
        count: Some(count),
        connections: 4,
        mix: vec![RequestKind::get(path)],
        timeout: Duration::from_millis(200),
        ..LoadPlan::new(stage.addr, 500.0)
    }
}

async fn run(plan: LoadPlan) -> LoadReport {
    let load = Load::start(plan).unwrap();
    load.finished().await;
    load.stop().await
}

fn classes(report: &LoadReport) -> Vec<(&str, u64)> {
    report.by_class.iter().map(|(class, n)| (class.as_str(), *n)).collect()
}

#[tokio::test]
async fn every_request_of_a_well_server_is_counted_for_its_version() {
    let stage = Stage::open().await;
    let report = run(plan(&stage, "/", 100)).await;
    assert_eq!((report.sent, report.ok, report.failed, report.unsent), (100, 100, 0, 0));
    assert_eq!(report.by_version["v1"].ok, 100);
    assert_eq!(report.seconds.iter().map(|s| s.answers["v1"]).sum::<u64>(), 100);
    assert!(report.latency.p50_ms > 0.0 && report.latency.p50_ms <= report.latency.max_ms, "{:?}", report.latency);
    assert!(stage.connections() <= 4, "keep-alive connections are used again: {}", stage.connections());
}

#[tokio::test]
async fn without_keep_alive_each_request_has_a_connection_of_its_own() {
    let stage = Stage::open().await;
    let report = run(LoadPlan { keep_alive: false, ..plan(&stage, "/", 30) }).await;
    assert_eq!((report.ok, stage.connections()), (30, 30));
}

#[tokio::test]
async fn each_way_to_fail_has_its_class_and_nothing_is_tried_twice() {
    let ways = [
        ("/cut", "eof", None),
        ("/half", "eof", Some(200)),
        ("/reset", "reset", None),
        ("/noise", "bad-answer", None),
        ("/hang", "timeout", None),
        ("/status/503", "status-503", Some(503)),
        ("/status/404", "status-404", Some(404)),
    ];
    for (path, class, status) in ways {
        let stage = Stage::open().await;
        let report = run(plan(&stage, path, 8)).await;
        assert_eq!((report.sent, report.failed, classes(&report)), (8, 8, vec![(class, 8)]), "{path}: {report:?}");
        assert_eq!(report.failures[0].status, status, "{path}");
        assert_eq!(report.failures[0].request, format!("GET {path}"));
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_refused() {
    let target = nobody().await;
    let report = run(LoadPlan { count: Some(5), ..LoadPlan::new(target, 500.0) }).await;
    assert_eq!(classes(&report), vec![("refused", 5)]);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_the_next_request() {
    let stage = Stage::open().await;
    let report = run(LoadPlan { connections: 1, rate: 50.0, ..plan(&stage, "/faithless", 10) }).await;
    assert_eq!((report.ok, classes(&report)), (5, vec![("eof", 5)]), "{:?}", report.failures);
}

#[tokio::test]
async fn an_answer_that_says_close_costs_nothing() {
    let stage = Stage::open().await;
    let report = run(LoadPlan { connections: 1, rate: 50.0, ..plan(&stage, "/farewell", 10) }).await;
    assert_eq!((report.ok, report.failed, stage.connections()), (10, 0, 10));
}

#[tokio::test]
async fn latency_runs_from_the_scheduled_start() {
    let stage = Stage::open().await;
    // One connection, 150 ms an answer, one request due every 20 ms: the fourth waits 3 × 130 ms before it is sent.
    let load = LoadPlan { connections: 1, rate: 50.0, timeout: Duration::from_secs(5), ..plan(&stage, "/slow", 4) };
    let report = run(load).await;
    assert_eq!(report.ok, 4);
    assert!(report.latency.max_ms >= 540.0, "{:?}", report.latency);
}

#[tokio::test]
async fn a_request_that_no_connection_was_free_for_is_neither_ok_nor_failed() {
    let stage = Stage::open().await;
    let report = run(LoadPlan { connections: 1, rate: 100.0, ..plan(&stage, "/hang", 100) }).await;
    assert_eq!(report.sent + report.unsent, 100);
    assert_eq!((report.ok, report.failed), (0, report.sent));
    assert!(report.unsent > 50, "one connection hangs 200 ms for each request: {report:?}");
}

#[tokio::test]
async fn answers_and_failures_are_told_apart_by_version() {
    let stage = Stage::open().await;
    let report = run(plan(&stage, "/third-fails", 90)).await;
    assert_eq!((report.by_version["v1"].ok, report.by_version["v1"].failed), (60, 0));
    assert_eq!((report.by_version["v2"].ok, report.by_version["v2"].failed), (0, 30));
    assert_eq!(report.by_version["v2"].last_ok_ms, None);
    assert!(report.failures.iter().all(|f| f.version.as_deref() == Some("v2")));
}

#[tokio::test]
async fn a_mix_draws_the_same_requests_for_the_same_seed() {
    let kinds = |seed: u64| (0..1_000).map(|number| pick(seed, number, 3)).collect::<Vec<_>>();
    assert_eq!(kinds(7), kinds(7));
    assert_ne!(kinds(7), kinds(8));
    for kind in 0..3 {
        let share = kinds(7).iter().filter(|k| **k == kind).count();
        assert!((250..420).contains(&share), "kind {kind} was drawn {share} times of 1,000");
    }
}

#[tokio::test]
async fn a_post_sends_its_body_and_headers() {
    let stage = Stage::open().await;
    let mix = vec![RequestKind::post("/orders", "one body").header("X-LLM-Mode", "fast")];
    let report = run(LoadPlan { mix, ..plan(&stage, "/", 20) }).await;
    assert_eq!((report.ok, report.failed), (20, 0), "{:?}", report.failures);
}

#[tokio::test]
async fn a_stopped_load_starts_no_further_request() {
    let stage = Stage::open().await;
    let load = Load::start(LoadPlan { count: None, ..plan(&stage, "/", 1) }).unwrap();
    while load.snapshot().ok < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = load.stop().await;
    assert_eq!(report.sent, report.ok + report.failed);
    assert_eq!(report.failed, 0);
    assert!(report.ran_ms < 5_000, "it was stopped, not left to end by itself: {} ms", report.ran_ms);
}

#[tokio::test]
async fn a_duration_ends_a_load_by_itself() {
    let stage = Stage::open().await;
    let duration = Some(Duration::from_millis(200));
    let report = run(LoadPlan { count: None, duration, rate: 100.0, ..plan(&stage, "/", 1) }).await;
    assert_eq!(report.sent, 20);
}

#[test]
fn load_on_another_host_is_refused_with_the_reason() {
    let target = "192.0.2.7:80".parse().unwrap();
    let refused = LoadPlan::new(target, 1.0).check().unwrap_err();
    assert_eq!(refused.to_string(), "192.0.2.7:80 is not this host: load is only ever made on 127.0.0.0/8 and ::1");
}

#[test]
fn a_plan_outside_its_limits_is_refused() {
    let good = LoadPlan::new("[::1]:80".parse().unwrap(), 100.0);
    assert_eq!(good.check(), Ok(()));
    let refusal = |plan: LoadPlan| plan.check().unwrap_err();
    assert_eq!(refusal(LoadPlan { rate: 0.0, ..good.clone() }), LoadRefused::Rate(0.0));
    assert!(matches!(refusal(LoadPlan { rate: f64::NAN, ..good.clone() }), LoadRefused::Rate(_)));
    assert_eq!(refusal(LoadPlan { connections: 0, ..good.clone() }), LoadRefused::Connections(0));
    assert_eq!(refusal(LoadPlan { connections: 4_001, ..good.clone() }), LoadRefused::Connections(4_001));
    assert_eq!(refusal(LoadPlan { mix: Vec::new(), ..good.clone() }), LoadRefused::EmptyMix);
    assert_eq!(refusal(LoadPlan { timeout: Duration::ZERO, ..good.clone() }), LoadRefused::Timeout);
    let long = Duration::from_hours(25);
    assert_eq!(refusal(LoadPlan { duration: Some(long), ..good.clone() }), LoadRefused::Duration(long));
    for bad in [RequestKind::get("no-slash"), RequestKind::get("/a b"), RequestKind::get("/").header("a\nb", "c")] {
        assert!(matches!(refusal(LoadPlan { mix: vec![bad], ..good.clone() }), LoadRefused::BadRequest { .. }));
    }
}
