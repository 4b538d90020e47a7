//! The way to an HTTP endpoint of a container: directly, or relayed by the gateway's ops port where canaryd has no
//! route to the containers' network. What the relay itself does wrong is never blamed on the container.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The header that carries the ops port's token.
pub const RELAY_HEADER: &str = "X-Canaryd-Token";

/// The header that the relay adds to answers for which it asked the container: the time until its head came, or `-`
/// where it gave none. What the relay refuses by itself lacks it.
pub const RELAYED_HEADER: &str = "X-Canaryd-Relay";

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
        let asked = tokio::time::timeout(timeout, self.ask(addr, port, path, timeout, max_body)).await;
        let (status, body) = asked.unwrap_or(Err(ReachError::Timeout(timeout)))?;
        Ok(Answer { status, body, took: began.elapsed() })
    }

    async fn ask(
        &self,
        addr: IpAddr,
        port: u16,
        path: &str,
        timeout: Duration,
        max_body: usize,
    ) -> Result<(u16, Bytes), ReachError> {
        match self {
            Self::Direct => {
                let to = SocketAddr::new(addr, port);
                let request = Request::get(path).header(HOST, to.to_string());
                let answer = exchange(to, request).await.map_err(Trouble::of_container)?;
                read(answer, max_body).await
            }
            Self::Relay { ops, token } => {
                let path = format!("/relay/{addr}/{port}{path}");
                let request = Request::get(path).header(HOST, ops.to_string()).header(RELAY_HEADER, token);
                let answer = exchange(*ops, request).await.map_err(|trouble| trouble.of_relay(*ops))?;
                relayed(*ops, timeout, &answer)?;
                read(answer, max_body).await
            }
        }
    }
}

/// What went wrong before an answer began.
enum Trouble {
    /// Not even connected.
    Connect(io::Error),
    /// The request cannot be sent, or what came is no answer.
    Talk(String),
}

impl Trouble {
    fn of_container(self) -> ReachError {
        match self {
            Self::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => ReachError::Refused,
            Self::Connect(error) => ReachError::BadAnswer(error.to_string()),
            Self::Talk(reason) => ReachError::BadAnswer(reason),
        }
    }

    fn of_relay(self, ops: SocketAddr) -> ReachError {
        let reason = match self {
            Self::Connect(error) => error.to_string(),
            Self::Talk(reason) => reason,
        };
        ReachError::RelayDown { ops, reason }
    }
}

async fn exchange(to: SocketAddr, request: Builder) -> Result<Response<Incoming>, Trouble> {
    let request = request
        .header(USER_AGENT, concat!("canaryd/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Trouble::Talk(error.to_string()))?;
    let stream = TcpStream::connect(to).await.map_err(Trouble::Connect)?;
    let talk = |error: hyper::Error| Trouble::Talk(words(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(talk)?;
    // Ends with the connection; a dropped body or sender closes that.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(talk)
}

/// Tells an answer of the container from one that the relay made itself.
fn relayed(ops: SocketAddr, timeout: Duration, answer: &Response<Incoming>) -> Result<(), ReachError> {
    let status = answer.status();
    let Some(head_time) = answer.headers().get(RELAYED_HEADER) else {
        return Err(ReachError::RelayDown { ops, reason: format!("it answered {status} itself") });
    };
    match (head_time.as_bytes(), status) {
        (b"-", StatusCode::GATEWAY_TIMEOUT) => Err(ReachError::Timeout(timeout)),
        (b"-", _) => Err(ReachError::Refused),
        (_, _) => Ok(()),
    }
}

async fn read(answer: Response<Incoming>, max_body: usize) -> Result<(u16, Bytes), ReachError> {
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), max_body).collect().await.map_err(|error| {
        let too_long = error.is::<LengthLimitError>();
        ReachError::BadAnswer(if too_long {
            format!("its body is longer than {max_body} bytes")
        } else {
            error.to_string()
        })
    })?;
    Ok((status, body.to_bytes()))
}

fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Stage, nobody};

    const SOON: Duration = Duration::from_millis(300);

    async fn direct(to: SocketAddr, path: &str) -> Result<Answer, ReachError> {
        Reach::Direct.get(to.ip(), to.port(), path, SOON, 500).await
    }

    async fn relayed(ops: SocketAddr, path: &str) -> Result<Answer, ReachError> {
        let reach = Reach::Relay { ops, token: "secret".to_owned() };
        reach.get("172.30.0.5".parse().unwrap(), 8000, path, SOON, 500).await
    }

    #[tokio::test]
    async fn an_answer_is_status_and_body() {
        let stage = Stage::open().await;
        let answer = direct(stage.addr, "/x").await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(b"GET /x HTTP/1.1\r\n"), "{answer:?}");
        assert_eq!(direct(stage.addr, "/status/503").await.unwrap().status, 503);
    }

    #[tokio::test]
    async fn each_way_to_fail_is_told_apart() {
        let stage = Stage::open().await;
        assert_eq!(direct(nobody().await, "/").await, Err(ReachError::Refused));
        assert_eq!(direct(stage.addr, "/hang").await, Err(ReachError::Timeout(SOON)));
        for path in ["/cut", "/half", "/reset", "/noise", "/long", "/not a path"] {
            let error = direct(stage.addr, path).await.unwrap_err();
            assert!(matches!(error, ReachError::BadAnswer(_)), "{path}: {error:?}");
            assert!(error.blames_container());
        }
    }

    #[tokio::test]
    async fn the_relay_is_asked_for_address_port_and_path_with_its_token() {
        let stage = Stage::open().await;
        let answer = relayed(stage.addr, "/health?deep=1").await.unwrap();
        let request = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(request.starts_with("GET /relay/172.30.0.5/8000/health?deep=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("x-canaryd-token: secret\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_relay_that_is_down_says_nothing_about_the_container() {
        let error = relayed(nobody().await, "/health").await.unwrap_err();
        assert!(matches!(error, ReachError::RelayDown { .. }), "{error:?}");
        assert!(!error.blames_container());
    }

    #[tokio::test]
    async fn what_the_relay_answers_itself_is_not_the_containers_answer() {
        let stage = Stage::open().await;
        assert_eq!(relayed(stage.addr, "/nobody").await, Err(ReachError::Refused));
        assert_eq!(relayed(stage.addr, "/late").await, Err(ReachError::Timeout(SOON)));
        assert_eq!(relayed(stage.addr, "/failing").await.unwrap().status, 502);
        let error = relayed(stage.addr, "/unmarked").await.unwrap_err();
        assert!(matches!(error, ReachError::RelayDown { .. }), "{error:?}");
    }

    #[test]
    fn a_token_is_never_printed() {
        let reach = Reach::Relay { ops: "127.0.0.1:1".parse().unwrap(), token: "secret".to_owned() };
        assert!(!format!("{reach:?}").contains("secret"));
    }
}
