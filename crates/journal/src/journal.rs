//! The journal as the daemon sees it: every call runs on a thread where it may block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::error::JournalError;
use crate::housekeeping::Swept;
use crate::record::{Event, EventFilter, NewEvent, TickBatch, TickRow};
use crate::store::Store;

/// A journal that was opened for this process alone.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Rises at each open, from 1: the first half of a generation's number.
    pub epoch: u64,
    /// Random id of this state directory (16 hexadecimal digits), made with the journal; also in `instance`.
    pub instance: String,
}

/// What is remembered. A clone is the same journal; dropping the last one releases the state directory.
///
/// Every call may be cancelled: what was begun is finished on its thread, completely or not at all.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<Store>,
}

type Result<T> = std::result::Result<T, JournalError>;

impl Journal {
    /// Opens the journal in `state_dir`, which is made (0700) when missing.
    ///
    /// # Guarantees
    /// No other process has it open until the last clone is dropped. The database is of the present format. The new
    /// epoch is on disk.
    ///
    /// # Errors
    /// `InUse`, `Newer`, `Corrupt`, `Lost`, `InstanceMismatch`: final, nothing was changed. `Full`, `ReadOnly`,
    /// `Io`, `Sqlite`: may pass.
    pub async fn open(state_dir: impl Into<PathBuf>) -> Result<Opened> {
        let state_dir = state_dir.into();
        let (store, epoch, instance) = blocking(move || Store::open(&state_dir)).await?;
        Ok(Opened { journal: Self { store: Arc::new(store) }, epoch, instance })
    }

    /// The database, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// All memories as `(name, json)`, by name.
    ///
    /// # Errors
    /// Any.
    pub async fn memories(&self) -> Result<Vec<(String, String)>> {
        self.with(Store::memories).await
    }

    /// The memory of one rollout.
    ///
    /// # Errors
    /// Any.
    pub async fn memory(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.with(move |store| store.memory(&name)).await
    }

    /// Stores the memory of one rollout and tells `events`, both or neither; answers the events' sequence numbers.
    ///
    /// # Guarantees
    /// On disk (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// Any; nothing is stored then.
    pub async fn commit_plan(
        &self,
        name: &str,
        memory_json: String,
        events: Vec<NewEvent>,
        at: Timestamp,
    ) -> Result<Vec<u64>> {
        let name = name.to_owned();
        self.with(move |store| store.commit_plan(&name, &memory_json, &events, at)).await
    }

    /// Stores the memory of one rollout with a command in its inbox, as durably as a plan: then the command may be
    /// acknowledged.
    ///
    /// # Errors
    /// Any; nothing is stored then.
    pub async fn commit_command(&self, name: &str, memory_json: String, at: Timestamp) -> Result<()> {
        self.commit_plan(name, memory_json, Vec::new(), at).await.map(|_| ())
    }

    /// Tells events that come with no plan.
    ///
    /// # Errors
    /// Any; nothing is stored then.
    pub async fn tell(&self, name: &str, events: Vec<NewEvent>, at: Timestamp) -> Result<Vec<u64>> {
        let name = name.to_owned();
        self.with(move |store| store.tell(&name, &events, at)).await
    }

    /// Forgets memory, judge, ticks and the tail of one rollout. Its events stay until they are old.
    ///
    /// # Errors
    /// Any; nothing is forgotten then.
    pub async fn forget(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.with(move |store| store.forget(&name)).await
    }

    /// Stores what one second taught, as one transaction.
    ///
    /// # Guarantees
    /// All of it or nothing, also after kill -9. A power cut may lose the last seconds, as a whole and in order.
    ///
    /// # Errors
    /// Any; nothing is stored then.
    pub async fn tick(&self, batch: TickBatch) -> Result<()> {
        self.with(move |store| store.tick(&batch)).await
    }

    /// The set on trial and the state of its processes, as `(set, json)`.
    ///
    /// # Errors
    /// Any.
    pub async fn judge(&self, name: &str) -> Result<Option<(String, String)>> {
        let name = name.to_owned();
        self.with(move |store| store.judge(&name)).await
    }

    /// Drops the evidence about `set`; about another set it stays.
    ///
    /// # Errors
    /// Any.
    pub async fn drop_judge(&self, name: &str, set: &str) -> Result<()> {
        let (name, set) = (name.to_owned(), set.to_owned());
        self.with(move |store| store.drop_judge(&name, &set)).await
    }

    /// Where the tail of a gateway's log stands (JSON).
    ///
    /// # Errors
    /// Any.
    pub async fn offsets(&self, gateway: &str) -> Result<Option<String>> {
        let gateway = gateway.to_owned();
        self.with(move |store| store.offsets(&gateway)).await
    }

    /// Forgets where the tail of a gateway's log stood: its log is gone.
    ///
    /// # Errors
    /// Any; nothing is forgotten then.
    pub async fn drop_offsets(&self, gateway: &str) -> Result<()> {
        let gateway = gateway.to_owned();
        self.with(move |store| store.drop_offsets(&gateway)).await
    }

    /// Events in ascending order.
    ///
    /// # Errors
    /// Any.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<Event>> {
        self.with(move |store| store.events(&filter)).await
    }

    /// Ticks of one rollout in seconds `from..=to`, by second and set.
    ///
    /// # Errors
    /// Any.
    pub async fn ticks(&self, name: &str, from: i64, to: i64) -> Result<Vec<TickRow>> {
        let name = name.to_owned();
        self.with(move |store| store.ticks(&name, from, to)).await
    }

    /// A text that was kept under `key` by [`meta_set`](Self::meta_set).
    ///
    /// # Errors
    /// Any.
    pub async fn meta_get(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.with(move |store| store.meta_get(&key)).await
    }

    /// Keeps a text under `key`, durably.
    ///
    /// # Errors
    /// Any.
    pub async fn meta_set(&self, key: &str, value: String) -> Result<()> {
        let key = key.to_owned();
        self.with(move |store| store.meta_set(&key, &value)).await
    }

    /// Whether a small durable write succeeds now.
    pub async fn writable(&self) -> bool {
        self.with(Store::probe).await.is_ok()
    }

    /// Drops what is old (ticks after 24 h, events after 90 days or beyond 10,000 a rollout) and what belongs to no
    /// rollout, in small transactions, so that a plan never waits long, and gives space back to the disk. Once a minute is enough.
    ///
    /// # Errors
    /// Any; what was dropped until then stays dropped.
    pub async fn housekeeping(&self, now: Timestamp) -> Result<Swept> {
        self.with(move |store| store.housekeeping(now)).await
    }

    async fn with<T: Send + 'static>(&self, call: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = Arc::clone(&self.store);
        blocking(move || call(&store)).await
    }
}

pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(|_| JournalError::Closed)?
}
