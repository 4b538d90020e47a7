//! What people press while a good version moves: pause, the weight by hand, the next stage, the promotion. All under
//! constant traffic, and no request is lost.

use std::time::Duration;

use canaryd_cockpit::CommandRequest;
use canaryd_e2e::{Host, Traffic, demo_image, weights};
use canaryd_planner::{Answer, Expected, Outcome, Report, StageState, Verb};
use canaryd_rollout::Weight;

use crate::{has_capacity, manifest, percent, stays};

#[tokio::test]
async fn a_pause_longer_than_the_deadlines_of_start_and_stage_costs_nothing() {
    let name = "commands-pause";
    let manifest = manifest(name, 21_301)
        .stages(&[(25.0, 1), (100.0, 1)])
        .longest_stage(3)
        .startup(2)
        .deadlines("{ pull: 5s, start: 1s }");
    // Without the pause it would be given up after three seconds.
    demo_image(name, "v2", &[("STARTUP_MS", "5000")]);
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_301);
    host.set(&manifest.version("v2"));
    host.until(name, "v2 starts", |r| r.phase == "starting").await;
    host.run_cli(&["pause", name]).await;
    stays(&host, name, "v2 starts", Duration::from_secs(4), |r| r.phase == "starting" && r.paused.is_some()).await;
    host.run_cli(&["resume", name]).await;

    host.until_weight(name, "25").await;
    host.run_cli(&["pause", name]).await;
    let containers = host.of_version(name, "app", "v2");
    stays(&host, name, "v2 is paused at 25 %", Duration::from_secs(5), |r| {
        r.paused.is_some() && r.live_weight == percent("25")
    })
    .await;
    host.run_cli(&["resume", name]).await;
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;
    assert_eq!(weights(&host.generations(name)), ["0", "25", "100", "0"]);
    assert_eq!(host.of_version(name, "app", "v2"), containers, "the same containers");
}

#[tokio::test]
async fn a_weight_set_by_hand_holds_progress_with_its_capacity_until_resume_gives_control_back() {
    let name = "commands-hand";
    let manifest = manifest(name, 21_302).replicas(4).stages(&[(1.0, 2), (25.0, 2), (100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_302);
    host.set(&manifest.version("v2"));
    host.until_weight(name, "1").await;

    let said = host.run_cli(&["traffic", name, "40"]).await;
    assert!(said.contains("resume"), "it says how to give control back: {said}");
    host.until_weight(name, "40").await;
    stays(&host, name, "40 % by hand", Duration::from_secs(4), |r| {
        r.manual.is_some() && r.wanted_weight == percent("40")
    })
    .await;
    host.run_cli(&["traffic", name, "12.5"]).await;
    host.until_weight(name, "12.5").await;
    host.run_cli(&["resume", name]).await;
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;

    let steps = host.generations(name);
    assert_eq!(weights(&steps), ["0", "1", "40", "12.5", "1", "25", "100", "0"], "12.5 % goes on at 1 %");
    for step in steps.iter().filter(|g| g.weight() > Weight::ZERO) {
        assert!(has_capacity(step, 4), "{step:#?}");
    }
}

/// `advance` as the command line sends it: with what the person saw.
async fn advance(host: &Host, name: &str, report: &Report) -> Answer {
    let expected = Some(Expected::of(report));
    let request = CommandRequest { id: None, comment: None, expected, verb: Verb::Advance };
    host.client().await.command(&name.parse().expect("a name"), &request).await.expect("an answer")
}

#[tokio::test]
async fn advance_pressed_twice_goes_one_stage_and_promote_with_a_reason_goes_all_the_way() {
    let name = "commands-advance";
    let manifest = manifest(name, 21_303).stages(&[(1.0, 60), (5.0, 60), (25.0, 60), (100.0, 60)]);
    let host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_303);
    host.set(&manifest.version("v2"));
    let seen = host.until_weight(name, "1").await;

    let (first, second) = tokio::join!(advance(&host, name, &seen), advance(&host, name, &seen));
    assert!(first.accepted || second.accepted, "{first:?} {second:?}");
    let at_five = host.until_weight(name, "5").await;
    assert_eq!(at_five.stages[0].state, StageState::Skipped, "{:#?}", at_five.stages);
    let late = advance(&host, name, &seen).await;
    assert!(!late.accepted, "a person who saw stage 1 does not move stage 2: {late:?}");
    stays(&host, name, "5 %", Duration::from_secs(2), |r| r.wanted_weight == percent("5")).await;

    let (code, _, refused) = host.cli(&["promote", name]).await;
    assert_eq!(code, 2, "a promotion wants a reason: {refused}");
    host.run_cli(&["promote", name, "--reason", "the release day is today"]).await;
    let ended = host.expect_outcome(name, "v2", Outcome::Promoted).await;
    assert!(ended.reason.contains("the release day is today"), "{ended:?}");
    traffic.flawless().await;
    assert_eq!(weights(&host.generations(name)), ["0", "1", "5", "100", "0"]);
}
