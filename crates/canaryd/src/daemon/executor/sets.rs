//! Sets: one task each. A new goal for a set replaces the one under way; a failed one is tried again with a growing
//! pause, or reported as final.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use canaryd_engine::{EngineError, SetPlan};
use canaryd_planner::{SetGoal, Trouble};
use canaryd_rollout::SetId;
use tokio::time::Instant;

use crate::daemon::bells::lock;
use crate::daemon::house::{Cell, House};
use crate::daemon::store::image_id;

/// Operations on the sets of one rollout.
#[derive(Debug, Default)]
pub(crate) struct SetTasks(Mutex<BTreeMap<SetId, Operation>>);

#[derive(Debug)]
struct Operation {
    wanted: Wanted,
    task: Option<tokio::task::AbortHandle>,
    trouble: Option<Trouble>,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Ensured(SetGoal),
    Removed,
}

impl SetTasks {
    /// What went wrong and is not mended.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        lock(&self.0).values().filter_map(|o| o.trouble.clone()).collect()
    }

    /// Whether this may start now: not while the same is under way, nor too soon after it failed.
    fn admits(&self, set: &SetId, wanted: &Wanted) -> bool {
        let mut operations = lock(&self.0);
        let Some(op) = operations.get_mut(set) else { return true };
        if &op.wanted != wanted {
            if let Some(task) = op.task.take() {
                task.abort();
            }
            operations.remove(set);
            return true;
        }
        let idle = op.task.as_ref().is_none_or(tokio::task::AbortHandle::is_finished);
        idle && op.not_before.is_none_or(|at| Instant::now() >= at)
    }

    fn begin(&self, set: &SetId, wanted: Wanted, task: tokio::task::AbortHandle) {
        let mut operations = lock(&self.0);
        let op = operations.entry(set.clone()).or_insert(Operation {
            wanted,
            task: None,
            trouble: None,
            failures: 0,
            not_before: None,
        });
        op.task = Some(task);
    }

    fn end(&self, set: &SetId, wanted: &Wanted, result: Result<(), EngineError>) {
        let mut operations = lock(&self.0);
        let Some(op) = operations.get_mut(set).filter(|op| &op.wanted == wanted) else { return };
        op.task = None;
        match result {
            Ok(()) => {
                operations.remove(set);
            }
            Err(error) => {
                op.failures += 1;
                op.not_before = Some(Instant::now() + Duration::from_secs(1 << op.failures.min(5)));
                op.trouble = Some(Trouble { set: set.clone(), what: error.to_string(), is_final: error.is_final() });
            }
        }
    }
}

pub(super) fn ensure(house: &Arc<House>, cell: &Arc<Cell>, goal: SetGoal) {
    let wanted = Wanted::Ensured(goal.clone());
    if !cell.sets.admits(&goal.set, &wanted) {
        return;
    }
    let set = goal.set.clone();
    let plan = match plan_of(house, cell, goal) {
        Ok(plan) => plan,
        Err(what) => {
            tracing::error!(rollout = %cell.name, %set, what, "a set cannot be described");
            return;
        }
    };
    let (house, owner) = (Arc::clone(house), Arc::clone(cell));
    let (key, kept) = (set.clone(), wanted.clone());
    let task = house.tasks.clone().spawn(async move {
        let result = house.engine.ensure_set(&plan).await;
        if let Err(error) = &result {
            tracing::warn!(rollout = %owner.name, set = %key, %error, "a set is not as it should be yet");
        }
        owner.sets.end(&key, &kept, result);
        house.observer.look(house.engine.as_ref()).await;
        owner.bell.ring();
    });
    cell.sets.begin(&set, wanted, task.abort_handle());
}

pub(super) fn remove(house: &Arc<House>, cell: &Arc<Cell>, set: &SetId, grace: Duration) {
    if !cell.sets.admits(set, &Wanted::Removed) {
        return;
    }
    let (house, owner, key) = (Arc::clone(house), Arc::clone(cell), set.clone());
    let task = house.tasks.clone().spawn(async move {
        let result = house.engine.remove_set(&owner.name, &key, grace).await;
        owner.sets.end(&key, &Wanted::Removed, result);
        house.observer.look(house.engine.as_ref()).await;
        owner.bell.ring();
    });
    cell.sets.begin(set, Wanted::Removed, task.abort_handle());
}

/// The create body and everything else that the engine needs to know.
fn plan_of(house: &House, cell: &Cell, goal: SetGoal) -> Result<SetPlan, String> {
    let desired = lock(&cell.wish).rollout.clone();
    let stored;
    let rollout = if let Some(rollout) = desired.as_deref().filter(|r| r.revision == goal.revision) {
        rollout
    } else {
        stored = house
            .store
            .revision(&cell.name, &goal.revision)
            .ok_or_else(|| format!("the files of revision {} are gone", goal.revision))?;
        &stored
    };
    let component = rollout
        .component(&goal.component)
        .ok_or_else(|| format!("revision {} has no {}", goal.revision, goal.component))?;
    let image_id =
        image_id(rollout, &component.image).ok_or_else(|| format!("image {} is not resolved", component.image))?;
    Ok(SetPlan {
        rollout: cell.name.clone(),
        component: component.clone(),
        revision: goal.revision.clone(),
        version: rollout.version.clone(),
        image_id: image_id.to_owned(),
        set: goal.set,
        running: goal.running,
        stopped: goal.stopped,
        removed: goal.removed,
        grace: goal.grace,
        expendable: goal.expendable,
        files_dir: house.store.files_dir(&cell.name, &goal.revision),
    })
}
