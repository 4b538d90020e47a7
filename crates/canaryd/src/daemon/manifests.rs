//! The loop that keeps wishes in step with the watched directories: list, choose, resolve, wake.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use canaryd_planner::{Memory, Waiting};
use canaryd_rollout::{Diagnostic, Draft, Rollout, RolloutName, contested};
use canaryd_source::{DirectorySource, Listing};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::bells::lock;
use super::book::{Look, Standing};
use super::house::{Cell, House, Removal, Wish};
use super::resolver::{Pulling, accept, files_of, resolve_draft};

/// How soon is looked again while something is open that no event tells of.
const SOON: Duration = Duration::from_secs(1);

/// Reads manifests until the daemon stops. The source's first wake-up comes at once.
pub(crate) async fn run(house: Arc<House>, source: DirectorySource, mut wakes: mpsc::Receiver<()>) {
    let source = Arc::new(source);
    let mut told = Vec::new();
    loop {
        tokio::select! {
            () = house.stop.cancelled() => return,
            Some(()) = wakes.recv() => {}
            () = house.manifests.rung() => {}
            () = tokio::time::sleep(SOON), if is_open(&house) => {}
        }
        let round = house.manifests.begin();
        look(&house, &source).await;
        tell_problems(&house, &mut told);
        house.manifests.end(round);
    }
}

/// What is wrong with files and directories, once each time it changes.
fn tell_problems(house: &House, told: &mut Vec<String>) {
    let problems = lock(&house.book).problems();
    for problem in problems.iter().filter(|problem| !told.contains(problem)) {
        let is_error = problem.starts_with("error");
        let outcome = if is_error { "a manifest is not taken over; what was in force stays" } else { "of a manifest" };
        tracing::warn!("{outcome}\n{problem}");
    }
    if problems.is_empty() && !told.is_empty() {
        tracing::info!("every manifest can be read again");
    }
    if *told != problems {
        // Reports say what is ignored.
        house.cells().iter().for_each(|cell| cell.bell.ring());
    }
    *told = problems;
}

/// Whether only looking again goes on: absence is observed, and pulls tell how far they are.
fn is_open(house: &House) -> bool {
    let absent = lock(&house.book).entries().values().any(|e| e.standing.is_open());
    absent || house.cells().iter().any(|c| !lock(&c.wish).pulling.is_empty())
}

async fn look(house: &Arc<House>, source: &Arc<DirectorySource>) {
    let listing = {
        let source = Arc::clone(source);
        match tokio::task::spawn_blocking(move || source.list()).await {
            Ok(listing) => listing,
            Err(error) => return tracing::error!(%error, "the manifests cannot be listed; what was in force stays"),
        }
    };
    lock(&house.book).update(&as_look(listing), Timestamp::now());
    let wishes = wishes(house);
    source.watch_also(wishes.iter().flat_map(|(_, draft, file)| files_of(draft, file)).collect());
    lock(&house.unresolved).retain(|name, _| wishes.iter().any(|(wished, ..)| wished == name));
    let mut changed = false;
    for (name, draft, file) in wishes {
        changed |= settle(house, &name, &draft, &file).await;
    }
    if changed && !lock(&house.unresolved).is_empty() {
        // What one of them gave up, a port for one, another may have waited for.
        house.manifests.ring();
    }
    note_absences(house);
    drop_unneeded_pulls(house);
    house.changed();
}

/// Drafts to resolve: those of manifests that are there. Of those that are not to be seen for a while only what was
/// taken over already goes on: a changed file that they name changes nothing, but an image under way is waited for.
fn wishes(house: &House) -> Vec<(RolloutName, Draft, PathBuf)> {
    let is_pending = |name: &RolloutName| house.cell(name).is_some_and(|c| !lock(&c.wish).pulling.is_empty());
    let counts = |name: &RolloutName, standing: Standing| match standing {
        Standing::Present => true,
        Standing::Kept | Standing::Absent { .. } | Standing::Unconfirmed { .. } => is_pending(name),
        Standing::Deleted { .. } => false,
    };
    let book = lock(&house.book);
    let entries = book.entries().iter().filter(|(name, e)| counts(name, e.standing));
    entries.filter_map(|(name, e)| Some((name.clone(), e.draft.clone()?, e.file.clone()))).collect()
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

/// Resolves one name and wakes its loop if anything about it changed; returns whether it did.
async fn settle(house: &Arc<House>, name: &RolloutName, draft: &Draft, file: &Path) -> bool {
    let known = house.cell(name);
    let pulling = if house.config.dry_run { Pulling::Simulated } else { Pulling::Allowed };
    let resolution = resolve_draft(house, known.as_deref(), draft, file, pulling).await;
    let accepted = resolution.and_then(|resolution| {
        if let Some(problem) = port_conflict(house, draft, &resolution.rollout, known.as_deref()) {
            return Err(vec![problem.render(false)]);
        }
        let (cell, is_new) = house.cell_or_new(name, Memory::default());
        let changed = accept(house, &cell, resolution, file)?;
        Ok((cell, is_new, changed))
    });
    match accepted {
        Ok((cell, is_new, changed)) => {
            lock(&house.unresolved).remove(name);
            lock(&house.book).is_in_force(name);
            if is_new {
                super::start_cell(house, &cell);
            }
            if changed {
                cell.bell.ring();
                cell.gateway.look_again();
                let house = Arc::clone(house);
                house.tasks.clone().spawn(async move { super::drift::look(&house, &cell).await });
            }
            changed
        }
        Err(problems) => {
            refuse(house, name, problems);
            false
        }
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

/// A port that another rollout has. The listens of a rollout that is in force win over those of a newcomer; one of which
/// everything was removed has none.
pub(super) fn port_conflict(
    house: &House,
    draft: &Draft,
    rollout: &Rollout,
    known: Option<&Cell>,
) -> Option<Diagnostic> {
    let listens = |cell: &Cell| lock(&cell.wish).listens();
    let held = known.map(listens).unwrap_or_default();
    let mut fresh = rollout.gateway.listens();
    fresh.retain(|listen| !held.contains(listen));
    if fresh.is_empty() {
        return None;
    }
    house.cells().iter().filter(|other| other.name != rollout.name).find_map(|other| {
        let listen = contested(&fresh, &listens(other))?;
        let mut problem = draft.port_taken(rollout, listen, &other.name, "");
        if let Some(way_on) = freed_by_itself(other) {
            problem.hint(way_on);
        }
        Some(problem)
    })
}

/// What whoever waits for a port of this rollout can expect, where its owner is on the way out.
fn freed_by_itself(holder: &Cell) -> Option<String> {
    let (name, wish) = (&holder.name, lock(&holder.wish));
    match (wish.removal, wish.gone) {
        (Removal::UnderWay, _) => {
            Some(format!("{name} is being deleted: this one begins by itself as soon as the port is free"))
        }
        (Removal::None, Some(_)) => Some(format!(
            "the manifest of {name} is gone, and it serves on: after canaryd delete {name} this one begins by itself"
        )),
        (Removal::None, None) | (Removal::Done, _) => None,
    }
}

/// Tells each rollout whether its manifest is gone. What counts as deleted comes back with a manifest that was taken
/// over, not with one that only has its name.
fn note_absences(house: &House) {
    let standings: Vec<(RolloutName, Standing)> =
        lock(&house.book).entries().iter().map(|(name, e)| (name.clone(), e.standing)).collect();
    for (name, standing) in standings {
        let Some(cell) = house.cell(&name) else { continue };
        let is_refused = lock(&house.unresolved).contains_key(&name);
        let mut wish = lock(&cell.wish);
        let stays_deleted = is_refused && matches!(wish.gone, Some((_, true)));
        if wish.gone != standing.gone() && !stays_deleted {
            wish.gone = standing.gone();
            cell.bell.ring();
        }
        if matches!(wish.gone, Some((_, true))) {
            wish.pulling.clear();
        }
    }
}

/// Nobody waits any more for an image of a manifest that changed, was given up or was deleted.
fn drop_unneeded_pulls(house: &House) {
    let wanted = house.cells().iter().flat_map(|cell| awaited_images(&lock(&cell.wish))).collect();
    house.pulls.keep_only(&wanted);
}

fn awaited_images(wish: &Wish) -> Vec<String> {
    let pulling = wish.pulling.iter().filter(|_| !matches!(wish.gone, Some((_, true))));
    let image = |w: &Waiting| if let Waiting::ImagePull { image, .. } = w { Some(image.clone()) } else { None };
    pulling.filter_map(image).collect()
}
