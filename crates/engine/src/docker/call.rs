//! One call to the engine: a deadline round it, and its failure in words.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use bollard::errors::Error as Bollard;

use crate::error::{EngineError, Result};

/// Waits for the call, at most that long.
///
/// # Errors
/// The timeout, or what [`explain`] makes of bollard's error.
pub(super) async fn call<T>(
    endpoint: &str,
    limit: Duration,
    doing: &str,
    call: impl Future<Output = Result<T, Bollard>>,
) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(explain(endpoint, doing, &error)),
        Err(_) => Err(EngineError::Timeout { doing: doing.to_owned(), after: limit }),
    }
}

/// The general meaning of an error; what only one kind of call can mean is looked at where that call is made.
pub(super) fn explain(endpoint: &str, doing: &str, error: &Bollard) -> EngineError {
    if let Bollard::DockerResponseServerError { status_code, message } = error {
        return explain_answer(doing, *status_code, message);
    }
    if let Some(kind) = io_kind(error) {
        match kind {
            ErrorKind::PermissionDenied => return EngineError::Permission { endpoint: endpoint.to_owned() },
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
                let why = root(error);
                return EngineError::Unreachable { endpoint: endpoint.to_owned(), why };
            }
            _ => {}
        }
    }
    match error {
        Bollard::SocketNotFoundError(_) => {
            EngineError::Unreachable { endpoint: endpoint.to_owned(), why: "there is no such socket".to_owned() }
        }
        Bollard::HyperLegacyError { err } if err.is_connect() => {
            EngineError::Unreachable { endpoint: endpoint.to_owned(), why: root(error) }
        }
        other => EngineError::Failed { doing: doing.to_owned(), why: root(other) },
    }
}

/// Docker: 400 bad request, 403 not allowed in this state, 404 no such thing, 409 conflict with another thing; 5xx is its own trouble.
fn explain_answer(doing: &str, status: u16, message: &str) -> EngineError {
    let (doing, why) = (doing.to_owned(), message.trim().to_owned());
    match status {
        404 => EngineError::Gone { what: why, doing },
        409 => EngineError::Failed { doing, why },
        400..=499 => EngineError::Refused { doing, why },
        _ => EngineError::Failed { doing, why },
    }
}

fn io_kind(error: &Bollard) -> Option<ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        if let Some(Bollard::IOError { err }) = error.downcast_ref::<Bollard>() {
            return Some(err.kind());
        }
        cause = error.source();
    }
    None
}

/// The innermost message of the chain: the only one that a person can use.
fn root(error: &Bollard) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// The message of an answer of Docker with that status.
pub(super) fn answer(error: &Bollard) -> Option<(u16, &str)> {
    match error {
        Bollard::DockerResponseServerError { status_code, message } => Some((*status_code, message.as_str())),
        _ => None,
    }
}

/// What a failed start means, where Docker's message tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StartTrouble {
    /// `address:port` is published by something else.
    PortTaken(String),
    /// A network that it was attached to does not exist any more.
    NetworkGone,
    Mount,
    Command,
    Device,
    Other,
}

/// Reads Docker's message; its words differ between versions, hence the several forms.
pub(super) fn start_trouble(message: &str) -> StartTrouble {
    let has = |part: &str| message.contains(part);
    if has("port is already allocated") || has("bind: address already in use") || has("failed to bind host port") {
        return StartTrouble::PortTaken(address_in(message).unwrap_or_else(|| "a published port".to_owned()));
    }
    if has("network") && has("not found") {
        return StartTrouble::NetworkGone;
    }
    if has("could not select device driver") || has("error gathering device information") {
        return StartTrouble::Device;
    }
    if has("bind source path does not exist")
        || has("invalid mount config")
        || has("mounting ")
        || has("error while mounting volume")
    {
        return StartTrouble::Mount;
    }
    if has("executable file not found")
        || has("no such file or directory")
        || has("permission denied")
        || has("unable to find user")
    {
        return StartTrouble::Command;
    }
    StartTrouble::Other
}

/// The first `address:port` of a message.
fn address_in(message: &str) -> Option<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ')' | '(');
    message.split(ends).find_map(|word| {
        let word = word.trim_end_matches([':', '.']);
        let word = word.split('/').next().unwrap_or(word);
        if let Ok(address) = word.parse::<std::net::SocketAddr>() {
            return Some(address.to_string());
        }
        // `failed to bind host port for 0.0.0.0:8080:172.18.0.2:80/tcp`
        let mut parts = word.splitn(3, ':');
        let pair = format!("{}:{}", parts.next()?, parts.next()?);
        pair.parse::<std::net::SocketAddr>().ok().map(|a| a.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_recognised_in_the_words_of_every_version() {
        for message in [
            "driver failed programming external connectivity on endpoint shop-gateway (abc): Bind for 127.0.0.1:8080 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint x (y): Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint x (y): failed to bind host port 127.0.0.1:8080/tcp: address already in use",
            "failed to bind host port for 127.0.0.1:8080:172.18.0.2:80/tcp: address already in use",
        ] {
            assert_eq!(start_trouble(message), StartTrouble::PortTaken("127.0.0.1:8080".into()), "{message}");
        }
    }

    #[test]
    fn a_bad_command_a_bad_mount_and_a_lost_network_are_told_apart() {
        let command = r#"OCI runtime create failed: exec: "/nope": stat /nope: no such file or directory: unknown"#;
        assert_eq!(start_trouble(command), StartTrouble::Command);
        assert_eq!(
            start_trouble("invalid mount config for type \"bind\": bind source path does not exist: /x"),
            StartTrouble::Mount
        );
        assert_eq!(start_trouble("network 0f3c not found"), StartTrouble::NetworkGone);
        assert_eq!(
            start_trouble("could not select device driver \"\" with capabilities: [[gpu]]"),
            StartTrouble::Device
        );
        assert_eq!(start_trouble("something else"), StartTrouble::Other);
    }

    #[test]
    fn what_a_later_try_can_mend_is_not_final() {
        let answer = |status_code| {
            let error = Bollard::DockerResponseServerError { status_code, message: "no".into() };
            explain("unix:///x", "doing it", &error).is_final()
        };
        assert_eq!([400, 403, 404, 409, 500, 503].map(answer), [true, true, false, false, false, false]);
        let io = |kind: ErrorKind| explain("unix:///x", "asking", &Bollard::IOError { err: kind.into() });
        assert!(matches!(io(ErrorKind::PermissionDenied), EngineError::Permission { .. }));
        assert!(matches!(io(ErrorKind::ConnectionRefused), EngineError::Unreachable { .. }));
        assert!(!io(ErrorKind::NotFound).is_final());
        assert!(!explain("e", "asking", &Bollard::RequestTimeoutError).is_final());
    }
}
