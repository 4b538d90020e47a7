//! What would be done about a manifest.

use canaryd_cockpit::{PlanPage, StageForecast};
use canaryd_rollout::fmt::{bytes, percent};

use crate::cli::style::{Style, tame, wrap};
use crate::cli::words;

/// The whole page.
pub(crate) fn render_plan(page: &PlanPage, width: usize, style: Style) -> String {
    let from = page.from.as_deref().unwrap_or("nothing");
    let name = style.bold(page.name.as_str());
    let versions = if from == page.to { page.to.clone() } else { format!("{from} → {}", page.to) };
    let mut lines = vec![format!("{name} on {}: {versions} (nothing is changed by this command)", page.host)];
    let mut put = |label: &str, text: &str| {
        lines.extend(wrap(&format!("  {label:<9} "), &" ".repeat(12), &tame(text), width));
    };
    for warning in &page.warnings {
        put("warning", warning);
    }
    put("now", &page.now);
    for action in &page.actions {
        put("does", action);
    }
    for change in &page.changes {
        let of = change.component.as_ref().map(|c| format!("{c}: ")).unwrap_or_default();
        put(&change.what, &format!("{of}{}", change.text));
    }
    if let Some(memory) = page.memory {
        let size = |n: Option<u64>| n.map_or_else(|| "no limit".to_owned(), bytes);
        let mut text =
            format!("{} → {}; both versions together {}", size(memory.from), size(memory.to), size(memory.together));
        text.extend(memory.free.map(|free| format!(", {} free", bytes(free))));
        put("memory", &text);
    }
    for (n, step) in page.steps.iter().enumerate() {
        put(&format!("{} {}", n + 1, step.title), &step.text);
    }
    for note in &page.notes {
        put("note", note);
    }
    lines.extend(table(page));
    style.finish(lines.join("\n") + "\n")
}

fn table(page: &PlanPage) -> Vec<String> {
    let Some(rps) = page.requests_per_second else { return Vec::new() };
    if rps <= 0.0 {
        return vec![String::new(), "there is no traffic at present: no stage above 0 % can pass by itself".to_owned()];
    }
    let mut lines = vec![String::new(), format!("a new version, at the present {rps:.1} requests/s:")];
    lines.push(format!("{:<8}{:<24}{:<14}errors below, if none fails", "stage", "requests by its end", "enough from"));
    lines.extend(page.stages.iter().map(line));
    lines.extend(page.stages.iter().filter_map(|s| {
        let (seconds, n) = (s.too_short?, s.enough_from?);
        Some(format!(
            "the {} stage needs {} for its {}",
            words::share(s.weight),
            words::span(seconds),
            words::several(n, "request")
        ))
    }));
    lines
}

fn line(stage: &StageForecast) -> String {
    let enough = stage.enough_from.map_or_else(|| "-".to_owned(), words::count);
    format!("{:<8}{:<24}{enough:<14}{}", words::share(stage.weight), words::count(stage.requests), percent(stage.below))
}
