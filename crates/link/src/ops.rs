//! The ops port: which generation is live, how many requests there were, and the relay.

use std::net::{IpAddr, SocketAddr};

use canaryd_gateway::GenerationId;

/// NGINX's own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StubStatus {
    /// Open client connections, idle ones included.
    pub active: u64,
    /// Connections accepted since the start of the master.
    pub accepts: u64,
    /// Connections handled.
    pub handled: u64,
    /// Requests begun, those on the ops port included; each ends as one line of the log.
    pub requests: u64,
    /// Connections with a request whose answer is not finished.
    pub writing: u64,
}

/// Why the ops port gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// No connection, or it broke off.
    #[error("the gateway's ops port {addr} does not answer")]
    Unreachable {
        /// Where.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An answer that is not ours: wrong token or another server.
    #[error("the gateway's ops port {addr} answered {found}")]
    Unexpected {
        /// Where.
        addr: SocketAddr,
        /// Status or text.
        found: String,
    },
}

/// The ops port of one gateway.
#[derive(Debug, Clone)]
pub struct Ops {
    addr: SocketAddr,
    token: String,
}

impl Ops {
    /// `addr`: where the port is published on this host.
    #[must_use]
    pub fn new(addr: SocketAddr, token: String) -> Self {
        Self { addr, token }
    }
    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Name and value of the header that each request to the port must carry (for the relay's client).
    #[must_use]
    pub fn header(&self) -> (&'static str, &str) {
        (canaryd_gateway::container::OPS_TOKEN_HEADER, &self.token)
    }
    /// Path on the ops port by which `ip:port` and its `path` (with a leading slash and, if any, a query) are reached.
    #[must_use]
    pub fn relay_uri(&self, ip: IpAddr, port: u16, path: &str) -> String {
        format!("/relay/{ip}/{port}{path}")
    }
    /// The generation that answers a fresh connection.
    ///
    /// # Errors
    /// No answer within 500 ms, or not a generation.
    pub async fn generation(&self) -> Result<GenerationId, OpsError> {
        todo!()
    }
    /// NGINX's counters.
    ///
    /// # Errors
    /// No answer within 500 ms, or not a status page.
    pub async fn stub_status(&self) -> Result<StubStatus, OpsError> {
        todo!()
    }
}
