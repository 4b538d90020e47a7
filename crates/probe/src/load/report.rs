//! What a load has seen. Plain data: times are milliseconds since its start unless they say otherwise.

use std::collections::BTreeMap;

use serde::Serialize;

/// The response header that names the version which answered.
pub const VERSION_HEADER: &str = "X-Canary-Version";

/// What a load has seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// When it began: milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: u64,
    /// For how long it has been running.
    pub ran_ms: u64,
    /// Requests whose fate is known: `ok + failed`.
    pub sent: u64,
    /// Answers of status below 400, whole.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Not sent because every connection was busy for a whole timeout: the generator's own limit, neither ok nor failed.
    pub unsent: u64,
    /// The failed ones by what happened: `refused`, `reset`, `eof`, `timeout`, `bad-answer`, `status-502` …
    pub by_class: BTreeMap<String, u64>,
    /// Answers by version; `-` where an answer names none. Failures without an answer are not here.
    pub by_version: BTreeMap<String, VersionCount>,
    /// Of all whole answers, whatever their status; from the scheduled start to the last byte.
    pub latency: Latencies,
    /// The first 500 failures.
    pub failures: Vec<Failure>,
    /// Each second's answers by version, at most the last 3,600 seconds.
    pub seconds: Vec<SecondOf>,
}

/// The answers of one version.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VersionCount {
    /// Below 400.
    pub ok: u64,
    /// 400 and above.
    pub failed: u64,
    /// When its first answer came.
    pub first_ms: u64,
    /// When its last answer came.
    pub last_ms: u64,
    /// When its last answer below 400 came.
    pub last_ok_ms: Option<u64>,
    /// Of its answers.
    pub latency: Latencies,
}

/// Quantiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Median.
    pub p50_ms: f64,
    /// 90 %.
    pub p90_ms: f64,
    /// 95 %.
    pub p95_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// One request that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// When that was known.
    pub at_ms: u64,
    /// Since it was sent.
    pub took_ms: u64,
    /// Method and path.
    pub request: String,
    /// Its class in [`LoadReport::by_class`].
    pub what: String,
    /// The error's own words.
    pub detail: String,
    /// The version that answered, where one did and named itself.
    pub version: Option<String>,
    /// Status of the answer, where there was one.
    pub status: Option<u16>,
}

/// The answers of one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SecondOf {
    /// Which: 0 is the first.
    pub second: u64,
    /// Answers by version.
    pub answers: BTreeMap<String, u64>,
    /// Failures in it, with or without an answer.
    pub failed: u64,
}
