//! The loop that keeps wishes in step with the watched directories: list, choose, resolve, wake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use canaryd_planner::Memory;
use canaryd_rollout::{Draft, ImageState, Listen, Rollout, RolloutName};
use canaryd_source::{DirectorySource, Listing};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::bells::lock;
use super::book::Look;
use super::house::{Cell, House};
use super::resolver::{Pulling, accept, files_of, resolve_draft};

/// Reads manifests until the daemon stops.
pub(crate) async fn run(house: Arc<House>, source: DirectorySource, mut wakes: mpsc::Receiver<()>) {
    let source = Arc::new(source);
    let mut told = Vec::new();
    loop {
        look(&house, &source).await;
        tell_problems(&house, &mut told);
        tokio::select! {
            () = house.stop.cancelled() => return,
            _ = wakes.recv() => {}
            () = house.manifests.rung() => {}
            () = tokio::time::sleep(pause(&house)) => {}
        }
    }
}

/// What is wrong with files and directories, once each time it changes.
fn tell_problems(house: &House, told: &mut Vec<String>) {
    let problems = lock(&house.book).problems();
    for problem in problems.iter().filter(|problem| !told.contains(problem)) {
        tracing::warn!("a manifest is not taken over; what was in force stays\n{problem}");
    }
    if problems.is_empty() && !told.is_empty() {
        tracing::info!("every manifest can be read again");
    }
    *told = problems;
}

/// Absence is measured by looking again; otherwise nothing is polled more often than every 30 s.
fn pause(house: &House) -> Duration {
    let absent = lock(&house.book).entries().values().any(|e| e.gone_since.is_some());
    let pending = house.cells().iter().any(|c| !lock(&c.wish).pulling.is_empty());
    Duration::from_secs(if absent || pending { 1 } else { 30 })
}

async fn look(house: &Arc<House>, source: &Arc<DirectorySource>) {
    let listing = {
        let source = Arc::clone(source);
        match tokio::task::spawn_blocking(move || source.list()).await {
            Ok(listing) => listing,
            Err(_) => return,
        }
    };
    let now = Timestamp::now();
    let drafts = {
        let mut book = lock(&house.book);
        book.update(&as_look(listing), now);
        let drafts: Vec<(RolloutName, Draft, PathBuf)> = book
            .entries()
            .iter()
            .filter_map(|(name, e)| Some((name.clone(), e.draft.clone()?, e.file.clone())))
            .collect();
        drafts
    };
    let files = drafts.iter().flat_map(|(_, draft, file)| files_of(draft, file)).collect();
    source.watch_also(files);
    for (name, draft, file) in drafts {
        settle(house, &name, &draft, &file).await;
    }
    note_absences(house, now);
    drop_unneeded_pulls(house);
    house.changed();
}

fn as_look(listing: Listing) -> Look {
    let troubles = listing
        .dirs
        .iter()
        .filter_map(|dir| {
            let why = dir.trouble.as_ref()?;
            Some(format!("error: {why}; nothing is deleted because of it, what was in force stays"))
        })
        .collect();
    Look { files: listing.files, troubles }
}

/// Resolves one name and wakes its loop if anything about it changed.
async fn settle(house: &Arc<House>, name: &RolloutName, draft: &Draft, file: &Path) {
    let known = house.cell(name);
    let pulling = if house.config.dry_run { Pulling::Never } else { Pulling::Allowed };
    let resolution = resolve_draft(house, known.as_deref(), draft, file, pulling).await;
    let accepted = resolution.and_then(|resolution| {
        if let Some(problem) = port_conflict(house, &resolution.rollout, known.as_deref()) {
            return Err(vec![problem]);
        }
        let (cell, is_new) = house.cell_or_new(name, Memory::default());
        let changed = accept(house, &cell, resolution, file)?;
        Ok((cell, is_new, changed))
    });
    match accepted {
        Ok((cell, is_new, changed)) => {
            lock(&house.unresolved).remove(name);
            if is_new {
                super::start_cell(house, &cell);
            }
            if changed {
                cell.bell.ring();
                cell.gateway.look_again();
            }
        }
        Err(problems) => refuse(house, name, problems),
    }
}

/// Says once what is wrong; what was in force stays.
fn refuse(house: &House, name: &RolloutName, problems: Vec<String>) {
    let mut unresolved = lock(&house.unresolved);
    if unresolved.get(name) != Some(&problems) {
        for problem in &problems {
            tracing::warn!(rollout = %name, "manifest not taken over; what was in force stays\n{problem}");
        }
    }
    unresolved.insert(name.clone(), problems);
}

/// The listens of a rollout that is in force win over those of a newcomer.
fn port_conflict(house: &House, rollout: &Rollout, known: Option<&Cell>) -> Option<String> {
    let held: BTreeSet<Listen> =
        known.and_then(|cell| lock(&cell.wish).rollout.as_deref().map(listens_of)).unwrap_or_default();
    for other in house.cells().iter().filter(|other| other.name != rollout.name) {
        let theirs = lock(&other.wish).rollout.as_deref().map(listens_of).unwrap_or_default();
        let wanted = listens_of(rollout);
        let clash = wanted.iter().find(|w| !held.contains(w) && theirs.iter().any(|t| clashes(w, t)));
        if let Some(listen) = clash {
            return Some(format!(
                "error: {} wants {}:{}, which is the port of {}\n  hint: give one of them another port (spec.gateway.listen or expose); {} keeps it",
                rollout.name, listen.address, listen.port, other.name, other.name
            ));
        }
    }
    None
}

fn clashes(a: &Listen, b: &Listen) -> bool {
    a.port == b.port && (a.address == b.address || a.address.is_unspecified() || b.address.is_unspecified())
}

fn listens_of(rollout: &Rollout) -> BTreeSet<Listen> {
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    let exposed = [rollout.gateway.expose.production, rollout.gateway.expose.canary];
    let exposed = exposed.into_iter().flatten().map(|port| Listen { address: loopback, port });
    rollout.gateway.listen.iter().copied().chain(exposed).collect()
}

fn note_absences(house: &House, now: Timestamp) {
    let absences: BTreeMap<RolloutName, Option<(Timestamp, bool)>> = {
        let book = lock(&house.book);
        book.entries().iter().map(|(name, e)| (name.clone(), e.gone_since.map(|s| (s, e.is_deleted(now))))).collect()
    };
    for (name, gone) in absences {
        let Some(cell) = house.cell(&name) else { continue };
        let mut wish = lock(&cell.wish);
        if wish.gone != gone {
            wish.gone = gone;
            cell.bell.ring();
        }
    }
}

fn drop_unneeded_pulls(house: &House) {
    let wanted = house
        .cells()
        .iter()
        .filter_map(|cell| lock(&cell.wish).rollout.clone())
        .flat_map(|r| {
            r.images.iter().filter(|(_, s)| **s == ImageState::Pending).map(|(n, _)| n.clone()).collect::<Vec<_>>()
        })
        .collect();
    house.pulls.keep_only(&wanted);
}
