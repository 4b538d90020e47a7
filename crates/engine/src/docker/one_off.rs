//! One-off containers: what a version's app or worker is made of, with another command, for once. Whoever asked for one starts
//! it, sits beside it and sees it end. It belongs to no set: nothing here observes it, counts it or gives it requests,
//! and its end excuses nobody's.

use std::collections::HashMap;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Listed, EndpointSettings};
use bollard::query_parameters::{CreateContainerOptions, ListContainersOptions};
use canaryd_rollout::RolloutName;
use futures::future::try_join_all;
use jiff::Timestamp;

use super::sets::start_error;
use super::{Inner, call, create, gateways, labels};
use crate::error::{EngineError, Result};
use crate::plan::{OneOff, OneOffPlan};

/// Whoever asked for a container starts it at once, or is no more.
const UNSTARTED: i64 = 60;

impl Inner {
    pub(super) async fn create_one_off(&self, plan: &OneOffPlan) -> Result<OneOff> {
        self.remove_unstarted(&plan.rollout).await?;
        let name = name(plan);
        let users = self.users_networks(&plan.component.container.networks, &name).await?;
        let mut atlas = self.atlas.lock().await;
        let network = self.ensure_network(&mut atlas, &plan.rollout).await?;
        drop(atlas);
        let labels = labels::of_one_off(plan, &self.options.instance);
        let body = create::one_off(plan, labels, &network.name);
        let platform = plan.component.container.platform.clone().unwrap_or_default();
        let options = CreateContainerOptions { name: Some(name.clone()), platform };
        let doing = format!("creating {name}");
        let id = match self.slow_raw(&doing, self.docker.create_container(Some(options), body)).await? {
            Ok(created) => created.id,
            Err(error) => return Err(self.explain_one_off(&error, plan, &name, &doing)),
        };
        let want: Vec<_> = users.into_iter().map(|(name, id)| (name, id, EndpointSettings::default())).collect();
        self.attach(&id, &name, &HashMap::new(), &want).await?;
        Ok(OneOff { id, name })
    }

    fn explain_one_off(
        &self,
        error: &bollard::errors::Error,
        plan: &OneOffPlan,
        name: &str,
        doing: &str,
    ) -> EngineError {
        match call::answer(error) {
            Some((404, message)) if message.to_lowercase().contains("image") => {
                EngineError::NoSuchImage { reference: plan.component.image.clone() }
            }
            Some((_, message)) => {
                start_error(name, message).unwrap_or_else(|| call::explain(&self.endpoint, doing, error))
            }
            None => call::explain(&self.endpoint, doing, error),
        }
    }

    /// Those that nobody started in time. What ends is removed by the engine itself.
    async fn remove_unstarted(&self, rollout: &RolloutName) -> Result<()> {
        let now = Timestamp::now().as_second();
        for one in self.one_offs(Some(rollout)).await? {
            let age = now - one.created.unwrap_or(now);
            if one.state == Some(Listed::CREATED) && age > UNSTARTED {
                self.stop_and_remove(&one.id.unwrap_or_default(), gateways::GRACE).await?;
            }
        }
        Ok(())
    }

    /// Stops and removes all of them, of one rollout or of all.
    pub(super) async fn remove_one_offs(&self, rollout: Option<&RolloutName>) -> Result<()> {
        let ids: Vec<String> = self.one_offs(rollout).await?.into_iter().filter_map(|one| one.id).collect();
        try_join_all(ids.iter().map(|id| self.stop_and_remove(id, gateways::GRACE))).await.map(|_| ())
    }

    async fn one_offs(&self, rollout: Option<&RolloutName>) -> Result<Vec<ContainerSummary>> {
        let filters = labels::filter_one_offs(&self.options.instance, rollout);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        self.call("listing one-off containers", self.docker.list_containers(Some(options))).await
    }
}

/// Like a replica's, with a number that no replica has and nobody else has now.
fn name(plan: &OneOffPlan) -> String {
    let OneOffPlan { rollout, component, revision, .. } = plan;
    let moment = Timestamp::now().as_nanosecond().unsigned_abs() / 1000 % (1 << 32);
    format!("{rollout}-{}-{revision}-run-{moment:08x}", component.name)
}
