//! Every field of a rollout as a flat list of facts: where it stands, what it says, what a change of it means.
//!
//! The destructurings here are exhaustive on purpose: a new field does not compile until somebody has classed it.
//!
//! The rule: **of the revision** is everything that a container is created with, as far as the user says it: image, command,
//! environment, resources, mounts and the contents of files, but also labels, networks, extra hosts and DNS, log driver, port,
//! and a health check that Docker runs. A new value of these needs new containers, so it goes the way of a new version. Not of
//! it are replicas (live), names and addresses, canaryd's own labels, and how the containers are run (policy): stages, checks,
//! the gateway, when to pull, health that canaryd asks for itself, and `stop`. Its `grace` is written into containers too, but
//! only for whoever stops them without saying how long; canaryd always says it.
//!
//! What is not set is no fact, and a default that is written out is none either, so that a field that is added later changes no
//! revision that does not use it.

use std::time::Duration;

use crate::diff::Class;
use crate::fmt;
use crate::ids::ComponentName;
use crate::spec::{
    Analysis, CanaryReplicas, Check, CheckKind, Component, Container, Deadlines, ExecHealth, Expose, FileMount, Force,
    Gateway, Gpus, Health, Limits, Listen, Logging, ModeFrom, Mount, OnDelete, OnInconclusive, Order, Probe, Promotion,
    PullPolicy, Resources, Rollout, Sharing, Snippets, Stage, Sticky, Stop,
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
    facts.add(policy, "stages", stages.iter().map(stage).collect::<Vec<_>>().join(", "));
    of_analysis(&mut facts, analysis);
    for check in checks {
        facts.entry(policy, "checks", &check.name, question(check));
    }
    let Deadlines { pull, start } = deadlines;
    facts.time(policy, "deadlines.pull", *pull);
    facts.time(policy, "deadlines.start", *start);
    let Promotion { keep_previous, keep_failed, rollback_window } = promotion;
    facts.time(policy, "keepPrevious", *keep_previous);
    facts.time(policy, "keepFailed", *keep_failed);
    if let Some(window) = rollback_window {
        facts.time(policy, "rollbackWindow", *window);
    }
    facts.add(
        policy,
        "onDelete",
        match on_delete {
            OnDelete::Keep => "keep",
            OnDelete::Remove => "remove",
        },
    );
    facts.found
}

fn stage(stage: &Stage) -> String {
    let Stage { weight, observe, max_duration } = stage;
    format!("{weight} % {} (at most {})", fmt::duration(*observe), fmt::duration(*max_duration))
}

fn of_analysis(facts: &mut Facts, analysis: &Analysis) {
    let Analysis { alpha, beta, on_inconclusive, warmup, mode } = analysis;
    let policy = Class::Policy;
    facts.shown(policy, "analysis.alpha", alpha, fmt::percent(*alpha));
    facts.shown(policy, "analysis.beta", beta, fmt::percent(*beta));
    facts.add(
        policy,
        "analysis.onInconclusive",
        match on_inconclusive {
            OnInconclusive::Pause => "pause",
            OnInconclusive::Revert => "revert",
            OnInconclusive::Promote => "promote",
        },
    );
    facts.time(policy, "analysis.warmup", *warmup);
    if let Some(mode) = mode {
        facts.add(
            policy,
            "analysis.mode",
            match mode {
                ModeFrom::Header(name) => format!("header {name}"),
                ModeFrom::ResponseHeader(name) => format!("responseHeader {name}"),
                ModeFrom::Path(prefix) => format!("path {prefix}"),
                ModeFrom::Query(name) => format!("query {name}"),
            },
        );
    }
}

/// Everything that a check says but its name.
fn question(check: &Check) -> String {
    let Check { name: _, mode, weight, observe_only, kind } = check;
    let kind = match kind {
        CheckKind::ErrorRate { max } => format!("errors at most {max}"),
        CheckKind::Latency { quantile, max } => format!("latency {quantile} at most {}", max.as_nanos()),
    };
    format!("{kind} mode {} weight {weight} observe {observe_only}", mode.as_deref().unwrap_or(""))
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
    if container.healthcheck.is_some() {
        facts.time(Class::Revision, "health.exec.startup", *startup);
    }
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
    for FileMount { copy, target, secret: _, mode } in files {
        facts.entry(revision, "files", target, format!("{copy}:{mode:o}"));
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
    let address = |Listen { address, port }: &Listen| std::net::SocketAddr::new(*address, *port).to_string();
    let addresses: Vec<_> = listen.iter().map(address).collect();
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
    if let Some(Sticky { cookie, max_age }) = sticky {
        facts.add(policy, "gateway.sticky", format!("{cookie} for {}", fmt::duration(*max_age)));
    }
    if let Some(Force { header }) = force {
        facts.add(policy, "gateway.force", header);
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
