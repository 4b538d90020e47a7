//! Replicas that a test plays itself: what arrives is what it sees.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server of the test. It ends with the test's runtime.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Requests that arrived.
    pub(crate) hits: Arc<AtomicU64>,
}

impl Server {
    /// Answers with the head of the request, as it came.
    pub(crate) async fn mirror(ip: IpAddr) -> Self {
        Self::start(ip, |head| {
            let extra = "X-Served-By: an impostor\r\nX-Canary-Version: v9\r\nServer: mirror\r\n";
            Some(format!("HTTP/1.1 200 OK\r\n{extra}Content-Length: {}\r\nConnection: close\r\n\r\n{head}", head.len()))
        })
        .await
    }
    /// Takes requests and breaks off without an answer.
    pub(crate) async fn cut(ip: IpAddr) -> Self {
        Self::start(ip, |_| None).await
    }
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    async fn start(ip: IpAddr, answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let (addr, hits) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let (counted, answer) = (Arc::clone(&hits), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counted, answer) = (Arc::clone(&counted), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                        match stream.read_buf(&mut head).await {
                            Ok(0) | Err(_) => return,
                            Ok(_) => {}
                        }
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                    if let Some(answer) = answer(&String::from_utf8_lossy(&head)) {
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Self { addr, hits }
    }
}
