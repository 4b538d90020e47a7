//! The way through the stages, and the ways back: undo, warm and cold, and restart.

use std::time::{Duration, Instant};

use canaryd_e2e::{Container, Host, Traffic, assert_fair, promised, weights};
use canaryd_gateway::{AccessLine, Lane};
use canaryd_planner::{Outcome, UndoView, Verb};
use canaryd_rollout::Weight;

use crate::{has_capacity, ids, manifest, until_containers};

#[tokio::test]
async fn the_first_version_is_installed_without_stages_and_serves() {
    let name = "good-install";
    let manifest = manifest(name, 21_100).replicas(2);
    let host = Host::serving(&manifest).await;
    let report = host.until_serving(name, "v1").await;
    let traffic = Traffic::start(21_100);
    let outcome = report.outcome.expect("it is told how it went");
    assert_eq!((outcome.outcome, outcome.version.as_str()), (Outcome::Promoted, "v1"));
    let containers = host.of_version(name, "app", "v1");
    assert!(containers.len() == 2 && containers.iter().all(|c| c.running && c.restarts == 0), "{containers:#?}");
    assert_eq!(weights(&host.generations(name)), ["0"], "there was no canary: {:#?}", host.generations(name));
    traffic.until_sent(400).await;
    let answers = traffic.flawless().await;
    assert_eq!(answers.of_version("v1"), answers.sent);
}

/// From the start of v2 to its promotion; everything that is promised of it.
async fn goes_through_the_stages(name: &str, port: u16, replicas: u32) {
    let manifest = manifest(name, port).replicas(replicas);
    let host = Host::serving(&manifest).await;
    let old = host.of_version(name, "app", "v1");
    let before = host.generations(name).last().expect("one").id;
    let traffic = Traffic::start(port);

    host.set(&manifest.version("v2"));
    host.until_weight(name, "25").await;
    let started = host.of_version(name, "app", "v2");
    let ended = host.expect_outcome(name, "v2", Outcome::Promoted).await;
    let answers = traffic.flawless().await;

    let steps: Vec<_> = host.generations(name).into_iter().filter(|g| g.id >= before).collect();
    assert_eq!(weights(&steps), ["0", "1", "5", "25", "100", "0"], "in order, and nothing else");
    for step in steps.iter().filter(|g| g.weight() > Weight::ZERO) {
        assert!(has_capacity(step, replicas), "too few replicas: {step:#?}");
        assert_eq!(step.replicas(Lane::Production), replicas as usize, "production keeps its size: {step:#?}");
    }
    for (weight, drawn) in host.drawn(name) {
        assert!(drawn.all > 100, "{drawn:?} at {weight} %");
        assert_fair(weight, drawn);
    }
    assert!(answers.of_version("v2") > 100, "{answers:?}");
    assert!(ended.requests > 100 && ended.failed == 0, "{ended:?}");

    let new = host.of_version(name, "app", "v2");
    assert_eq!(new.len(), replicas as usize, "the proven containers are production, and there are no others: {new:#?}");
    assert!(new.iter().all(|c| c.running && c.restarts == 0), "{new:#?}");
    assert!(started.iter().all(|s| new.contains(s)), "those that had 25 % serve on: {started:#?} {new:#?}");
    let production = host.generations(name).last().expect("one").intent.lane(Lane::Production).to_vec();
    assert!(production.iter().all(|e| e.set.as_str() == new[0].set), "{production:?} {new:#?}");
    assert_eq!(host.of_version(name, "app", "v1"), old, "the version before runs on, untouched");
    assert_one_handover(&host, name, &new[0].set);
}

/// Once 100 % was live, nobody was sent back to the version before: its last request began before that, give or take the
/// moment in which NGINX hands over.
fn assert_one_handover(host: &Host, name: &str, set: &str) {
    let whole = host.generations(name).into_iter().find(|g| g.weight() == Weight::FULL).expect("100 % was reached");
    let owners = whole.intent.lane(Lane::Canary);
    let ours =
        |line: &AccessLine| line.attempts.last().and_then(|a| a.addr).map(|a| owners.iter().any(|e| e.addr == a.ip()));
    assert!(owners.iter().all(|e| e.set.as_str() == set), "{owners:?}");
    let after: Vec<_> =
        host.access(name).into_iter().filter(|l| l.generation >= whole.id && ours(l) == Some(false)).collect();
    assert!(after.is_empty(), "{} requests went back to the version before: {:#?}", after.len(), after.first());
}

#[tokio::test]
async fn a_good_version_goes_through_1_5_25_100_into_production_and_no_request_is_lost() {
    goes_through_the_stages("good-one", 21_101, 1).await;
}

#[tokio::test]
async fn a_good_version_of_four_replicas_has_the_capacity_before_each_weight_and_no_request_is_lost() {
    goes_through_the_stages("good-four", 21_102, 4).await;
}

/// The way back to containers that still run; everything that is promised of it.
async fn goes_back_warm(name: &str, port: u16, replicas: u32) {
    let manifest = manifest(name, port).replicas(replicas).stages(&[(100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let old = host.of_version(name, "app", "v1");
    let traffic = Traffic::start(port);
    host.set(&manifest.version("v2"));
    let report = host.until_serving(name, "v2").await;
    assert!(matches!(report.undo, UndoView::Warm { ref version, .. } if version == "v1"), "{:?}", report.undo);

    let asked = Instant::now();
    host.run_cli(&["undo", name]).await;
    host.until(name, "all traffic goes to v1", |r| {
        r.live_weight == Weight::FULL || r.production.as_ref().is_some_and(|p| p.version == "v1")
    })
    .await;
    let took = asked.elapsed();
    host.until_undone(name, "v2").await;
    let then = traffic.so_far();
    traffic.until_sent(then.sent + 100).await;
    let answers = traffic.flawless().await;
    assert!(answers.of_version("v1") > then.of_version("v1"), "{answers:?}");
    assert!(took.as_secs_f64() <= promised(2.0), "{took:?}\n{}", host.log());
    assert_eq!(ids(&host.of_version(name, "app", "v1")), ids(&old), "the same containers");
    assert_serves_alone(&host, name, &old);
    let report = host.until_serving(name, "v1").await;
    assert!(report.canary.is_none(), "what was undone does not come back by itself: {report:#?}");
}

/// These are behind the gateway, all of them and nothing else.
fn assert_serves_alone(host: &Host, name: &str, containers: &[Container]) {
    let production = host.generations(name).last().expect("one").intent.lane(Lane::Production).to_vec();
    let theirs = production.iter().all(|e| e.set.as_str() == containers[0].set);
    assert!(theirs && production.len() == containers.len(), "{production:?} {containers:#?}");
}

#[tokio::test]
async fn an_undo_to_a_version_that_is_still_warm_takes_two_seconds_and_no_request_is_lost() {
    goes_back_warm("good-warm", 21_103, 1).await;
}

#[tokio::test]
async fn an_undo_of_four_warm_replicas_takes_two_seconds_as_well_and_no_request_is_lost() {
    goes_back_warm("good-warm-four", 21_107, 4).await;
}

/// The way back to containers that must be started first; everything that is promised of it.
async fn goes_back_cold(name: &str, port: u16, replicas: u32) {
    let manifest = manifest(name, port)
        .replicas(replicas)
        .stages(&[(100.0, 1)])
        .spec("promotion: { keepPrevious: 1s, keepFailed: 1s }");
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(port);
    host.set(&manifest.version("v2"));
    host.until_serving(name, "v2").await;
    host.until(name, "undo is cold", |r| matches!(r.undo, UndoView::Cold { .. })).await;
    host.until_gone(name, "app", "v1").await;
    let before = host.generations(name).last().expect("one").id;

    let answer = host.command(name, Verb::Undo).await;
    assert!(answer.accepted, "{answer:?}");
    host.until_undone(name, "v2").await;
    host.until_serving(name, "v1").await;
    let steps: Vec<_> = host.generations(name).into_iter().filter(|g| g.id >= before).collect();
    assert_eq!(weights(&steps), ["0", "100", "0"], "to 100 % at once, without stages");
    let whole = steps.iter().find(|g| g.weight() == Weight::FULL).expect("checked");
    assert!(has_capacity(whole, replicas), "v1 has its size before it gets anything: {whole:#?}");
    host.until_gone(name, "app", "v2").await;
    traffic.flawless().await;
    let new = host.of_version(name, "app", "v1");
    assert!(new.len() == replicas as usize && new.iter().all(|c| c.running && c.restarts == 0), "{new:#?}");
    assert_serves_alone(&host, name, &new);
}

#[tokio::test]
async fn an_undo_to_a_version_whose_containers_are_gone_starts_them_first_and_no_request_is_lost() {
    goes_back_cold("good-cold", 21_104, 1).await;
}

#[tokio::test]
async fn an_undo_starts_four_replicas_that_are_gone_before_it_moves_anybody_and_no_request_is_lost() {
    goes_back_cold("good-cold-four", 21_108, 4).await;
}

/// A second set of the version in production takes over; everything that is promised of it.
async fn is_restarted(name: &str, port: u16, replicas: u32) {
    let manifest = manifest(name, port).replicas(replicas).stages(&[(100.0, 1)]);
    let host = Host::serving(&manifest).await;
    host.set(&manifest.version("v2"));
    let traffic = Traffic::start(port);
    let undo = host.until_serving(name, "v2").await.undo;
    let old = host.of_version(name, "app", "v2");
    let before = host.generations(name).last().expect("one").id;

    host.run_cli(&["restart", name]).await;
    let replaced = |c: &[Container]| c.len() == old.len() && c.iter().all(|c| c.running && c.set != old[0].set);
    let new = until_containers(&host, (name, "app", "v2"), replaced).await;
    let report = host.until_serving(name, "v2").await;
    traffic.flawless().await;
    assert_eq!(report.undo, undo, "what undo goes back to is unchanged");
    let steps: Vec<_> = host.generations(name).into_iter().filter(|g| g.id >= before).collect();
    for step in steps.iter().filter(|g| g.weight() > Weight::ZERO) {
        assert!(has_capacity(step, replicas), "too few replicas: {step:#?}");
    }
    assert_eq!(new.len(), replicas as usize, "{new:#?}");
    assert_serves_alone(&host, name, &new);
}

#[tokio::test]
async fn a_restart_puts_a_second_set_of_the_same_version_in_place_and_no_request_is_lost() {
    is_restarted("good-restart", 21_105, 1).await;
}

#[tokio::test]
async fn a_restart_of_four_replicas_has_four_new_ones_first_and_no_request_is_lost() {
    is_restarted("good-restart-four", 21_109, 4).await;
}

#[tokio::test]
async fn a_stage_of_weight_0_is_a_rehearsal_healthy_and_without_a_request() {
    let name = "good-rehearsal";
    let manifest = manifest(name, 21_106).stages(&[(0.0, 2), (100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_106);
    host.set(&manifest.version("v2"));
    let report = host
        .until(name, "the rehearsal", |r| r.stage == Some(0) && r.stages[0].observed > Duration::from_secs(1))
        .await;
    assert_eq!(report.live_weight, Weight::ZERO);
    assert_eq!(traffic.so_far().of_version("v2"), 0, "nobody was sent to it");
    let ended = host.expect_outcome(name, "v2", Outcome::Promoted).await;
    let answers = traffic.flawless().await;
    assert!(answers.of_version("v2") > 0, "{answers:?} {ended:?}");
}
