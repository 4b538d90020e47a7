//! The app and the workers.

use std::time::Duration;

use super::container::{command, container};
use super::files::{self, Wants};
use super::mounts::Targets;
use crate::fields::Fields;
use crate::ids::ComponentName;
use crate::image::image_reference;
use crate::shapes;
use crate::spec::{CanaryReplicas, Component, ExecHealth, Health, Order, Probe, PullPolicy, Stop};
use crate::tree::Value;
use crate::walk::{At, Walk};

/// A component and the files that it names.
#[derive(Debug, Clone)]
pub(crate) struct Drafted {
    pub(crate) component: Component,
    pub(crate) wants: Wants,
}

/// `spec.app`.
pub(super) fn app(walk: &mut Walk, at: &At) -> Option<Drafted> {
    let f = Fields::open(walk, at, &shapes::APP)?;
    let port = f.read(walk, "port", Walk::port);
    let replicas = f.read(walk, "replicas", |w, at| w.count(at, 1, 1_000)).unwrap_or(1);
    let canary = canary_replicas(walk, &f, replicas, 1).unwrap_or(CanaryReplicas::Auto);
    Some(drafted(walk, &f, ComponentName::app(), port, (replicas, canary), Order::StartFirst))
}

/// One of `spec.workers`.
pub(super) fn worker(walk: &mut Walk, at: &At) -> Option<Drafted> {
    let f = Fields::open(walk, at, &shapes::WORKER)?;
    let name = f.read(walk, "name", component_name);
    let replicas = f.read(walk, "replicas", |w, at| w.count(at, 0, 1_000)).unwrap_or(1);
    let few = CanaryReplicas::Fixed(u32::from(replicas > 1));
    let canary = match canary_replicas(walk, &f, replicas, 0) {
        Some(CanaryReplicas::Auto) | None => few,
        Some(other @ (CanaryReplicas::Full | CanaryReplicas::Fixed(_))) => other,
    };
    let order = f.read(walk, "order", |w, at| {
        w.choice(at, &[("startFirst", Order::StartFirst), ("stopFirst", Order::StopFirst)])
    });
    let order = if f.read(walk, "singleton", Walk::flag) == Some(true) {
        singleton(walk, &f, replicas, order);
        Order::StopFirst
    } else {
        order.unwrap_or(Order::StartFirst)
    };
    Some(drafted(walk, &f, name.unwrap_or_else(ComponentName::app), None, (replicas, canary), order))
}

fn component_name(walk: &mut Walk, at: &At) -> Option<ComponentName> {
    let text = walk.text(at)?;
    match text.parse::<ComponentName>() {
        Ok(name) if name.is_app() => {
            walk.error(at, "a worker cannot be called app")
                .label("app is the name of spec.app")
                .hint("take another name");
            None
        }
        Ok(name) => Some(name),
        Err(bad) => {
            walk.error(at, format!("{} {} is not allowed", bad.what, at.shown())).label(bad.allowed);
            None
        }
    }
}

fn singleton(walk: &mut Walk, f: &Fields, replicas: u32, order: Option<Order>) {
    if replicas > 1
        && let Some(at) = f.take(walk, "replicas")
    {
        walk.error(&at, format!("a singleton has one replica, not {}", at.shown()))
            .label("at most 1")
            .hint("drop singleton, or replicas");
    }
    if order == Some(Order::StartFirst)
        && let Some(at) = f.take(walk, "order")
    {
        walk.error(&at, "a singleton is never replaced startFirst: two would run for a moment")
            .label("must be stopFirst")
            .hint("drop order: singleton says it");
    }
}

fn canary_replicas(walk: &mut Walk, f: &Fields, replicas: u32, least: i64) -> Option<CanaryReplicas> {
    f.read(walk, "canaryReplicas", |walk, at| match walk.text(at)?.as_str() {
        "auto" => Some(CanaryReplicas::Auto),
        "full" => Some(CanaryReplicas::Full),
        _ => {
            let count = walk.count(at, least, 1_000)?;
            if count > replicas {
                walk.error(at, format!("canaryReplicas {} is more than replicas", at.shown()))
                    .label("at most as many as replicas, or full");
            }
            Some(CanaryReplicas::Fixed(count))
        }
    })
}

fn drafted(
    walk: &mut Walk,
    f: &Fields,
    name: ComponentName,
    port: Option<u16>,
    (replicas, canary_replicas): (u32, CanaryReplicas),
    order: Order,
) -> Drafted {
    let image = f.read(walk, "image", image).unwrap_or_default();
    let pull = f.read(walk, "pull", |w, at| {
        w.choice(at, &[("missing", PullPolicy::Missing), ("always", PullPolicy::Always), ("never", PullPolicy::Never)])
    });
    let own_port = name.is_app();
    let health = f.read(walk, "health", |walk, at| health(walk, at, own_port));
    let health = health.unwrap_or_else(|| timing(Probe::None));
    let stop = f.read(walk, "stop", stop).unwrap_or_else(default_stop);
    let mut targets = Targets::default();
    let mut container = container(walk, f, &mut targets);
    if let Probe::Exec(exec) = &health.probe {
        container.healthcheck = Some(exec.clone());
    }
    let component = Component {
        name,
        image,
        pull: pull.unwrap_or(PullPolicy::Missing),
        replicas,
        canary_replicas,
        port,
        container,
        health,
        stop,
        order,
    };
    Drafted { component, wants: files::wants(walk, f, &mut targets) }
}

/// An image reference.
pub(super) fn image(walk: &mut Walk, at: &At) -> Option<String> {
    let text = walk.text(at)?;
    match image_reference(&text) {
        Ok(reference) => {
            if reference.tag.is_none() && reference.digest.is_none() {
                walk.warn(at, format!("image {} has no tag: the engine takes latest", at.shown()))
                    .label("no tag")
                    .hint("write NAME:TAG; what latest is today is another program tomorrow");
            }
            Some(text)
        }
        Err(why) => {
            walk.error(at, format!("image {} cannot be read", at.shown())).label(why);
            None
        }
    }
}

fn timing(probe: Probe) -> Health {
    let seconds = Duration::from_secs;
    Health { probe, interval: seconds(2), timeout: seconds(1), failures: 3, startup: seconds(60) }
}

fn health(walk: &mut Walk, at: &At, own_port: bool) -> Option<Health> {
    if matches!(at.node.value, Value::Scalar(_)) {
        let probe = match walk.text(at)?.as_str() {
            "image" => Probe::Image,
            "none" => Probe::None,
            _ => {
                walk.wrong(at, "{ http: /path }, { exec: [command] }, image or none");
                return None;
            }
        };
        return Some(timing(probe));
    }
    let f = Fields::open(walk, at, &shapes::HEALTH)?;
    let base = timing(Probe::None);
    let interval = f.read(walk, "interval", Walk::some_time).unwrap_or(base.interval);
    let timeout = f.read(walk, "timeout", Walk::some_time);
    let failures = f.read(walk, "failures", |w, at| w.count(at, 1, 100)).unwrap_or(base.failures);
    let startup = f.read(walk, "startup", Walk::some_time).unwrap_or(base.startup);
    if timeout.is_some_and(|t| t > interval) {
        let place = f.take(walk, "timeout").unwrap_or_else(|| at.clone());
        let most = f.take(walk, "interval").map_or_else(|| crate::fmt::duration(interval), |i| i.shown());
        walk.error(&place, "timeout is longer than interval")
            .label(format!("at most interval, {most}"))
            .hint("raise interval as well");
    }
    let timeout = timeout.unwrap_or(base.timeout.min(interval));
    let probe = probe(walk, &f, own_port, (interval, timeout, failures))?;
    Some(Health { probe, interval, timeout, failures, startup })
}

fn probe(
    walk: &mut Walk,
    f: &Fields,
    own_port: bool,
    (interval, timeout, failures): (Duration, Duration, u32),
) -> Option<Probe> {
    let port = f.read(walk, "port", Walk::port);
    let flag = |walk: &mut Walk, name: &str| f.read(walk, name, Walk::flag) == Some(true);
    let mut probes = Vec::new();
    if let Some(path) = f.read(walk, "http", http_path) {
        if port.is_none() && !own_port {
            walk.error_at_key(f.at(), "health over http needs a port here")
                .label("port is missing")
                .hint("add port: a worker has none of its own");
        }
        probes.push(Probe::Http { path, port });
    }
    if let Some(command) = f.read(walk, "exec", command) {
        probes.push(Probe::Exec(ExecHealth { command, interval, timeout, failures }));
    }
    if flag(walk, "image") {
        probes.push(Probe::Image);
    }
    if flag(walk, "none") {
        probes.push(Probe::None);
    }
    let written = ["http", "exec", "image", "none"].iter().filter(|name| f.has(name)).count();
    if written != 1 {
        let message = if written == 0 { "health does not say how" } else { "health takes one way only" };
        walk.error_at_key(f.at(), message)
            .label("exactly one way")
            .hint("one of http: /path, exec: [command], image: true, none: true");
    } else if probes.is_empty() && f.read(walk, "image", Walk::flag).or(f.read(walk, "none", Walk::flag)) == Some(false)
    {
        walk.error_at_key(f.at(), "health does not say how")
            .label("exactly one way")
            .hint("false is no way: use http or exec");
    }
    probes.pop()
}

fn http_path(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "must be a path from /, without spaces and quotes", |t| {
        t.starts_with('/') && super::gateway::is_safe(t)
    })
}

fn default_stop() -> Stop {
    Stop { grace: Duration::from_secs(30), drain: Duration::from_secs(30) }
}

fn stop(walk: &mut Walk, at: &At) -> Option<Stop> {
    let f = Fields::open(walk, at, &shapes::STOP)?;
    let base = default_stop();
    Some(Stop {
        grace: f.read(walk, "grace", Walk::duration).unwrap_or(base.grace),
        drain: f.read(walk, "drain", Walk::duration).unwrap_or(base.drain),
    })
}
