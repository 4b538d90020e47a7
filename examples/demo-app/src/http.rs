//! HTTP/1.1 (RFC 9112), as much as a server needs: requests in, responses out, bodies by length or in chunks.

use std::io::{self, BufRead, Read, Write};

const MAX_LINE: u64 = 16 * 1024;
const MAX_HEADERS: usize = 100;

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub(crate) http11: bool,
}

impl Request {
    /// Reads one; `None` where the connection ended before it.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(first) = read_line(reader)? else { return Ok(None) };
        let mut parts = first.split(' ');
        let (Some(method), Some(target), Some(protocol)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("request line"));
        };
        let http11 = match protocol {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err(bad("protocol")),
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = read_headers(reader)?;
        Ok(Some(Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers, http11 }))
    }

    /// A header's value, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A number in the query.
    pub(crate) fn number(&self, name: &str, default: u64) -> u64 {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(n, _)| *n == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    }

    /// Whether a header of comma-separated words has this one.
    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        self.header(name).is_some_and(|value| value.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
    }

    /// Whether the client wants to go on afterwards.
    pub(crate) fn keeps_alive(&self) -> bool {
        if self.http11 { !self.says("Connection", "close") } else { self.says("Connection", "keep-alive") }
    }

    /// Where its body ends.
    pub(crate) fn body_length(&self) -> io::Result<Left> {
        if self.says("Transfer-Encoding", "chunked") {
            return Ok(Left::Chunks);
        }
        match self.header("Content-Length") {
            None => Ok(Left::Bytes(0)),
            Some(text) => text.trim().parse().map(Left::Bytes).map_err(|_| bad("Content-Length")),
        }
    }
}

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// That many bytes.
    Bytes(u64),
    /// A chunk's size line.
    Chunks,
    /// The rest of a chunk.
    InChunk(u64),
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Body<R> {
    reader: R,
    left: Left,
}

impl<R: BufRead> Body<R> {
    pub(crate) fn new(reader: R, left: Left) -> Self {
        Self { reader, left }
    }

    /// Reads what nobody wanted, so that the next request can follow.
    pub(crate) fn drain(&mut self) -> io::Result<u64> {
        io::copy(self, &mut io::sink())
    }

    /// What is left when a chunk of this size begins; the last chunk has none, and trailers that nobody wants.
    fn begin_chunk(&mut self) -> io::Result<Left> {
        let line = read_line(&mut self.reader)?.ok_or_else(cut)?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| bad("chunk size"))?;
        if size > 0 {
            return Ok(Left::InChunk(size));
        }
        read_headers(&mut self.reader)?;
        Ok(Left::Bytes(0))
    }

    fn take(&mut self, buffer: &mut [u8], left: u64) -> io::Result<(usize, u64)> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.reader.read(&mut buffer[..most])?;
        if n == 0 { Err(cut()) } else { Ok((n, left - n as u64)) }
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.left {
                Left::Bytes(0) => return Ok(0),
                Left::Bytes(left) => {
                    let (n, left) = self.take(buffer, left)?;
                    self.left = Left::Bytes(left);
                    return Ok(n);
                }
                Left::Chunks => self.left = self.begin_chunk()?,
                Left::InChunk(0) => {
                    read_line(&mut self.reader)?.ok_or_else(cut)?;
                    self.left = Left::Chunks;
                }
                Left::InChunk(left) => {
                    let (n, left) = self.take(buffer, left)?;
                    self.left = Left::InChunk(left);
                    return Ok(n);
                }
            }
        }
    }
}

/// An answer whose body is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".to_owned(), kind.to_owned())], body: body.into() }
    }

    pub(crate) fn json(status: u16, body: String) -> Self {
        Self::new(status, "application/json", body)
    }

    /// Writes it in one go, so that no half of it waits for the other.
    pub(crate) fn write(&self, out: &mut impl Write, method: &str, keep_alive: bool) -> io::Result<()> {
        let mut bytes = head(self.status, &self.headers).into_bytes();
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(if keep_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
        if method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        out.write_all(&bytes)
    }
}

/// Status line and headers, without the empty line at the end.
pub(crate) fn head(status: u16, headers: &[(String, String)]) -> String {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text
}

fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        413 => "Content Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(cut)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
        if headers.len() > MAX_HEADERS {
            return Err(bad("number of headers"));
        }
    }
}

/// One line without its end; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(bad("line"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| bad("line"))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("bad {what}"))
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> io::Result<String> {
        let mut reader = text.as_bytes();
        let request = Request::read(&mut reader)?.unwrap();
        let mut read = String::new();
        Body::new(&mut reader, request.body_length()?).read_to_string(&mut read)?;
        Ok(read)
    }

    #[test]
    fn a_request_is_method_path_query_and_headers() {
        let text = "GET /work?ms=20&x=1 HTTP/1.1\r\nHost: a\r\nconnection: Close\r\n\r\n";
        let request = Request::read(&mut text.as_bytes()).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), request.number("ms", 0)), ("GET", "/work", 20));
        assert_eq!(request.header("HOST"), Some("a"));
        assert!(!request.keeps_alive());
    }

    #[test]
    fn bodies_end_by_length_or_with_their_last_chunk() {
        assert_eq!(body("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef").unwrap(), "abc");
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            body(&format!("{chunked}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n")).unwrap(),
            "abc0123456789"
        );
        assert!(body(&format!("{chunked}3\r\nab")).is_err(), "cut in a chunk");
        assert!(body(&format!("{chunked}xyz\r\n")).is_err(), "no size");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in ["\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HT"]
        {
            assert!(Request::read(&mut text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(Request::read(&mut "".as_bytes()).unwrap(), None);
    }
}
