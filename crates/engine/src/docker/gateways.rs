//! The gateway's container: hardened, on its own network at a fixed address, published where the plan says. What is fixed at creation
//! is never changed as a side effect.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum as Status, EndpointSettings, HostConfig,
    HostConfigLogConfig, Mount, MountType, PortBinding, RestartPolicyNameEnum as Policy,
};
use bollard::query_parameters::{CreateContainerOptions, KillContainerOptions, ListContainersOptions, TopOptions};
use canaryd_rollout::RolloutName;
use jiff::Timestamp;

use super::labels::{self, Identity};
use super::networks::{self, GATEWAY_HOST, OwnNetwork};
use super::sets::{endpoints, name, pid, status};
use super::{Inner, create, host, observe};
use crate::engine::Removed;
use crate::error::{EngineError, Result};
use crate::gateway::{GatewayContainer, GatewayPlan, Signal};

/// Between SIGQUIT and SIGKILL when nothing else is said.
pub(super) const GRACE: Duration = Duration::from_secs(10);

impl Inner {
    pub(super) async fn ensure_gateway(&self, plan: &GatewayPlan) -> Result<GatewayContainer> {
        let identity = Identity::Gateway { rollout: plan.rollout.clone(), spec_hash: plan.spec_hash.clone() };
        let network = {
            let mut atlas = self.atlas.lock().await;
            self.ensure_network(&mut atlas, &plan.rollout).await?
        };
        let mut found = match self.gateway_of(&plan.rollout).await? {
            Some(id) => self.inspect(&id).await?,
            None => None,
        };
        if let Some(old) = &found
            && (status(old) == Status::DEAD || (plan.recreate && !drift(plan, old).is_empty()))
        {
            self.stop_and_remove(&old.id.clone().unwrap_or_default(), plan.grace).await?;
            found = None;
        }
        let container = match found {
            Some(container) => container,
            None => self.create_gateway(plan, &identity, &network).await?,
        };
        self.start_gateway(plan, &network, container).await
    }

    async fn gateway_of(&self, rollout: &RolloutName) -> Result<Option<String>> {
        let list = self.list(labels::filter_rollout(&self.options.instance, rollout)).await?;
        Ok(list.into_iter().find_map(|(identity, summary)| match identity {
            Identity::Gateway { .. } => summary.id,
            Identity::Replica(_) => None,
        }))
    }

    async fn create_gateway(
        &self,
        plan: &GatewayPlan,
        identity: &Identity,
        network: &OwnNetwork,
    ) -> Result<ContainerInspectResponse> {
        let name = identity.container_name();
        self.users_networks(&plan.networks, &name).await?;
        let body = body(plan, identity, &self.options.instance, network);
        let options = CreateContainerOptions { name: Some(name.clone()), platform: String::new() };
        let doing = format!("creating {name}");
        let id = match self.slow_raw(&doing, self.docker.create_container(Some(options), body)).await? {
            Ok(created) => created.id,
            Err(error) => self.adopt_or_explain(&error, identity, &name, &plan.image_id, &doing).await?,
        };
        let created = self.inspect(&id).await?;
        created.ok_or(EngineError::Gone { what: name, doing })
    }

    async fn start_gateway(
        &self,
        plan: &GatewayPlan,
        network: &OwnNetwork,
        found: ContainerInspectResponse,
    ) -> Result<GatewayContainer> {
        let (id, name) = (found.id.clone().unwrap_or_default(), name(&found));
        let runs = matches!(status(&found), Status::RUNNING | Status::PAUSED | Status::RESTARTING);
        let have = endpoints(&found);
        let mut want = Vec::new();
        if !runs {
            let at = have.get(&network.name).and_then(networks::fixed_address).filter(|a| network.subnet.contains(*a));
            want.push(networks::own_endpoint(network, at.unwrap_or_else(|| network.subnet.nth(GATEWAY_HOST))));
        }
        let users = self.users_networks(&plan.networks, &name).await?;
        want.extend(users.into_iter().map(|(network, id)| (network, id, with_aliases(&plan.aliases))));
        self.attach(&id, &name, &have, &want).await?;
        if !runs {
            self.start(&id, &name).await?;
        }
        let now = self
            .inspect(&id)
            .await?
            .ok_or_else(|| EngineError::Gone { what: name.clone(), doing: format!("starting {name}") })?;
        Ok(self.report(plan, network, &now))
    }

    fn report(&self, plan: &GatewayPlan, network: &OwnNetwork, now: &ContainerInspectResponse) -> GatewayContainer {
        let id = now.id.clone().unwrap_or_default();
        let at = endpoints(now).get(&network.name).and_then(networks::fixed_address);
        if let Some(pid) = pid(now) {
            self.masters().insert(id.clone(), pid);
        }
        GatewayContainer {
            pid: pid(now),
            ops_port: ops_port(now),
            addr: at.map(IpAddr::V4),
            image_id: now.image.clone().unwrap_or_default(),
            started_at: observe::started_at(now),
            drift: drift(plan, now),
            id,
        }
    }

    pub(super) async fn remove_gateway(&self, rollout: &RolloutName, remove_network: bool) -> Result<()> {
        if let Some(id) = self.gateway_of(rollout).await? {
            self.stop_and_remove(&id, GRACE).await?;
        }
        if remove_network {
            self.remove_one_offs(Some(rollout)).await?;
            let network = labels::network_name(rollout);
            let ours = self.list_networks(labels::filter_rollout(&self.options.instance, rollout)).await?;
            if ours.iter().any(|n| n.name.as_ref() == Some(&network)) && !self.remove_network(&network).await? {
                let why = "containers are attached to it (`docker network inspect` names them)".to_owned();
                return Err(EngineError::Failed { doing: format!("removing network {network}"), why });
            }
            self.atlas.lock().await.forget(rollout);
        }
        Ok(())
    }

    pub(super) async fn signal(&self, id: &str, known_pid: Option<i64>, signal: Signal) -> Result<()> {
        let remembered = self.masters().get(id).copied();
        if known_pid.into_iter().chain(remembered).any(|pid| host::signal(pid, id, signal)) {
            return Ok(());
        }
        let found = self.inspect(id).await?.ok_or_else(|| gone(id))?;
        if pid(&found).is_some_and(|pid| host::signal(pid, id, signal)) {
            return Ok(());
        }
        let text = match signal {
            Signal::Hup => "SIGHUP",
            Signal::Usr1 => "SIGUSR1",
            Signal::Quit => "SIGQUIT",
        };
        let options = KillContainerOptions { signal: text.to_owned() };
        self.call(&format!("sending {text} to {}", name(&found)), self.docker.kill_container(id, Some(options))).await
    }

    /// From /proc where that can be read, else by Docker's `top`.
    pub(super) async fn old_workers(&self, id: &str) -> Result<u32> {
        let remembered = self.masters().get(id).copied();
        if let Some(count) = remembered.and_then(|pid| host::old_workers(pid, id)) {
            return Ok(count);
        }
        let options = TopOptions { ps_args: "-ef".to_owned() };
        let top = self.call("listing the gateway's processes", self.docker.top_processes(id, Some(options))).await?;
        let rows = top.processes.unwrap_or_default();
        let old = rows.iter().filter(|row| row.last().is_some_and(|title| host::is_old_worker(title))).count();
        Ok(u32::try_from(old).unwrap_or(u32::MAX))
    }

    /// The container that publishes that address, itself excepted.
    pub(super) async fn who_publishes(&self, address: &str, except: &str) -> Option<String> {
        let wanted: std::net::SocketAddr = address.parse().ok()?;
        let list = self
            .call("listing published ports", self.docker.list_containers(None::<ListContainersOptions>))
            .await
            .ok()?;
        list.into_iter().find_map(|c| {
            let name = c.names.as_ref()?.first()?.trim_start_matches('/').to_owned();
            let published = c.ports.as_ref()?.iter().any(|p| {
                let ip: Option<IpAddr> = p.ip.as_ref().and_then(|ip| ip.parse().ok());
                let same = ip.is_none_or(|ip| ip == wanted.ip() || ip.is_unspecified() || wanted.ip().is_unspecified());
                p.public_port == Some(wanted.port()) && same
            });
            (published && name != except).then(|| format!("container {name}"))
        })
    }

    pub(super) async fn remove_everything(&self) -> Result<Removed> {
        self.remove_one_offs(None).await?;
        let list = self.list(labels::filter(&self.options.instance)).await?;
        let ids: Vec<String> = list.iter().filter_map(|(_, c)| c.id.clone()).collect();
        futures::future::try_join_all(ids.iter().map(|id| self.stop_and_remove(id, GRACE))).await?;
        let mut removed =
            Removed { containers: list.iter().map(|(i, _)| i.container_name()).collect(), ..Removed::default() };
        removed.containers.sort();
        for network in self.list_networks(labels::filter(&self.options.instance)).await? {
            let name = network.name.unwrap_or_default();
            let gone = self.remove_network(&name).await?;
            if gone { removed.networks.push(name) } else { removed.kept.push(name) }
        }
        Ok(removed)
    }
}

fn gone(id: &str) -> EngineError {
    EngineError::Gone { what: format!("container {id}"), doing: "signalling it".to_owned() }
}

fn with_aliases(aliases: &[String]) -> EndpointSettings {
    EndpointSettings { aliases: (!aliases.is_empty()).then(|| aliases.to_vec()), ..EndpointSettings::default() }
}

/// Label of the ops port inside, so that it is known without a plan.
const OPS_PORT: &str = "io.canaryd.ops-port";

fn body(plan: &GatewayPlan, identity: &Identity, instance: &str, network: &OwnNetwork) -> ContainerCreateBody {
    let mut labels = identity.labels(instance);
    labels.insert(OPS_PORT.to_owned(), plan.ops_port.to_string());
    let ports = bindings(plan);
    let limit = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let host = HostConfig {
        network_mode: Some(network.name.clone()),
        restart_policy: Some(create::restart(Policy::ALWAYS)),
        mounts: Some(plan.binds.iter().map(mount).collect()),
        port_bindings: Some(ports.iter().map(|(port, to)| (port.clone(), Some(to.clone()))).collect()),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), "rw,nosuid,nodev,noexec,mode=1777".to_owned())])),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([limit("max-size", "8m"), limit("max-file", "2")])),
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(plan.image_id.clone()),
        user: Some(plan.user.clone()),
        entrypoint: Some(plan.entrypoint.clone()),
        cmd: Some(Vec::new()),
        stop_signal: Some("SIGQUIT".to_owned()),
        labels: Some(labels),
        exposed_ports: Some(ports.into_keys().collect()),
        host_config: Some(host),
        networking_config: Some(create::networking(&network.name, network.subnet.nth(GATEWAY_HOST))),
        ..ContainerCreateBody::default()
    }
}

fn mount(bind: &crate::gateway::Bind) -> Mount {
    Mount {
        source: Some(bind.source.to_string_lossy().into_owned()),
        target: Some(bind.target.clone()),
        typ: Some(MountType::BIND),
        read_only: bind.read_only.then_some(true),
        ..Mount::default()
    }
}

/// `port/tcp` → where it is published; the ops port on the loopback address only.
fn bindings(plan: &GatewayPlan) -> BTreeMap<String, Vec<PortBinding>> {
    let binding = |ip: IpAddr, port: String| PortBinding { host_ip: Some(ip.to_string()), host_port: Some(port) };
    let mut ports: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    for port in &plan.ports {
        ports.entry(format!("{}/tcp", port.container)).or_default().push(binding(port.address, port.host.to_string()));
    }
    let ops = plan.ops_host_port.map_or_else(String::new, |p| p.to_string());
    ports.entry(format!("{}/tcp", plan.ops_port)).or_default().push(binding(Ipv4Addr::LOCALHOST.into(), ops));
    ports
}

/// What is fixed at creation and differs, in words.
fn drift(plan: &GatewayPlan, now: &ContainerInspectResponse) -> Vec<String> {
    let config = now.config.clone().unwrap_or_default();
    let host = now.host_config.clone().unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let mut drift = Vec::new();
    let mut note = |differs: bool, what: String| {
        if differs {
            drift.push(what);
        }
    };
    let image = now.image.clone().unwrap_or_default();
    note(
        plan.image_id.starts_with("sha256:") && image != plan.image_id,
        format!("image {image}, planned {}", plan.image_id),
    );
    let user = config.user.unwrap_or_default();
    note(user != plan.user, format!("user {user}, planned {}", plan.user));
    note(config.entrypoint.unwrap_or_default() != plan.entrypoint, "command".to_owned());
    let published = host.port_bindings.unwrap_or_default().into_iter().map(|(port, to)| (port, to.unwrap_or_default()));
    let (have, want) = (shown(published), shown(bindings(plan)));
    note(have != want, format!("published ports {}, planned {}", join(&have), join(&want)));
    let have: BTreeSet<String> = host.mounts.unwrap_or_default().iter().map(shown_mount).collect();
    let want: BTreeSet<String> = plan.binds.iter().map(mount).map(|m| shown_mount(&m)).collect();
    note(have != want, format!("mounts {}, planned {}", join(&have), join(&want)));
    let hash = labels.get(labels::SPEC_HASH).cloned().unwrap_or_default();
    note(hash != plan.spec_hash, "settings that are fixed at creation".to_owned());
    drift.extend(alias_drift(plan, now));
    drift
}

/// Aliases cannot change while it is attached; a network that is still to be attached gets them.
fn alias_drift(plan: &GatewayPlan, now: &ContainerInspectResponse) -> Option<String> {
    let have = endpoints(now);
    let lacks = |network: &&String| {
        have.get(*network).is_some_and(|e| {
            let names = e.aliases.clone().unwrap_or_default();
            plan.aliases.iter().any(|alias| !names.contains(alias))
        })
    };
    plan.networks.iter().find(lacks).map(|network| format!("aliases on network {network}"))
}

fn shown(ports: impl IntoIterator<Item = (String, Vec<PortBinding>)>) -> BTreeSet<String> {
    let text = |port: &str, b: &PortBinding| {
        let host = b.host_port.as_deref().filter(|p| !matches!(*p, "" | "0")).unwrap_or("any");
        format!("{}:{host}→{port}", b.host_ip.as_deref().unwrap_or_default())
    };
    ports.into_iter().flat_map(|(port, to)| to.iter().map(|b| text(&port, b)).collect::<Vec<_>>()).collect()
}

fn shown_mount(m: &Mount) -> String {
    let mode = if m.read_only == Some(true) { "ro" } else { "rw" };
    format!("{}:{}:{mode}", m.source.as_deref().unwrap_or_default(), m.target.as_deref().unwrap_or_default())
}

fn join(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Where the ops port is published now.
pub(super) fn ops_port(now: &ContainerInspectResponse) -> Option<u16> {
    let inside = now.config.as_ref()?.labels.as_ref()?.get(OPS_PORT)?;
    let ports = now.network_settings.as_ref()?.ports.as_ref()?;
    ports.get(&format!("{inside}/tcp"))?.as_ref()?.first()?.host_port.as_ref()?.parse().ok()
}

/// Log lines of a gateway since then, as one text.
pub(super) fn since_seconds(since: Option<Timestamp>) -> i32 {
    since.map_or(0, |t| i32::try_from(t.as_second()).unwrap_or(i32::MAX))
}
