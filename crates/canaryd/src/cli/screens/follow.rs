//! One rollout with everything about it: the sentence, the stages, the checks, what it waits for, what can be done.

use canaryd_planner::{Outcome, Report, StageState, StageView, UndoView, VersionView};

use super::check;
use crate::cli::style::{Sign, Style, pad, tame, width_of, wrap};
use crate::cli::words;

/// Signs that the name of a check gets.
const NAME: usize = 18;
/// With less room than this there are no columns.
const NARROW: usize = 60;
/// Where the text of a stage begins.
const INDENT: usize = 14;
/// Signs of the bar of the stage under observation.
const BAR: usize = 20;

/// The whole screen, at most `width` signs wide where words allow it.
pub(crate) fn render_follow(report: &Report, host: &str, width: usize, style: Style) -> String {
    let mut lines = vec![title(report, host, style)];
    lines.extend(wrap("", "", &tame(&report.sentence), width));
    if words::moves(report) && !report.stages.is_empty() {
        lines.push(String::new());
        for stage in &report.stages {
            lines.extend(stage_lines(report, stage, width, style));
        }
    }
    lines.extend(facts(report, width));
    style.finish(lines.join("\n") + "\n")
}

fn title(report: &Report, host: &str, style: Style) -> String {
    let version = |v: &VersionView| words::told_apart(report, &v.version, &v.revision);
    let versions = match (&report.production, &report.canary) {
        (Some(from), Some(to)) if from.revision == to.revision => format!("{}, a second set of it", version(to)),
        (Some(from), Some(to)) => format!("{} → {}", version(from), version(to)),
        (None, Some(to)) => format!("first version {}", version(to)),
        (from, None) => from.as_ref().map(version).unwrap_or_default(),
    };
    format!("{} on {host}   {versions}", style.bold(report.name.as_str())).trim_end().to_owned()
}

fn stage_lines(report: &Report, stage: &StageView, width: usize, style: Style) -> Vec<String> {
    let observed = words::span(stage.observed.as_secs_f64());
    let whole = words::span(stage.observe.as_secs_f64());
    let requests = words::several(stage.requests, "canary request");
    let (sign, text) = match stage.state {
        StageState::Ahead => (Sign::Ahead, format!("later: {whole}")),
        StageState::Passed => (Sign::Done, format!("passed: {requests} in {observed}")),
        StageState::Skipped => (Sign::Skipped, "skipped".to_owned()),
        StageState::Failed => {
            let reverted = report.outcome.as_ref().is_some_and(|end| end.outcome == Outcome::Reverted);
            let (sign, what) = if reverted { (Sign::Wrong, "failed") } else { (Sign::Skipped, "left") };
            (sign, format!("{what} after {observed} with {requests}"))
        }
        StageState::Current => {
            let share = stage.observed.as_secs_f64() / stage.observe.as_secs_f64().max(0.001);
            let text = format!("now: {requests}, {observed} of {whole}");
            let has_room = INDENT + width_of(&text) + 1 + BAR <= width;
            (Sign::Now, if has_room { format!("{text} {}", Style::bar(share, BAR)) } else { text })
        }
    };
    let first = format!("  {} {} ", style.sign(sign), pad(&words::share(stage.weight), 9));
    let mut lines = wrap(&first, &" ".repeat(INDENT), &text, width);
    if stage.state == StageState::Current {
        lines.extend(check_lines(report, width));
    }
    lines
}

fn check_lines(report: &Report, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, one) in report.checks.iter().enumerate() {
        let last = i + 1 == report.checks.len();
        let (branch, trunk) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let (name, under) = if width < NARROW { (format!("{}:", one.name), 1) } else { (pad(&one.name, NAME), NAME) };
        let first = format!("    {branch} {name} ");
        let rest = format!("    {trunk} {} ", " ".repeat(under));
        lines.extend(wrap(&first, &rest, &check::summary(report, one), width));
    }
    if let (Some(suspicion), Some(limit)) = (report.suspicion, report.suspicion_limit) {
        lines.push(format!("    suspicion {suspicion:.1}, reverts at {limit:.0}"));
    }
    lines
}

fn facts(report: &Report, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut fact = |label: &str, text: &str| {
        lines.extend(wrap(&format!("  {label:<10} "), &" ".repeat(13), &tame(text), width));
    };
    // By whom and why stands in the sentence.
    if report.paused.is_some() {
        fact("paused", "checks go on, users stay protected");
    }
    if let Some(manual) = &report.manual {
        let text = "; the stages stand still, a failing check still takes the version off. Give control back:";
        fact("by hand", &format!("{manual}{text} canaryd resume {}", report.name));
    }
    for waiting in &report.waiting {
        fact("waits for", &words::waiting_below(report, waiting));
    }
    for note in &report.notes {
        fact("note", note);
    }
    for (component, lanes) in &report.replicas {
        let counts: Vec<String> =
            lanes.iter().map(|(lane, n)| format!("{lane} {} of {} healthy", n.healthy, n.wanted)).collect();
        fact(component.as_str(), &counts.join(" · "));
    }
    fact("undo", &undo(report));
    if !report.can.is_empty() {
        let commands: Vec<String> = report.can.iter().map(|verb| words::command(verb, &report.name)).collect();
        fact("you can", &commands.join(" · "));
    }
    lines
}

/// How ready the way back is.
pub(crate) fn undo(report: &Report) -> String {
    let named = |version: &String| {
        let previous = report.previous.as_ref().filter(|previous| &previous.version == version);
        previous.map_or_else(|| version.clone(), |p| words::told_apart(report, &p.version, &p.revision))
    };
    match &report.undo {
        UndoView::Warm { version, until } => format!("to {}, at once, until {}", named(version), words::date(*until)),
        UndoView::Cold { version } => format!("to {}, whose containers must be started first", named(version)),
        UndoView::Impossible { why } => format!("impossible: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(more: &serde_json::Value) -> Report {
        let version =
            |v: &str, r: &str| serde_json::json!({ "version": v, "revision": r, "since": "2026-11-23T12:00:00Z" });
        let mut report = serde_json::json!({
            "name": "shop", "phase": "observing", "sentence": "", "liveWeight": 5, "wantedWeight": 5,
            "production": version("v1", "aaaaaaaaaa"), "canary": version("v2", "bbbbbbbbbb"), "stages": [],
            "checks": [], "waiting": [], "notes": [], "can": [], "undo": { "is": "cold", "version": "v1" },
            "replicas": {}
        });
        let (all, more) = (report.as_object_mut().unwrap(), more.as_object().unwrap().clone());
        all.extend(more);
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn a_pause_is_said_once_and_one_that_ends_by_itself_names_what_it_waits_for() {
        let why = "paused by canaryd since 12:04:10 UTC: errors has seen 0 canary requests";
        let paused = report(&serde_json::json!({
            "sentence": format!("5 % go to v2. It waits: {why}; it goes on by itself with enough numbers."),
            "paused": why.trim_start_matches("paused "),
            "waiting": [{ "for": "resume", "why": why, "verb": "advance", "byItself": true, "lacks": "enough numbers" }]
        }));
        let screen = render_follow(&paused, "host2", 400, Style::PLAIN);
        assert_eq!(screen.matches("errors has seen").count(), 1, "{screen}");
        assert!(screen.contains("  waits for  enough numbers, or canaryd advance shop\n"), "{screen}");
        assert!(screen.contains("  paused     checks go on, users stay protected\n"), "{screen}");
    }

    #[test]
    fn what_is_gone_has_a_title_without_anything_behind_it() {
        let gone = report(&serde_json::json!({ "phase": "idle", "production": null, "canary": null }));
        assert!(render_follow(&gone, "host2", 80, Style::PLAIN).starts_with("shop on host2\n"));
    }

    #[test]
    fn what_is_being_deleted_has_no_stages_ahead() {
        let ahead =
            serde_json::json!([{ "weight": 1, "observe": 900.0, "observed": 0.0, "requests": 0, "state": "ahead" }]);
        let screen = |phase: &str| {
            let report = report(&serde_json::json!({ "phase": phase, "canary": null, "stages": ahead }));
            render_follow(&report, "host2", 80, Style::PLAIN)
        };
        assert!(screen("preflight").contains("later: 15m"));
        assert!(!screen("deleting").contains("later"), "{}", screen("deleting"));
    }

    #[test]
    fn on_forty_columns_every_line_fits_and_the_weight_and_numbers_of_the_stage_are_there() {
        let stage = |weight: u32, state: &str| serde_json::json!({ "weight": weight, "observe": 900.0, "observed": 372.0, "requests": 4812, "state": state });
        let observing = report(&serde_json::json!({
            "stages": [stage(1, "passed"), stage(5, "current"), stage(25, "ahead")], "stage": 1
        }));
        let screen = render_follow(&observing, "host2", 40, Style::PLAIN);
        assert!(screen.lines().all(|line| width_of(line) <= 40), "{screen}");
        let words: Vec<&str> = screen.split_whitespace().collect();
        assert!(words.join(" ").contains("▶ 5 % now: 4,812 canary requests, 6m12s of 15m"), "{screen}");
        let wide = render_follow(&observing, "host2", 80, Style::PLAIN);
        assert!(wide.contains("6m12s of 15m ━━━━━━━━╸───────────\n"), "{wide}");
    }
}
