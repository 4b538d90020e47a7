//! The blanks about lanes: who is drawn, where replicas are, who answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use canaryd_rollout::Weight;

use crate::allow;
use crate::container::Ports;
use crate::render::RenderError;
use crate::settings::{Settings, force_value};
use crate::template::Values;
use crate::traffic::{Endpoint, Intent, Lane, Traffic};

pub(crate) fn fill(settings: &Settings, intent: &Intent, values: &mut Values) -> Result<(), RenderError> {
    for endpoint in intent.lanes.values().flatten() {
        let legal = endpoint.port > 0 && !endpoint.addr.is_unspecified() && !endpoint.addr.is_multicast();
        let allowed = "the address and port of a replica";
        legal.then_some(()).ok_or(RenderError { field: "a replica's address".to_owned(), allowed })?;
    }
    let nobody = Intent { lanes: BTreeMap::new(), ..intent.clone() };
    // While it is stopped the lanes are for whoever reads the intent: nobody is to get there, by whatever way.
    let intent = if intent.traffic.reaches_somebody() { intent } else { &nobody };
    let ports = Ports::of(settings);
    values.insert("listen", listen(settings, ports));
    values.insert("pinned", pinned(settings, ports));
    values.insert("split", split(intent));
    values.insert("routes", routes(settings, intent));
    values.insert("served", served(intent));
    values.insert("versions", versions(settings)?);
    values.insert("upstreams", upstreams(settings, intent));
    values.insert("tries", vec![tries(intent).to_string()]);
    forced(settings, values)
}

fn listen(settings: &Settings, ports: Ports) -> Vec<String> {
    let mut all = vec![ports.traffic];
    all.extend(ports.alias.filter(|alias| *alias != ports.traffic));
    all.extend(settings.spec.expose.production.map(|_| ports.production));
    all.extend(settings.spec.expose.canary.map(|_| ports.canary));
    all.iter().map(|port| format!("listen {port} default_server;")).collect()
}

fn pinned(settings: &Settings, ports: Ports) -> Vec<String> {
    let production = settings.spec.expose.production.map(|_| format!("{} {};", ports.production, Lane::Production));
    let canary = settings.spec.expose.canary.map(|_| format!("{} {};", ports.canary, Lane::Canary));
    production.into_iter().chain(canary).collect()
}

/// NGINX refuses `0%`, and an explicit `100%` loses some hashes before 1.31.2: both are written as the star alone.
fn split(intent: &Intent) -> Vec<String> {
    let (canary, production) = (Lane::Canary, Lane::Production);
    match intent.traffic {
        Traffic::Nobody | Traffic::Stopped { .. } => vec!["* nobody;".to_owned()],
        Traffic::Split { canary: weight } if weight == Weight::ZERO || intent.lane(canary).is_empty() => {
            vec![format!("* {production};")]
        }
        Traffic::Split { canary: Weight::FULL } => vec![format!("* {canary};")],
        Traffic::Split { canary: weight } => vec![format!("{weight}% {canary};"), format!("* {production};")],
    }
}

/// A ruled request to the canary gets the canary or nothing: a smoke test must never pass by production's answer.
fn routes(settings: &Settings, intent: &Intent) -> Vec<String> {
    let name = &settings.rollout;
    let mut routes = Vec::new();
    if !intent.lane(Lane::Production).is_empty() {
        routes.extend(["0", "1"].map(|ruled| format!("\"{ruled}:production\" {name}_production;")));
    }
    if !intent.lane(Lane::Canary).is_empty() {
        routes.push(format!("\"0:canary\" {name}_canary;"));
        routes.push(format!("\"1:canary\" {name}_canary_pinned;"));
    }
    routes
}

/// `*.0.0.3:8000` matches both `10.0.0.3:8000` and `10.0.0.2:8000, 10.0.0.3:8000`: the last attempt is the answer.
fn served(intent: &Intent) -> Vec<String> {
    let mut owners = BTreeMap::new();
    for lane in [Lane::Canary, Lane::Production] {
        for endpoint in intent.lane(lane) {
            let addr = address(endpoint).to_string();
            let key = match addr.split_once('.') {
                Some((_, tail)) => format!("*.{tail}"),
                None => addr,
            };
            owners.insert(key, lane);
        }
    }
    owners.iter().map(|(key, lane)| format!("{key} {lane};")).collect()
}

fn versions(settings: &Settings) -> Result<Vec<String>, RenderError> {
    let line = |(lane, text): (&Lane, &String)| Ok(format!("{lane} \"{}\";", allow::version("spec.version", text)?));
    settings.versions.iter().map(line).collect()
}

fn upstreams(settings: &Settings, intent: &Intent) -> Vec<String> {
    let name = &settings.rollout;
    let lane = |lane: Lane, how: &str| -> Vec<String> {
        intent.lane(lane).iter().map(|e| format!("    server {} {how};", address(e))).collect()
    };
    let canary = lane(Lane::Canary, "max_fails=0");
    let production = lane(Lane::Production, "max_fails=3 fail_timeout=2s");
    let backup = lane(Lane::Production, "max_fails=3 fail_timeout=2s backup");
    let mut lines = Vec::new();
    if !production.is_empty() {
        lines.extend(upstream(&format!("{name}_production"), &[&production]));
    }
    if !canary.is_empty() {
        lines.extend(upstream(&format!("{name}_canary"), &[&canary, &backup]));
        lines.extend(upstream(&format!("{name}_canary_pinned"), &[&canary]));
    }
    lines
}

/// Idle connections go after a second, before any common application closes its end (gunicorn after 2 s, Node and
/// uvicorn after 5 s): a POST on a connection that is just being closed could not be tried again.
fn upstream(name: &str, servers: &[&Vec<String>]) -> Vec<String> {
    let head = [format!("upstream {name} {{"), format!("    zone {name} 256k;")];
    let tail = ["    keepalive 32;", "    keepalive_timeout 1s;", "}"].map(str::to_owned);
    head.into_iter().chain(servers.iter().copied().flatten().cloned()).chain(tail).collect()
}

/// Every canary and one of production; within production three at most, so that a hanging service is not asked often.
fn tries(intent: &Intent) -> usize {
    let (canary, production) = (intent.lane(Lane::Canary).len(), intent.lane(Lane::Production).len());
    (canary + 1).max(production.min(3))
}

fn forced(settings: &Settings, values: &mut Values) -> Result<(), RenderError> {
    let mut source = "\"\"".to_owned();
    let mut entries = Vec::new();
    let mut strip = Vec::new();
    if let Some(force) = &settings.spec.force {
        let header = allow::own_header("spec.gateway.force.header", &force.header)?;
        strip.push(format!("proxy_set_header {header} \"\";"));
        if let Some(token) = &settings.force_token {
            let token = allow::token("the force token", token)?;
            source = format!("$http_{}", header.to_ascii_lowercase().replace('-', "_"));
            let lanes = [Lane::Canary, Lane::Production];
            entries.extend(lanes.map(|lane| format!("    \"{}\" {lane};", force_value(lane, token))));
        }
    }
    let head = [format!("map {source} $canaryd_forced {{"), "    default \"\";".to_owned()];
    values.insert("forced", head.into_iter().chain(entries).chain(["}".to_owned()]).collect());
    values.insert("strip_force", strip);
    Ok(())
}

fn address(endpoint: &Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr, endpoint.port)
}
