//! Whether this process has a route to the containers' network.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use canaryd_rollout::RolloutName;
use tokio::net::TcpStream;

use crate::cli::ReachChoice;
use crate::daemon::house::House;

/// How long the gateway's own address may take to answer before the relay is used.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries the network on the gateway's own ops port, once for all rollouts. A refusal has come from there as well.
pub(super) async fn find_route(house: &House, name: &RolloutName, ops_port: u16) {
    if house.config.reach != ReachChoice::Auto || house.routes.get().is_some() {
        return;
    }
    let observation = house.observer.seen().observation;
    let gateway = observation.iter().flat_map(|o| &o.gateways).find(|g| &g.rollout == name);
    let Some(addr) = gateway.and_then(|g| g.addr) else { return };
    let tried = tokio::time::timeout(PATIENCE, TcpStream::connect(SocketAddr::new(addr, ops_port))).await;
    let routes = match &tried {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Err(_) => false,
    };
    if house.routes.set(routes).is_ok() {
        let reach = if routes { "direct" } else { "relay" };
        tracing::info!(reach, "how containers are reached");
        house.cells().iter().for_each(|cell| cell.bell.ring());
    }
}
