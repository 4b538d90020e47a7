//! An engine that answers after 30 s, or not at all: the gateway takes a bad version off as quickly as ever, and whoever
//! asks canaryd is answered.

use std::time::{Duration, Instant};

use canaryd_e2e::{EngineProxy, Host, Mood, Scene, docker, promised};
use canaryd_gateway::{Lane, Route};
use canaryd_planner::{Outcome, Report, Waiting};

/// From its start on; long enough to reach a quarter before.
const TURNS_BAD: &str = "14";
/// So long a command may take.
const ANSWER: Duration = Duration::from_secs(5);

fn tells_of_the_engine(report: &Report) -> bool {
    report.waiting.iter().any(|w| matches!(w, Waiting::Trouble { why } if why.contains("engine")))
}

/// v2 answers 500 from some second on, while the engine is like that.
async fn turns_bad_while_the_engine_is(name: &str, mood: Mood) {
    let proxy = EngineProxy::start();
    let host = Host::start_in(&[], &[("DOCKER_HOST", &proxy.docker_host())]).await;
    let mut scene = Scene::begin_on(host, name, &[], |m| m.stages(&[(25.0, 90), (100.0, 4)])).await;
    scene.release("v2", &[("FAULT", "errors"), ("FAULT_AFTER_S", TURNS_BAD), ("HEALTH_LIES", "well")]);
    scene.until("a quarter", |r| r.live_weight.basis_points() == 2500).await;
    assert_eq!(scene.users().failed, 0, "it is not bad yet");
    proxy.mood(mood);
    let began = Instant::now();
    scene.until("it is off", |r| r.wanted_weight.basis_points() == 0 && r.live_weight.basis_points() == 0).await;
    expect_off_soon(&scene);
    expect_answers(&scene).await;
    scene.host.until_within(Duration::from_secs(60), name, "the engine's trouble is told", tells_of_the_engine).await;
    println!("{mood:?}: told after {:.0} s", began.elapsed().as_secs_f64());
    expect_answers(&scene).await;
    proxy.mood(Mood::Itself);
    scene.expect_reverted("v2", "errors: ").await;
}

/// From the first request that failed to the last one that v2 got.
fn expect_off_soon(scene: &Scene) {
    let drawn: Vec<_> = scene.access().into_iter().filter(|l| l.route == Route::Drawn(Lane::Canary)).collect();
    let first = drawn.iter().find(|l| l.status >= 500).map(|l| l.time).expect("it turned bad");
    let last = drawn.iter().map(|l| l.time - l.request_time).fold(0.0, f64::max);
    println!("off {:.1} s after the first failure", last - first);
    assert!(last - first < promised(5.0), "{:.1} s\n{}", last - first, scene.host.log());
}

async fn expect_answers(scene: &Scene) {
    let name = scene.name.as_str();
    for args in [&["status"][..], &["status", name], &["events", name], &["explain", name], &["pause", name]] {
        let asked = Instant::now();
        let (code, said, why) = scene.host.cli(args).await;
        assert!(asked.elapsed() < ANSWER && code != 4, "{args:?}: {:?} {code} {said}{why}", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_is_taken_off_while_the_engine_takes_30_s_for_each_answer() {
    turns_bad_while_the_engine_is("crash-slow", Mood::Slow(Duration::from_secs(30))).await;
}

/// As an engine that is being stopped does it: it answers no more, and its containers end one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_that_ends_while_nobody_can_ask_the_engine_is_off_at_once_and_not_blamed() {
    let proxy = EngineProxy::start();
    let host = Host::start_in(&[], &[("DOCKER_HOST", &proxy.docker_host())]).await;
    let mut scene = Scene::begin_on(host, "crash-unheard", &[], |m| m.stages(&[(25.0, 4), (100.0, 1)])).await;
    scene.release("v2", &[]);
    scene.until("a quarter", |r| r.live_weight.basis_points() == 2500).await;
    proxy.mood(Mood::Gone);
    for canary in scene.canaries() {
        docker(&["stop", &canary]);
    }
    scene.until_told("suspected", 1).await;
    scene.until("it is off", |r| r.live_weight.basis_points() == 0).await;
    scene
        .stays(Duration::from_secs(3), "off, and not blamed", |r| {
            r.phase == "observing" && r.wanted_weight.basis_points() == 0
        })
        .await;
    proxy.mood(Mood::Itself);
    scene.until_told("recovered", 1).await;
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Promoted).await;
    assert_eq!(scene.users().failed, 0, "production serves through it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_is_taken_off_while_nobody_listens_on_the_engines_socket() {
    turns_bad_while_the_engine_is("crash-gone", Mood::Gone).await;
}
