//! What an engine does to its containers when it dies, is stopped, or goes down with its host is nobody else's fault: no
//! version is blamed, production serves again by itself, and the rollout goes on to its end. On an engine of its own; each
//! test in a process of its own (as nextest runs them), for the whole process asks that engine.
#![allow(clippy::print_stderr, reason = "a test that needs root says that it was skipped")]
#![allow(clippy::print_stdout, reason = "figures of a test are for whoever runs it")]

use std::time::{Duration, Instant};

use canaryd_e2e::{Host, NGINX, OwnEngine, Scene, load};
use canaryd_planner::{Outcome, Report};

const NAME: &str = "engine-lives";

fn is_at_a_quarter(report: &Report) -> bool {
    report.live_weight.basis_points() == 2500 && report.phase == "observing" && report.unwell.is_none()
}

/// Users are served, v2 has its quarter, by the same containers, and nobody was blamed.
async fn expect_recovered(scene: &Scene, containers: &[String], times: usize, what: &str) {
    let began = Instant::now();
    let ok = scene.users().ok;
    scene.until(&format!("users are served after {what}"), |_| scene.users().ok > ok + 50).await;
    let served = began.elapsed();
    // Right after a start the report still tells of before.
    scene.until_told("recovered", times).await;
    let drawn = scene.drawn_for_canary().len();
    let again = |r: &Report| is_at_a_quarter(r) && scene.drawn_for_canary().len() > drawn + 20;
    scene.until(&format!("v2 has its quarter again, and the stage began again, after {what}"), again).await;
    println!("{what}: served after {served:.1?}, at 25 % after {:.1?}", began.elapsed());
    assert_eq!(scene.host.containers(NAME, "app"), containers, "the same containers");
    let kinds = scene.kinds().await;
    let against = ["reverted", "aborted", "paused"];
    assert!(!kinds.iter().any(|k| against.contains(&k.as_str())), "{what}: {kinds:?}\n{}", scene.host.log());
    // Long enough for what would be blamed late.
    scene.stays(Duration::from_secs(5), "at a quarter", is_at_a_quarter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_engine_that_is_killed_or_lost_with_its_host_takes_no_version_along() {
    let Some(mut engine) = OwnEngine::start(&[NGINX, "canaryd-demo:base"]).await else {
        eprintln!("skipped: an engine of its own needs root and dockerd");
        return;
    };
    let host = Host::start_in(&[], &[("DOCKER_HOST", &engine.docker_host())]).await;
    let mut scene = Scene::begin_on(host, NAME, &[], |m| m.stages(&[(25.0, 25), (100.0, 1)]).longest_stage(600)).await;
    scene.release("v2", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    let containers = scene.host.containers(NAME, "app");

    engine.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    engine.run().await;
    expect_recovered(&scene, &containers, 1, "a killed engine").await;

    scene.host.kill().await;
    engine.lose_host();
    engine.run().await;
    scene.host.run().await;
    expect_recovered(&scene, &containers, 2, "a reboot").await;

    let ended = scene.host.expect_outcome(NAME, "v2", Outcome::Promoted).await;
    println!("{ended:?}");
    drop(scene);
}

/// Its containers end one after the other, while users still ask: what fails then is the engine's doing, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_engine_that_is_stopped_in_an_orderly_way_takes_no_version_along() {
    let Some(mut engine) = OwnEngine::start(&[NGINX, "canaryd-demo:base"]).await else {
        eprintln!("skipped: an engine of its own needs root and dockerd");
        return;
    };
    let host = Host::start_in(&[], &[("DOCKER_HOST", &engine.docker_host())]).await;
    let mut scene = Scene::begin_on(host, NAME, &[], |m| m.stages(&[(25.0, 15), (100.0, 1)]).longest_stage(600)).await;
    let _more = load(scene.port(), 300.0, false);
    scene.release("v2", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    let containers = scene.host.containers(NAME, "app");
    for times in [1, 2] {
        engine.stop();
        tokio::time::sleep(Duration::from_secs(3)).await;
        engine.run().await;
        expect_recovered(&scene, &containers, times, "a stopped engine").await;
    }
    let ended = scene.host.expect_outcome(NAME, "v2", Outcome::Promoted).await;
    println!("{ended:?}");
    drop(scene);
}
