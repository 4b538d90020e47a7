//! Each gateway: its container, its directory, its ports and its main process.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use canaryd_engine::{Checkup, GatewayCheck, RunState};
use canaryd_gateway::{GenerationId, Intent, Traffic};
use canaryd_link::{Link, Ops};
use canaryd_rollout::RolloutName;
use futures::future::join_all;
use serde_json::Value;
use tokio::net::TcpStream;

use super::{blocking, process};
use crate::daemon::{gateway_intent, ops_token};
use crate::doctor::facts::{Gateway, Journal, Process, State};

/// For a connection on this host.
const PATIENCE: Duration = Duration::from_millis(800);

pub(super) async fn look(state: Option<&State>, checkup: Option<&Checkup>) -> Vec<Gateway> {
    let mut names: BTreeSet<RolloutName> = BTreeSet::new();
    names.extend(checkup.into_iter().flat_map(|c| &c.gateways).map(|g| g.rollout.clone()));
    if let Some(state) = state {
        let entries = std::fs::read_dir(state.path.join("gateways")).into_iter().flatten().filter_map(Result::ok);
        names.extend(entries.filter_map(|e| e.file_name().to_str()?.parse::<RolloutName>().ok()));
    }
    let container = |name: &RolloutName| checkup.and_then(|c| c.gateways.iter().find(|g| g.rollout == *name));
    join_all(names.iter().map(|name| gateway(name, state, container(name)))).await
}

async fn gateway(name: &RolloutName, state: Option<&State>, container: Option<&GatewayCheck>) -> Gateway {
    let dir = state.map(|s| s.path.join("gateways").join(name.as_str())).filter(|dir| dir.join("conf").is_dir());
    let disk = dir.as_deref().map(Link::look);
    let runs = container.filter(|c| c.state == RunState::Running);
    let ops = runs.and_then(|c| c.ops_port).zip(dir.as_deref().and_then(ops_token));
    let live = async {
        let (port, token) = ops?;
        let ops = Ops::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), token);
        Some(ops.generation().await.map_err(|e| super::chain(&e)))
    };
    let places = container.map(|c| c.published.clone()).unwrap_or_default();
    let route = runs.and_then(|c| c.addr);
    let (live, silent, routed) = tokio::join!(live, silent(&places, runs.is_some()), routed(route));
    let taken = if runs.is_none() { blocking(move || taken(&places)).await.unwrap_or_default() } else { Vec::new() };
    let current = disk.as_ref().and_then(|d| d.current);
    Gateway {
        rollout: name.clone(),
        as_asked: dir.as_deref().zip(current).and_then(|(dir, current)| as_asked(name, dir, current, state?)),
        stopped: dir.as_deref().zip(current).is_some_and(|(dir, current)| is_stopped(dir, current)),
        master: master(runs, dir.as_deref()),
        container: container.cloned(),
        disk,
        live,
        silent,
        taken,
        routed,
    }
}

fn is_stopped(dir: &Path, current: GenerationId) -> bool {
    gateway_intent(dir, current).is_some_and(|intent| matches!(intent.traffic, Traffic::Stopped { .. }))
}

/// A twin stands for what it was made of, without the canary.
fn as_asked(name: &RolloutName, dir: &Path, current: GenerationId, state: &State) -> Option<bool> {
    let Journal::Found(journal) = &state.journal else { return None };
    let (_, json) = journal.memories.iter().find(|(n, _)| n == name.as_str())?;
    let memory: Value = serde_json::from_str(json).ok()?;
    let asked: Intent = serde_json::from_value(memory.get("asked")?.clone()).ok()?;
    let stands_for = gateway_intent(dir, current)?;
    let lowered = current.is_twin() && stands_for.traffic.canary() != canaryd_rollout::Weight::ZERO;
    Some(!lowered && stands_for.traffic == asked.traffic && stands_for.lanes == asked.lanes)
}

/// By the engine's word, else by whoever has this gateway's directory mounted.
fn master(runs: Option<&GatewayCheck>, dir: Option<&Path>) -> Option<Process> {
    let told = runs.and_then(|c| u32::try_from(c.pid?).ok()).filter(|pid| process::is_nginx(*pid));
    let found = || {
        let masters = crate::offline::masters_of(dir?).ok()?;
        u32::try_from(masters.first()?.as_raw_nonzero().get()).ok()
    };
    told.or_else(found).and_then(process::process)
}

async fn silent(places: &[SocketAddr], runs: bool) -> Vec<SocketAddr> {
    if !runs {
        return Vec::new();
    }
    let tried = join_all(places.iter().map(|place| async move { (*place, connects(reachable(*place)).await) })).await;
    tried.into_iter().filter(|(_, answers)| *answers != Some(true)).map(|(place, _)| place).collect()
}

/// A refusal has come from there as well: nobody listens on port 1, but somebody is there to say so.
async fn routed(addr: Option<IpAddr>) -> Option<bool> {
    Some(connects(SocketAddr::new(addr?, 1)).await.is_none_or(|answers| answers))
}

/// `None`: refused.
async fn connects(place: SocketAddr) -> Option<bool> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(_)) => Some(true),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => None,
        Ok(Err(_)) | Err(_) => Some(false),
    }
}

/// Whoever listens everywhere also listens here.
fn reachable(place: SocketAddr) -> SocketAddr {
    match place.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, place.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, place.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => place,
    }
}

fn taken(places: &[SocketAddr]) -> Vec<(SocketAddr, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let listener = |place: &SocketAddr| tables.iter().find_map(|table| listener_on(table, place.port()));
    places.iter().filter_map(|place| Some((*place, owner_of(&listener(place)?)))).collect()
}

/// The inode of the socket that listens on this port.
fn listener_on(table: &str, port: u16) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let listens = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == "0A";
        listens.then(|| (*fields.get(9).unwrap_or(&"")).to_owned())
    })
}

/// Another user's processes show their sockets to root only.
fn owner_of(inode: &str) -> String {
    let wanted = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|target| target.to_string_lossy() == wanted)
    };
    let pids = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let owner = pids.into_iter().find(|pid| holds(*pid)).map(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} (process {pid})", name.trim())
    });
    owner.unwrap_or_else(|| "a process of another user".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_on_a_port_is_found_by_the_kernel_s_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n\
                     1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4343 1\n";
        assert_eq!(listener_on(table, 8080).as_deref(), Some("4242"));
        assert_eq!(listener_on(table, 8081), None, "a connection is no listener");
    }

    #[test]
    fn the_process_that_listens_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let found = taken(&[place]);
        assert!(found[0].1.contains(&format!("process {}", std::process::id())), "{found:?}");
    }
}
