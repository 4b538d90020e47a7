//! Commands while the journal cannot be written: another program has locked the database, or the disk hangs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use canaryd_cockpit::{Control, LogLine, LogQuery};
use canaryd_engine::RunState;
use canaryd_planner::{Answer, Command, Report, Verb};
use futures::StreamExt;
use jiff::Timestamp;
use rusqlite::Connection;

use super::bells::lock;
use super::control::Desk;
use super::fake::{Freezer, Site, container, name, until};
use super::{evidence, rollouts};

fn said(id: &str, verb: Verb) -> Command {
    let actor = "mina (uid 1000)".to_owned();
    Command { id: id.to_owned(), actor, comment: None, at: Timestamp::now(), expected: None, verb }
}

impl Site {
    async fn say(&self, id: &str, verb: Verb) -> Answer {
        Desk(Arc::clone(&self.house)).command(&name("shop"), said(id, verb)).await.unwrap()
    }

    fn lock_journal(&self) -> Connection {
        let locked = Connection::open(self.house.journal.path()).unwrap();
        locked.execute_batch("BEGIN IMMEDIATE").unwrap();
        locked
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_journalled_is_refused_with_the_reason_and_never_acts_later() {
    let site = Site::new().await;
    let cell = site.cell("shop");
    let running = tokio::spawn(rollouts::run(Arc::clone(&site.house), Arc::clone(&cell)));
    let locked = site.lock_journal();
    for (id, verb) in [("1", Verb::Pause), ("2", Verb::Delete), ("3", Verb::Retry), ("4", Verb::Restart)] {
        let answer = site.say(id, verb).await;
        assert!(!answer.accepted, "{}", answer.message);
        for word in ["the journal cannot be written", "journal.db", "locked", "abort", "say it again"] {
            assert!(answer.message.contains(word), "{word:?} is not said: {}", answer.message);
        }
    }
    assert!(cell.memory.lock().await.inbox.is_empty(), "what was refused is forgotten");
    let problems = Desk(Arc::clone(&site.house)).status().await.problems;
    assert!(
        problems.iter().any(|p| p.contains("the journal cannot be written") && p.contains("locked")),
        "{problems:?}"
    );
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    let answer = site.say("5", Verb::Pause).await;
    assert!(!answer.accepted && answer.message.contains("nothing moves"), "as ever: {}", answer.message);
    let kept = site.house.journal.memory("shop").await.unwrap().expect("it is journalled");
    assert!(kept.contains("\"5\"") && !kept.contains("\"delete\""), "{kept}");
    assert!(site.house.can_write() && !cell.doubtful.load(Ordering::Relaxed));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_may_hold_what_was_refused_is_written_anew_though_there_is_no_news() {
    let site = Site::new().await;
    let cell = site.cell("shop");
    // As a slow disk leaves it: refused to the person, and written all the same.
    let refused = serde_json::to_string(&said("1", Verb::Delete)).unwrap();
    let json = serde_json::to_string(&*cell.memory.lock().await).unwrap();
    let json = json.replace("\"inbox\":[]", &format!("\"inbox\":[{refused}]"));
    site.house.journal.commit_command("shop", json, Timestamp::now()).await.unwrap();
    cell.doubtful.store(true, Ordering::Relaxed);
    // Nor is it time to keep the clock.
    *super::bells::lock(&cell.kept_at) = Some(std::time::Instant::now());
    let running = tokio::spawn(rollouts::run(Arc::clone(&site.house), Arc::clone(&cell)));
    let journal = &site.house.journal;
    let is_clean = async || !journal.memory("shop").await.unwrap().unwrap().contains("delete");
    until("the journal says what holds", is_clean).await;
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_counts_as_one_that_cannot_be_written_after_two_seconds_and_is_found_again() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let at = dir.path().to_owned();
    let Some(disk) = Freezer::mount(&at, image.path()) else { return };
    let site = Site::on(dir).await;
    let cell = site.cell("shop");
    let loops = [
        tokio::spawn(rollouts::run(Arc::clone(&site.house), Arc::clone(&cell))),
        tokio::spawn(evidence::run(Arc::clone(&site.house))),
    ];
    until("the first plan is kept", async || site.house.journal.memory("shop").await.unwrap().is_some()).await;
    disk.freeze();
    let asked = Instant::now();
    let answer = site.say("1", Verb::Delete).await;
    let waited = asked.elapsed();
    assert!(!answer.accepted && answer.message.contains("takes longer than 2 s"), "{}", answer.message);
    assert!(waited >= rollouts::DISK_PATIENCE && waited < Duration::from_secs(5), "{waited:?}");
    assert!(!site.house.can_write());
    disk.thaw();
    until("it can be written again", async || site.house.can_write()).await;
    let is_clean = async || !site.house.journal.memory("shop").await.unwrap().unwrap().contains("delete");
    until("what was refused is not in the journal", is_clean).await;
    loops.iter().for_each(tokio::task::JoinHandle::abort);
}

fn report(phase: &str, sentence: &str) -> Report {
    let report = serde_json::json!({
        "name": "shop", "phase": phase, "sentence": sentence, "liveWeight": 0, "wantedWeight": 0, "stages": [],
        "checks": [], "waiting": [], "notes": [], "can": [], "undo": { "is": "cold", "version": "v1" }, "replicas": {}
    });
    serde_json::from_value(report).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_log_is_told_what_is_waited_for_and_hears_of_the_container_that_comes() {
    let site = Site::new().await;
    let cell = site.cell("shop");
    let query = |follow| LogQuery { follow, ..LogQuery::default() };
    let desk = Desk(Arc::clone(&site.house));
    *lock(&cell.report) = Some(report("starting", "v1 is being started."));
    let why = "shop has no container to read from; see canaryd status shop";
    let refused = LogLine::Failed { why: why.to_owned() };
    assert_eq!(desk.logs(&name("shop"), query(false)).collect::<Vec<_>>().await, std::slice::from_ref(&refused));
    let mut lines = desk.logs(&name("shop"), query(true));
    let waits = LogLine::Waits { why: "no container of shop runs: v1 is being started.".to_owned() };
    assert_eq!(lines.next().await, Some(waits));
    let mut comes = container("shop", "aaaaaaaaaa", 1);
    comes.state = RunState::Running;
    lock(&site.engine.containers).push(comes);
    site.look().await;
    assert!(matches!(lines.next().await, Some(LogLine::Line(line)) if line.text == "a line of shop-id"));
    lock(&site.engine.containers).clear();
    site.look().await;
    *lock(&cell.report) = Some(report("idle", "nothing serves."));
    let rest = tokio::time::timeout(Duration::from_secs(10), lines.collect::<Vec<_>>()).await.expect("it ends");
    assert!(!rest.contains(&refused), "{rest:?}");
    assert_eq!(desk.logs(&name("shop"), query(true)).collect::<Vec<_>>().await, [refused]);
}
