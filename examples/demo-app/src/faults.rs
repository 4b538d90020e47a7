//! One fault, and when it begins.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Requests are answered 500.
    Errors,
    /// Requests take `FAULT_SLOW_MS` longer.
    Slow,
    /// Requests are never answered.
    Hang,
    /// Connections are cut where an answer should come.
    Abort,
    /// The process ends with status 1.
    Exit,
    /// The process allocates until it is killed.
    Oom,
    /// `/health` answers 503; requests are served.
    Unhealthy,
}

/// From when the fault's delay is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The start of the process.
    Start,
    /// The `n`th request (health and metrics are none).
    Request(u64),
    /// The first second with that many requests.
    Rate(u64),
}

/// What the environment says about the fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FaultPlan {
    pub(crate) kind: Option<FaultKind>,
    pub(crate) from: Trigger,
    pub(crate) after: Duration,
    /// Share of requests that it meets.
    pub(crate) share: f64,
    pub(crate) slowness: Duration,
    /// Where the allocation ends if nobody kills the process, for the host's sake.
    pub(crate) oom_megabytes: usize,
}

/// The fault of this process.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) plan: FaultPlan,
    triggered: OnceLock<Instant>,
    requests: AtomicU64,
    /// The second of the process's life that is counted, and its requests.
    second: Mutex<(u64, u64)>,
    born: Instant,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        let triggered = OnceLock::new();
        if plan.from == Trigger::Start {
            triggered.get_or_init(Instant::now);
        }
        Self { plan, triggered, requests: AtomicU64::new(0), second: Mutex::new((0, 0)), born: Instant::now() }
    }

    /// The fault, once it has begun.
    pub(crate) fn active(&self) -> Option<FaultKind> {
        let begun = self.triggered.get().is_some_and(|at| at.elapsed() >= self.plan.after);
        self.plan.kind.filter(|_| begun)
    }

    /// Notes a request, which may be what the fault waits for.
    pub(crate) fn note_request(&self) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let reached = match self.plan.from {
            Trigger::Start => false,
            Trigger::Request(n) => number >= n,
            Trigger::Rate(n) => self.rate() >= n,
        };
        if reached {
            self.triggered.get_or_init(Instant::now);
        }
        self.strike_process();
    }

    /// Ends the process, if that is the fault and it has begun.
    pub(crate) fn strike_process(&self) {
        match self.active() {
            Some(FaultKind::Exit) => {
                eprintln!("fatal: exits with status 1, as it was told to");
                std::process::exit(1);
            }
            Some(FaultKind::Oom) => self.eat_memory(),
            Some(FaultKind::Errors | FaultKind::Slow | FaultKind::Hang | FaultKind::Abort | FaultKind::Unhealthy)
            | None => {}
        }
    }

    /// Requests of the present second.
    fn rate(&self) -> u64 {
        let now = self.born.elapsed().as_secs();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0 != now {
            *second = (now, 0);
        }
        second.1 += 1;
        second.1
    }

    fn eat_memory(&self) {
        eprintln!("fatal: allocates memory until it is killed, as it was told to");
        let mut eaten: Vec<Vec<u8>> = Vec::new();
        while eaten.len() < self.plan.oom_megabytes {
            // Not zero: pages of zeros are not there until they are written to.
            eaten.push(vec![1; 1024 * 1024]);
        }
        eprintln!("fatal: nobody killed it after {} MiB", eaten.len());
        std::process::exit(137);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(from: Trigger, after: Duration) -> Faults {
        Faults::new(FaultPlan {
            kind: Some(FaultKind::Errors),
            from,
            after,
            share: 1.0,
            slowness: Duration::ZERO,
            oom_megabytes: 1,
        })
    }

    #[test]
    fn a_fault_begins_with_the_request_that_it_waits_for() {
        let faults = faults(Trigger::Request(3), Duration::ZERO);
        faults.note_request();
        faults.note_request();
        assert_eq!(faults.active(), None);
        faults.note_request();
        assert_eq!(faults.active(), Some(FaultKind::Errors));
    }

    #[test]
    fn a_fault_waits_for_its_delay() {
        assert_eq!(faults(Trigger::Start, Duration::ZERO).active(), Some(FaultKind::Errors));
        assert_eq!(faults(Trigger::Start, Duration::from_mins(1)).active(), None);
    }

    #[test]
    fn a_rate_is_requests_in_one_second() {
        let faults = faults(Trigger::Rate(1_000), Duration::ZERO);
        for _ in 0..10 {
            faults.note_request();
        }
        assert_eq!(faults.active(), None);
        for _ in 0..3_000 {
            faults.note_request();
        }
        assert_eq!(faults.active(), Some(FaultKind::Errors));
    }
}
