//! Who is judged by a line of the access log: each attempt belongs to the set that owns its address.

use canaryd_rollout::SetId;
use serde::{Deserialize, Serialize};

/// Who owns an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The set.
    pub set: SetId,
    /// The replica of it.
    pub ordinal: u32,
}

/// One attempt at one replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix time at which the request ended.
    pub second: i64,
    /// Generation of the gateway's configuration that routed it: `<epoch>.<n>`.
    pub generation: String,
    /// Whose.
    pub set: SetId,
    /// Which replica.
    pub ordinal: u32,
    /// The split sent it there. Otherwise a rule or a forced lane did, and it is no evidence.
    pub by_split: bool,
    /// It failed.
    pub failed: bool,
    /// Status of the replica's answer; `None` when there was none.
    pub status: Option<u16>,
    /// Seconds that the replica took; `None` when it never answered.
    pub latency: Option<f64>,
    /// Mode of the request.
    pub mode: Option<String>,
    /// Salted hash of the client or of the sticky key.
    pub client: u64,
}

// `pub fn evidence(line: &canaryd_gateway::AccessLine, owners: &BTreeMap<IpAddr, Owner>) -> Vec<Attempt>`
// comes with the line.
