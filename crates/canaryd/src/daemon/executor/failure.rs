//! The failure bundle: logs and facts of a set that was taken off, saved before anything of it goes.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use canaryd_engine::{ExitCause, LogOptions, ObservedContainer};
use canaryd_journal::EventFilter;
use canaryd_rollout::{RevisionId, SetId};
use futures::StreamExt;
use jiff::Timestamp;

use crate::cli::{Style, render_ending, render_event};
use crate::daemon::bells::lock;
use crate::daemon::control::line_of;
use crate::daemon::failures;
use crate::daemon::house::{Cell, House};
use crate::daemon::store::write_atomically;

/// Most lines that are saved of one container.
const LINES: u32 = 10_000;
/// Most events that are told.
const EVENTS: usize = 50;

pub(crate) fn save(house: &Arc<House>, cell: &Arc<Cell>, set: SetId, revision: RevisionId, reason: String) {
    let (house, cell) = (Arc::clone(house), Arc::clone(cell));
    house.tasks.clone().spawn(async move {
        let _one_at_a_time = cell.failures.lock().await;
        // The planner asks twice, so that a kill in between loses nothing; a whole bundle of the set is enough.
        let Some(dir) = house.store.failures.place(&cell.name, &revision, &set, Timestamp::now()) else { return };
        if let Err(error) = save_into(&house, &cell, &dir, &set, &reason).await {
            tracing::warn!(rollout = %cell.name, error = format!("{error:#}"), "the failure could not be saved");
        } else {
            tracing::info!(rollout = %cell.name, dir = %dir.display(), "logs and facts of the failed version are saved");
            let failures = house.store.failures.clone();
            if tokio::task::spawn_blocking(move || failures.sweep()).await.is_err() {
                tracing::warn!("old failure bundles could not be looked through");
            }
            cell.bell.ring();
        }
    });
}

/// What is there already, from a run that was killed, is nearer to what happened, and stays.
async fn save_into(house: &House, cell: &Cell, dir: &Path, set: &SetId, reason: &str) -> anyhow::Result<()> {
    failures::begin(dir, reason)?;
    let seen = house.observer.seen().observation;
    let containers: Vec<ObservedContainer> =
        seen.iter().flat_map(|o| &o.containers).filter(|c| c.rollout == cell.name && &c.set == set).cloned().collect();
    let evidence = dir.join("evidence.json");
    if let Some(report) = lock(&cell.report).clone().filter(|_| !evidence.exists()) {
        write_atomically(&evidence, &serde_json::to_vec_pretty(&report)?, 0o600)?;
    }
    for container in &containers {
        let log = dir.join(format!("{}.log", container.name));
        if !log.exists() {
            write_atomically(&log, logs_of(house, container).await.as_bytes(), 0o600)?;
        }
    }
    // Last: it marks the bundle as whole.
    let told = ending(house, cell, reason);
    let text = report(cell, &told, &containers) + &history(house, cell).await;
    failures::finish(dir, &text)
}

async fn logs_of(house: &House, container: &ObservedContainer) -> String {
    let options = LogOptions { follow: false, tail: Some(LINES), since: None, timestamps: true };
    let mut lines = house.engine.logs(&container.id, options);
    let mut text = String::new();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => {
                let _ = writeln!(text, "{}", line.text);
            }
            Err(error) => {
                let _ = writeln!(text, "(the log ends here: {error})");
                break;
            }
        }
    }
    text
}

/// What a person is told of the end, as on every other screen.
fn ending(house: &House, cell: &Cell, reason: &str) -> String {
    let held = lock(&cell.report);
    let told = held.as_ref().filter(|report| report.outcome.as_ref().is_some_and(|end| end.reason == reason));
    told.map_or_else(|| reason.to_owned(), |report| render_ending(report, &house.config.host, 100, Style::PLAIN))
}

fn report(cell: &Cell, reason: &str, containers: &[ObservedContainer]) -> String {
    let mut text = format!("# {}: taken off\n\n{reason}\n\n## Containers\n\n", cell.name);
    for c in containers {
        let _ = writeln!(text, "- {} ({}), image {}, {:?}", c.name, c.id, c.image_id, c.state);
        for exit in &c.exits {
            let memory = if exit.oom { ", out of memory" } else { "" };
            let _ = writeln!(text, "  - exit {} at {}{memory}: {}", exit.code, exit.at, by_whom(exit.cause));
        }
    }
    text
}

fn by_whom(cause: ExitCause) -> &'static str {
    match cause {
        ExitCause::Itself => "nobody stopped it",
        ExitCause::Us => "stopped by canaryd",
        ExitCause::Somebody => "stopped by somebody else",
        ExitCause::Neighbour => "together with a container beside it",
        ExitCause::Engine => "together with the container engine",
    }
}

/// What happened last, oldest first.
async fn history(house: &House, cell: &Cell) -> String {
    let filter = EventFilter { name: Some(cell.name.to_string()), after_seq: 0, limit: EVENTS, newest: true };
    let mut text = "\n## History\n\n".to_owned();
    let events = house.journal.events(filter).await.unwrap_or_default();
    for line in events.into_iter().filter_map(line_of) {
        let _ = writeln!(text, "- {}", render_event(&line, Style::PLAIN));
    }
    text
}
