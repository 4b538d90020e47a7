//! Whether replicas are well: one probe task for each running container with an HTTP health check; Docker's own
//! word for the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use canaryd_engine::{DockerHealth, ObservedContainer, RunState};
use canaryd_planner::Health;
use canaryd_probe::{HealthSettings, Reach, Target, from_docker, from_running, watch_http};
use canaryd_rollout::{Component, Probe};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bells::lock;
use super::house::Cell;

/// A container in one of its lives: a restart begins a new one.
type Life = (String, Option<Timestamp>);

/// The probes of one rollout.
#[derive(Debug, Default)]
pub(crate) struct HealthBoard(Mutex<BTreeMap<Life, Watched>>);

#[derive(Debug)]
struct Watched {
    health: watch::Receiver<canaryd_probe::Health>,
    settings: HealthSettings,
    cancel: CancellationToken,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl HealthBoard {
    /// Probes exactly these containers from now on; each change rings the cell's bell.
    pub(crate) fn watch(&self, cell: &Arc<Cell>, reach: &Reach, containers: &[(&ObservedContainer, &Component)]) {
        let mut watched = lock(&self.0);
        let mut living = BTreeSet::new();
        for (container, component) in containers {
            let (Probe::Http { path, port }, RunState::Running, Some(addr)) =
                (&component.health.probe, container.state, container.addr)
            else {
                continue;
            };
            let Some(port) = port.or(component.port) else { continue };
            let life = (container.id.clone(), container.started_at);
            living.insert(life.clone());
            let settings = HealthSettings::from(&component.health);
            if watched.get(&life).is_some_and(|w| w.settings == settings) {
                continue;
            }
            let cancel = cell.stop.child_token();
            let target = Target { addr, port, path: path.clone() };
            let health = watch_http(reach.clone(), target, settings, age_of(container), cancel.clone());
            tokio::spawn(ring_on_change(Arc::clone(cell), health.clone(), cancel.clone()));
            watched.insert(life, Watched { health, settings, cancel });
        }
        watched.retain(|life, _| living.contains(life));
    }

    /// What is known of one container now. `reachable`: whether there is a way to ask it.
    pub(crate) fn of(&self, container: &ObservedContainer, component: Option<&Component>, reachable: bool) -> Health {
        let Some(component) = component else { return Health::Starting { last: None } };
        match &component.health.probe {
            Probe::Http { .. } => {
                let watched = lock(&self.0);
                let life = (container.id.clone(), container.started_at);
                let unwatched = if reachable { Health::Starting { last: None } } else { Health::Unasked };
                watched.get(&life).map_or(unwatched, |w| as_seen(&w.health.borrow()))
            }
            Probe::Exec(_) | Probe::Image => {
                let settings = HealthSettings::from(&component.health);
                as_seen(&from_docker(docker_word(container), age_of(container), &settings))
            }
            Probe::None if container.state == RunState::Running => {
                as_seen(&from_running(age_of(container), &HealthSettings::from(&component.health)))
            }
            Probe::None => Health::Starting { last: None },
        }
    }
}

fn docker_word(container: &ObservedContainer) -> canaryd_probe::DockerHealth {
    match container.docker_health {
        None => canaryd_probe::DockerHealth::Absent,
        Some(DockerHealth::Starting) => canaryd_probe::DockerHealth::Starting,
        Some(DockerHealth::Healthy) => canaryd_probe::DockerHealth::Healthy,
        Some(DockerHealth::Unhealthy { .. }) => canaryd_probe::DockerHealth::Unhealthy,
    }
}

/// How long a container runs already, by the engine's clock.
fn age_of(container: &ObservedContainer) -> Duration {
    let started = container.started_at.unwrap_or_else(Timestamp::now);
    Duration::try_from(Timestamp::now().duration_since(started)).unwrap_or_default()
}

fn as_seen(health: &canaryd_probe::Health) -> Health {
    match health {
        canaryd_probe::Health::Starting { last } => Health::Starting { last: last.clone() },
        canaryd_probe::Health::Healthy => Health::Healthy,
        canaryd_probe::Health::Unhealthy { why } => Health::Unhealthy { why: why.clone() },
    }
}

async fn ring_on_change(
    cell: Arc<Cell>,
    mut health: watch::Receiver<canaryd_probe::Health>,
    cancel: CancellationToken,
) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = health.changed() => match changed {
                Ok(()) => cell.bell.ring(),
                Err(_) => return,
            },
        }
    }
}
