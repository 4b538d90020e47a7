//! Bringing a set to its goal, container by container. Each step looks first, so that any of them may be the last one before a
//! cancellation and the next call goes on from there.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as Status, ContainerSummary, ContainerUpdateBody,
    EndpointSettings, RestartPolicyNameEnum as Policy,
};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, RemoveContainerOptions, StopContainerOptions,
};
use canaryd_rollout::{RolloutName, SetId};
use futures::future::try_join_all;
use jiff::Timestamp;

use super::call::{self, StartTrouble};
use super::labels::{self, Identity, ReplicaId};
use super::networks::{self, OwnNetwork};
use super::{Inner, create, host};
use crate::error::{EngineError, Result};
use crate::plan::SetPlan;

impl Inner {
    pub(super) async fn ensure_set(&self, plan: &SetPlan) -> Result<()> {
        let existing = self.containers_of(&plan.rollout, &plan.set).await?;
        let of =
            |ordinals: &[u32]| -> Vec<String> { ordinals.iter().filter_map(|n| existing.get(n).cloned()).collect() };
        let (removed, stopped) = (of(&plan.removed), of(&plan.stopped));
        let removals = removed.iter().map(|id| self.stop_and_remove(id, plan.grace));
        let stops = stopped.iter().map(|id| self.stop_to_keep(id, plan.grace));
        futures::future::try_join(try_join_all(removals), try_join_all(stops)).await?;
        for ordinal in &plan.running {
            Box::pin(self.ensure_running(plan, *ordinal, existing.get(ordinal))).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_set(&self, rollout: &RolloutName, set: &SetId, grace: Duration) -> Result<()> {
        let existing = self.containers_of(rollout, set).await?;
        try_join_all(existing.values().map(|id| self.stop_and_remove(id, grace))).await.map(|_| ())
    }

    /// Ids by ordinal, found by label: a renamed container is still ours.
    async fn containers_of(&self, rollout: &RolloutName, set: &SetId) -> Result<BTreeMap<u32, String>> {
        let list = self.list(labels::filter_rollout(&self.options.instance, rollout)).await?;
        let replicas = list.into_iter().filter_map(|(identity, summary)| match identity {
            Identity::Replica(id) if &id.set == set => Some((id.ordinal, summary.id?)),
            Identity::Replica(_) | Identity::Gateway { .. } => None,
        });
        Ok(replicas.collect())
    }

    /// Containers of this instance that the filter lets through, with what their labels say.
    pub(super) async fn list(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<(Identity, ContainerSummary)>> {
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let list = self.call("listing containers", self.docker.list_containers(Some(options))).await?;
        let ours = list.into_iter().filter_map(|summary| {
            let identity = Identity::read(summary.labels.as_ref()?, &self.options.instance)?;
            Some((identity, summary))
        });
        Ok(ours.collect())
    }

    async fn ensure_running(&self, plan: &SetPlan, ordinal: u32, existing: Option<&String>) -> Result<()> {
        let identity = Identity::Replica(ReplicaId {
            rollout: plan.rollout.clone(),
            component: plan.component.name.clone(),
            set: plan.set.clone(),
            revision: plan.revision.clone(),
            ordinal,
            version: plan.version.clone(),
        });
        let name = identity.container_name();
        if let Some(id) = existing
            && let Some(found) = self.inspect(id).await?
        {
            if status(&found) != Status::DEAD {
                return self.ensure_started(plan, &name, found).await;
            }
            self.stop_and_remove(id, Duration::ZERO).await?;
        }
        let id = self.create(plan, &identity, &name).await?;
        match self.inspect(&id).await? {
            Some(created) => self.ensure_started(plan, &name, created).await,
            None => Err(EngineError::Gone { what: name.clone(), doing: format!("starting {name}") }),
        }
    }

    /// Creates the container with an address of its own. One creation at a time: an address is taken once its container exists.
    async fn create(&self, plan: &SetPlan, identity: &Identity, name: &str) -> Result<String> {
        let users = self.users_networks(&plan.component.container.networks, name).await?;
        let mut atlas = self.atlas.lock().await;
        let network = self.ensure_network(&mut atlas, &plan.rollout).await?;
        let address = self.free_address(&mut atlas, &plan.rollout, &network).await?;
        let body = create::body(plan, identity, &self.options.instance, &network.name, address);
        let platform = plan.component.container.platform.clone().unwrap_or_default();
        let options = CreateContainerOptions { name: Some(name.to_owned()), platform };
        let doing = format!("creating {name}");
        let id = match self.slow_raw(&doing, self.docker.create_container(Some(options), body)).await? {
            Ok(created) => created.id,
            Err(error) => self.adopt_or_explain(&error, identity, name, &plan.component.image, &doing).await?,
        };
        drop(atlas);
        let want: Vec<_> = users.into_iter().map(|(name, id)| (name, id, EndpointSettings::default())).collect();
        self.attach(&id, name, &HashMap::new(), &want).await?;
        tracing::info!(container = name, %address, "created");
        Ok(id)
    }

    /// A name that is in use: ours from an earlier, cancelled call, or somebody else's.
    pub(super) async fn adopt_or_explain(
        &self,
        error: &Bollard,
        identity: &Identity,
        name: &str,
        image: &str,
        doing: &str,
    ) -> Result<String> {
        match call::answer(error) {
            Some((409, _)) => {
                let found = self.inspect(name).await?;
                let labels = found.as_ref().and_then(|f| f.config.as_ref()?.labels.clone()).unwrap_or_default();
                match (Identity::read(&labels, &self.options.instance), found.and_then(|f| f.id)) {
                    (Some(theirs), Some(id)) if theirs == *identity => Ok(id),
                    (_, Some(_)) => Err(EngineError::NameTaken {
                        what: "container",
                        name: name.to_owned(),
                        whose: labels::owner(Some(&labels), "container", name),
                    }),
                    (_, None) => Err(call::explain(&self.endpoint, doing, error)),
                }
            }
            Some((404, message)) if message.to_lowercase().contains("image") => {
                Err(EngineError::NoSuchImage { reference: image.to_owned() })
            }
            Some((_, message)) => {
                Err(start_error(name, message).unwrap_or_else(|| call::explain(&self.endpoint, doing, error)))
            }
            None => Err(call::explain(&self.endpoint, doing, error)),
        }
    }

    /// Policy first, then networks, then the start, so that a host reboot in between finds it as it should be.
    async fn ensure_started(&self, plan: &SetPlan, name: &str, found: ContainerInspectResponse) -> Result<()> {
        let id = found.id.clone().unwrap_or_default();
        if policy(&found) != Some(Policy::UNLESS_STOPPED) {
            self.set_policy(&id, name, Policy::UNLESS_STOPPED).await?;
        }
        let running = match status(&found) {
            Status::RUNNING | Status::PAUSED | Status::RESTARTING => found,
            Status::CREATED | Status::EXITED | Status::EMPTY | Status::STOPPING | Status::REMOVING | Status::DEAD => {
                self.attach_set(plan, name, &found).await?;
                self.start(&id, name).await?;
                let Some(started) = self.inspect(&id).await? else { return Ok(()) };
                started
            }
        };
        if let Some(pid) = pid(&running) {
            host::mark_expendable(pid, &id, plan.expendable);
        }
        Ok(())
    }

    /// What a stopped container needs before it can start: networks that were made anew since are attached again.
    async fn attach_set(&self, plan: &SetPlan, name: &str, found: &ContainerInspectResponse) -> Result<()> {
        let users = self.users_networks(&plan.component.container.networks, name).await?;
        let have = endpoints(found);
        let mut atlas = self.atlas.lock().await;
        let network = self.ensure_network(&mut atlas, &plan.rollout).await?;
        let address = match have.get(&network.name).and_then(networks::fixed_address) {
            Some(address) if network.subnet.contains(address) => address,
            Some(_) | None => self.free_address(&mut atlas, &plan.rollout, &network).await?,
        };
        drop(atlas);
        self.attach(&found.id.clone().unwrap_or_default(), name, &have, &wanted(&network, address, users)).await
    }

    pub(super) async fn start(&self, id: &str, name: &str) -> Result<()> {
        let doing = format!("starting {name}");
        let started = self.slow_raw(&doing, self.docker.start_container(id, None)).await;
        // No event tells of a start that failed.
        self.told_of(id);
        match started? {
            Ok(()) => {
                tracing::info!(container = name, "started");
                Ok(())
            }
            Err(error) => Err(self.explain_start(&error, name, &doing).await),
        }
    }

    async fn explain_start(&self, error: &Bollard, name: &str, doing: &str) -> EngineError {
        let Some((_, message)) = call::answer(error) else { return call::explain(&self.endpoint, doing, error) };
        if let StartTrouble::PortTaken(address) = call::start_trouble(message) {
            let holder = self.who_publishes(&address, name).await.unwrap_or_else(|| "another process".to_owned());
            return EngineError::AddressInUse { address, holder };
        }
        start_error(name, message).unwrap_or_else(|| call::explain(&self.endpoint, doing, error))
    }

    /// Stops a container that is to be kept: without a restart policy, lest an engine restart bring it back.
    async fn stop_to_keep(&self, id: &str, grace: Duration) -> Result<()> {
        let Some(found) = self.inspect(id).await? else { return Ok(()) };
        let name = name(&found);
        let restarts = policy(&found) != Some(Policy::NO);
        let unset = if restarts { self.set_policy(id, &name, Policy::NO).await } else { Ok(()) };
        match status(&found) {
            Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => {
                self.stop(id, &name, grace).await?;
            }
            Status::CREATED | Status::EXITED | Status::EMPTY | Status::REMOVING | Status::DEAD => {}
        }
        match unset {
            Ok(()) => Ok(()),
            // It ended in that very moment, as what crashes all the time does: Docker takes such a change back.
            Err(_) => self.set_policy(id, &name, Policy::NO).await,
        }
    }

    pub(super) async fn stop(&self, id: &str, name: &str, grace: Duration) -> Result<()> {
        self.book().we_stop(id, Timestamp::now());
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), signal: None };
        let limit = grace + self.options.call_timeout * super::SLOW;
        let doing = format!("stopping {name}");
        match call::call(&self.endpoint, limit, &doing, self.docker.stop_container(id, Some(options))).await {
            Ok(()) => {
                tracing::info!(container = name, "stopped");
                Ok(())
            }
            Err(EngineError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Also its anonymous volumes. It is no error when it is gone, or just going.
    pub(super) async fn stop_and_remove(&self, id: &str, grace: Duration) -> Result<()> {
        let Some(found) = self.inspect(id).await? else { return Ok(()) };
        let name = name(&found);
        match status(&found) {
            Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => {
                self.stop(id, &name, grace).await?;
            }
            Status::CREATED | Status::EXITED | Status::EMPTY | Status::REMOVING | Status::DEAD => {}
        }
        self.book().we_stop(id, Timestamp::now());
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        let doing = format!("removing {name}");
        match self.slow_raw(&doing, self.docker.remove_container(id, Some(options))).await? {
            Ok(()) => {
                tracing::info!(container = name, "removed");
                Ok(())
            }
            Err(error) => match call::answer(&error) {
                Some((404, _)) => Ok(()),
                Some((409, message)) if message.contains("already in progress") => Ok(()),
                Some(_) | None => Err(call::explain(&self.endpoint, &doing, &error)),
            },
        }
    }

    async fn set_policy(&self, id: &str, name: &str, policy: Policy) -> Result<()> {
        let body =
            ContainerUpdateBody { restart_policy: Some(create::restart(policy)), ..ContainerUpdateBody::default() };
        self.slow(&format!("changing the restart policy of {name}"), self.docker.update_container(id, body)).await
    }

    /// By id or name; `None` when there is no such container.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>> {
        match self.call("inspecting a container", self.docker.inspect_container(id, None)).await {
            Ok(found) => Ok(Some(found)),
            Err(EngineError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn wanted(
    network: &OwnNetwork,
    at: std::net::Ipv4Addr,
    users: Vec<(String, String)>,
) -> Vec<(String, String, EndpointSettings)> {
    let users = users.into_iter().map(|(name, id)| (name, id, EndpointSettings::default()));
    std::iter::once(networks::own_endpoint(network, at)).chain(users).collect()
}

/// Errors that only a change of the manifest or of the host can mend.
pub(super) fn start_error(container: &str, message: &str) -> Option<EngineError> {
    let (container, why) = (container.to_owned(), message.trim().to_owned());
    match call::start_trouble(message) {
        StartTrouble::Mount | StartTrouble::Device => Some(EngineError::BadMount { container, why }),
        StartTrouble::Command => Some(EngineError::BadCommand { container, why }),
        StartTrouble::PortTaken(address) => {
            Some(EngineError::AddressInUse { address, holder: "another process".to_owned() })
        }
        StartTrouble::NetworkGone | StartTrouble::Other => None,
    }
}

pub(super) fn status(found: &ContainerInspectResponse) -> Status {
    found.state.as_ref().and_then(|s| s.status).unwrap_or(Status::EMPTY)
}

pub(super) fn policy(found: &ContainerInspectResponse) -> Option<Policy> {
    found.host_config.as_ref()?.restart_policy.as_ref()?.name
}

/// While it runs.
pub(super) fn pid(found: &ContainerInspectResponse) -> Option<i64> {
    found.state.as_ref()?.pid.filter(|pid| *pid > 0)
}

pub(super) fn name(found: &ContainerInspectResponse) -> String {
    found.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned()
}

pub(super) fn endpoints(found: &ContainerInspectResponse) -> HashMap<String, EndpointSettings> {
    found.network_settings.as_ref().and_then(|n| n.networks.clone()).unwrap_or_default()
}
