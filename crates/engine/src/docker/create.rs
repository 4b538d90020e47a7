//! The create body of a set's container: every field of the component's `Container`, nothing else that could differ between canary
//! and production.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, Mount as DockerMount, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use canaryd_rollout::{Component, Container, ExecHealth, FileMount, Gpus, Logging, Mount, RevisionId, Sharing};

use super::labels::Identity;
use crate::plan::{OneOffPlan, SetPlan};

/// The body for one container of the set at that address of its own network.
pub(super) fn body(
    plan: &SetPlan,
    identity: &Identity,
    instance: &str,
    network: &str,
    at: Ipv4Addr,
) -> ContainerCreateBody {
    let Component { container: c, stop, health, .. } = &plan.component;
    let mut labels: HashMap<String, String> = c.labels.clone().into_iter().collect();
    labels.extend(identity.labels(instance));
    ContainerCreateBody {
        image: Some(plan.image_id.clone()),
        entrypoint: c.entrypoint.clone(),
        cmd: c.command.clone(),
        user: c.user.clone(),
        working_dir: c.workdir.clone(),
        env: environment(c),
        labels: Some(labels),
        stop_signal: c.stop_signal.clone(),
        stop_timeout: i64::try_from(stop.grace.as_secs()).ok(),
        healthcheck: c.healthcheck.as_ref().map(|h| healthcheck(h, health.startup)),
        host_config: Some(host_config(c, &plan.revision, &plan.files_dir, network)),
        networking_config: Some(networking(network, at)),
        ..ContainerCreateBody::default()
    }
}

/// On its own network with a fixed address and no alias.
pub(super) fn endpoint(at: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(at.to_string()), ..EndpointIpamConfig::default() }),
        ..EndpointSettings::default()
    }
}

pub(super) fn networking(network: &str, at: Ipv4Addr) -> NetworkingConfig {
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint(at))])) }
}

pub(super) fn restart(name: RestartPolicyNameEnum) -> RestartPolicy {
    RestartPolicy { name: Some(name), maximum_retry_count: None }
}

/// The body for one command: what a replica of the component has, but no traffic, no health check and no second life. Its
/// address is one of those that Docker hands out.
pub(super) fn one_off(plan: &OneOffPlan, labels: HashMap<String, String>, network: &str) -> ContainerCreateBody {
    let Component { container: c, stop, .. } = &plan.component;
    let endpoint = HashMap::from([(network.to_owned(), EndpointSettings::default())]);
    let host = host_config(c, &plan.revision, &plan.files_dir, network);
    ContainerCreateBody {
        image: Some(plan.image_id.clone()),
        entrypoint: c.entrypoint.clone(),
        cmd: Some(plan.command.clone()),
        user: c.user.clone(),
        working_dir: c.workdir.clone(),
        env: environment(c),
        labels: Some(labels),
        stop_signal: c.stop_signal.clone(),
        stop_timeout: i64::try_from(stop.grace.as_secs()).ok(),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        tty: Some(plan.terminal),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            restart_policy: Some(restart(RestartPolicyNameEnum::NO)),
            auto_remove: Some(true),
            ..host
        }),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(endpoint) }),
        ..ContainerCreateBody::default()
    }
}

fn environment(c: &Container) -> Option<Vec<String>> {
    filled(c.env.iter().map(|(k, v)| format!("{k}={v}")).collect())
}

fn host_config(c: &Container, revision: &RevisionId, files: &Path, network: &str) -> HostConfig {
    HostConfig {
        network_mode: Some(network.to_owned()),
        restart_policy: Some(restart(RestartPolicyNameEnum::UNLESS_STOPPED)),
        mounts: filled(mounts(c, revision, files)),
        tmpfs: filled_map(&c.tmpfs),
        extra_hosts: filled(c.extra_hosts.clone()),
        dns: filled(c.dns.clone()),
        dns_search: filled(c.dns_search.clone()),
        group_add: filled(c.group_add.clone()),
        nano_cpus: c.resources.nano_cpus,
        memory: c.resources.memory.map(signed),
        memory_reservation: c.resources.memory_reservation.map(signed),
        pids_limit: c.resources.pids,
        devices: filled(c.devices.iter().map(|d| device(d)).collect()),
        device_requests: c.gpus.as_ref().map(|g| vec![gpus(g)]),
        shm_size: c.shm_size.map(signed),
        ulimits: filled(c.ulimits.iter().map(|(name, limits)| ulimit(name, *limits)).collect()),
        sysctls: filled_map(&c.sysctls),
        cap_add: filled(c.cap_add.clone()),
        cap_drop: filled(c.cap_drop.clone()),
        security_opt: filled(c.security_opt.clone()),
        init: c.init.then_some(true),
        readonly_rootfs: c.read_only.then_some(true),
        log_config: c.logging.as_ref().map(log_config),
        ..HostConfig::default()
    }
}

/// `None` rather than an empty list, so that Docker's default applies.
fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn filled_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// As `Mounts`, never as `Binds`: a missing source is then an error instead of an empty directory made by Docker.
fn mounts(c: &Container, revision: &RevisionId, files: &Path) -> Vec<DockerMount> {
    let own = c.mounts.iter().map(|m| mount(m, revision));
    own.chain(c.files.iter().map(|f| file_mount(f, files))).collect()
}

fn mount(m: &Mount, revision: &RevisionId) -> DockerMount {
    let source = match (m.volume, m.sharing) {
        (true, Some(Sharing::PerRevision)) => format!("{}-{revision}", m.source),
        (true, Some(Sharing::Shared) | None) | (false, _) => m.source.clone(),
    };
    DockerMount {
        source: Some(source),
        target: Some(m.target.clone()),
        typ: Some(if m.volume { MountType::VOLUME } else { MountType::BIND }),
        read_only: m.read_only.then_some(true),
        ..DockerMount::default()
    }
}

fn file_mount(f: &FileMount, files: &Path) -> DockerMount {
    DockerMount {
        source: Some(files.join(&f.copy).to_string_lossy().into_owned()),
        target: Some(f.target.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..DockerMount::default()
    }
}

/// `path[:path[:rwm]]`, as `docker run --device` reads it.
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    DeviceMapping {
        path_on_host: Some(host.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
    }
}

fn gpus(gpus: &Gpus) -> DeviceRequest {
    let (count, ids) = match gpus {
        Gpus::All => (Some(-1), None),
        Gpus::Count(n) => (Some(i64::from(*n)), None),
        Gpus::Devices(ids) => (None, Some(ids.clone())),
    };
    DeviceRequest {
        count,
        device_ids: ids,
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }
}

fn ulimit(name: &str, (soft, hard): (i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
}

fn log_config(logging: &Logging) -> HostConfigLogConfig {
    HostConfigLogConfig { typ: Some(logging.driver.clone()), config: filled_map(&logging.options) }
}

/// Failures during the start-up time do not count, as everywhere.
fn healthcheck(health: &ExecHealth, startup: Duration) -> HealthConfig {
    let nanos = |d: Duration| i64::try_from(d.as_nanos()).ok();
    HealthConfig {
        test: Some(std::iter::once("CMD".to_owned()).chain(health.command.iter().cloned()).collect()),
        interval: nanos(health.interval),
        timeout: nanos(health.timeout),
        retries: Some(i64::from(health.failures)),
        start_period: nanos(startup),
        start_interval: None,
    }
}
