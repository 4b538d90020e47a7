//! What was acknowledged is done, also when the daemon is killed right after.

use std::time::{Duration, Instant};

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{Host, Manifest, demo_image, docker, load};
use canaryd_planner::Outcome;
use canaryd_rollout::Weight;

use super::yes;

const SLOW: [(f64, u64); 3] = [(1.0, 300), (10.0, 300), (100.0, 300)];
const NAME: &str = "gate-kill";

/// The acknowledgment comes, the daemon dies, and another one starts.
async fn acknowledged_then_killed(host: &mut Host, args: &[&str]) {
    yes(host, args).await;
    host.kill().await;
    host.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effect_of_a_command_survives_a_kill_right_after_its_acknowledgment() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[]);
    let mut host = Host::start().await;
    let manifest = Manifest::new(NAME, &app, "v1", 22_520).stages(&SLOW);
    host.write("kill.yaml", &manifest.yaml());
    host.until_serving(NAME, "v1").await;
    until_steady(22_520).await;
    let load = load(22_520, 50.0, true);
    host.write("kill.yaml", &manifest.clone().version("v2").yaml());
    host.until(NAME, "1 %", |r| r.live_weight > Weight::ZERO).await;

    acknowledged_then_killed(&mut host, &["pause", NAME, "--comment", "a long call"]).await;
    host.until(NAME, "it is paused", |r| r.paused.as_ref().is_some_and(|p| p.contains("a long call"))).await;
    acknowledged_then_killed(&mut host, &["traffic", NAME, "7.5"]).await;
    let by_hand = Weight::try_from(7.5).unwrap();
    host.until(NAME, "7.5 %", |r| r.live_weight == by_hand && r.manual.is_some()).await;
    acknowledged_then_killed(&mut host, &["resume", NAME]).await;
    host.until(NAME, "it goes on", |r| r.paused.is_none() && r.manual.is_none() && r.phase == "observing").await;
    acknowledged_then_killed(&mut host, &["abort", NAME]).await;
    host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    host.until(NAME, "0 %", |r| r.live_weight == Weight::ZERO).await;
    acknowledged_then_killed(&mut host, &["retry", NAME]).await;
    host.until(NAME, "1 % again", |r| r.live_weight > Weight::ZERO).await;
    acknowledged_then_killed(&mut host, &["advance", NAME]).await;
    host.until(NAME, "10 %", |r| r.live_weight == Weight::try_from(10.0).unwrap()).await;
    acknowledged_then_killed(&mut host, &["promote", NAME, "--reason", "it is needed now"]).await;
    host.until_serving(NAME, "v2").await;
    acknowledged_then_killed(&mut host, &["undo", NAME]).await;
    host.until_serving(NAME, "v1").await;
    let before = host.report(NAME).await.unwrap().production.unwrap().since;
    acknowledged_then_killed(&mut host, &["restart", NAME]).await;
    let restarted = |r: &canaryd_planner::Report| r.production.as_ref().is_some_and(|p| p.since > before);
    host.until(NAME, "a second set serves", |r| restarted(r) && r.phase == "idle").await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);

    acknowledged_then_killed(&mut host, &["delete", NAME, "--yes"]).await;
    let deadline = Instant::now() + Duration::from_secs(40);
    while !host.containers(NAME, "app").is_empty() {
        assert!(Instant::now() < deadline, "{}", host.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let kinds: Vec<String> = host.events(NAME).await.into_iter().map(|e| e.kind).collect();
    for kind in ["paused", "manual-weight", "resumed", "promoted", "deleting"] {
        let n = kinds.iter().filter(|k| *k == kind).count();
        assert!(n >= 1, "{kind} is not in the history: {kinds:?}");
    }
    assert_eq!(kinds.iter().filter(|k| *k == "manual-weight").count(), 1, "nothing is done twice: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_file_that_somebody_removes_is_there_again_and_goes_with_the_daemon() {
    let mut host = Host::start().await;
    std::fs::remove_file(host.socket()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while host.cli(&["status"]).await.0 != 0 {
        assert!(Instant::now() < deadline, "{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(host.log().contains("somebody removed the socket; it is made anew"), "{}", host.log());
    assert_eq!(host.terminate().await, Some(0), "{}", host.log());
    assert!(!host.socket().exists());
}

/// What went with the deletion is there again: files, images, and a container that somebody removes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_retried_after_a_deletion_can_be_made_anew_as_before() {
    let name = "gate-again";
    let app = demo_image(name, "v1", &[]);
    let mut host = Host::start().await;
    host.write("again.yaml", &Manifest::new(name, &app, "v1", 22_564).yaml());
    host.until_serving(name, "v1").await;
    yes(&host, &["delete", name, "--yes"]).await;
    host.until(name, "it is deleted", |r| r.production.is_none() && r.phase == "idle").await;
    let asked = Instant::now();
    yes(&host, &["retry", name]).await;
    host.until_serving(name, "v1").await;
    assert!(asked.elapsed() < Duration::from_secs(10), "it begins at once: {:?}", asked.elapsed());
    host.kill().await;
    host.run().await;
    let first = host.containers(name, "app");
    docker(&["rm", "-f", &first[0]]);
    let anew = |r: &canaryd_planner::Report| {
        let now = host.containers(name, "app");
        now.len() == 1 && now != first && r.sentence.contains("v1 serves all")
    };
    host.until(name, "a container takes its place", anew).await;
    until_steady(22_564).await;
}
