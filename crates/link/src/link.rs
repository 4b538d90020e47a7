//! One gateway's directory and how a generation in it becomes the live one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use canaryd_gateway::container::CONF_DIR;
use canaryd_gateway::{GenerationId, Rendered};

use crate::master::{Master, TestError};
use crate::ops::Ops;
use crate::shelf::{Shelf, make_dir};

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

/// Why the daemon itself goes to a twin: with the same rename that is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Whatever the plan says.
    Decided,
    /// Nobody could see how the canary does.
    Precaution,
}

/// What lies in a gateway's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDisk {
    /// The generation that `current` names.
    pub current: Option<GenerationId>,
    /// Its all-production twin is current, or one rename away.
    pub twin: bool,
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

/// How long a signalled master is given until its new workers answer. It takes a tenth of a second; on a host without a free
/// core, seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// One gateway's directory (`conf/` and `log/`) and its ops port.
#[derive(Debug, Clone)]
pub struct Link {
    shelf: Shelf,
    log: PathBuf,
    ops: Ops,
}

impl Link {
    /// Makes `dir/conf` and `dir/log` where they are missing, with the rights of `owner`. Blocking, quick.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn open(dir: &Path, owner: Owner, ops: Ops) -> Result<Self, LinkError> {
        let log = dir.join("log");
        let failed = |source| LinkError::File { what: format!("make {}", dir.display()), source };
        let shelf = Shelf::open(dir.join("conf"), owner).map_err(failed)?;
        make_dir(&log, 0o750, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
        Ok(Self { shelf, log, ops })
    }
    /// What lies in a gateway's directory. Makes and mends nothing, unlike [`Link::open`].
    #[must_use]
    pub fn look(dir: &Path) -> OnDisk {
        let shelf = Shelf::as_it_is(dir.join("conf"));
        let current = shelf.current();
        let twin = current.is_some_and(|c| c.is_twin() || (shelf.has(c.twin()) && shelf.is_armed(c.twin())));
        OnDisk { current, twin }
    }
    /// The ops port.
    #[must_use]
    pub fn ops(&self) -> &Ops {
        &self.ops
    }
    /// To be mounted read-only at `canaryd_gateway::container::CONF_DIR`.
    #[must_use]
    pub fn conf_dir(&self) -> PathBuf {
        self.shelf.dir().to_owned()
    }
    /// To be mounted writable at `canaryd_gateway::container::LOG_DIR`.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.log.clone()
    }
    /// The generation that `current` names: what the master reads at its next start or signal. `None` before the first.
    #[must_use]
    pub fn current(&self) -> Option<GenerationId> {
        self.shelf.current()
    }

    /// Writes a generation and its twin to disk (synced), with the symlinks that later swaps rename. With `test`,
    /// `nginx -t` reads both (raises and snippets; needs a running gateway). Idempotent; changes nothing live.
    ///
    /// # Errors
    /// A full disk, or NGINX refuses one of them.
    pub async fn prepare(
        &self,
        rendered: &Rendered,
        twin: &Rendered,
        test: Option<&dyn Master>,
    ) -> Result<(), LinkError> {
        for one in [rendered, twin] {
            let failed = |source| LinkError::File { what: format!("write generation {}", one.generation), source };
            self.shelf.put(one).map_err(failed)?;
        }
        if let Some(master) = test {
            let test = async |one: &Rendered| {
                let conf = format!("{CONF_DIR}/generations/{}/nginx.conf", one.generation);
                master.test(&conf).await.map_err(|error| match error {
                    TestError::Refused(output) => LinkError::Refused { generation: one.generation, output },
                    TestError::Untested(reason) => LinkError::Master { what: "test", reason },
                })
            };
            tokio::try_join!(test(rendered), test(twin))?;
        }
        Ok(())
    }

    /// Makes a prepared generation the current one, by one rename. Signals nobody. For the first generation of a
    /// gateway, before its container is created.
    ///
    /// # Errors
    /// It was not prepared.
    pub fn swap(&self, generation: GenerationId) -> Result<(), LinkError> {
        let failed = |source| LinkError::File { what: format!("switch to generation {generation}"), source };
        self.shelf.swap(generation).map_err(failed)
    }

    /// Makes the twin of the current generation the current one. One rename: allocates nothing, works on a full disk,
    /// needs neither Docker nor network. `Ok(None)` when the current one is a twin already; then what was a precaution of the
    /// daemon is somebody's word from now on. The caller signals.
    ///
    /// # Errors
    /// [`LinkError::NoTwin`], or the rename fails.
    pub fn swap_to_twin(&self) -> Result<Option<GenerationId>, LinkError> {
        let current = self.current().ok_or(LinkError::NoTwin)?;
        if current.is_twin() {
            let failed = |source| LinkError::File { what: format!("take over generation {current}"), source };
            self.shelf.take_over(current).map_err(failed)?;
            return Ok(None);
        }
        if !self.shelf.has(current.twin()) {
            return Err(LinkError::NoTwin);
        }
        self.swap(current.twin())?;
        Ok(Some(current.twin()))
    }

    /// The same, as the daemon's own doing: [`Self::was_lowered_by_daemon`] tells it from anybody else's.
    ///
    /// # Errors
    /// Likewise.
    pub fn swap_to_own_twin(&self, why: Why) -> Result<Option<GenerationId>, LinkError> {
        let current = self.current().ok_or(LinkError::NoTwin)?;
        if current.is_twin() {
            return Ok(None);
        }
        if !self.shelf.has(current.twin()) {
            return Err(LinkError::NoTwin);
        }
        let twin = current.twin();
        let failed = |source| LinkError::File { what: format!("switch to generation {twin}"), source };
        self.shelf.swap_as_own(twin, why).map_err(failed)?;
        Ok(Some(twin))
    }

    /// Whether the live generation is a twin to which the daemon itself went.
    #[must_use]
    pub fn was_lowered_by_daemon(&self) -> bool {
        self.shelf.is_own()
    }

    /// Whether it did so as a precaution.
    #[must_use]
    pub fn was_lowered_as_precaution(&self) -> bool {
        self.shelf.is_precaution()
    }

    /// Prepare, swap, signal, and prove by fresh connections that `rendered` is live, within 5 s. On failure the
    /// generation before it is put back and signalled.
    ///
    /// # Guarantees
    /// After `Ok` the new workers accept; the old ones do so for another 100 ms or so (NGINX's own pause), and their
    /// lines carry the old number. Cancelled at an await, `current` names the old or the new generation, both whole;
    /// calling it again ends the work.
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
        self.prepare(rendered, twin, test.then_some(master)).await?;
        let before = self.current();
        if let Some(before) = before {
            // The way back must not need disk space either.
            let failed = |source| LinkError::File { what: format!("keep generation {before}"), source };
            self.shelf.arm(before).map_err(failed)?;
        }
        self.swap(rendered.generation)?;
        let since = SystemTime::now();
        let error = match self.signal_and_prove(master).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        let put_back = self.put_back(before, rendered.generation, master).await;
        Err(match error {
            LinkError::NotLive { generation, waited, .. } => {
                // Last of all, for Docker may take its time: a lowering does without NGINX's words.
                let log = master.log_since(since).await.unwrap_or_default();
                let emerg = log.lines().rev().find(|line| line.contains("[emerg]")).map(str::to_owned);
                LinkError::NotLive { generation, waited, emerg, put_back }
            }
            other => other,
        })
    }

    /// All traffic to production, now: swap to the twin, signal, prove.
    ///
    /// # Guarantees
    /// The swap comes first and is never taken back: even when the signal fails, the next start or signal of the
    /// master lowers.
    ///
    /// # Errors
    /// No twin, no signal, or no proof within 5 s.
    pub async fn lower(&self, master: &dyn Master, why: Why) -> Result<Live, LinkError> {
        self.swap_to_own_twin(why)?;
        self.signal_and_prove(master).await
    }

    /// Signals and proves that `current` is live (after a restart of daemon or gateway, or a failed signal). Signals
    /// only when another generation answers.
    ///
    /// # Errors
    /// As [`Self::lower`].
    pub async fn confirm(&self, master: &dyn Master) -> Result<Live, LinkError> {
        let generation = self.current().ok_or(LinkError::NoTwin)?;
        match self.ops.generation().await {
            Ok(found) if found == generation => Ok(Live { generation, took: Duration::ZERO }),
            Ok(_) | Err(_) => self.signal_and_prove(master).await,
        }
    }

    /// Removes old generations, all but the last `keep` (20 is good) and the current one with its twin. How many
    /// directories went.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn sweep(&self, keep: usize) -> Result<usize, LinkError> {
        self.shelf.sweep(keep).map_err(|source| LinkError::File { what: "remove old generations".to_owned(), source })
    }

    /// A reply to the signal says nothing (a bad file is answered with success): only an answer of the new number does.
    async fn signal_and_prove(&self, master: &dyn Master) -> Result<Live, LinkError> {
        let generation = self.current().ok_or(LinkError::NoTwin)?;
        let began = Instant::now();
        master.hup().await.map_err(|reason| LinkError::Master { what: "signal", reason })?;
        while began.elapsed() < PATIENCE {
            if self.ops.generation().await.is_ok_and(|found| found == generation) {
                return Ok(Live { generation, took: began.elapsed() });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(LinkError::NotLive { generation, waited: PATIENCE, emerg: None, put_back: false })
    }

    /// Only if nobody lowered in the meantime: then `current` is no longer `tried`, and stays.
    async fn put_back(&self, before: Option<GenerationId>, tried: GenerationId, master: &dyn Master) -> bool {
        let Some(before) = before.filter(|_| self.current() == Some(tried)) else { return false };
        let back = self.swap(before).is_ok() && master.hup().await.is_ok();
        tracing::warn!(%tried, %before, back, "a generation did not become live");
        back
    }
}
