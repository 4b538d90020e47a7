//! What keeps evidence, what ends it, and when a log counts as read.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use canaryd_planner::{Memory, Slots};
use canaryd_rollout::Rollout;

use super::*;
use crate::daemon::dry_run;
use crate::daemon::fake::{Site, rollout};

const STAGES: &str = "  stages: [{ weight: 5, observe: 10m }, { weight: 100, observe: 10m }]\n";
const LONGER: &str =
    "  stages: [{ weight: 5, observe: 30m }, { weight: 50, observe: 5m }, { weight: 100, observe: 10m }]\n";

fn wish(cell: &Cell, rollout: Rollout) {
    lock(&cell.wish).rollout = Some(Arc::new(rollout));
}

/// Plans until it is so; what a plan wants is pretended to be done.
fn plan_until(site: &Site, cell: &Arc<Cell>, mut memory: Memory, what: &str, so: impl Fn(&Memory) -> bool) -> Memory {
    let slots = Slots { may_move: true, may_start: true, ahead: Vec::new() };
    for _ in 0..100 {
        if so(&memory) {
            return memory;
        }
        memory = dry_run::turn(&site.house, cell, &memory, slots.clone()).memory;
    }
    panic!("never {what}: {}", memory.phase_name());
}

/// v2 is on trial, and was seen at work.
async fn on_trial(site: &Site) -> (Arc<Cell>, Memory) {
    site.look().await;
    let cell = site.cell("shop");
    wish(&cell, rollout("v1", "", STAGES));
    let serves = |m: &Memory| m.production_revision().is_some() && m.phase_name() == "idle";
    let memory = plan_until(site, &cell, Memory::default(), "v1 in production", serves);
    wish(&cell, rollout("v2", "", STAGES));
    let memory = plan_until(site, &cell, memory, "v2 on trial", |m| m.canary_set().is_some());
    attend(&cell, &memory);
    let sample =
        |client| Sample { arm: Arm::Canary, ordinal: 1, failed: false, latency: Some(0.1), mode: None, client };
    let samples: Vec<Sample> = (0..50).map(sample).collect();
    let mut held = lock(&cell.evidence);
    let (_, judge) = held.judge.as_mut().expect("there is a judge");
    judge.tick(100, &samples);
    drop(held);
    (cell, memory)
}

fn judged(cell: &Cell) -> String {
    serde_json::to_string(&lock(&cell.evidence).judge).unwrap()
}

#[tokio::test]
async fn edited_stages_keep_the_evidence_and_edited_checks_begin_with_none() {
    let site = Site::new().await;
    let (cell, memory) = on_trial(&site).await;
    let seen = judged(&cell);
    wish(&cell, rollout("v2", "", LONGER));
    attend(&cell, &memory);
    assert_eq!(judged(&cell), seen, "the planned time is no question");
    let stricter = format!("{LONGER}  checks: [{{ name: errors, errorRate: {{ max: 0.1% }} }}]\n");
    wish(&cell, rollout("v2", "", &stricter));
    attend(&cell, &memory);
    let fresh = judged(&cell);
    assert_ne!(fresh, seen);
    attend(&cell, &memory);
    assert_eq!(judged(&cell), fresh, "and goes on with that");
    let (_, judge) = lock(&cell.evidence).judge.clone().unwrap();
    let asked = settings_of(&rollout("v2", "", &stricter));
    assert_eq!(serde_json::to_string(&judge).unwrap(), serde_json::to_string(&Judge::new(asked)).unwrap());
}

#[tokio::test]
async fn failures_of_a_time_when_canaryd_was_away_count_by_their_seconds() {
    let site = Site::new().await;
    let (cell, memory) = on_trial(&site).await;
    restore(&site.house, &cell).await;
    attend(&cell, &memory);
    let set = memory.canary_set().expect("v2 is on trial");
    let addr: IpAddr = "10.77.0.3".parse().unwrap();
    lock(&cell.evidence).owners.insert(addr, (Owner { set, ordinal: 1 }, None));
    let log = log_of(&site.house, &cell);
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    let begun = Timestamp::now().as_second() + 1;
    // One client, as behind a proxy that names nobody: each request fails, for twenty seconds.
    let line = |n: i64| {
        let (second, tenth) = (begun + n / 10, n % 10);
        format!(
            "{{\"t\":\"{second}.{tenth}\",\"gen\":\"1.4\",\"ro\":\"shop\",\"lane\":\"canary\",\"ruled\":\"0\",\"up\":\"shop_canary\",\
             \"served\":\"canary\",\"m\":\"GET\",\"path\":\"/\",\"st\":\"500\",\"b\":\"12\",\"rt\":\"0.010\",\"ua\":\"{addr}:8000\",\
             \"us\":\"500\",\"ut\":\"0.010\",\"uc\":\"0.001\",\"uh\":\"0.010\",\"mode\":\"\",\"under\":\"\",\"client\":\"2a\",\
             \"id\":\"7\",\"done\":\"OK\",\"sse\":\"\"}}\n"
        )
    };
    fs::write(&log, (0..200).map(line).collect::<String>()).unwrap();
    read_all(&site.house, &[Arc::clone(&cell)], Duration::ZERO);
    let held = lock(&cell.evidence);
    let (_, judge) = held.judge.as_ref().expect("it goes on");
    assert!(
        matches!(judge.verdict(None), canaryd_verdict::Verdict::Fail { .. }),
        "{}",
        serde_json::to_string(judge).unwrap()
    );
}

#[tokio::test]
async fn a_log_counts_as_read_only_when_its_end_was_reached() {
    let site = Site::new().await;
    let cell = site.cell("shop");
    restore(&site.house, &cell).await;
    let log = log_of(&site.house, &cell);
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    // One more than a second takes, of before: a daemon that was away has much to catch up with.
    fs::write(&log, "a line of before\n".repeat(LINES + 1)).unwrap();
    let read = || read_all(&site.house, &[Arc::clone(&cell)], Duration::ZERO);
    read();
    assert_eq!(view(&cell).read_at, None, "what it tells is of the past");
    read();
    let at = view(&cell).read_at.expect("now it is at the end");
    fs::write(&log, "more of before\n".repeat(2 * LINES + 2)).unwrap();
    read();
    assert_eq!(view(&cell).read_at, Some(at), "behind again");
}

#[test]
fn the_planner_is_rung_when_productions_failures_become_many_and_when_they_cease() {
    let mut recent = RecentOf::default();
    let mut count = |second, all, failed| {
        recent.all.add(second, all);
        recent.failed.add(second, failed);
        recent.turns(second + 1)
    };
    assert!(!count(1_000, 19, 19), "too few to say anything");
    assert!(count(1_001, 1, 1), "twenty of twenty");
    assert!(!count(1_002, 10, 10), "it is known");
    assert!(count(1_065, 100, 5), "what is over a minute old does not count, and one in twenty is no alarm");
}

#[test]
fn a_gateway_that_nobody_uses_is_asked_seldom_and_every_second_when_its_users_are_gone() {
    let asked = |held: &Evidence, second: i64| (0..300).filter(|turn| held.is_due(second, *turn)).count();
    let mut held = Evidence::default();
    assert_eq!(asked(&held, 1_000), 10, "once in 30 s");
    held.rate.add(1_000, 5);
    assert_eq!(asked(&held, 1_001), 10, "its users are answered");
    held.quiet = LULL;
    assert_eq!(asked(&held, 1_003), 300, "or are they?");
    assert_eq!(asked(&held, 1_000 + 120), 10, "they went home");
    held.deaf = Some((1, Timestamp::now(), "connection refused".to_owned()));
    assert_eq!(asked(&held, 1_000 + 120), 300, "one question without an answer is asked again at once");
}
