//! A copy of a state directory's journal, for one who must not write to the original.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::JournalError;
use crate::instance;
use crate::journal::blocking;
use crate::store::sqlite;

/// Copies the journal of `from`, as it is at one moment, and the name of its instance into the directory `to`. Works beside a daemon
/// that writes to it. Where there is no journal, nothing is copied.
///
/// # Errors
/// `Io`, `Sqlite`, `Corrupt`: one of the two cannot be read, or the copy cannot be written.
pub async fn copy(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), JournalError> {
    let (from, to) = (from.into(), to.into());
    blocking(move || copy_now(&from, &to)).await
}

fn copy_now(from: &Path, to: &Path) -> Result<(), JournalError> {
    if let Some(name) = instance::read(from)? {
        instance::write(to, &name)?;
    }
    let path = from.join("journal.db");
    if !path.exists() {
        return Ok(());
    }
    let copied = to.join("journal.db");
    let source = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite(&path))?;
    let copied_text = copied.to_string_lossy();
    source.execute("VACUUM INTO ?1", [copied_text.as_ref()]).map_err(sqlite(&path))?;
    private(&copied).map_err(|source| JournalError::Io { doing: "protect", path: copied, source })
}

fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}
