//! A Docker engine that only pretends: it answers on a Unix socket, knows as much of the API as the daemon asks, and runs nothing.
//! Its gateways answer on their ops ports with the generation on disk; whatever listens on the applications' port answers for all
//! of them. So a daemon can have a thousand rollouts on a small machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use canaryd_gateway::container::{ACCESS_LOG, CANARY_LOG};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::broadcast;

use crate::multiply::renamed;

/// What the engine says of every image.
pub(crate) const IMAGE: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

#[derive(Debug)]
struct Engine {
    /// Create bodies with `State` and `Name`, by id.
    containers: BTreeMap<String, Value>,
    networks: BTreeMap<String, Value>,
    calls: u64,
    /// The same by method and last word of the path.
    kinds: BTreeMap<String, u64>,
    next: u32,
    events: broadcast::Sender<String>,
}

/// A running pretence.
#[derive(Debug, Clone)]
pub(crate) struct Pretence(Arc<Mutex<Engine>>);

impl Pretence {
    /// Answers on that socket from now on.
    pub(crate) fn start(socket: &Path) -> Self {
        let (events, _) = broadcast::channel(4096);
        let (containers, networks) = (BTreeMap::new(), BTreeMap::new());
        let engine = Engine { containers, networks, calls: 0, kinds: BTreeMap::new(), next: 0, events };
        let pretence = Self(Arc::new(Mutex::new(engine)));
        let listener = UnixListener::bind(socket).unwrap();
        let router = Router::new().fallback(serve).with_state(pretence.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        pretence
    }

    /// Questions and orders so far.
    pub(crate) fn calls(&self) -> u64 {
        self.engine().calls
    }

    /// How often what was asked or ordered so far.
    pub(crate) fn kinds(&self) -> BTreeMap<String, u64> {
        self.engine().kinds.clone()
    }

    /// Runs for `n` rollouts what it runs for the first.
    pub(crate) async fn multiply(&self, n: u32) {
        let (containers, networks) = {
            let engine = self.engine();
            let texts = |of: &BTreeMap<String, Value>| of.values().map(Value::to_string).collect::<Vec<_>>();
            (texts(&engine.containers), texts(&engine.networks))
        };
        for one in 1..n {
            for text in &networks {
                let network: Value = serde_json::from_str(&renamed(text, one)).unwrap();
                let id = network["Id"].as_str().unwrap().to_owned();
                self.engine().networks.insert(id, network);
            }
            for text in &containers {
                let mut container: Value = serde_json::from_str(&renamed(text, one)).unwrap();
                let id = {
                    let mut engine = self.engine();
                    engine.next += 1;
                    format!("{:064x}", engine.next)
                };
                container["Id"] = json!(id);
                self.engine().containers.insert(id.clone(), container);
                self.begin(&id).await;
            }
        }
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, id: &str) -> Response {
        let conf = {
            let engine = self.engine();
            let Some(container) = engine.containers.get(id) else { return gone() };
            let mounts = container["HostConfig"]["Mounts"].as_array().cloned().unwrap_or_default();
            if ops_inside(container).is_some() {
                open_logs(&mounts);
            }
            let conf = mounts.iter().find(|m| m["ReadOnly"] == true && ops_inside(container).is_some());
            conf.and_then(|m| m["Source"].as_str().map(PathBuf::from))
        };
        let port = match conf {
            Some(conf) => Some(pretend_nginx(conf).await),
            None => None,
        };
        let mut engine = self.engine();
        let Some(container) = engine.containers.get_mut(id) else { return gone() };
        container["State"] =
            json!({ "Status": "running", "Running": true, "Pid": 0, "StartedAt": Timestamp::now().to_string() });
        if let (Some(inside), Some(port)) = (ops_inside(container), port) {
            let published = json!([{ "HostIp": "127.0.0.1", "HostPort": port.to_string() }]);
            container["NetworkSettings"]["Ports"] = json!({ format!("{inside}/tcp"): published });
        }
        engine.tell(id, "start");
        empty(204)
    }
}

/// As NGINX does at its start: one whose logs are missing is told to open them.
fn open_logs(mounts: &[Value]) {
    let log = mounts.iter().find(|m| m["ReadOnly"] != true).and_then(|m| m["Source"].as_str());
    for name in [ACCESS_LOG, CANARY_LOG] {
        if let Some(log) = log {
            let path = Path::new(log).join(name);
            std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        }
    }
}

/// The ops port inside a gateway.
fn ops_inside(container: &Value) -> Option<String> {
    let labels = container["Config"]["Labels"].as_object()?;
    let (_, port) = labels.iter().find(|(name, _)| name.ends_with("ops-port"))?;
    port.as_str().map(str::to_owned)
}

/// Says which generation lies on disk, and that nothing happened.
async fn pretend_nginx(conf: PathBuf) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            // A whole request comes in one piece.
            let n = stream.read(&mut asked).await.unwrap_or(0);
            let text = if asked[..n].starts_with(b"GET /stub_status") {
                "Active connections: 1 \nserver accepts handled requests\n 0 0 0 \nReading: 0 Writing: 1 Waiting: 0 \n"
                    .to_owned()
            } else {
                let current = std::fs::read_link(conf.join("current")).unwrap_or_default();
                current.file_name().unwrap_or_default().to_string_lossy().into_owned()
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
            let _ = stream.write_all((head + &text).as_bytes()).await;
        }
    });
    port
}

/// Every application of every rollout: healthy.
pub(crate) async fn pretend_applications(port: u16) {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
            });
        }
    });
}

async fn serve(State(pretence): State<Pretence>, mut request: Request) -> Response {
    let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let path = head.uri.path().trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').skip_while(|part| part.starts_with("v1.")).collect();
    {
        let mut engine = pretence.engine();
        engine.calls += 1;
        *engine.kinds.entry(format!("{} {}", head.method, parts.last().unwrap_or(&""))).or_default() += 1;
    }
    match (head.method.as_str(), parts.as_slice()) {
        ("POST", ["containers", id, "start"]) => pretence.begin(id).await,
        ("POST", ["exec", _, "start"]) => talk(upgrade),
        ("GET", ["events"]) => stream(pretence.engine().events.subscribe()),
        ("GET", ["containers", _, "logs"]) => empty(200),
        (method, parts) => pretence.engine().answer(method, parts, &query, &body),
    }
}

/// An exec prints NGINX's version, whatever was asked.
fn talk(upgrade: Option<hyper::upgrade::OnUpgrade>) -> Response {
    tokio::spawn(async move {
        let Some(upgrade) = upgrade else { return };
        let Ok(upgraded) = upgrade.await else { return };
        let text = b"nginx version: nginx/1.30.4\n";
        let mut frame = vec![2, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()];
        frame.extend_from_slice(text);
        let mut stream = TokioIo::new(upgraded);
        let _ = stream.write_all(&frame).await;
        let _ = stream.shutdown().await;
    });
    let head = Response::builder().status(101).header("Connection", "Upgrade").header("Upgrade", "tcp");
    head.body(Body::empty()).unwrap()
}

fn stream(events: broadcast::Receiver<String>) -> Response {
    let lines = futures::stream::unfold(events, |mut events| async move {
        let line = events.recv().await.ok()?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line + "\n")), events))
    });
    Response::new(Body::from_stream(lines))
}

fn answer(status: u16, value: &Value) -> Response {
    let head = Response::builder().status(status).header("Content-Type", "application/json");
    head.body(Body::from(value.to_string())).unwrap()
}

fn empty(status: u16) -> Response {
    Response::builder().status(status).header("Api-Version", "1.41").body(Body::empty()).unwrap().into_response()
}

fn gone() -> Response {
    answer(404, &json!({ "message": "no such container" }))
}

impl Engine {
    fn answer(&mut self, method: &str, parts: &[&str], query: &str, body: &Value) -> Response {
        match (method, parts) {
            (_, ["_ping"]) => empty(200),
            ("GET", ["version"]) => answer(200, &json!({ "ApiVersion": "1.41", "Version": "20.10" })),
            ("GET", ["info"]) => answer(200, &json!({ "Name": "pretended", "NCPU": 2, "MemTotal": 8_u64 << 30 })),
            ("GET", ["networks"]) => self.list_networks(query),
            ("POST", ["networks", "create"]) => self.create_network(body),
            ("GET", ["images", .., "json"]) => answer(200, &json!({ "Id": IMAGE, "Config": {} })),
            ("POST", ["images", .., "tag"]) => empty(201),
            ("DELETE", ["images", ..]) => answer(200, &json!([])),
            ("GET", ["containers", "json"]) => self.list(query),
            ("POST", ["containers", "create"]) => self.create(query, body),
            ("GET", ["containers", id, "json"]) => self.containers.get(*id).map_or_else(gone, |c| answer(200, c)),
            ("GET", ["containers", _, "top"]) => {
                answer(200, &json!({ "Titles": ["CMD"], "Processes": [["nginx: master process"]] }))
            }
            ("POST", ["containers", _, "kill"]) => empty(204),
            ("POST", ["containers", _, "update"]) => answer(200, &json!({ "Warnings": [] })),
            ("POST", ["containers", _, "exec"]) => answer(201, &json!({ "Id": "e1" })),
            ("GET", ["exec", _, "json"]) => answer(200, &json!({ "ExitCode": 0, "Running": false })),
            ("POST", ["containers", id, "stop"]) => self.end(id, false),
            ("DELETE", ["containers", id]) => self.end(id, true),
            _ => answer(404, &json!({ "message": format!("not pretended: {method} {}", parts.join("/")) })),
        }
    }

    fn list(&self, query: &str) -> Response {
        let wanted = filters(query, "label");
        let summaries: Value =
            self.containers.values().filter(|c| has_labels(&c["Config"], &wanted)).map(summary).collect();
        answer(200, &summaries)
    }

    fn list_networks(&self, query: &str) -> Response {
        let wanted = filters(query, "label");
        answer(200, &self.networks.values().filter(|n| has_labels(n, &wanted)).cloned().collect())
    }

    fn create_network(&mut self, body: &Value) -> Response {
        let id = format!("net-{}", body["Name"].as_str().unwrap());
        let mut network = body.clone();
        network["Id"] = json!(id);
        self.networks.insert(id.clone(), network);
        answer(201, &json!({ "Id": id, "Warning": "" }))
    }

    fn create(&mut self, query: &str, body: &Value) -> Response {
        self.next += 1;
        let id = format!("{:064x}", self.next);
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default();
        let mut endpoints = body["NetworkingConfig"]["EndpointsConfig"].clone();
        for (network, endpoint) in endpoints.as_object_mut().into_iter().flatten() {
            endpoint["NetworkID"] = json!(format!("net-{network}"));
        }
        let container = json!({
            "Id": id, "Name": format!("/{name}"), "Image": IMAGE, "State": { "Status": "created" }, "Config": body,
            "HostConfig": body["HostConfig"], "NetworkSettings": { "Networks": endpoints }, "Mounts": [],
        });
        self.containers.insert(id.clone(), container);
        self.tell(&id, "create");
        answer(201, &json!({ "Id": id, "Warnings": [] }))
    }

    fn end(&mut self, id: &str, remove: bool) -> Response {
        let Some(container) = self.containers.get_mut(id) else { return gone() };
        container["State"] = json!({ "Status": "exited", "ExitCode": 0, "FinishedAt": Timestamp::now().to_string() });
        self.tell(id, if remove { "destroy" } else { "die" });
        if remove {
            self.containers.remove(id);
        }
        empty(204)
    }

    fn tell(&self, id: &str, action: &str) {
        let Some(container) = self.containers.get(id) else { return };
        let now = Timestamp::now();
        let nano = i64::try_from(now.as_nanosecond()).unwrap_or_default();
        let attributes = &container["Config"]["Labels"];
        let actor = json!({ "ID": id, "Attributes": attributes });
        let event =
            json!({ "Type": "container", "Action": action, "Actor": actor, "time": now.as_second(), "timeNano": nano });
        // Nobody may be listening.
        let _ = self.events.send(event.to_string());
    }
}

fn summary(c: &Value) -> Value {
    json!({
        "Id": c["Id"], "Names": [c["Name"]], "ImageID": c["Image"], "Labels": c["Config"]["Labels"],
        "State": c["State"]["Status"], "Status": "Up 2 minutes", "NetworkSettings": c["NetworkSettings"],
    })
}

/// The values of one filter.
fn filters(query: &str, of: &str) -> Vec<String> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("filters=")).unwrap_or_default();
    let filters: Value = serde_json::from_str(&percent_decoded(text)).unwrap_or_default();
    filters[of].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn has_labels(of: &Value, wanted: &[String]) -> bool {
    wanted.iter().all(|label| {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        of["Labels"][name].as_str() == Some(value)
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            b'+' => b' ',
            other => other,
        };
        bytes.push(decoded);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
