//! The gateway of one rollout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The gateway of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Image of NGINX (fixed at creation).
    pub image: String,
    /// Address and port that users (or the TLS proxy) reach (fixed at creation).
    pub listen: Vec<Listen>,
    /// Old names of the service that internal callers use on the user's networks.
    pub aliases: Vec<String>,
    /// User's networks that the gateway joins, with `aliases`.
    pub networks: Vec<String>,
    /// Lane-pinned ports on 127.0.0.1: production, canary.
    pub expose: Expose,
    /// Cookie that keeps a user on a lane; `None`: each request is drawn.
    pub sticky: Option<Sticky>,
    /// Networks (CIDR) of proxies in front whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<String>,
    /// Header name and secret that force a lane.
    pub force: Option<Force>,
    /// Limits and timeouts.
    pub limits: Limits,
    /// User's own directives; tested by `nginx -t` before they are used.
    pub snippets: Snippets,
    /// Worker processes.
    pub workers: u32,
}

/// One published address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Listen {
    /// Host address; 127.0.0.1 unless another one is written.
    pub address: std::net::IpAddr,
    /// Host port.
    pub port: u16,
}

/// Lane-pinned ports on 127.0.0.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expose {
    /// Always production.
    pub production: Option<u16>,
    /// Always the canary (503 while there is none).
    pub canary: Option<u16>,
}

/// Cookie that keeps a user on a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sticky {
    /// Cookie name.
    pub cookie: String,
    /// `Max-Age`.
    pub max_age: Duration,
}

/// Header that forces a lane; its value is a secret token made by canaryd and kept in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Force {
    /// Header name.
    pub header: String,
}

/// Limits and timeouts of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Longest time between two reads of an answer.
    pub read_timeout: Duration,
    /// Longest time to connect to a replica.
    pub connect_timeout: Duration,
    /// Largest request body in bytes; 0 = any.
    pub body: u64,
    /// How long open streams outlive a change of the weights.
    pub stream_timeout: Duration,
}

/// User's own NGINX directives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippets {
    /// In `http { }`.
    pub http: Option<String>,
    /// In the traffic `server { }`.
    pub server: Option<String>,
    /// In `location / { }`.
    pub location: Option<String>,
}
