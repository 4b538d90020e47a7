//! A journal seen from outside, beside a daemon or without one: what it is, whether it is whole, who holds it. It is never
//! written to, no lock of it is taken, and no file is left beside it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use crate::error::JournalError;
use crate::instance;
use crate::journal::blocking;
use crate::schema::{self, STEPS};
use crate::store::sqlite;

/// A log that a killed daemon left is read in a copy; of more than this no copy is made.
const LARGEST_COPY: u64 = 128 << 20;

/// What was found in a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Bytes of the database.
    pub size: u64,
    /// Bytes of its write-ahead log.
    pub wal: u64,
    /// Its format.
    pub format: u32,
    /// The newest format that this program reads.
    pub known: u32,
    /// The instance it belongs to.
    pub instance: String,
    /// The instance that the plain file names.
    pub plain: Option<String>,
    /// Whether it is whole.
    pub soundness: Soundness,
    /// When the newest event was told.
    pub newest_event: Option<Timestamp>,
    /// All memories as `(name, json)`, by name.
    pub memories: Vec<(String, String)>,
}

/// What `PRAGMA quick_check` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soundness {
    /// All pages are as they should be.
    Sound,
    /// Its first complaint.
    Damaged(String),
    /// The time was over before the end.
    Unfinished,
}

/// Looks at the journal of `state_dir`; `None` where there is none. The check of its pages takes at most `patience`.
///
/// # Guarantees
/// Nothing in `state_dir` is changed. A copy that was needed is gone when this returns.
///
/// # Errors
/// `Corrupt`, `Io`, `Sqlite`: it cannot be read, or is no journal.
pub async fn examine(state_dir: impl Into<PathBuf>, patience: Duration) -> Result<Option<Examined>, JournalError> {
    let dir = state_dir.into();
    blocking(move || examine_now(&dir, patience)).await
}

/// The process that holds the lock of `state_dir`. The lock itself is not tried: a daemon that starts in that moment
/// would be refused.
#[must_use]
pub fn holder(state_dir: &Path) -> Option<u32> {
    let path = state_dir.join("lock");
    let file = FileId::of(&fs::metadata(&path).ok()?);
    let signed: Option<u32> = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    match fs::read_to_string("/proc/locks") {
        Ok(locks) => holder_of(&locks, file, signed),
        // Without that list: the process that signed, if it lives and has our name.
        Err(_) => signed.filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim().starts_with("canaryd"))
        }),
    }
}

/// Which file, as the list of locks writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: (u64, u64),
    inode: u64,
}

impl FileId {
    fn of(found: &fs::Metadata) -> Self {
        let device = found.dev();
        let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
        let minor = (device & 0xff) | ((device >> 12) & !0xff);
        Self { device: (major, minor), inode: found.ino() }
    }

    /// `fe:00:901297`
    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let mut hex = || u64::from_str_radix(fields.next()?, 16).ok();
        let device = (hex()?, hex()?);
        Some(Self { device, inode: fields.next()?.parse().ok()? })
    }
}

/// Some file systems say another device there than to `stat`: then the process that signed is believed. Of a process of
/// another namespace the number is 0.
fn holder_of(locks: &str, file: FileId, signed: Option<u32>) -> Option<u32> {
    let holders = locks.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (kind, pid, found) = (fields.get(1)?, fields.get(4)?, FileId::read(fields.get(5)?)?);
        let pid = pid.parse::<u32>().unwrap_or(0);
        let same = found == file || (found.inode == file.inode && Some(pid) == signed);
        (*kind == "FLOCK" && same).then_some(pid)
    });
    let holders: Vec<u32> = holders.collect();
    let signed = signed.filter(|pid| holders.contains(pid) || holders.contains(&0));
    signed.or_else(|| holders.first().copied())
}

fn examine_now(dir: &Path, patience: Duration) -> Result<Option<Examined>, JournalError> {
    let path = dir.join("journal.db");
    let plain = instance::read(dir)?;
    let size = match fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::Io { doing: "read", path, source }),
    };
    let wal = fs::metadata(dir.join("journal.db-wal")).map_or(0, |found| found.len());
    let copy = if wal > 0 && holder(dir).is_none() { Some(Copy::of(dir, size + wal)?) } else { None };
    let conn = open(copy.as_ref().map_or(dir, |copy| &copy.dir), wal > 0).map_err(sqlite(&path))?;
    let found = read(&conn, &path, patience)?;
    drop(conn);
    Ok(Some(Examined { size, wal, plain, ..found }))
}

/// Where there is no log, the file itself is all there is, and SQLite is told to make no files beside it.
fn open(dir: &Path, has_log: bool) -> rusqlite::Result<Connection> {
    let path = dir.join("journal.db");
    let conn = if has_log {
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{}?immutable=1", escaped(&path)), flags)?
    };
    conn.busy_timeout(Duration::from_millis(300))?;
    Ok(conn)
}

fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

fn read(conn: &Connection, path: &Path, patience: Duration) -> Result<Examined, JournalError> {
    let no_journal = || JournalError::Corrupt { path: path.to_owned(), what: "it is empty".to_owned() };
    let format = schema::version(conn, path)?;
    if format == 0 {
        return Err(no_journal());
    }
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let ask = || -> rusqlite::Result<Examined> {
        let instance = conn.query_row("SELECT instance FROM identity", [], |row| row.get(0))?;
        let newest: Option<i64> = conn.query_row("SELECT max(at) FROM event", [], |row| row.get(0))?;
        let mut memories = conn.prepare("SELECT name, json FROM memory ORDER BY name")?;
        let memories = memories.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let newest_event = newest.and_then(|at| Timestamp::from_millisecond(at).ok());
        let memories = memories.collect::<Result<_, _>>()?;
        let (size, wal, plain) = (0, 0, None);
        Ok(Examined { size, wal, format, known, instance, plain, soundness: Soundness::Sound, newest_event, memories })
    };
    let mut found = ask().map_err(sqlite(path))?;
    found.soundness = soundness(conn, patience).map_err(sqlite(path))?;
    Ok(found)
}

/// Interrupted from another thread when the time is over.
fn soundness(conn: &Connection, patience: Duration) -> rusqlite::Result<Soundness> {
    let interrupt = conn.get_interrupt_handle();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let timer = std::thread::spawn(move || {
        if is_done.recv_timeout(patience).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let said: rusqlite::Result<String> = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    drop(done);
    // Its only way to fail is a panic, and it cannot.
    drop(timer.join());
    match said {
        Ok(said) if said == "ok" => Ok(Soundness::Sound),
        Ok(said) => Ok(Soundness::Damaged(said)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            Ok(Soundness::Unfinished)
        }
        Err(error) => Err(error),
    }
}

/// A copy that only we can read, for as long as this lives.
#[derive(Debug)]
struct Copy {
    dir: PathBuf,
}

impl Copy {
    fn of(from: &Path, size: u64) -> Result<Self, JournalError> {
        let name = format!("canaryd-doctor-{}-{}", std::process::id(), Timestamp::now().as_nanosecond());
        let dir = std::env::temp_dir().join(name);
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { doing, path, source }
        };
        if size > LARGEST_COPY {
            let source = std::io::Error::other("a killed daemon left it unfinished, and it is too large for a copy");
            return Err(io("read", &from.join("journal.db"))(source));
        }
        DirBuilder::new().mode(0o700).create(&dir).map_err(io("create", &dir))?;
        let copy = Self { dir };
        for file in ["journal.db", "journal.db-wal"] {
            fs::copy(from.join(file), copy.dir.join(file)).map_err(io("copy", &from.join(file)))?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "a copy of the journal could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Journal;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn files(dir: &Path) -> Vec<(String, u64, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().ino(), fs::read(e.path()).unwrap()))
            // It is shared memory of whoever reads.
            .filter(|(name, _, _)| name != "journal.db-shm")
            .collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn a_journal_is_the_same_before_and_after_a_look_with_a_daemon_and_without() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Journal::open(dir.path()).await.unwrap();
        opened.journal.commit_plan("shop", "{}".to_owned(), Vec::new(), Timestamp::now()).await.unwrap();
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        let before = files(dir.path());
        let found = examine(dir.path(), PATIENCE).await.unwrap().unwrap();
        assert_eq!(files(dir.path()), before);
        assert_eq!((found.format, &found.soundness, found.memories.len()), (found.known, &Soundness::Sound, 1));
        assert_eq!((&found.instance, found.plain.as_ref()), (&opened.instance, Some(&opened.instance)));
        assert!(found.wal > 0, "the daemon writes");

        drop(opened);
        assert_eq!(holder(dir.path()), None);
        let before = files(dir.path());
        let found = examine(dir.path(), PATIENCE).await.unwrap().unwrap();
        assert_eq!(files(dir.path()), before, "no file is left beside it");
        assert_eq!((found.wal, found.memories.len()), (0, 1));
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_in_its_log_is_read_and_left_as_it_is() {
        let [dir, killed] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let opened = Journal::open(dir.path()).await.unwrap();
        opened.journal.commit_plan("shop", "{}".to_owned(), Vec::new(), Timestamp::now()).await.unwrap();
        for file in ["journal.db", "journal.db-wal", "instance", "lock"] {
            fs::copy(dir.path().join(file), killed.path().join(file)).unwrap();
        }
        let before = files(killed.path());
        let found = examine(killed.path(), PATIENCE).await.unwrap().unwrap();
        assert_eq!(found.memories.len(), 1, "it was in the log only");
        assert_eq!(files(killed.path()), before);
    }

    #[tokio::test]
    async fn damage_and_other_files_are_told_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(examine(dir.path(), PATIENCE).await.unwrap(), None);
        drop(Journal::open(dir.path()).await.unwrap());
        let path = dir.path().join("journal.db");
        let mut bytes = fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0x55);
        fs::write(&path, &bytes).unwrap();
        match examine(dir.path(), PATIENCE).await {
            Ok(Some(found)) => assert!(matches!(found.soundness, Soundness::Damaged(_)), "{found:?}"),
            Ok(None) => panic!("it is there"),
            Err(error) => assert!(matches!(error, JournalError::Corrupt { .. }), "{error}"),
        }
        fs::write(&path, "not a database, but long enough to be one of some kind or another").unwrap();
        assert!(matches!(examine(dir.path(), PATIENCE).await, Err(JournalError::Corrupt { .. })));
    }

    #[test]
    fn the_holder_of_a_lock_is_read_from_the_list_of_locks() {
        let locks = "1: POSIX  ADVISORY  READ 496 00:27:7 128 128\n2: FLOCK  ADVISORY  WRITE 31 00:27:7 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 fe:00:8 0 EOF\n4: FLOCK  ADVISORY  WRITE 32 00:28:8 0 EOF\n";
        let file = |device, inode| FileId { device, inode };
        let (overlay, disk) = ((0, 0x27), (0xfe, 0));
        assert_eq!(holder_of(locks, file(overlay, 7), Some(1)), Some(31), "it signed with its number in another life");
        assert_eq!(holder_of(locks, file(disk, 8), Some(5)), Some(5), "of another namespace");
        assert_eq!(holder_of(locks, file(disk, 8), None), Some(0));
        assert_eq!(holder_of(locks, file(disk, 7), None), None, "another file with the same number");
        assert_eq!(holder_of(locks, file(disk, 7), Some(31)), Some(31), "it says another device there");
    }
}
