//! An image registry on this host that is of no use: it has nothing, or it never answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const HELLO: &str = "HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
const UNKNOWN: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

/// A registry on 127.0.0.1, which Docker speaks HTTP to.
pub struct Registry {
    port: u16,
    desk: Arc<Desk>,
}

/// What its connections share.
#[derive(Default)]
struct Desk {
    answers: bool,
    asked: AtomicUsize,
    waiting: Mutex<Vec<TcpStream>>,
}

impl Registry {
    /// Every image is unknown to it.
    #[must_use]
    pub fn that_has_nothing() -> Self {
        Self::start(true)
    }
    /// It says hello, and never answers what an image consists of.
    #[must_use]
    pub fn that_never_answers() -> Self {
        Self::start(false)
    }

    fn start(answers: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it has one").port();
        let desk = Arc::new(Desk { answers, ..Desk::default() });
        let ours = Arc::clone(&desk);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&ours);
                std::thread::spawn(move || desk.talk(stream));
            }
        });
        Self { port, desk }
    }

    /// A repository in it.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("127.0.0.1:{}/app", self.port)
    }
    /// Waits until somebody waits for an image.
    pub async fn expect_a_pull(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.desk.asked.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "nobody pulls");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    /// Cuts those who wait (the engine itself never gives such a request up), and for three seconds nobody asks again.
    pub async fn expect_nobody_asks_again(&self) {
        self.desk.hang_up();
        let asked = self.desk.asked.load(Ordering::SeqCst);
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            assert_eq!(self.desk.asked.load(Ordering::SeqCst), asked, "the image is asked for again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.desk.hang_up();
    }
}

impl Desk {
    fn hang_up(&self) {
        for stream in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// One connection. Docker tries TLS first: that is cut at once.
    fn talk(&self, mut stream: TcpStream) {
        let mut buffer = [0_u8; 4096];
        let request = stream.read(&mut buffer).map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
        let request = request.unwrap_or_default();
        if request.starts_with("GET /v2/ ") {
            let _ = stream.write_all(HELLO.as_bytes());
        } else if request.contains("/manifests/") {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.answers {
                let head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let _ =
                    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{UNKNOWN}", UNKNOWN.len()).as_bytes());
            } else {
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            }
        }
    }
}
