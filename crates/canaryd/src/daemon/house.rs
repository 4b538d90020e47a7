//! What all loops share: the outside world behind its seams, and one cell for each rollout.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use canaryd_engine::Engine;
use canaryd_journal::Journal;
use canaryd_planner::{Answer, Memory, Report, Waiting};
use canaryd_rollout::{Listen, Rollout, RolloutName};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bells::{Bell, lock};
use super::book::Book;
use super::executor::{SetTasks, ShelfBook};
use super::gateways::GatewayPort;
use super::health::HealthBoard;
use super::observer::Observer;
use super::resolver::Pulls;
use super::slots::SlotBook;
use super::store::Store;

/// What was fixed at the start.
#[derive(Debug)]
pub(crate) struct Config {
    /// Name of this host, for every message.
    pub(crate) host: String,
    /// The state directory, absolute: also of a dry run, which works on a copy of it.
    pub(crate) state: PathBuf,
    /// Watched directories, absolute.
    pub(crate) watch: Vec<PathBuf>,
    /// Nothing is written to Docker, NGINX or the journal.
    pub(crate) dry_run: bool,
    /// How containers are reached.
    pub(crate) reach: crate::cli::ReachChoice,
    /// Identity of this installation.
    pub(crate) instance: String,
    /// Rises at every start.
    pub(crate) epoch: u64,
    /// When the daemon started.
    pub(crate) since: Timestamp,
    /// What a dry run works on instead of the state directory; removed at the end.
    pub(crate) _scratch: Option<super::scratch::Scratch>,
}

/// What all loops share.
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) journal: Journal,
    /// Why the journal cannot be written now.
    journal_trouble: Mutex<Option<String>>,
    pub(crate) store: Store,
    pub(crate) observer: Observer,
    pub(crate) slots: SlotBook,
    pub(crate) pulls: Pulls,
    pub(crate) book: Mutex<Book>,
    /// Wakes the loop that reads manifests and resolves them.
    pub(crate) manifests: Bell,
    /// Diagnostics of names that parse but do not resolve, by name.
    pub(crate) unresolved: Mutex<BTreeMap<RolloutName, Vec<String>>>,
    cells: Mutex<BTreeMap<RolloutName, Arc<Cell>>>,
    /// Changes whenever a report or the history may have changed.
    pub(crate) changes: watch::Sender<u64>,
    /// Whether this process has a route to the containers' network; found out once, when the first gateway runs.
    pub(crate) routes: std::sync::OnceLock<bool>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// Everything about one rollout.
pub(crate) struct Cell {
    pub(crate) name: RolloutName,
    pub(crate) bell: Bell,
    /// Held while planning and committing, never while acting.
    pub(crate) memory: tokio::sync::Mutex<Memory>,
    /// What was refused or given up may be in the journal all the same: the next plan that can be is written, news or not.
    pub(crate) doubtful: AtomicBool,
    /// When the memory was last committed by a plan of this run.
    pub(crate) kept_at: Mutex<Option<std::time::Instant>>,
    pub(crate) wish: Mutex<Wish>,
    pub(crate) gateway: GatewayPort,
    pub(crate) health: HealthBoard,
    pub(crate) sets: SetTasks,
    pub(crate) shelf: ShelfBook,
    /// Held while a failure bundle is written.
    pub(crate) failures: tokio::sync::Mutex<()>,
    pub(crate) evidence: Mutex<super::evidence::Evidence>,
    pub(crate) report: Mutex<Option<Report>>,
    /// In a dry run: what would be so if it had been done.
    pub(crate) pretence: Mutex<super::dry_run::Pretence>,
    /// Those who wait for the answer to a command, by its id.
    pub(crate) waiting: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    pub(crate) stop: CancellationToken,
}

/// What the manifest of one name asks for, as far as it is resolved.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// The last valid manifest, resolved as far as its images are known.
    pub(crate) rollout: Option<Arc<Rollout>>,
    /// Digest of document and files; the same digest keeps its resolved images.
    pub(crate) key: String,
    /// Images that are being pulled.
    pub(crate) pulling: Vec<Waiting>,
    /// Absent since then, and whether that counts as a deletion.
    pub(crate) gone: Option<(Timestamp, bool)>,
    /// Facts for the report: drift, ignored newer manifest.
    pub(crate) notes: Vec<String>,
    /// How far the removal of everything is, where somebody asked for it.
    pub(crate) removal: Removal,
    /// Tags that name other content now than when the manifest was taken over.
    pub(crate) moved_tags: Vec<String>,
}

/// How far the removal of everything of a rollout is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Nobody asked for it.
    #[default]
    None,
    /// Traffic, containers and gateway go, one after the other.
    UnderWay,
    /// Nothing is left, and its ports are free.
    Done,
}

impl Wish {
    /// The places on the host that it has.
    pub(crate) fn listens(&self) -> Vec<Listen> {
        match (&self.rollout, self.removal) {
            (Some(rollout), Removal::None | Removal::UnderWay) => rollout.gateway.listens(),
            (Some(_), Removal::Done) | (None, _) => Vec::new(),
        }
    }
}

impl Removal {
    pub(crate) fn of(memory: &Memory) -> Self {
        match (memory.is_being_deleted(), memory.is_deleted()) {
            (true, _) => Self::UnderWay,
            (false, true) => Self::Done,
            (false, false) => Self::None,
        }
    }
}

impl House {
    pub(crate) fn new(
        config: Config,
        engine: Arc<dyn Engine>,
        journal: Journal,
        store: Store,
        max_moving: usize,
        book: Book,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            engine,
            journal,
            journal_trouble: Mutex::default(),
            store,
            observer: Observer::new(),
            slots: SlotBook::new(max_moving),
            pulls: Pulls::default(),
            book: Mutex::new(book),
            manifests: Bell::default(),
            unresolved: Mutex::default(),
            cells: Mutex::default(),
            changes: watch::Sender::new(0),
            routes: std::sync::OnceLock::new(),
            stop,
            tasks: TaskTracker::new(),
        })
    }

    pub(crate) fn cell(&self, name: &RolloutName) -> Option<Arc<Cell>> {
        lock(&self.cells).get(name).cloned()
    }

    pub(crate) fn cells(&self) -> Vec<Arc<Cell>> {
        lock(&self.cells).values().cloned().collect()
    }

    /// The cell of a name, made with this memory if it is new; `true`: it is new and its loops must be started.
    pub(crate) fn cell_or_new(&self, name: &RolloutName, memory: Memory) -> (Arc<Cell>, bool) {
        let mut cells = lock(&self.cells);
        if let Some(cell) = cells.get(name) {
            return (Arc::clone(cell), false);
        }
        let cell = self.detached_cell(name, memory);
        cells.insert(name.clone(), Arc::clone(&cell));
        (cell, true)
    }

    /// A cell that nobody else sees and no loop runs for.
    pub(crate) fn detached_cell(&self, name: &RolloutName, memory: Memory) -> Arc<Cell> {
        Arc::new(Cell {
            name: name.clone(),
            bell: Bell::default(),
            memory: tokio::sync::Mutex::new(memory),
            doubtful: AtomicBool::new(false),
            kept_at: Mutex::default(),
            wish: Mutex::default(),
            gateway: GatewayPort::default(),
            health: HealthBoard::default(),
            sets: SetTasks::default(),
            shelf: ShelfBook::default(),
            failures: tokio::sync::Mutex::default(),
            evidence: Mutex::default(),
            report: Mutex::default(),
            pretence: Mutex::default(),
            waiting: Mutex::default(),
            stop: self.stop.child_token(),
        })
    }

    /// Takes a name out; its loops end.
    pub(crate) fn remove_cell(&self, name: &RolloutName) {
        if let Some(cell) = lock(&self.cells).remove(name) {
            cell.stop.cancel();
        }
        lock(&self.unresolved).remove(name);
        lock(&self.book).forget(name);
        self.changed();
    }

    /// Tells followers that something changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    pub(crate) fn can_write(&self) -> bool {
        self.journal_trouble().is_none()
    }

    /// Why the journal cannot be written now.
    pub(crate) fn journal_trouble(&self) -> Option<String> {
        lock(&self.journal_trouble).clone()
    }

    /// Remembers whether the journal can be written, or why not; says so once when it changes.
    pub(crate) fn note_journal(&self, trouble: Option<&str>) {
        let before = std::mem::replace(&mut *lock(&self.journal_trouble), trouble.map(str::to_owned));
        match (before.is_some(), trouble) {
            (false, None) | (true, Some(_)) => return,
            (true, None) => tracing::info!("the journal can be written again; everything goes on"),
            (false, Some(why)) => {
                tracing::error!(why, "the journal cannot be written: weights can still be lowered, nothing else moves");
            }
        }
        for cell in self.cells() {
            cell.bell.ring();
        }
    }
}
