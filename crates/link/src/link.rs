//! One gateway's directory and how a generation in it becomes the live one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use canaryd_gateway::{GenerationId, Rendered};

use crate::master::Master;
use crate::ops::Ops;

/// Who runs the gateway's processes: files are readable for this group, logs are written by this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
}

/// A generation that was proven live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub generation: GenerationId,
    /// From the signal to the first answer.
    pub took: Duration,
}

/// Why a generation did not become live. The one before it serves on, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file could not be written or moved.
    #[error("cannot {what}")]
    File {
        /// What was to be done: "write generation 1.4".
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `nginx -t` refused it; nothing was swapped.
    #[error("NGINX refuses generation {generation}: {output}")]
    Refused {
        /// Which.
        generation: GenerationId,
        /// NGINX's words.
        output: String,
    },
    /// It was swapped in but never answered; the one before it was put back.
    #[error("generation {generation} did not become live within {waited:?}{}", .emerg.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    NotLive {
        /// Which.
        generation: GenerationId,
        /// How long it was waited for.
        waited: Duration,
        /// NGINX's `[emerg]` line, if it wrote one.
        emerg: Option<String>,
        /// Whether the generation before it was put back and signalled.
        put_back: bool,
    },
    /// The master could not be reached.
    #[error("cannot {what} the gateway: {reason}")]
    Master {
        /// "signal", "test".
        what: &'static str,
        /// In its words.
        reason: String,
    },
    /// There is no twin to lower to (no generation is live, or its twin was removed).
    #[error("there is no all-production twin to go to")]
    NoTwin,
}

/// One gateway's directory (`conf/` and `log/`) and its ops port.
#[derive(Debug, Clone)]
pub struct Link {
    dir: PathBuf,
    owner: Owner,
    ops: Ops,
}

impl Link {
    /// Makes `dir/conf` and `dir/log` where they are missing, with the rights of `owner`. Blocking, quick.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn open(dir: &Path, owner: Owner, ops: Ops) -> Result<Self, LinkError> {
        Ok(Self { dir: dir.to_owned(), owner, ops })
    }
    /// The ops port.
    #[must_use]
    pub fn ops(&self) -> &Ops {
        &self.ops
    }
    /// To be mounted read-only at `canaryd_gateway::container::CONF_DIR`.
    #[must_use]
    pub fn conf_dir(&self) -> PathBuf {
        self.dir.join("conf")
    }
    /// To be mounted writable at `canaryd_gateway::container::LOG_DIR`.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }
    /// The generation that `current` names: what the master reads at its next start or signal. `None` before the first.
    #[must_use]
    pub fn current(&self) -> Option<GenerationId> {
        todo!()
    }
    /// Writes a generation and its twin to disk (synced), with the symlinks that later swaps rename. With `test`,
    /// `nginx -t` reads both first (raises and snippets; needs a running gateway). Idempotent; changes nothing live.
    ///
    /// # Errors
    /// A full disk, or NGINX refuses one of them.
    pub async fn prepare(
        &self,
        rendered: &Rendered,
        twin: &Rendered,
        test: Option<&dyn Master>,
    ) -> Result<(), LinkError> {
        let _ = (rendered, twin, test);
        todo!()
    }
    /// Makes a prepared generation the current one, by one rename. Signals nobody. For the first generation of a
    /// gateway, before its container is created.
    ///
    /// # Errors
    /// It was not prepared.
    pub fn swap(&self, generation: GenerationId) -> Result<(), LinkError> {
        let _ = generation;
        todo!()
    }
    /// Makes the twin of the current generation the current one. One rename: allocates nothing, works on a full disk,
    /// needs neither Docker nor network. `Ok(None)` when the current one is a twin already. The caller signals.
    ///
    /// # Errors
    /// [`LinkError::NoTwin`], or the rename fails.
    pub fn swap_to_twin(&self) -> Result<Option<GenerationId>, LinkError> {
        todo!()
    }
    /// Prepare, swap, signal, and prove by fresh connections that `rendered` is live, within 2 s. On failure the
    /// generation before it is put back and signalled.
    ///
    /// # Guarantees
    /// After `Ok`, every new connection is served by `rendered`. Cancelled at an await, `current` names the old or
    /// the new generation, both whole; calling it again ends the work.
    ///
    /// # Errors
    /// As [`LinkError`] says.
    pub async fn apply(
        &self,
        rendered: &Rendered,
        twin: &Rendered,
        master: &dyn Master,
        test: bool,
    ) -> Result<Live, LinkError> {
        let _ = (rendered, twin, master, test);
        todo!()
    }
    /// All traffic to production, now: swap to the twin, signal, prove.
    ///
    /// # Guarantees
    /// The swap comes first and is never taken back: even when the signal fails, the next start or signal of the
    /// master lowers.
    ///
    /// # Errors
    /// No twin, no signal, or no proof within 2 s.
    pub async fn lower(&self, master: &dyn Master) -> Result<Live, LinkError> {
        let _ = master;
        todo!()
    }
    /// Signals and proves that `current` is live (after a restart of daemon or gateway, or a failed signal). Signals
    /// only when another generation answers.
    ///
    /// # Errors
    /// As [`Self::lower`].
    pub async fn confirm(&self, master: &dyn Master) -> Result<Live, LinkError> {
        let _ = master;
        todo!()
    }
    /// Removes old generations, all but the last `keep` (20 is good) and the current one with its twin. How many went.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn sweep(&self, keep: usize) -> Result<usize, LinkError> {
        let _ = keep;
        todo!()
    }
}
