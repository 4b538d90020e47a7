//! A journal in the place of one that cannot be read. The old files are renamed, never removed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::error::JournalError;
use crate::instance;
use crate::journal::blocking;
use crate::lock::StateLock;
use crate::record::NewEvent;
use crate::schema::{self, STEPS};
use crate::store::{connect, prepare, remember, sqlite, tell};

/// A state directory that nobody else may use, without a journal being open in it.
#[derive(Debug)]
pub struct Hold {
    dir: PathBuf,
    _lock: StateLock,
}

/// What a journal is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// The instance whose containers run.
    pub instance: String,
    /// The highest epoch that was ever used: the next open has a higher one.
    pub epoch: u64,
    /// Events count on from here.
    pub last_event: u64,
    /// When.
    pub at: Timestamp,
    /// Name, memory (JSON) and what is told of it.
    pub memories: Vec<(String, String, Vec<NewEvent>)>,
}

impl Hold {
    /// Takes the lock of `dir`, which must exist.
    ///
    /// # Errors
    /// `InUse`: another daemon has it. `Io`.
    pub fn take(dir: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let dir = dir.into();
        let lock = StateLock::take(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Puts a journal made of `remade` in place of what is there. Answers where the old files are now.
    ///
    /// # Guarantees
    /// The new one is whole and on disk before the old one is touched. Killed in between, the directory has no journal
    /// and the old one lies beside it.
    ///
    /// # Errors
    /// Any; before anything was renamed unless it says so.
    pub async fn rebuild(&self, remade: Remade) -> Result<Vec<PathBuf>, JournalError> {
        let dir = self.dir.clone();
        blocking(move || rebuild_now(&dir, &remade)).await
    }
}

fn rebuild_now(dir: &Path, remade: &Remade) -> Result<Vec<PathBuf>, JournalError> {
    let fresh = dir.join("journal.db.new");
    let companions = |path: &Path| ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", path.display())));
    for left in companions(&fresh) {
        match fs::remove_file(&left) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &left)(e)),
            Ok(()) | Err(_) => {}
        }
    }
    write(&fresh, remade)?;
    if instance::read(dir)?.as_deref() != Some(&remade.instance) {
        instance::write(dir, &remade.instance)?;
    }
    let path = dir.join("journal.db");
    let when = remade.at.strftime("%Y%m%dT%H%M%SZ");
    let mut aside = Vec::new();
    for (old, end) in companions(&path).iter().zip(["", "-wal", "-shm"]).filter(|(old, _)| old.exists()) {
        let to = dir.join(format!("journal.db.before-rebuild-{when}{end}"));
        fs::rename(old, &to).map_err(io("put aside", old))?;
        aside.push(to);
    }
    fs::rename(&fresh, &path).map_err(io("put in place", &fresh))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))?;
    Ok(aside)
}

/// Without a log beside it, so that one rename is enough.
fn write(path: &Path, remade: &Remade) -> Result<(), JournalError> {
    let mut conn = connect(path)?;
    let fill = |conn: &mut Connection| -> rusqlite::Result<()> {
        let tx = conn.transaction()?;
        let epoch = i64::try_from(remade.epoch).unwrap_or(i64::MAX);
        tx.execute("UPDATE identity SET instance = ?1, epoch = ?2", params![remade.instance, epoch])?;
        let last = i64::try_from(remade.last_event).unwrap_or(0);
        tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)", [last])?;
        for (name, json, events) in &remade.memories {
            remember(&tx, name, json)?;
            tell(&tx, name, events, remade.at)?;
        }
        tx.commit()
    };
    prepare(&conn).map_err(sqlite(path))?;
    schema::migrate(&mut conn, path, STEPS)?;
    fill(&mut conn).map_err(sqlite(path))?;
    conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(sqlite(path))?;
    conn.close().map_err(|(_, error)| sqlite(path)(error))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(io("sync", path))
}

fn io(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { doing, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventFilter, Journal, Opened};

    fn event(kind: &str) -> NewEvent {
        NewEvent { severity: "info".to_owned(), kind: kind.to_owned(), message: "a sentence".to_owned() }
    }

    fn remade() -> Remade {
        Remade {
            instance: "0123456789abcdef".to_owned(),
            epoch: 41,
            last_event: 1_000,
            at: Timestamp::from_second(1_700_000_000).unwrap(),
            memories: vec![("shop".to_owned(), "{\"format\":1}".to_owned(), vec![event("journal-rebuilt")])],
        }
    }

    #[tokio::test]
    async fn a_damaged_journal_is_put_aside_whole_and_the_new_one_counts_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("journal.db"), "scribbled over ".repeat(1_000)).unwrap();
        fs::write(dir.path().join("journal.db-wal"), "a log").unwrap();
        fs::write(dir.path().join("instance"), "0123456789abcdef\n").unwrap();
        assert!(matches!(Journal::open(dir.path()).await.unwrap_err(), JournalError::Corrupt { .. }));
        let before = fs::read(dir.path().join("journal.db")).unwrap();
        let hold = Hold::take(dir.path()).unwrap();
        assert!(matches!(Journal::open(dir.path()).await.unwrap_err(), JournalError::InUse { .. }), "it is held");
        let aside = hold.rebuild(remade()).await.unwrap();
        drop(hold);
        assert_eq!(fs::read(&aside[0]).unwrap(), before);
        assert!(aside[0].ends_with("journal.db.before-rebuild-20231114T221320Z"), "{aside:?}");

        let Opened { journal, epoch, instance } = Journal::open(dir.path()).await.unwrap();
        assert_eq!((epoch, instance.as_str()), (42, "0123456789abcdef"));
        assert_eq!(journal.memories().await.unwrap(), [("shop".to_owned(), "{\"format\":1}".to_owned())]);
        let all = EventFilter { name: None, after_seq: 0, limit: 10, newest: false };
        let told = journal.events(all).await.unwrap();
        assert_eq!(told.iter().map(|e| e.seq).collect::<Vec<_>>(), [1_001]);
        let again = journal.tell("shop", vec![event("next")], Timestamp::now()).await.unwrap();
        assert_eq!(again, [1_002]);
    }

    #[tokio::test]
    async fn what_is_missing_is_made_and_a_rebuild_that_was_killed_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("journal.db.new"), "half of it").unwrap();
        let aside = Hold::take(dir.path()).unwrap().rebuild(remade()).await.unwrap();
        assert!(aside.is_empty());
        assert_eq!(Journal::open(dir.path()).await.unwrap().instance, "0123456789abcdef");
    }
}
