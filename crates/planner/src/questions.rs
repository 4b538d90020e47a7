//! What the manifest's checks ask, in the judge's words.

use canaryd_rollout::{CheckKind, Rollout, Weight};
use canaryd_verdict::{Bad, Question, Settings};

/// What is asked of the numbers, in the judge's words.
#[must_use]
pub fn settings_of(rollout: &Rollout) -> Settings {
    let trial = rollout.stages.iter().filter(|s| s.weight < Weight::FULL);
    let planned: f64 = trial.map(|s| s.observe.as_secs_f64() / 60.0).sum();
    let checks = rollout.checks.iter().map(|check| Question {
        name: check.name.clone(),
        mode: check.mode.clone(),
        weight: check.weight,
        observe_only: check.observe_only,
        bad: match check.kind {
            CheckKind::ErrorRate { max } => Bad::Failed { max },
            CheckKind::Latency { quantile, max } => Bad::Slower { quantile, max: max.as_secs_f64() },
        },
    });
    Settings {
        alpha: rollout.analysis.alpha,
        beta: rollout.analysis.beta,
        planned_minutes: planned,
        warmup: rollout.analysis.warmup.as_secs_f64(),
        checks: checks.collect(),
    }
}
