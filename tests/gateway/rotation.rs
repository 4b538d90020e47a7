//! The daemon keeps the access log small, and each request counts once whatever happens around a rotation.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, PATIENCE, good_images};
use canaryd_planner::{Report, Waiting};
use canaryd_probe::{Load, LoadPlan, RequestKind};
use canaryd_telemetry::Rotation;
use rusqlite::{Connection, OpenFlags};

const NAME: &str = "gate-rotate";
const PORT: u16 = 22_340;

/// Requests whose lines are long (NGINX and the application take 15 kB): a log is full within seconds.
fn long_lines() -> Load {
    let path = format!("/any/{}", "x".repeat(15_000));
    let target = ([127, 0, 0, 1], PORT).into();
    let mix = RequestKind::of_many_clients(500, &[RequestKind::get(&path)]);
    Load::start(LoadPlan { mix, connections: 40, ..LoadPlan::new(target, 250.0) }).unwrap()
}

/// Sooner than the next rotation, of this log or the canary's own, would mend everything.
const SOON: Duration = Duration::from_secs(10);

async fn until(host: &Host, patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the journal counted for each set of containers, over all seconds.
fn counted(state: &Path) -> BTreeMap<String, u64> {
    let journal = Connection::open_with_flags(state.join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = journal
        .prepare("SELECT \"set\", sum(json_extract(json, '$.requests')) FROM tick WHERE name = ?1 GROUP BY 1")
        .unwrap();
    let sums = rows.query_map([NAME], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).unwrap();
    sums.map(Result::unwrap).map(|(set, n)| (set, u64::try_from(n).unwrap())).collect()
}

/// Another program has the journal: what is learned meanwhile waits for it.
async fn a_journal_locked_for_a_while(host: &Host) {
    let locked = Connection::open(host.state().join("journal.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = |r: &Report| {
        r.waiting.iter().any(|w| matches!(w, Waiting::Trouble { why } if why.contains("journal cannot be written")))
    };
    host.until(NAME, "it says so", told).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    locked.execute_batch("ROLLBACK").unwrap();
    host.until(NAME, "it is over", |r| !told(r)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_counts_once_across_rotations_kills_around_them_and_a_locked_journal() {
    let app = good_images(NAME, &["v1", "v2"]);
    let manifest = Manifest::new(NAME, &app, "v1", PORT).stages(&[(25.0, 300), (100.0, 300)]);
    let mut host = Host::serving(&manifest).await;
    host.set(&manifest.version("v2"));
    host.until_weight(NAME, "25").await;
    let sets = ["v1", "v2"].map(|version| host.of_version(NAME, "app", version)[0].set.clone());
    let load = long_lines();

    let log = host.state().join("gateways").join(NAME).join("log/access.log");
    let (rotated, limit) = (log.with_extension("log.1"), Rotation::default());
    until(&host, PATIENCE, "the log is full", || limit.due(&log)).await;
    // Looked at twice a minute, and after each change.
    host.run_cli(&["traffic", NAME, "30"]).await;
    until(&host, SOON, "it was rotated", || rotated.exists()).await;
    host.kill().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.run().await;
    until(&host, SOON, "NGINX writes a new log", || log.exists()).await;

    // As if it had been killed between the new name and the word to NGINX.
    host.kill().await;
    limit.rotate(&log).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.run().await;
    until(&host, SOON, "NGINX was told nevertheless", || log.exists()).await;
    a_journal_locked_for_a_while(&host).await;

    let answers = load.stop().await;
    assert_eq!((answers.failed, answers.unsent), (0, 0), "{:#?}", answers.failures);
    let asked = ["v1", "v2"].map(|version| answers.by_version[version].ok);
    let sums = || sets.clone().map(|set| counted(&host.state()).get(&set).copied().unwrap_or_default());
    until(&host, SOON, "every request is counted", || sums().iter().sum::<u64>() >= answers.sent).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sums(), asked, "each once, and for whom it was\n{}", host.log());
    let report = host.report(NAME).await.unwrap();
    assert_eq!(report.stages[0].requests, asked[1], "so does the evidence: {:#?}", report.stages);
    assert!(report.waiting.iter().all(|w| !format!("{w:?}").contains("log line")), "{:?}", report.waiting);
}
