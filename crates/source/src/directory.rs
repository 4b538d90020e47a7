//! The watched directories: listed on demand, and a wake-up whenever that is worth while.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::listing::Listing;
use crate::look::{Limits, look};
use crate::wakes::{self, Wakes, lock};
use crate::watch::Watch;

/// As often a look is repeated because something that it saw was not watched before it.
const MOST_LOOKS: usize = 3;

/// Directories of manifests under watch. Dropping the last clone ends the watch.
#[derive(Debug, Clone)]
pub struct DirectorySource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dirs: Vec<PathBuf>,
    also: Mutex<BTreeSet<PathBuf>>,
    watch: Mutex<Watch>,
    wakes: Arc<Wakes>,
    /// Dropped with the source, which ends the waker.
    _alive: oneshot::Sender<()>,
}

impl DirectorySource {
    /// Begins to watch `dirs` (absolute paths); must be called inside a tokio runtime. The first wake-up comes at
    /// once, and the first [`list`](Self::list) is what arms the watch.
    ///
    /// # Guarantees
    /// Every change below `dirs` or of a file named to [`watch_also`](Self::watch_also) is followed by a wake-up:
    /// after 50 ms of quiet in which no file is open for writing, at the latest after 500 ms; where the file system
    /// gives no event (a mount, a renamed directory above, network file systems, used up limits of the kernel), after
    /// about a second; and in any case every 30 s. A wake-up carries nothing and wake-ups merge. Directories need not
    /// exist. What the kernel is asked to watch is bounded by what is read.
    #[must_use]
    pub fn start(dirs: Vec<PathBuf>) -> (Self, mpsc::Receiver<()>) {
        let (wake, receiver) = mpsc::channel(1);
        let (alive, dropped) = oneshot::channel();
        let wakes = Arc::new(Wakes::default());
        tokio::spawn(wakes::run(Arc::clone(&wakes), dirs.clone(), wake, dropped));
        let watch = Mutex::new(Watch::new(Arc::clone(&wakes)));
        (Self(Arc::new(Inner { dirs, also: Mutex::default(), watch, wakes, _alive: alive })), receiver)
    }

    /// Replaces the files that manifests name (env files, secrets): their changes wake up as well and are part of
    /// [`Listing::hash`]. They need not exist. Wakes up once if they are others than before.
    pub fn watch_also(&self, files: BTreeSet<PathBuf>) {
        let mut also = lock(&self.0.also);
        if *also != files {
            *also = files;
            self.0.wakes.stir();
        }
    }

    /// Why some change may go untold until the next look.
    #[cfg(test)]
    pub(crate) fn deaf(&self) -> Option<String> {
        self.0.wakes.deaf()
    }

    /// Reads everything again, and watches all of it from now on. While a file is being written it waits, at most
    /// half a second. Blocks on the file system: call it through `spawn_blocking`.
    #[must_use]
    pub fn list(&self) -> Listing {
        let inner = &*self.0;
        let mut watch = lock(&inner.watch);
        inner.wakes.wait_for_quiet();
        let also = lock(&inner.also).clone();
        let mut looks = 1;
        loop {
            let seen = look(&inner.dirs, &also, Limits::default());
            inner.wakes.set_tops(seen.tops);
            // What was not watched while it was read may have changed since.
            if !watch.arm(seen.scope) {
                return seen.listing;
            }
            if looks == MOST_LOOKS {
                inner.wakes.stir();
                return seen.listing;
            }
            looks += 1;
        }
    }
}
