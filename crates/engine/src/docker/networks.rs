//! The own network of each rollout: a bridge on a free /24, whose upper half Docker may hand out and whose lower half is
//! ours. An address belongs to a container, running or stopped, until that is removed, and is not given to the next one:
//! NGINX workers of older generations may still send requests there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use bollard::models::{
    EndpointSettings, Ipam, IpamConfig, Network, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions};
use canaryd_rollout::RolloutName;
use serde::{Deserialize, Serialize};

use super::{Inner, call, create, host, labels, subnet::Subnet};
use crate::error::{EngineError, Result};

/// Prefix length of an own network.
pub(super) const PREFIX: u8 = 24;
/// `.0` is the network, `.1` the bridge, `.2` the gateway's container; then the app's and workers'.
pub(super) const GATEWAY_HOST: u32 = 2;
const FIRST_HOST: u32 = 3;
/// The last of the lower half.
const LAST_HOST: u32 = 127;

/// A rollout's own network as it is now.
#[derive(Debug, Clone)]
pub(super) struct OwnNetwork {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) subnet: Subnet,
}

/// What is remembered of own networks, in `networks.json`.
#[derive(Debug, Default)]
pub(super) struct Atlas {
    file: PathBuf,
    own: BTreeMap<String, Remembered>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    subnet: String,
    /// Where the search for the next free address begins.
    next: u32,
}

impl Atlas {
    /// An unreadable file is an empty one: then the subnets of existing networks are read from Docker.
    pub(super) fn open(file: PathBuf) -> Self {
        let own = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { file, own }
    }

    fn subnet(&self, rollout: &RolloutName) -> Option<Subnet> {
        self.own.get(rollout.as_str())?.subnet.parse().ok()
    }

    fn next(&self, rollout: &RolloutName) -> u32 {
        self.own.get(rollout.as_str()).map_or(FIRST_HOST, |r| r.next)
    }

    /// A full disk must not keep containers from starting; then only the memory of the last address may be lost.
    fn remember(&mut self, rollout: &RolloutName, subnet: Subnet, next: u32) {
        self.own.insert(rollout.to_string(), Remembered { subnet: subnet.to_string(), next });
        self.save();
    }

    pub(super) fn forget(&mut self, rollout: &RolloutName) {
        if self.own.remove(rollout.as_str()).is_some() {
            self.save();
        }
    }

    fn save(&self) {
        let draft = self.file.with_extension("json.new");
        let text = serde_json::to_vec_pretty(&self.own).unwrap_or_default();
        let saved = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &self.file));
        if let Err(error) = saved {
            tracing::warn!(file = %self.file.display(), %error, "the addresses in use could not be saved");
        }
    }
}

/// The first free range: remembered if possible, else the first of the pools that overlaps nothing.
fn choose_subnets(remembered: Option<Subnet>, pools: &[Subnet], taken: &[Subnet]) -> Vec<Subnet> {
    let free = |s: &Subnet| !taken.iter().any(|t| t.overlaps(*s));
    let pieces = pools.iter().flat_map(|pool| pool.pieces(PREFIX));
    remembered.into_iter().chain(pieces).filter(free).take(8).collect()
}

/// The next address from `next` on, round and round, that nobody has.
fn choose_address(subnet: Subnet, next: u32, taken: &BTreeSet<Ipv4Addr>) -> Option<(Ipv4Addr, u32)> {
    let count = LAST_HOST - FIRST_HOST + 1;
    let start = next.clamp(FIRST_HOST, LAST_HOST) - FIRST_HOST;
    (0..count)
        .map(|n| FIRST_HOST + (start + n) % count)
        .find(|host| !taken.contains(&subnet.nth(*host)))
        .map(|host| (subnet.nth(host), if host == LAST_HOST { FIRST_HOST } else { host + 1 }))
}

impl Inner {
    /// The rollout's own network, made if it does not exist.
    pub(super) async fn ensure_network(&self, atlas: &mut Atlas, rollout: &RolloutName) -> Result<OwnNetwork> {
        let name = labels::network_name(rollout);
        let all = self.list_networks(HashMap::new()).await?;
        if let Some(network) = all.iter().find(|n| n.name.as_deref() == Some(&name)) {
            return self.accept_network(atlas, rollout, network);
        }
        let taken: Vec<Subnet> = all.iter().flat_map(subnets).chain(host::routes()).collect();
        let candidates = choose_subnets(atlas.subnet(rollout), &self.options.subnets, &taken);
        for subnet in candidates {
            let doing = format!("creating network {name}");
            match self
                .slow(
                    &doing,
                    self.docker.create_network(network_request(&name, rollout, &self.options.instance, subnet)),
                )
                .await
            {
                Ok(created) => {
                    atlas.remember(rollout, subnet, atlas.next(rollout));
                    tracing::info!(network = name, %subnet, "network created");
                    return Ok(OwnNetwork { name, id: created.id, subnet });
                }
                Err(error) if error.to_string().contains("overlap") => {}
                Err(error) => return Err(error),
            }
        }
        let pools: Vec<String> = self.options.subnets.iter().map(ToString::to_string).collect();
        Err(EngineError::Exhausted {
            what: "subnet",
            why: format!("every /24 of {} overlaps a network or a route", pools.join(", ")),
        })
    }

    fn accept_network(&self, atlas: &mut Atlas, rollout: &RolloutName, network: &Network) -> Result<OwnNetwork> {
        let name = labels::network_name(rollout);
        let ours = labels::of_network(rollout, &self.options.instance);
        let found = network.labels.clone().unwrap_or_default();
        if found.get(labels::INSTANCE) != ours.get(labels::INSTANCE) {
            let whose = labels::owner(Some(&found), "network", &name);
            return Err(EngineError::NameTaken { what: "network", name, whose });
        }
        let subnet = subnets(network).into_iter().next();
        let subnet = subnet.ok_or_else(|| EngineError::Failed {
            doing: format!("reading network {name}"),
            why: "it has no subnet".into(),
        })?;
        if atlas.subnet(rollout) != Some(subnet) {
            atlas.remember(rollout, subnet, FIRST_HOST);
        }
        Ok(OwnNetwork { name, id: network.id.clone().unwrap_or_default(), subnet })
    }

    /// An address for a new container. The caller holds the atlas until the container exists.
    pub(super) async fn free_address(
        &self,
        atlas: &mut Atlas,
        rollout: &RolloutName,
        network: &OwnNetwork,
    ) -> Result<Ipv4Addr> {
        let taken = self.addresses(network).await?;
        let (address, next) =
            choose_address(network.subnet, atlas.next(rollout), &taken).ok_or_else(|| EngineError::Exhausted {
                what: "address",
                why: format!("all addresses of {} belong to containers on network {}", network.subnet, network.name),
            })?;
        atlas.remember(rollout, network.subnet, next);
        Ok(address)
    }

    /// Addresses of all containers on the network, stopped ones and strangers included.
    async fn addresses(&self, network: &OwnNetwork) -> Result<BTreeSet<Ipv4Addr>> {
        let filters = HashMap::from([("network".to_owned(), vec![network.id.clone()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let list = self.call("listing the addresses in use", self.docker.list_containers(Some(options))).await?;
        let endpoints = list.into_iter().filter_map(|c| c.network_settings?.networks).flat_map(HashMap::into_values);
        Ok(endpoints.flat_map(|e| [fixed_address(&e), current_address(&e)]).flatten().collect())
    }

    pub(super) async fn list_networks(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<Network>> {
        let options = ListNetworksOptions { filters: Some(filters) };
        self.call("listing networks", self.docker.list_networks(Some(options))).await
    }

    /// Attaches a container that does not run to every wanted network, also where a network of that name was made anew
    /// since. `have` is what its inspection says.
    pub(super) async fn attach(
        &self,
        container: &str,
        name: &str,
        have: &HashMap<String, EndpointSettings>,
        want: &[(String, String, EndpointSettings)],
    ) -> Result<()> {
        for (network, id, endpoint) in want {
            match have.get(network) {
                Some(settings) if settings.network_id.as_deref().is_none_or(|have| have.is_empty() || have == id) => {
                    continue;
                }
                Some(_) => self.detach(container, network).await?,
                None => {}
            }
            let request =
                NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint.clone()) };
            let doing = format!("connecting {name} to network {network}");
            self.slow(&doing, self.docker.connect_network(id, request)).await?;
        }
        Ok(())
    }

    async fn detach(&self, container: &str, network: &str) -> Result<()> {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let doing = format!("disconnecting a container from network {network}, which was made anew");
        match self.slow(&doing, self.docker.disconnect_network(network, request)).await {
            Err(EngineError::Gone { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The user's networks by name or id.
    ///
    /// # Errors
    /// A missing one is final and named.
    pub(super) async fn users_networks(&self, names: &[String], wanted_by: &str) -> Result<Vec<(String, String)>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.list_networks(HashMap::new()).await?;
        let find = |name: &String| {
            let found = all.iter().find(|n| n.name.as_ref() == Some(name) || n.id.as_ref() == Some(name));
            let pair = found.and_then(|n| Some((n.name.clone()?, n.id.clone()?)));
            pair.ok_or_else(|| EngineError::NoSuchNetwork { network: name.clone(), wanted_by: wanted_by.to_owned() })
        };
        names.iter().map(find).collect()
    }

    /// Removes the network; `false`: somebody else's containers are attached.
    pub(super) async fn remove_network(&self, name: &str) -> Result<bool> {
        let doing = format!("removing network {name}");
        let limit = self.options.call_timeout * super::SLOW;
        match tokio::time::timeout(limit, self.docker.remove_network(name)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => match call::answer(&error) {
                Some((404, _)) => Ok(true),
                Some((_, message)) if message.contains("active endpoints") => Ok(false),
                Some(_) | None => Err(call::explain(&self.endpoint, &doing, &error)),
            },
            Err(_) => Err(EngineError::Timeout { doing, after: limit }),
        }
    }
}

/// The own network as an entry of [`Inner::attach`].
pub(super) fn own_endpoint(network: &OwnNetwork, at: Ipv4Addr) -> (String, String, EndpointSettings) {
    (network.name.clone(), network.id.clone(), create::endpoint(at))
}

pub(super) fn fixed_address(endpoint: &EndpointSettings) -> Option<Ipv4Addr> {
    endpoint.ipam_config.as_ref()?.ipv4_address.as_ref()?.parse().ok()
}

fn current_address(endpoint: &EndpointSettings) -> Option<Ipv4Addr> {
    endpoint.ip_address.as_ref()?.parse().ok()
}

pub(super) fn subnets(network: &Network) -> Vec<Subnet> {
    let configs = network.ipam.iter().filter_map(|ipam| ipam.config.as_ref()).flatten();
    configs.filter_map(|c| c.subnet.as_ref()?.parse().ok()).collect()
}

fn network_request(name: &str, rollout: &RolloutName, instance: &str, subnet: Subnet) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(subnet.to_string()),
        ip_range: Some(subnet.upper_half().to_string()),
        gateway: Some(subnet.nth(1).to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(labels::of_network(rollout, instance)),
        ..NetworkCreateRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_is_chosen_that_overlaps_no_network_and_no_route() {
        let pools = [net("172.31.0.0/22"), net("10.213.0.0/16")];
        let first = |remembered, taken: &[&str]| {
            let taken: Vec<Subnet> = taken.iter().map(|t| net(t)).collect();
            choose_subnets(remembered, &pools, &taken).first().map(ToString::to_string)
        };
        assert_eq!(first(None, &[]).unwrap(), "172.31.0.0/24");
        assert_eq!(first(None, &["172.31.0.0/23"]).unwrap(), "172.31.2.0/24");
        assert_eq!(first(None, &["172.16.0.0/12"]).unwrap(), "10.213.0.0/24");
        assert_eq!(first(Some(net("172.31.3.0/24")), &["172.31.0.0/24"]).unwrap(), "172.31.3.0/24");
        assert_eq!(first(Some(net("172.31.3.0/24")), &["172.31.3.0/24"]).unwrap(), "172.31.0.0/24");
        assert_eq!(first(None, &["172.16.0.0/12", "10.0.0.0/8"]), None);
    }

    #[test]
    fn an_address_is_not_given_again_soon_and_never_while_it_belongs_to_someone() {
        let subnet = net("10.1.2.0/24");
        let mut taken = BTreeSet::from([subnet.nth(4)]);
        let (mut next, mut given) = (FIRST_HOST, Vec::new());
        for _ in 0..200 {
            let (address, after) = choose_address(subnet, next, &taken).unwrap();
            given.push(address);
            next = after;
        }
        assert_eq!(given[0].to_string(), "10.1.2.3");
        assert_eq!(given[1].to_string(), "10.1.2.5");
        assert!(!given.contains(&subnet.nth(4)));
        let again = given.iter().skip(1).position(|a| *a == given[0]).unwrap();
        assert_eq!(again + 1, 124, "all others come first");
        taken.extend((FIRST_HOST..=LAST_HOST).map(|n| subnet.nth(n)));
        assert_eq!(choose_address(subnet, next, &taken), None);
    }

    #[test]
    fn subnet_and_next_address_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("networks.json");
        let rollout: RolloutName = "shop".parse().unwrap();
        let mut atlas = Atlas::open(file.clone());
        atlas.remember(&rollout, net("10.1.2.0/24"), 9);
        let atlas = Atlas::open(file.clone());
        assert_eq!((atlas.subnet(&rollout), atlas.next(&rollout)), (Some(net("10.1.2.0/24")), 9));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Atlas::open(file).next(&rollout), FIRST_HOST);
    }
}
