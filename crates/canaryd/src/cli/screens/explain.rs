//! The checks with their numbers, and how sure they are.

use canaryd_planner::Report;
use canaryd_rollout::fmt::percent;
use canaryd_verdict::{CheckReport, LaneNumbers};

use super::check;
use crate::cli::style::Style;
use crate::cli::words;

/// All checks, or the one of that name; `None`: there is no such check.
pub(crate) fn render_explain(report: &Report, name: Option<&str>, style: Style) -> Option<String> {
    let asked: Vec<&CheckReport> = report.checks.iter().filter(|c| name.is_none_or(|n| n == c.name)).collect();
    if asked.is_empty() && name.is_some() {
        return None;
    }
    if asked.is_empty() {
        return Some(style.finish(format!("{}: nothing is on trial; {}\n", report.name, report.sentence)));
    }
    let pages: Vec<String> = asked.iter().map(|check| one(report, check)).collect();
    Some(style.finish(pages.join("\n")))
}

fn one(report: &Report, check: &CheckReport) -> String {
    let mut text = format!("{}: {}\n\n", check.name, check.question);
    let bad = if check.latency.is_some() { "slower" } else { "failed" };
    text.push_str(&format!("  {:<12}{:>10}{bad:>10}{:>10}\n", "", "requests", "rate"));
    text.push_str(&lane("canary", check.canary));
    text.push_str(&lane("production", check.production));
    text.push_str(&format!(
        "\n  canary       is at least {}, could still be up to {}; limit {}\n",
        percent(check.lower),
        percent(check.upper),
        percent(check.limit)
    ));
    if let (Some(suspicion), Some(limit)) = (report.suspicion, report.suspicion_limit) {
        text.push_str(&format!(
            "  suspicion    {:.1}, reverts at {limit:.0} (all checks together {suspicion:.1})\n",
            check.suspicion
        ));
    }
    text.push_str(&format!("  in short     {}\n", check::summary(report, check)));
    text
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn lane(name: &str, n: LaneNumbers) -> String {
    let rate = if n.requests == 0 { "-".to_owned() } else { percent(n.bad as f64 / n.requests as f64) };
    format!("  {name:<12}{:>10}{:>10}{rate:>10}\n", words::count(n.requests), words::count(n.bad))
}
