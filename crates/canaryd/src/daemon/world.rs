//! One snapshot of everything that concerns one rollout, in the planner's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use canaryd_engine::{ExitCause as SeenCause, Observation, ObservedContainer, RunState as SeenState, Unseen};
use canaryd_planner::{
    Desired, EngineView, Exit, ExitCause, Fault, GatewayContainer, GatewayView, Health, Memory, Replica, RunState,
    SetView, Slots, Trouble, World,
};
use canaryd_rollout::{Component, RevisionId, Rollout, SetId};
use jiff::Timestamp;

use super::bells::lock;
use super::book::ABSENCE;
use super::house::{Cell, House};

/// Builds the snapshot and keeps the probes in step with it.
pub(crate) fn world_of(house: &House, cell: &Arc<Cell>, memory: &Memory, slots: Slots) -> World {
    let seen = house.observer.seen();
    let revisions = Revisions::of(house, cell, memory);
    let containers = containers_of(seen.observation.as_deref(), cell);
    let reachable = probe(house, cell, &revisions, &containers);
    World {
        desired: desired_of(cell, memory),
        sets: sets_of(cell, reachable, &revisions, &containers),
        gateway: gateway_of(cell, seen.observation.as_deref(), house.config.dry_run),
        evidence: super::evidence::view(cell),
        slots,
        shelf: cell.shelf.view(),
        engine: EngineView {
            unreachable: engine_trouble(&seen),
            asking: seen.asking > 0,
            troubles: cell.sets.troubles().into_iter().chain(unseen(&containers)).collect(),
            busy: lock(&cell.wish).pulling.clone(),
        },
        journal_trouble: house.journal_trouble(),
    }
}

fn engine_trouble(seen: &super::observer::Seen) -> Option<String> {
    match (&seen.unreachable, &seen.observation) {
        (Some(why), _) => Some(why.clone()),
        (None, None) => Some("the engine was not asked yet".to_owned()),
        (None, Some(_)) => None,
    }
}

/// A gateway that cannot be looked into serves on, and that is said.
fn gateway_of(cell: &Cell, observation: Option<&Observation>, is_dry: bool) -> GatewayView {
    let mut view = cell.gateway.view();
    let mine = observation.and_then(|o| o.of(&cell.name).1.first());
    if let Some((name, unseen)) = mine.and_then(|g| Some((&g.name, g.unseen.as_ref()?))) {
        view.problem.get_or_insert(format!("{}; it serves on", in_words(name, unseen)));
    }
    view.container = mine.map(container_of);
    let stands = observation.filter(|_| view.live.is_some()).and_then(|_| standstill(&cell.name, mine));
    if let Some(rollout) = lock(&cell.wish).rollout.clone().filter(|_| !is_dry) {
        (view.refused, view.untried) = cell.gateway.word_on(&rollout);
    }
    view.silent = stands.or_else(|| super::evidence::deaf_gateway(cell));
    view
}

fn container_of(gateway: &canaryd_engine::ObservedGateway) -> GatewayContainer {
    let runs = match gateway.state {
        SeenState::Running | SeenState::Paused => true,
        SeenState::Created | SeenState::Restarting | SeenState::Exited => false,
    };
    GatewayContainer {
        id: short(&gateway.id),
        runs,
        paused: gateway.state == SeenState::Paused,
        // What was known of its start may be older than that it runs.
        started_at: gateway.started_at.filter(|_| gateway.unseen.is_none()),
        exit: gateway.exits.last().map(exit_of),
    }
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Why a gateway that was live cannot answer, where the engine knows.
fn standstill(
    name: &canaryd_rollout::RolloutName,
    gateway: Option<&canaryd_engine::ObservedGateway>,
) -> Option<String> {
    let Some(gateway) = gateway else {
        return Some("the gateway's container is gone; canaryd makes it anew".to_owned());
    };
    let container = &gateway.name;
    match gateway.state {
        SeenState::Running => None,
        SeenState::Paused => {
            Some(format!("the gateway's container is paused; docker unpause {container} lets it go on"))
        }
        SeenState::Created | SeenState::Restarting | SeenState::Exited => Some(format!(
            "the gateway's container {container} does not run; canaryd starts it; canaryd logs {name} --gateway shows why"
        )),
    }
}

/// Containers that exist and cannot be looked into: what was last known of them counts, and nothing is concluded from it.
fn unseen(containers: &[&ObservedContainer]) -> Vec<Trouble> {
    let trouble = |c: &&ObservedContainer| {
        let what = in_words(&c.name, c.unseen.as_ref()?);
        Some(Trouble { set: c.set.clone(), what, fault: Fault::Passing })
    };
    containers.iter().filter_map(trouble).collect()
}

fn in_words(name: &str, unseen: &Unseen) -> String {
    let known = unseen
        .inspected
        .map_or("nothing more is known of it".to_owned(), |at| format!("what was known of it at {} counts", clock(at)));
    let Unseen { since, why, .. } = unseen;
    let since = clock(*since);
    format!(
        "Docker cannot inspect container {name} since {since} ({why}), {known}; if that lasts, restart it or Docker"
    )
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

fn desired_of(cell: &Cell, memory: &Memory) -> Desired {
    let wish = lock(&cell.wish);
    match (&wish.gone, &wish.rollout) {
        (Some((since, confirmed)), _) => {
            // What was deleted by a command before needs nobody to confirm it, whoever else went with it.
            let absent = Timestamp::now().duration_since(*since).unsigned_abs();
            let confirmed = *confirmed || (memory.is_deleted() && absent >= ABSENCE);
            Desired::Gone { since: *since, confirmed }
        }
        (None, Some(rollout)) => Desired::Ready(Box::new((**rollout).clone())),
        (None, None) => Desired::Unknown,
    }
}

fn containers_of<'a>(observation: Option<&'a Observation>, cell: &Cell) -> Vec<&'a ObservedContainer> {
    observation.into_iter().flat_map(|o| o.of(&cell.name).0).collect()
}

/// The rollouts that say how components of each revision prove that they are well. Health is policy: the manifest in
/// force wins over what a revision was started with.
struct Revisions {
    desired: Option<Arc<Rollout>>,
    stored: BTreeMap<RevisionId, Arc<Rollout>>,
}

impl Revisions {
    fn of(house: &House, cell: &Cell, memory: &Memory) -> Self {
        let desired = lock(&cell.wish).rollout.clone();
        let stored = memory
            .revisions()
            .into_iter()
            .filter(|revision| desired.as_ref().is_none_or(|d| &d.revision != revision))
            .filter_map(|revision| Some((revision.clone(), house.store.revision(&cell.name, &revision)?)))
            .collect();
        Self { desired, stored }
    }

    fn component(&self, container: &ObservedContainer) -> Option<&Component> {
        let desired = self.desired.as_deref().and_then(|d| d.component(&container.component));
        desired.or_else(|| self.stored.get(&container.revision)?.component(&container.component))
    }
}

/// Whether there is a way to the containers.
fn probe(house: &House, cell: &Arc<Cell>, revisions: &Revisions, containers: &[&ObservedContainer]) -> bool {
    let described: Vec<(&ObservedContainer, &Component)> =
        containers.iter().filter_map(|c| Some((*c, revisions.component(c)?))).collect();
    let reach = cell.gateway.reach(house);
    if let Some(reach) = &reach {
        cell.health.watch(cell, reach, &described);
    }
    reach.is_some()
}

fn sets_of(cell: &Cell, reachable: bool, revisions: &Revisions, containers: &[&ObservedContainer]) -> Vec<SetView> {
    grouped(containers, |container| replica_of(cell, reachable, revisions, container))
}

/// The sets by their labels alone: nobody was asked how they are.
pub(crate) fn sets_by_labels(containers: &[&ObservedContainer]) -> Vec<SetView> {
    grouped(containers, |container| replica(container, Health::Unasked))
}

fn grouped(containers: &[&ObservedContainer], replica: impl Fn(&ObservedContainer) -> Replica) -> Vec<SetView> {
    let mut sets: BTreeMap<SetId, SetView> = BTreeMap::new();
    for container in containers {
        let set = sets.entry(container.set.clone()).or_insert_with(|| SetView {
            id: container.set.clone(),
            component: container.component.clone(),
            revision: container.revision.clone(),
            replicas: Vec::new(),
        });
        set.replicas.push(replica(container));
    }
    let mut sets: Vec<SetView> = sets.into_values().collect();
    for set in &mut sets {
        set.replicas.sort_by_key(|r| r.ordinal);
    }
    sets
}

fn replica_of(cell: &Cell, reachable: bool, revisions: &Revisions, container: &ObservedContainer) -> Replica {
    replica(container, cell.health.of(container, revisions.component(container), reachable))
}

fn replica(container: &ObservedContainer, health: Health) -> Replica {
    Replica {
        ordinal: container.ordinal,
        container: short(&container.id),
        state: match container.state {
            SeenState::Created => RunState::Created,
            SeenState::Running => RunState::Running,
            SeenState::Paused => RunState::Paused,
            SeenState::Restarting => RunState::Restarting,
            SeenState::Exited => RunState::Exited,
        },
        health,
        started_at: container.started_at,
        addr: container.addr,
        exits: container.exits.iter().map(exit_of).collect(),
    }
}

fn exit_of(exit: &canaryd_engine::ObservedExit) -> Exit {
    Exit {
        at: exit.at,
        code: exit.code,
        oom: exit.oom,
        cause: match exit.cause {
            SeenCause::Itself => ExitCause::Itself,
            SeenCause::Us => ExitCause::Us,
            SeenCause::Somebody => ExitCause::Somebody,
            SeenCause::Neighbour => ExitCause::Neighbour,
            SeenCause::Engine => ExitCause::Engine,
        },
    }
}
