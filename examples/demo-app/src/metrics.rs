//! What Prometheus may scrape.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    in_flight: AtomicI64,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    requests: BTreeMap<(String, u16), u64>,
    within: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl Metrics {
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// A request began.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// A request ended without an answer.
    pub(crate) fn cut(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// A request was answered.
    pub(crate) fn end(&self, method: &str, status: u16, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.requests.entry((method.to_owned(), status)).or_default() += 1;
        counted.sum += took.as_secs_f64();
        counted.count += 1;
        for (within, bound) in counted.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(took.as_secs_f64() <= bound);
        }
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(crate) fn render(&self, version: &str) -> String {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("# TYPE http_requests_total counter\n");
        for ((method, status), n) in &counted.requests {
            let _ = writeln!(text, "http_requests_total{{method=\"{method}\",status=\"{status}\"}} {n}");
        }
        text.push_str("# TYPE http_request_duration_seconds histogram\n");
        for (within, bound) in counted.within.iter().zip(BOUNDS) {
            let _ = writeln!(text, "http_request_duration_seconds_bucket{{le=\"{bound}\"}} {within}");
        }
        let _ = writeln!(text, "http_request_duration_seconds_bucket{{le=\"+Inf\"}} {}", counted.count);
        let _ = writeln!(text, "http_request_duration_seconds_sum {}", counted.sum);
        let _ = writeln!(text, "http_request_duration_seconds_count {}", counted.count);
        let _ = writeln!(text, "# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight {}", self.in_flight());
        let _ = writeln!(text, "# TYPE app_info gauge\napp_info{{version=\"{version}\"}} 1");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_status() {
        let metrics = Metrics::default();
        for status in [200, 200, 500] {
            metrics.begin();
            metrics.end("GET", status, Duration::from_millis(20));
        }
        let text = metrics.render("v1");
        assert!(text.contains("http_requests_total{method=\"GET\",status=\"200\"} 2\n"), "{text}");
        assert!(text.contains("http_request_duration_seconds_bucket{le=\"0.01\"} 0\n"), "{text}");
        assert!(text.contains("http_request_duration_seconds_bucket{le=\"0.025\"} 3\n"), "{text}");
        assert!(text.contains("http_requests_in_flight 0\n"), "{text}");
    }
}
