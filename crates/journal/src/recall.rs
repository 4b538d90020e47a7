//! What is asked of the database.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::JournalError;
use crate::record::{Event, EventFilter, TickRow};
use crate::store::{Store, unsigned};

/// Events in one answer where nobody said how many.
const DEFAULT_LIMIT: usize = 1_000;

type Result<T> = std::result::Result<T, JournalError>;

impl Store {
    pub(crate) fn memories(&self) -> Result<Vec<(String, String)>> {
        self.read(|conn| {
            let mut all = conn.prepare_cached("SELECT name, json FROM memory ORDER BY name")?;
            all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    pub(crate) fn memory(&self, name: &str) -> Result<Option<String>> {
        self.read(|conn| text(conn, "SELECT json FROM memory WHERE name = ?1", name))
    }

    pub(crate) fn offsets(&self, gateway: &str) -> Result<Option<String>> {
        self.read(|conn| text(conn, "SELECT json FROM tail WHERE gateway = ?1", gateway))
    }

    pub(crate) fn meta_get(&self, key: &str) -> Result<Option<String>> {
        self.read(|conn| text(conn, "SELECT value FROM meta WHERE key = ?1", key))
    }

    pub(crate) fn judge(&self, name: &str) -> Result<Option<(String, String)>> {
        let sql = r#"SELECT "set", json FROM judge WHERE name = ?1"#;
        self.read(|conn| conn.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional())
    }

    pub(crate) fn ticks(&self, name: &str, from: i64, to: i64) -> Result<Vec<TickRow>> {
        let sql = r#"SELECT second, "set", json FROM tick WHERE name = ?1 AND second BETWEEN ?2 AND ?3
                     ORDER BY second, "set""#;
        self.read(|conn| {
            let row = |row: &Row<'_>| {
                Ok(TickRow { name: name.to_owned(), second: row.get(0)?, set: row.get(1)?, json: row.get(2)? })
            };
            conn.prepare_cached(sql)?.query_map(params![name, from, to], row)?.collect()
        })
    }

    pub(crate) fn events(&self, filter: &EventFilter) -> Result<Vec<Event>> {
        let order = if filter.newest { "DESC" } else { "ASC" };
        let named = if filter.name.is_some() { "name = ?1" } else { "?1 IS NULL" };
        let sql = format!(
            "SELECT seq, name, at, severity, kind, message FROM event WHERE {named} AND seq > ?2
             ORDER BY seq {order} LIMIT ?3"
        );
        let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit };
        let mut events: Vec<Event> = self.read(|conn| {
            let params = params![filter.name, saturated(filter.after_seq), saturated(limit as u64)];
            conn.prepare_cached(&sql)?.query_map(params, event)?.collect()
        })?;
        if filter.newest {
            events.reverse();
        }
        Ok(events)
    }
}

fn text(conn: &Connection, sql: &str, key: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()
}

/// SQLite's integers are signed.
fn saturated(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: unsigned(row, 0)?,
        name: row.get(1)?,
        at: Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
        severity: row.get(3)?,
        kind: row.get(4)?,
        message: row.get(5)?,
    })
}
