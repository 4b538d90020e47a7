//! The daemon is killed, ended and started again: what serves goes on serving, and the end is the same.

use std::time::Duration;

use canaryd_e2e::{Host, Traffic, containers, inspect, weights};
use canaryd_planner::Outcome;

use crate::manifest;

/// v2 moves; the daemon is gone for a second in the middle of the stage at 5 %; and v2 is promoted as if nothing had been.
async fn survives(name: &str, port: u16, kill: bool) {
    let manifest = manifest(name, port).replicas(2).stages(&[(1.0, 2), (5.0, 4), (25.0, 2), (100.0, 1)]);
    let mut host = Host::serving(&manifest).await;
    let production = host.of_version(name, "app", "v1");
    let traffic = Traffic::start(port);
    host.set(&manifest.version("v2"));
    host.until(name, "it is in the middle of 5 %", |r| r.stage == Some(1) && r.stages[1].observed.as_secs() >= 2).await;
    let canary = host.of_version(name, "app", "v2");
    if kill {
        host.kill().await;
    } else {
        assert_eq!(host.terminate().await, Some(0), "{}", host.log());
    }
    let then = traffic.so_far();
    traffic.until_sent(then.sent + 200).await;
    assert!(traffic.so_far().of_version("v2") > then.of_version("v2"), "the split stays while nobody watches");
    host.run().await;
    let ended = host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;

    assert_eq!(weights(&host.generations(name)), ["0", "1", "5", "25", "100", "0"], "{ended:?}");
    let history = host.events(name).await;
    let entered: Vec<_> = history.iter().filter(|e| e.kind == "stage-entered" && e.message.starts_with("v2")).collect();
    assert_eq!(entered.len(), 4, "no stage is observed twice: {entered:#?}");
    let new = host.of_version(name, "app", "v2");
    assert!(new.len() == 2 && canary.iter().all(|c| new.contains(c)), "no container twice: {canary:#?} {new:#?}");
    assert_eq!(host.of_version(name, "app", "v1"), production, "v1 was not touched");
    let drawn = host.drawn(name).iter().filter(|(w, _)| w.share() < 1.0).map(|(_, d)| d.canary).sum::<u64>();
    assert!(ended.requests > drawn / 2, "what was seen before counts: {} of {drawn}", ended.requests);
}

/// How often NGINX took up a configuration, by its own word.
fn reloads(name: &str) -> usize {
    let output = std::process::Command::new("docker").args(["logs", &format!("{name}-gateway")]).output();
    let said = output.expect("docker is installed").stderr;
    String::from_utf8_lossy(&said).matches("reconfiguring").count()
}

#[tokio::test]
async fn a_daemon_killed_in_the_middle_of_a_stage_comes_back_to_the_same_end() {
    survives("restarts-kill", 21_501, true).await;
}

#[tokio::test]
async fn a_daemon_ended_in_the_middle_of_a_stage_comes_back_to_the_same_end() {
    survives("restarts-term", 21_502, false).await;
}

#[tokio::test]
async fn a_daemon_that_starts_again_at_rest_restarts_nothing_and_reloads_nothing() {
    let name = "restarts-idle";
    let manifest = manifest(name, 21_503).replicas(2);
    let mut host = Host::serving(&manifest).await;
    let traffic = Traffic::start(21_503);
    let everything = |host: &Host| containers(&host.instance(), name, "app");
    let gateway = || inspect(&format!("{name}-gateway"), "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}");
    let (apps, front, live) = (everything(&host), gateway(), host.live_generation(name));
    let before = reloads(name);
    for kill in [true, false] {
        if kill {
            host.kill().await;
        } else {
            host.terminate().await;
        }
        host.run().await;
        host.until_serving(name, "v1").await;
        // A few turns of every loop, so that whatever it wants to do is done.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(everything(&host), apps, "the same containers, not restarted");
        assert_eq!(gateway(), front, "the same gateway");
        assert_eq!(host.live_generation(name), live, "the same configuration\n{}", host.log());
    }
    traffic.flawless().await;
    assert_eq!(reloads(name), before, "NGINX was not signalled");
}
