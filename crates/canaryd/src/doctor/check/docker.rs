//! The engine, its clock, images of NGINX and networks.

use canaryd_engine::{Checkup, EngineError};
use canaryd_gateway::NginxVersion;

use super::super::Finding;
use super::super::facts::{Docker, Facts, NginxImage};
use crate::cli::span;

/// The oldest API that canaryd speaks.
const API: (u32, u32) = (1, 41);
/// Clocks may differ by so much: seconds of the log are seconds of the judge.
const CLOCK: f64 = 1.0;
/// From here on evidence is given to the wrong second.
const CLOCK_WRONG: f64 = 5.0;
/// An event may lie in the future by so much.
const JUMP: f64 = 5.0;

pub(super) fn engine(facts: &Facts) -> Vec<Finding> {
    let docker = match &facts.docker {
        Ok(docker) => docker,
        Err(error) => return vec![unreachable(facts, error)],
    };
    let info = &docker.info;
    let said = format!(
        "Docker {} at {} (by {}), API {}, cgroup {}, {}",
        info.version, info.endpoint, docker.from, info.api, info.cgroup, info.storage
    );
    if parsed(&info.api).is_some_and(|api| api < API) {
        let found = Finding::wrong("docker", said).means("canaryd needs API 1.41, that is Docker 20.10, or later");
        return vec![found.mend("upgrade Docker: https://docs.docker.com/engine/install/")];
    }
    let mut findings = vec![Finding::ok("docker", said)];
    if info.rootless || info.virtual_machine {
        let what = if info.rootless { "runs without root" } else { "runs in a virtual machine of its own" };
        findings[0].said += &format!("; it {what}, so containers are reached through the gateway (relay)");
    }
    if let Err(error) = &docker.checkup {
        findings.push(
            Finding::wrong("docker", format!("it does not tell what runs: {error}"))
                .means("networks and gateways were not looked at")
                .mend("docker ps; sudo systemctl restart docker"),
        );
    }
    findings
}

fn parsed(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What this user may not do the daemon may.
fn unreachable(facts: &Facts, error: &EngineError) -> Finding {
    if let EngineError::Permission { endpoint } = error {
        let said = format!("this user may not use {endpoint}");
        if facts.socket.page().is_some() {
            return Finding::warning("docker", said)
                .means("the daemon has rights of its own; engine, networks and gateways were not looked at")
                .mend("sudo canaryd doctor");
        }
        return Finding::wrong("docker", said)
            .means("a daemon of this user could run nothing; the group docker has the power of root")
            .mend("sudo usermod -aG docker $USER, then log in again; or use sudo");
    }
    let means =
        "what serves goes on serving; nothing can be started, promoted or, without the right to signal NGINX, lowered";
    match error {
        EngineError::Unreachable { endpoint, why } => {
            Finding::wrong("docker", format!("no engine answers at {endpoint} ({why})"))
                .means(means)
                .mend("docker info; sudo systemctl start docker")
        }
        EngineError::NotLocal { endpoint, from } => {
            Finding::wrong("docker", format!("{endpoint} (from {from}) is not on this machine"))
                .means("canaryd drives only a local engine")
                .mend("unset DOCKER_HOST; docker context use default; or --docker-host unix:///var/run/docker.sock")
        }
        other => Finding::wrong("docker", other.to_string()).means(means).mend("docker info"),
    }
}

fn checkup(facts: &Facts) -> Option<(&Docker, &Checkup)> {
    let docker = facts.docker.as_ref().ok()?;
    Some((docker, docker.checkup.as_ref().ok()?))
}

/// The engine's clock against ours, and ours against what the journal has seen.
pub(super) fn clock(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ahead = super::state::newest_event(facts).map(|at| at.duration_since(facts.now).as_secs_f64());
    if let Some(ahead) = ahead.filter(|ahead| *ahead > JUMP) {
        let said = format!("it went back: the newest event of the journal lies {} ahead", span(ahead));
        findings.push(
            Finding::warning("clock", said)
                .means("until then the times of events are out of order, and times of stages are longer")
                .mend("timedatectl status"),
        );
    }
    let engine = checkup(facts).and_then(|(_, c)| Some(c.clock?.duration_since(c.our_clock).as_secs_f64()));
    let Some(ahead) = engine else { return findings };
    let (by, way) = (span(ahead.abs()), if ahead > 0.0 { "ahead of" } else { "behind" });
    let differs = |found: Finding| {
        found
            .means("exits and requests are given to the wrong second")
            .mend("timedatectl status; a virtual machine's clock: restart it, or sudo chronyc makestep in it")
    };
    let said = format!("Docker's clock is {by} {way} this host's");
    match ahead.abs() {
        apart if apart > CLOCK_WRONG => findings.push(differs(Finding::wrong("clock", said))),
        apart if apart > CLOCK => findings.push(differs(Finding::warning("clock", said))),
        _ if findings.is_empty() => findings.push(Finding::ok("clock", "Docker's clock and this host's agree")),
        _ => {}
    }
    findings
}

/// Images of NGINX: there, and new enough.
pub(super) fn images(facts: &Facts) -> Vec<Finding> {
    let Ok(docker) = &facts.docker else { return Vec::new() };
    if docker.images.iter().all(|i| i.wanted_by.is_none()) {
        return vec![usual(&docker.images)];
    }
    together(&docker.images).iter().map(image).collect()
}

/// One for all that want the same.
fn together(images: &[NginxImage]) -> Vec<NginxImage> {
    let mut found: Vec<NginxImage> = Vec::new();
    for image in images {
        let same = |f: &&mut NginxImage| {
            (&f.reference, f.present, f.version) == (&image.reference, image.present, image.version)
        };
        match (found.iter_mut().find(same), &image.wanted_by) {
            (Some(known), Some(by)) => known.wanted_by = known.wanted_by.take().map(|all| format!("{all}, {by}")),
            (Some(_), None) => {}
            (None, _) => found.push(image.clone()),
        }
    }
    found
}

/// No rollout yet: one of the usual ones is enough.
fn usual(images: &[NginxImage]) -> Finding {
    match images.iter().find(|i| i.present) {
        Some(found) => old(found).unwrap_or_else(|| Finding::ok("image", words(found))),
        None => Finding::warning("image", "neither nginx:stable nor canaryd-nginx:local is here")
            .means("the first gateway waits for a pull, which needs a registry")
            .mend("docker pull nginx:stable; without a registry: scripts/nginx-image.sh"),
    }
}

fn image(image: &NginxImage) -> Finding {
    let by = image.wanted_by.as_deref().unwrap_or_default();
    if image.present {
        return old(image).unwrap_or_else(|| Finding::ok("image", format!("{}, for {by}", words(image))));
    }
    let pull = format!("docker pull {}", image.reference);
    match image.version {
        Some(_) => Finding::warning(
            "image",
            format!("{} is not here by this name any more; the gateway of {by} runs", image.reference),
        )
        .means("it serves on; a new container of it would wait for a pull")
        .mend(pull),
        None => Finding::wrong("image", format!("{}, which the gateway of {by} wants, is not here", image.reference))
            .means("the gateway cannot be started without it")
            .mend(format!("{pull}; without a registry: scripts/nginx-image.sh")),
    }
}

fn words(image: &NginxImage) -> String {
    match image.version {
        Some(version) => format!("{} is NGINX {version}", image.reference),
        None => format!("{} is here; its version shows when a gateway runs it", image.reference),
    }
}

fn old(image: &NginxImage) -> Option<Finding> {
    let version = image.version.filter(|v| *v < NginxVersion::LOSSLESS)?;
    let by = image.wanted_by.as_ref().map_or_else(String::new, |by| format!(", for {by}"));
    let said = format!("{} is NGINX {version}, older than {}{by}", image.reference, NginxVersion::LOSSLESS);
    let found = Finding::warning("image", said);
    let found = found.means("a change of the weights can lose requests of keep-alive clients");
    // With a gap: its port is closed until the daemon has made it anew.
    Some(found.mend("docker pull nginx:stable; say it in gateway.image; in a quiet hour docker rm -f NAME-gateway"))
}

/// Own networks against the host's routes, and room for more.
pub(super) fn networks(facts: &Facts) -> Vec<Finding> {
    let Some((docker, checkup)) = checkup(facts) else { return Vec::new() };
    let elsewhere = docker.info.rootless || docker.info.virtual_machine;
    let mut findings: Vec<Finding> = checkup
        .networks
        .iter()
        .filter(|n| !elsewhere && !n.collisions.is_empty())
        .map(|n| {
            Finding::wrong("network", format!("{} ({}) collides with the route {}", n.name, n.subnet, n.collisions.join(", ")))
                .means("requests to its containers, or yours to that network, may go the wrong way")
                .mend("ip route; give the other network other addresses; or canaryd delete the rollout and start it anew, which takes a free range")
        })
        .collect();
    let free = checkup.free_subnets;
    if free == 0 {
        findings.push(
            Finding::wrong("network", "no subnet is free for another rollout")
                .means("every /24 of the ranges that canaryd takes overlaps a network or a route; a new rollout cannot start")
                .mend("docker network prune; docker network ls"),
        );
    } else if free < Checkup::ENOUGH_SUBNETS {
        findings.push(
            Finding::warning("network", format!("only {free} subnets are free for more rollouts"))
                .mend("docker network prune"),
        );
    }
    if findings.is_empty() {
        let own: Vec<String> = checkup.networks.iter().map(|n| format!("{} {}", n.name, n.subnet)).collect();
        let own = if own.is_empty() { "none of its own yet".to_owned() } else { own.join(", ") };
        findings.push(Finding::ok("network", format!("{own}; no subnet collides, enough are free")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::Level;
    use super::super::super::facts::{Answer, Journal};
    use super::super::sample::{found, healthy, only};
    use super::*;

    fn spoiled(spoil: impl FnOnce(&mut Docker)) -> Facts {
        let mut facts = healthy();
        spoil(facts.docker.as_mut().unwrap());
        facts
    }

    fn checkup_of(docker: &mut Docker) -> &mut Checkup {
        docker.checkup.as_mut().unwrap()
    }

    fn without(error: EngineError) -> Facts {
        Facts { docker: Err(error), ..healthy() }
    }

    #[test]
    fn an_engine_that_is_too_old_or_tells_nothing_is_wrong_and_one_in_a_machine_of_its_own_is_reached_by_relay() {
        only(&spoiled(|d| d.info.api = "1.40".into()), "docker", Level::Wrong, &["API 1.40", "20.10"]);
        found(&spoiled(|d| d.info.virtual_machine = true), "docker", Level::Ok, &["virtual machine", "relay"]);
        found(&spoiled(|d| d.info.rootless = true), "docker", Level::Ok, &["without root", "relay"]);
        let silent = EngineError::Timeout { doing: "listing".into(), after: Duration::from_secs(4) };
        found(&spoiled(|d| d.checkup = Err(silent)), "docker", Level::Wrong, &["does not tell", "docker ps"]);
    }

    #[test]
    fn no_engine_says_what_still_works_and_how_to_start_it() {
        let gone = EngineError::Unreachable { endpoint: "unix:///x".into(), why: "no such file".into() };
        only(&without(gone), "docker", Level::Wrong, &["unix:///x", "goes on serving", "systemctl start docker"]);
        let remote = EngineError::NotLocal { endpoint: "ssh://far".into(), from: "DOCKER_HOST".into() };
        only(&without(remote), "docker", Level::Wrong, &["ssh://far", "not on this machine", "unset DOCKER_HOST"]);
        let late = EngineError::Timeout { doing: "asking".into(), after: Duration::from_secs(4) };
        only(&without(late), "docker", Level::Wrong, &["did not answer", "docker info"]);
    }

    #[test]
    fn docker_s_socket_may_be_closed_to_this_user_where_the_daemon_runs_and_not_where_none_does() {
        let closed = without(EngineError::Permission { endpoint: "unix:///x".into() });
        only(&closed, "docker", Level::Warning, &["may not use unix:///x", "sudo canaryd doctor"]);
        let mut alone = closed;
        alone.socket.answer = Answer::Nobody("none".into());
        found(&alone, "docker", Level::Wrong, &["usermod -aG docker"]);
    }

    #[test]
    fn clocks_that_differ_and_a_clock_that_went_back_are_told() {
        let apart = |millis: i64| {
            let shift = jiff::SignedDuration::from_millis(millis);
            spoiled(|d| {
                let checkup = checkup_of(d);
                checkup.clock = Some(checkup.our_clock + shift);
            })
        };
        only(&apart(2_000), "clock", Level::Warning, &["2s ahead of", "timedatectl"]);
        only(&apart(-60_000), "clock", Level::Wrong, &["1m behind", "wrong second"]);
        found(&apart(400), "clock", Level::Ok, &["agree"]);
        let mut back = healthy();
        let later = back.now + jiff::SignedDuration::from_mins(5);
        if let Journal::Found(found) = &mut back.state.as_mut().unwrap().journal {
            found.newest_event = Some(later);
        }
        only(&back, "clock", Level::Warning, &["went back", "5m ahead"]);
    }

    #[test]
    fn an_image_that_is_missing_or_old_is_told_with_the_command_that_gets_it() {
        let missing = spoiled(|d| (d.images[0].present, d.images[0].version) = (false, None));
        only(&missing, "image", Level::Wrong, &["gateway of shop wants", "docker pull nginx:stable"]);
        only(&spoiled(|d| d.images[0].present = false), "image", Level::Warning, &["serves on", "docker pull"]);
        let old = spoiled(|d| d.images[0].version = Some(NginxVersion::new(1, 26, 3)));
        only(&old, "image", Level::Warning, &["1.26.3, older than 1.27.4, for shop", "lose requests", "NAME-gateway"]);
        let nobody = |present: bool| {
            spoiled(|d| (d.images[0].wanted_by, d.images[0].present, d.images[0].version) = (None, present, None))
        };
        only(&nobody(false), "image", Level::Warning, &["neither nginx:stable", "scripts/nginx-image.sh"]);
        found(&nobody(true), "image", Level::Ok, &["shows when a gateway runs it"]);
    }

    #[test]
    fn rollouts_that_want_the_same_image_share_a_line() {
        let two = spoiled(|d| d.images.push(NginxImage { wanted_by: Some("blog".into()), ..d.images[0].clone() }));
        found(&two, "image", Level::Ok, &["nginx:stable is NGINX 1.30.4, for shop, blog"]);
        assert_eq!(images(&two).len(), 1);
    }

    #[test]
    fn a_network_that_collides_and_a_lack_of_subnets_are_told() {
        let collides = |d: &mut Docker| checkup_of(d).networks[0].collisions.push("172.16.0.0/12 by tun0".into());
        only(&spoiled(collides), "network", Level::Wrong, &["canaryd-shop", "172.16.0.0/12 by tun0"]);
        only(&spoiled(|d| checkup_of(d).free_subnets = 0), "network", Level::Wrong, &["no subnet is free", "prune"]);
        only(&spoiled(|d| checkup_of(d).free_subnets = 3), "network", Level::Warning, &["only 3 subnets"]);
        let elsewhere = spoiled(|d| {
            collides(d);
            d.info.virtual_machine = true;
        });
        found(&elsewhere, "network", Level::Ok, &["no subnet collides"]);
    }
}
