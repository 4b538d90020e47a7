//! One open log file and how far it was read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hash::fnv1a;

/// Longest line that is kept; a longer one is counted as bad.
pub(crate) const LONGEST: usize = 64 << 10;
/// How much is read at once.
const CHUNK: usize = 256 << 10;

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

impl Place {
    /// The start of a file.
    pub(crate) fn start(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), inode: meta.ino(), offset: 0, last_len: 0, last_hash: 0 }
    }

    /// Whether the file still holds, before the offset, the line that was read last.
    pub(crate) fn fits(&self, file: &File) -> bool {
        let last_len = usize::try_from(self.last_len).unwrap_or(usize::MAX).min(LONGEST);
        let mut line = vec![0; last_len];
        let before = self.offset.checked_sub(last_len as u64);
        before.is_some_and(|start| file.read_exact_at(&mut line, start).is_ok() && self.last_hash == hash_of(&line))
    }
}

/// 0 stands for "no line yet".
fn hash_of(line: &[u8]) -> u64 {
    if line.is_empty() { 0 } else { fnv1a(line) }
}

/// One open file. What was read and not yet taken waits in `buffer`, from `taken` on.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    place: Place,
    buffer: Vec<u8>,
    taken: usize,
    /// Bytes of the unfinished line that were thrown away, because it is too long.
    skipped: u64,
}

/// One step through a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A complete line, without its end. Invalid UTF-8 became U+FFFD.
    Line(String),
    /// A complete line that was too long.
    TooLong,
    /// Nothing complete is left for now.
    End,
}

impl LogFile {
    /// Opens the file at `path`, which is read from its start.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let place = Place::start(&file.metadata()?);
        Ok(Self { file, place, buffer: Vec::new(), taken: 0, skipped: 0 })
    }

    /// Continues at `place`, if this is the file that `place` was made in.
    pub(crate) fn resume(&mut self, place: &Place) -> bool {
        let same = (place.dev, place.inode) == (self.place.dev, self.place.inode) && place.fits(&self.file);
        if same {
            self.place = place.clone();
        }
        same
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it was cut below what was read, or written anew under the same inode. It is then read from its start.
    pub(crate) fn begins_anew(&mut self) -> io::Result<bool> {
        let anew = self.file.metadata()?.len() < self.read_to() || !self.place.fits(&self.file);
        if anew {
            (self.place.offset, self.place.last_len, self.place.last_hash) = (0, 0, 0);
            (self.taken, self.skipped) = (0, 0);
            self.buffer.clear();
        }
        Ok(anew)
    }

    /// Whether bytes of an unfinished line are left.
    pub(crate) fn has_rest(&self) -> bool {
        self.waiting() > 0 || self.skipped > 0
    }

    /// The next line, if its end has been written.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let mut searched = self.taken;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.take(searched + end + 1));
            }
            self.skip_overlong();
            self.compact();
            searched = self.buffer.len();
            if !self.fill()? {
                return Ok(Step::End);
            }
        }
    }

    /// Takes the line that ends before `end` in the buffer.
    fn take(&mut self, end: usize) -> Step {
        let line = &self.buffer[self.taken..end];
        let whole = self.skipped + line.len() as u64;
        // Of an overlong line only the end is remembered: it is what stands before the offset.
        let remembered = &line[line.len().saturating_sub(LONGEST)..];
        self.place.last_len = remembered.len() as u64;
        self.place.last_hash = hash_of(remembered);
        self.place.offset += whole;
        let text = &line[..line.len() - 1];
        let step =
            if whole > LONGEST as u64 { Step::TooLong } else { Step::Line(String::from_utf8_lossy(text).into_owned()) };
        (self.taken, self.skipped) = (end, 0);
        step
    }

    /// Throws an unfinished line away that is too long already.
    fn skip_overlong(&mut self) {
        let unfinished = self.waiting() as u64;
        if unfinished + self.skipped > LONGEST as u64 {
            self.skipped += unfinished;
            self.taken = self.buffer.len();
        }
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
    }

    fn fill(&mut self) -> io::Result<bool> {
        let (have, at) = (self.buffer.len(), self.read_to());
        self.buffer.resize(have + CHUNK, 0);
        let read = self.file.read_at(&mut self.buffer[have..], at);
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Bytes that were read and not taken.
    fn waiting(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Where the next byte is read.
    fn read_to(&self) -> u64 {
        self.place.offset + self.skipped + self.waiting() as u64
    }
}
