//! Tells when a log may have grown: by the kernel's word, and once a second in any case.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Longest wait without an event.
const AT_LAST: Duration = Duration::from_secs(1);
/// A busy log is not looked at more often than this.
const PACE: Duration = Duration::from_millis(20);

/// Wakes when something in the log's directory changed.
#[derive(Debug)]
pub(crate) struct Wake {
    dir: PathBuf,
    rang: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
}

impl Wake {
    pub(crate) fn new(log: &Path) -> Self {
        let dir = log.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { dir: dir.to_owned(), rang: Arc::new(Notify::new()), watcher: None }
    }

    /// Returns after a change, at the latest after a second.
    pub(crate) async fn wait(&mut self) {
        if self.watcher.is_none() {
            self.watcher = self.watch().ok();
        }
        if tokio::time::timeout(AT_LAST, self.rang.notified()).await.is_ok() {
            tokio::time::sleep(PACE).await;
        }
    }

    /// Fails while the directory is not there yet; the second's wait stands in for it.
    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let rang = Arc::clone(&self.rang);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| is_our_own_reading(event.kind)) {
                rang.notify_one();
            }
        })?;
        watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}

fn is_our_own_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(_))
}
