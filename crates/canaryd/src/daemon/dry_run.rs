//! `--dry-run`: the full loop with real observation; every action is told instead of done. The world does not change,
//! so what would follow the first actions is not shown.

use std::sync::Arc;

use canaryd_planner::Plan;

use super::house::Cell;
use super::plan_page::in_words;

/// Takes the actions out of a plan and says what they would have been. The memory goes on as if they were under way.
pub(crate) fn pretend(cell: &Arc<Cell>, mut plan: Plan) -> Plan {
    for action in std::mem::take(&mut plan.actions) {
        tracing::info!(rollout = %cell.name, dry_run = true, "would {}", in_words(&action));
    }
    if let Some(report) = &mut plan.report {
        report.notes.push("dry run: nothing was written to Docker, NGINX or the journal's memories".to_owned());
    }
    plan
}
