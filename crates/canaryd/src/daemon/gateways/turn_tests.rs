//! Lowerings in the corners: without a gateway that runs, and after a change that failed half-way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use canaryd_gateway::{Endpoint, GenerationId, Intent, Lane, Traffic, render, twin};
use canaryd_link::Why;
use canaryd_planner::Memory;
use canaryd_rollout::{SetId, Weight};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::disk::keep_intent;
use super::lowering::is_against;
use super::running::link;
use super::settings::Choices;
use super::turn::Gateway;
use super::{Stand, Wanted};
use crate::daemon::bells::lock;
use crate::daemon::fake::{Hup, Site, gateway, rollout, until};
use crate::daemon::house::Cell;

fn intent(seq: u64, canary: Weight) -> Intent {
    let endpoint = |n| vec![Endpoint { set: SetId::nth(n), ordinal: 1, addr: IpAddr::from([10, 0, 0, 1]), port: 80 }];
    let mut lanes = BTreeMap::from([(Lane::Production, endpoint(1))]);
    if canary > Weight::ZERO {
        lanes.insert(Lane::Canary, endpoint(2));
    }
    Intent { seq, traffic: Traffic::Split { canary }, lanes, precaution: false }
}

fn quarter() -> Weight {
    Weight::from_basis_points(2500).unwrap()
}

/// A rollout whose gateway has this intent live on disk.
async fn prepared(site: &Site, live: &Intent) -> Arc<Cell> {
    let cell = site.cell("shop");
    let rollout = rollout("v1", "", "");
    lock(&cell.wish).rollout = Some(Arc::new(rollout.clone()));
    let gateway = Gateway::open(&site.house, &cell).await.unwrap();
    let settings = gateway.settings(&Choices::of(&rollout), live);
    let generation = GenerationId::new(site.house.config.epoch, 1_000);
    let (whole, lowered) = (render(&settings, live, generation).unwrap(), twin(&settings, live, generation).unwrap());
    let link = link(&gateway.dir, &gateway.secrets, None).unwrap();
    link.prepare(&whole, &lowered, None).await.unwrap();
    keep_intent(&gateway.dir, generation, live).unwrap();
    link.swap(generation).unwrap();
    cell
}

fn is_on_the_twin(gateway: &Gateway) -> bool {
    link(&gateway.dir, &gateway.secrets, None).unwrap().current().unwrap().is_twin()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_down_is_lowered_by_what_it_will_start_on() {
    let site = Site::new().await;
    let cell = prepared(&site, &intent(1, quarter())).await;
    let mut gateway = Gateway::open(&site.house, &cell).await.unwrap();
    assert_eq!(cell.gateway.view().live.unwrap().intent.traffic.canary(), quarter());
    site.look().await;
    gateway.turn(Wanted::Serve(intent(2, Weight::ZERO))).await;
    assert!(is_on_the_twin(&gateway), "the next start lowers");
    let view = cell.gateway.view();
    let live = view.live.unwrap();
    assert_eq!((live.intent.seq, live.intent.traffic.canary()), (2, Weight::ZERO));
    assert!(!view.lowered_offline, "canaryd did it itself");
    assert_eq!(*lock(&site.engine.nginx.hups), 0, "there is nobody to signal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowering_whose_signal_cannot_be_sent_is_nobody_else_s_and_is_tried_again() {
    let site = Site::new().await;
    let cell = prepared(&site, &intent(1, quarter())).await;
    let mut gateway_at_work = Gateway::open(&site.house, &cell).await.unwrap();
    let ops_port = Some(site.engine.nginx.start(gateway_at_work.dir.clone()).await);
    lock(&site.engine.gateways).push(canaryd_engine::ObservedGateway { ops_port, ..gateway("shop") });
    site.look().await;
    lock(&site.engine.nginx.next).extend([Hup::Refused, Hup::Refused]);
    for _ in 0..3 {
        gateway_at_work.turn(Wanted::Serve(intent(2, Weight::ZERO))).await;
        assert!(!cell.gateway.view().lowered_offline, "canaryd did it itself");
    }
    assert_eq!(gateway_at_work.live.as_ref().map(|live| live.intent.seq), Some(2));
}

/// v2 is to get a quarter; the gateway runs, and does with the signals what `next` says.
async fn failed_raise(next: [Hup; 2]) -> (Site, Gateway) {
    let site = Site::new().await;
    let cell = prepared(&site, &intent(1, Weight::ZERO)).await;
    let mut gateway_at_work = Gateway::open(&site.house, &cell).await.unwrap();
    let ops_port = Some(site.engine.nginx.start(gateway_at_work.dir.clone()).await);
    lock(&site.engine.gateways).push(canaryd_engine::ObservedGateway { ops_port, ..gateway("shop") });
    site.look().await;
    lock(&site.engine.nginx.next).extend(next);
    gateway_at_work.turn(Wanted::Serve(intent(2, quarter()))).await;
    let problem = cell.gateway.view().problem.expect("it does not become live");
    assert!(problem.contains("did not become live"), "{problem}");
    assert_eq!(*lock(&site.engine.nginx.hups), 2, "one for the raise, one to put back");
    (site, gateway_at_work)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_that_failed_and_was_not_put_back_is_lowered_as_if_it_were_live() {
    let (site, mut gateway) = failed_raise([Hup::Ignored, Hup::Refused]).await;
    assert_eq!(gateway.attempt.as_ref().map(|a| a.traffic.canary()), Some(quarter()), "it may still come to life");
    gateway.turn(Wanted::Serve(intent(3, Weight::ZERO))).await;
    let twin = GenerationId::new(site.house.config.epoch, 1_000).twin().to_string();
    let loaded = lock(&site.engine.nginx.loaded).clone();
    assert_eq!(loaded.get(1), Some(&twin), "the first thing that NGINX took over is the prepared twin: {loaded:?}");
    assert_eq!(gateway.attempt, None);
    assert_eq!(gateway.live.as_ref().map(|live| live.intent.seq), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_went_in_the_middle_of_a_raise_is_made_anew() {
    let (site, mut gateway) = failed_raise([Hup::Ignored, Hup::Refused]).await;
    lock(&site.engine.gateways).clear();
    site.look().await;
    gateway.turn(Wanted::Serve(intent(3, quarter()))).await;
    let problem = gateway.problem.expect("this engine makes none");
    assert!(
        problem.starts_with("the gateway's image"),
        "it came to its making, and not to signal what is gone: {problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_waited_for_no_longer_than_its_container_runs() {
    for (wanted, says) in [(quarter(), "ended in the middle of it"), (Weight::ZERO, "")] {
        let site = Site::new().await;
        let cell = prepared(&site, &intent(1, Weight::from_basis_points(100).unwrap())).await;
        let mut gateway_at_work = Gateway::open(&site.house, &cell).await.unwrap();
        let ops_port = Some(site.engine.nginx.start(gateway_at_work.dir.clone()).await);
        lock(&site.engine.gateways).push(canaryd_engine::ObservedGateway { ops_port, ..gateway("shop") });
        site.look().await;
        lock(&site.engine.nginx.next).push_back(Hup::Ignored);
        let removed = async {
            until("it is signalled", async || *lock(&site.engine.nginx.hups) == 1).await;
            lock(&site.engine.gateways).clear();
            site.look().await;
        };
        tokio::join!(gateway_at_work.turn(Wanted::Serve(intent(2, wanted))), removed);
        let problem = gateway_at_work.problem.expect("this engine makes no other");
        assert!(problem.contains(says) && !problem.contains("did not become live"), "{problem}");
        assert_eq!(*lock(&site.engine.nginx.hups), 1, "nobody is there to be put back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_that_failed_and_was_put_back_needs_no_lowering() {
    let (site, mut gateway) = failed_raise([Hup::Ignored, Hup::Obeyed]).await;
    assert_eq!(gateway.attempt, None);
    gateway.turn(Wanted::Serve(intent(3, Weight::ZERO))).await;
    let loaded = lock(&site.engine.nginx.loaded).clone();
    assert!(loaded.iter().all(|generation| !generation.ends_with('t')), "{loaded:?}");
    assert_eq!(gateway.live.as_ref().map(|live| live.intent.seq), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_that_is_asked_for_with_every_plan_is_tried_ever_more_rarely_and_swept() {
    let site = Site::new().await;
    let cell = prepared(&site, &intent(1, Weight::ZERO)).await;
    let dir = site.house.store.gateway_dir(&cell.name);
    let ops_port = Some(site.engine.nginx.start(dir.clone()).await);
    lock(&site.engine.gateways).push(canaryd_engine::ObservedGateway { ops_port, ..gateway("shop") });
    site.look().await;
    *lock(&site.engine.nginx.refused) = Some(Vec::new());
    cell.gateway.ask(intent(2, quarter()));
    let run = tokio::spawn(super::run(Arc::clone(&site.house), Arc::clone(&cell), CancellationToken::new()));
    // As the rollout's loop does: each news, of whatever container, makes a plan, which asks once more.
    let deadline = Instant::now() + Duration::from_millis(3_000);
    while Instant::now() < deadline {
        site.look().await;
        cell.gateway.ask(intent(2, quarter()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let tried = lock(&site.engine.nginx.refused).clone().unwrap().len();
    // At 0, 0.5 and 1.5 s; each tries a generation and its twin.
    assert!((2..=6).contains(&tried), "{tried}");
    assert!(cell.gateway.view().problem.unwrap().contains("unknown directive"));
    for n in 0..30 {
        // A wish that is new each time ends the pause each time.
        let before = lock(&site.engine.nginx.refused).clone().unwrap().len();
        cell.gateway.ask(intent(3 + n, quarter()));
        until("it is tried", async || lock(&site.engine.nginx.refused).clone().unwrap().len() > before).await;
    }
    cell.stop.cancel();
    run.await.unwrap();
    for (what, most) in [("conf/generations", 42), ("intents", 21)] {
        let there = std::fs::read_dir(dir.join(what)).unwrap().count();
        assert!(there <= most + 2, "{there} in {what}");
    }
}

/// What the journal wants, if the twin of intent 7 is live and nobody asked for a lowering since intent 4.
fn was_lowered_by_somebody(asked: &Intent) -> bool {
    is_against(asked, &intent(7, quarter()), 4)
}

#[test]
fn a_twin_where_the_journal_wants_weight_is_somebody_s_doing_whatever_the_number() {
    assert!(was_lowered_by_somebody(&intent(7, quarter())), "the very intent");
    assert!(was_lowered_by_somebody(&intent(8, quarter())), "asked for once more, with nothing to render");
    assert!(was_lowered_by_somebody(&intent(8, Weight::FULL)), "a raise that was asked for and not made");
}

#[test]
fn a_twin_where_the_journal_wants_the_canary_as_production_is_somebody_s_doing() {
    let mut swap = intent(8, Weight::ZERO);
    swap.lanes = BTreeMap::from([(Lane::Production, intent(7, quarter()).lane(Lane::Canary).to_vec())]);
    assert!(was_lowered_by_somebody(&swap));
}

#[test]
fn a_twin_that_the_daemon_asked_for_is_not_somebody_s_doing() {
    assert!(!was_lowered_by_somebody(&intent(8, Weight::ZERO)), "a lowering is asked for");
    assert!(!is_against(&intent(9, quarter()), &intent(7, quarter()), 8), "it was lowered, and may rise again");
    let mut next = intent(9, quarter());
    next.lanes.get_mut(&Lane::Canary).unwrap()[0].set = SetId::nth(3);
    assert!(!was_lowered_by_somebody(&next), "another version");
}

/// A memory that knows this much.
fn memory(facts: &serde_json::Value) -> Memory {
    let mut json = serde_json::to_value(Memory::default()).unwrap();
    for (key, value) in facts.as_object().unwrap() {
        json[key] = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lowered_what_the_journal_does_not_know_is_told_apart_and_nobody_raises_it_again() {
    for by in [Some(Why::Decided), Some(Why::Precaution), None] {
        let site = Site::new().await;
        let asked = intent(1, quarter());
        let cell = prepared(&site, &asked).await;
        *cell.memory.lock().await = memory(&json!({ "asked": asked }));
        let first = Gateway::open(&site.house, &cell).await.unwrap();
        let link = link(&first.dir, &first.secrets, None).unwrap();
        let swapped = by.map_or_else(|| link.swap_to_twin(), |why| link.swap_to_own_twin(why));
        assert!(swapped.unwrap().is_some() && link.was_lowered_by_daemon() == by.is_some());
        let mut again = Gateway::open(&site.house, &cell).await.unwrap();
        let view = cell.gateway.view();
        assert_eq!((view.unexplained, view.lowered_offline), (by.is_some(), by.is_none()));
        assert_eq!(view.precaution, by == Some(Why::Precaution));
        again.turn(Wanted::Serve(asked)).await;
        assert!(is_on_the_twin(&again), "it was raised again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rolls_back_offline_what_is_off_as_a_precaution_is_heeded_by_the_next_run() {
    for by_somebody in [false, true] {
        let site = Site::new().await;
        let cell = prepared(&site, &intent(1, quarter())).await;
        let asked = Intent { precaution: true, ..intent(2, Weight::ZERO) };
        *cell.memory.lock().await = memory(&json!({ "asked": asked, "last_without_canary": 2 }));
        let first = Gateway::open(&site.house, &cell).await.unwrap();
        let link = link(&first.dir, &first.secrets, None).unwrap();
        link.swap_to_own_twin(Why::Precaution).unwrap();
        if by_somebody {
            assert_eq!(link.swap_to_twin().unwrap(), None, "it is in place already");
        }
        Gateway::open(&site.house, &cell).await.unwrap();
        assert_eq!(cell.gateway.view().lowered_offline, by_somebody);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_being_removed_is_not_started_once_more_after_a_kill() {
    for (swept, wanted) in [(false, Some(intent(1, Weight::ZERO))), (true, None)] {
        let site = Site::new().await;
        let asked = intent(1, Weight::ZERO);
        let cell = prepared(&site, &asked).await;
        let deletion = json!({ "by": "mina", "at": "2026-01-01T00:00:00Z", "swept": swept });
        *cell.memory.lock().await = memory(&json!({ "asked": asked, "deletion": deletion }));
        let stand = Stand::begin(&site.house, &cell).await;
        assert!(matches!(stand, Stand::Open(_)));
        assert_eq!(cell.gateway.asked(), wanted, "swept: {swept}");
    }
}

/// A gateway at work with a quarter for the canary, looked at twice: its files are known to be right.
async fn at_work() -> (Site, Arc<Cell>, Gateway) {
    let site = Site::new().await;
    let cell = prepared(&site, &intent(1, quarter())).await;
    let mut gateway_at_work = Gateway::open(&site.house, &cell).await.unwrap();
    let ops_port = Some(site.engine.nginx.start(gateway_at_work.dir.clone()).await);
    lock(&site.engine.gateways).push(canaryd_engine::ObservedGateway { ops_port, ..gateway("shop") });
    site.look().await;
    // Which NGINX it is was not known when its first configuration was made: this one is written by the turn itself.
    gateway_at_work.turn(Wanted::Serve(intent(2, quarter()))).await;
    gateway_at_work.turn(Wanted::Serve(intent(2, quarter()))).await;
    assert_eq!(gateway_at_work.problem, None);
    assert!(gateway_at_work.seal.is_some());
    (site, cell, gateway_at_work)
}

/// Where the live generation's file is, or its twin's.
fn file_of(gateway: &Gateway, twin: bool) -> std::path::PathBuf {
    let name = format!("{}{}", gateway.live.as_ref().unwrap().generation, if twin { "t" } else { "" });
    gateway.dir.join("conf/generations").join(name).join("nginx.conf")
}

async fn is_told(site: &Site, kind: &str) -> usize {
    let filter = canaryd_journal::EventFilter { name: Some("shop".to_owned()), ..Default::default() };
    let events = site.house.journal.events(filter).await.unwrap();
    events.iter().filter(|event| event.kind == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_live_generation_that_somebody_touches_is_put_back_and_nginx_told_anew() {
    for twin in [false, true] {
        let (site, _cell, mut gateway) = at_work().await;
        let (path, before) = (file_of(&gateway, twin), *lock(&site.engine.nginx.hups));
        let text = std::fs::read_to_string(&path).unwrap();
        gateway.turn(Wanted::Serve(intent(3, quarter()))).await;
        assert_eq!(*lock(&site.engine.nginx.hups), before, "nobody touched anything: nothing is done");
        if twin {
            std::fs::remove_file(&path).unwrap();
        } else {
            std::fs::write(&path, "garbage;").unwrap();
        }
        gateway.turn(Wanted::Serve(intent(4, quarter()))).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(*lock(&site.engine.nginx.hups), before + 1, "what it may have read is replaced");
        assert_eq!(gateway.live.as_ref().unwrap().intent.traffic.canary(), quarter());
        until("it is told", async || is_told(&site, "gateway-edited").await == 1).await;
        let kept = std::fs::read_to_string(gateway.dir.join("edited.conf")).ok();
        assert_eq!(kept.as_deref(), (!twin).then_some("garbage;"), "what a person wrote is kept");
        gateway.turn(Wanted::Serve(intent(5, quarter()))).await;
        assert_eq!(*lock(&site.engine.nginx.hups), before + 1, "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_that_is_down_would_start_on_is_put_back_before_it_is_started() {
    for restarted in [false, true] {
        let (site, cell, mut gateway) = at_work().await;
        let (path, current) = (file_of(&gateway, false), gateway.dir.join("conf/current"));
        std::fs::write(&path, "garbage;").unwrap();
        std::fs::remove_file(&current).unwrap();
        std::os::unix::fs::symlink("generations/1.1", &current).unwrap();
        lock(&site.engine.gateways).clear();
        site.look().await;
        if restarted {
            std::fs::remove_file(&current).unwrap();
            std::os::unix::fs::symlink(path.parent().unwrap(), &current).unwrap();
            gateway = Gateway::open(&site.house, &cell).await.unwrap();
            gateway.turn(Wanted::Serve(intent(3, quarter()))).await;
            let text = std::fs::read_to_string(current.join("nginx.conf")).unwrap();
            assert!(text.contains("garbage"), "what it should be is not known, and it was not started yet");
            gateway.died_at_start = true;
        }
        gateway.turn(Wanted::Serve(intent(3, quarter()))).await;
        let text = std::fs::read_to_string(current.join("nginx.conf")).unwrap();
        assert!(text.contains("split_clients") && !text.contains("garbage"), "{text}");
        let link = link(&gateway.dir, &gateway.secrets, None).unwrap();
        assert_eq!(link.current().map(|g| g.to_string()), gateway.live.as_ref().map(|live| live.generation.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_directory_that_was_removed_are_there_again_for_the_next_start() {
    let (site, _cell, mut gateway) = at_work().await;
    std::fs::remove_dir_all(&gateway.dir).unwrap();
    gateway.turn(Wanted::Serve(intent(3, quarter()))).await;
    assert!(file_of(&gateway, false).is_file() && file_of(&gateway, true).is_file());
    let secrets = super::disk::secrets(&gateway.dir, None).unwrap();
    assert_eq!(secrets.ops_token, gateway.secrets.ops_token, "the container has the same ones");
    until("it is told", async || is_told(&site, "gateway-edited").await == 1).await;
}
