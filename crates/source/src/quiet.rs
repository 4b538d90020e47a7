//! When a burst of changes is over.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::news::News;

/// This long without news, and with no file open for writing, a burst is over.
const QUIET: Duration = Duration::from_millis(50);
/// This long after its first news nobody waits for its end any more.
pub(crate) const AT_MOST: Duration = Duration::from_millis(500);
/// More open files than this are not kept in mind; the bound above holds for them as for all.
const MOST_WRITERS: usize = 1_000;

/// A burst of changes under way, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// Times of the first and the last news.
    burst: Option<(Instant, Instant)>,
    /// Files that are being written. Waiting for them is what keeps a half-written one from being read.
    writers: BTreeSet<PathBuf>,
}

impl Quiet {
    /// Takes news in.
    pub(crate) fn heed(&mut self, news: News, now: Instant) {
        match news {
            News::Writing(path) if self.writers.len() < MOST_WRITERS => {
                self.writers.insert(path);
            }
            News::Changed(path) => {
                self.writers.remove(&path);
            }
            News::Writing(_) | News::Lost | News::Anything => {}
        }
        let first = self.burst.map_or(now, |(first, _)| first);
        self.burst = Some((first, now));
    }

    /// When the burst counts as over.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (first, last) = self.burst?;
        let bound = first + AT_MOST;
        Some(if self.writers.is_empty() { bound.min(last + QUIET) } else { bound })
    }

    /// Whether a burst is over now; then it is forgotten.
    pub(crate) fn end(&mut self, now: Instant) -> bool {
        let is_over = self.due().is_some_and(|due| due <= now);
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn one_change_is_told_after_fifty_milliseconds() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.due(), None);
        quiet.heed(News::Changed("a".into()), start);
        assert!(!quiet.end(at(start, 49)));
        assert!(quiet.end(at(start, 50)));
        assert_eq!(quiet.due(), None);
    }

    #[test]
    fn changes_without_a_pause_are_told_twice_a_second() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let told = (0..10_000_u64).filter(|millis| {
            quiet.heed(News::Changed("a".into()), at(start, *millis));
            quiet.end(at(start, *millis))
        });
        assert_eq!(told.count(), 19);
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for_but_not_for_ever() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        quiet.heed(News::Writing("a".into()), start);
        assert_eq!(quiet.due(), Some(at(start, 500)));
        quiet.heed(News::Changed("a".into()), at(start, 300));
        assert_eq!(quiet.due(), Some(at(start, 350)));
        quiet.heed(News::Writing("b".into()), at(start, 340));
        assert_eq!(quiet.due(), Some(at(start, 500)));
    }

    #[test]
    fn what_is_kept_in_mind_is_bounded() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        for n in 0..100_000 {
            quiet.heed(News::Writing(format!("{n}").into()), start);
        }
        assert_eq!(quiet.writers.len(), MOST_WRITERS);
    }
}
