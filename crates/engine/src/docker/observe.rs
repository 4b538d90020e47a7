//! One look at everything of this instance: one list, and an inspection of each container that may have changed. What one
//! container does not answer is no reason to know nothing of the others.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, HealthStatusEnum,
    RestartPolicyNameEnum as Policy,
};
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;

use super::exits::Seen;
use super::labels::{self, Identity};
use super::look::Look;
use super::networks::fixed_address;
use super::sets::{endpoints, name, pid, policy, status};
use super::{Inner, gateways};
use crate::error::Result;
use crate::observation::{DockerHealth, Observation, ObservedContainer, ObservedGateway, RunState};

/// Inspections under way at once.
const AT_ONCE: usize = 8;
/// Longest output of a health check that is passed on, in characters.
const SHORT: usize = 300;

impl Inner {
    pub(super) async fn observe(self: &Arc<Self>) -> Result<Observation> {
        let at = Timestamp::now();
        let list = self.list(labels::filter(&self.options.instance)).await?;
        self.book().answered(Timestamp::now(), self.engine_start());
        let looks = stream::iter(list).map(|(identity, summary)| async move {
            let look = self.look(&summary).await?;
            Ok::<_, crate::EngineError>(look.map(|look| (identity, look)))
        });
        let looked: Vec<_> = looks.buffer_unordered(AT_ONCE).collect().await;
        let mut observation = Observation { at, containers: Vec::new(), gateways: Vec::new() };
        let mut ids = HashSet::new();
        for look in looked {
            let Some((identity, look)) = look? else { continue };
            ids.insert(look.found.id.clone().unwrap_or_default());
            self.enter(&mut observation, identity, look);
        }
        self.book().retain(|id| ids.contains(id));
        self.cache().retain(|id, _| ids.contains(id));
        observation.containers.sort_by(|a, b| (&a.rollout, &a.set, a.ordinal).cmp(&(&b.rollout, &b.set, b.ordinal)));
        observation.gateways.sort_by(|a, b| a.rollout.cmp(&b.rollout));
        Ok(observation)
    }

    fn enter(&self, observation: &mut Observation, identity: Identity, look: Look) {
        let Look { found, unseen } = look;
        let found = found.as_ref();
        let id = found.id.clone().unwrap_or_default();
        let kin = Some(kin(&identity));
        let exits = {
            let mut book = self.book();
            if unseen.is_none() {
                book.seen(&seen(&id, kin, found));
            }
            book.exits(&id)
        };
        let addr = own_address(&identity, found);
        let (name, image_id, error) = (name(found), found.image.clone().unwrap_or_default(), start_failure(found));
        let (state, pid, started_at) = (run_state(found), pid(found), started_at(found));
        match identity {
            Identity::Replica(r) => observation.containers.push(ObservedContainer {
                rollout: r.rollout,
                component: r.component,
                set: r.set,
                revision: r.revision,
                ordinal: r.ordinal,
                version: r.version,
                docker_health: docker_health(found),
                id,
                name,
                image_id,
                state,
                started_at,
                exits,
                addr,
                pid,
                error,
                unseen,
            }),
            Identity::Gateway { rollout, spec_hash } => {
                if let Some(pid) = pid {
                    self.masters().insert(id.clone(), pid);
                }
                let ops_port = gateways::ops_port(found);
                let gateway = ObservedGateway {
                    rollout,
                    id,
                    name,
                    image_id,
                    state,
                    pid,
                    ops_port,
                    addr,
                    started_at,
                    spec_hash,
                    exits,
                    error,
                    unseen,
                };
                observation.gateways.push(gateway);
            }
        }
    }
}

/// Containers that may fail together for one reason: those of one revision of one rollout.
pub(super) fn kin(identity: &Identity) -> String {
    match identity {
        Identity::Replica(r) => format!("{} {}", r.rollout, r.revision),
        Identity::Gateway { rollout, .. } => format!("{rollout} gateway"),
    }
}

fn seen<'a>(id: &'a str, kin: Option<String>, found: &ContainerInspectResponse) -> Seen<'a> {
    let state = found.state.clone().unwrap_or_default();
    let goes_on = matches!(status(found), Status::RUNNING | Status::PAUSED | Status::RESTARTING);
    Seen {
        id,
        kin,
        finished_at: time(state.finished_at.as_deref()).filter(|_| status(found) != Status::CREATED),
        // While it runs again, the code of its last exit is not known any more.
        code: state.exit_code.unwrap_or_default(),
        oom: state.oom_killed == Some(true),
        goes_on,
        restarts: found.restart_count.unwrap_or_default(),
        restarts_always: matches!(policy(found), Some(Policy::UNLESS_STOPPED | Policy::ALWAYS)),
        failed_start: state.error.as_ref().is_some_and(|e| !e.is_empty()),
    }
}

fn own_address(identity: &Identity, found: &ContainerInspectResponse) -> Option<IpAddr> {
    let networks: HashMap<_, _> = endpoints(found);
    networks.get(&labels::network_name(identity.rollout())).and_then(fixed_address).map(IpAddr::V4)
}

pub(super) fn run_state(found: &ContainerInspectResponse) -> RunState {
    match status(found) {
        Status::CREATED | Status::EMPTY => RunState::Created,
        Status::RUNNING | Status::STOPPING => RunState::Running,
        Status::PAUSED => RunState::Paused,
        Status::RESTARTING => RunState::Restarting,
        Status::EXITED | Status::REMOVING | Status::DEAD => RunState::Exited,
    }
}

fn docker_health(found: &ContainerInspectResponse) -> Option<DockerHealth> {
    let health = found.state.as_ref()?.health.as_ref()?;
    let last = || health.log.iter().flatten().last().and_then(|r| r.output.clone()).unwrap_or_default();
    match health.status? {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        HealthStatusEnum::STARTING => Some(DockerHealth::Starting),
        HealthStatusEnum::HEALTHY => Some(DockerHealth::Healthy),
        HealthStatusEnum::UNHEALTHY => {
            Some(DockerHealth::Unhealthy { last: last().trim().chars().take(SHORT).collect() })
        }
    }
}

pub(super) fn started_at(found: &ContainerInspectResponse) -> Option<Timestamp> {
    found.state.as_ref().and_then(|s: &ContainerState| time(s.started_at.as_deref()))
}

fn start_failure(found: &ContainerInspectResponse) -> Option<String> {
    found.state.as_ref()?.error.clone().filter(|e| !e.is_empty())
}

/// Docker writes the year 1 for "never".
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|t| t.as_second() > 0)
}
