//! What each path answers, and what the fault makes of it.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::App;
use crate::faults::FaultKind;
use crate::http::{Body, Request, Response, head};
use crate::settings::HealthAnswers;

/// Largest body that `/echo` holds.
const MAX_ECHO: u64 = 16 * 1024 * 1024;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer to be written.
    Respond(Response),
    /// It has been written.
    Streamed {
        /// Whether its end can be told from that of the connection.
        goes_on: bool,
    },
    /// The connection becomes a WebSocket.
    Upgrade,
    /// The connection ends without an answer.
    Cut,
}

/// The answer to what is no request.
pub(crate) fn refuse(error: &io::Error) -> Response {
    Response::json(400, format!(r#"{{"error":"{error}"}}"#))
}

/// Answers one request.
pub(crate) fn answer(app: &App, request: &Request, body: &mut Body<impl BufRead>, stream: &TcpStream) -> Outcome {
    match request.path.as_str() {
        "/health" => with_headers(app, request, health(app, stream)),
        "/metrics" => {
            let text = app.metrics.render(&app.settings.version);
            Outcome::Respond(Response::new(200, "text/plain; version=0.0.4", text))
        }
        _ => counted(app, request, body, stream),
    }
}

/// A request of the traffic: counted, slowed, and met by the fault.
fn counted(app: &App, request: &Request, body: &mut Body<impl BufRead>, stream: &TcpStream) -> Outcome {
    let began = Instant::now();
    app.metrics.begin();
    app.faults.note_request();
    let outcome = match meet_fault(app, request, stream) {
        Some(outcome) => outcome,
        None => serve(app, request, body, stream),
    };
    match &outcome {
        Outcome::Respond(response) => app.metrics.end(&request.method, response.status, began.elapsed()),
        Outcome::Streamed { .. } => app.metrics.end(&request.method, 200, began.elapsed()),
        Outcome::Upgrade => app.metrics.end(&request.method, 101, began.elapsed()),
        Outcome::Cut => app.metrics.cut(),
    }
    with_headers(app, request, outcome)
}

fn meet_fault(app: &App, request: &Request, stream: &TcpStream) -> Option<Outcome> {
    std::thread::sleep(latency(app, request));
    if app.random.happens(app.settings.error_rate) {
        return Some(fail(app, request));
    }
    if !app.random.happens(app.faults.plan.share) {
        return None;
    }
    match app.faults.active()? {
        FaultKind::Errors => Some(fail(app, request)),
        FaultKind::Slow => {
            std::thread::sleep(app.faults.plan.slowness);
            None
        }
        FaultKind::Hang => Some(hang(stream)),
        FaultKind::Abort => Some(Outcome::Cut),
        // Not a matter of requests, or the end of all of them.
        FaultKind::Unhealthy | FaultKind::Exit | FaultKind::Oom => None,
    }
}

fn latency(app: &App, request: &Request) -> Duration {
    let mode = request.header("X-LLM-Mode").unwrap_or("");
    let further = app.settings.mode_latency.iter().find(|(m, _)| m == mode).map_or(Duration::ZERO, |(_, l)| *l);
    app.settings.latency + app.random.up_to(app.settings.latency_jitter) + further
}

fn fail(app: &App, request: &Request) -> Outcome {
    eprintln!("{} error: {} {} failed, as it was told to", app.settings.version, request.method, request.path);
    Outcome::Respond(Response::json(500, r#"{"error":"told to fail"}"#.to_owned()))
}

/// Never answers; ends when the client has gone.
fn hang(stream: &TcpStream) -> Outcome {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    loop {
        match stream.peek(&mut [0]) {
            Ok(0) => return Outcome::Cut,
            Ok(_) => std::thread::sleep(Duration::from_millis(500)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return Outcome::Cut,
        }
    }
}

fn serve(app: &App, request: &Request, body: &mut Body<impl BufRead>, stream: &TcpStream) -> Outcome {
    match request.path.as_str() {
        "/" => Outcome::Respond(welcome(app)),
        "/work" => {
            std::thread::sleep(Duration::from_millis(request.number("ms", 0)));
            Outcome::Respond(welcome(app))
        }
        "/echo" => body_or_refusal(echo(request, body)),
        "/upload" => body_or_refusal(body.drain().map(|n| Response::json(200, format!(r#"{{"bytes":{n}}}"#)))),
        "/sse" => events(app, request, stream).map_or(Outcome::Cut, |goes_on| Outcome::Streamed { goes_on }),
        "/ws" if request.says("Upgrade", "websocket") => Outcome::Upgrade,
        path if path.starts_with("/any/") => Outcome::Respond(welcome(app)),
        path => Outcome::Respond(other(path)),
    }
}

/// `/status/NNN` answers NNN; everything else is not there.
fn other(path: &str) -> Response {
    let status = path.strip_prefix("/status/").and_then(|text| text.parse().ok());
    let status = status.filter(|status| (200..600).contains(status)).unwrap_or(404);
    Response::json(status, format!(r#"{{"status":{status}}}"#))
}

fn welcome(app: &App) -> Response {
    Response::json(200, format!("{{\"version\":\"{}\",\"host\":\"{}\"}}\n", app.settings.version, app.settings.host))
}

fn body_or_refusal(read: io::Result<Response>) -> Outcome {
    match read {
        Ok(response) => Outcome::Respond(response),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Outcome::Respond(refuse(&error)),
        Err(_) => Outcome::Cut,
    }
}

fn echo(request: &Request, body: &mut Body<impl BufRead>) -> io::Result<Response> {
    let mut bytes = Vec::new();
    body.take(MAX_ECHO + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ECHO {
        return Ok(Response::json(413, format!(r#"{{"error":"at most {MAX_ECHO} bytes"}}"#)));
    }
    Ok(Response::new(200, request.header("Content-Type").unwrap_or("application/octet-stream"), bytes))
}

/// `n` events, one every `interval` milliseconds. Whether another request may follow on the connection.
fn events(app: &App, request: &Request, mut stream: &TcpStream) -> io::Result<bool> {
    let (n, interval) = (request.number("n", 10), Duration::from_millis(request.number("interval", 100)));
    let mut headers = vec![
        ("Content-Type".to_owned(), "text/event-stream".to_owned()),
        ("Cache-Control".to_owned(), "no-cache".to_owned()),
    ];
    headers.extend(marks(app, request));
    let framing = if request.http11 { "Transfer-Encoding: chunked" } else { "Connection: close" };
    write!(stream, "{}{framing}\r\n\r\n", head(200, &headers))?;
    for number in 1..=n {
        let event = format!("id: {number}\ndata: {{\"n\":{number},\"version\":\"{}\"}}\n\n", app.settings.version);
        let chunk = if request.http11 { format!("{:x}\r\n{event}\r\n", event.len()) } else { event };
        stream.write_all(chunk.as_bytes())?;
        std::thread::sleep(interval);
    }
    if request.http11 {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(request.http11)
}

fn health(app: &App, stream: &TcpStream) -> Outcome {
    let all = app.faults.plan.share >= 1.0;
    let truth = || match app.faults.active() {
        Some(FaultKind::Unhealthy) => unwell(app),
        Some(FaultKind::Errors) if all => unwell(app),
        Some(FaultKind::Hang) if all => hang(stream),
        Some(FaultKind::Abort) if all => Outcome::Cut,
        Some(
            FaultKind::Errors | FaultKind::Hang | FaultKind::Abort | FaultKind::Slow | FaultKind::Exit | FaultKind::Oom,
        )
        | None => well(app),
    };
    match app.settings.health {
        HealthAnswers::AlwaysWell => well(app),
        HealthAnswers::AlwaysUnwell => unwell(app),
        HealthAnswers::Truth => truth(),
    }
}

fn well(app: &App) -> Outcome {
    Outcome::Respond(Response::json(200, format!("{{\"status\":\"ok\",\"version\":\"{}\"}}\n", app.settings.version)))
}

fn unwell(app: &App) -> Outcome {
    let version = &app.settings.version;
    Outcome::Respond(Response::json(503, format!("{{\"status\":\"unwell\",\"version\":\"{version}\"}}\n")))
}

fn with_headers(app: &App, request: &Request, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Respond(mut response) => {
            response.headers.extend(marks(app, request));
            Outcome::Respond(response)
        }
        Outcome::Streamed { .. } | Outcome::Upgrade | Outcome::Cut => outcome,
    }
}

/// Who answered, and what the request was called.
pub(crate) fn marks(app: &App, request: &Request) -> Vec<(String, String)> {
    let mut marks = vec![("X-App-Version".to_owned(), app.settings.version.clone())];
    for name in ["X-Request-Id", "X-LLM-Mode"] {
        marks.extend(request.header(name).map(|value| (name.to_owned(), value.to_owned())));
    }
    marks
}
