//! The plain file beside the journal that names the instance, for people and for the day the journal is lost.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::JournalError;

/// Where the file is.
pub(crate) fn plain_file(dir: &Path) -> PathBuf {
    dir.join("instance")
}

/// What the file says; `None` where there is none.
pub(crate) fn read(dir: &Path) -> Result<Option<String>, JournalError> {
    let path = plain_file(dir);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::Io { doing: "read", path, source }),
    }
}

/// Writes the file: whole or not at all.
pub(crate) fn write(dir: &Path, instance: &str) -> Result<(), JournalError> {
    let path = plain_file(dir);
    write_whole(dir, &path, instance).map_err(|source| JournalError::Io { doing: "write", path, source })
}

fn write_whole(dir: &Path, path: &Path, instance: &str) -> io::Result<()> {
    let fresh = dir.join("instance.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{instance}")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

/// Makes the state directory, for this user only. One that is there already is left as it is.
pub(crate) fn make_dir(dir: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| JournalError::Io {
        doing: "create",
        path: dir.to_owned(),
        source,
    })
}
