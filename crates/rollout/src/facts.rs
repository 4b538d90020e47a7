//! Every field of a rollout as a flat list of facts: where it stands, what it says, what a change of it means.
//!
//! The destructurings here are exhaustive on purpose: a new field does not compile until somebody has classed it. Facts of
//! defaults are left out, so that a field that is added later changes no revision that does not use it.

use std::time::Duration;

use crate::diff::Class;
use crate::fmt;
use crate::ids::ComponentName;
use crate::spec::{
    CanaryReplicas, Component, Container, ExecHealth, Expose, Gateway, Gpus, Health, Limits, Logging, Mount, Order,
    Probe, PullPolicy, Resources, Rollout, Sharing, Snippets, Stop,
};

/// One thing that a rollout says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) component: Option<ComponentName>,
    pub(crate) class: Class,
    pub(crate) field: &'static str,
    /// Name of the entry, for fields with many.
    pub(crate) key: Option<String>,
    /// What goes into the hash.
    pub(crate) value: String,
    /// What people see; `None`: the value is not shown.
    pub(crate) shown: Option<String>,
}

/// Collects the facts of one component, or of the rollout as a whole.
struct Facts {
    component: Option<ComponentName>,
    found: Vec<Fact>,
}

impl Facts {
    fn add(&mut self, class: Class, field: &'static str, value: impl Into<String>) {
        let value = value.into();
        self.push(class, field, None, value.clone(), Some(value));
    }
    fn shown(&mut self, class: Class, field: &'static str, value: &impl ToString, shown: String) {
        self.push(class, field, None, value.to_string(), Some(shown));
    }
    fn entry(&mut self, class: Class, field: &'static str, key: &str, value: impl Into<String>) {
        self.push(class, field, Some(key.to_owned()), value.into(), None);
    }
    fn list(&mut self, class: Class, field: &'static str, items: &[String]) {
        if !items.is_empty() {
            self.push(class, field, None, lengths(items), Some(items.join(" ")));
        }
    }
    fn time(&mut self, class: Class, field: &'static str, value: Duration) {
        self.shown(class, field, &value.as_nanos(), fmt::duration(value));
    }
    fn push(&mut self, class: Class, field: &'static str, key: Option<String>, value: String, shown: Option<String>) {
        self.found.push(Fact { component: self.component.clone(), class, field, key, value, shown });
    }
}

/// A list that cannot be read as another list.
fn lengths(items: &[String]) -> String {
    items.iter().map(|i| format!("{}:{i}", i.len())).collect()
}

/// Everything that a rollout says, images by reference, in the order of the manifest.
pub(crate) fn of(rollout: &Rollout) -> Vec<Fact> {
    let Rollout {
        name: _,
        origin: _,
        version: _,
        revision: _,
        provisional: _,
        images: _,
        app,
        workers,
        gateway,
        stages,
        analysis,
        checks,
        deadlines,
        promotion,
        on_delete,
    } = rollout;
    let mut found = component(app);
    found.extend(workers.iter().flat_map(component));
    let mut facts = Facts { component: None, found };
    of_gateway(&mut facts, gateway);
    let policy = Class::Policy;
    let stage = |s: &crate::Stage| {
        format!("{} % {} (at most {})", s.weight, fmt::duration(s.observe), fmt::duration(s.max_duration))
    };
    facts.add(policy, "stages", stages.iter().map(stage).collect::<Vec<_>>().join(", "));
    facts.add(policy, "analysis", format!("{analysis:?}"));
    for check in checks {
        facts.entry(policy, "checks", &check.name, format!("{check:?}"));
    }
    facts.time(policy, "deadlines.pull", deadlines.pull);
    facts.time(policy, "deadlines.start", deadlines.start);
    facts.time(policy, "keepPrevious", promotion.keep_previous);
    facts.time(policy, "keepFailed", promotion.keep_failed);
    if let Some(window) = promotion.rollback_window {
        facts.time(policy, "rollbackWindow", window);
    }
    facts.add(policy, "onDelete", format!("{on_delete:?}").to_lowercase());
    facts.found
}

fn component(component: &Component) -> Vec<Fact> {
    let Component { name, image, pull, replicas, canary_replicas, port, container, health, stop, order } = component;
    let mut facts = Facts { component: Some(name.clone()), found: Vec::new() };
    facts.add(Class::Revision, "image", image);
    facts.add(
        Class::Policy,
        "pull",
        match pull {
            PullPolicy::Missing => "missing",
            PullPolicy::Always => "always",
            PullPolicy::Never => "never",
        },
    );
    facts.add(Class::Live, "replicas", replicas.to_string());
    facts.add(
        Class::Live,
        "canaryReplicas",
        match canary_replicas {
            CanaryReplicas::Auto => "auto".to_owned(),
            CanaryReplicas::Full => "full".to_owned(),
            CanaryReplicas::Fixed(n) => n.to_string(),
        },
    );
    if let Some(port) = port {
        facts.add(Class::Revision, "port", port.to_string());
    }
    of_container(&mut facts, container);
    let Health { probe, interval, timeout, failures, startup } = health;
    facts.add(
        Class::Policy,
        "health",
        match probe {
            Probe::Http { path, port } => {
                format!("http {path}{}", port.map(|p| format!(" on {p}")).unwrap_or_default())
            }
            Probe::Exec(_) => "exec".to_owned(),
            Probe::Image => "image".to_owned(),
            Probe::None => "none".to_owned(),
        },
    );
    facts.time(Class::Policy, "health.interval", *interval);
    facts.time(Class::Policy, "health.timeout", *timeout);
    facts.add(Class::Policy, "health.failures", failures.to_string());
    facts.time(Class::Policy, "health.startup", *startup);
    let Stop { grace, drain } = stop;
    facts.time(Class::Policy, "stop.grace", *grace);
    facts.time(Class::Policy, "stop.drain", *drain);
    facts.add(
        Class::Policy,
        "order",
        match order {
            Order::StartFirst => "startFirst",
            Order::StopFirst => "stopFirst",
        },
    );
    facts.found
}

fn of_container(facts: &mut Facts, container: &Container) {
    let Container {
        entrypoint,
        command,
        user,
        group_add,
        workdir,
        env,
        mounts,
        tmpfs,
        files,
        networks,
        extra_hosts,
        dns,
        dns_search,
        resources,
        devices,
        gpus,
        shm_size,
        ulimits,
        sysctls,
        cap_add,
        cap_drop,
        security_opt,
        init,
        read_only,
        labels,
        logging,
        platform,
        stop_signal,
        healthcheck,
    } = container;
    let revision = Class::Revision;
    facts.list(revision, "entrypoint", entrypoint.as_deref().unwrap_or_default());
    facts.list(revision, "command", command.as_deref().unwrap_or_default());
    for (field, value) in [("user", user), ("workdir", workdir), ("platform", platform), ("stopSignal", stop_signal)] {
        if let Some(value) = value {
            facts.add(revision, field, value);
        }
    }
    for (field, map) in [("env", env), ("tmpfs", tmpfs), ("sysctls", sysctls), ("labels", labels)] {
        for (key, value) in map {
            facts.entry(revision, field, key, value);
        }
    }
    for Mount { source, target, volume, read_only, sharing } in mounts {
        let sharing = match sharing {
            None => "",
            Some(Sharing::Shared) => "shared",
            Some(Sharing::PerRevision) => "perRevision",
        };
        facts.entry(revision, "mounts", target, format!("{}:{source}:{volume}:{read_only}:{sharing}", source.len()));
    }
    for file in files {
        let value = format!("{}:{}:{:o}", file.copy, file.secret, file.mode);
        facts.entry(revision, "files", &file.target, value);
    }
    let lists = [
        ("groupAdd", group_add),
        ("networks", networks),
        ("extraHosts", extra_hosts),
        ("dns", dns),
        ("dnsSearch", dns_search),
        ("devices", devices),
        ("capAdd", cap_add),
        ("capDrop", cap_drop),
        ("securityOpt", security_opt),
    ];
    for (field, items) in lists {
        facts.list(revision, field, items);
    }
    of_resources(facts, resources);
    match gpus {
        None => {}
        Some(Gpus::All) => facts.add(revision, "gpus", "all"),
        Some(Gpus::Count(n)) => facts.add(revision, "gpus", n.to_string()),
        Some(Gpus::Devices(ids)) => facts.list(revision, "gpus", ids),
    }
    if let Some(bytes) = shm_size {
        facts.shown(revision, "shmSize", bytes, fmt::bytes(*bytes));
    }
    for (name, (soft, hard)) in ulimits {
        facts.entry(revision, "ulimits", name, format!("{soft}:{hard}"));
    }
    for (field, flag) in [("init", init), ("readOnly", read_only)] {
        if *flag {
            facts.add(revision, field, "true");
        }
    }
    if let Some(Logging { driver, options }) = logging {
        facts.add(revision, "logging", driver);
        for (key, value) in options {
            facts.entry(revision, "logging.options", key, value);
        }
    }
    if let Some(ExecHealth { command, interval, timeout, failures }) = healthcheck {
        facts.list(revision, "health.exec", command);
        let timing = format!("{}:{}:{failures}", interval.as_nanos(), timeout.as_nanos());
        facts.shown(revision, "health.exec.timing", &timing, fmt::duration(*interval));
    }
}

fn of_resources(facts: &mut Facts, resources: &Resources) {
    let Resources { nano_cpus, memory, memory_reservation, pids } = resources;
    let revision = Class::Revision;
    if let Some(nano) = nano_cpus {
        let (whole, rest) = (nano / 1_000_000_000, nano % 1_000_000_000);
        let decimals = format!("{rest:09}");
        let shown = format!("{whole}.{}", decimals.trim_end_matches('0'));
        facts.shown(revision, "cpus", nano, shown.trim_end_matches('.').to_owned());
    }
    if let Some(bytes) = memory {
        facts.shown(revision, "memory", bytes, fmt::bytes(*bytes));
    }
    if let Some(bytes) = memory_reservation {
        facts.shown(revision, "memoryReservation", bytes, fmt::bytes(*bytes));
    }
    if let Some(pids) = pids {
        facts.add(revision, "pids", pids.to_string());
    }
}

fn of_gateway(facts: &mut Facts, gateway: &Gateway) {
    let Gateway { image, listen, aliases, networks, expose, sticky, trusted_proxies, force, limits, snippets, workers } =
        gateway;
    let policy = Class::Policy;
    facts.add(policy, "gateway.image", image);
    let addresses: Vec<_> = listen.iter().map(|l| std::net::SocketAddr::new(l.address, l.port).to_string()).collect();
    facts.list(policy, "gateway.listen", &addresses);
    facts.list(policy, "gateway.aliases", aliases);
    facts.list(policy, "gateway.networks", networks);
    facts.list(policy, "gateway.trustedProxies", trusted_proxies);
    let Expose { production, canary } = expose;
    for (field, port) in [("gateway.expose.production", production), ("gateway.expose.canary", canary)] {
        if let Some(port) = port {
            facts.add(policy, field, port.to_string());
        }
    }
    if let Some(sticky) = sticky {
        facts.add(policy, "gateway.sticky", format!("{} for {}", sticky.cookie, fmt::duration(sticky.max_age)));
    }
    if let Some(force) = force {
        facts.add(policy, "gateway.force", &force.header);
    }
    let Limits { read_timeout, connect_timeout, body, stream_timeout } = limits;
    facts.time(policy, "gateway.limits.readTimeout", *read_timeout);
    facts.time(policy, "gateway.limits.connectTimeout", *connect_timeout);
    facts.time(policy, "gateway.limits.streamTimeout", *stream_timeout);
    facts.shown(policy, "gateway.limits.body", body, if *body == 0 { "any".to_owned() } else { fmt::bytes(*body) });
    let Snippets { http, server, location } = snippets;
    for (key, text) in [("http", http), ("server", server), ("location", location)] {
        if let Some(text) = text {
            facts.entry(policy, "gateway.snippets", key, text);
        }
    }
    facts.add(policy, "gateway.workers", workers.to_string());
}
