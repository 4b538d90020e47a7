//! How it ended: are users fine, why, what now.

use canaryd_planner::{Outcome, OutcomeView, Report, StageState, VersionView};
use canaryd_rollout::Weight;
use canaryd_rollout::fmt::percent;

use super::follow::undo;
use crate::cli::style::{Sign, Style, tame, wrap};
use crate::cli::words;

/// The ending of the last rollout; empty when there was none.
pub(crate) fn render_ending(report: &Report, host: &str, width: usize, style: Style) -> String {
    let Some(outcome) = &report.outcome else { return String::new() };
    let (sign, sentence) = headline(report, outcome, host);
    let first = format!("{} ", style.sign(sign));
    let mut lines = wrap(&first, "  ", &sentence, width);
    lines.push(String::new());
    for (label, text) in facts(report, outcome) {
        lines.extend(wrap(&format!("  {label:<8} "), &" ".repeat(11), &tame(&text), width));
    }
    style.finish(lines.join("\n") + "\n")
}

fn headline(report: &Report, end: &OutcomeView, host: &str) -> (Sign, String) {
    let version = words::told_apart(report, &end.version, &end.revision);
    let (name, at) = (&report.name, words::date(end.at));
    let by = end.actor.as_ref().map(|actor| format!(" by {}", tame(actor))).unwrap_or_default();
    if end.outcome == Outcome::Promoted {
        return (Sign::Done, format!("{name} on {host}: {version} is in production since {at}. All users get it."));
    }
    let what = match end.outcome {
        Outcome::Promoted => "is in production",
        Outcome::Reverted | Outcome::Aborted => "was taken off",
        Outcome::Superseded => "made way for a newer version",
        Outcome::Undone => "was taken out of production",
    };
    let named = |v: &VersionView| words::told_apart(report, &v.version, &v.revision);
    let now = match &report.production {
        None => "Nothing is in production: users get 503.".to_owned(),
        Some(_) if report.live_weight > Weight::ZERO && report.canary.is_none() => {
            format!("The gateway still sends it {}.", words::share(report.live_weight))
        }
        Some(v) if report.canary.is_some() => format!("{} is in production.", named(v)),
        Some(_) if report.unwell.is_some() => format!("{}.", report.unwell.as_deref().unwrap_or_default()),
        Some(v) => format!("{} serves all users; nothing to do tonight.", named(v)),
    };
    (Sign::Wrong, format!("{name} on {host}: {version} {what}{by} at {at}. {now}"))
}

fn facts(report: &Report, end: &OutcomeView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if end.outcome != Outcome::Promoted || end.actor.is_some() {
        facts.push(("why", end.reason.clone()));
    }
    facts.push(("took", took(report, end)));
    facts.push(("seen", seen(end)));
    facts.push(("undo", undo(report)));
    if let Some(files) = &report.files {
        facts.push(("files", files.clone()));
    }
    // That the manifest still asks for it goes without saying here.
    for note in report.notes.iter().filter(|note| !note.starts_with("manifest asks for")) {
        facts.push(("note", note.clone()));
    }
    if matches!(end.outcome, Outcome::Reverted | Outcome::Aborted | Outcome::Undone) {
        let name = &report.name;
        let text = format!("commit a new version; if the cause lay elsewhere: canaryd retry {name}");
        facts.push(("next", text));
    }
    facts
}

fn took(report: &Report, end: &OutcomeView) -> String {
    let passed = report.stages.iter().filter(|s| s.state == StageState::Passed);
    let stages: Vec<String> =
        passed.map(|s| format!("{} {}", words::share(s.weight), words::span(s.observed.as_secs_f64()))).collect();
    let whole = words::span(end.took);
    if stages.is_empty() { whole } else { format!("{whole}: {}", stages.join(" · ")) }
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn seen(end: &OutcomeView) -> String {
    let requests = words::several(end.requests, "canary request");
    if end.requests == 0 {
        return requests;
    }
    let rate = percent(end.failed as f64 / end.requests as f64);
    format!("{requests}, {} failed ({rate})", words::count(end.failed))
}
