//! What is asked of a gateway: which lane gets which share, and where the lanes' replicas are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use canaryd_rollout::{SetId, Weight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::PageId;

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
    /// It is stopped for maintenance: every request gets a 503 with a page. The lanes say who served before.
    #[serde(rename_all = "camelCase")]
    Stopped {
        /// The user's own page; `None`: the built-in one.
        page: Option<PageId>,
        /// What clients are told to wait, in seconds.
        retry_after: u32,
    },
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
            Self::Nobody | Self::Stopped { .. } => Weight::ZERO,
            Self::Split { canary } => canary,
        }
    }

    /// Whether any lane gets requests.
    #[must_use]
    pub fn reaches_somebody(self) -> bool {
        match self {
            Self::Nobody | Self::Stopped { .. } => false,
            Self::Split { .. } => true,
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
    /// The canary gets nothing because nobody can see how it does: written down beside the lowering itself, for a start that
    /// finds no other record of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub precaution: bool,
}

impl Intent {
    /// Whether the canary gets less than under `before` and the same production gets it: such a change is never queued
    /// behind anything. A lane swap is none, though the canary's share falls to 0 in it.
    #[must_use]
    pub fn lowers(&self, before: &Self) -> bool {
        let production = |of: &Self| of.lane(Lane::Production).iter().map(|e| e.set.clone()).collect::<BTreeSet<_>>();
        self.traffic.canary() < before.traffic.canary() && production(self) == production(before)
    }
    /// Replicas of one lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &[Endpoint] {
        self.lanes.get(&lane).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(canary: Weight, production: u64, on_trial: Option<u64>) -> Intent {
        let addr = IpAddr::from([10, 0, 0, 1]);
        let endpoint = |set| vec![Endpoint { set: SetId::nth(set), ordinal: 1, addr, port: 8000 }];
        let lanes = [(Lane::Production, Some(production)), (Lane::Canary, on_trial)];
        let lanes = lanes.into_iter().filter_map(|(lane, set)| Some((lane, endpoint(set?)))).collect();
        Intent { seq: 1, traffic: Traffic::Split { canary }, lanes, precaution: false }
    }

    #[test]
    fn less_for_the_canary_is_a_lowering_and_a_lane_swap_is_none() {
        let live = intent(Weight::FULL, 1, Some(2));
        assert!(intent(Weight::ZERO, 1, Some(2)).lowers(&live), "a revert");
        assert!(intent(Weight::ZERO, 1, None).lowers(&live), "a revert whose canary has ended");
        assert!(!intent(Weight::ZERO, 2, None).lowers(&live), "a promotion: set 2 is production now");
        assert!(!intent(Weight::ZERO, 1, None).lowers(&intent(Weight::ZERO, 1, None)), "nothing to lower");
        assert!(!live.lowers(&intent(Weight::ZERO, 1, Some(2))), "a raise");
    }
}
