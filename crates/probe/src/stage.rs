//! A server for tests, on which each path is one way to behave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The server; ends with the test's runtime.
pub(crate) struct Stage {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            let requests = Arc::new(AtomicUsize::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&requests)));
            }
        });
        Self { addr, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An address on which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn serve(stream: TcpStream, requests: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    while let Some((path, head)) = read_request(&mut stream).await {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        if !answer(&mut stream, &path, &head, number).await {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
        let line = &head[from..];
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    Some((path, head))
}

/// Whether the connection goes on.
async fn answer(stream: &mut BufReader<TcpStream>, path: &str, head: &str, number: usize) -> bool {
    match path {
        "/hang" => std::future::pending().await,
        "/cut" => false,
        "/half" => {
            say(stream, "HTTP/1.1 200 OK\r\nX-Canary-Version: v1\r\nContent-Length: 10\r\n\r\nhal").await;
            false
        }
        "/reset" => {
            stream.get_ref().set_zero_linger().unwrap();
            false
        }
        "/noise" => {
            say(stream, "this is no HTTP\r\n\r\n").await;
            false
        }
        "/farewell" => {
            say(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
            false
        }
        "/faithless" => {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            false
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(150)).await;
            say(stream, &reply(200, "v1", "slow")).await;
            true
        }
        "/third-fails" => {
            let (status, version) = if number % 3 == 2 { (500, "v2") } else { (200, "v1") };
            say(stream, &reply(status, version, "")).await;
            true
        }
        "/long" => {
            say(stream, &reply(200, "v1", &"x".repeat(1_000))).await;
            true
        }
        path if path.starts_with("/relay/") => {
            say(stream, &relay(path, head)).await;
            true
        }
        path if path.starts_with("/status/") => {
            say(stream, &reply(path[8..].parse().unwrap(), "v1", "")).await;
            true
        }
        _ => {
            say(stream, &reply(200, "v1", head)).await;
            true
        }
    }
}

/// As the relay of the gateway answers for a container that behaves like this.
fn relay(path: &str, head: &str) -> String {
    let (status, mark) = match path.rsplit('/').next() {
        Some("nobody") => (502, "X-Canaryd-Relay: -\r\n"),
        Some("late") => (504, "X-Canaryd-Relay: -\r\n"),
        Some("failing") => (502, "X-Canaryd-Relay: 0.001\r\n"),
        Some("unmarked") => (404, ""),
        _ => (200, "X-Canaryd-Relay: 0.001\r\n"),
    };
    format!("HTTP/1.1 {status} Said\r\n{mark}Content-Length: {}\r\n\r\n{head}", head.len())
}

fn reply(status: u16, version: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nX-Canary-Version: {version}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    stream.get_mut().write_all(text.as_bytes()).await.unwrap();
}
