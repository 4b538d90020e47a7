//! The tables, and how an older journal becomes one of today.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::error::JournalError;
use crate::store::sqlite;

/// "cnry": what `file` and we ourselves tell a journal by.
const APPLICATION: i32 = 0x636e_7279;

/// Each entry makes the version of its position (from 1) out of the one before. Entries never change once released.
pub(crate) const STEPS: &[&str] = &[VERSION_1];

const VERSION_1: &str = r#"
CREATE TABLE identity (only INTEGER PRIMARY KEY CHECK (only = 1), instance TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(8))), 0);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE memory (name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE judge (name TEXT PRIMARY KEY, "set" TEXT NOT NULL, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tail (gateway TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, at INTEGER NOT NULL,
    severity TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL
) STRICT;
CREATE INDEX event_of ON event (name, seq);
CREATE TABLE tick (
    name TEXT NOT NULL, second INTEGER NOT NULL, "set" TEXT NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (name, second, "set")
) STRICT, WITHOUT ROWID;
CREATE INDEX tick_second ON tick (second);
"#;

/// What was in the file before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing: it is new, or was emptied.
    Nothing,
    /// A journal.
    Journal,
}

/// Looks whose file it is; nothing is changed.
pub(crate) fn look(conn: &Connection, path: &Path) -> Result<Found, JournalError> {
    let tables: i64 = one(conn, path, "SELECT count(*) FROM sqlite_schema")?;
    let application: i32 = one(conn, path, "PRAGMA application_id")?;
    match (tables, application) {
        (0, _) => Ok(Found::Nothing),
        (_, APPLICATION) => Ok(Found::Journal),
        (_, _) => {
            Err(JournalError::Corrupt { path: path.to_owned(), what: "a database of another program".to_owned() })
        }
    }
}

/// Brings the database to the version of the last of `steps`, each step in a transaction of its own. Answers the
/// version found.
pub(crate) fn migrate(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<u32, JournalError> {
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let found = version(conn, path)?;
    if found > known {
        return Err(JournalError::Newer { path: path.to_owned(), found, known });
    }
    for (step, version) in steps.iter().zip(1_u32..).skip(found as usize) {
        advance(conn, step, version).map_err(sqlite(path))?;
    }
    Ok(found)
}

fn advance(conn: &mut Connection, step: &str, version: u32) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    if version == 1 {
        tx.execute_batch(
            "CREATE TABLE schema_version (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL) STRICT",
        )?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
    }
    tx.execute_batch(step)?;
    tx.execute("INSERT INTO schema_version VALUES (1, ?1) ON CONFLICT DO UPDATE SET version = ?1", [version])?;
    tx.commit()
}

pub(crate) fn version(conn: &Connection, path: &Path) -> Result<u32, JournalError> {
    if look(conn, path)? == Found::Nothing {
        return Ok(0);
    }
    let row = conn.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).optional();
    row.map_err(sqlite(path))?
        .ok_or_else(|| JournalError::Corrupt { path: path.to_owned(), what: "it does not say its version".to_owned() })
}

/// Reads every page of the small tables. Ticks are left out: they may be many, and no decision rests on them.
pub(crate) fn check(conn: &Connection, path: &Path) -> Result<(), JournalError> {
    for table in ["identity", "meta", "memory", "judge", "tail"] {
        let found: String = one(conn, path, &format!("PRAGMA quick_check({table})"))?;
        if found != "ok" {
            return Err(JournalError::Corrupt { path: path.to_owned(), what: found });
        }
    }
    Ok(())
}

fn one<T: rusqlite::types::FromSql>(conn: &Connection, path: &Path, sql: &str) -> Result<T, JournalError> {
    conn.query_row(sql, [], |row| row.get(0)).map_err(sqlite(path))
}
