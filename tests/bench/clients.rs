//! Clients that note of every answer when it came and which version gave it. Each waits for its answer, then for its gap: what a
//! weight change means depends on how long a connection was idle.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use canaryd_probe::VERSION_HEADER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(5);

/// How one kind of client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// On one connection as long as the server lets it; else on a new one each time.
    pub(crate) kept: bool,
    /// Between an answer and the next request.
    pub(crate) gap: Duration,
    /// Clients of this kind at once.
    pub(crate) count: u32,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) kind: usize,
    pub(crate) at: Instant,
    pub(crate) version: String,
}

#[derive(Debug, Default)]
struct Desk {
    over: AtomicBool,
    seen: Mutex<Vec<Seen>>,
}

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Crew {
    desk: Arc<Desk>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(crate) fn start(port: u16, kinds: &[Kind]) -> Self {
        let desk = Arc::<Desk>::default();
        let mut tasks = Vec::new();
        for (kind, what) in kinds.iter().enumerate() {
            for n in 0..what.count {
                let client = Client { port, kind, what: *what, desk: Arc::clone(&desk) };
                tasks.push(tokio::spawn(client.work(what.gap * n / what.count)));
            }
        }
        Self { desk, tasks }
    }

    /// Lets each finish its request; all answers.
    pub(crate) async fn stop(self) -> Vec<Seen> {
        self.desk.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut self.desk.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Client {
    port: u16,
    kind: usize,
    what: Kind,
    desk: Arc<Desk>,
}

impl Client {
    async fn work(self, delay: Duration) {
        tokio::time::sleep(delay).await;
        let mut stream = None;
        while !self.desk.over.load(Ordering::Relaxed) {
            match tokio::time::timeout(PATIENCE, self.ask(&mut stream)).await {
                Ok(Ok(version)) => {
                    let seen = Seen { kind: self.kind, at: Instant::now(), version };
                    self.desk.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
                }
                // A connection that was closed while it was idle, or a restart: what is lost is measured elsewhere.
                Ok(Err(_)) | Err(_) => stream = None,
            }
            tokio::time::sleep(self.what.gap).await;
        }
    }

    /// One request; the version that answered.
    async fn ask(&self, kept: &mut Option<TcpStream>) -> io::Result<String> {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect(self.port).await?,
        };
        let connection = if self.what.kept { "keep-alive" } else { "close" };
        let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = read_answer(&mut stream).await?;
        let header = |name: &str| {
            let of_name = |l: &&str| l.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
            head.lines().find(of_name).and_then(|l| l.split_once(':')).map_or("", |(_, value)| value.trim())
        };
        if self.what.kept && !header("Connection").eq_ignore_ascii_case("close") {
            *kept = Some(stream);
        }
        Ok(header(VERSION_HEADER).to_owned())
    }
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one whole answer; its head.
async fn read_answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = content_length(&head)?;
            if bytes.len() >= end + 4 + length {
                return Ok(head);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn content_length(head: &str) -> io::Result<usize> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().and_then(|(_, value)| value.parse().ok());
    length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer without a length"))
}
