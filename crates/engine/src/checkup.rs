//! What can be wrong around this instance's containers: facts for somebody who looks for the reason.

use std::net::{IpAddr, SocketAddr};

use canaryd_rollout::RolloutName;
use jiff::Timestamp;

use crate::docker::Subnet;
use crate::observation::RunState;

/// The surroundings of this instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// The engine's clock, where it said one.
    pub clock: Option<Timestamp>,
    /// Our clock in the middle of that question.
    pub our_clock: Timestamp,
    /// The own networks of this instance.
    pub networks: Vec<NetworkCheck>,
    /// Ranges that are free for a new network; counted up to [`Checkup::ENOUGH_SUBNETS`].
    pub free_subnets: usize,
    /// The gateways of this instance, by rollout.
    pub gateways: Vec<GatewayCheck>,
    /// Containers of this instance whose last end was for lack of memory.
    pub killed_for_memory: Vec<String>,
}

impl Checkup {
    /// Free ranges are not counted further.
    pub const ENOUGH_SUBNETS: usize = 8;
}

/// One own network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCheck {
    /// Its name.
    pub name: String,
    /// Its range.
    pub subnet: Subnet,
    /// Routes of this host that lead the same addresses, or some of them, elsewhere: `10.0.0.0/8 by tun0`.
    pub collisions: Vec<String>,
}

/// One gateway's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCheck {
    /// Of which rollout.
    pub rollout: RolloutName,
    /// Container name.
    pub name: String,
    /// Container id.
    pub id: String,
    /// Whether it runs.
    pub state: RunState,
    /// Process id on the host while it runs.
    pub pid: Option<i64>,
    /// Its address on the rollout's own network.
    pub addr: Option<IpAddr>,
    /// Where its ops port is published.
    pub ops_port: Option<u16>,
    /// Where it listens on this host, the ops port included.
    pub published: Vec<SocketAddr>,
    /// Workers that finish requests of older generations; `None` where nobody can tell.
    pub old_workers: Option<u32>,
}
