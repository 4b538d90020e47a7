//! Gateways: whether they serve what they should, and whether they can be lowered without Docker.

use canaryd_engine::RunState;

use super::super::Finding;
use super::super::facts::{Facts, Gateway, Process};

/// Old workers of so many generations at once are told.
const MANY_WORKERS: u32 = 64;

pub(super) fn gateways(facts: &Facts) -> Vec<Finding> {
    facts.gateways.iter().flat_map(|gateway| [serves(facts, gateway), signal(facts, gateway)]).flatten().collect()
}

fn serves(facts: &Facts, gateway: &Gateway) -> Option<Finding> {
    let name = &gateway.rollout;
    let item = format!("gateway {name}");
    let Some(container) = &gateway.container else {
        let checked = facts.docker.as_ref().is_ok_and(|d| d.checkup.is_ok());
        return checked.then(|| {
            Finding::wrong(item, "there is no container of it, though its configuration is on disk")
                .means("its users get no answer; a daemon that runs makes it anew")
                .mend(super::socket::rouse(facts, name))
        });
    };
    if container.state != RunState::Running {
        return Some(stopped(gateway, container.state));
    }
    Some(silent(gateway).or_else(|| wrong_generation(gateway)).unwrap_or_else(|| ready(gateway)))
}

fn stopped(gateway: &Gateway, state: RunState) -> Finding {
    let name = &gateway.rollout;
    let word = match state {
        RunState::Created => "was never started",
        RunState::Running => "runs",
        RunState::Paused => "is paused",
        RunState::Restarting => "ends again and again",
        RunState::Exited => "has ended",
    };
    let found = |said: String| Finding::wrong(format!("gateway {name}"), said).means("its users get no answer");
    // Its own port is held for it while it is paused: whoever listens there is no stranger.
    if state == RunState::Paused {
        return found(format!("its container {word}")).mend(format!("docker unpause {name}-gateway"));
    }
    if let Some((place, who)) = gateway.taken.first() {
        return found(format!("its container {word}, and {place} is taken by {who}"))
            .mend("stop that, or choose another port in the manifest");
    }
    found(format!("its container {word}")).mend(format!("docker start {name}-gateway; canaryd logs {name} --gateway"))
}

fn silent(gateway: &Gateway) -> Option<Finding> {
    let place = gateway.silent.first()?;
    let name = &gateway.rollout;
    let found = Finding::wrong(format!("gateway {name}"), format!("it runs, but nobody answers on {place}"));
    Some(
        found
            .means("its users get no answer there")
            .mend(format!("docker port {name}-gateway; docker logs --tail 20 {name}-gateway")),
    )
}

fn wrong_generation(gateway: &Gateway) -> Option<Finding> {
    let name = &gateway.rollout;
    let item = format!("gateway {name}");
    let current = gateway.disk?.current;
    match &gateway.live {
        Some(Err(why)) => {
            let found = Finding::wrong(item, format!("it does not say which configuration is live: {why}"));
            return Some(found.means("weights cannot be proven").mend(format!("docker logs --tail 20 {name}-gateway")));
        }
        Some(Ok(live)) if Some(*live) != current => {
            let on_disk = current.map_or_else(|| "none".to_owned(), |c| c.to_string());
            let found = Finding::wrong(item, format!("NGINX answers with configuration {live}, on disk is {on_disk}"));
            return Some(found.means("a signal did not reach it").mend(format!("docker kill -s HUP {name}-gateway")));
        }
        Some(Ok(_)) | None => {}
    }
    if current.is_some() && !gateway.disk?.twin {
        let found = Finding::warning(item, "the all-production twin of its configuration is missing");
        return Some(
            found.means("canaryd rollback --offline cannot lower it; the next change of the weights makes a twin"),
        );
    }
    if gateway.as_asked == Some(false) {
        let found = Finding::warning(item, "what is live is not what the journal asks for");
        return Some(
            found
                .means("it was lowered without the daemon, or the daemon is about to change it")
                .mend(format!("canaryd status {name}")),
        );
    }
    None
}

fn ready(gateway: &Gateway) -> Finding {
    let item = format!("gateway {}", gateway.rollout);
    let container = gateway.container.as_ref();
    let places: Vec<String> = container.into_iter().flat_map(|c| &c.published).map(ToString::to_string).collect();
    let workers = container.and_then(|c| c.old_workers).unwrap_or(0);
    let live = match &gateway.live {
        Some(Ok(live)) => format!("configuration {live}, its twin is ready"),
        Some(Err(_)) | None => "its configuration was not asked for".to_owned(),
    };
    let reach = match gateway.routed {
        Some(true) => "; containers are reached by address",
        Some(false) => "; no route to its network: containers are reached through it (relay)",
        None => "",
    };
    let stopped = if gateway.stopped {
        let name = &gateway.rollout;
        format!("; stopped for maintenance: users get a page with 503, canaryd start {name} brings it back")
    } else {
        String::new()
    };
    let said = format!("answers on {}; {live}{reach}{stopped}", places.join(", "));
    if workers > MANY_WORKERS {
        return Finding::warning(item, format!("{said}; {workers} old workers"))
            .means("long connections keep workers of older configurations alive, each with memory of its own")
            .mend(format!("canaryd pause {}; shorter gateway drain in the manifest", gateway.rollout));
    }
    let old = if workers > 0 {
        format!("; {} to finish", crate::cli::several(u64::from(workers), "old worker"))
    } else {
        String::new()
    };
    Finding::ok(item, said + &old)
}

/// Whether lowering depends on nothing: by a signal of our own, without Docker's API.
fn signal(facts: &Facts, gateway: &Gateway) -> Option<Finding> {
    gateway.container.as_ref().is_none_or(|c| c.state == RunState::Running).then_some(())?;
    let item = format!("signal {}", gateway.rollout);
    let (sender, who) = facts.signaller();
    let Some(master) = &gateway.master else {
        gateway.container.as_ref()?;
        let found = Finding::warning(item, "NGINX's main process is not seen from here");
        return Some(
            found
                .means("lowering needs Docker's API: while that is dead, a canary keeps its share")
                .mend("run the daemon on the host itself, not in a container without --pid host"),
        );
    };
    if may_signal(sender, master) {
        return Some(Finding::ok(item, format!("{who} may signal NGINX itself: lowering needs no Docker")));
    }
    let [_, effective, _] = sender.uids;
    let said = format!("{who} (user {effective}) may not signal NGINX (user {})", master.uids[1]);
    let found =
        Finding::warning(item, said).means("lowering needs Docker's API: while that is dead, a canary keeps its share");
    Some(found.mend("run the daemon as root, or with AmbientCapabilities=CAP_KILL in its unit"))
}

/// kill(2): the right of its own, or the sender's real or effective user is the target's real or saved one.
fn may_signal(sender: &Process, target: &Process) -> bool {
    let [real, effective, _] = sender.uids;
    let [target_real, _, target_saved] = target.uids;
    sender.may_kill || [real, effective].iter().any(|uid| *uid == target_real || *uid == target_saved)
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::super::sample::{found, healthy, only};
    use super::*;

    fn spoiled(spoil: impl FnOnce(&mut Gateway)) -> Facts {
        let mut facts = healthy();
        spoil(&mut facts.gateways[0]);
        facts
    }

    #[test]
    fn a_gateway_without_container_or_with_one_that_does_not_run_is_wrong() {
        found(&spoiled(|g| g.container = None), "gateway shop", Level::Wrong, &["no container", "status shop"]);
        let stopped = |state| spoiled(move |g| g.container.as_mut().unwrap().state = state);
        only(&stopped(RunState::Exited), "gateway shop", Level::Wrong, &["has ended", "docker start shop-gateway"]);
        let mut paused = stopped(RunState::Paused);
        paused.gateways[0].taken = vec![("127.0.0.1:8080".parse().unwrap(), "docker-proxy (process 7)".into())];
        only(&paused, "gateway shop", Level::Wrong, &["is paused", "docker unpause shop-gateway"]);
        let text = format!("{:?}", super::super::check(&paused));
        assert!(!text.contains("taken by"), "Docker keeps its port for it: {text}");
        only(&stopped(RunState::Restarting), "gateway shop", Level::Wrong, &["again and again"]);
        let mut taken = stopped(RunState::Created);
        taken.gateways[0].taken = vec![("127.0.0.1:8080".parse().unwrap(), "apache2 (process 7)".into())];
        only(&taken, "gateway shop", Level::Wrong, &["127.0.0.1:8080 is taken by apache2 (process 7)"]);
    }

    #[test]
    fn a_silent_port_and_a_configuration_that_is_not_live_are_wrong() {
        let silent = spoiled(|g| g.silent = vec!["127.0.0.1:8080".parse().unwrap()]);
        only(&silent, "gateway shop", Level::Wrong, &["nobody answers on 127.0.0.1:8080"]);
        let stale = spoiled(|g| g.live = Some(Ok("1.3".parse().unwrap())));
        only(&stale, "gateway shop", Level::Wrong, &["answers with configuration 1.3, on disk is 1.4", "kill -s HUP"]);
        let mute = spoiled(|g| g.live = Some(Err("refused".into())));
        only(&mute, "gateway shop", Level::Wrong, &["refused"]);
    }

    #[test]
    fn a_missing_twin_another_wish_and_many_old_workers_are_warnings() {
        only(
            &spoiled(|g| g.disk.as_mut().unwrap().twin = false),
            "gateway shop",
            Level::Warning,
            &["twin", "--offline"],
        );
        only(&spoiled(|g| g.as_asked = Some(false)), "gateway shop", Level::Warning, &["journal asks for"]);
        let workers = |n| spoiled(move |g| g.container.as_mut().unwrap().old_workers = Some(n));
        only(&workers(100), "gateway shop", Level::Warning, &["100 old workers"]);
        found(&workers(1), "gateway shop", Level::Ok, &["1 old worker to finish"]);
        found(&spoiled(|g| g.routed = Some(false)), "gateway shop", Level::Ok, &["no route", "relay"]);
        found(&spoiled(|g| g.stopped = true), "gateway shop", Level::Ok, &["for maintenance", "canaryd start shop"]);
    }

    #[test]
    fn who_may_not_signal_nginx_is_told_that_lowering_needs_docker() {
        let mut facts = healthy();
        let daemon = facts.state.as_mut().unwrap().holder.as_mut().unwrap();
        (daemon.uids, daemon.may_kill) = ([0; 3], false);
        only(&facts, "signal shop", Level::Warning, &["the daemon (user 0)", "NGINX (user 10001)", "Docker's API"]);
        facts.gateways[0].master.as_mut().unwrap().uids = [5, 6, 0];
        found(&facts, "signal shop", Level::Ok, &["needs no Docker"]);
        facts.state.as_mut().unwrap().holder = None;
        (facts.me.uids, facts.me.may_kill) = ([1000; 3], false);
        found(&facts, "signal shop", Level::Warning, &["this user (user 1000)"]);
        only(&spoiled(|g| g.master = None), "signal shop", Level::Warning, &["not seen from here", "--pid host"]);
    }
}
