//! The API over a real Unix socket, with a fake daemon behind it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use canaryd_cockpit::{
    Client, ClientError, CommandRequest, ContainerView, ContainersPage, Control, EventLine, Followed, LogLine,
    LogQuery, LogText, Logged, OneOffPage, OneOffRequest, PlanPage, PlanRequest, Refusal, StatusPage, bind, serve,
};
use canaryd_gateway::Lane;
use canaryd_planner::{Answer, Command, Report, Severity, UndoView, Verb};
use canaryd_rollout::{RolloutName, Weight};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A daemon of one rollout, whose state is set by the test.
struct Fake {
    report: Mutex<Option<Report>>,
    events: Mutex<Vec<EventLine>>,
    commands: Mutex<Vec<Command>>,
    changes: watch::Sender<u64>,
}

fn report(name: &str, sentence: &str) -> Report {
    Report {
        name: name.parse().unwrap(),
        phase: "idle".to_owned(),
        sentence: sentence.to_owned(),
        production: None,
        canary: None,
        previous: None,
        live_weight: Weight::ZERO,
        wanted_weight: Weight::ZERO,
        stages: Vec::new(),
        stage: None,
        verdict: None,
        checks: Vec::new(),
        suspicion: None,
        suspicion_limit: None,
        waiting: Vec::new(),
        notes: Vec::new(),
        files: None,
        can: Vec::new(),
        undo: UndoView::Impossible { why: "there is no earlier version".to_owned() },
        paused: None,
        manual: None,
        outcome: None,
        ended: Vec::new(),
        unmet: None,
        replicas: BTreeMap::new(),
        unwell: None,
        stopped: None,
    }
}

fn event(seq: u64) -> EventLine {
    EventLine {
        seq,
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        name: "shop".parse().unwrap(),
        severity: Severity::Info,
        kind: "stage-entered".to_owned(),
        message: format!("number {seq}"),
    }
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            report: Mutex::new(Some(report("shop", "v1 serves all"))),
            events: Mutex::new((1..=5).map(event).collect()),
            commands: Mutex::new(Vec::new()),
            changes: watch::Sender::new(0),
        })
    }
    fn change(&self, report: Option<Report>) {
        *self.report.lock().unwrap() = report;
        self.changes.send_modify(|n| *n += 1);
    }
}

#[async_trait]
impl Control for Fake {
    async fn status(&self) -> StatusPage {
        StatusPage {
            host: "host2".to_owned(),
            version: "0.1.0".to_owned(),
            instance: "i1".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            state: Some("/var/lib/canaryd".to_owned()),
            watch: vec!["/etc/canaryd".to_owned()],
            rollouts: self.report.lock().unwrap().iter().cloned().collect(),
            problems: Vec::new(),
            dry_run: false,
            safe_mode: None,
        }
    }
    async fn report(&self, name: &RolloutName) -> Option<Report> {
        self.report.lock().unwrap().clone().filter(|r| &r.name == name)
    }
    async fn events(&self, _: Option<&RolloutName>, after: u64, limit: usize) -> Result<Vec<EventLine>, String> {
        let events = self.events.lock().unwrap();
        let mut lines: Vec<EventLine> = events.iter().filter(|e| e.seq > after).cloned().collect();
        if after == 0 {
            lines.drain(..lines.len().saturating_sub(limit));
        }
        lines.truncate(limit);
        Ok(lines)
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    async fn command(&self, _: &RolloutName, command: Command) -> Result<Answer, String> {
        let accepted = command.verb != Verb::Abort;
        let answer = Answer { id: command.id.clone(), accepted, message: "so be it".to_owned() };
        self.commands.lock().unwrap().push(command);
        Ok(answer)
    }
    fn logs(&self, _: &RolloutName, query: LogQuery) -> BoxStream<'static, LogLine> {
        let text = format!("{query:?}");
        let lines = vec![
            LogLine::Waits { why: "no container runs.".to_owned() },
            LogLine::Line(LogText { source: "shop-app-1".to_owned(), text }),
            LogLine::Failed { why: "the engine is gone".to_owned() },
        ];
        futures::stream::iter(lines).boxed()
    }
    async fn containers(&self, _: &RolloutName) -> Result<ContainersPage, Refusal> {
        let container = ContainerView {
            id: "0123".to_owned(),
            name: "shop-app-0123456789-1".to_owned(),
            component: "app".parse().unwrap(),
            lane: Some(Lane::Production),
            version: "v1".to_owned(),
            revision: "0123456789".parse().unwrap(),
            ordinal: 1,
            running: true,
        };
        Ok(ContainersPage { engine: "unix:///var/run/docker.sock".to_owned(), containers: vec![container] })
    }
    async fn one_off(&self, _: &RolloutName, request: OneOffRequest, actor: &str) -> Result<OneOffPage, Refusal> {
        if request.lane == Lane::Canary {
            return Err(Refusal { error: "shop has nothing on trial".to_owned(), hint: None });
        }
        let name = format!("for {actor}: {}", request.command.join(" "));
        Ok(OneOffPage { engine: String::new(), id: "4567".to_owned(), name, version: "v1".to_owned(), grace: 5.0 })
    }
    async fn plan(&self, source: String, text: String) -> Result<Vec<PlanPage>, String> {
        Err(format!("error: {source} has {} bytes", text.len()))
    }
}

struct Served {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn served(fake: &Arc<Fake>) -> (Served, Client) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("canaryd.sock");
    let listener = bind(&socket).await.unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(listener, Arc::clone(fake) as Arc<dyn Control>, shutdown.clone()));
    let client = Client::connect(&socket).await.unwrap();
    (Served { _dir: dir, socket, shutdown, server }, client)
}

fn shop() -> RolloutName {
    "shop".parse().unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("within ten seconds")
}

#[tokio::test]
async fn what_the_daemon_says_arrives_unchanged() {
    let fake = Fake::new();
    let (_served, client) = served(&fake).await;
    assert_eq!(client.status().await.unwrap(), fake.status().await);
    assert_eq!(client.report(&shop()).await.unwrap().sentence, "v1 serves all");
    let after: Vec<u64> = client.events(Some(&shop()), 2, 2).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(after, [3, 4]);
    let newest: Vec<u64> = client.events(None, 0, 2).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(newest, [4, 5]);
    client.healthz().await.unwrap();
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_known_ones() {
    let (_served, client) = served(&Fake::new()).await;
    let Err(ClientError::Refused { status, refusal }) = client.report(&"shpo".parse().unwrap()).await else {
        panic!("it must be refused")
    };
    assert_eq!(status, 404);
    assert_eq!(refusal.error, "there is no rollout \"shpo\" on host2");
    assert_eq!(refusal.hint.unwrap(), "did you mean shop? rollouts here: shop");
}

#[tokio::test]
async fn a_command_carries_who_sent_it_and_a_refusal_is_an_answer() {
    let fake = Fake::new();
    let (_served, client) = served(&fake).await;
    let mut request = CommandRequest { id: None, comment: Some("tired".to_owned()), expected: None, verb: Verb::Pause };
    assert!(client.command(&shop(), &request).await.unwrap().accepted);
    request.id = Some("twice".to_owned());
    request.verb = Verb::Abort;
    let answer = client.command(&shop(), &request).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.accepted), ("twice", false));
    let commands = fake.commands.lock().unwrap();
    assert!(commands[0].actor.contains("uid "), "{}", commands[0].actor);
    assert_eq!(commands[0].id.len(), 32);
    assert_eq!(commands[0].comment.as_deref(), Some("tired"));
}

#[tokio::test]
async fn what_goes_inside_a_container_is_told_where_and_who_asked() {
    let fake = Fake::new();
    let (_served, client) = served(&fake).await;
    assert_eq!(client.containers(&shop()).await.unwrap(), fake.containers(&shop()).await.unwrap());
    let command = vec!["migrate".to_owned(), "up".to_owned()];
    let mut request =
        OneOffRequest { lane: Lane::Production, component: "app".parse().unwrap(), command, terminal: false };
    let made = client.one_off(&shop(), &request).await.unwrap();
    assert!(made.name.contains("uid ") && made.name.ends_with(": migrate up"), "{}", made.name);
    request.lane = Lane::Canary;
    let refused = client.one_off(&shop(), &request).await;
    assert!(matches!(refused, Err(ClientError::Refused { status: 409, .. })), "{refused:?}");
    let nothing = client.eject(&shop(), Some(9000)).await;
    assert!(matches!(nothing, Err(ClientError::Refused { status: 409, .. })), "{nothing:?}");
    let unknown: RolloutName = "shpo".parse().unwrap();
    assert!(matches!(client.eject(&unknown, None).await, Err(ClientError::Refused { status: 404, .. })));
}

#[tokio::test]
async fn a_follower_sees_every_change_and_event_in_order_and_the_end() {
    let fake = Fake::new();
    let (_served, client) = served(&fake).await;
    let mut stream = client.follow(&shop(), Some(3)).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(describe(&soon(stream.next()).await.unwrap().unwrap()));
    }
    fake.events.lock().unwrap().push(event(6));
    fake.change(Some(report("shop", "v2 serves all")));
    for _ in 0..2 {
        seen.push(describe(&soon(stream.next()).await.unwrap().unwrap()));
    }
    fake.change(None);
    seen.push(describe(&soon(stream.next()).await.unwrap().unwrap()));
    let want = ["number 4", "number 5", "v1 serves all", "number 6", "v2 serves all", "the rollout is gone"];
    assert_eq!(seen, want);
    assert!(soon(stream.next()).await.is_none());
}

#[tokio::test]
async fn a_follower_from_now_on_is_spared_the_past() {
    let (_served, client) = served(&Fake::new()).await;
    let mut stream = client.follow(&shop(), None).await.unwrap();
    assert_eq!(describe(&soon(stream.next()).await.unwrap().unwrap()), "v1 serves all");
}

fn describe(followed: &Followed) -> String {
    match followed {
        Followed::Report { report, .. } => report.sentence.clone(),
        Followed::Event { event } => event.message.clone(),
        Followed::End { why, stops } => format!("{why}{}", if *stops { ", for now" } else { "" }),
    }
}

#[tokio::test]
async fn a_stop_of_the_daemon_ends_open_streams_and_the_server() {
    let (served, client) = served(&Fake::new()).await;
    let mut stream = client.follow(&shop(), None).await.unwrap();
    soon(stream.next()).await.unwrap().unwrap();
    served.shutdown.cancel();
    let end = describe(&soon(stream.next()).await.unwrap().unwrap());
    assert!(end.contains("the daemon stops") && end.ends_with("for now"), "{end}");
    soon(served.server).await.unwrap();
    let Err(ClientError::NoDaemon { why, .. }) = Client::connect(&served.socket).await else {
        panic!("nobody listens")
    };
    assert_eq!(why, "there is no such socket");
}

#[tokio::test]
async fn a_socket_file_that_somebody_removes_is_made_anew_and_open_streams_go_on() {
    let fake = Fake::new();
    let (served, client) = served(&fake).await;
    let mut stream = client.follow(&shop(), None).await.unwrap();
    soon(stream.next()).await.unwrap().unwrap();
    std::fs::remove_file(&served.socket).unwrap();
    soon(async {
        while client.healthz().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    fake.change(Some(report("shop", "v2 serves all")));
    assert_eq!(describe(&soon(stream.next()).await.unwrap().unwrap()), "v2 serves all");
    served.shutdown.cancel();
    soon(served.server).await.unwrap();
    assert!(!served.socket.exists());
}

#[tokio::test]
async fn who_comes_back_after_a_restart_misses_no_event_and_gets_none_twice() {
    let fake = Fake::new();
    let (served, client) = served(&fake).await;
    let mut stream = client.follow(&shop(), Some(4)).await.unwrap();
    assert_eq!(describe(&soon(stream.next()).await.unwrap().unwrap()), "number 5");
    served.shutdown.cancel();
    soon(served.server).await.unwrap();
    fake.events.lock().unwrap().push(event(6));
    let listener = bind(&served.socket).await.unwrap();
    let again = tokio::spawn(serve(listener, Arc::clone(&fake) as Arc<dyn Control>, CancellationToken::new()));
    let mut stream = client.follow(&shop(), Some(5)).await.unwrap();
    assert_eq!(describe(&soon(stream.next()).await.unwrap().unwrap()), "number 6");
    assert_eq!(describe(&soon(stream.next()).await.unwrap().unwrap()), "v1 serves all");
    again.abort();
}

#[tokio::test]
async fn log_lines_arrive_with_their_source_and_so_does_the_reason_of_an_end() {
    let (_served, client) = served(&Fake::new()).await;
    let query = LogQuery { lane: Some(Lane::Canary), follow: true, tail: Some(7), gateway: false, since: None };
    let mut lines = client.logs(&shop(), &query).await.unwrap();
    assert_eq!(soon(lines.next()).await.unwrap().unwrap(), Logged::Waits("no container runs.".to_owned()));
    let line = LogText { source: "shop-app-1".to_owned(), text: format!("{query:?}") };
    assert_eq!(soon(lines.next()).await.unwrap().unwrap(), Logged::Line(line));
    assert!(soon(lines.next()).await.unwrap().unwrap_err().to_string().contains("the engine is gone"));
}

#[tokio::test]
async fn diagnostics_of_a_plan_come_back_as_they_were_rendered() {
    let (_served, client) = served(&Fake::new()).await;
    let request = PlanRequest { source: "/etc/canaryd/shop.yaml".to_owned(), text: "kind: ".to_owned() };
    let Err(ClientError::Refused { refusal, .. }) = client.plan(&request).await else { panic!("it must be refused") };
    assert_eq!(refusal.error, "error: /etc/canaryd/shop.yaml has 6 bytes");
}

/// Whether what listens on this socket says of itself that it lives, and what it says before it falls silent, differs; nobody
/// answers what is asked in time.
async fn asked_of_a_slow_one(lives: bool, says: &'static str) -> std::result::Result<StatusPage, ClientError> {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("canaryd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let read = stream.read(&mut head).await.unwrap();
                let is_healthz = head[..read].starts_with(b"GET /v1/healthz");
                if lives && !is_healthz {
                    tokio::time::sleep(Duration::from_secs(25)).await;
                    stream.write_all(b"HTTP/1.1 503 \r\ncontent-length: 4\r\n\r\nlate").await.unwrap();
                } else if lives {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                } else {
                    if read > 0 && !is_healthz {
                        stream.write_all(says.as_bytes()).await.unwrap();
                    }
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    Client::connect(socket).await.unwrap().status().await
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_is_given_up_and_one_that_is_slow_is_waited_for() {
    let begun = tokio::time::Instant::now();
    let hangs = asked_of_a_slow_one(false, "").await.unwrap_err();
    assert!(matches!(hangs, ClientError::Silent { .. }), "{hangs}");
    assert_eq!(begun.elapsed().as_secs(), 10);
    let slow = asked_of_a_slow_one(true, "").await.unwrap_err();
    assert!(matches!(slow, ClientError::Refused { status: 503, .. }), "{slow}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_in_the_middle_of_a_body_is_given_up() {
    let begun = tokio::time::Instant::now();
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"host\":";
    let hangs = asked_of_a_slow_one(false, half).await.unwrap_err();
    assert!(matches!(hangs, ClientError::Silent { .. }), "{hangs}");
    assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nonsense_is_refused_in_words() {
    let (served, _client) = served(&Fake::new()).await;
    let big = "x".repeat(2 << 20);
    let cases = [
        ("GET /v1/nothing", "", "404", "there is no /v1/nothing"),
        ("DELETE /v1/status", "", "405", "does not answer to DELETE"),
        ("GET /v1/rollouts/shop/events?after=minus", "", "400", "after"),
        ("GET /v1/rollouts/shop/events?limit=0", "", "400", "limit is 0: it must be 1 to 1000"),
        ("GET /v1/events?limit=1001", "", "400", "limit is 1001: it must be 1 to 1000"),
        ("POST /v1/rollouts/shop/commands", "{}", "400", "missing field"),
        ("POST /v1/rollouts/%2e%2e/commands", "{}", "404", "there is no rollout"),
        ("POST /v1/plan", big.as_str(), "413", "at most"),
    ];
    for (line, body, status, text) in cases {
        let answer = soon(raw(&served.socket, line, body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        assert!(answer.contains(text), "{line}: {answer}");
        assert!(answer.contains("\"error\""), "{line}: {answer}");
    }
}

async fn raw(socket: &std::path::Path, line: &str, body: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that has refused does not read on.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
