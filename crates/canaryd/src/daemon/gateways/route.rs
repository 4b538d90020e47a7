//! Whether this process has a route to the containers' network.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use canaryd_engine::{Observation, RunState};
use canaryd_rollout::{Rollout, RolloutName};
use tokio::net::TcpStream;

use crate::cli::ReachChoice;
use crate::daemon::house::House;

/// How long an address may take to answer before the relay is used.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries the network on the gateway's own ops port, once for all rollouts. A refusal has come from there as well.
/// Before the gateway runs (its image may be hours away) an application that answers is proof enough; one that does
/// not proves nothing.
pub(super) async fn find_route(house: &House, rollout: &Rollout, ops_port: u16) {
    if house.config.reach != ReachChoice::Auto || house.routes.get().is_some() {
        return;
    }
    let Some(observation) = house.observer.seen().observation else { return };
    let routes = match (gateway_of(&observation, &rollout.name), app_of(&observation, rollout)) {
        (Some(gateway), _) => answers(SocketAddr::new(gateway, ops_port)).await.unwrap_or(true),
        (None, Some(app)) if answers(app).await == Some(true) => true,
        (None, _) => return,
    };
    if house.routes.set(routes).is_ok() {
        let reach = if routes { "direct" } else { "relay" };
        tracing::info!(reach, "how containers are reached");
        house.cells().iter().for_each(|cell| cell.bell.ring());
    }
}

fn gateway_of(observation: &Observation, name: &RolloutName) -> Option<IpAddr> {
    observation.gateways.iter().find(|g| &g.rollout == name)?.addr
}

fn app_of(observation: &Observation, rollout: &Rollout) -> Option<SocketAddr> {
    let app = &rollout.app;
    let runs = |c: &&canaryd_engine::ObservedContainer| {
        c.rollout == rollout.name && c.component == app.name && c.state == RunState::Running
    };
    Some(SocketAddr::new(observation.containers.iter().find(runs)?.addr?, app.port?))
}

/// Whether there is a connection; `None` for a refusal.
async fn answers(addr: SocketAddr) -> Option<bool> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(addr)).await {
        Ok(Ok(_)) => Some(true),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => None,
        Ok(Err(_)) | Err(_) => Some(false),
    }
}
