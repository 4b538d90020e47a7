//! Keeps the journal small, whatever its age.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::JournalError;
use crate::store::{Durability, Store};

/// Ticks are kept this long, seconds.
const TICKS_KEPT: i64 = 24 * 3_600;
/// Events are kept this long, milliseconds.
const EVENTS_KEPT: i64 = 90 * 24 * 3_600_000;
/// Events of one rollout that are kept.
const EVENTS_OF_ONE: i64 = 10_000;
/// Bytes of the database above which the oldest ticks go early.
const BYTES: i64 = 512 << 20;
/// Rows that one transaction drops: a few milliseconds, then a waiting plan has its turn.
const ROWS: i64 = 2_000;
/// Pages (4 KiB) that one round gives back to the disk.
const PAGES: usize = 4_096;

type Result<T> = std::result::Result<T, JournalError>;

/// What a round of housekeeping dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows of ticks.
    pub ticks: u64,
    /// Events.
    pub events: u64,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) events_of_one: i64,
    pub(crate) bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events_of_one: EVENTS_OF_ONE, bytes: BYTES }
    }
}

impl Store {
    pub(crate) fn housekeeping(&self, now: Timestamp) -> Result<Swept> {
        self.sweep(now, Limits::default())
    }

    pub(crate) fn sweep(&self, now: Timestamp, limits: Limits) -> Result<Swept> {
        let old_ticks = self.drop_ticks_before(now.as_second() - TICKS_KEPT)?;
        let early_ticks = self.drop_ticks_beyond(limits.bytes)?;
        let old_events = self.drop_events_before(now.as_millisecond() - EVENTS_KEPT)?;
        let surplus_events = self.drop_events_beyond(limits.events_of_one)?;
        self.drop_strays()?;
        self.give_back()?;
        Ok(Swept { ticks: old_ticks + early_ticks, events: old_events + surplus_events })
    }

    /// What a second that was under way wrote after its rollout was forgotten. A memory is there before either of them.
    fn drop_strays(&self) -> Result<()> {
        self.write(Durability::Process, |tx| {
            tx.execute("DELETE FROM tail WHERE gateway NOT IN (SELECT name FROM memory)", [])?;
            tx.execute("DELETE FROM judge WHERE name NOT IN (SELECT name FROM memory)", []).map(|_| ())
        })
    }

    fn drop_ticks_before(&self, second: i64) -> Result<u64> {
        let sql = r#"DELETE FROM tick WHERE (name, second, "set") IN
                     (SELECT name, second, "set" FROM tick WHERE second < ?1 ORDER BY second LIMIT ?2)"#;
        self.drop_in_parts(sql, params![second, ROWS])
    }

    /// Drops the oldest ticks until the rest fits. Free pages do not count: they are given back or used again.
    fn drop_ticks_beyond(&self, bytes: i64) -> Result<u64> {
        let sql = r#"DELETE FROM tick WHERE (name, second, "set") IN
                     (SELECT name, second, "set" FROM tick ORDER BY second LIMIT ?1)"#;
        let mut dropped = 0;
        while self.read(used_bytes)? > bytes {
            let rows = self.write(Durability::Process, |tx| tx.execute(sql, [ROWS]))?;
            if rows == 0 {
                break;
            }
            dropped += rows as u64;
        }
        Ok(dropped)
    }

    fn drop_events_before(&self, millisecond: i64) -> Result<u64> {
        // Sequence and time ascend together but for clock jumps, and those only delay what is dropped.
        let sql = "DELETE FROM event WHERE seq IN (SELECT seq FROM
                   (SELECT seq, at FROM event ORDER BY seq LIMIT ?2) WHERE at < ?1)";
        self.drop_in_parts(sql, params![millisecond, ROWS])
    }

    fn drop_events_beyond(&self, kept: i64) -> Result<u64> {
        let names: Vec<String> = self.read(|conn| {
            conn.prepare("SELECT name FROM event GROUP BY name HAVING count(*) > ?1")?
                .query_map([kept], |row| row.get(0))?
                .collect()
        })?;
        let mut dropped = 0;
        for name in names {
            let newest_surplus = "SELECT seq FROM event WHERE name = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
            let last: Option<i64> =
                self.read(|conn| conn.query_row(newest_surplus, params![name, kept], |row| row.get(0)).optional())?;
            let Some(last) = last else { continue };
            let sql = "DELETE FROM event WHERE seq IN
                       (SELECT seq FROM event WHERE name = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)";
            dropped += self.drop_in_parts(sql, params![name, last, ROWS])?;
        }
        Ok(dropped)
    }

    fn drop_in_parts(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<u64> {
        let mut dropped = 0;
        loop {
            let rows = self.write(Durability::Process, |tx| tx.prepare_cached(sql)?.execute(params))?;
            dropped += rows as u64;
            if rows == 0 {
                return Ok(dropped);
            }
        }
    }

    fn give_back(&self) -> Result<()> {
        self.maintain(|conn| {
            // Each row that is stepped to is one page given back.
            let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        })
    }
}

fn used_bytes(conn: &Connection) -> rusqlite::Result<i64> {
    let number = |pragma: &str| conn.query_row(pragma, [], |row| row.get::<_, i64>(0));
    Ok((number("PRAGMA page_count")? - number("PRAGMA freelist_count")?) * number("PRAGMA page_size")?)
}
