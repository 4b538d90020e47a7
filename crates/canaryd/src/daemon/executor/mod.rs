//! The one place with effects: carries out what a plan decided, one file per kind of action. Nothing here waits for
//! the world; long operations are tasks, one for each set, and what becomes of them is seen by the next reconcile.

mod failure;
mod images;
mod sets;

use std::sync::Arc;

use canaryd_planner::Action;

use super::house::{Cell, House};

pub(crate) use failure::save as save_failure;
pub(crate) use images::ShelfBook;
pub(crate) use sets::SetTasks;

/// Carries out one action; returns at once.
pub(crate) fn carry_out(house: &Arc<House>, cell: &Arc<Cell>, action: Action) {
    tracing::debug!(rollout = %cell.name, ?action, "acting");
    match action {
        Action::Route(intent) => cell.gateway.ask(intent),
        Action::EnsureSet(goal) => sets::ensure(house, cell, goal),
        Action::RemoveSet { set, grace } => sets::remove(house, cell, &set, grace),
        Action::SaveFailure { set, revision, reason } => failure::save(house, cell, set, revision, reason),
        Action::KeepImages { revision } => images::keep(house, cell, revision),
        Action::ForgetRevision { revision } => images::forget(house, cell, revision),
        Action::RemoveGateway => cell.gateway.remove(),
        Action::ResolveAgain => super::resolver::resolve_again(house, cell),
    }
}
