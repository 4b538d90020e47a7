//! Keeps the access log small: `access.log` becomes `access.log.1`, that becomes `access.log.2` …

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// When the log is rotated and how many old ones stay. The default is 64 MiB and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Size from which a rotation is due.
    pub max_bytes: u64,
    /// Old logs that are kept, at least 1: a tail needs one to finish.
    pub keep: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, keep: 3 }
    }
}

impl Rotation {
    /// Whether the log at `path` has reached its size. A log that is not there is not due.
    #[must_use]
    pub fn due(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|meta| meta.len() >= self.max_bytes)
    }

    /// Renames the log at `path` and its predecessors. The caller then tells NGINX to reopen its logs (USR1); until
    /// it has, NGINX writes on into the renamed file, and a [`Tail`](crate::Tail) reads it there.
    ///
    /// # Guarantees
    /// Only renames, so that it works on a full disk, and leaves no moment without the newest lines: a crash in
    /// between leaves a gap in the numbers and no more.
    ///
    /// # Errors
    /// What the file system says. A missing log is no error.
    pub fn rotate(&self, path: &Path) -> io::Result<()> {
        for number in (1..self.keep.max(1)).rev() {
            rename_if_there(&numbered(path, number), &numbered(path, number + 1))?;
        }
        rename_if_there(path, &numbered(path, 1))
    }
}

/// `access.log` and 2 give `access.log.2`.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
