//! Killing the daemon at any moment harms nothing: at each change that it asks of the engine, before it is made and after
//! it, and at each swap of the gateway's configuration. Whatever the moment, the end is the same as without the kill, with
//! the same containers, no stage twice and none left out, no request counted twice, and no user's request lost.
//!
//! Single kills are a sample, the same ones every time; `CANARYD_E2E_EVERY_KILL=1` takes all of them.
#![allow(clippy::print_stdout, reason = "figures of a test are for whoever runs it")]

mod journey;
mod slow;
mod walk;

use std::time::Instant;

use canaryd_e2e::Moment;
use futures::StreamExt;

use journey::Journey;
use walk::{Kills, Walk, walk};

/// So many hosts at a time: two processors carry them.
const AT_ONCE: usize = 3;

/// At every single step, one after the other, on one journey.
async fn interrupted_everywhere(journey: Journey, name: &str) {
    let (plain, often) = (format!("{name}-plain"), format!("{name}-often"));
    let (undisturbed, interrupted) =
        tokio::join!(walk(journey, &plain, Kills::Never), walk(journey, &often, Kills::Everywhere));
    tell(&often, &interrupted);
    assert!(interrupted.kills > undisturbed.changes.len(), "{} kills", interrupted.kills);
    assert_eq!(interrupted.end, undisturbed.end);
}

/// Each step on a journey of its own.
async fn interrupted_once(journey: Journey, name: &str) {
    let undisturbed = walk(journey, &format!("{name}-plain"), Kills::Never).await;
    let steps = steps_of(&undisturbed);
    let all = std::env::var_os("CANARYD_E2E_EVERY_KILL").is_some();
    let taken: Vec<Kills> =
        steps.iter().copied().enumerate().filter(|(i, _)| all || i % 3 == 1).map(|(_, k)| k).collect();
    println!("{journey:?}: {} of {} kills", taken.len(), steps.len());
    let began = Instant::now();
    let walks = taken.into_iter().enumerate().map(|(i, kills)| {
        let name = format!("{name}-{i}");
        async move { (kills, tokio::spawn(async move { walk(journey, &name, kills).await }).await) }
    });
    let walked: Vec<_> = futures::stream::iter(walks).buffer_unordered(AT_ONCE).collect().await;
    let mut wrong = Vec::new();
    for (kills, outcome) in walked {
        match outcome {
            Ok(walk) if walk.end == undisturbed.end => tell(&format!("{kills:?}"), &walk),
            Ok(walk) => wrong.push(format!("{kills:?}: {:#?}", walk.end)),
            Err(panic) => wrong.push(format!("{kills:?}: {panic}")),
        }
    }
    println!("{journey:?}: {:.0} s", began.elapsed().as_secs_f64());
    assert!(wrong.is_empty(), "undisturbed: {:#?}\n{}", undisturbed.end, wrong.join("\n"));
}

/// Every moment of a journey.
fn steps_of(undisturbed: &Walk) -> Vec<Kills> {
    let changes = 1..=undisturbed.changes.len();
    let changes = changes.flat_map(|n| [Moment::Before, Moment::After].map(|moment| Kills::Change(n, moment)));
    changes.chain((1..=undisturbed.swaps).map(Kills::Swap)).collect()
}

fn tell(what: &str, walk: &Walk) {
    let Walk { kills, changes, swaps, sent, failed, took, .. } = walk;
    let (changes, took) = (changes.len(), took.as_secs_f64());
    println!(
        "{what}: {kills} kills, {changes} changes, {swaps} swaps, {took:.1} s, {failed} of {sent} requests failed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_installation_that_is_killed_at_every_step_arrives() {
    interrupted_everywhere(Journey::Install, "crash-install").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_good_version_that_is_killed_at_every_step_is_promoted() {
    interrupted_everywhere(Journey::Promote, "crash-promote").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revert_that_is_killed_at_every_step_takes_the_version_off() {
    interrupted_everywhere(Journey::Revert, "crash-revert").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_undo_that_is_killed_at_every_step_goes_back() {
    interrupted_everywhere(Journey::Undo, "crash-undo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deletion_that_is_killed_at_every_step_leaves_nothing() {
    interrupted_everywhere(Journey::Delete, "crash-delete").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_kill_anywhere_on_the_way_of_a_good_version_changes_nothing() {
    interrupted_once(Journey::Promote, "crash-good").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_kill_anywhere_on_the_way_of_a_bad_version_changes_nothing() {
    interrupted_once(Journey::Revert, "crash-bad").await;
}
