//! Reads a log that grows, is renamed, cut and begun anew, and never reads a line twice or not at all.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::file::{LogFile, Place, Step};
use crate::rotation::numbered;
use crate::wake::Wake;

/// Rotated logs that are looked for: `.1` to `.9`.
const ROTATED: u32 = 9;
/// A renamed file is still written to until NGINX has reopened its logs: it is watched until it was quiet this long.
const LINGERS: Duration = Duration::from_secs(10);
/// Files that are read at the same time, however fast they are renamed.
const MOST_FILES: usize = 4;

/// Where a tail stands: save it in the same transaction as what was made of the lines, and nothing is counted twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailState {
    /// The files it reads, oldest first; the last one is the log itself.
    pub places: Vec<Place>,
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
    /// Where an earlier tail stood, until its files are found.
    resume: TailState,
    /// Oldest first. All but the last have been renamed.
    files: VecDeque<Open>,
    wake: Wake,
}

/// A file that is read.
#[derive(Debug)]
struct Open {
    log: LogFile,
    /// When its last line came, or when it was superseded.
    busy: Instant,
}

impl Open {
    fn new(log: LogFile) -> Self {
        Self { log, busy: Instant::now() }
    }
}

impl Tail {
    /// Continues at `state`, or begins at the start of the log. The log need not exist yet.
    #[must_use]
    pub fn open(path: PathBuf, state: Option<TailState>) -> Self {
        let wake = Wake::new(&path);
        Self { path, resume: state.unwrap_or_default(), files: VecDeque::new(), wake }
    }

    /// Reads at most `max_lines` complete lines that were not read before; `parse` says what a line means, or `None`
    /// for a bad one. Invalid UTF-8 reaches it as U+FFFD. Blocks on the file system, for about a millisecond per
    /// thousand lines.
    ///
    /// # Errors
    /// [`TailError`]; nothing was taken then, and the next call tries again. A log that does not exist is no error.
    pub fn read<L>(&mut self, max_lines: usize, parse: impl Fn(&str) -> Option<L>) -> Result<Batch<L>, TailError> {
        let mut batch = Batch { lines: Vec::new(), bad: 0, lost: None, end_of_file: true };
        self.find(&mut batch).map_err(|source| self.error(source))?;
        let mut left = max_lines;
        for open in &mut self.files {
            match drain(open, &mut left, &parse, &mut batch) {
                Ok(ended) => batch.end_of_file &= ended,
                // What was taken must be handed over; the next call meets the same error.
                Err(_) if left < max_lines || batch.lost.is_some() => batch.end_of_file = false,
                Err(source) => return Err(TailError::Io { path: self.path.clone(), source }),
            }
        }
        if batch.end_of_file {
            self.retire(&mut batch);
        }
        Ok(batch)
    }

    /// Where it stands after the last [`read`](Self::read).
    #[must_use]
    pub fn state(&self) -> TailState {
        if self.files.is_empty() {
            return self.resume.clone();
        }
        TailState { places: self.files.iter().map(|open| open.log.place().clone()).collect() }
    }

    /// Returns when the log, or its directory, changed; after a second in any case. May be cancelled.
    pub async fn wait(&mut self) {
        self.wake.wait().await;
    }

    fn error(&self, source: io::Error) -> TailError {
        TailError::Io { path: self.path.clone(), source }
    }

    /// Finds out which files there are to read now.
    fn find<L>(&mut self, batch: &mut Batch<L>) -> io::Result<()> {
        if self.files.is_empty() {
            return self.begin(batch);
        }
        for open in &mut self.files {
            if open.log.begins_anew()? {
                batch.lost = Some("the access log was cut short; lines at its end may be lost".to_owned());
            }
        }
        let Some(log) = open_if_there(&self.path)?.filter(|log| !self.knows(log)) else { return Ok(()) };
        let skipped = self.newer_rotated(&log)?;
        let now = Instant::now();
        self.files.iter_mut().for_each(|open| open.busy = now);
        self.files.extend(skipped.into_iter().chain([log]).map(Open::new));
        Ok(())
    }

    /// The first files: where an earlier tail stopped, and everything newer; else the log from its start.
    fn begin<L>(&mut self, batch: &mut Batch<L>) -> io::Result<()> {
        let mut found = VecDeque::new();
        for path in (1..=ROTATED).rev().map(|number| numbered(&self.path, number)).chain([self.path.clone()]) {
            let Some(mut log) = open_if_there(&path)? else { continue };
            let known = self.resume.places.iter().any(|place| log.resume(place));
            if known || !found.is_empty() {
                found.push_back(Open::new(log));
            }
        }
        if found.is_empty() {
            let Some(log) = open_if_there(&self.path)? else { return Ok(()) };
            if !self.resume.places.is_empty() {
                batch.lost = Some("the access log that was read last is gone; lines may be lost".to_owned());
            }
            found.push_back(Open::new(log));
        }
        self.files = found;
        Ok(())
    }

    fn knows(&self, log: &LogFile) -> bool {
        let (dev, inode) = (log.place().dev, log.place().inode);
        self.files.iter().map(|open| open.log.place()).any(|place| (place.dev, place.inode) == (dev, inode))
    }

    /// Rotated files between the newest that is known and `log`, oldest first: more than one rotation since the last
    /// read. Nothing when no rotated file is known any more, for then their age cannot be told.
    fn newer_rotated(&self, log: &LogFile) -> io::Result<VecDeque<LogFile>> {
        let mut newer = VecDeque::new();
        for number in 1..=ROTATED {
            let Some(rotated) = open_if_there(&numbered(&self.path, number))? else { continue };
            if self.knows(&rotated) {
                return Ok(newer);
            }
            if rotated.place().inode != log.place().inode {
                newer.push_front(rotated);
            }
        }
        Ok(VecDeque::new())
    }

    /// Lets go of renamed files that NGINX writes to no longer.
    fn retire<L>(&mut self, batch: &mut Batch<L>) {
        while let Some(oldest) = self.files.front().filter(|_| self.files.len() > 1) {
            if oldest.busy.elapsed() < LINGERS && self.files.len() <= MOST_FILES {
                return;
            }
            batch.bad += u64::from(oldest.log.has_rest());
            self.files.pop_front();
        }
    }
}

/// Takes lines from one file; `true`: all that were complete.
fn drain<L>(
    open: &mut Open,
    left: &mut usize,
    parse: impl Fn(&str) -> Option<L>,
    batch: &mut Batch<L>,
) -> io::Result<bool> {
    while *left > 0 {
        match open.log.step()? {
            Step::End => return Ok(true),
            Step::TooLong => batch.bad += 1,
            Step::Line(text) => match parse(&text) {
                Some(line) => batch.lines.push(line),
                None => batch.bad += 1,
            },
        }
        open.busy = Instant::now();
        *left -= 1;
    }
    Ok(false)
}

fn open_if_there(path: &Path) -> io::Result<Option<LogFile>> {
    match LogFile::open(path) {
        Ok(log) => Ok(Some(log)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
