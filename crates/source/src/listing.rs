//! One look at everything that the watched directories hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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
    /// Why it was not read completely; nothing may be concluded from what is absent.
    pub trouble: Option<Trouble>,
}

/// Why a directory deletes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is not there: not yet, or no longer.
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
    /// More files than canaryd reads.
    #[error("{} holds more than {limit} manifests", .path.display())]
    TooMany {
        /// Which.
        path: PathBuf,
        /// How many are read.
        limit: usize,
    },
}

/// Largest manifest that is read, bytes.
const LARGEST: u64 = 1 << 20;
/// Most manifests below one directory.
const MOST: usize = 10_000;

/// Reads everything below `dirs`; `also` only counts for the hash.
pub(crate) fn list(dirs: &[PathBuf], also: &BTreeSet<PathBuf>) -> Listing {
    let mut files = BTreeMap::new();
    let states = dirs.iter().map(|dir| DirState { path: dir.clone(), trouble: read_dir(dir, &mut files) }).collect();
    let mut hash = Sha256::new();
    for (path, text) in &files {
        hash.update(format!("{}\0{text:?}\0", path.display()));
    }
    for path in also {
        hash.update(format!("{}\0{:?}\0", path.display(), std::fs::read(path).ok()));
    }
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Listing { dirs: states, files, hash }
}

fn read_dir(top: &Path, files: &mut BTreeMap<PathBuf, Result<String, String>>) -> Option<Trouble> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![top.to_owned()];
    let mut found = 0;
    while let Some(dir) = waiting.pop() {
        // A directory reached twice (a loop of symlinks) is read once.
        if !std::fs::canonicalize(&dir).is_ok_and(|real| seen.insert(real)) && dir != top {
            continue;
        }
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir == top => {
                return Some(Trouble::Vanished { path: dir });
            }
            Err(e) => return Some(Trouble::Unreadable { path: dir, why: e.to_string() }),
        };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                found += 1;
                if found > MOST {
                    return Some(Trouble::TooMany { path: top.to_owned(), limit: MOST });
                }
                let text = read_file(&path);
                files.insert(path, text);
            }
        }
    }
    (found == 0).then(|| Trouble::Empty { path: top.to_owned() })
}

fn read_file(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if meta.len() > LARGEST {
        return Err(format!("it has {} bytes; at most 1 MiB is read", meta.len()));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}
