//! The database itself. Everything here blocks.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, Row, Transaction, params};

use crate::error::JournalError;
use crate::instance;
use crate::lock::StateLock;
use crate::record::{NewEvent, TickBatch};
use crate::schema::{self, Found, STEPS};

type Result<T> = std::result::Result<T, JournalError>;

/// The database of one state directory: one connection writes, another reads, so that a long answer delays no plan.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    _lock: StateLock,
}

/// So long another program's lock is waited for: longer would keep plans waiting, too.
const BUSY: Duration = Duration::from_millis(300);

/// How safe a transaction is when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Survives a power cut.
    Disk,
    /// Survives the end of this process; a power cut may lose the last ones, whole and in order.
    Process,
}

impl Store {
    /// Opens or makes the journal of `dir`. Answers it with its epoch and instance.
    pub(crate) fn open(dir: &Path) -> Result<(Self, u64, String)> {
        instance::make_dir(dir)?;
        let lock = StateLock::take(dir)?;
        let path = dir.join("journal.db");
        let plain = instance::read(dir)?;
        if let Some(instance) = plain.clone().filter(|_| !path.exists()) {
            return Err(JournalError::Lost { path, file: instance::plain_file(dir), instance });
        }
        let mut writer = connect(&path)?;
        if let (Found::Nothing, Some(instance)) = (schema::look(&writer, &path)?, plain.clone()) {
            return Err(JournalError::Lost { path, file: instance::plain_file(dir), instance });
        }
        prepare(&writer).map_err(sqlite(&path))?;
        schema::migrate(&mut writer, &path, STEPS)?;
        schema::check(&writer, &path)?;
        let reader = connect(&path)?;
        reader.pragma_update(None, "query_only", true).map_err(sqlite(&path))?;
        let store = Self { path, writer: Mutex::new(writer), reader: Mutex::new(reader), _lock: lock };
        let (instance, epoch) = store.begin(dir, plain.as_deref())?;
        Ok((store, epoch, instance))
    }

    /// Compares both places that name the instance, and counts this start.
    fn begin(&self, dir: &Path, plain: Option<&str>) -> Result<(String, u64)> {
        let journal: String =
            self.read(|conn| conn.query_row("SELECT instance FROM identity", [], |row| row.get(0)))?;
        match plain {
            None => instance::write(dir, &journal)?,
            Some(plain) if plain == journal => {}
            Some(plain) => {
                let (file, plain) = (instance::plain_file(dir), plain.to_owned());
                return Err(JournalError::InstanceMismatch { file, journal, plain });
            }
        }
        let epoch = self.write(Durability::Disk, |tx| {
            tx.query_row("UPDATE identity SET epoch = epoch + 1 RETURNING epoch", [], |row| unsigned(row, 0))
        })?;
        Ok((journal, epoch))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `call` on the reading connection.
    pub(crate) fn read<T>(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        call(&held(&self.reader)).map_err(sqlite(&self.path))
    }

    /// Runs `call` in one transaction: all of it is stored or nothing.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        call: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        transact(&mut held(&self.writer), durability, call).map_err(sqlite(&self.path))
    }

    /// Runs `call` on the writing connection outside of a transaction.
    pub(crate) fn maintain<T>(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        call(&held(&self.writer)).map_err(sqlite(&self.path))
    }

    pub(crate) fn commit_plan(&self, name: &str, json: &str, events: &[NewEvent], at: Timestamp) -> Result<Vec<u64>> {
        self.write(Durability::Disk, |tx| {
            remember(tx, name, json)?;
            tell(tx, name, events, at)
        })
    }

    pub(crate) fn tell(&self, name: &str, events: &[NewEvent], at: Timestamp) -> Result<Vec<u64>> {
        self.write(Durability::Disk, |tx| tell(tx, name, events, at))
    }

    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        self.write(Durability::Disk, |tx| {
            for table in ["memory", "judge", "tick"] {
                tx.execute(&format!("DELETE FROM {table} WHERE name = ?1"), [name])?;
            }
            tx.execute("DELETE FROM tail WHERE gateway = ?1", [name]).map(|_| ())
        })
    }

    pub(crate) fn tick(&self, batch: &TickBatch) -> Result<()> {
        self.write(Durability::Process, |tx| {
            for (gateway, json) in &batch.offsets {
                let sql = "INSERT INTO tail VALUES (?1, ?2) ON CONFLICT DO UPDATE SET json = ?2";
                tx.prepare_cached(sql)?.execute([gateway, json])?;
            }
            for (name, set, json) in &batch.judges {
                let sql = r#"INSERT INTO judge VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET "set" = ?2, json = ?3"#;
                tx.prepare_cached(sql)?.execute([name, set, json])?;
            }
            for (name, json) in &batch.clocks {
                remember(tx, name, json)?;
            }
            for row in &batch.ticks {
                let sql = "INSERT INTO tick VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET json = ?4";
                tx.prepare_cached(sql)?.execute(params![row.name, row.second, row.set, row.json])?;
            }
            meta_set(tx, "tick.second", &batch.at_second.to_string())
        })
    }

    pub(crate) fn drop_judge(&self, name: &str, set: &str) -> Result<()> {
        let sql = r#"DELETE FROM judge WHERE name = ?1 AND "set" = ?2"#;
        self.write(Durability::Disk, |tx| tx.execute(sql, [name, set]).map(|_| ()))
    }

    pub(crate) fn drop_offsets(&self, gateway: &str) -> Result<()> {
        self.write(Durability::Disk, |tx| tx.execute("DELETE FROM tail WHERE gateway = ?1", [gateway]).map(|_| ()))
    }

    pub(crate) fn meta_set(&self, key: &str, value: &str) -> Result<()> {
        self.write(Durability::Disk, |tx| meta_set(tx, key, value))
    }

    pub(crate) fn probe(&self) -> Result<()> {
        self.write(Durability::Disk, |tx| {
            let sql =
                "INSERT INTO meta VALUES ('probe', '1') ON CONFLICT DO UPDATE SET value = CAST(1 + value AS TEXT)";
            tx.execute(sql, []).map(|_| ())
        })
    }
}

pub(crate) fn remember(tx: &Transaction<'_>, name: &str, json: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO memory VALUES (?1, ?2) ON CONFLICT DO UPDATE SET json = ?2";
    tx.prepare_cached(sql)?.execute([name, json]).map(|_| ())
}

fn meta_set(tx: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2";
    tx.prepare_cached(sql)?.execute([key, value]).map(|_| ())
}

pub(crate) fn tell(tx: &Transaction<'_>, name: &str, events: &[NewEvent], at: Timestamp) -> rusqlite::Result<Vec<u64>> {
    let sql = "INSERT INTO event (name, at, severity, kind, message) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq";
    let mut insert = tx.prepare_cached(sql)?;
    let at = at.as_millisecond();
    events
        .iter()
        .map(|event| {
            insert.query_row(params![name, at, event.severity, event.kind, event.message], |row| unsigned(row, 0))
        })
        .collect()
}

/// Our own counters: SQLite knows only signed numbers, and none of them is below zero.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

/// A panic while the lock was held left no half transaction: rusqlite rolls back when it unwinds.
fn held(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn transact<T>(
    conn: &mut Connection,
    durability: Durability,
    call: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // In WAL mode a commit under NORMAL is not synced; a later one under FULL syncs everything before it as well.
    let synchronous = match durability {
        Durability::Disk => "FULL",
        Durability::Process => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let answer = call(&tx)?;
    tx.commit()?;
    Ok(answer)
}

/// Opens the file, which is made readable for this user only; SQLite gives its companions the same mode.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|source| JournalError::Io { doing: "open", path: path.to_owned(), source })?;
    let conn = Connection::open(path).map_err(sqlite(path))?;
    conn.busy_timeout(BUSY).map_err(sqlite(path))?;
    Ok(conn)
}

/// `auto_vacuum` only takes effect before the first table, so it comes before everything else.
pub(crate) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")
}

/// Says in our words what SQLite says in its own.
pub(crate) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                JournalError::Corrupt { path, what: source.to_string() }
            }
            Some(ErrorCode::DiskFull) => JournalError::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                JournalError::ReadOnly { path, what: source.to_string() }
            }
            Some(_) | None => JournalError::Sqlite { path, source },
        }
    }
}
