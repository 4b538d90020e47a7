//! All rollouts of a host in one table.

use canaryd_cockpit::{SafeMode, StatusPage};
use canaryd_planner::{Outcome, Report, Unmet, Waiting};

use super::first::render_first;
use super::follow::undo;
use crate::cli::style::{Style, pad, tame, width_of, wrap};
use crate::cli::words;

/// With less room than this the state of a rollout is not legible beside its columns.
const NARROWEST_STATE: usize = 20;
/// Lines that the state of one rollout takes in the table.
const MOST_LINES: usize = 3;
/// A reason of this length is told once in a row.
const LONG: usize = 20;

/// The table. `wide`: revisions and the way back as well. `width` of 0: lines are not wrapped.
pub(crate) fn render_status(page: &StatusPage, wide: bool, width: usize, style: Style) -> String {
    let mut text = String::new();
    if page.dry_run {
        text.push_str("dry run: nothing is written to Docker, NGINX or the journal; what would follow is simulated as succeeding\n");
    }
    if let Some(mode) = &page.safe_mode {
        text.push_str(&safe_mode(page, mode, width, style));
    } else if page.rollouts.is_empty() {
        text.push_str(&render_first(&page.host, &page.watch));
    } else {
        text.push_str(&headline(page));
        text.push_str("\n\n");
        text.push_str(&table(page, wide, width, style));
    }
    for problem in &page.problems {
        text.push('\n');
        text.push_str(&tame(problem));
        text.push('\n');
    }
    style.finish(text)
}

/// That it is so, and the way out, before anything else.
fn safe_mode(page: &StatusPage, mode: &SafeMode, width: usize, style: Style) -> String {
    let room = if width == 0 { usize::MAX } else { width };
    let said = wrap("", "", &tame(&format!("{}: {}", page.host, mode.sentence)), room);
    let mut lines: Vec<String> = said.iter().map(|line| style.bold(line)).collect();
    lines.extend(wrap("way out: ", "         ", &tame(&mode.way_out), room));
    lines.join("\n") + "\n"
}

fn headline(page: &StatusPage) -> String {
    let n = |f: fn(&Report) -> bool| page.rollouts.iter().filter(|r| f(r)).count();
    let mut text = format!("{}: {}", page.host, words::several(page.rollouts.len() as u64, "rollout"));
    match n(|report| words::moves(report) && !words::waits_for_turn(report)) {
        0 => text.push_str(", none moves"),
        moving => text.push_str(&format!(", {moving} moving")),
    }
    match n(words::waits_for_turn) {
        0 => {}
        1 => text.push_str(", 1 waits for its turn"),
        n => text.push_str(&format!(", {n} wait for their turn")),
    }
    match n(|report| words::held(report).is_some()) {
        0 => {}
        1 => text.push_str(", 1 waits for a person"),
        n => text.push_str(&format!(", {n} wait for a person")),
    }
    text
}

fn table(page: &StatusPage, wide: bool, width: usize, style: Style) -> String {
    let head = ["NAME", "USERS GET", "ON TRIAL", "STATE"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(page.rollouts.iter().map(|r| row(r, wide))).collect();
    let widest = |i: usize| rows.iter().map(|row| width_of(&row[i])).max().unwrap_or(0);
    let columns = [widest(0), widest(1), widest(2)];
    let indent = columns.iter().sum::<usize>() + 6;
    if width > 0 && indent + NARROWEST_STATE > width {
        return blocks(&rows, width, style);
    }
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let first: String = row.iter().zip(columns).map(|(cell, n)| pad(cell, n) + "  ").collect();
        let room = if width == 0 { usize::MAX } else { width };
        for line in shortened(wrap(&first, &" ".repeat(indent), &row[3], room), width) {
            text.push_str(&if i == 0 { style.dim(&line) } else { line });
            text.push('\n');
        }
    }
    text
}

/// A table is for the eye: what a rollout says at length is in `status NAME`.
fn shortened(mut lines: Vec<String>, width: usize) -> Vec<String> {
    if width == 0 || lines.len() <= MOST_LINES {
        return lines;
    }
    lines.truncate(MOST_LINES);
    if let Some(last) = lines.last_mut() {
        while width_of(last) + 1 > width && last.pop().is_some() {}
        last.push('…');
    }
    lines
}

/// Where the columns leave no room for the state, each rollout has lines of its own.
fn blocks(rows: &[[String; 4]], width: usize, style: Style) -> String {
    let [head, rows @ ..] = rows else { return String::new() };
    let named = |title: &String| format!("  {}", style.dim(&pad(&title.to_lowercase(), 11)));
    let mut lines = Vec::new();
    for [name, fields @ ..] in rows {
        lines.push(style.bold(name));
        for (title, text) in head[1..].iter().zip(fields) {
            lines.extend(shortened(wrap(&named(title), "             ", text, width), width));
        }
    }
    lines.join("\n") + "\n"
}

fn row(report: &Report, wide: bool) -> [String; 4] {
    let version = |v: &canaryd_planner::VersionView| {
        if wide { format!("{} ({})", v.version, v.revision) } else { named(report, v) }
    };
    let users = match &report.production {
        Some(_) if report.stopped.is_some() => "a page, 503".to_owned(),
        Some(v) => format!("{} {:>5} %", version(v), report.live_weight.complement().to_string()),
        None => "nothing".to_owned(),
    };
    let trial = match &report.canary {
        Some(v) => format!("{} {:>5} %", version(v), report.live_weight.to_string()),
        None => "–".to_owned(),
    };
    let mut state = state(report);
    if wide {
        state.push_str(&format!("; undo: {}", undo(report)));
    }
    [report.name.to_string(), users, trial, tame(&state)]
}

fn named(report: &Report, v: &canaryd_planner::VersionView) -> String {
    words::told_apart(report, &v.version, &v.revision)
}

fn state(report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(unwell) = &report.unwell {
        parts.push(format!("UNWELL: {unwell}"));
    }
    match report.stage {
        Some(stage) if words::moves(report) => {
            parts.push(format!("{}, stage {} of {}", report.phase, stage + 1, report.stages.len()));
        }
        _ if report.phase == "idle" && report.unwell.is_some() => {}
        _ if report.phase == "idle" && report.production.is_some() => parts.push("serving".to_owned()),
        _ => parts.push(report.phase.clone()),
    }
    if !words::moves(report) {
        parts.extend(last_end(report));
    }
    parts.extend(report.waiting.iter().map(|w| match w {
        Waiting::Time { seconds } => format!("{} to go", words::about(*seconds)),
        other => format!("waits for {}", words::waiting(report, other)),
    }));
    parts.extend(report.notes.iter().find(|note| !says_the_end_again(report, note)).cloned());
    told_once(parts).join("; ")
}

/// Without the parts whose reason an earlier one gives: one trouble keeps a rollout waiting and makes it unwell.
fn told_once(parts: Vec<String>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for part in parts {
        let reason = part.split_once(": ").map_or("", |(_, reason)| reason);
        if reason.len() < LONG || !told.iter().any(|earlier| earlier.contains(reason)) {
            told.push(part);
        }
    }
    told
}

/// The note about a blocked version, where the row has just said how that version ended.
fn says_the_end_again(report: &Report, note: &str) -> bool {
    let ended = report.outcome.as_ref().filter(|_| !words::moves(report)).map(|end| &end.version);
    match &report.unmet {
        Some(Unmet::Blocked { version, why }) => ended == Some(version) && note.contains(why.as_str()),
        Some(Unmet::Ignored { .. }) | None => false,
    }
}

fn last_end(report: &Report) -> Option<String> {
    let end = report.outcome.as_ref()?;
    let what = match end.outcome {
        Outcome::Promoted => return None,
        Outcome::Reverted => "was taken off",
        Outcome::Aborted => "was aborted",
        Outcome::Superseded => "was superseded",
        Outcome::Undone => "was undone",
    };
    let why = end.check.as_ref().map(|check| format!(" ({check})")).unwrap_or_default();
    let version = words::told_apart(report, &end.version, &end.revision);
    Some(format!("{version} {what} {}{why}", words::date(end.at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str]) -> StatusPage {
        let version =
            |v: &str, r: &str| serde_json::json!({ "version": v, "revision": r, "since": "2026-11-23T12:00:00Z" });
        let report = |name: &&str| {
            serde_json::json!({
                "name": name, "phase": "observing", "sentence": "", "liveWeight": 5, "wantedWeight": 5,
                "production": version("v1.2.0", "aaaaaaaaaa"), "canary": version("v1.3.0-rc.1", "bbbbbbbbbb"),
                "stages": [], "checks": [], "waiting": [{ "for": "time", "seconds": 540 }], "notes": [], "can": [],
                "undo": { "is": "cold", "version": "v1" }, "replicas": {}
            })
        };
        let rollouts: Vec<_> = names.iter().map(report).collect();
        serde_json::from_value(serde_json::json!({
            "host": "host2", "version": "0.1.0", "instance": "i", "since": "2026-11-23T12:00:00Z",
            "rollouts": rollouts, "problems": [], "dryRun": false
        }))
        .unwrap()
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_however_long_the_names_are() {
        let long = "n".repeat(40);
        for (wide, width) in [(false, 80), (true, 80), (true, 120), (false, 60)] {
            let text = render_status(&page(&["shop", &long]), wide, width, Style::PLAIN);
            assert!(text.lines().all(|line| width_of(line) <= width), "{width}: {text}");
            for word in ["shop", &long, "v1.2.0", "v1.3.0-rc.1", "5 %", "95 %", "9m to go"] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        let text = render_status(&page(&["shop", &long]), false, 80, Style::PLAIN);
        assert!(text.contains("\n  on trial   v1.3.0-rc.1 5 %\n"), "{text}");
    }

    #[test]
    fn a_long_reason_is_told_once_and_shortened_where_a_person_looks() {
        let mut page = page(&["shop"]);
        let reason = format!("network shop-net: {}", "no free subnet is left ".repeat(12).trim_end());
        page.rollouts[0].unwell = Some(format!("the gateway does not run: {reason}"));
        page.rollouts[0].waiting = vec![Waiting::GatewayLive { problem: Some(reason.clone()) }];
        let piped = render_status(&page, false, 0, Style::PLAIN);
        assert_eq!(piped.matches(&reason).count(), 1, "{piped}");
        let seen = render_status(&page, false, 80, Style::PLAIN);
        assert!(seen.contains("UNWELL: the gateway") && seen.ends_with("…\n"), "{seen}");
        assert_eq!(seen.lines().count(), 3 + MOST_LINES, "{seen}");
    }

    #[test]
    fn two_contents_of_one_name_are_told_apart_by_their_revisions() {
        let mut page = page(&["shop"]);
        page.rollouts[0].canary.as_mut().unwrap().version = "v1.2.0".to_owned();
        let text = render_status(&page, false, 0, Style::PLAIN);
        assert!(text.contains("v1.2.0 (aaaaaaaaaa)    95 %  v1.2.0 (bbbbbbbbbb)     5 %"), "{text}");
    }

    #[test]
    fn what_waits_for_its_turn_does_not_count_as_moving() {
        let mut page = page(&["shop", "blog"]);
        page.rollouts[1].phase = "preflight".to_owned();
        page.rollouts[1].waiting = vec![Waiting::Slot { ahead: vec!["shop".parse().unwrap()] }];
        let text = render_status(&page, false, 0, Style::PLAIN);
        assert!(text.starts_with("host2: 2 rollouts, 1 moving, 1 waits for its turn\n"), "{text}");
        assert!(text.contains("preflight; waits for its turn; ahead of it: shop"), "{text}");
    }

    #[test]
    fn short_names_stand_in_one_table_and_a_pipe_has_one_line_for_each() {
        let text = render_status(&page(&["shop", "blog"]), false, 80, Style::PLAIN);
        assert!(text.contains("NAME") && text.contains("\nshop  v1.2.0    95 %  v1.3.0-rc.1"), "{text}");
        let piped = render_status(&page(&["shop", &"n".repeat(40)]), true, 0, Style::PLAIN);
        assert_eq!(piped.lines().count(), 5, "{piped}");
    }
}
