//! Workers: canary ones replace as many of production's, go forward with the app and back with it.

use std::time::{Duration, Instant};

use canaryd_e2e::{Container, Host, Manifest, PATIENCE, Traffic, demo_image, good_images};
use canaryd_planner::{Outcome, Verb};

use crate::ids;

/// Four workers beside the app, one of them replaced at first.
fn manifest(name: &str, port: u16) -> Manifest {
    let repository = good_images(name, &["v1", "v2"]);
    let workers = format!(
        "workers:\n  - name: mailer\n    image: {repository}:${{version}}\n    replicas: 4\n    canaryReplicas: 1\n    \
         env: {{ WORKER: \"1\" }}\n    health: {{ none: true, startup: 500ms }}\n    stop: {{ grace: 2s }}"
    );
    Manifest::new(name, &repository, "v1", port).spec(&workers)
}

fn up(containers: &[Container]) -> usize {
    containers.iter().filter(|c| c.running).count()
}

/// Waits until so many workers of both versions run.
async fn until_up(host: &Host, name: &str, v1: usize, v2: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (old, new) = (host.of_version(name, "mailer", "v1"), host.of_version(name, "mailer", "v2"));
        if (up(&old), up(&new)) == (v1, v2) {
            return;
        }
        assert!(Instant::now() < deadline, "not {v1} and {v2}: {old:#?}\n{new:#?}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn one_worker_of_four_is_tried_and_the_others_follow_one_at_a_time_at_100_percent() {
    let name = "workers-good";
    let manifest = manifest(name, 21_401).stages(&[(25.0, 60), (100.0, 1)]);
    let host = Host::serving(&manifest).await;
    let old = host.of_version(name, "mailer", "v1");
    assert_eq!(up(&old), 4, "{old:#?}");
    let traffic = Traffic::start(21_401);
    host.set(&manifest.version("v2"));
    host.until_weight(name, "25").await;
    until_up(&host, name, 3, 1).await;
    let tried = host.of_version(name, "mailer", "v2");

    let answer = host.command(name, Verb::Advance).await;
    assert!(answer.accepted, "{answer:?}");
    let mut fewest = 4;
    while host.report(name).await.is_none_or(|r| r.phase != "idle") {
        let now = up(&host.of_version(name, "mailer", "v1")) + up(&host.of_version(name, "mailer", "v2"));
        fewest = fewest.min(now);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    traffic.flawless().await;
    assert!(fewest >= 3, "{fewest} workers ran at some moment");
    until_up(&host, name, 0, 4).await;
    let new = host.of_version(name, "mailer", "v2");
    assert!(tried.iter().all(|c| new.contains(c)), "what was tried is what works now: {tried:#?} {new:#?}");
    let kept = host.of_version(name, "mailer", "v1");
    assert_eq!(ids(&kept), ids(&old), "kept for an undo, stopped");
}

#[tokio::test]
async fn when_a_version_is_taken_off_productions_workers_start_again_under_the_same_ids() {
    let name = "workers-bad";
    let manifest = manifest(name, 21_402).stages(&[(25.0, 60), (100.0, 1)]);
    // Good for so long that its worker has taken a place.
    let faults =
        [("FAULT", "errors"), ("FAULT_FROM", "first-request"), ("FAULT_AFTER_S", "4"), ("HEALTH_LIES", "well")];
    demo_image(name, "v2", &faults);
    let host = Host::serving(&manifest).await;
    let (app, old) = (host.of_version(name, "app", "v1"), host.of_version(name, "mailer", "v1"));
    let traffic = Traffic::start(21_402);
    host.set(&manifest.version("v2"));
    host.until_weight(name, "25").await;
    until_up(&host, name, 3, 1).await;

    host.expect_outcome(name, "v2", Outcome::Reverted).await;
    until_up(&host, name, 4, 0).await;
    let answers = traffic.stop().await;
    assert_eq!(ids(&host.of_version(name, "mailer", "v1")), ids(&old));
    assert_eq!(host.of_version(name, "app", "v1"), app, "production's app was not touched");
    let harmed = answers.failures.iter().filter(|f| f.version.as_deref() != Some("v2")).count();
    assert_eq!(harmed, 0, "v2 alone did harm: {answers:#?}");
}

#[tokio::test]
async fn old_workers_go_on_while_a_restart_cannot_start_new_ones_and_new_ones_follow_once_that_is_mended() {
    let name = "workers-restart";
    let data = tempfile::tempdir().expect("a directory");
    let (here, away) = (data.path().join("data"), data.path().join("away"));
    std::fs::create_dir(&here).expect("a directory");
    let repository = good_images(name, &["v1"]);
    let workers = format!(
        "workers:\n  - name: mailer\n    image: {repository}:${{version}}\n    replicas: 3\n    \
         mounts: [\"{}:/data:ro\"]\n    env: {{ WORKER: \"1\" }}\n    health: {{ none: true, startup: 500ms }}\n    \
         stop: {{ grace: 2s }}",
        here.display()
    );
    let host = Host::serving(&Manifest::new(name, &repository, "v1", 21_403).spec(&workers)).await;
    let old = host.of_version(name, "mailer", "v1");
    assert_eq!(up(&old), 3, "{old:#?}");
    let traffic = Traffic::start(21_403);
    std::fs::rename(&here, &away).expect("it is moved away");
    assert!(host.command(name, Verb::Restart).await.accepted);
    let deadline = Instant::now() + PATIENCE;
    while !host.events(name).await.iter().any(|e| e.message.contains("3 old workers go on")) {
        assert!(Instant::now() < deadline, "nobody is told: {}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let now = host.of_version(name, "mailer", "v1");
    assert!(old.iter().all(|c| now.contains(c)), "the old ones go on: {now:#?}");

    std::fs::rename(&away, &here).expect("it is moved back");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = host.of_version(name, "mailer", "v1");
        // One may change places between two looks.
        assert!(up(&now) >= 2, "fewer than there are to be: {now:#?}");
        if up(&now) == 3 && !now.iter().any(|c| ids(&old).contains(&c.id.as_str())) {
            break;
        }
        assert!(Instant::now() < deadline, "the new ones do not follow: {now:#?}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    traffic.flawless().await;
}
