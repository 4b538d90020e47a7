//! A WebSocket that sends back what it gets (RFC 6455).

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::App;
use crate::base64;
use crate::http::{Request, Response, head};
use crate::routes::marks;
use crate::sha1::sha1;

/// RFC 6455 §1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_FRAME: u64 = 1024 * 1024;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A frame as it came, unmasked.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    last: bool,
    kind: u8,
    payload: Vec<u8>,
}

/// Shakes hands and echoes until the client closes.
pub(crate) fn echo(app: &App, request: &Request, reader: &mut impl Read, mut stream: &TcpStream) -> io::Result<()> {
    let Some(key) = request.header("Sec-WebSocket-Key") else {
        return Response::json(400, r#"{"error":"no Sec-WebSocket-Key"}"#.to_owned()).write(&mut stream, "GET", false);
    };
    let mut headers = vec![
        ("Upgrade".to_owned(), "websocket".to_owned()),
        ("Connection".to_owned(), "Upgrade".to_owned()),
        ("Sec-WebSocket-Accept".to_owned(), accept(key)),
    ];
    headers.extend(marks(app, request));
    write!(stream, "{}\r\n", head(101, &headers))?;
    loop {
        let frame = Frame::read(reader)?;
        let kind = if frame.kind == PING { PONG } else { frame.kind };
        if frame.kind != PONG {
            stream.write_all(&Frame { kind, ..frame }.bytes())?;
        }
        if kind == CLOSE {
            return Ok(());
        }
    }
}

/// Proof that the handshake was understood (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    base64::encode(&sha1(format!("{key}{MAGIC}").as_bytes()))
}

impl Frame {
    fn read(reader: &mut impl Read) -> io::Result<Self> {
        let [first, second] = bytes(reader)?;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(bytes(reader)?)),
            127 => u64::from_be_bytes(bytes(reader)?),
            short => u64::from(short),
        };
        if length > MAX_FRAME {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
        }
        let mask: [u8; 4] = if second & 0x80 == 0 { [0; 4] } else { bytes(reader)? };
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
        reader.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Ok(Self { last: first & 0x80 != 0, kind: first & 0x0f, payload })
    }

    /// As a server sends it: not masked.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![if self.last { 0x80 } else { 0 } | self.kind];
        match (u8::try_from(self.payload.len()), u16::try_from(self.payload.len())) {
            (Ok(n), _) if n < 126 => bytes.push(n),
            (_, Ok(n)) => {
                bytes.push(126);
                bytes.extend_from_slice(&n.to_be_bytes());
            }
            (_, Err(_)) => {
                bytes.push(127);
                bytes.extend_from_slice(&(self.payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_the_rfc_comes_out() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_masked_frame_of_the_rfc_says_hello() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let frame = Frame::read(&mut masked.as_slice()).unwrap();
        assert_eq!(frame, Frame { last: true, kind: 1, payload: b"Hello".to_vec() });
    }

    #[test]
    fn frames_of_every_length_are_read_as_they_were_written() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let frame = Frame { last: true, kind: 2, payload: vec![7; length] };
            assert_eq!(Frame::read(&mut frame.bytes().as_slice()).unwrap(), frame, "{length} bytes");
        }
    }
}
