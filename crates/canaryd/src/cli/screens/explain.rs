//! The checks with their numbers, and how sure they are; what it waits for.

use canaryd_planner::{Report, Waiting};
use canaryd_rollout::fmt::percent;
use canaryd_verdict::{CheckReport, LaneNumbers};

use super::check;
use crate::cli::style::{Style, tame};
use crate::cli::words;

/// All checks, or the one of that name; `None`: there is no such check.
pub(crate) fn render_explain(report: &Report, name: Option<&str>, style: Style) -> Option<String> {
    let asked: Vec<&CheckReport> = report.checks.iter().filter(|c| name.is_none_or(|n| n == c.name)).collect();
    if asked.is_empty() && name.is_some() {
        return None;
    }
    let mut pages = Vec::new();
    if asked.is_empty() || report.unwell.is_some() {
        let nothing = if report.canary.is_none() && !words::moves(report) { "nothing is on trial; " } else { "" };
        pages.push(format!("{}: {nothing}{}\n", report.name, tame(&report.sentence)));
    }
    pages.extend(asked.iter().map(|check| one(report, check)));
    let waits = |waiting: &Waiting| format!("waits for {}\n", tame(&words::waiting(report, waiting)));
    let waiting: String = report.waiting.iter().map(waits).collect();
    pages.extend((!waiting.is_empty()).then_some(waiting));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(waiting: &serde_json::Value, unwell: Option<&str>) -> Report {
        serde_json::from_value(serde_json::json!({
            "name": "shop", "phase": "preflight", "sentence": "v1 serves all. v2 is being prepared.", "liveWeight": 0,
            "wantedWeight": 0, "stages": [], "checks": [], "waiting": waiting, "notes": [], "can": [],
            "undo": { "is": "cold", "version": "v1" }, "replicas": {}, "unwell": unwell
        }))
        .unwrap()
    }

    #[test]
    fn what_waits_for_its_turn_says_so_and_for_whom_and_is_not_said_to_be_nothing() {
        let waiting = serde_json::json!([{ "for": "slot", "ahead": ["blog", "wiki"] }]);
        let page = render_explain(&report(&waiting, None), None, Style::PLAIN).unwrap();
        assert_eq!(
            page,
            "shop: v1 serves all. v2 is being prepared.\n\nwaits for its turn; ahead of it: blog and wiki\n"
        );
    }
}
