//! The ops port: which generation is live, how many requests there were, and the relay.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use canaryd_gateway::GenerationId;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// For connection and answer together; the port is on this host.
const PATIENCE: Duration = Duration::from_millis(500);

/// Response header of the relay. Absent: the relay itself did not answer. `-`: the replica gave no answer. Else the
/// seconds that the replica took to begin its answer.
pub const RELAY_HEADER: &str = "X-Canaryd-Relay";

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
        source: io::Error,
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
#[derive(Clone)]
pub struct Ops {
    addr: SocketAddr,
    token: String,
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ops").field("addr", &self.addr).finish_non_exhaustive()
    }
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
    /// The answer carries [`RELAY_HEADER`].
    #[must_use]
    pub fn relay_uri(&self, ip: IpAddr, port: u16, path: &str) -> String {
        format!("/relay/{ip}/{port}{path}")
    }
    /// The generation that answers a fresh connection.
    ///
    /// # Errors
    /// No answer within 500 ms, or not a generation.
    pub async fn generation(&self) -> Result<GenerationId, OpsError> {
        let text = self.get("/generation").await?;
        text.trim().parse().map_err(|_| self.unexpected(&text))
    }
    /// NGINX's counters.
    ///
    /// # Errors
    /// No answer within 500 ms, or not a status page.
    pub async fn stub_status(&self) -> Result<StubStatus, OpsError> {
        let text = self.get("/stub_status").await?;
        read_status(&text).ok_or_else(|| self.unexpected(&text))
    }

    /// Always on a connection of its own: an old worker would go on answering on an old one.
    async fn get(&self, path: &str) -> Result<String, OpsError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(path)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        let (status, text) = answer.map_err(|source| OpsError::Unreachable { addr: self.addr, source })?;
        if status == 200 { Ok(text) } else { Err(self.unexpected(&status.to_string())) }
    }

    async fn exchange(&self, path: &str) -> io::Result<(u16, String)> {
        let stream = TcpStream::connect(self.addr).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let (name, token) = self.header();
        let request = Request::get(path).header("Host", self.addr.to_string()).header("Connection", "close");
        let request = request.header(name, token).body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), 4096).collect().await.map_err(io::Error::other)?;
            Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        // The connection has to be driven for the answer to come; when it ends first, the answer says how.
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }

    fn unexpected(&self, found: &str) -> OpsError {
        OpsError::Unexpected { addr: self.addr, found: found.chars().take(80).collect() }
    }
}

/// ```text
/// Active connections: 291
/// server accepts handled requests
///  16630948 16630948 31070465
/// Reading: 6 Writing: 179 Waiting: 106
/// ```
fn read_status(text: &str) -> Option<StubStatus> {
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [active, accepts, handled, requests, _reading, writing, _waiting] => {
            Some(StubStatus { active, accepts, handled, requests, writing })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_page_is_read() {
        let text = "Active connections: 291 \nserver accepts handled requests\n 166 165 310 \nReading: 6 Writing: 179 Waiting: 106 \n";
        let status = StubStatus { active: 291, accepts: 166, handled: 165, requests: 310, writing: 179 };
        assert_eq!(read_status(text), Some(status));
        assert_eq!(read_status("<html>404</html>"), None);
    }
}
