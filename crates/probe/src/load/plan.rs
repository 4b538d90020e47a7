//! What load to make, and what is refused.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONNECTION, HOST};

const MAX_RATE: f64 = 20_000.0;
const MAX_CONNECTIONS: usize = 4_000;
const MAX_REQUESTS: u64 = 100_000_000;
const MAX_DURATION: Duration = Duration::from_hours(24);

/// What load to make.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadPlan {
    /// Where to; only an address of this host (127.0.0.0/8 or `::1`).
    pub target: SocketAddr,
    /// Requests per second, evenly spaced; up to 20,000.
    pub rate: f64,
    /// How long; `None`: until stopped, at most a day.
    pub duration: Option<Duration>,
    /// How many requests; `None`: any number within the duration, at most a hundred million.
    pub count: Option<u64>,
    /// Connections, and so requests under way at once; 1 to 4,000. They take turns: more than the rate needs means
    /// that each is idle in between.
    pub connections: usize,
    /// Use a connection again, as a naive client does: without looking whether it is still open. `false`: a new one
    /// for each request.
    pub keep_alive: bool,
    /// What is asked; each request is one of these, drawn with `seed`; at least one.
    pub mix: Vec<RequestKind>,
    /// For one request, from the moment it is really sent.
    pub timeout: Duration,
    /// Makes two runs draw the same requests in the same order.
    pub seed: u64,
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKind {
    /// Method.
    pub method: Method,
    /// Path and query, with a leading slash.
    pub path: String,
    /// Body; empty for none.
    pub body: Bytes,
    /// Further headers; `Host` is set unless it is among them.
    pub headers: Vec<(String, String)>,
}

impl RequestKind {
    /// A GET of `path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: Method::Get, path: path.to_owned(), body: Bytes::new(), headers: Vec::new() }
    }
    /// A POST of `body` to `path`.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self { method: Method::Post, path: path.to_owned(), body: body.into(), headers: Vec::new() }
    }
    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `kinds` as a proxy on this host forwards them for `clients` people (up to 512), each with an address of its own in
    /// `X-Forwarded-For`: who judges by client must not take a whole population for one. The addresses are those that RFC 5737
    /// keeps for examples.
    #[must_use]
    pub fn of_many_clients(clients: u16, kinds: &[Self]) -> Vec<Self> {
        let address = |n: u16| match n / 256 {
            0 => format!("198.51.100.{}", n % 256),
            _ => format!("203.0.113.{}", n % 256),
        };
        let of_one = |n: u16| kinds.iter().map(move |kind| kind.clone().header("X-Forwarded-For", &address(n)));
        (0..clients.min(512)).flat_map(of_one).collect()
    }

    fn request(&self, target: SocketAddr, keep_alive: bool) -> Result<Request<Full<Bytes>>, LoadRefused> {
        let bad = |reason: String| LoadRefused::BadRequest { kind: self.to_string(), reason };
        if !self.path.starts_with('/') {
            return Err(bad("the path must start with a slash".to_owned()));
        }
        let mut builder = Request::builder().method(self.method.as_str()).uri(self.path.as_str());
        for (name, value) in &self.headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str())) {
            builder = builder.header(HOST, target.to_string());
        }
        if !keep_alive {
            builder = builder.header(CONNECTION, "close");
        }
        builder.body(Full::new(self.body.clone())).map_err(|error| bad(error.to_string()))
    }
}

impl fmt::Display for RequestKind {
    /// `POST /orders`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

/// Method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// May be repeated by those in between.
    Get,
    /// May not.
    Post,
}

impl Method {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadRefused {
    /// Load on others is an attack.
    #[error("{0} is not this host: load is only ever made on 127.0.0.0/8 and ::1")]
    NotLoopback(SocketAddr),
    /// Outside 0 < rate ≤ 20,000.
    #[error("{0} requests/s: the rate must be above 0 and at most {MAX_RATE}")]
    Rate(f64),
    /// Outside 1 to 4,000.
    #[error("{0} connections: 1 to {MAX_CONNECTIONS} are allowed")]
    Connections(usize),
    /// Longer than a day.
    #[error("{0:?} is too long: at most {MAX_DURATION:?}")]
    Duration(Duration),
    /// More than a hundred million.
    #[error("{0} requests are too many: at most {MAX_REQUESTS}")]
    Count(u64),
    /// No request timeout.
    #[error("the request timeout must be above 0")]
    Timeout,
    /// Nothing to ask.
    #[error("the mix of requests is empty")]
    EmptyMix,
    /// A path or header that cannot be sent.
    #[error("{kind}: {reason}")]
    BadRequest {
        /// Method and path.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LoadPlan {
    /// GETs of `/` at `rate`, on 20 keep-alive connections, until stopped.
    #[must_use]
    pub fn new(target: SocketAddr, rate: f64) -> Self {
        Self {
            target,
            rate,
            duration: None,
            count: None,
            connections: 20,
            keep_alive: true,
            mix: vec![RequestKind::get("/")],
            timeout: Duration::from_secs(10),
            seed: 1,
        }
    }

    /// Whether the plan may be carried out.
    ///
    /// # Errors
    /// The first limit that it breaks.
    pub fn check(&self) -> Result<(), LoadRefused> {
        self.prepare().map(|_| ())
    }

    /// The requests of the mix, ready to be sent.
    pub(super) fn prepare(&self) -> Result<Vec<Request<Full<Bytes>>>, LoadRefused> {
        self.check_limits()?;
        if self.mix.is_empty() {
            return Err(LoadRefused::EmptyMix);
        }
        self.mix.iter().map(|kind| kind.request(self.target, self.keep_alive)).collect()
    }

    fn check_limits(&self) -> Result<(), LoadRefused> {
        if !self.target.ip().is_loopback() {
            return Err(LoadRefused::NotLoopback(self.target));
        }
        if !(self.rate > 0.0 && self.rate <= MAX_RATE) {
            return Err(LoadRefused::Rate(self.rate));
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return Err(LoadRefused::Connections(self.connections));
        }
        if self.lasts() > MAX_DURATION {
            return Err(LoadRefused::Duration(self.lasts()));
        }
        if self.requests() > MAX_REQUESTS {
            return Err(LoadRefused::Count(self.requests()));
        }
        if self.timeout.is_zero() {
            return Err(LoadRefused::Timeout);
        }
        Ok(())
    }

    /// The duration, or the longest one.
    pub(super) fn lasts(&self) -> Duration {
        self.duration.unwrap_or(MAX_DURATION)
    }

    /// The count, or the largest one.
    pub(super) fn requests(&self) -> u64 {
        self.count.unwrap_or(MAX_REQUESTS)
    }
}
