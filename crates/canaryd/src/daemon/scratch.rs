//! The state directory of a dry run: a copy of the journal beside links to everything else, so that nothing is written to the
//! original, even while a daemon runs on it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::store::private_dir;

/// What a dry run reads and never writes.
const READ_ONLY: [&str; 4] = ["revisions", "desired", "gateways", "failures"];

/// A directory of its own; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Copies the journal of `state`, if there is one.
    pub(crate) async fn of(state: &Path) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("canaryd-dry-run-{}", std::process::id()));
        // What is there already was left by a process of the same number; it may hold links, never what they lead to.
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        private_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let scratch = Self { dir };
        for name in READ_ONLY.iter().filter(|name| state.join(name).is_dir()) {
            symlink(state.join(name), scratch.dir.join(name))?;
        }
        canaryd_journal::copy(state, scratch.dir.as_path()).await?;
        Ok(scratch)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "what the dry run worked on is left");
        }
    }
}
