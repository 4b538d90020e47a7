//! One connection of a load, and what can go wrong on it.
//!
//! It is used as a naive client uses it: whatever became of it while it was idle shows when the next request is sent,
//! and that request is then lost. Only an answer that says `Connection: close` is heeded.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::CONNECTION;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::report::VERSION_HEADER;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) version: Option<String>,
}

/// Why there is no whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) class: &'static str,
    pub(super) detail: String,
    /// What the head of a broken answer said.
    pub(super) head: Option<Reply>,
}

/// A place for one connection.
#[derive(Debug)]
pub(super) struct Line {
    target: SocketAddr,
    keep_alive: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with what ended the connection.
    driver: JoinHandle<hyper::Result<()>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    pub(super) fn new(target: SocketAddr, keep_alive: bool) -> Self {
        Self { target, keep_alive, open: None }
    }

    /// Sends one request and reads its answer to the end. After a loss the connection is gone.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Loss> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        let (reply, closes) = converse(&mut open, request).await?;
        if self.keep_alive && !closes {
            self.open = Some(open);
        }
        Ok(reply)
    }

    async fn connect(&self) -> Result<Open, Loss> {
        let stream = TcpStream::connect(self.target).await.map_err(|e| Loss::from_io(&e))?;
        stream.set_nodelay(true).map_err(|e| Loss::from_io(&e))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| Loss::from_hyper(&e))?;
        Ok(Open { sender, driver: tokio::spawn(connection) })
    }
}

async fn converse(open: &mut Open, request: Request<Full<Bytes>>) -> Result<(Reply, bool), Loss> {
    if let Err(error) = open.sender.ready().await {
        return Err(cause(open, &error).await);
    }
    let response = match open.sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return Err(cause(open, &error).await),
    };
    let reply = head(&response);
    let closes = says_close(&response);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Err(error) = frame {
            return Err(Loss { head: Some(reply), ..Loss::from_hyper(&error) });
        }
    }
    Ok((reply, closes))
}

fn head(response: &Response<Incoming>) -> Reply {
    let version = response.headers().get(VERSION_HEADER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    Reply { status: response.status().as_u16(), version }
}

fn says_close(response: &Response<Incoming>) -> bool {
    let said = response.headers().get_all(CONNECTION);
    said.iter().filter_map(|v| v.to_str().ok()).any(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case("close")))
}

/// A sender only says that its connection is gone; the driver knows why.
async fn cause(open: &mut Open, error: &hyper::Error) -> Loss {
    if !(error.is_canceled() || error.is_closed()) {
        return Loss::from_hyper(error);
    }
    match (&mut open.driver).await {
        Ok(Err(reason)) => Loss::from_hyper(&reason),
        Ok(Ok(())) | Err(_) => Loss::new("eof", "the connection was closed while it was idle".to_owned()),
    }
}

impl Loss {
    pub(super) fn new(class: &'static str, detail: String) -> Self {
        Self { class, detail, head: None }
    }

    fn from_io(error: &io::Error) -> Self {
        Self::new(class_of(error.kind()), error.to_string())
    }

    fn from_hyper(error: &hyper::Error) -> Self {
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let class = match io {
            Some(io) => class_of(io.kind()),
            None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => "eof",
            None if error.is_parse() => "bad-answer",
            None => "other",
        };
        Self::new(class, chain(error))
    }
}

fn class_of(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => "reset",
        io::ErrorKind::UnexpectedEof => "eof",
        io::ErrorKind::TimedOut => "timeout",
        _ => "other",
    }
}

fn chain(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
