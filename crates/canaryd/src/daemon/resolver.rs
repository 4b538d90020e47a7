//! From a draft to a rollout: reads the files that a manifest names, looks its images up, pulls what is missing.
//! A tag is resolved to a content id once per change of the manifest, never again by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use canaryd_planner::Waiting;
use canaryd_rollout::{Draft, ImageState, Inputs, PullPolicy, Rollout, resolve};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::bells::lock;
use super::house::{Cell, House};
use super::store::Kept;

/// Largest file that a manifest may name.
const LARGEST_FILE: u64 = 1 << 20;

/// Pulls under way and their ends, by image reference.
#[derive(Debug, Default)]
pub(crate) struct Pulls(Mutex<BTreeMap<String, Pull>>);

#[derive(Debug)]
struct Pull {
    progress: watch::Receiver<String>,
    end: Option<Result<String, String>>,
    task: Option<tokio::task::AbortHandle>,
}

impl Pulls {
    /// Ends every pull that no image in `wanted` needs.
    pub(crate) fn keep_only(&self, wanted: &std::collections::BTreeSet<String>) {
        lock(&self.0).retain(|reference, pull| {
            let keep = wanted.contains(reference);
            if !keep && let Some(task) = pull.task.take() {
                task.abort();
            }
            keep
        });
    }

    fn forget(&self, reference: &str) {
        lock(&self.0).remove(reference);
    }

    fn progress(&self, reference: &str) -> Option<String> {
        let pulls = lock(&self.0);
        let text = pulls.get(reference)?.progress.borrow().clone();
        (!text.is_empty()).then_some(text)
    }

    /// Starts a pull, or tells how the one before ended.
    fn pull(&self, house: &Arc<House>, reference: &str) -> ImageState {
        let mut pulls = lock(&self.0);
        if let Some(pull) = pulls.get(reference) {
            return match &pull.end {
                None => ImageState::Pending,
                Some(Ok(id)) => ImageState::Present { id: id.clone() },
                Some(Err(reason)) => ImageState::Missing { reason: reason.clone() },
            };
        }
        let (sender, progress) = watch::channel(String::new());
        let task = house.tasks.spawn(pull_until_it_ends(Arc::clone(house), reference.to_owned(), sender));
        pulls.insert(reference.to_owned(), Pull { progress, end: None, task: Some(task.abort_handle()) });
        ImageState::Pending
    }
}

async fn pull_until_it_ends(house: Arc<House>, reference: String, progress: watch::Sender<String>) {
    let mut pause = Duration::from_secs(1);
    let end = loop {
        match house.engine.pull(&reference, None, progress.clone()).await {
            Ok(image) => break Ok(image.id),
            Err(error) if error.is_final() => break Err(error.to_string()),
            Err(error) => {
                progress.send_replace(format!("{error}; next try in {} s", pause.as_secs()));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    };
    if let Some(pull) = lock(&house.pulls.0).get_mut(&reference) {
        pull.end = Some(end);
        pull.task = None;
    }
    house.manifests.ring();
}

/// Whether looking an image up may pull it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulling {
    /// As the manifest says.
    Allowed,
    /// Nobody waits for it any more: what is missing stays pending.
    GivenUp,
    /// Nothing is changed by looking.
    Never,
    /// As if a pull that the manifest allows had brought the image.
    Simulated,
}

/// A manifest that resolved, not yet in force.
pub(crate) struct Resolution {
    pub(crate) rollout: Rollout,
    key: String,
    pulling: Vec<Waiting>,
    copies: BTreeMap<String, Vec<u8>>,
}

/// Resolves a draft; `cell` is the one of its name, if there is one.
///
/// # Errors
/// The rendered diagnostics.
pub(crate) async fn resolve_draft(
    house: &Arc<House>,
    cell: Option<&Cell>,
    draft: &Draft,
    file: &Path,
    pull: Pulling,
) -> Result<Resolution, Vec<String>> {
    let files = read_files(draft, file).await;
    let key = key_of(draft, &files);
    let known = match cell {
        Some(cell) => known_images(cell, &key).await,
        None => None,
    };
    let (known, blocked) = known.unwrap_or_default();
    let pull = if blocked && pull == Pulling::Allowed { Pulling::GivenUp } else { pull };
    let (images, pulling) = images_of(house, draft.images(&files), known, pull).await;
    let resolved = resolve(draft, &Inputs { files, images })
        .map_err(|problems| problems.iter().map(|p| p.render(false)).collect::<Vec<_>>())?;
    Ok(Resolution { rollout: resolved.rollout, key, pulling, copies: resolved.copies })
}

/// What is known of the images of a manifest that did not change, and whether it is blocked.
async fn known_images(cell: &Cell, key: &str) -> Option<(BTreeMap<String, ImageState>, bool)> {
    let rollout = {
        let wish = lock(&cell.wish);
        wish.rollout.clone().filter(|_| wish.key == key)?
    };
    let blocked = cell.memory.lock().await.is_blocked(&rollout);
    Some((rollout.images.clone(), blocked))
}

/// Puts a resolved manifest in force: on disk first, then in the cell. Returns whether it differs from before.
///
/// # Errors
/// It cannot be written; what was in force stays.
pub(crate) fn accept(house: &House, cell: &Cell, resolution: Resolution, file: &Path) -> Result<bool, Vec<String>> {
    let Resolution { rollout, key, pulling, copies } = resolution;
    let unchanged = {
        let mut wish = lock(&cell.wish);
        wish.pulling.clone_from(&pulling);
        wish.key == key && wish.rollout.as_deref() == Some(&rollout)
    };
    if unchanged {
        return Ok(false);
    }
    if !house.config.dry_run {
        let kept = Kept { key: key.clone(), file: file.to_owned(), rollout: rollout.clone() };
        let told = |e: anyhow::Error| vec![format!("error: {e:#}; what was in force stays")];
        house.store.keep_revision(&rollout, &copies).map_err(told)?;
        house.store.keep_desired(&kept).map_err(told)?;
    }
    let mut wish = lock(&cell.wish);
    wish.rollout = Some(Arc::new(rollout));
    wish.key = key;
    Ok(true)
}

/// Looks every image up; `known` ones stay as they were resolved, except those that were still pending.
async fn images_of(
    house: &Arc<House>,
    needed: BTreeMap<String, PullPolicy>,
    known: BTreeMap<String, ImageState>,
    pull: Pulling,
) -> (BTreeMap<String, ImageState>, Vec<Waiting>) {
    let mut images = BTreeMap::new();
    let mut pulling = Vec::new();
    for (reference, policy) in needed {
        let state = match known.get(&reference) {
            Some(state @ (ImageState::Present { .. } | ImageState::Missing { .. })) => state.clone(),
            Some(ImageState::Pending) | None => look_up(house, &reference, policy, pull).await,
        };
        if state == ImageState::Pending && pull != Pulling::GivenUp {
            pulling.push(Waiting::ImagePull { image: reference.clone(), progress: house.pulls.progress(&reference) });
        }
        images.insert(reference, state);
    }
    (images, pulling)
}

async fn look_up(house: &Arc<House>, reference: &str, policy: PullPolicy, pull: Pulling) -> ImageState {
    let found = house.engine.image(reference).await;
    match (pull, found, policy) {
        (Pulling::Allowed, found, policy) => found_or_pulled(house, reference, found, policy),
        (Pulling::Never | Pulling::Simulated, Ok(Some(image)), _) => ImageState::Present { id: image.id },
        (Pulling::Simulated, Ok(None), PullPolicy::Missing | PullPolicy::Always) => {
            tracing::info!(dry_run = true, "would pull {reference}");
            ImageState::Present { id: format!("simulated:{reference}") }
        }
        (Pulling::Never | Pulling::Simulated, Ok(None), PullPolicy::Never) => forbidden(reference),
        (Pulling::Never, Ok(None), PullPolicy::Missing | PullPolicy::Always) => {
            ImageState::Missing { reason: format!("image {reference} is not in the engine; it would be pulled") }
        }
        (Pulling::GivenUp, _, _) | (Pulling::Never | Pulling::Simulated, Err(_), _) => ImageState::Pending,
    }
}

fn forbidden(reference: &str) -> ImageState {
    ImageState::Missing {
        reason: format!("image {reference} is not in the engine and `pull: never` forbids a pull; build it or pull it"),
    }
}

fn found_or_pulled(
    house: &Arc<House>,
    reference: &str,
    found: Result<Option<canaryd_engine::Image>, canaryd_engine::EngineError>,
    policy: PullPolicy,
) -> ImageState {
    match (found, policy) {
        (Ok(Some(image)), PullPolicy::Missing | PullPolicy::Never) => ImageState::Present { id: image.id },
        (Ok(None), PullPolicy::Never) => forbidden(reference),
        (Ok(_), PullPolicy::Missing | PullPolicy::Always) => house.pulls.pull(house, reference),
        // The engine is away: asked again when it is back.
        (Err(_), PullPolicy::Missing | PullPolicy::Always | PullPolicy::Never) => ImageState::Pending,
    }
}

/// A person said `retry`: images that were missing or resolved are looked up anew.
pub(crate) fn resolve_again(house: &House, cell: &Cell) {
    let mut wish = lock(&cell.wish);
    if let Some(rollout) = &wish.rollout {
        for reference in rollout.images.keys() {
            house.pulls.forget(reference);
        }
    }
    wish.key = String::new();
    drop(wish);
    house.manifests.ring();
}

/// Reads what the manifest names, relative to its directory.
async fn read_files(draft: &Draft, manifest: &Path) -> BTreeMap<String, Result<Vec<u8>, String>> {
    let base = manifest.parent().unwrap_or(Path::new("."));
    let mut files = BTreeMap::new();
    for name in &draft.needs().files {
        files.insert(name.clone(), read_file(&base.join(name)).await);
    }
    files
}

async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let meta = tokio::fs::metadata(path).await.map_err(told)?;
    if !meta.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    if meta.len() > LARGEST_FILE {
        return Err(format!("{} has {} bytes; at most 1 MiB is read", path.display(), meta.len()));
    }
    tokio::fs::read(path).await.map_err(told)
}

/// Files that a draft names, as paths on this host.
pub(crate) fn files_of(draft: &Draft, manifest: &Path) -> Vec<PathBuf> {
    let base = manifest.parent().unwrap_or(Path::new("."));
    draft.needs().files.iter().map(|name| base.join(name)).collect()
}

fn key_of(draft: &Draft, files: &BTreeMap<String, Result<Vec<u8>, String>>) -> String {
    let mut hash = Sha256::new();
    hash.update(draft.content_hash().as_bytes());
    for (name, content) in files {
        hash.update(name.as_bytes());
        hash.update([0]);
        match content {
            Ok(bytes) => hash.update(Sha256::digest(bytes)),
            Err(why) => hash.update(why.as_bytes()),
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
