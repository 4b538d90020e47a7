//! What is asked of a gateway: which lane gets which share, and where the lanes' replicas are.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use canaryd_rollout::{SetId, Weight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pointer to the set that plays a part now. Kept in the journal, never read from a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Lane {
    /// What was last promoted.
    Production,
    /// What is on trial.
    Canary,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Production => "production",
            Self::Canary => "canary",
        })
    }
}

/// One replica as the gateway reaches it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// The set that owns the address.
    pub set: SetId,
    /// Number of the replica within its rollout and component.
    pub ordinal: u32,
    /// Fixed address on canaryd's own network.
    #[schemars(with = "String")]
    pub addr: IpAddr,
    /// Port of the app.
    pub port: u16,
}

/// The split of the traffic that is not routed by a rule. `canary` and its complement always sum to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Traffic {
    /// No lane has a running container: every request gets an honest 503.
    Nobody,
    /// The canary gets this share, production the rest.
    Split {
        /// The canary's share.
        canary: Weight,
    },
}

impl Traffic {
    /// Everything to production.
    pub const PRODUCTION: Self = Self::Split { canary: Weight::ZERO };

    /// The canary's share; zero when nobody serves.
    #[must_use]
    pub fn canary(self) -> Weight {
        match self {
            Self::Nobody => Weight::ZERO,
            Self::Split { canary } => canary,
        }
    }
}

/// What one rollout asks of its gateway. Two intents with equal `traffic` and `lanes` are the same wish; `seq` only
/// tells which is newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Rises with every new wish of this rollout.
    pub seq: u64,
    /// Who gets how much.
    pub traffic: Traffic,
    /// Replicas of each lane, sorted.
    pub lanes: BTreeMap<Lane, Vec<Endpoint>>,
}

impl Intent {
    /// Whether the canary gets less than under `before`: such a change is never queued behind anything.
    #[must_use]
    pub fn lowers(&self, before: &Self) -> bool {
        self.traffic.canary() < before.traffic.canary()
    }
    /// Replicas of one lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &[Endpoint] {
        self.lanes.get(&lane).map_or(&[], Vec::as_slice)
    }
}
