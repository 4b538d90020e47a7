//! Commands while the journal cannot be written: what lowers a weight is done and said not to be recorded; everything else
//! is refused.

use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, demo_image, free_port, load, remove_leftovers};
use canaryd_planner::Outcome;
use canaryd_rollout::Weight;
use rusqlite::Connection;

use super::{no, yes};

/// v2 gets a quarter of the traffic for as long as it takes.
async fn at_a_quarter(host: &Host, name: &str) -> u16 {
    let port = free_port();
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let manifest = Manifest::new(name, &app, "v1", port).stages(&[(25.0, 300), (100.0, 300)]);
    host.set(&manifest);
    host.until_serving(name, "v1").await;
    host.set(&manifest.version("v2"));
    host.until_weight(name, "25").await;
    port
}

/// What nobody may rely on while it cannot be remembered.
async fn everything_but_a_lowering_is_refused(host: &Host, name: &str, why: &str) {
    for args in [&["pause", name][..], &["advance", name], &["traffic", name, "60"], &["delete", name, "--yes"]] {
        let said = no(host, 1, args).await;
        for word in ["refused", "the journal cannot be written", why, "say it again"] {
            assert!(said.contains(word), "{args:?}: {word:?} is not said: {said}");
        }
    }
    let (_, said, _) = host.cli(&["status"]).await;
    assert!(said.contains("the journal cannot be written") && said.contains(why), "{said}");
}

async fn lowered_and_said_not_to_be_recorded(host: &Host, name: &str, args: &[&str], weight: &str) {
    let said = yes(host, args).await;
    for word in ["now", "not recorded", "the journal cannot be written", "say it again"] {
        assert!(said.contains(word), "{args:?}: {word:?} is not said: {said}");
    }
    let weight: Weight = weight.parse().unwrap();
    host.until(name, "it is lowered", |r| r.live_weight == weight).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_program_locks_the_journal_only_lowerings_are_done_and_recorded_when_it_is_free() {
    const NAME: &str = "unwritable-locked";
    remove_leftovers(NAME);
    let host = Host::start().await;
    at_a_quarter(&host, NAME).await;
    let locked = Connection::open(host.state().join("journal.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    everything_but_a_lowering_is_refused(&host, NAME, "locked").await;
    lowered_and_said_not_to_be_recorded(&host, NAME, &["traffic", NAME, "5"], "5").await;
    lowered_and_said_not_to_be_recorded(&host, NAME, &["rollback", NAME], "0").await;
    locked.execute_batch("ROLLBACK").unwrap();
    host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    let kinds: Vec<String> = host.events(NAME).await.into_iter().map(|e| e.kind).collect();
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("manual-weight"), told("aborted"), told("paused"), told("deleting")), (1, 1, 0, 0), "{kinds:?}");
    assert_eq!(host.report(NAME).await.unwrap().production.unwrap().version, "v1", "what was refused never acts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_was_not_recorded_when_canaryd_was_killed_is_found_by_what_is_live() {
    const NAME: &str = "unwritable-kill";
    remove_leftovers(NAME);
    let mut host = Host::start().await;
    at_a_quarter(&host, NAME).await;
    let locked = Connection::open(host.state().join("journal.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    lowered_and_said_not_to_be_recorded(&host, NAME, &["abort", NAME], "0").await;
    host.kill().await;
    locked.execute_batch("ROLLBACK").unwrap();
    host.run().await;
    let ended = host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
    assert!(ended.reason.contains("before it could write down why"), "{}", ended.reason);
    assert_eq!(host.report(NAME).await.unwrap().live_weight, Weight::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_version_is_taken_off_and_everything_else_refused_until_there_is_room() {
    const NAME: &str = "unwritable-full";
    remove_leftovers(NAME);
    let Some(host) = Host::start_on_small_disk("24M").await else {
        eprintln!("skipped: a small disk can only be mounted as root");
        return;
    };
    let port = at_a_quarter(&host, NAME).await;
    let load = load(port, 50.0, true);
    host.disk().fill();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The log of the database may have some room in reserve.
    while !host.cli(&["status"]).await.1.contains("the journal cannot be written") {
        assert!(Instant::now() < deadline, "a full disk is not noticed:\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    everything_but_a_lowering_is_refused(&host, NAME, "no space left").await;
    lowered_and_said_not_to_be_recorded(&host, NAME, &["abort", NAME], "0").await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    host.disk().free();
    host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
}
