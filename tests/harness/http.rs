//! HTTP by hand: one request a connection, exactly the headers that a test says, and the answer as it came.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// For connection, request and answer together.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names and values in their order.
    pub headers: Vec<(String, String)>,
    /// The body, without any chunking.
    pub body: String,
}

impl Answer {
    /// A header's value, whatever the case of its name; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

/// `GET path` on a port of 127.0.0.1.
pub async fn get(port: u16, path: &str) -> Answer {
    ask(port, &format!("GET {path}"), &[], b"").await.expect("an answer")
}

/// Waits until every new connection is served: for 100 ms after a change workers of the generation before still accept.
pub async fn until_steady(port: u16) {
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let served = ask(port, "GET /", &[], b"").await.is_ok_and(|answer| answer.status == 200);
        in_a_row = if served { in_a_row + 1 } else { 0 };
        assert!(std::time::Instant::now() < deadline, "port {port} does not serve steadily");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One request (`"GET /path"`) on a connection of its own, with these headers; `Host` is set unless it is among them.
///
/// # Errors
/// No connection, or no whole answer.
pub async fn ask(port: u16, line: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let talk = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(head(port, line, headers, body.len()).as_bytes()).await?;
        // A server may answer, and close, before it has read everything: the answer is what counts.
        let _ = stream.write_all(body).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        parse(&bytes)
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The head of a request.
#[must_use]
pub fn head(port: u16, line: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: 127.0.0.1:{port}\r\n"));
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        text.push_str("Connection: close\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    text + "\r\n"
}

fn parse(bytes: &[u8]) -> io::Result<Answer> {
    let broken = || io::Error::new(io::ErrorKind::UnexpectedEof, "no whole answer");
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok()).ok_or_else(broken)?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let mut answer = Answer { status, headers, body: String::new() };
    let rest = &bytes[end + 4..];
    let body = if answer.header("Transfer-Encoding") == "chunked" {
        dechunk(rest).ok_or_else(broken)?
    } else {
        let length = answer.header("Content-Length").parse().unwrap_or(rest.len());
        if rest.len() < length && status != 304 {
            return Err(broken());
        }
        rest.to_vec()
    };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
