//! What commands that look inside a rollout's containers need: which there are, and where.

use canaryd_cockpit::{ContainerView, ContainersPage, Refusal};
use canaryd_engine::{ObservedContainer, RunState};
use canaryd_planner::Memory;
use canaryd_rollout::RolloutName;

use super::house::House;

/// The containers of a rollout, by component, lane and number.
pub(super) async fn containers(house: &House, name: &RolloutName) -> Result<ContainersPage, Refusal> {
    let info = house.engine.info().await.map_err(|e| refused(e.to_string()))?;
    let observation = house.observer.seen().observation;
    let Some(cell) = house.cell(name) else { return Err(refused(format!("there is no rollout {name}"))) };
    let memory = cell.memory.lock().await;
    let mine = observation.iter().flat_map(|seen| seen.of(name).0);
    let mut containers: Vec<ContainerView> = mine.map(|c| view(c, &memory)).collect();
    containers.sort_by(|a, b| (&a.component, a.lane, a.ordinal).cmp(&(&b.component, b.lane, b.ordinal)));
    Ok(ContainersPage { engine: info.endpoint, containers })
}

fn view(container: &ObservedContainer, memory: &Memory) -> ContainerView {
    ContainerView {
        id: container.id.clone(),
        name: container.name.clone(),
        component: container.component.clone(),
        lane: memory.lane_of(&container.set),
        version: container.version.clone(),
        revision: container.revision.clone(),
        ordinal: container.ordinal,
        running: container.state == RunState::Running,
    }
}

fn refused(error: String) -> Refusal {
    Refusal { error, hint: None }
}
