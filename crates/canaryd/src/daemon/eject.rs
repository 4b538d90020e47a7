//! The way out: what is in production, as a Compose file. Nothing is changed by it.

use std::collections::BTreeMap;

use canaryd_cockpit::{EjectPage, Refusal};
use canaryd_engine::{Engine, ObservedContainer, RunState};
use canaryd_gateway::Lane;
use canaryd_rollout::{
    Component, Ejection, Rollout, RolloutName, Running, RunningComponent, eject as compose, image_reference,
};

use super::bells::lock;
use super::house::{Cell, House};
use super::store::image_id;

/// How far from the gateway's port Compose's is, unless one is said.
const ASIDE: u16 = 10_000;

/// The file and how to move there.
pub(super) async fn eject(house: &House, name: &RolloutName, port: Option<u16>) -> Result<EjectPage, Refusal> {
    let refused = |error: String| Refusal { error, hint: None };
    let cell = house.cell(name).ok_or_else(|| refused(format!("there is no rollout {name}")))?;
    let (revision, ids, on_trial) = {
        let memory = cell.memory.lock().await;
        let Some((_, revision)) = memory.release_in(Lane::Production) else {
            return Err(refused(format!("{name} has nothing in production yet")));
        };
        let on_trial = memory.on_trial().map(str::to_owned);
        (revision.clone(), in_production(house, name, |c| memory.lane_of(&c.set) == Some(Lane::Production)), on_trial)
    };
    let stored = house.store.revision(name, &revision);
    let stored =
        stored.ok_or_else(|| refused(format!("what revision {revision} was started with cannot be read any more")))?;
    let rollout = as_it_is_now(&stored, &cell);
    let running = Running {
        host: house.config.host.clone(),
        components: components(house.engine.as_ref(), &rollout, &ids, &cell).await,
        port: port.unwrap_or_else(|| aside(&rollout)),
    };
    let Ejection { compose, steps } = compose(&rollout, &running);
    let notes = on_trial.map(|version| {
        format!("{version} is on trial and not in this file: wait for its end, or canaryd abort {name}, before you move users")
    });
    Ok(EjectPage { version: rollout.version.clone(), compose, steps, notes: notes.into_iter().collect() })
}

/// One running container of each component, by its name.
fn in_production(
    house: &House,
    name: &RolloutName,
    is: impl Fn(&ObservedContainer) -> bool,
) -> BTreeMap<String, String> {
    let observation = house.observer.seen().observation;
    let mine = observation.iter().flat_map(|seen| seen.of(name).0);
    let running = mine.filter(|c| c.state == RunState::Running && is(c));
    running.map(|c| (c.component.to_string(), c.name.clone())).collect()
}

/// The gateway and the place of the manifest are no part of a version: those of today count.
fn as_it_is_now(stored: &Rollout, cell: &Cell) -> Rollout {
    let mut rollout = stored.clone();
    if let Some(wish) = &lock(&cell.wish).rollout {
        rollout.gateway = wish.gateway.clone();
        rollout.origin.clone_from(&wish.origin);
    }
    rollout
}

async fn components(
    engine: &dyn Engine,
    rollout: &Rollout,
    running: &BTreeMap<String, String>,
    cell: &Cell,
) -> BTreeMap<canaryd_rollout::ComponentName, RunningComponent> {
    let mut found = BTreeMap::new();
    for component in rollout.components() {
        let Some(id) = image_id(rollout, &component.image) else { continue };
        let report = lock(&cell.report).clone();
        let counts = report.as_ref().and_then(|r| r.replicas.get(&component.name)?.get(&Lane::Production));
        let one = RunningComponent {
            image: image_of(engine, component, id).await,
            container: running.get(component.name.as_str()).cloned(),
            replicas: counts.map_or(component.replicas, |counts| counts.wanted),
        };
        found.insert(component.name.clone(), one);
    }
    found
}

/// By the digest of its registry, which another host knows too; else by its id.
async fn image_of(engine: &dyn Engine, component: &Component, id: &str) -> String {
    let known = engine.image(id).await.ok().flatten();
    let repository = image_reference(&component.image).ok().map(|reference| match reference.registry {
        Some(registry) => format!("{registry}/{}@", reference.repository),
        None => format!("{}@", reference.repository),
    });
    let mut digests = known.into_iter().flat_map(|image| image.digests);
    let ours = digests.find(|digest| repository.as_ref().is_some_and(|r| digest.starts_with(r.as_str())));
    ours.unwrap_or_else(|| id.to_owned())
}

fn aside(rollout: &Rollout) -> u16 {
    beside(rollout.gateway.listen.first().map_or(8080, |listen| listen.port))
}

/// Another port that is easily told from it.
fn beside(port: u16) -> u16 {
    port.checked_add(ASIDE).unwrap_or_else(|| port - ASIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_one_beside_it() {
        assert_eq!((beside(80), beside(8080), beside(65_535)), (80 + ASIDE, 8080 + ASIDE, 65_535 - ASIDE));
        assert!((1..=u16::MAX).all(|port| beside(port) != port && beside(port) > 0));
    }
}
