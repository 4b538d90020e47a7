//! Nobody sees how a version does, because the disk is full: it is off after half a minute, without being blamed, and comes back
//! by itself when it is seen again.

use std::fs;
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Scene, load, promised, remove_leftovers};
use canaryd_planner::{Outcome, Report, Waiting};
use canaryd_rollout::Weight;

use super::expect_no_get_failed;
use super::full::{Symlink, full_at_a_quarter};

/// What is promised: lines that get lost are noticed after some 6 s, and it is off 30 s later.
const OFF: f64 = 40.0;
/// 30 s of sight, from 5 s after the last line that was lost.
const BACK: Duration = Duration::from_secs(100);

fn is_off_as_a_precaution(report: &Report) -> bool {
    report.live_weight == Weight::ZERO && report.waiting.iter().any(|w| matches!(w, Waiting::Sight { .. }))
}

fn nobody_watches(report: &Report) -> bool {
    report.sentence.starts_with("Nobody watches")
}

/// v1 serves on a small disk; `None` where only root may mount one.
async fn begin(name: &str) -> Option<Scene> {
    remove_leftovers(name);
    let Some(host) = Host::start_on_small_disk("24M").await else {
        eprintln!("skipped: a small disk can only be mounted as root");
        return None;
    };
    Some(Scene::begin_on(host, name, &[], |m| m.stages(&[(25.0, 3), (100.0, 1)])).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_turns_bad_while_the_disk_is_full_harms_users_no_longer_than_half_a_minute() {
    let Some(mut scene) = begin("abort-blind-bad").await else { return };
    // It has 25 requests a second and turns bad at the first second with 60.
    full_at_a_quarter(&mut scene, "v2", &[("FAULT", "errors"), ("FAULT_FROM", "rate:60"), ("HEALTH_LIES", "well")])
        .await;
    let symlink = Symlink::watch(&scene);
    let turned = Instant::now();
    let rush = load(scene.port(), 400.0, false);
    scene.until("it says so", nobody_watches).await;
    scene.until("it is off", is_off_as_a_precaution).await;
    assert!(symlink.changed().is_some());
    println!("bad on a full disk: off after {} ms", turned.elapsed().as_millis());
    assert!(turned.elapsed().as_secs_f64() < promised(OFF), "{:?}\n{}", turned.elapsed(), scene.host.log());
    let harmed = rush.stop().await;
    assert!(harmed.failed > 0, "it did turn bad");
    scene.stays(Duration::from_secs(5), "nobody gets it while nobody sees it", is_off_as_a_precaution).await;
    scene.host.disk().free();
    // Seen again it gets requests, and what they show takes it off.
    let name = scene.name.clone();
    scene.host.until_within(BACK, &name, "it comes back", |r| r.live_weight > Weight::ZERO).await;
    let ended = scene.host.expect_outcome(&name, "v2", Outcome::Reverted).await;
    assert_eq!(ended.check.as_deref(), Some("errors"), "{ended:?}");
    scene.expect_production_untouched();
    let kinds = scene.kinds().await;
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("held"), told("recovered"), told("reverted")), (1, 1, 1), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_that_nobody_saw_gets_through_by_itself_and_no_request_is_lost() {
    let Some(mut scene) = begin("abort-blind-good").await else { return };
    full_at_a_quarter(&mut scene, "v2", &[]).await;
    scene.until("it is off", is_off_as_a_precaution).await;
    scene.host.disk().free();
    scene.host.until_within(BACK, "abort-blind-good", "it is promoted", is_promoted).await;
    scene.host.until_serving("abort-blind-good", "v2").await;
    let kinds = scene.kinds().await;
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("held"), told("recovered"), told("resumed")), (1, 1, 0), "{kinds:?}");
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_precaution_that_could_not_be_written_down_outlives_a_kill_and_is_no_abort() {
    let Some(mut scene) = begin("abort-blind-kill").await else { return };
    full_at_a_quarter(&mut scene, "v2", &[]).await;
    scene.until("it is off", is_off_as_a_precaution).await;
    scene.host.kill().await;
    let live = fs::read_link(scene.gateway_dir().join("conf/current")).unwrap();
    assert!(live.to_string_lossy().starts_with("././"), "{live:?}");
    scene.host.disk().free();
    scene.host.run().await;
    scene.until("the next run knows why", is_off_as_a_precaution).await;
    scene.host.until_within(BACK, "abort-blind-kill", "it is promoted", is_promoted).await;
    expect_no_get_failed(&scene);
}

fn is_promoted(report: &Report) -> bool {
    report.outcome.as_ref().is_some_and(|end| end.version == "v2" && end.outcome == Outcome::Promoted)
}
