//! The state directory, its disk and its journal.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use canaryd_journal::JournalError;

use super::host::{disk, name_of};
use super::{blocking, process};
use crate::doctor::facts::{Dir, Journal, State};

/// The check of the journal's pages may take this long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Everything else of the journal.
const LONGEST: Duration = Duration::from_secs(5);

/// `None`: the disk does not answer.
pub(super) async fn look(path: PathBuf) -> Option<State> {
    look_at(path, PATIENCE).await
}

/// Likewise; the check of the journal's pages may take `patience`.
pub(in crate::doctor) async fn look_at(path: PathBuf, patience: Duration) -> Option<State> {
    let at = path.clone();
    let (dir, disk, holder) = blocking(move || (dir(&at), disk(&at), canaryd_journal::holder(&at))).await?;
    let holder = holder.and_then(process::process);
    let longest = patience + LONGEST;
    let late = |_| Journal::Unread(format!("it took longer than {longest:?}"));
    let journal = tokio::time::timeout(longest, journal(&path, patience)).await.unwrap_or_else(late);
    Some(State { path, dir, disk, holder, journal })
}

fn dir(path: &Path) -> Option<Dir> {
    let found = std::fs::metadata(path).ok()?;
    Some(Dir {
        is_directory: found.is_dir(),
        uid: found.uid(),
        owner: name_of("/etc/passwd", found.uid()),
        mode: found.mode() & 0o777,
        readable: std::fs::read_dir(path).is_ok(),
    })
}

async fn journal(path: &Path, patience: Duration) -> Journal {
    match canaryd_journal::examine(path, patience).await {
        Ok(Some(found)) => Journal::Found(Box::new(found)),
        Ok(None) => {
            let plain = std::fs::read_to_string(path.join("instance")).ok();
            Journal::Missing(plain.map(|text| text.trim().to_owned()))
        }
        Err(JournalError::Corrupt { what, .. }) => Journal::Damaged(what),
        Err(error) => Journal::Unread(crate::doctor::look::chain(&error)),
    }
}
