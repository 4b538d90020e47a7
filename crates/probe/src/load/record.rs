//! Counts what a load sees, within bounded memory.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::line::{Loss, Reply};
use super::report::{Failure, Latencies, LoadReport, SecondOf, VersionCount};

const MAX_FAILURES: usize = 500;
const MAX_SECONDS: usize = 3_600;
const MAX_VERSIONS: usize = 64;
const NAMELESS: &str = "-";
const SLOWEST_MICROS: u64 = 3_600_000_000;

/// When a request was to start, started and ended, since the load's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) due: Duration,
    pub(super) sent: Duration,
    pub(super) done: Duration,
}

/// All that was seen so far.
#[derive(Debug)]
pub(super) struct Record {
    report: LoadReport,
    latency: Histogram<u64>,
    by_version: BTreeMap<String, Histogram<u64>>,
    seconds: VecDeque<SecondOf>,
}

impl Record {
    pub(super) fn new(started_unix_ms: u64) -> Self {
        let report = LoadReport { started_unix_ms, ..LoadReport::default() };
        Self { report, latency: histogram(3), by_version: BTreeMap::new(), seconds: VecDeque::new() }
    }

    /// One request's fate.
    pub(super) fn take(&mut self, request: &str, times: Times, fate: Result<Reply, Loss>) {
        self.report.sent += 1;
        match fate {
            Ok(reply) => self.take_answer(request, times, reply),
            Err(loss) => self.take_loss(request, times, loss),
        }
    }

    /// One request that was not sent.
    pub(super) fn take_unsent(&mut self) {
        self.report.unsent += 1;
    }

    pub(super) fn report(&self, ran: Duration) -> LoadReport {
        let mut report = self.report.clone();
        report.ran_ms = millis(ran);
        report.latency = quantiles(&self.latency);
        report.seconds = self.seconds.iter().cloned().collect();
        for (version, count) in &mut report.by_version {
            count.latency = self.by_version.get(version).map(quantiles).unwrap_or_default();
        }
        report
    }

    fn take_answer(&mut self, request: &str, times: Times, reply: Reply) {
        let ok = reply.status < 400;
        let micros = micros(times.done.saturating_sub(times.due));
        let name = self.count_version(reply.version.as_deref(), ok, times, micros);
        *self.second(times.done).answers.entry(name).or_default() += 1;
        self.latency.saturating_record(micros);
        if ok {
            self.report.ok += 1;
        } else {
            let what = format!("status-{}", reply.status);
            let detail = format!("answered {}", reply.status);
            self.take_failure(request, times, what, detail, Some(reply));
        }
    }

    fn take_loss(&mut self, request: &str, times: Times, loss: Loss) {
        self.take_failure(request, times, loss.class.to_owned(), loss.detail, loss.head);
    }

    fn take_failure(&mut self, request: &str, times: Times, what: String, detail: String, head: Option<Reply>) {
        self.report.failed += 1;
        self.second(times.done).failed += 1;
        *self.report.by_class.entry(what.clone()).or_default() += 1;
        if self.report.failures.len() < MAX_FAILURES {
            let (version, status) = head.map_or((None, None), |h| (h.version, Some(h.status)));
            self.report.failures.push(Failure {
                at_ms: millis(times.done),
                took_ms: millis(times.done.saturating_sub(times.sent)),
                request: request.to_owned(),
                what,
                detail,
                version,
                status,
            });
        }
    }

    /// Counts an answer for its version, and says under which name.
    fn count_version(&mut self, version: Option<&str>, ok: bool, times: Times, micros: u64) -> String {
        let known = |name: &&str| self.by_version.contains_key(*name) || self.by_version.len() < MAX_VERSIONS;
        let name = version.filter(known).unwrap_or(NAMELESS).to_owned();
        self.by_version.entry(name.clone()).or_insert_with(|| histogram(2)).saturating_record(micros);
        let at = millis(times.done);
        let count = self
            .report
            .by_version
            .entry(name.clone())
            .or_insert_with(|| VersionCount { first_ms: at, ..VersionCount::default() });
        count.last_ms = count.last_ms.max(at);
        if ok {
            count.ok += 1;
            count.last_ok_ms = count.last_ok_ms.max(Some(at));
        } else {
            count.failed += 1;
        }
        name
    }

    fn second(&mut self, at: Duration) -> &mut SecondOf {
        let second = at.as_secs();
        if self.seconds.back().is_none_or(|last| last.second < second) {
            self.seconds.push_back(SecondOf { second, ..SecondOf::default() });
        }
        if self.seconds.len() > MAX_SECONDS {
            self.seconds.pop_front();
        }
        // The clock only moves on between two calls, so the entry is the last one.
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }
}

fn histogram(digits: u8) -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "both bounds and the digits are constants within hdrhistogram's limits")]
    Histogram::new_with_bounds(1, SLOWEST_MICROS, digits).expect("constant bounds")
}

fn quantiles(histogram: &Histogram<u64>) -> Latencies {
    #[expect(clippy::cast_precision_loss, reason = "at most an hour of microseconds: exact in 52 bits")]
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let max_ms = histogram.max() as f64 / 1_000.0;
    Latencies { p50_ms: at(0.5), p90_ms: at(0.9), p95_ms: at(0.95), p99_ms: at(0.99), max_ms }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
