//! What a gateway's configuration needs beside the intent.

use std::collections::BTreeMap;

use canaryd_rollout::{ModeFrom, RolloutName};

use crate::nginx::NginxVersion;
use crate::page::Page;
use crate::traffic::Lane;

/// Everything that a configuration is made of, except who gets how much ([`crate::Intent`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whose gateway it is.
    pub rollout: RolloutName,
    /// `spec.gateway`.
    pub spec: canaryd_rollout::Gateway,
    /// Port that the app listens on inside its containers; internal callers use it with an alias.
    pub app_port: u16,
    /// Where the mode of a request is read.
    pub mode: Option<ModeFrom>,
    /// The version of each lane, for the `X-Canary-Version` header.
    pub versions: BTreeMap<Lane, String>,
    /// What the ops port wants in `X-Canaryd-Token`: 16 to 128 letters, digits, `-` and `_`. A secret.
    pub ops_token: String,
    /// The secret behind the force header; same alphabet. `None`: nobody can force a lane.
    pub force_token: Option<String>,
    /// Salt of the client hashes in the log; same alphabet. A secret.
    pub client_salt: String,
    /// The NGINX that will read it.
    pub nginx: NginxVersion,
    /// The only network (IPv4 CIDR) that the relay reaches: canaryd's own.
    pub relay_subnet: String,
    /// The user's own page for a rollout that is stopped. Where it is not the one that the intent names, the built-in one
    /// is used.
    pub page: Option<Page>,
}

/// The value of the force header that chooses `lane`: `canary:<token>` or `production:<token>`.
#[must_use]
pub fn force_value(lane: Lane, token: &str) -> String {
    format!("{lane}:{token}")
}
