//! What a change of the manifest means for what is under way: a newer version, the version line set back, edited stages
//! and checks, another number of replicas. All under constant traffic, and no request is lost.

use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, PATIENCE, Traffic, weights};
use canaryd_gateway::Lane;
use canaryd_planner::{Outcome, StageState};
use canaryd_rollout::Weight;

use crate::{ids, manifest, percent, told, until_containers};

/// A host on which v2 has 25 % and keeps it until something changes.
async fn at_a_quarter(manifest: &Manifest, port: u16) -> (Host, Traffic) {
    let host = Host::serving(manifest).await;
    let traffic = Traffic::start(port);
    host.set(&manifest.clone().version("v2"));
    host.until_weight(manifest.name(), "25").await;
    (host, traffic)
}

/// Waits until so many replicas of production are behind the gateway.
async fn until_serving(host: &Host, name: &str, replicas: usize) {
    let deadline = Instant::now() + PATIENCE;
    while host.generations(name).last().is_none_or(|g| g.replicas(Lane::Production) != replicas) {
        assert!(Instant::now() < deadline, "not {replicas}: {:#?}", host.generations(name).last());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_newer_version_takes_the_place_of_one_at_25_percent_and_begins_at_the_first_stage() {
    let name = "changes-newer";
    let manifest = manifest(name, 21_201).stages(&[(1.0, 1), (25.0, 60), (100.0, 1)]);
    let (host, traffic) = at_a_quarter(&manifest, 21_201).await;
    let (production, v2) = (host.of_version(name, "app", "v1"), host.of_version(name, "app", "v2"));
    let before = host.generations(name).last().expect("one").id;

    host.set(&manifest.version("v3").stages(&[(1.0, 1), (25.0, 2), (100.0, 1)]));
    let report = host.until(name, "v2 has ended", |r| r.outcome.as_ref().is_some_and(|o| o.version == "v2")).await;
    assert_eq!(report.outcome.expect("checked").outcome, Outcome::Superseded);
    host.expect_outcome(name, "v3", Outcome::Promoted).await;
    host.until_gone(name, "app", "v2").await;
    traffic.flawless().await;

    let steps: Vec<_> = host.generations(name).into_iter().filter(|g| g.id >= before).collect();
    assert_eq!(weights(&steps), ["25", "0", "1", "25", "100", "0"], "v2 goes to 0 %, v3 begins at the first stage");
    for step in steps.iter().filter(|g| g.id > before && g.weight() > Weight::ZERO) {
        let sets = step.intent.lane(Lane::Canary).iter().map(|e| e.set.as_str());
        assert!(sets.into_iter().all(|set| set != v2[0].set), "v2 never comes back: {step:#?}");
    }
    assert_eq!(host.of_version(name, "app", "v1"), production, "v1 was not touched");
}

#[tokio::test]
async fn the_version_line_set_back_while_the_new_one_moves_takes_it_off() {
    let name = "changes-back";
    let manifest = manifest(name, 21_202).stages(&[(25.0, 60), (100.0, 1)]);
    let (host, traffic) = at_a_quarter(&manifest, 21_202).await;
    let production = host.of_version(name, "app", "v1");

    host.set(&manifest);
    host.until_weight(name, "0").await;
    let ended = host.expect_outcome(name, "v2", Outcome::Superseded).await;
    assert!(ended.reason.contains("v1"), "{ended:?}");
    host.until_gone(name, "app", "v2").await;
    let then = traffic.so_far();
    traffic.until_sent(then.sent + 200).await;
    let answers = traffic.flawless().await;
    assert_eq!(answers.of_version("v2"), then.of_version("v2"), "nobody gets v2 any more");
    assert_eq!(host.of_version(name, "app", "v1"), production, "v1 was not touched");
    assert_eq!(host.report(name).await.expect("it is known").phase, "idle");
}

#[tokio::test]
async fn the_version_line_set_back_after_the_promotion_is_an_undo_at_once() {
    let name = "changes-undo";
    let manifest = manifest(name, 21_203).stages(&[(100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let old = host.of_version(name, "app", "v1");
    let traffic = Traffic::start(21_203);
    host.set(&manifest.clone().version("v2"));
    host.until_serving(name, "v2").await;
    let before = host.generations(name).last().expect("one").id;

    host.set(&manifest);
    host.until_undone(name, "v2").await;
    host.until_serving(name, "v1").await;
    let steps: Vec<_> = host.generations(name).into_iter().filter(|g| g.id >= before).collect();
    assert_eq!(weights(&steps), ["0", "100", "0"], "to 100 % at once, without stages");
    assert_eq!(ids(&host.of_version(name, "app", "v1")), ids(&old), "the same containers");

    // What was undone stays out, even when the manifest asks for it once more.
    host.set(&manifest.version("v2"));
    let report = host.until(name, "it says that v2 is blocked", |r| r.sentence.contains("v2")).await;
    assert!(report.production.is_some_and(|p| p.version == "v1") && report.canary.is_none(), "{}", report.sentence);
    traffic.flawless().await;
}

#[tokio::test]
async fn edited_stages_leave_the_weight_and_go_on_at_the_first_stage_at_or_above_it() {
    let name = "changes-stages";
    let manifest = manifest(name, 21_204).stages(&[(1.0, 1), (25.0, 60), (100.0, 1)]);
    let (host, traffic) = at_a_quarter(&manifest, 21_204).await;
    let v2 = manifest.version("v2");
    let containers = host.of_version(name, "app", "v2");

    host.set(&v2.stages(&[(2.0, 1), (10.0, 1), (50.0, 2), (100.0, 1)]));
    let report = host.until(name, "the new stages are in force", |r| r.stages.len() == 4).await;
    assert_eq!(report.stage, Some(2), "{:#?}", report.stages);
    assert!(told(&host, name, "stages-changed").await == 1, "{:#?}", host.events(name).await);
    let ended = host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;
    assert_eq!(weights(&host.generations(name)), ["0", "1", "25", "50", "100", "0"], "{ended:?}");
    assert_eq!(host.of_version(name, "app", "v2"), containers, "the same containers");
}

#[tokio::test]
async fn an_edited_check_begins_with_fresh_evidence_and_the_report_says_so() {
    let name = "changes-check";
    let manifest = manifest(name, 21_205).stages(&[(25.0, 60), (100.0, 1)]);
    let (host, traffic) = at_a_quarter(&manifest, 21_205).await;
    let counted = |r: &canaryd_planner::Report| r.stages.first().map_or(0, |s| s.requests);
    let before = host.until(name, "100 requests are counted", |r| counted(r) > 100).await;

    host.set(&manifest.version("v2").errors(2));
    let after = host.until(name, "the evidence is fresh", |r| counted(r) < counted(&before)).await;
    assert!(after.notes.iter().any(|n| n.contains("checks were changed")), "{:#?}", after.notes);
    assert_eq!(told(&host, name, "fresh-evidence").await, 1, "{:#?}", host.events(name).await);
    assert_eq!((after.live_weight, after.stage), (before.live_weight, before.stage), "the weight stays");
    // The numbers grow again, and it is through with them alone.
    host.until(name, "100 requests are counted again", |r| counted(r) > 100).await;
    host.run_cli(&["advance", name]).await;
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;
}

#[tokio::test]
async fn scaled_from_2_to_4_and_back_at_rest_only_adds_and_removes_containers() {
    let name = "changes-scale";
    let manifest = manifest(name, 21_206).replicas(2);
    let host = Host::serving(&manifest).await;
    let two = host.of_version(name, "app", "v1");
    let traffic = Traffic::start(21_206);

    host.set(&manifest.clone().replicas(4));
    let four = until_containers(&host, (name, "app", "v1"), |c| c.len() == 4 && c.iter().all(|c| c.running)).await;
    assert!(two.iter().all(|c| four.contains(c)), "the first two run on: {two:#?} {four:#?}");
    until_serving(&host, name, 4).await;

    host.set(&manifest);
    let left = until_containers(&host, (name, "app", "v1"), |c| c.len() == 2).await;
    assert_eq!(left, two, "the later ones went");
    until_serving(&host, name, 2).await;
    traffic.flawless().await;
    let report = host.report(name).await.expect("it is known");
    assert_eq!((report.phase.as_str(), report.canary.is_none()), ("idle", true), "scaling is no rollout");
}

#[tokio::test]
async fn scaled_from_2_to_4_and_back_with_a_canary_keeps_the_capacity_that_its_weight_needs() {
    let name = "changes-both";
    let manifest = manifest(name, 21_207).replicas(2).stages(&[(25.0, 1), (75.0, 60), (100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_207);
    let v2 = manifest.version("v2");
    host.set(&v2);
    host.until_weight(name, "75").await;

    host.set(&v2.clone().replicas(4));
    until_containers(&host, (name, "app", "v1"), |c| c.len() == 4 && c.iter().all(|c| c.running)).await;
    let three = until_containers(&host, (name, "app", "v2"), |c| c.len() == 3 && c.iter().all(|c| c.running)).await;
    let report = host.report(name).await.expect("it is known");
    assert_eq!(report.live_weight, percent("75"), "the weight stays");
    assert_eq!(report.stages[1].state, StageState::Current);

    host.set(&v2.replicas(2).stages(&[(25.0, 1), (75.0, 1), (100.0, 1)]));
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    let two = until_containers(&host, (name, "app", "v2"), |c| c.len() == 2).await;
    traffic.flawless().await;
    assert!(two.iter().all(|c| three.contains(c)), "{two:#?} {three:#?}");
}
