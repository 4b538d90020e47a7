//! A look at everything around this instance. Nothing is changed and nothing is started.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bollard::models::{ContainerInspectResponse, Network};
use futures::future::join_all;
use jiff::Timestamp;

use super::labels::{self, Identity};
use super::networks::{PREFIX, fixed_address, subnets};
use super::sets::{endpoints, name, pid};
use super::{DockerEngine, Inner, Subnet, gateways, host, observe};
use crate::checkup::{Checkup, GatewayCheck, NetworkCheck};
use crate::error::{EngineError, Result};
use crate::observation::RunState;

impl DockerEngine {
    /// What can be wrong around the containers of this instance. Changes nothing.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn checkup(&self) -> Result<Checkup> {
        self.inner.checkup().await
    }

    /// The value that an image gives this environment variable; `None` where it gives none, or is not there.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image_variable(&self, reference: &str, name: &str) -> Result<Option<String>> {
        let doing = format!("looking up image {reference}");
        let found = match self.inner.call(&doing, self.inner.docker.inspect_image(reference)).await {
            Ok(found) => found,
            Err(EngineError::Gone { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let all = found.config.and_then(|config| config.env).unwrap_or_default();
        Ok(all.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned))
    }
}

impl Inner {
    async fn checkup(&self) -> Result<Checkup> {
        let began = Timestamp::now();
        let info = self.call("asking Docker what it runs on", self.docker.info()).await?;
        let ended = Timestamp::now();
        let all = self.list_networks(HashMap::new()).await?;
        let list = self.list(labels::filter(&self.options.instance)).await?;
        let ids: Vec<String> = list.iter().map(|(_, c)| c.id.clone().unwrap_or_default()).collect();
        // One that cannot be inspected now is left out: `status` tells of it.
        let found: Vec<_> = join_all(ids.iter().map(|id| self.inspect(id))).await;
        let found: Vec<_> = found.into_iter().map(|f| f.ok().flatten()).collect();
        let routes = host::routes_by_device();
        let taken: Vec<Subnet> = all.iter().flat_map(subnets).chain(routes.iter().map(|(_, r)| *r)).collect();
        Ok(Checkup {
            clock: info.system_time.as_deref().and_then(|text| text.parse().ok()),
            our_clock: began + ended.duration_since(began) / 2,
            networks: self.own_networks(&all, &routes),
            free_subnets: self.free_subnets(&taken),
            killed_for_memory: found.iter().flatten().filter(|f| killed_for_memory(f)).map(name).collect(),
            gateways: self.gateway_checks(&list, found).await,
        })
    }

    fn own_networks(&self, all: &[Network], routes: &[(String, Subnet)]) -> Vec<NetworkCheck> {
        let ours =
            |n: &&Network| n.labels.as_ref().and_then(|l| l.get(labels::INSTANCE)) == Some(&self.options.instance);
        let mut checks: Vec<NetworkCheck> = all.iter().filter(ours).flat_map(|n| checks_of(n, routes)).collect();
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        checks
    }

    fn free_subnets(&self, taken: &[Subnet]) -> usize {
        let pieces = self.options.subnets.iter().flat_map(|pool| pool.pieces(PREFIX));
        pieces.filter(|s| !taken.iter().any(|t| t.overlaps(*s))).take(Checkup::ENOUGH_SUBNETS).count()
    }

    async fn gateway_checks(
        &self,
        list: &[(Identity, bollard::models::ContainerSummary)],
        found: Vec<Option<ContainerInspectResponse>>,
    ) -> Vec<GatewayCheck> {
        let gateways = list.iter().zip(found).filter_map(|((identity, _), found)| match identity {
            Identity::Gateway { rollout, .. } => Some((rollout.clone(), found?)),
            Identity::Replica(_) => None,
        });
        let mut checks = join_all(gateways.map(|(rollout, found)| async move {
            let id = found.id.clone().unwrap_or_default();
            let state = observe::run_state(&found);
            let at = endpoints(&found).get(&labels::network_name(&rollout)).and_then(fixed_address);
            if let Some(pid) = pid(&found) {
                self.masters().insert(id.clone(), pid);
            }
            let running = state == RunState::Running;
            GatewayCheck {
                name: name(&found),
                state,
                pid: pid(&found),
                addr: at.map(IpAddr::V4),
                ops_port: gateways::ops_port(&found),
                published: published(&found),
                old_workers: if running { self.old_workers(&id).await.ok() } else { None },
                rollout,
                id,
            }
        }))
        .await;
        checks.sort_by(|a, b| a.rollout.cmp(&b.rollout));
        checks
    }
}

fn killed_for_memory(found: &ContainerInspectResponse) -> bool {
    found.state.as_ref().is_some_and(|s| s.oom_killed == Some(true))
}

/// The device of a bridge is named after its network's id; every other route to the same addresses is somebody else's.
fn checks_of(network: &Network, routes: &[(String, Subnet)]) -> Vec<NetworkCheck> {
    let own = format!("br-{}", network.id.as_deref().unwrap_or_default().get(..12).unwrap_or_default());
    let collisions = |subnet: Subnet| {
        let others = routes.iter().filter(|(device, route)| *device != own && route.overlaps(subnet));
        others.map(|(device, route)| format!("{route} by {device}")).collect()
    };
    let name = network.name.clone().unwrap_or_default();
    let check = |subnet| NetworkCheck { name: name.clone(), subnet, collisions: collisions(subnet) };
    subnets(network).into_iter().map(check).collect()
}

/// What it was asked to publish; what Docker chose (the ops port) is added by what is published now.
fn published(found: &ContainerInspectResponse) -> Vec<SocketAddr> {
    let asked = found.host_config.as_ref().and_then(|h| h.port_bindings.clone()).unwrap_or_default();
    let now = found.network_settings.as_ref().and_then(|n| n.ports.clone()).unwrap_or_default();
    let bindings = asked.into_values().chain(now.into_values()).flatten().flatten();
    let mut places: Vec<SocketAddr> = bindings
        .filter_map(|b| Some(SocketAddr::new(b.host_ip?.parse().ok()?, b.host_port?.parse().ok()?)))
        .filter(|place| place.port() > 0)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(id: &str, subnet: &str) -> Network {
        serde_json::from_value(serde_json::json!({
            "Name": "canaryd-shop", "Id": id, "IPAM": { "Config": [{ "Subnet": subnet }] }
        }))
        .unwrap()
    }

    #[test]
    fn a_route_by_another_device_to_the_same_addresses_is_a_collision_and_the_bridge_s_own_is_none() {
        let network = network("0123456789abcdef", "10.213.0.0/24");
        let route = |device: &str, route: &str| (device.to_owned(), route.parse().unwrap());
        let routes =
            [route("br-0123456789ab", "10.213.0.0/24"), route("tun0", "10.0.0.0/8"), route("eth0", "192.168.1.0/24")];
        let found = checks_of(&network, &routes);
        assert_eq!(found[0].collisions, ["10.0.0.0/8 by tun0"]);
        assert_eq!(checks_of(&network, &routes[..1])[0].collisions, Vec::<String>::new());
    }

    #[test]
    fn published_places_are_those_that_were_asked_for_and_those_that_docker_chose() {
        let found: ContainerInspectResponse = serde_json::from_value(serde_json::json!({
            "HostConfig": { "PortBindings": {
                "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }], "9/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "" }]
            } },
            "NetworkSettings": { "Ports": {
                "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }], "9/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "32768" }]
            } }
        }))
        .unwrap();
        let places: Vec<String> = published(&found).iter().map(ToString::to_string).collect();
        assert_eq!(places, ["127.0.0.1:8080", "127.0.0.1:32768"]);
    }
}
