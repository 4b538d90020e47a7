//! Ways off on a real engine under constant load: a person's word in every phase, with and without a daemon, and what
//! others do to canary and gateway, which is nobody's blame.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stderr, reason = "a test that needs root says that it was skipped")]
#![allow(clippy::print_stdout, reason = "figures of a test are for whoever runs it")]

mod blind;
mod by_hand;
mod elsewhere;
mod full;
mod phases;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use canaryd_e2e::{Host, Manifest, Registry, Scene, demo_image, docker, free_port, promised, remove_leftovers};
use canaryd_planner::{Outcome, Report, Verb, Waiting};
use canaryd_rollout::Weight;
use rusqlite::Connection;

fn quarter(manifest: Manifest) -> Manifest {
    manifest.stages(&[(25.0, 40), (100.0, 40)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_during_a_pull_that_hangs_is_answered_within_a_second_and_ends_the_pull() {
    let registry = Registry::that_never_answers();
    let mut scene = Scene::begin("abort-pull", |m| quarter(m).deadlines("{ pull: 5m, start: 5s }")).await;
    let manifest = scene.manifest.clone().repository(&registry.repository()).version("v2");
    scene.apply(manifest);
    registry.expect_a_pull().await;
    scene.until("it waits for the image", |r| r.phase == "preflight").await;
    expect_aborted_at_once(&scene, "v2", Verb::Abort).await;
    registry.expect_nobody_asks_again().await;
    scene.expect_it_stays_off().await;
    registry.expect_nobody_asks_again().await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_a_start_that_hangs_is_answered_within_a_second_and_its_container_goes() {
    let mut scene = Scene::begin("abort-start", |m| quarter(m).startup(60)).await;
    scene.release("v2", &[("NEVER_LISTEN", "1")]);
    scene.until("it starts", |r| r.phase == "starting" && !scene.canaries().is_empty()).await;
    expect_aborted_at_once(&scene, "v2", Verb::Abort).await;
    scene.until("its container is gone", |_| scene.canaries().is_empty()).await;
    scene.expect_it_stays_off().await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_the_first_version_leaves_nothing_that_runs() {
    remove_leftovers("abort-first");
    let host = Host::start().await;
    let manifest =
        Manifest::new("abort-first", &demo_image("abort-first", "v1", &[("NEVER_LISTEN", "1")]), "v1", free_port());
    host.write("rollout.yaml", &manifest.startup(60).yaml());
    host.until("abort-first", "it installs", |r| r.phase == "installing").await;
    let answer = host.command("abort-first", Verb::Abort).await;
    assert!(answer.accepted, "{}", answer.message);
    host.expect_outcome("abort-first", "v1", Outcome::Aborted).await;
    host.until("abort-first", "nothing is left", |_| host.containers("abort-first", "app").is_empty()).await;
    assert!(host.report("abort-first").await.unwrap().production.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_at_a_stage_paused_by_hand_or_at_100_percent_is_at_0_percent_within_a_second() {
    let mut scene = at_a_quarter("abort-stage").await;
    expect_aborted_at_once(&scene, "v2", Verb::Abort).await;
    let twice = scene.host.command(&scene.name, Verb::Abort).await;
    assert!(twice.accepted, "twice is once: {}", twice.message);

    scene.release("v3", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    assert!(scene.host.command(&scene.name, Verb::Pause).await.accepted);
    expect_aborted_at_once(&scene, "v3", Verb::Rollback).await;

    scene.release("v4", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    let weight = Weight::from_basis_points(6000).unwrap();
    assert!(scene.host.command(&scene.name, Verb::Traffic { weight }).await.accepted);
    scene.until("60 % by hand", |r| r.live_weight == weight).await;
    expect_aborted_at_once(&scene, "v4", Verb::Abort).await;

    scene.release("v5", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    assert!(scene.host.command(&scene.name, Verb::Advance).await.accepted);
    scene.until("100 %", |r| r.live_weight == Weight::FULL && r.phase == "soaking").await;
    expect_aborted_at_once(&scene, "v5", Verb::Abort).await;

    scene.expect_it_stays_off().await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_lane_swap_abort_says_use_undo_and_rollback_undoes() {
    let mut scene = Scene::begin("abort-late", |m| m.stages(&[(50.0, 1), (100.0, 1)])).await;
    scene.release("v2", &[]);
    scene.host.until_serving(&scene.name, "v2").await;
    let refused = scene.host.command(&scene.name, Verb::Abort).await;
    assert!(!refused.accepted && refused.message.contains("use undo"), "{}", refused.message);
    let (code, _, said) = scene.host.cli(&["abort", &scene.name]).await;
    assert!(code == 1 && said.contains("use undo"), "{code}: {said}");
    assert_eq!(scene.host.report(&scene.name).await.unwrap().production.unwrap().version, "v2");
    let (code, said, why) = scene.host.cli(&["rollback", &scene.name]).await;
    assert_eq!(code, 0, "{said}{why}");
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Undone).await;
    scene.host.until_serving(&scene.name, "v1").await;
    scene.expect_it_stays_off().await;
    expect_users_unharmed(&scene);

    let answer = scene.host.command(&scene.name, Verb::Retry).await;
    assert!(answer.accepted, "{}", answer.message);
    scene.host.until_serving(&scene.name, "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_killed_or_stopped_by_others_is_not_blamed_and_comes_back_twice_then_waits_for_a_person() {
    let scene = at_a_quarter("abort-kill").await;
    let canary = scene.canaries().remove(0);
    for (before, by) in ["kill", "stop"].into_iter().enumerate() {
        let asked = now();
        let _ = docker(&[by, &canary]);
        let died = scene.deaths.after(&canary, asked).await;
        expect_back_without_blame(&scene, died, before + 1).await;
    }
    let _ = docker(&["kill", &canary]);
    let paused = scene.until("it waits for a person", |r| r.paused.is_some()).await;
    assert!(paused.paused.unwrap().contains("environment failed three times"));
    assert!(scene.host.command(&scene.name, Verb::Resume).await.accepted);
    scene.until_told("recovered", 3).await;
    scene.expect_production_untouched();
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_removed_by_others_is_not_blamed_and_a_fresh_container_takes_its_place() {
    let scene = at_a_quarter("abort-rm").await;
    let canary = scene.canaries().remove(0);
    let _ = docker(&["rm", "-f", &canary]);
    let died = scene.deaths.of(&canary).await;
    expect_back_without_blame(&scene, died, 1).await;
    assert!(scene.canaries().iter().all(|id| id != &canary));
    scene.expect_production_untouched();
    expect_no_get_failed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_offline_takes_the_canary_off_within_a_second_and_the_daemon_keeps_it_off() {
    let mut scene = at_a_quarter("abort-offline").await;
    scene.host.kill().await;
    let asked = now();
    let (code, said, why) = rolled_back_offline(&scene).await;
    assert_eq!(code, 0, "{said}{why}");
    expect_off_for_good(scene, asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_offline_tells_a_daemon_that_runs() {
    let mut scene = at_a_quarter("abort-told").await;
    let (code, said, why) = rolled_back_offline(&scene).await;
    assert!(code == 0 && said.contains("the daemon knows"), "{said}{why}");
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    scene.expect_it_stays_off().await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_offline_before_the_first_request_is_an_abort_when_the_daemon_runs_again() {
    let mut scene = Scene::begin("abort-early", |m| quarter(m).startup(60)).await;
    scene.release("v2", &[("STARTUP_MS", "8000")]);
    scene.until("it starts", |r| r.phase == "starting" && !scene.canaries().is_empty()).await;
    scene.host.kill().await;
    let (code, said, why) = rolled_back_offline(&scene).await;
    assert!(code == 0 && said.contains("nobody gets v2 yet; it is aborted when the daemon runs again"), "{said}{why}");
    scene.host.run().await;
    let ended = scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    assert!(ended.reason.contains("offline"), "{}", ended.reason);
    scene.expect_it_stays_off().await;
    // The word is for one version only.
    scene.release("v3", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    expect_users_unharmed(&scene);
}

/// At 100 %, seconds before the lane swap, and the daemon cannot be told: it has to see it in the access log.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_not_told_of_rollback_offline_notices_and_does_not_promote() {
    let mut scene = Scene::begin("abort-untold", |m| m.stages(&[(50.0, 1), (100.0, 4)])).await;
    scene.release("v2", &[]);
    scene.until("all traffic", |r| r.live_weight == Weight::FULL).await;
    let state = scene.host.state();
    let nowhere = state.join("no.sock");
    let args = ["rollback", &scene.name, "--offline", "--state", state.to_str().unwrap()];
    let (code, said, why) = scene.host.cli_at(&nowhere, &args).await;
    assert!(code == 0 && said.contains("not there to be told"), "{said}{why}");
    let ended = scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    assert!(ended.reason.contains("offline"), "{}", ended.reason);
    scene.expect_it_stays_off().await;
    scene.expect_production_untouched();
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_offline_after_the_lane_swap_changes_nothing_and_names_undo() {
    let mut scene = Scene::begin("abort-swapped", |m| m.stages(&[(50.0, 1), (100.0, 1)])).await;
    scene.release("v2", &[]);
    scene.host.until_serving(&scene.name, "v2").await;
    scene.host.kill().await;
    let current = || std::fs::read_link(scene.gateway_dir().join("conf/current")).unwrap();
    let before = current();
    let (code, said, why) = rolled_back_offline(&scene).await;
    assert!(code == 1 && why.contains("undo") && !why.contains("aborted"), "{code}: {said}{why}");
    assert_eq!(current(), before);
    scene.host.run().await;
    scene.host.until_serving(&scene.name, "v2").await;
    scene
        .stays(Duration::from_secs(1), "v2 is in production", |r| r.production.as_ref().unwrap().version == "v2")
        .await;
    expect_users_unharmed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_somebody_locks_delays_no_way_off_and_the_end_is_kept_when_it_is_free() {
    let mut scene = at_a_quarter("abort-locked").await;
    let locked = Connection::open(scene.host.state().join("journal.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = Instant::now();
    let answer = scene.host.command(&scene.name, Verb::Abort).await;
    scene.until("it is at 0 %", |r| r.live_weight == Weight::ZERO).await;
    println!("at 0 % after {} ms: {}", asked.elapsed().as_millis(), answer.message);
    assert!(asked.elapsed().as_secs_f64() < promised(1.0), "{:?}\n{}", asked.elapsed(), scene.host.log());
    assert!(answer.accepted && answer.message.contains("cannot be written"), "{}", answer.message);
    let said = scene.host.report(&scene.name).await.unwrap().waiting;
    assert!(said.iter().any(|w| matches!(w, Waiting::Trouble { why } if why.contains("journal"))), "{said:?}");
    locked.execute_batch("ROLLBACK").unwrap();
    scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    scene.expect_it_stays_off().await;
    scene.expect_production_untouched();
    expect_users_unharmed(&scene);
}

fn is_at_a_quarter(report: &Report) -> bool {
    report.live_weight.basis_points() == 2500
}

/// v2 gets a quarter.
async fn at_a_quarter(name: &str) -> Scene {
    let mut scene = Scene::begin(name, quarter).await;
    scene.release("v2", &[]);
    scene.until("a quarter", is_at_a_quarter).await;
    scene
}

/// The canary was lowered at `asked`, and a daemon that comes back keeps it off.
async fn expect_off_for_good(mut scene: Scene, asked: f64) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.expect_off_within_a_second(asked, f64::MAX);
    scene.host.run().await;
    let ended = scene.host.expect_outcome(&scene.name, "v2", Outcome::Aborted).await;
    assert!(ended.reason.contains("offline"), "{}", ended.reason);
    scene.expect_it_stays_off().await;
    scene.expect_production_untouched();
    expect_users_unharmed(&scene);
}

async fn rolled_back_offline(scene: &Scene) -> (i32, String, String) {
    let state = scene.host.state();
    scene.host.cli(&["rollback", &scene.name, "--offline", "--state", state.to_str().unwrap()]).await
}

/// Seconds since 1970, as the gateway's log counts them.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Weight 0 is live and the outcome is told within a second of the command.
async fn expect_aborted_at_once(scene: &Scene, version: &str, verb: Verb) {
    let asked = Instant::now();
    let answer = scene.host.command(&scene.name, verb).await;
    let answered = asked.elapsed();
    assert!(answer.accepted, "{}", answer.message);
    scene
        .until("it is at 0 % and aborted", |r| {
            let aborted = |o: &canaryd_planner::OutcomeView| o.version == version && o.outcome == Outcome::Aborted;
            r.live_weight == Weight::ZERO && r.outcome.as_ref().is_some_and(aborted)
        })
        .await;
    let took = asked.elapsed();
    println!("{version}: answered after {} ms, at 0 % after {} ms", answered.as_millis(), took.as_millis());
    assert!(took.as_secs_f64() < promised(1.0), "{took:?}\n{}", scene.host.log());
    scene.expect_production_untouched();
}

/// The canary got nothing from a second after its death until it was told that it is well again, for the `times`th
/// time; then it gets its quarter as before.
async fn expect_back_without_blame(scene: &Scene, died: f64, times: usize) {
    let back = scene.until_told("recovered", times).await;
    scene.until("it is back at a quarter", is_at_a_quarter).await;
    let told = scene.host.events(&scene.name).await;
    let held = told.iter().filter(|e| e.kind == "held" && e.message.contains("is not blamed")).count();
    assert_eq!(held, times, "{told:#?}");
    let blamed = scene.host.report(&scene.name).await.unwrap().outcome.filter(|o| o.version == "v2");
    assert!(blamed.is_none(), "{blamed:?}");
    scene.expect_off_within_a_second(died, back);
}

fn expect_users_unharmed(scene: &Scene) {
    let users = scene.users();
    assert!(users.failed == 0 && users.ok > 0, "{:?} {:?}", users.by_class, users.failures.first());
}

fn expect_no_get_failed(scene: &Scene) {
    let users = scene.users();
    let gets: Vec<_> = users.failures.iter().filter(|f| f.request.starts_with("GET")).collect();
    assert!(gets.is_empty(), "{gets:?}");
}
