//! An abort in the phases that are over in a moment: each is made long by what also makes it long for a user, an NGINX that
//! does not take up its configuration, a request that takes its time, an application that is slow to start.

use std::time::{Duration, Instant};

use canaryd_e2e::http::get;
use canaryd_e2e::{Manifest, Scene, docker, free_port, promised};
use canaryd_planner::{Outcome, OutcomeView, Report, Verb};
use canaryd_rollout::Weight;

use super::{at_a_quarter, expect_users_unharmed, is_at_a_quarter, quarter};

/// NGINX's master stopped (SIGSTOP): its workers serve on as they did, and no change is taken up until it wakes.
struct Asleep(String);

impl Asleep {
    fn gateway_of(scene: &Scene) -> Self {
        let gateway = format!("{}-gateway", scene.name);
        docker(&["kill", "-s", "STOP", &gateway]);
        Self(gateway)
    }
    fn wake(self) {
        drop(self);
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["kill", "-s", "CONT", &self.0]).output();
    }
}

fn is_aborted(outcome: Option<&OutcomeView>, version: &str) -> bool {
    outcome.is_some_and(|o| o.version == version && o.outcome == Outcome::Aborted)
}

fn serves(report: &Report, version: &str) -> bool {
    report.production.as_ref().is_some_and(|p| p.version == version)
}

/// Answered within a second, and then told as aborted and asked for at 0 %: what NGINX does is a matter of its own.
async fn expect_decided_at_once(scene: &Scene, version: &str) {
    let asked = Instant::now();
    let answer = scene.host.command(&scene.name, Verb::Abort).await;
    assert!(answer.accepted, "{}", answer.message);
    scene.until("it is aborted", |r| r.wanted_weight == Weight::ZERO && is_aborted(r.outcome.as_ref(), version)).await;
    let took = asked.elapsed();
    println!("{version}: decided after {} ms", took.as_millis());
    assert!(took.as_secs_f64() < promised(1.0), "{took:?}\n{}", scene.host.log());
}

/// It is in the phase and stays there.
async fn expect_it_lasts(scene: &Scene, phase: &str) {
    scene.until(phase, |r| r.phase == phase).await;
    scene.stays(Duration::from_secs(1), phase, |r| r.phase == phase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_before_the_lane_swap_is_heeded_while_the_gateway_has_not_taken_up_100_percent() {
    let mut scene = at_a_quarter("abort-promoting").await;
    let asleep = Asleep::gateway_of(&scene);
    let answer = scene.host.command(&scene.name, Verb::Promote { reason: "it is needed".to_owned() }).await;
    assert!(answer.accepted, "{}", answer.message);
    expect_it_lasts(&scene, "promoting").await;
    let report = scene.host.report(&scene.name).await.unwrap();
    assert!(report.wanted_weight == Weight::FULL && serves(&report, "v1"), "not swapped yet: {report:#?}");

    expect_decided_at_once(&scene, "v2").await;
    asleep.wake();
    let woken = Instant::now();
    scene.until("it is at 0 %", |r| r.live_weight == Weight::ZERO && r.phase == "idle").await;
    println!("idle {} ms after NGINX woke", woken.elapsed().as_millis());
    let report = scene.host.report(&scene.name).await.unwrap();
    assert!(serves(&report, "v1") && report.canary.is_none(), "{report:#?}");
    scene.expect_production_untouched();
    scene.expect_it_stays_off().await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_a_version_that_is_being_taken_off_changes_neither_its_end_nor_its_reason() {
    let canary = free_port();
    let shape = |m| quarter(m).gateway(&format!("expose: {{ canary: {canary} }}"));
    let mut scene = Scene::begin("abort-reverting", shape).await;
    for (version, fault, outcome) in [("v2", "none", Outcome::Aborted), ("v3", "errors", Outcome::Reverted)] {
        let fault = [("FAULT", fault), ("FAULT_FROM", "request:150"), ("HEALTH_LIES", "well")];
        scene.release(version, &fault);
        scene.until("a quarter", is_at_a_quarter).await;
        // Under way until the version is drained: an old worker of NGINX has it.
        let slow = tokio::spawn(async move { get(canary, "/work?ms=7000").await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        if outcome == Outcome::Aborted {
            assert!(scene.host.command(&scene.name, Verb::Abort).await.accepted);
        }
        expect_it_lasts(&scene, "reverting").await;
        let ended = scene.host.report(&scene.name).await.unwrap().outcome.unwrap();
        assert_eq!((ended.version.as_str(), ended.outcome), (version, outcome), "{ended:?}");
        for verb in [Verb::Abort, Verb::Rollback] {
            let asked = Instant::now();
            let answer = scene.host.command(&scene.name, verb).await;
            assert!(answer.accepted && answer.message.contains("being taken off already"), "{}", answer.message);
            assert!(asked.elapsed().as_secs_f64() < promised(1.0), "{:?}", asked.elapsed());
        }
        let report = scene.host.report(&scene.name).await.unwrap();
        assert_eq!(report.phase, "reverting", "it was asked in the middle of it");
        let last = scene.host.until_ended(&scene.name, version).await;
        assert_eq!((last.outcome, last.reason, last.at), (outcome, ended.reason, ended.at), "the first word stands");
        assert_eq!(slow.await.unwrap().status, 200, "{version} was drained, or finished what it had begun");
    }
    let kinds = scene.kinds().await;
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("aborted"), told("reverted")), (1, 1), "{kinds:?}");
    scene.expect_production_untouched();
    expect_only_v3_failed(&scene);
}

/// v3 answered some requests with 500: those were its own.
fn expect_only_v3_failed(scene: &Scene) {
    let users = scene.users();
    let others: Vec<_> = users.failures.iter().filter(|f| f.version.as_deref() != Some("v3")).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// v2 is in production, v1 (the demo application with this environment) can be gone back to.
async fn promoted(name: &str, v1: &[(&str, &str)], shape: impl FnOnce(Manifest) -> Manifest) -> Scene {
    let short = |m: Manifest| shape(m.stages(&[(50.0, 1), (100.0, 1)]));
    let mut scene = Scene::begin_as(name, v1, short).await;
    scene.release("v2", &[]);
    scene.host.until_serving(name, "v2").await;
    scene
}

/// v2 serves as if nobody had asked for an undo, which can be asked for again and goes all the way.
async fn expect_given_up_and_possible_again(scene: &Scene) {
    let report = scene.until("v2 serves on", |r| r.phase == "idle" && r.live_weight == Weight::ZERO).await;
    assert!(serves(&report, "v2") && report.canary.is_none(), "{report:#?}");
    assert!(is_aborted(report.outcome.as_ref(), "v1"), "{:?}", report.outcome);
    let answer = scene.host.command(&scene.name, Verb::Undo).await;
    assert!(answer.accepted, "{}", answer.message);
    scene.host.until_undone(&scene.name, "v2").await;
    scene.host.until_serving(&scene.name, "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_an_undo_whose_containers_are_still_starting_leaves_the_new_version_in_production() {
    let cold = |m: Manifest| m.spec("promotion: { keepPrevious: 1s, keepFailed: 1s }");
    let scene = promoted("abort-undo-cold", &[("STARTUP_MS", "4000")], cold).await;
    scene.host.until_gone(&scene.name, "app", "v1").await;
    assert!(scene.host.command(&scene.name, Verb::Undo).await.accepted);
    scene
        .until("v1 starts", |r| r.phase == "starting" && !scene.host.of_version(&scene.name, "app", "v1").is_empty())
        .await;
    expect_decided_at_once(&scene, "v1").await;
    expect_given_up_and_possible_again(&scene).await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_an_undo_that_the_gateway_has_not_taken_up_leaves_the_new_version_in_production() {
    let scene = promoted("abort-undo", &[], |m| m).await;
    let asleep = Asleep::gateway_of(&scene);
    assert!(scene.host.command(&scene.name, Verb::Undo).await.accepted);
    expect_it_lasts(&scene, "promoting").await;
    expect_decided_at_once(&scene, "v1").await;
    asleep.wake();
    expect_given_up_and_possible_again(&scene).await;
    scene.expect_production_untouched();
    expect_users_unharmed(&scene);
}
