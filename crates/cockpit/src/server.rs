//! The routes of `/v1` over the Unix socket. It decides nothing: it reads from [`Control`] and hands commands to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use canaryd_gateway::Lane;
use canaryd_planner::{Answer, Command};
use canaryd_rollout::{RolloutName, nearest};
use futures::StreamExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::control::Control;
use crate::inside::OneOffRequest;
use crate::page::{CommandRequest, LogLine, LogQuery, PageRequest, PlanRequest, Refusal};
use crate::socket::{Socket, user_of};

/// A manifest is far smaller.
const LARGEST_BODY: usize = 1 << 20;
/// Until the head of an answer; streams go on as long as they like.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of history that one request gets.
const MOST_EVENTS: usize = 1_000;

/// Serves `/v1` until `shutdown`; then the socket's file goes, open streams are told so and end, and answers under way are
/// finished.
///
/// # Cancel safety
/// Dropping the future closes every connection at once; no command is lost that was answered.
pub async fn serve(socket: Socket, control: Arc<dyn Control>, shutdown: CancellationToken) {
    let app = router(control, shutdown.clone()).into_make_service_with_connect_info::<Caller>();
    if let Err(e) = axum::serve(socket, app).with_graceful_shutdown(shutdown.cancelled_owned()).await {
        tracing::error!(error = %e, "the API stopped");
    }
}

#[derive(Clone)]
struct Api {
    control: Arc<dyn Control>,
    shutdown: CancellationToken,
}

fn router(control: Arc<dyn Control>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/v1/healthz", get(healthz))
        .route("/v1/status", get(status))
        .route("/v1/events", get(all_events))
        .route("/v1/plan", post(plan))
        .route("/v1/rollouts/{name}", get(report))
        .route("/v1/rollouts/{name}/events", get(events))
        .route("/v1/rollouts/{name}/follow", get(follow))
        .route("/v1/rollouts/{name}/logs", get(logs))
        .route("/v1/rollouts/{name}/header", get(header_of))
        .route("/v1/rollouts/{name}/containers", get(containers))
        .route("/v1/rollouts/{name}/eject", get(eject))
        .route("/v1/rollouts/{name}/run", post(one_off))
        .route("/v1/rollouts/{name}/pages", post(keep_page))
        .route("/v1/rollouts/{name}/commands", post(command))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(axum::middleware::from_fn(hurry))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Api { control, shutdown })
}

/// Who is at the other end, as the kernel says.
#[derive(Debug, Clone, Copy)]
struct Caller {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, Socket>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Socket>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|c| c.uid()) }
    }
}

impl Caller {
    /// `mina (uid 1000)`; the name is best effort, the number is what the kernel vouches for.
    fn actor(self) -> String {
        let Some(uid) = self.uid else { return "unknown".to_owned() };
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        match user_of(&users, uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        }
    }
}

/// A refusal with its status.
struct Refused(StatusCode, Refusal);

impl Refused {
    fn new(status: StatusCode, error: impl Into<String>, hint: Option<String>) -> Self {
        Self(status, Refusal { error: error.into(), hint })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, axum::Json(self.1)).into_response()
    }
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        let hint = (rejection.status() == StatusCode::PAYLOAD_TOO_LARGE)
            .then(|| format!("a body may have at most {LARGEST_BODY} bytes"));
        Self::new(rejection.status(), "the body cannot be read", hint)
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text(), None)
    }
}

type Answered<T> = Result<T, Refused>;

async fn hurry(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {} s", PATIENCE.as_secs()),
            Some("a command that was sent may still be carried out: canaryd status tells".to_owned()),
        )
        .into_response(),
    }
}

async fn no_such_route(request: Request) -> Refused {
    let hint = "GET /v1/status, /v1/events, /v1/rollouts/NAME[/events|/follow|/logs|/header|/containers|/eject]; \
                POST /v1/plan, /v1/rollouts/NAME[/commands|/run|/pages]";
    Refused::new(StatusCode::NOT_FOUND, format!("there is no {}", request.uri().path()), Some(hint.to_owned()))
}

async fn no_such_method(request: Request) -> Refused {
    let error = format!("{} does not answer to {}", request.uri().path(), request.method());
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, error, None)
}

async fn healthz() -> Response {
    axum::Json(serde_json::json!({ "ok": true })).into_response()
}

async fn status(State(api): State<Api>) -> Response {
    axum::Json(api.control.status().await).into_response()
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReportQuery {
    /// Who saves a manifest and asks at once means what was saved.
    fresh: bool,
}

async fn report(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(ReportQuery { fresh }) = query?;
    if let (true, Ok(name)) = (fresh, name.parse()) {
        api.control.catch_up(&name).await;
    }
    let name = api.known(&name).await?;
    match api.control.report(&name).await {
        Some(report) => Ok(axum::Json(report).into_response()),
        None => Err(api.unknown(name.as_str()).await),
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventQuery {
    after: u64,
    limit: usize,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self { after: 0, limit: 200 }
    }
}

type EventParams = Result<Query<EventQuery>, QueryRejection>;

async fn all_events(State(api): State<Api>, query: EventParams) -> Answered<Response> {
    let Query(query) = query?;
    api.open()?;
    api.events(None, &query).await
}

async fn events(State(api): State<Api>, Path(name): Path<String>, query: EventParams) -> Answered<Response> {
    let Query(query) = query?;
    let name = api.known(&name).await?;
    api.events(Some(&name), &query).await
}

#[derive(Deserialize)]
struct FollowQuery {
    after: Option<u64>,
}

async fn follow(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<FollowQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(query) = query?;
    let name = api.known(&name).await?;
    let stream = crate::follow::follow(Arc::clone(&api.control), name, query.after, api.shutdown.clone()).await;
    Ok(lines(stream))
}

async fn logs(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(query) = query?;
    let name = api.known(&name).await?;
    let stream = api.control.logs(&name, query);
    let stops = api.shutdown.clone();
    // Else whoever follows could not tell a daemon that stops from a log that is over.
    let farewell = futures::stream::once(async move { stops.is_cancelled() });
    let farewell = farewell.filter_map(async |stops| stops.then_some(LogLine::Stops));
    Ok(lines(stream.take_until(api.shutdown.clone().cancelled_owned()).chain(farewell)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderQuery {
    lane: Lane,
}

async fn header_of(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<HeaderQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(HeaderQuery { lane }) = query?;
    let name = api.known(&name).await?;
    match api.control.lane_header(&name, lane).await {
        // A proxy or a browser on the way to the socket must not keep it.
        Ok(found) => Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(found)).into_response()),
        Err(refusal) => Err(Refused(StatusCode::NOT_FOUND, refusal)),
    }
}

async fn containers(State(api): State<Api>, Path(name): Path<String>) -> Answered<Response> {
    let name = api.known(&name).await?;
    told(api.control.containers(&name).await, StatusCode::SERVICE_UNAVAILABLE)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EjectQuery {
    port: Option<u16>,
}

async fn eject(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<EjectQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(EjectQuery { port }) = query?;
    let name = api.known(&name).await?;
    told(api.control.eject(&name, port).await, StatusCode::CONFLICT)
}

async fn one_off(
    State(api): State<Api>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answered<Response> {
    let name = api.known(&name).await?;
    let request: OneOffRequest = parse(&body?)?;
    told(api.control.one_off(&name, request, &caller.actor()).await, StatusCode::CONFLICT)
}

async fn keep_page(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answered<Response> {
    let name = api.known(&name).await?;
    let request: PageRequest = parse(&body?)?;
    match api.control.keep_page(&name, request).await {
        Ok(kept) => Ok(axum::Json(kept).into_response()),
        Err(refusal) => Err(Refused(StatusCode::CONFLICT, refusal)),
    }
}

async fn plan(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Answered<Response> {
    let request: PlanRequest = parse(&body?)?;
    api.open()?;
    match api.control.plan(request.source, request.text).await {
        Ok(pages) => Ok(axum::Json(pages).into_response()),
        Err(error) => Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error, None)),
    }
}

async fn command(
    State(api): State<Api>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answered<Response> {
    let closed = api.control.closed();
    let name = match (&closed, name.parse()) {
        (Some(_), Ok(name)) => name,
        (Some(_), Err(_)) | (None, _) => api.known(&name).await?,
    };
    let request: CommandRequest = parse(&body?)?;
    let command = Command {
        id: request.id.unwrap_or_else(crate::fresh_id),
        actor: caller.actor(),
        comment: request.comment,
        at: Timestamp::now(),
        expected: request.expected,
        verb: request.verb,
    };
    match api.control.command(&name, command).await {
        Ok(answer) => Ok((answer_status(&answer), axum::Json(answer)).into_response()),
        Err(error) => Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, error, closed.and_then(|c| c.hint))),
    }
}

/// What was asked for, or why not, with this status.
fn told<T: Serialize>(answer: Result<T, Refusal>, otherwise: StatusCode) -> Answered<Response> {
    let page = answer.map_err(|refusal| Refused(otherwise, refusal))?;
    Ok(axum::Json(page).into_response())
}

fn answer_status(answer: &Answer) -> StatusCode {
    if answer.accepted { StatusCode::OK } else { StatusCode::CONFLICT }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Answered<T> {
    serde_json::from_slice(body)
        .map_err(|e| Refused::new(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {e}"), None))
}

/// Newline-delimited JSON, one value a line, sent as it comes.
fn lines<T: Serialize>(stream: impl futures::Stream<Item = T> + Send + 'static) -> Response {
    let body = stream.map(|value| {
        serde_json::to_vec(&value).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        })
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}

impl Api {
    async fn events(&self, name: Option<&RolloutName>, query: &EventQuery) -> Answered<Response> {
        if !(1..=MOST_EVENTS).contains(&query.limit) {
            let error = format!("limit is {}: it must be 1 to {MOST_EVENTS}", query.limit);
            return Err(Refused::new(StatusCode::BAD_REQUEST, error, None));
        }
        match self.control.events(name, query.after, query.limit).await {
            Ok(lines) => Ok(axum::Json(lines).into_response()),
            Err(error) => Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, error, None)),
        }
    }

    /// Whether anything but the status is answered.
    fn open(&self) -> Answered<()> {
        match self.control.closed() {
            Some(refusal) => Err(Refused(StatusCode::SERVICE_UNAVAILABLE, refusal)),
            None => Ok(()),
        }
    }

    /// The name, if the daemon knows it.
    async fn known(&self, name: &str) -> Answered<RolloutName> {
        self.open()?;
        match name.parse::<RolloutName>() {
            Ok(parsed) if self.control.report(&parsed).await.is_some() => Ok(parsed),
            Ok(_) | Err(_) => Err(self.unknown(name).await),
        }
    }

    async fn unknown(&self, name: &str) -> Refused {
        let page = self.control.status().await;
        let names: Vec<&str> = page.rollouts.iter().map(|r| r.name.as_str()).collect();
        let hint = match names.as_slice() {
            [] => "there is no rollout yet; canaryd status shows how to begin".to_owned(),
            names => match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near}? rollouts here: {}", names.join(", ")),
                None => format!("rollouts here: {}", names.join(", ")),
            },
        };
        let error = format!("there is no rollout {name:?} on {}", page.host);
        Refused::new(StatusCode::NOT_FOUND, error, Some(hint))
    }
}
