//! Why the journal did not do it.

use std::io;
use std::path::PathBuf;

/// Why the journal did not do it. Nothing of the call is stored then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another daemon uses this state directory.
    #[error("{} is in use by process {}", .dir.display(), holder.map_or("unknown".to_owned(), |pid| pid.to_string()))]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// The process that holds the lock, as far as it said so.
        holder: Option<u32>,
    },
    /// A newer canaryd wrote it.
    #[error(
        "{} was written by a newer canaryd (format {found}, this one reads up to {known}): \
         install that one again, or put a backup of the state directory from before the upgrade in place",
        .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// It is damaged, or not a journal at all.
    #[error("{} is damaged or not a journal of canaryd: {what}", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database is gone while the instance file says that there was one: memory is lost.
    #[error("{} is missing, but {} says that instance {instance} lived here", .path.display(), .file.display())]
    Lost {
        /// The database.
        path: PathBuf,
        /// The instance file.
        file: PathBuf,
        /// The instance whose containers may still run.
        instance: String,
    },
    /// The database belongs to one instance, the plain file names another: two state directories were mixed.
    #[error("the journal belongs to instance {journal}, but {} says {plain}", .file.display())]
    InstanceMismatch {
        /// The instance file.
        file: PathBuf,
        /// What the database says.
        journal: String,
        /// What the file says.
        plain: String,
    },
    /// No space: on the disk, or within the limit set for the database.
    #[error("no space left for the journal {}", .path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// It may not be written: permissions, a read-only file system.
    #[error("the journal {} cannot be written: {what}", .path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// In the words of the system.
        what: String,
    },
    /// A file of the state directory cannot be used.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// "create", "read" …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anything else that SQLite says.
    #[error("the journal {} failed", .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The program is ending: the call was not begun.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    /// Whether the same call may succeed later without anybody repairing the file.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::InUse { .. } | Self::Full { .. } | Self::ReadOnly { .. } | Self::Io { .. } | Self::Sqlite { .. } => {
                true
            }
            Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Lost { .. }
            | Self::InstanceMismatch { .. }
            | Self::Closed => false,
        }
    }
}
