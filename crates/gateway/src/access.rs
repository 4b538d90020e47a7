//! One line of the gateway's access log, and what each attempt in it says about a replica.

use std::net::SocketAddr;
use std::time::Duration;

use crate::generation::GenerationId;
use crate::traffic::Lane;

/// What kind of request a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// The split drew the lane: evidence.
    Drawn(Lane),
    /// A rule chose the lane (forced by header, or a lane-pinned port): never evidence.
    Ruled(Lane),
    /// No lane could serve: an honest 503 by the gateway.
    Nobody,
    /// canaryd's own request to the ops port. It is in the log so that lines and `stub_status` can be compared.
    Ops,
}

/// One try to get an answer from one replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Who was asked; `None` when NGINX found no live server in the lane.
    pub addr: Option<SocketAddr>,
    /// Its answer; `None` without one. 502 = connection failed or broke off, 504 = too slow, both made by NGINX.
    pub status: Option<u16>,
    /// Seconds from the start of the attempt to its end.
    pub latency: Option<f64>,
    /// Seconds until the connection stood (0 when it was kept open).
    pub connect: Option<f64>,
    /// Seconds until the head of the answer was there.
    pub header: Option<f64>,
}

/// One request, as logged when it was over. No query string, no cookie, no address of a client is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLine {
    /// When it ended: Unix time in seconds, to the millisecond.
    pub time: f64,
    /// The configuration that routed it.
    pub generation: GenerationId,
    /// Whose request it is.
    pub rollout: String,
    /// Who was to serve it, and by whose choice.
    pub route: Route,
    /// The lane that owns the address of the last attempt.
    pub served_by: Option<Lane>,
    /// `GET` …; empty for what was no HTTP.
    pub method: String,
    /// Path without the query string.
    pub path: String,
    /// What the client got; 499 = it had gone.
    pub status: u16,
    /// Bytes of the body sent to the client.
    pub bytes: u64,
    /// Seconds from the first byte of the request to the last byte of the answer.
    pub request_time: f64,
    /// In order; empty when nobody was asked.
    pub attempts: Vec<Attempt>,
    /// Mode of the request, if the manifest says where to read it; at most 64 characters.
    pub mode: Option<String>,
    /// Salted hash (8 hexadecimal digits) of the sticky cookie, else of the client's address.
    pub client: String,
    /// `X-Request-Id` that the app saw.
    pub request_id: String,
    /// Whether the answer was sent to its end.
    pub complete: bool,
    /// An upgraded connection or an event stream: its end says nothing about speed.
    pub stream: bool,
}

/// The text is not a line of our log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a line of the access log: {0}")]
pub struct BadLine(pub String);

impl AccessLine {
    /// Reads one line (without or with its newline).
    ///
    /// # Errors
    /// Not JSON, or a field that every line has is missing or no number.
    pub fn parse(line: &str) -> Result<Self, BadLine> {
        let _ = line;
        todo!()
    }
    /// When the request began: Unix time in seconds.
    #[must_use]
    pub fn started(&self) -> f64 {
        self.time - self.request_time
    }
}

/// What an attempt says about the replica that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered, and not with a 5xx.
    Answered,
    /// 5xx, no connection, a broken connection, or silence until the client gave up after a long wait.
    Failed,
    /// The client went away early: nothing can be said.
    Abandoned,
}

/// One attempt with its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedAttempt {
    /// Who was asked; the set that owns the address owns the evidence.
    pub addr: Option<SocketAddr>,
    /// What it says.
    pub outcome: Outcome,
    /// Seconds: the whole attempt, or until the head of the answer for streams; `None` when abandoned or unknown.
    pub latency: Option<f64>,
    /// Whether this was the request's first attempt.
    pub first: bool,
}

impl JudgedAttempt {
    /// Whether it counts against the replica.
    #[must_use]
    pub fn failed(&self) -> bool {
        match self.outcome {
            Outcome::Failed => true,
            Outcome::Answered | Outcome::Abandoned => false,
        }
    }
}

/// What each attempt of `line` says. `slow`: from how long a wait on a client's leaving (499) counts against the
/// replica; the read timeout at most, better the slowest answer that the checks allow.
#[must_use]
pub fn judge_attempts(line: &AccessLine, slow: Duration) -> Vec<JudgedAttempt> {
    let _ = (line, slow);
    todo!()
}
