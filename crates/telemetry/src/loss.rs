//! Notices that requests are served which no log line shows.

use std::collections::VecDeque;
use std::time::Duration;

/// How long requests must be missing, or stop going missing, before anything is said.
const HOLDS: Duration = Duration::from_secs(5);
/// How late a line may be: NGINX's buffer, the tail and a busy machine.
const LATE: Duration = Duration::from_millis(1_500);
/// How long a comparison reaches back while nothing is wrong. Long enough that few requests a minute are noticed,
/// short enough that small errors of the counts do not add up. Loss of one line in twenty is noticed within a minute,
/// of all lines within ten seconds.
const REACH: Duration = Duration::from_mins(1);
/// Missing requests that say nothing: looks at slightly different moments.
const SLACK: i64 = 3;

/// What NGINX counted and what was read, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Monotonic time since any fixed moment.
    pub at: Duration,
    /// `requests` of `stub_status`: requests that began since NGINX was started, those on the ops port included.
    pub requests: u64,
    /// `reading` + `writing` of `stub_status`: requests under way, which have no line yet.
    pub in_flight: u64,
    /// Lines read from the log, ever: good and bad ones, those of the ops port included.
    pub lines: u64,
    /// Requests that are known to leave no line, ever; 0 where the ops port is logged as well.
    pub ops: u64,
}

impl Seen {
    /// Requests that are over and so should have a line.
    fn over(self) -> i64 {
        signed(self.requests) - signed(self.in_flight) - signed(self.ops)
    }
}

/// The source has been silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Since when, on the clock of [`Seen::at`].
    pub since: Duration,
    /// Requests that no line shows.
    pub missing: u64,
}

/// Compares `stub_status` with the lines read.
#[derive(Debug, Clone, Default)]
pub struct LossDetector {
    /// Looks since the one that is compared with, oldest first.
    looks: VecDeque<Seen>,
    /// Since when requests are missing, and how many when that last grew, and when it did.
    open: Option<Gap>,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    since: Duration,
    missing: i64,
    grew_at: Duration,
}

impl LossDetector {
    /// Takes one look, about once a second. `Some` when requests have been missing from the log for 5 s; `None`
    /// again once no more have gone missing for 5 s. Tolerates late lines (buffers of NGINX), requests under way and
    /// three that cannot be explained; begins anew when NGINX counts from zero.
    pub fn look(&mut self, seen: Seen) -> Option<Silence> {
        if self.looks.back().is_some_and(|last| seen.requests < last.requests || seen.lines < last.lines) {
            self.reset();
        }
        self.looks.push_back(seen);
        let missing = self.missing(seen)?;
        if missing <= SLACK + self.one_percent() {
            self.open = None;
            self.forget_old(seen.at);
            return None;
        }
        let gap = self.open.get_or_insert(Gap { since: seen.at, missing, grew_at: seen.at });
        if missing > gap.missing {
            (gap.missing, gap.grew_at) = (missing, seen.at);
        }
        let gap = *gap;
        if seen.at.saturating_sub(gap.grew_at) >= HOLDS {
            self.begin_at(seen);
            return None;
        }
        self.thin_out();
        let holds = seen.at.saturating_sub(gap.since) >= HOLDS;
        holds.then_some(Silence { since: gap.since, missing: missing.unsigned_abs() })
    }

    /// Forgets: the gateway was replaced, or a log file was lost and that has been told.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Requests that were over [`LATE`] ago and that no line shows until now, counted from the oldest look.
    fn missing(&self, seen: Seen) -> Option<i64> {
        let oldest = self.looks.front()?;
        let ripe = self.looks.iter().rev().find(|look| look.at + LATE <= seen.at)?;
        Some(ripe.over() - oldest.over() - (signed(seen.lines) - signed(oldest.lines)))
    }

    /// The counts of NGINX's workers are not taken at one moment: under load they are off by some.
    fn one_percent(&self) -> i64 {
        let over = self.looks.back().zip(self.looks.front()).map(|(newest, oldest)| newest.over() - oldest.over());
        over.unwrap_or_default().max(0) / 100
    }

    fn forget_old(&mut self, now: Duration) {
        while self.looks.get(1).is_some_and(|second| second.at + REACH <= now) {
            self.looks.pop_front();
        }
    }

    /// While a gap is open the oldest look stays; of the others only the latest are needed.
    fn thin_out(&mut self) {
        while self.looks.len() > 128 {
            self.looks.remove(1);
        }
    }

    fn begin_at(&mut self, seen: Seen) {
        self.reset();
        self.looks.push_back(seen);
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gateway and a tail, looked at once a second.
    #[derive(Default)]
    struct Story {
        detector: LossDetector,
        second: u64,
        requests: u64,
        in_flight: u64,
        lines: u64,
    }

    impl Story {
        /// For some seconds `requests` come in each and `lines` are read in each; answers what was said last.
        fn pass(&mut self, seconds: u64, requests: u64, lines: u64) -> Option<Silence> {
            let mut said = None;
            for _ in 0..seconds {
                self.second += 1;
                self.requests += requests;
                self.lines += lines;
                said = self.detector.look(Seen {
                    at: Duration::from_secs(self.second),
                    requests: self.requests,
                    in_flight: self.in_flight,
                    lines: self.lines,
                    ops: 0,
                });
            }
            said
        }
    }

    #[test]
    fn a_log_that_shows_every_request_is_never_silent() {
        let mut story = Story::default();
        for rate in [0, 1, 3_000, 5, 0, 900] {
            for _ in 0..30 {
                assert_eq!(story.pass(1, rate, rate), None, "at {rate} requests a second");
            }
        }
    }

    #[test]
    fn a_log_that_stops_is_silent_after_five_seconds_and_not_before() {
        let mut story = Story::default();
        assert_eq!(story.pass(30, 10, 10), None);
        assert_eq!(story.pass(5, 10, 0), None, "too early to say");
        let silence = story.pass(5, 10, 0).expect("silent by now");
        assert!(silence.missing >= 50, "{silence:?}");
        assert!(silence.since >= Duration::from_secs(30) && silence.since <= Duration::from_secs(34), "{silence:?}");
    }

    #[test]
    fn one_request_in_five_seconds_is_enough_to_notice_in_time() {
        let mut story = Story::default();
        story.pass(30, 1, 1);
        let said = (0..12).map(|_| story.pass(1, 1, 0).or_else(|| story.pass(4, 0, 0))).find(Option::is_some);
        assert!(said.is_some(), "a minute without a line for twelve requests");
    }

    #[test]
    fn lines_that_are_late_are_no_loss() {
        let mut story = Story::default();
        story.pass(10, 0, 0);
        assert_eq!(story.pass(1, 3_000, 0), None, "in the buffer of NGINX");
        assert_eq!(story.pass(20, 3_000, 3_000), None);
    }

    #[test]
    fn requests_under_way_are_no_loss() {
        let mut story = Story::default();
        story.pass(10, 5, 5);
        story.in_flight = 200;
        assert_eq!(story.pass(1, 205, 5), None);
        assert_eq!(story.pass(60, 5, 5), None, "two hundred event streams");
        story.in_flight = 0;
        assert_eq!(story.pass(1, 5, 205), None, "they end");
        assert_eq!(story.pass(10, 5, 5), None);
    }

    #[test]
    fn a_loss_that_is_over_is_forgiven_after_five_seconds() {
        let mut story = Story::default();
        story.pass(10, 10, 10);
        assert!(story.pass(12, 10, 0).is_some());
        assert!(story.pass(3, 10, 10).is_some(), "not yet");
        assert_eq!(story.pass(5, 10, 10), None);
        assert_eq!(story.pass(60, 10, 10), None);
    }

    #[test]
    fn part_of_the_lines_missing_is_a_loss_as_well() {
        let mut story = Story::default();
        story.pass(10, 100, 100);
        assert!(story.pass(20, 100, 80).is_some());
    }

    #[test]
    fn a_gateway_that_was_restarted_counts_from_zero() {
        let mut story = Story::default();
        story.pass(20, 100, 100);
        story.requests = 0;
        assert_eq!(story.pass(30, 100, 100), None);
        assert!(story.pass(12, 100, 0).is_some(), "and is watched again");
    }

    #[test]
    fn the_detector_stays_small_whatever_its_age() {
        let mut story = Story::default();
        story.pass(10_000, 10, 10);
        assert!(story.detector.looks.len() <= 129);
        story.pass(10_000, 10, 9);
        assert!(story.detector.looks.len() <= 129);
    }
}
