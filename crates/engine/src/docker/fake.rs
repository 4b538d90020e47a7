//! A Docker engine in memory, under bollard: what our use of bollard really sends is under test, without Docker. It knows
//! containers, networks and their states, and as much of the API as the tests ask.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::{DockerEngine, DockerOptions};

#[derive(Default)]
pub(super) struct State {
    /// Create bodies with `State` and `Name`, by id.
    pub(super) containers: BTreeMap<String, Value>,
    pub(super) networks: BTreeMap<String, Value>,
    /// Calls that change something: `POST /containers/c1/start`.
    pub(super) changes: Vec<String>,
    /// Inspections that were answered, by container.
    pub(super) inspected: Vec<String>,
    /// Answers in place of the real one, by the beginning of `METHOD /path`.
    pub(super) faults: Vec<(String, u16, String)>,
    /// Calls that are never answered, by the beginning of `METHOD /path`.
    pub(super) hangs: Vec<String>,
    /// The registry header of the latest pull.
    pub(super) registry_auth: Option<String>,
    next: u32,
}

pub(super) type Shared = Arc<Mutex<State>>;

/// An engine over an empty Docker.
pub(super) async fn engine(dir: &std::path::Path) -> (DockerEngine, Shared) {
    let state = Shared::default();
    let docker = Docker::connect_with_custom_transport(
        transport(Arc::clone(&state)),
        Some("http://fake"),
        60,
        API_DEFAULT_VERSION,
    )
    .unwrap();
    let options = DockerOptions { call_timeout: Duration::from_secs(2), ..DockerOptions::new("test", dir) };
    (DockerEngine::over(docker, "fake".to_owned(), None, options).await.unwrap(), state)
}

type Answer = futures::future::BoxFuture<'static, Result<Response<Incoming>, bollard::errors::Error>>;

/// One connection a call: a real HTTP exchange through a pipe in memory.
fn transport(state: Shared) -> impl Fn(BollardRequest) -> Answer + Send + Sync + 'static {
    move |request| {
        let state = Arc::clone(&state);
        Box::pin(async move {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let answer = hyper::service::service_fn(move |request| serve(Arc::clone(&state), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), answer));
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        })
    }
}

async fn serve(state: Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = format!("{} {}", head.method, head.uri.path());
    if state.lock().unwrap().hangs.iter().any(|begin| call.starts_with(begin)) {
        std::future::pending::<()>().await;
    }
    let mut state = state.lock().unwrap();
    if head.method != hyper::Method::GET {
        state.changes.push(call.clone());
    }
    if let Some(auth) = head.headers.get("x-registry-auth") {
        state.registry_auth = Some(auth.to_str().unwrap().to_owned());
    }
    let fault = state.faults.iter().find(|(begin, _, _)| call.starts_with(begin)).cloned();
    let (status, answer) = match fault {
        Some((_, status, message)) => (status, json!({ "message": message })),
        None => state.answer(head.method.as_str(), head.uri.path(), head.uri.query().unwrap_or_default(), &body),
    };
    let text = if status == 204 { Bytes::new() } else { Bytes::from(answer.to_string()) };
    Ok(Response::builder().status(status).body(Full::new(text)).unwrap())
}

impl State {
    fn answer(&mut self, method: &str, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["version"]) => (200, json!({ "ApiVersion": "1.41", "Version": "20.10" })),
            ("GET", ["networks"]) => (200, self.networks.values().cloned().collect()),
            ("POST", ["networks", "create"]) => self.create_network(body),
            ("POST", ["networks", id, "connect"]) => self.connect(id, body),
            ("GET", ["containers", "json"]) => (200, self.containers.iter().map(|(id, c)| summary(id, c)).collect()),
            ("POST", ["containers", "create"]) => self.create(query, body),
            ("GET", ["containers", id, "json"]) => {
                self.inspected.push((*id).to_owned());
                self.containers.get(*id).map_or((404, Value::Null), |c| (200, c.clone()))
            }
            ("DELETE", ["containers", id]) => {
                self.containers.remove(*id).map_or((404, Value::Null), |_| (204, Value::Null))
            }
            ("POST", ["containers", id, "start"]) => self.set(id, "/State/Status", json!("running")),
            ("POST", ["containers", id, "stop"]) => self.set(id, "/State/Status", json!("exited")),
            ("POST", ["containers", id, "update"]) => {
                self.set(id, "/HostConfig/RestartPolicy", body["RestartPolicy"].clone());
                (200, json!({ "Warnings": [] }))
            }
            _ => (404, json!({ "message": format!("the fake knows no {method} {path}") })),
        }
    }

    fn create_network(&mut self, body: &Value) -> (u16, Value) {
        let id = format!("net-{}", body["Name"].as_str().unwrap());
        let mut network = body.clone();
        network["Id"] = json!(id);
        self.networks.insert(id.clone(), network);
        (201, json!({ "Id": id, "Warning": "" }))
    }

    fn connect(&mut self, id: &str, body: &Value) -> (u16, Value) {
        let name = self.networks[id]["Name"].as_str().unwrap().to_owned();
        let container = self.containers.get_mut(body["Container"].as_str().unwrap()).unwrap();
        container["NetworkSettings"]["Networks"][name] = json!({ "NetworkID": id });
        (200, Value::Null)
    }

    fn create(&mut self, query: &str, body: &Value) -> (u16, Value) {
        self.next += 1;
        let (id, name) = (
            format!("c{}", self.next),
            query.split("name=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default(),
        );
        let mut container =
            json!({ "Id": id, "Name": format!("/{name}"), "Image": body["Image"], "State": { "Status": "created" } });
        container["Config"] = body.clone();
        container["HostConfig"] = body["HostConfig"].clone();
        let mut endpoints = body["NetworkingConfig"]["EndpointsConfig"].clone();
        for (network, endpoint) in endpoints.as_object_mut().unwrap() {
            endpoint["NetworkID"] = json!(format!("net-{network}"));
        }
        container["NetworkSettings"] = json!({ "Networks": endpoints });
        self.containers.insert(id.clone(), container);
        (201, json!({ "Id": id, "Warnings": [] }))
    }

    fn set(&mut self, id: &str, pointer: &str, value: Value) -> (u16, Value) {
        let Some(place) = self.containers.get_mut(id).and_then(|c| c.pointer_mut(pointer)) else {
            return (404, Value::Null);
        };
        *place = value;
        (204, Value::Null)
    }
}

fn summary(id: &str, c: &Value) -> Value {
    let health = c["State"]["Health"]["Status"].as_str().map(|h| format!(" ({h})")).unwrap_or_default();
    let words = match c["State"]["Status"].as_str() {
        Some("running") => format!("Up 2 minutes{health}"),
        Some("exited") => "Exited (0) 2 minutes ago".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    json!({ "Id": id, "Names": [c["Name"]], "ImageID": c["Image"], "Labels": c["Config"]["Labels"], "State": c["State"]["Status"], "Status": words, "NetworkSettings": c["NetworkSettings"] })
}
