//! A journal that cannot be used says why, and is left as it is. Every fault is made for real.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stderr, reason = "a test that needs root says that it was skipped")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use canaryd_journal::{Journal, JournalError, TickBatch};
use jiff::Timestamp;
use rusqlite::Connection;

async fn refusal(dir: &Path) -> JournalError {
    Journal::open(dir).await.expect_err("it cannot be opened")
}

/// A directory with a journal that was closed.
async fn with_journal() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let opened = Journal::open(dir.path()).await.unwrap();
    let path = opened.journal.path().to_owned();
    (dir, path)
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused_with_both_numbers_and_left_as_it_is() {
    let (dir, path) = with_journal().await;
    let by_hand = Connection::open(&path).unwrap();
    by_hand.execute("UPDATE schema_version SET version = 99", []).unwrap();
    let error = refusal(dir.path()).await;
    assert!(matches!(error, JournalError::Newer { found: 99, known: 1, .. }), "{error}");
    let said = error.to_string();
    for word in ["journal.db", "format 99", "up to 1", "install that one again", "backup"] {
        assert!(said.contains(word), "{word:?} is not said: {said}");
    }
    let (version, epoch): (u32, u32) = by_hand
        .query_row("SELECT version, epoch FROM schema_version, identity", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((version, epoch), (99, 1), "a refused start is no start");
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_corrupt_and_stays_as_it_is() {
    let (dir, path) = with_journal().await;
    let garbage = b"this was a journal once; ".repeat(400);
    fs::write(&path, &garbage).unwrap();
    let _ = fs::remove_file(path.with_extension("db-wal"));
    let error = refusal(dir.path()).await;
    assert!(matches!(error, JournalError::Corrupt { .. }) && !error.is_retryable(), "{error}");
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn a_journal_that_another_program_locks_may_be_opened_later() {
    let (dir, path) = with_journal().await;
    let locked = Connection::open(&path).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refusal(dir.path()).await;
    assert!(matches!(error, JournalError::Sqlite { .. }) && error.is_retryable(), "{error}");
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    assert_eq!(Journal::open(dir.path()).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_what_was_stored_is_still_there() {
    let Some(disk) = SmallDisk::mount("1M") else { return };
    let journal = Journal::open(disk.path()).await.unwrap().journal;
    journal.commit_command("shop", "{}".to_owned(), Timestamp::now()).await.unwrap();
    disk.fill();
    let mut refused = None;
    for n in 0..200 {
        // Until what the log of the database had in reserve is used up.
        if let Err(error) = journal.commit_command("shop", format!("{{\"n\": {n}}}"), Timestamp::now()).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("a full disk refuses");
    assert!(matches!(refused, JournalError::Full { .. }) && refused.is_retryable(), "{refused}");
    assert!(journal.memory("shop").await.unwrap().is_some());
    assert!(!journal.writable().await);
    drop(journal);
    let error = refusal(disk.path()).await;
    assert!(error.is_retryable(), "{error}");
    disk.free();
    assert!(Journal::open(disk.path()).await.unwrap().journal.writable().await);
}

#[tokio::test]
async fn on_a_read_only_disk_it_is_not_opened_and_says_which_file() {
    let Some(disk) = SmallDisk::mount("1M") else { return };
    drop(Journal::open(disk.path()).await.unwrap());
    disk.remount("ro");
    let error = refusal(disk.path()).await;
    let read_only = std::io::ErrorKind::ReadOnlyFilesystem;
    assert!(matches!(&error, JournalError::Io { source, .. } if source.kind() == read_only), "{error}");
    disk.remount("rw");
    assert_eq!(Journal::open(disk.path()).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn what_belongs_to_a_forgotten_name_goes_with_it_and_what_came_late_goes_after_it() {
    let (dir, _) = with_journal().await;
    let journal = Journal::open(dir.path()).await.unwrap().journal;
    let second = |name: &str| TickBatch {
        at_second: 1,
        offsets: vec![(name.to_owned(), "{}".to_owned())],
        judges: vec![(name.to_owned(), "s1".to_owned(), "{}".to_owned())],
        ..TickBatch::default()
    };
    for name in ["shop", "blog"] {
        journal.commit_command(name, "{}".to_owned(), Timestamp::now()).await.unwrap();
        journal.tick(second(name)).await.unwrap();
    }
    journal.forget("shop").await.unwrap();
    assert_eq!(journal.offsets("shop").await.unwrap(), None);
    // A second that was under way.
    journal.tick(second("shop")).await.unwrap();
    assert!(journal.offsets("shop").await.unwrap().is_some());
    journal.housekeeping(Timestamp::now()).await.unwrap();
    assert_eq!((journal.offsets("shop").await.unwrap(), journal.judge("shop").await.unwrap()), (None, None));
    assert!(journal.offsets("blog").await.unwrap().is_some() && journal.judge("blog").await.unwrap().is_some());
    journal.drop_offsets("blog").await.unwrap();
    assert!(journal.offsets("blog").await.unwrap().is_none() && journal.memory("blog").await.unwrap().is_some());
}

/// A disk of its own that can be filled; unmounted in the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with a word: only root may mount.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: a small disk can only be mounted as root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.path().join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }

    fn remount(&self, mode: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(self.path()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
