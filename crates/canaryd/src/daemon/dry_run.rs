//! `--dry-run`: the full loop with real observation and nothing written. Steps that would follow are simulated as
//! succeeding, and marked so in log and report.

use std::sync::Arc;

use canaryd_planner::Plan;

use super::house::{Cell, House};
use super::plan_page::in_words;

/// Takes the actions out of a plan and says what they would have been. The memory goes on as if they had succeeded.
pub(crate) fn pretend(_house: &Arc<House>, cell: &Arc<Cell>, mut plan: Plan) -> Plan {
    for action in std::mem::take(&mut plan.actions) {
        tracing::info!(rollout = %cell.name, dry_run = true, "would {}", in_words(&action));
    }
    if let Some(report) = &mut plan.report {
        report.notes.push("dry run: nothing was written; what follows is simulated as succeeding".to_owned());
    }
    plan
}
