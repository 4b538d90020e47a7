//! Sets: one task each. A new goal for a set replaces the one under way; a failed one is reported, and tried again with a
//! growing pause for as long as the planner asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use canaryd_engine::{EngineError, SetPlan};
use canaryd_planner::{Action, Fault, SetGoal, Trouble};
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

    /// Forgets what is not asked for any more and not under way.
    pub(crate) fn heed(&self, actions: &[Action]) {
        let asked: BTreeSet<&SetId> = actions.iter().filter_map(Action::set).collect();
        let under_way = |op: &Operation| op.task.as_ref().is_some_and(|task| !task.is_finished());
        lock(&self.0).retain(|set, op| asked.contains(set) || under_way(op));
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
        lock(&self.0).entry(set.clone()).or_insert(Operation::new(wanted)).task = Some(task);
    }

    fn end(&self, set: &SetId, wanted: &Wanted, result: Result<(), EngineError>) {
        let mut operations = lock(&self.0);
        let Some(op) = operations.get_mut(set).filter(|op| &op.wanted == wanted) else { return };
        op.task = None;
        match result {
            Ok(()) => drop(operations.remove(set)),
            Err(error) => op.fail(set, error.to_string(), fault_of(&error)),
        }
    }

    /// It could not even begin.
    fn fail(&self, set: &SetId, wanted: Wanted, what: String) {
        lock(&self.0).entry(set.clone()).or_insert(Operation::new(wanted)).fail(set, what, Fault::Host);
    }
}

impl Operation {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, task: None, trouble: None, failures: 0, not_before: None }
    }

    fn fail(&mut self, set: &SetId, what: String, fault: Fault) {
        self.failures += 1;
        self.not_before = Some(Instant::now() + Duration::from_secs(1 << self.failures.min(5)));
        self.trouble = Some(Trouble { set: set.clone(), what, fault });
    }
}

fn fault_of(error: &EngineError) -> Fault {
    match error.fault() {
        canaryd_engine::Fault::Passing => Fault::Passing,
        canaryd_engine::Fault::Host => Fault::Host,
        canaryd_engine::Fault::Asked => Fault::Version,
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
            cell.sets.fail(&set, wanted, what);
            // the next plan tells of it
            cell.bell.ring();
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
        stored = house.store.revision(&cell.name, &goal.revision).ok_or_else(|| gone_files(house, cell, &goal))?;
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

fn gone_files(house: &House, cell: &Cell, goal: &SetGoal) -> String {
    let dir = house.store.files_dir(&cell.name, &goal.revision);
    let dir = dir.parent().unwrap_or(&dir).display();
    format!(
        "what revision {} was started with cannot be read any more ({dir}): put it back from a backup, or set another version",
        goal.revision
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(running: Vec<u32>) -> SetGoal {
        SetGoal {
            set: SetId::nth(1),
            component: canaryd_rollout::ComponentName::app(),
            revision: "0123456789".parse().unwrap(),
            running,
            stopped: Vec::new(),
            removed: Vec::new(),
            grace: Duration::ZERO,
            expendable: false,
        }
    }

    #[test]
    fn a_set_that_cannot_be_described_is_a_trouble_and_is_not_asked_for_again_at_once() {
        let tasks = SetTasks::default();
        let (set, wanted) = (SetId::nth(1), Wanted::Ensured(goal(vec![1, 2])));
        assert!(tasks.admits(&set, &wanted));
        tasks.fail(&set, wanted.clone(), "its files are gone".to_owned());
        let troubles = tasks.troubles();
        assert_eq!((troubles[0].what.as_str(), troubles[0].fault), ("its files are gone", Fault::Host));
        assert!(!tasks.admits(&set, &wanted), "with a pause");
        tasks.heed(&[Action::EnsureSet(goal(vec![1, 2]))]);
        assert_eq!(tasks.troubles().len(), 1, "still asked for");
        assert!(tasks.admits(&set, &Wanted::Ensured(goal(vec![1]))), "another goal is another try");
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_no_trouble() {
        let tasks = SetTasks::default();
        tasks.fail(&SetId::nth(1), Wanted::Removed, "device or resource busy".to_owned());
        tasks.heed(&[]);
        assert!(tasks.troubles().is_empty());
    }

    #[test]
    fn a_taken_port_is_the_hosts_fault_and_a_bad_command_is_the_versions() {
        let taken = EngineError::AddressInUse { address: "127.0.0.1:80".into(), holder: "nginx".into() };
        let command = EngineError::BadCommand { container: "shop-app-1".into(), why: "no such file".into() };
        let late = EngineError::Timeout { doing: "starting".into(), after: Duration::from_secs(1) };
        assert_eq!([taken, command, late].map(|e| fault_of(&e)), [Fault::Host, Fault::Version, Fault::Passing]);
    }
}
