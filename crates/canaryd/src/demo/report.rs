//! The demo's figures: a table for people, JSON for machines.

use std::path::Path;

use anyhow::{Context, Result};
use canaryd_planner::{Outcome, OutcomeView};
use canaryd_probe::LoadReport;
use serde::Serialize;

use super::scene::Scene;

/// The figures of one version.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// Version, or `all` for the whole demo.
    pub(super) version: String,
    /// How it ended.
    pub(super) outcome: Option<Outcome>,
    /// Why.
    pub(super) reason: String,
    /// Requests of users while it moved.
    pub(super) requests: u64,
    /// Of these, failed, whoever answered.
    pub(super) failed: u64,
    /// Of these, because of the new version.
    pub(super) harmed: u64,
    /// From its first fault to 0 % of the traffic.
    pub(super) fault_to_zero_ms: Option<u64>,
    #[serde(skip)]
    expected: Option<Outcome>,
}

impl Run {
    pub(super) fn of(
        scene: Scene,
        before: &LoadReport,
        after: &LoadReport,
        outcome: &OutcomeView,
        fault_to_zero_ms: Option<u64>,
    ) -> Self {
        let failed = after.failed - before.failed;
        Self {
            version: scene.version().to_owned(),
            outcome: Some(outcome.outcome),
            reason: outcome.reason.clone(),
            requests: after.sent - before.sent,
            failed,
            harmed: if scene == Scene::Good { 0 } else { failed },
            fault_to_zero_ms: if scene == Scene::Good { None } else { fault_to_zero_ms },
            expected: Some(scene.expected()),
        }
    }

    /// The whole demo.
    pub(super) fn total(report: &LoadReport) -> Self {
        Self {
            version: "all".to_owned(),
            outcome: None,
            reason: String::new(),
            requests: report.sent,
            failed: report.failed,
            harmed: 0,
            fault_to_zero_ms: None,
            expected: None,
        }
    }

    /// Whether it ended as it should; a good version loses no request.
    pub(super) fn as_expected(&self) -> bool {
        let lossless = self.expected != Some(Outcome::Promoted) || self.failed == 0;
        lossless && self.outcome == self.expected
    }
}

#[derive(Serialize)]
struct Figures<'a> {
    runs: &'a [Run],
}

/// Writes the figures for machines.
pub(super) fn write(path: &Path, runs: &[Run]) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let json = serde_json::to_string_pretty(&Figures { runs })?;
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}

/// Prints the table.
pub(super) fn print(runs: &[Run], path: &Path) {
    anstream::println!(
        "\n{:<8} {:<10} {:>9} {:>8} {:>8}  {}",
        "version",
        "outcome",
        "requests",
        "failed",
        "harmed",
        "fault to 0 %"
    );
    for run in runs {
        let outcome = run.outcome.map_or("–", name);
        let zero = run.fault_to_zero_ms.map_or("–".to_owned(), |ms| format!("{:.2} s", seconds(ms)));
        anstream::println!(
            "{:<8} {:<10} {:>9} {:>8} {:>8}  {zero}",
            run.version,
            outcome,
            run.requests,
            run.failed,
            run.harmed
        );
    }
    for run in runs.iter().filter(|run| run.outcome == Some(Outcome::Reverted)) {
        anstream::println!("\n{} was taken off: {}", run.version, run.reason);
    }
    anstream::println!("\nfigures: {}", path.display());
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted => "promoted",
        Outcome::Reverted => "reverted",
        Outcome::Aborted => "aborted",
        Outcome::Superseded => "superseded",
        Outcome::Undone => "undone",
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a three-minute demo")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
