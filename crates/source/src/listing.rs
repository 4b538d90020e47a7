//! What the watched directories hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that the watched directories hold, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Every watched directory in the order given, and whether it was read completely.
    pub dirs: Vec<DirState>,
    /// Every `*.yaml` and `*.yml` below them: its text, or why it cannot be read (one sentence).
    pub files: BTreeMap<PathBuf, Result<String, String>>,
    /// Hexadecimal digest of all of the above and of the contents of the files that manifests name
    /// (`DirectorySource::watch_also`). Equal hash = nothing to do.
    pub hash: String,
}

impl Listing {
    /// Whether every directory was read completely. Only then may an absent manifest count as deleted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.dirs.iter().all(|dir| dir.trouble.is_none()) && self.files.values().all(Result::is_ok)
    }
}

/// One watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirState {
    /// As it was given.
    pub path: PathBuf,
    /// Why it was not read completely; nothing may be concluded from what is absent. What could be read is listed.
    pub trouble: Option<Trouble>,
}

/// Why a directory deletes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It, or a directory that a symlink in it points to, is not there: not yet, or no longer.
    #[error("{} does not exist", .path.display())]
    Vanished {
        /// Which.
        path: PathBuf,
    },
    /// It, or a directory in it, cannot be read.
    #[error("cannot read {}: {why}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why, in the words of the system.
        why: String,
    },
    /// It holds no manifest at all, which looks more like a mount that is missing than like a wish.
    #[error("{} holds no *.yaml or *.yml", .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// More than canaryd reads.
    #[error("{} holds more than {limit} {what}; the rest is not read", .path.display())]
    TooMany {
        /// Which.
        path: PathBuf,
        /// How many are read.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}
