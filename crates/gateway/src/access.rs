//! One line of the gateway's access log: one request, with each attempt to have it answered.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::generation::GenerationId;
use crate::traffic::Lane;

/// What kind of request a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// The split drew the lane: evidence.
    Drawn(Lane),
    /// A rule chose the lane (forced by header, or a lane-pinned port): never evidence.
    Ruled(Lane),
    /// No lane could serve: an honest 503 by the gateway.
    Nobody,
    /// canaryd's own request to the ops port. It is in the log so that lines and `stub_status` can be compared.
    Ops,
}

/// One try to get an answer from one replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Who was asked; `None` when NGINX found no live server in the lane.
    pub addr: Option<SocketAddr>,
    /// Its answer; `None` without one. 502 = connection failed or broke off, 504 = too slow, both made by NGINX.
    pub status: Option<u16>,
    /// Seconds from the start of the attempt to its end.
    pub latency: Option<f64>,
    /// Seconds until the connection stood (0 when it was kept open).
    pub connect: Option<f64>,
    /// Seconds until the head of the answer was there.
    pub header: Option<f64>,
}

/// One request, as logged when it was over. No query string, no cookie, no address of a client is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLine {
    /// When it ended: Unix time in seconds, to the millisecond.
    pub time: f64,
    /// The configuration that routed it.
    pub generation: GenerationId,
    /// Whose request it is.
    pub rollout: String,
    /// Who was to serve it, and by whose choice.
    pub route: Route,
    /// The lane that owns the address of the last attempt.
    pub served_by: Option<Lane>,
    /// `GET` …; empty for what was no HTTP.
    pub method: String,
    /// Path without the query string.
    pub path: String,
    /// What the client got; 499 = it had gone.
    pub status: u16,
    /// Bytes of the body sent to the client.
    pub bytes: u64,
    /// Seconds from the first byte of the request to the last byte of the answer.
    pub request_time: f64,
    /// In order; empty when nobody was asked.
    pub attempts: Vec<Attempt>,
    /// Mode of the request, if the manifest says where to read it; at most 64 characters.
    pub mode: Option<String>,
    /// Salted hash (8 hexadecimal digits) of the sticky cookie, else of the client's address.
    pub client: String,
    /// `X-Request-Id` that the app saw.
    pub request_id: String,
    /// Whether the answer was sent to its end.
    pub complete: bool,
    /// An upgraded connection or an event stream: its end says nothing about speed.
    pub stream: bool,
}

/// The text is not a line of our log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a line of the access log: {0}")]
pub struct BadLine(pub String);

/// The line as NGINX writes it: every value is a string (`nginx/gateway.conf`, `log_format`).
#[derive(Deserialize)]
struct Raw {
    t: String,
    #[serde(rename = "gen")]
    generation: String,
    ro: String,
    lane: String,
    st: String,
    #[serde(default)]
    ruled: String,
    #[serde(default)]
    up: String,
    #[serde(default)]
    served: String,
    #[serde(default)]
    m: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    b: String,
    #[serde(default)]
    rt: String,
    #[serde(default)]
    ua: String,
    #[serde(default)]
    us: String,
    #[serde(default)]
    ut: String,
    #[serde(default)]
    uc: String,
    #[serde(default)]
    uh: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    under: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    done: String,
    #[serde(default)]
    sse: String,
}

impl AccessLine {
    /// Reads one line (without or with its newline).
    ///
    /// # Errors
    /// Not JSON, or a field that every line has is missing or no number.
    pub fn parse(line: &str) -> Result<Self, BadLine> {
        let raw: Raw = serde_json::from_str(line.trim_end()).map_err(|e| BadLine(e.to_string()))?;
        let status = number("st", &raw.st)?;
        let ops = raw.lane == "ops";
        Ok(Self {
            time: number("t", &raw.t)?,
            generation: raw.generation.parse().map_err(|_| BadLine(format!("gen is {:?}", raw.generation)))?,
            route: route(&raw)?,
            served_by: lane(&raw.served),
            status,
            bytes: if ops { 0 } else { number("b", &raw.b)? },
            request_time: if ops { 0.0 } else { number("rt", &raw.rt)? },
            attempts: attempts(&raw),
            mode: mode(&raw),
            complete: raw.done == "OK",
            stream: status == 101 || !raw.sse.is_empty(),
            rollout: raw.ro,
            method: raw.m,
            path: raw.path,
            client: raw.client,
            request_id: raw.id,
        })
    }

    /// When the request began: Unix time in seconds.
    #[must_use]
    pub fn started(&self) -> f64 {
        self.time - self.request_time
    }
}

fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, BadLine> {
    text.parse().map_err(|_| BadLine(format!("{field} is {text:?}, not a number")))
}

fn lane(text: &str) -> Option<Lane> {
    match text {
        "production" => Some(Lane::Production),
        "canary" => Some(Lane::Canary),
        _ => None,
    }
}

fn route(raw: &Raw) -> Result<Route, BadLine> {
    match (raw.lane.as_str(), lane(&raw.lane)) {
        ("ops", _) => Ok(Route::Ops),
        (_, Some(lane)) if raw.ruled == "1" => Ok(Route::Ruled(lane)),
        (_, Some(lane)) if !raw.up.is_empty() => Ok(Route::Drawn(lane)),
        (_, Some(_)) | ("nobody", None) => Ok(Route::Nobody),
        (other, None) => Err(BadLine(format!("lane is {other:?}"))),
    }
}

/// The lists have one value for each server that was asked, separated by `, `, or by ` : ` after an internal redirect.
fn attempts(raw: &Raw) -> Vec<Attempt> {
    let split = |text: &str| -> Vec<String> {
        text.split(" : ").flat_map(|group| group.split(", ")).map(|t| t.trim().to_owned()).collect()
    };
    let [statuses, latencies, connects, headers] = [&raw.us, &raw.ut, &raw.uc, &raw.uh].map(|t| split(t));
    let at = |list: &[String], i: usize| list.get(i).and_then(|t| t.parse::<f64>().ok());
    let asked = if raw.ua.is_empty() || raw.ua == "-" { vec![] } else { split(&raw.ua) };
    let attempt = |(i, addr): (usize, &String)| Attempt {
        addr: addr.parse().ok(),
        status: statuses.get(i).and_then(|t| t.parse().ok()).filter(|s| *s > 0),
        latency: at(&latencies, i),
        connect: at(&connects, i),
        header: at(&headers, i),
    };
    asked.iter().enumerate().map(attempt).collect()
}

fn mode(raw: &Raw) -> Option<String> {
    let found = if raw.under.is_empty() {
        raw.mode.as_str()
    } else {
        let tail = raw.path.strip_prefix(raw.under.trim_end_matches('/')).and_then(|t| t.strip_prefix('/'));
        tail.and_then(|t| t.split('/').next()).unwrap_or_default()
    };
    (!found.is_empty() && found != "-").then(|| found.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"t":"1764046800.250","gen":"1.4","ro":"shop","lane":"canary","ruled":"0","up":"shop_canary",
        "served":"production","m":"GET","path":"/api/fast/x","st":"200","b":"12","rt":"0.750",
        "ua":"10.77.0.3:8000, 10.77.0.2:8000","us":"504, 200","ut":"0.500, 0.240","uc":"-, 0.001","uh":"-, 0.230",
        "mode":"","under":"/api/","client":"0a1b2c3d","id":"7","done":"OK","sse":""}"#;

    fn line_with(from: &str, to: &str) -> Result<AccessLine, BadLine> {
        assert!(LINE.contains(from), "{from:?} is not in the line");
        AccessLine::parse(&LINE.replace(from, to))
    }

    #[test]
    fn every_attempt_of_a_line_is_read() {
        let line = AccessLine::parse(LINE).expect("a good line");
        assert_eq!(line.route, Route::Drawn(Lane::Canary));
        assert_eq!(line.served_by, Some(Lane::Production));
        assert_eq!(line.generation, GenerationId::new(1, 4));
        assert_eq!(line.mode.as_deref(), Some("fast"));
        assert!((line.started() - 1_764_046_799.5).abs() < 1e-6);
        assert!(line.complete && !line.stream);
        let first = Attempt {
            addr: "10.77.0.3:8000".parse().ok(),
            status: Some(504),
            latency: Some(0.5),
            connect: None,
            header: None,
        };
        assert_eq!(line.attempts.len(), 2);
        assert_eq!(line.attempts[0], first);
        assert_eq!(line.attempts[1].status, Some(200));
        assert_eq!(line.attempts[1].header, Some(0.23));
    }

    #[test]
    fn attempts_before_an_internal_redirect_count_too() {
        let line = line_with("10.77.0.3:8000, 10.77.0.2:8000", "10.77.0.3:8000 : 10.77.0.2:8000").expect("good");
        assert_eq!(line.attempts.len(), 2);
    }

    #[test]
    fn a_lane_without_a_live_server_has_an_attempt_of_nobody() {
        let line = line_with("10.77.0.3:8000, 10.77.0.2:8000", "shop_canary").expect("good");
        assert_eq!(line.attempts.len(), 1);
        assert_eq!(line.attempts[0].addr, None);
    }

    #[test]
    fn what_a_rule_chose_is_told_apart_from_what_was_drawn() {
        assert_eq!(line_with("\"ruled\":\"0\"", "\"ruled\":\"1\"").expect("good").route, Route::Ruled(Lane::Canary));
        assert_eq!(line_with("shop_canary", "").expect("good").route, Route::Nobody);
        assert_eq!(line_with("\"canary\"", "\"nobody\"").expect("good").route, Route::Nobody);
        assert!(line_with("\"canary\"", "\"blue\"").is_err());
    }

    #[test]
    fn lines_of_the_ops_port_are_short() {
        let line = AccessLine::parse(r#"{"t":"1.5","gen":"1.4t","ro":"shop","lane":"ops","st":"200"}"#).expect("good");
        assert_eq!(line.route, Route::Ops);
        assert!(line.generation.is_twin());
    }

    #[test]
    fn streams_and_cut_answers_are_marked() {
        assert!(line_with("\"sse\":\"\"", "\"sse\":\"1\"").expect("good").stream);
        assert!(line_with("\"st\":\"200\"", "\"st\":\"101\"").expect("good").stream);
        assert!(!line_with("\"done\":\"OK\"", "\"done\":\"\"").expect("good").complete);
    }

    #[test]
    fn half_a_line_is_an_error_and_not_a_panic() {
        for end in 0..LINE.len() {
            assert!(AccessLine::parse(&LINE[..end]).is_err(), "{end}");
        }
        assert!(line_with("1764046800.250", "soon").is_err());
    }
}
