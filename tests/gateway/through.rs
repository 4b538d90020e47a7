//! What passes through the gateway of a running daemon while it changes the weights: who is believed, open streams and
//! uploads, users that stay where they are.

use std::time::{Duration, Instant};

use canaryd_e2e::http::{Answer, ask, get, head, until_steady};
use canaryd_e2e::{Host, Manifest, NGINX, PATIENCE, demo_image, docker, good_images, remove_leftovers};
use canaryd_gateway::{AccessLine, Lane, Route};
use canaryd_planner::Outcome;
use canaryd_probe::{Load, LoadPlan, RequestKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::passing::{WebSocket, events};

/// An application that tells what it was told of the client: address, list of addresses, scheme, host.
const MIRROR: &str = "pid /tmp/n.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
       uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server { listen 8000; location / {
    return 200 \"$http_x_real_ip|$http_x_forwarded_for|$http_x_forwarded_proto|$http_x_forwarded_host\"; } } }
";
/// What a TLS proxy says, or somebody who pretends to be one.
const CLAIMS: [(&str, &str); 3] =
    [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")];

async fn told(port: u16, path: &str) -> Vec<String> {
    let answer = ask(port, &format!("GET {path}"), &CLAIMS, b"").await.unwrap();
    answer.body.split('|').map(str::to_owned).collect()
}

/// The client's hash in the log's line of a path.
async fn client(host: &Host, name: &str, path: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let line: Option<AccessLine> = host.access(name).into_iter().find(|l| l.path == path);
        if let Some(line) = line {
            return line.client;
        }
        assert!(Instant::now() < deadline, "{path} is not in the log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_and_scheme_of_a_client_are_believed_from_trusted_proxies_only() {
    let (name, port) = ("gate-trust", 22_350);
    remove_leftovers(name);
    docker(&["tag", NGINX, "canaryd-e2e-gate-trust:v1"]);
    let host = Host::start().await;
    std::fs::write(host.manifests().join("mirror.conf"), MIRROR).unwrap();
    let manifest = Manifest::new(name, "canaryd-e2e-gate-trust", "v1", port)
        .app("command: [/usr/sbin/nginx, -e, stderr, -c, /etc/mirror.conf, -g, daemon off;]")
        .app("configs: [{ file: mirror.conf, target: /etc/mirror.conf }]")
        .app("tmpfs: [/tmp]");
    host.set(&manifest);
    host.until_serving(name, "v1").await;
    until_steady(port).await;

    // A proxy on this host is trusted unless the manifest says otherwise.
    let seen = told(port, "/trusted").await;
    assert_eq!(seen[0], "203.0.113.9", "{seen:?}");
    assert!(seen[1].starts_with("203.0.113.9, "), "{seen:?}");
    assert_eq!(seen[2..], ["https", "shop.example"]);
    assert_eq!(ask(port, "GET /itself", &[], b"").await.unwrap().status, 200);
    assert_ne!(client(&host, name, "/trusted").await, client(&host, name, "/itself").await, "another client");

    host.set(&manifest.gateway("trustedProxies: [192.0.2.0/24]"));
    let deadline = Instant::now() + PATIENCE;
    let mut seen = told(port, "/wait").await;
    while seen[0] == "203.0.113.9" {
        assert!(Instant::now() < deadline, "still believed: {seen:?}\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = told(port, "/wait").await;
    }
    until_steady(port).await;
    let seen = told(port, "/stranger").await;
    assert_eq!(seen[0], seen[1], "the address that it came from and no other: {seen:?}");
    assert_eq!(seen[2..], ["http".to_owned(), format!("127.0.0.1:{port}")]);
    assert_eq!(ask(port, "GET /same", &[], b"").await.unwrap().status, 200);
    assert_eq!(client(&host, name, "/stranger").await, client(&host, name, "/same").await, "the same client");
    let report = host.report(name).await.unwrap();
    assert!(report.phase == "idle" && report.canary.is_none(), "no new version: {report:#?}");
}

/// 40 MiB, sent over two seconds.
async fn slow_upload(port: u16) -> String {
    const PART: usize = 1 << 20;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(head(port, "POST /upload", &[], 40 * PART).as_bytes()).await.unwrap();
    for _ in 0..40 {
        stream.write_all(&vec![b'x'; PART]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn weight(host: &Host, name: &str, percent: &str) {
    host.run_cli(&["traffic", name, percent]).await;
    host.until_weight(name, percent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_uploads_outlive_changes_of_the_weight_and_streams_are_cut_when_their_time_is_over() {
    let (name, port) = ("gate-streams", 22_353);
    let manifest = Manifest::new(name, &good_images(name, &["v1", "v2"]), "v1", port)
        .stages(&[(1.0, 300), (100.0, 300)])
        .gateway("limits: { streamTimeout: 6s }");
    let host = Host::serving(&manifest).await;
    host.set(&manifest.version("v2"));
    host.until_weight(name, "1").await;
    until_steady(port).await;

    let mut socket = WebSocket::open(port).await;
    assert_eq!(socket.echo("before").await, "before");
    let events = tokio::spawn(events(port));
    let upload = tokio::spawn(slow_upload(port));
    let slow = tokio::spawn(async move { ask(port, "POST /work?ms=2500", &[], b"an order").await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let changed = Instant::now();
    weight(&host, name, "40").await;
    weight(&host, name, "100").await;
    assert_eq!(socket.echo("after").await, "after", "an open WebSocket stays");
    let upload = upload.await.unwrap();
    assert!(upload.starts_with("HTTP/1.1 200") && upload.ends_with("{\"bytes\":41943040}"), "{upload}");
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(events.await.unwrap().1, 25, "every event came");
    // Old workers end this long after the change, and not before.
    while changed.elapsed() < Duration::from_millis(5_500) {
        assert_eq!(socket.echo("still").await, "still", "after {:?}", changed.elapsed());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::timeout(Duration::from_secs(10), socket.cut()).await.expect("it is cut in the end");
    println!("the WebSocket was cut {:.1} s after the weight changed", changed.elapsed().as_secs_f64());
    let report = host.report(name).await.unwrap();
    assert!(report.phase == "observing" && report.checks.iter().all(|c| c.canary.bad == 0), "{report:#?}");
    let mut socket = WebSocket::open(port).await;
    assert_eq!(socket.echo("again").await, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cuts_its_connections_is_blamed_though_production_answers_and_no_user_notices() {
    let (name, port) = ("gate-failover", 22_359);
    let app = good_images(name, &["v1"]);
    demo_image(name, "v2", &[("FAULT", "abort"), ("HEALTH_LIES", "well")]);
    let manifest = Manifest::new(name, &app, "v1", port).stages(&[(25.0, 60), (100.0, 60)]);
    let host = Host::serving(&manifest).await;
    until_steady(port).await;
    let mix = RequestKind::of_many_clients(500, &[RequestKind::get("/")]);
    let users = Load::start(LoadPlan { mix, ..LoadPlan::new(([127, 0, 0, 1], port).into(), 100.0) }).unwrap();
    host.set(&manifest.version("v2"));
    let ended = host.expect_outcome(name, "v2", Outcome::Reverted).await;
    assert!(ended.check.as_deref() == Some("errors") && ended.failed > 0, "{ended:?}");
    let users = users.stop().await;
    let answered: Vec<&str> = users.by_version.keys().map(String::as_str).collect();
    assert_eq!((users.failed, answered), (0, vec!["v1"]), "{:?}", users.failures);
    let drawn = |l: &AccessLine| l.route == Route::Drawn(Lane::Canary);
    let saved: Vec<AccessLine> = host.access(name).into_iter().filter(drawn).collect();
    let by_production = |l: &AccessLine| l.status == 200 && l.served_by == Some(Lane::Production);
    assert!(saved.len() as u64 >= ended.failed && saved.iter().all(by_production), "{saved:#?}");
}

fn cookie_of(answer: &Answer) -> Option<String> {
    answer.header("Set-Cookie").split(';').next().filter(|c| !c.is_empty()).map(str::to_owned)
}

/// Where each of these users is served; whoever has a cookie keeps it.
async fn lanes(port: u16, users: &[String]) -> Vec<bool> {
    let mut on_canary = Vec::new();
    for cookie in users {
        let answer = ask(port, "GET /", &[("Cookie", cookie)], b"").await.unwrap();
        assert_eq!((answer.status, cookie_of(&answer)), (200, None), "{cookie}");
        on_canary.push(answer.header("X-Served-By") == "canary");
    }
    on_canary
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_new_version_stays_its_user_through_every_raise_and_the_promotion() {
    let (name, port) = ("gate-sticky", 22_356);
    let manifest = Manifest::new(name, &good_images(name, &["v1", "v2"]), "v1", port)
        .stages(&[(10.0, 300), (40.0, 300), (100.0, 1)])
        .gateway("sticky: { cookie: who }");
    let host = Host::serving(&manifest).await;
    host.set(&manifest.version("v2"));
    host.until_weight(name, "10").await;
    until_steady(port).await;
    let mut users = Vec::new();
    for _ in 0..100 {
        users.push(cookie_of(&get(port, "/").await).expect("a new user gets a cookie"));
    }
    let first = lanes(port, &users).await;
    host.run_cli(&["advance", name]).await;
    host.until_weight(name, "40").await;
    until_steady(port).await;
    let second = lanes(port, &users).await;
    let count = |lanes: &[bool]| lanes.iter().filter(|canary| **canary).count();
    assert!(first.iter().zip(&second).all(|(before, now)| *now || !before), "nobody goes back: {first:?} {second:?}");
    assert!((1..30).contains(&count(&first)) && (20..61).contains(&count(&second)), "{first:?} {second:?}");
    host.run_cli(&["promote", name, "--reason", "it is needed"]).await;
    host.until_serving(name, "v2").await;
    until_steady(port).await;
    for cookie in &users {
        let answer = ask(port, "GET /", &[("Cookie", cookie)], b"").await.unwrap();
        assert_eq!(answer.header("X-Canary-Version"), "v2", "{cookie}");
    }
}
