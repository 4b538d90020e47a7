//! What others do to the gateway and to production while a version is at 25 %: what is gone comes back, the weights are as
//! they were, and the version that had nothing to do with it is promoted.

use std::process::Command;
use std::time::{Duration, Instant};

use canaryd_e2e::{Scene, assert_fair, docker, promised, weights};
use canaryd_planner::Outcome;
use canaryd_rollout::Weight;

use super::{expect_no_get_failed, is_at_a_quarter, now};

/// Long enough to lose something in the middle of it.
const STAGES: [(f64, u64); 2] = [(25.0, 8), (100.0, 1)];

/// Which life of a container it is; empty while it does not run.
fn life(container: &str) -> String {
    let facts = "{{if .State.Running}}{{.Id}} {{.State.StartedAt}}{{end}}";
    let output = Command::new("docker").args(["inspect", "--format", facts, container]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// v2 is promoted in the end, by the same containers, and nothing was ever said against it.
async fn expect_promoted_without_blame(scene: &Scene, canary: &[String]) {
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Promoted).await;
    let kinds = scene.kinds().await;
    let against = ["crash", "held", "reverted", "aborted", "restarted"];
    assert!(!kinds.iter().any(|kind| against.contains(&kind.as_str())), "{kinds:?}");
    let now = scene.host.of_version(&scene.name, "app", "v2");
    let same = now.iter().all(|c| canary.contains(&c.id) && c.restarts == 0);
    assert!(same && now.len() == canary.len(), "v2 was not touched: {now:#?}");
}

async fn a_gateway_goes(name: &str, how: &[&str]) {
    let mut scene = Scene::begin(name, |m| m.stages(&STAGES)).await;
    scene.release("v2", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    let canary = scene.canaries();
    let gateway = format!("{name}-gateway");
    let before = life(&gateway);
    let gone = Instant::now();
    docker(&[how, &[gateway.as_str()]].concat());
    scene.until("it runs again", |_| !["", before.as_str()].contains(&life(&gateway).as_str())).await;
    let ok = scene.users().ok;
    scene.until("users are served again", |_| scene.users().ok > ok + 20).await;
    println!("users were served again {} ms after {how:?} of the gateway", gone.elapsed().as_millis());
    let back = scene.until("a quarter is live", is_at_a_quarter).await;
    assert_eq!(back.stage, Some(0), "it is still the same stage: {back:#?}");
    let drawn = scene.drawn_for_canary().len();
    scene.until("v2 gets its share again", |_| scene.drawn_for_canary().len() > drawn + 20).await;

    expect_promoted_without_blame(&scene, &canary).await;
    assert_eq!(weights(&scene.host.generations(name)), ["0", "25", "100", "0"]);
    for (weight, drawn) in scene.host.drawn(name) {
        assert_fair(weight, drawn);
    }
    scene.expect_production_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_in_the_middle_of_a_stage_comes_back_and_nobody_is_blamed() {
    a_gateway_goes("abort-gateway", &["kill"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_removed_in_the_middle_of_a_stage_is_made_anew_with_its_weights_and_nobody_is_blamed() {
    a_gateway_goes("abort-gateway-rm", &["rm", "-f"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_production_that_somebody_removes_is_replaced_and_nobody_is_blamed() {
    let name = "abort-one-of-two";
    let mut scene = Scene::begin(name, |m| m.replicas(2).stages(&STAGES)).await;
    let two = scene.host.of_version(name, "app", "v1");
    scene.release("v2", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    let canary = scene.canaries();
    docker(&["rm", "-f", &two[0].id]);
    scene
        .until("there are two again", |r| {
            let one = scene.host.of_version(name, "app", "v1");
            one.iter().filter(|c| c.running && c.id != two[0].id).count() == 2 && is_at_a_quarter(r)
        })
        .await;
    let now = scene.host.of_version(name, "app", "v1");
    assert!(now.contains(&two[1]), "the other one was not touched: {now:#?}");
    scene.host.expect_outcome(name, "v2", Outcome::Promoted).await;
    let started = scene.host.of_version(name, "app", "v2");
    assert!(canary.iter().all(|id| started.iter().any(|c| &c.id == id && c.restarts == 0)), "{started:#?}");
    expect_nothing_said_against_it(&scene).await;
    expect_no_get_failed(&scene);
}

async fn expect_nothing_said_against_it(scene: &Scene) {
    let kinds = scene.kinds().await;
    assert!(!kinds.iter().any(|k| ["reverted", "aborted", "crash"].contains(&k.as_str())), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_container_of_production_removed_at_25_percent_costs_a_second_and_the_canary_stands_in() {
    let name = "abort-production";
    let mut scene = Scene::begin_as(name, &[("STARTUP_MS", "2000")], |m| m.stages(&STAGES)).await;
    let old = scene.host.of_version(name, "app", "v1");
    scene.release("v2", &[("STARTUP_MS", "0")]);
    scene.until("a quarter", is_at_a_quarter).await;
    let canary = scene.canaries();
    let gone = now();
    docker(&["rm", "-f", &old[0].id]);
    let died = scene.deaths.after(&old[0].id, gone).await;
    scene.until("v2 stands in", |r| r.live_weight == Weight::FULL).await;
    let report = scene.until("it is as before", is_at_a_quarter).await;
    assert_eq!((report.stage, report.outcome.map(|o| o.version)), (Some(0), Some("v1".to_owned())));
    let new = scene.host.of_version(name, "app", "v1");
    assert!(new.len() == 1 && new[0].running && new[0].id != old[0].id, "{new:#?}");

    expect_promoted_without_blame(&scene, &canary).await;
    let lines = scene.access();
    let failed = lines.iter().filter(|l| l.status >= 500).map(|l| l.time - l.request_time - died);
    let last = failed.fold(0.0, f64::max);
    println!("the last request that failed came {:.0} ms after production died", last * 1e3);
    assert!(last < promised(1.5), "{last:.3} s");
    scene.stays(Duration::from_millis(300), "v2 serves", |r| r.phase == "idle").await;
}
