//! While it is stopped nobody is sent to a container and none is started; afterwards nobody is sent to one that is not well.

use canaryd_gateway::{Lane, Traffic};
use canaryd_planner::*;

use super::laws::share;

pub fn check(before: &Memory, world: &World, plan: &Plan) {
    if world.journal_trouble.is_some() {
        return; // nothing of such a plan is remembered
    }
    let asked = plan.actions.iter().find_map(Action::route).or(plan.memory.asked());
    match plan.memory.phase_name() {
        "stopping" | "stopped" => {
            let unseen = world.sets.is_empty() && world.engine.unreachable.is_some();
            let page = asked.is_none_or(|a| matches!(a.traffic, Traffic::Stopped { .. }));
            assert!(page || unseen, "users get something else than the page: {asked:?}");
        }
        _ => {}
    }
    nothing_starts(plan);
    whoever_comes_back_is_well(before, world, plan);
    nothing_is_begun(before, plan);
}

fn stopped(memory: &Memory) -> bool {
    matches!(memory.phase_name(), "stopping" | "stopped" | "returning")
}

fn nothing_starts(plan: &Plan) {
    if plan.memory.phase_name() != "stopped" {
        return;
    }
    for action in &plan.actions {
        if let Action::EnsureSet(goal) = action {
            assert!(goal.running.is_empty(), "started while it is stopped: {goal:?}");
        }
    }
}

/// The first that users get after the page is healthy, all of it.
fn whoever_comes_back_is_well(before: &Memory, world: &World, plan: &Plan) {
    let was = before.asked().is_some_and(|a| matches!(a.traffic, Traffic::Stopped { .. }));
    let Some(intent) = plan.actions.iter().find_map(Action::route).filter(|_| was) else { return };
    if share(intent, Lane::Production) == canaryd_rollout::Weight::ZERO {
        return;
    }
    for endpoint in intent.lane(Lane::Production) {
        let set = world.sets.iter().find(|set| set.id == endpoint.set);
        let replica = set.and_then(|set| set.replicas.iter().find(|r| r.ordinal == endpoint.ordinal));
        let well = replica.is_some_and(|r| r.state == RunState::Running && r.health == Health::Healthy);
        assert!(well, "users are sent to what is not well: {endpoint:?} {replica:?}");
    }
    let Desired::Ready(manifest) = &world.desired else { return };
    let have = u32::try_from(intent.lane(Lane::Production).len()).unwrap();
    assert!(have >= manifest.app.replicas, "users come back to {have} of {} replicas", manifest.app.replicas);
}

/// No version moves while it is stopped, and none is blamed.
fn nothing_is_begun(before: &Memory, plan: &Plan) {
    if !(stopped(before) && stopped(&plan.memory)) {
        return;
    }
    let moved = ["preflight", "started", "reverted", "aborted", "promoted", "container-lost", "unwell"];
    let event = plan.events.iter().find(|event| moved.contains(&event.kind.as_str()));
    assert!(event.is_none_or(|event| event.message.contains("gateway")), "{event:?} while it is stopped");
}
