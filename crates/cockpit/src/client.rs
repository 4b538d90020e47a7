//! The other end of the socket: one connection a request, typed answers.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use canaryd_gateway::Lane;
use canaryd_planner::{Answer, Report};
use canaryd_rollout::RolloutName;
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::inside::{ContainersPage, EjectPage, OneOffPage, OneOffRequest};
use crate::page::{
    CommandRequest, EventLine, Followed, KeptPage, LaneHeader, LogLine, LogQuery, Logged, PageRequest, PlanPage,
    PlanRequest, Refusal, StatusPage,
};

/// A line of a stream is far shorter; more is not ours.
const LONGEST_LINE: usize = 8 << 20;
/// Until the head of an answer, and between two parts of its body. Few take as long (`plan` asks registries, `run` makes a container), so a daemon that says
/// nothing is asked whether it lives before it is given up; one that does says itself when something takes too long.
const SILENCE: Duration = Duration::from_secs(8);
/// A daemon that lives says so in milliseconds.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Why the daemon gave no answer, or refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers at {}: {why}", .socket.display())]
    NoDaemon {
        /// Where it was looked for.
        socket: PathBuf,
        /// In words.
        why: String,
    },
    /// Somebody has the socket, and says nothing: neither to what was asked nor that it lives.
    #[error("the daemon at {} does not answer", .socket.display())]
    Silent {
        /// Where it was asked.
        socket: PathBuf,
    },
    /// Somebody may listen, but the caller may not ask.
    #[error("the socket {} is not open to you: use sudo, or join the group canaryd", .socket.display())]
    Forbidden {
        /// Where.
        socket: PathBuf,
    },
    /// The daemon refused, with its reason.
    #[error("{}", .refusal.error)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        refusal: Refusal,
    },
    /// The daemon answers, and cannot read what was asked for.
    #[error("{why}")]
    Unread {
        /// In words.
        why: String,
    },
    /// The conversation broke off or made no sense.
    #[error("the daemon's answer broke off: {why}")]
    Broken {
        /// In words.
        why: String,
    },
}

type Result<T> = std::result::Result<T, ClientError>;

/// A way to talk to one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Finds out whether a daemon listens on the socket.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] or [`ClientError::Forbidden`].
    pub async fn connect(socket: impl Into<PathBuf>) -> Result<Self> {
        let socket = socket.into();
        dial(&socket).await?;
        Ok(Self { socket })
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Everything on the host.
    ///
    /// # Errors
    /// No daemon, or the conversation broke off.
    pub async fn status(&self) -> Result<StatusPage> {
        self.get("/v1/status").await
    }

    /// One rollout.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with 404 and the known names; no daemon.
    pub async fn report(&self, name: &RolloutName) -> Result<Report> {
        self.get(&format!("/v1/rollouts/{name}")).await
    }

    /// One rollout, after the daemon has read the manifests once more: what was saved before this call is in it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with 404 and the known names; no daemon.
    pub async fn fresh_report(&self, name: &RolloutName) -> Result<Report> {
        self.get(&format!("/v1/rollouts/{name}?fresh=true")).await
    }

    /// History above `after`; with 0 the newest `limit` lines. `None`: of all rollouts.
    ///
    /// # Errors
    /// Unknown name, unreadable journal, no daemon.
    pub async fn events(&self, name: Option<&RolloutName>, after: u64, limit: usize) -> Result<Vec<EventLine>> {
        let place = name.map_or_else(|| "/v1/events".to_owned(), |n| format!("/v1/rollouts/{n}/events"));
        self.get(&format!("{place}?after={after}&limit={limit}")).await
    }

    /// The state whenever it changes and every event, from event number `after` on (`None`: from now on).
    ///
    /// # Errors
    /// Unknown name, no daemon.
    pub async fn follow(&self, name: &RolloutName, after: Option<u64>) -> Result<BoxStream<'static, Result<Followed>>> {
        let after = after.map(|seq| format!("?after={seq}")).unwrap_or_default();
        self.stream(&format!("/v1/rollouts/{name}/follow{after}")).await
    }

    /// Log lines, as they come.
    ///
    /// # Errors
    /// Unknown name, no daemon; in the stream: the log cannot be read.
    pub async fn logs(&self, name: &RolloutName, query: &LogQuery) -> Result<BoxStream<'static, Result<Logged>>> {
        let mut path = format!("/v1/rollouts/{name}/logs?follow={}&gateway={}", query.follow, query.gateway);
        if let Some(lane) = query.lane {
            path.push_str(&format!("&lane={lane}"));
        }
        if let Some(tail) = query.tail {
            path.push_str(&format!("&tail={tail}"));
        }
        if let Some(since) = query.since {
            path.push_str(&format!("&since={since}"));
        }
        let lines = self.stream::<LogLine>(&path).await?;
        Ok(lines.map(|line| line.and_then(logged)).boxed())
    }

    /// The request header that forces a lane.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: unknown name, or its manifest names no such header; no daemon.
    pub async fn lane_header(&self, name: &RolloutName, lane: Lane) -> Result<LaneHeader> {
        self.get(&format!("/v1/rollouts/{name}/header?lane={lane}")).await
    }

    /// The containers of a rollout.
    ///
    /// # Errors
    /// Unknown name, the engine does not answer, no daemon.
    pub async fn containers(&self, name: &RolloutName) -> Result<ContainersPage> {
        self.get(&format!("/v1/rollouts/{name}/containers")).await
    }

    /// Has a container made for one command.
    ///
    /// # Errors
    /// Unknown name, nothing is in that lane, the engine refuses, no daemon.
    pub async fn one_off(&self, name: &RolloutName, request: &OneOffRequest) -> Result<OneOffPage> {
        self.answer(self.send(Method::POST, &format!("/v1/rollouts/{name}/run"), to_json(request)?).await?).await
    }

    /// Hands a page of the user's own over, for a command that names it.
    ///
    /// # Errors
    /// It is no page, unknown name, no gateway yet, no daemon.
    pub async fn keep_page(&self, name: &RolloutName, request: &PageRequest) -> Result<KeptPage> {
        self.answer(self.send(Method::POST, &format!("/v1/rollouts/{name}/pages"), to_json(request)?).await?).await
    }

    /// What is in production, as a Compose file.
    ///
    /// # Errors
    /// Unknown name, nothing is in production, no daemon.
    pub async fn eject(&self, name: &RolloutName, port: Option<u16>) -> Result<EjectPage> {
        let port = port.map(|port| format!("?port={port}")).unwrap_or_default();
        self.get(&format!("/v1/rollouts/{name}/eject{port}")).await
    }

    /// Posts a command and waits for what became of it. A refusal is an [`Answer`] that was not accepted.
    ///
    /// # Errors
    /// Unknown name, not journalled, no daemon.
    pub async fn command(&self, name: &RolloutName, request: &CommandRequest) -> Result<Answer> {
        let response = self.send(Method::POST, &format!("/v1/rollouts/{name}/commands"), to_json(request)?).await?;
        let status = response.status();
        let body = self.whole(response).await?;
        if status == StatusCode::OK || status == StatusCode::CONFLICT {
            from_json(&body)
        } else {
            Err(refused(status, &body))
        }
    }

    /// What would be done about each manifest of a file.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the rendered diagnostics; no daemon.
    pub async fn plan(&self, request: &PlanRequest) -> Result<Vec<PlanPage>> {
        self.answer(self.send(Method::POST, "/v1/plan", to_json(request)?).await?).await
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// No daemon, or the conversation broke off.
    pub async fn healthz(&self) -> Result<()> {
        self.get::<serde_json::Value>("/v1/healthz").await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn stream<T: DeserializeOwned + Send + 'static>(&self, path: &str) -> Result<BoxStream<'static, Result<T>>> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(refused(status, &self.whole(response).await?));
        }
        Ok(lines(response.into_body()).boxed())
    }

    /// The head of the answer.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        self.as_long_as_it_lives(self.ask(method, path, body)).await?
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T> {
        let status = response.status();
        let body = self.whole(response).await?;
        if status == StatusCode::OK { from_json(&body) } else { Err(refused(status, &body)) }
    }

    /// The body of an answer that is no stream.
    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes> {
        let (mut body, mut read) = (response.into_body(), BytesMut::new());
        while let Some(frame) = self.as_long_as_it_lives(body.frame()).await? {
            read.extend_from_slice(&frame.map_err(broken)?.into_data().unwrap_or_default());
        }
        Ok(read.freeze())
    }

    /// However long it takes a daemon that lives.
    async fn as_long_as_it_lives<T>(&self, waited_for: impl Future<Output = T>) -> Result<T> {
        let mut waited_for = std::pin::pin!(waited_for);
        loop {
            if let Ok(there) = tokio::time::timeout(SILENCE, &mut waited_for).await {
                return Ok(there);
            }
            let alive = self.ask(Method::GET, "/v1/healthz", Bytes::new());
            if !matches!(tokio::time::timeout(SIGN_OF_LIFE, alive).await, Ok(Ok(_))) {
                return Err(ClientError::Silent { socket: self.socket.clone() });
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        let stream = dial(&self.socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "canaryd")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(broken)?;
        sender.send_request(request).await.map_err(broken)
    }
}

async fn dial(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).await.map_err(|e| {
        let socket = socket.to_owned();
        let why = match e.kind() {
            // Nobody takes up the calls that wait already.
            io::ErrorKind::WouldBlock => return ClientError::Silent { socket },
            io::ErrorKind::PermissionDenied => return ClientError::Forbidden { socket },
            io::ErrorKind::NotFound => "there is no such socket".to_owned(),
            io::ErrorKind::ConnectionRefused => "nobody listens on it any more".to_owned(),
            _ => e.to_string(),
        };
        ClientError::NoDaemon { socket, why }
    })
}

fn broken(e: impl std::fmt::Display) -> ClientError {
    ClientError::Broken { why: e.to_string() }
}

fn to_json(value: &impl serde::Serialize) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(broken)
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(broken)
}

fn refused(status: StatusCode, body: &[u8]) -> ClientError {
    let refusal = serde_json::from_slice(body)
        .unwrap_or_else(|_| Refusal { error: String::from_utf8_lossy(body).trim().to_owned(), hint: None });
    ClientError::Refused { status: status.as_u16(), refusal }
}

fn logged(line: LogLine) -> Result<Logged> {
    match line {
        LogLine::Line(text) => Ok(Logged::Line(text)),
        LogLine::Waits { why } => Ok(Logged::Waits(why)),
        LogLine::Failed { why } => Err(ClientError::Unread { why }),
        LogLine::Stops => Err(broken("the daemon stops")),
    }
}

/// Values of newline-delimited JSON. A line that is cut off at the end of the body is an error.
fn lines<T: DeserializeOwned + Send + 'static>(body: Incoming) -> impl futures::Stream<Item = Result<T>> + Send {
    futures::stream::unfold(Some((body, BytesMut::new())), |state| async move {
        let (mut body, mut buffer) = state?;
        match next_line(&mut body, &mut buffer).await {
            Ok(Some(line)) => Some((from_json(&line), Some((body, buffer)))),
            Ok(None) => None,
            Err(e) => Some((Err(e), None)),
        }
    })
}

async fn next_line(body: &mut Incoming, buffer: &mut BytesMut) -> Result<Option<Bytes>> {
    loop {
        if let Some(end) = buffer.iter().position(|b| *b == b'\n') {
            let line = buffer.split_to(end + 1).freeze();
            return Ok(Some(line.slice(..end)));
        }
        if buffer.len() > LONGEST_LINE {
            return Err(broken("a line without end"));
        }
        match body.frame().await {
            Some(frame) => buffer.extend_from_slice(&frame.map_err(broken)?.into_data().unwrap_or_default()),
            None if buffer.is_empty() => return Ok(None),
            None => return Err(broken("in the middle of a line")),
        }
    }
}
