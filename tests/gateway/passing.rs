//! What passes through: headers kept or made, WebSockets, event streams, uploads, slow answers.

use std::time::{Duration, Instant};

use canaryd_e2e::http::{ask, get, head};
use canaryd_e2e::{Bench, OPS_TOKEN};
use canaryd_gateway::Lane;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::Server;

/// A header of the request as the mirror got it; `None` when it got none.
fn got(head: &str, name: &str) -> Option<String> {
    let values: Vec<&str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect();
    assert!(values.len() < 2, "{name} came {} times", values.len());
    values.first().map(|value| (*value).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_kept_or_made_and_strangers_are_not_believed() {
    let mut bench = Bench::start(7, |_| ()).await;
    let mirror = Server::mirror(bench.host()).await;
    bench.endpoint(Lane::Production, mirror.addr.ip(), mirror.addr.port());
    bench.split(0.0).await;
    let made = get(bench.port, "/a%20b?x=1&y=%2F").await;
    assert!(made.body.starts_with("GET /a%20b?x=1&y=%2F HTTP/1.1\r\n"), "the path as it was sent: {}", made.body);
    assert_eq!(got(&made.body, "Host"), Some(format!("127.0.0.1:{}", bench.port)));
    assert_eq!(got(&made.body, "X-Request-Id").unwrap().len(), 32);
    assert_eq!(got(&made.body, "X-Forwarded-For"), Some(bench.host().to_string()));
    assert_eq!(got(&made.body, "X-Real-IP"), Some(bench.host().to_string()));
    assert_eq!(got(&made.body, "X-Forwarded-Proto").as_deref(), Some("http"));
    assert_eq!(got(&made.body, "X-Forwarded-Host"), Some(format!("127.0.0.1:{}", bench.port)));
    let stranger = [
        ("Host", "shop.example:444"),
        ("X-Request-Id", "mine-1"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=203.0.113.9"),
        ("Authorization", "Basic Zm9v"),
    ];
    let kept = ask(bench.port, "GET /", &stranger, b"").await.unwrap();
    let told = |name: &str| got(&kept.body, name);
    assert_eq!(told("Host").as_deref(), Some("shop.example:444"));
    assert_eq!(told("X-Request-Id").as_deref(), Some("mine-1"));
    assert_eq!(told("Authorization").as_deref(), Some("Basic Zm9v"));
    assert_eq!(told("X-Forwarded-For"), Some(bench.host().to_string()), "a stranger's word");
    assert_eq!(told("X-Forwarded-Proto").as_deref(), Some("http"), "a stranger's word");
    assert_eq!(told("X-Forwarded-Host").as_deref(), Some("shop.example:444"), "a stranger's word");
    assert_eq!(told("Forwarded"), None, "a stranger's word");
    let names: Vec<&str> = kept.headers.iter().map(|(n, _)| n.as_str()).filter(|n| n.starts_with("X-")).collect();
    assert_eq!(names, ["X-Served-By", "X-Canary-Version"], "an app cannot speak for the gateway");
    assert_eq!((kept.header("X-Served-By"), kept.header("X-Canary-Version")), ("production", "v1"));
    assert_eq!(kept.header("Server"), "mirror");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_in_front_is_believed() {
    let mut bench = Bench::start(8, |s| s.spec.trusted_proxies = vec!["127.0.0.1".to_owned()]).await;
    let mirror = Server::mirror(bench.host()).await;
    bench.endpoint(Lane::Production, mirror.addr.ip(), mirror.addr.port());
    bench.split(0.0).await;
    let proxy = [
        ("X-Forwarded-For", "198.51.100.7, 203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Forwarded-Port", "443"),
    ];
    let answer = ask(bench.port, "GET /", &proxy, b"").await.unwrap();
    let told = |name: &str| got(&answer.body, name);
    assert_eq!(told("X-Real-IP").as_deref(), Some("203.0.113.9"), "the last address that no trusted proxy added");
    assert_eq!(told("X-Forwarded-For"), Some(format!("198.51.100.7, 203.0.113.9, {}", bench.host())));
    assert_eq!(told("X-Forwarded-Proto").as_deref(), Some("https"));
    assert_eq!(told("X-Forwarded-Host").as_deref(), Some("shop.example"));
    assert_eq!(told("X-Forwarded-Port").as_deref(), Some("443"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_uploads_and_slow_answers_outlive_a_change_of_the_weights() {
    let mut bench = Bench::start(9, |_| ()).await;
    bench.replica(Lane::Production, 2, "v1", &[]);
    bench.replica(Lane::Canary, 3, "v2", &[]);
    bench.split(0.0).await;
    bench.until("replicas answer", async || get(bench.port, "/").await.status == 200).await;
    let port = bench.port;
    let mut socket = WebSocket::open(port).await;
    assert_eq!(socket.echo("before").await, "before");
    let slow = tokio::spawn(async move { get(port, "/work?ms=2500").await });
    let posted = tokio::spawn(async move { ask(port, "POST /work?ms=2500", &[], b"an order").await.unwrap() });
    let events = tokio::spawn(events(port));
    let upload = tokio::spawn(async move { ask(port, "POST /upload", &[], &vec![b'x'; 50 << 20]).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for percent in [50.0, 100.0] {
        bench.split(percent).await;
    }
    assert_eq!(get(port, "/").await.header("X-Served-By"), "canary", "new requests go by the new weights");
    for answer in [slow.await.unwrap(), posted.await.unwrap()] {
        assert_eq!((answer.status, answer.header("X-Served-By")), (200, "production"));
    }
    let upload = upload.await.unwrap();
    assert_eq!((upload.status, upload.body.as_str()), (200, "{\"bytes\":52428800}"));
    let (first, count, took) = events.await.unwrap();
    assert_eq!(count, 25);
    assert!(first < Duration::from_millis(1_500) && took >= Duration::from_secs(2), "held back: {first:?} of {took:?}");
    assert_eq!(socket.echo("after").await, "after", "an open WebSocket stays");
}

/// 25 events, one every 100 ms: when the first came, how many, and how long all took.
pub(crate) async fn events(port: u16) -> (Duration, usize, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(head(port, "GET /sse?n=25&interval=100", &[], 0).as_bytes()).await.unwrap();
    let (mut text, mut first) = (Vec::new(), None);
    let read = async {
        while stream.read_buf(&mut text).await.unwrap() > 0 {
            if first.is_none() && text.windows(5).any(|w| w == b"data:") {
                first = Some(began.elapsed());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("text/event-stream"), "{text}");
    (first.unwrap(), text.matches("data:").count(), began.elapsed())
}

/// A WebSocket client, as far as an echo needs one (RFC 6455).
pub(crate) struct WebSocket(TcpStream);

impl WebSocket {
    pub(crate) async fn open(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let headers = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        stream.write_all(head(port, "GET /ws", &headers, 0).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        Self(stream)
    }

    /// Sends a short text, masked with zeros, and reads what comes back.
    pub(crate) async fn echo(&mut self, text: &str) -> String {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.0.write_all(&frame).await.unwrap();
        let mut back = vec![0; 2 + text.len()];
        tokio::time::timeout(Duration::from_secs(10), self.0.read_exact(&mut back)).await.unwrap().unwrap();
        String::from_utf8_lossy(&back[2..]).into_owned()
    }

    /// Waits until the other side ends it.
    pub(crate) async fn cut(&mut self) {
        let mut rest = [0; 64];
        while self.0.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ops_port_wants_its_token_and_its_relay_reaches_the_own_network_only() {
    let mut bench = Bench::start(10, |_| ()).await;
    let mirror = Server::mirror(bench.host()).await;
    bench.endpoint(Lane::Production, mirror.addr.ip(), mirror.addr.port());
    let live = bench.split(0.0).await;
    let ops = bench.port + 1;
    let relayed = bench.link.ops().relay_uri(mirror.addr.ip(), mirror.addr.port(), "/deep/a%20b?q=1");
    for path in ["/generation", "/stub_status", relayed.as_str(), "/"] {
        for headers in [vec![], vec![("X-Canaryd-Token", "wrong")], vec![("X-Canaryd-Token", "")]] {
            let answer = ask(ops, &format!("GET {path}"), &headers, b"").await.unwrap();
            assert_eq!(answer.status, 404, "{path} with {headers:?}");
        }
    }
    let key = [("X-Canaryd-Token", OPS_TOKEN)];
    let generation = ask(ops, "GET /generation", &key, b"").await.unwrap();
    assert_eq!(generation.body.trim(), live.generation.to_string());
    assert!(bench.link.ops().stub_status().await.unwrap().requests > 10);
    let answer = ask(ops, &format!("GET {relayed}"), &key, b"").await.unwrap();
    assert!(answer.body.starts_with("GET /deep/a%20b?q=1 HTTP/1.1"), "{}", answer.body);
    assert!(!answer.body.contains(OPS_TOKEN), "the app never sees the token");
    assert!(answer.header("X-Canaryd-Relay").parse::<f64>().is_ok());
    let before = mirror.hits();
    for path in
        ["/relay/127.0.0.1/9099/generation", "/relay/10.214.0.1/80/", "/relay/8.8.8.8/53/", "/relay/10.215.10/1/"]
    {
        assert_eq!(ask(ops, &format!("GET {path}"), &key, b"").await.unwrap().status, 404, "{path}");
    }
    assert_eq!(mirror.hits(), before);
    let gone = ask(ops, "GET /relay/10.215.10.77/8000/", &key, b"").await.unwrap();
    assert!(matches!(gone.status, 502 | 504), "{gone:?}");
    assert_eq!(get(bench.port, "/generation").await.status, 200, "users have paths of their own");
    assert!(get(bench.port, "/generation").await.body.contains("GET /generation"));
}
