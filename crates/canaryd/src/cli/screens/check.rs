//! One check of a rollout in a few words.

use canaryd_planner::{Report, Waiting};
use canaryd_rollout::fmt::percent;
use canaryd_verdict::{CheckReport, Clearance};
use jiff::Timestamp;

use crate::cli::words;

/// The numbers of a check, what they are compared with and what is missing, in parts that may stand on lines of
/// their own.
pub(crate) fn summary(report: &Report, check: &CheckReport) -> String {
    let mut parts = Vec::new();
    if check.failed {
        parts.push("FAILED".to_owned());
    }
    if check.observe_only {
        parts.push("only watched".to_owned());
    }
    parts.push(numbers(check));
    parts.extend(production(check));
    if moves_on(report) {
        parts.extend(clearance(report, check));
    }
    parts.join("; ")
}

fn moves_on(report: &Report) -> bool {
    words::next_stage(report).is_some()
}

fn numbers(check: &CheckReport) -> String {
    let canary = check.canary;
    let Some(latency) = check.latency else {
        let counted = format!("{} of {} failed", words::count(canary.bad), words::count(canary.requests));
        let counted = if canary.requests == 0 { "no canary request yet".to_owned() } else { counted };
        return format!("{counted}, limit {}; could still be up to {}", percent(check.limit), percent(check.upper));
    };
    let name = quantile(latency.quantile);
    let limit = words::latency(latency.max);
    match latency.canary {
        Some(seconds) => format!("{name} {}, limit {limit}", words::latency(seconds)),
        None if check.left_out > 0 => format!("{}, {name} limit {limit}", cold(check)),
        None => format!("no canary request yet, {name} limit {limit}"),
    }
}

/// That what was seen is not counted, and from when on it is.
fn cold(check: &CheckReport) -> String {
    let requests = words::several(check.left_out, "canary request");
    let until = check.cold_until.and_then(|second| Timestamp::from_second(second).ok());
    let until = until.map(|at| format!(" (until {})", at.strftime("%H:%M:%S UTC"))).unwrap_or_default();
    format!("none counted: {requests} in the warm-up{until}")
}

fn production(check: &CheckReport) -> Option<String> {
    let production = check.production;
    match check.latency {
        Some(latency) => latency.production.map(|seconds| format!("production {}", words::latency(seconds))),
        None if production.requests == 0 => None,
        None => Some(format!("production {} of {}", words::count(production.bad), words::count(production.requests))),
    }
}

fn clearance(report: &Report, check: &CheckReport) -> Option<String> {
    if check.observe_only || check.failed {
        return None;
    }
    let next = words::next_stage(report).map(|stage| words::share(stage.weight))?;
    Some(match check.clearance {
        Clearance::Cleared => format!("enough data for {next}"),
        Clearance::NotNeeded => format!("needs no data for {next}"),
        Clearance::Needs { more } => match eta(report, &check.name) {
            Some(seconds) => {
                format!("{} for {next}, about {}", words::several(more, "more request"), words::about(seconds))
            }
            None => format!("{} for {next}", words::several(more, "more request")),
        },
    })
}

fn eta(report: &Report, name: &str) -> Option<u64> {
    report.waiting.iter().find_map(|waiting| match waiting {
        Waiting::Samples { check, eta, .. } if check == name => *eta,
        _ => None,
    })
}

/// `p95`, `p99.9`.
pub(crate) fn quantile(quantile: f64) -> String {
    let text = format!("{:.2}", quantile * 100.0);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}
