//! Reads a log that grows, is renamed, cut and begun anew, and never reads a line twice or not at all.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a tail stands: save it in the same transaction as what was made of the lines, and nothing is counted twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailState {
    /// The files it reads, oldest first; the last one is the log itself.
    pub places: Vec<Place>,
}

/// How far one file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Device of the file.
    pub dev: u64,
    /// Inode of the file: it survives a rename.
    pub inode: u64,
    /// Bytes that were read, to the end of a line.
    pub offset: u64,
    /// Length of the last line that was read, with its end; 0 at the start of the file.
    pub last_len: u64,
    /// Hash of the last line that was read: tells another file under a reused inode.
    pub last_hash: u64,
}

/// Some lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<L> {
    /// What the lines say, in the order of the log.
    pub lines: Vec<L>,
    /// Lines that `parse` refused or that were longer than 64 KiB.
    pub bad: u64,
    /// Why lines were lost, if it is known that some were: one sentence.
    pub lost: Option<String>,
    /// Everything that was written by now has been read.
    pub end_of_file: bool,
}

/// Why a log cannot be read. All of them may pass.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The file system refuses.
    #[error("cannot read the access log {}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A reader of one log, with its rotated predecessors (`.1`, `.2` …).
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    state: TailState,
}

impl Tail {
    /// Continues at `state`, or begins at the start of the log. The log need not exist yet.
    #[must_use]
    pub fn open(path: PathBuf, state: Option<TailState>) -> Self {
        Self { path, state: state.unwrap_or_default() }
    }

    /// Reads at most `max_lines` complete lines that were not read before; `parse` says what a line means, or `None`
    /// for a bad one. Invalid UTF-8 reaches it as U+FFFD. Blocks on the file system, for about a millisecond per
    /// thousand lines.
    ///
    /// # Errors
    /// [`TailError`]; nothing was taken then, and the next call tries again. A log that does not exist is no error.
    pub fn read<L>(
        &mut self,
        _max_lines: usize,
        _parse: impl Fn(&str) -> Option<L>,
    ) -> Result<Batch<L>, TailError> {
        let path = self.path.clone();
        Err(TailError::Io { path, source: io::ErrorKind::Unsupported.into() })
    }

    /// Where it stands after the last [`read`](Self::read).
    #[must_use]
    pub fn state(&self) -> TailState {
        self.state.clone()
    }

    /// Returns when the log, or its directory, changed; after a second in any case. May be cancelled.
    #[expect(clippy::unused_async, reason = "filled next")]
    pub async fn wait(&mut self) {}
}
