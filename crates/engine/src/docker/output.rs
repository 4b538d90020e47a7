//! What comes out of containers: logs, and commands run inside.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::LogsOptions;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::{Inner, call, gateways};
use crate::error::{EngineError, Result};
use crate::output::{ExecResult, LogLine, LogOptions};

/// Most bytes of a command's output.
const EXEC_BYTES: usize = 64 * 1024;
/// Most bytes of a gateway's log.
const GATEWAY_BYTES: usize = 256 * 1024;

impl Inner {
    pub(super) fn logs(&self, id: &str, options: LogOptions) -> BoxStream<'static, Result<LogLine>> {
        let wanted = LogsOptions {
            follow: options.follow,
            stdout: true,
            stderr: true,
            since: gateways::since_seconds(options.since),
            timestamps: true,
            tail: options.tail.map_or_else(|| "all".to_owned(), |n| n.to_string()),
            ..LogsOptions::default()
        };
        let (endpoint, doing) = (self.endpoint.clone(), format!("reading the logs of {id}"));
        let lines = self
            .docker
            .logs(id, Some(wanted))
            .map(move |frame| frame.map_err(|e| call::explain(&endpoint, &doing, &e)));
        lines_of(lines, options).boxed()
    }

    pub(super) async fn exec(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult> {
        let doing = format!("running {:?} in {id}", command.first().map_or("", String::as_str));
        match tokio::time::timeout(timeout, self.exec_to_the_end(id, command, &doing)).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Timeout { doing, after: timeout }),
        }
    }

    async fn exec_to_the_end(&self, id: &str, command: &[String], doing: &str) -> Result<ExecResult> {
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.call(doing, self.docker.create_exec(id, config)).await?.id;
        let options = StartExecOptions { detach: false, tty: false, output_capacity: None };
        let mut output = Vec::new();
        if let StartExecResults::Attached { output: mut frames, .. } =
            self.call(doing, self.docker.start_exec(&exec, Some(options))).await?
        {
            while let Some(frame) = frames.next().await {
                let frame = frame.map_err(|e| call::explain(&self.endpoint, doing, &e))?;
                let room = EXEC_BYTES - output.len();
                output.extend(frame.into_bytes().iter().take(room));
            }
        }
        let ended = self.call(doing, self.docker.inspect_exec(&exec)).await?;
        Ok(ExecResult { code: ended.exit_code.unwrap_or(-1), output: String::from_utf8_lossy(&output).into_owned() })
    }

    pub(super) async fn gateway_logs(&self, id: &str, since: Option<Timestamp>) -> Result<String> {
        let limit = self.options.call_timeout;
        let reading = async {
            let mut lines = self.logs(id, LogOptions { since, ..LogOptions::default() });
            let mut text = String::new();
            while let Some(line) = lines.next().await {
                text.push_str(&line?.text);
                text.push('\n');
                if text.len() > 2 * GATEWAY_BYTES {
                    text = tail(&text).to_owned();
                }
            }
            Ok(tail(&text).to_owned())
        };
        let late = |_| Err(EngineError::Timeout { doing: "reading the gateway's log".to_owned(), after: limit });
        tokio::time::timeout(limit, reading).await.unwrap_or_else(late)
    }
}

/// The last whole lines that fit.
fn tail(text: &str) -> &str {
    let Some(from) = text.len().checked_sub(GATEWAY_BYTES) else { return text };
    let from = text.as_bytes()[from..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| from + n + 1);
    &text[from..]
}

/// Whole lines out of frames. Docker cuts long lines into frames and marks each with the time.
fn lines_of(
    frames: impl Stream<Item = Result<LogOutput>> + Send + 'static,
    options: LogOptions,
) -> impl Stream<Item = Result<LogLine>> + Send {
    let lines = frames.flat_map(|frame| {
        let lines: Vec<Result<LogLine>> = match frame {
            Ok(frame) => split(&frame).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(lines)
    });
    lines.filter_map(move |line| {
        let wanted = line.map(|line| selected(line, &options)).transpose();
        std::future::ready(wanted)
    })
}

fn split(frame: &LogOutput) -> Vec<LogLine> {
    let stderr = matches!(frame, LogOutput::StdErr { .. });
    let text = String::from_utf8_lossy(frame.as_ref());
    let line = |text: &str| {
        let stamped = text.split_once(' ').and_then(|(time, rest)| Some((time.parse::<Timestamp>().ok()?, rest)));
        let (time, text) = stamped.map_or((None, text), |(time, rest)| (Some(time), rest));
        LogLine { stderr, time, text: text.trim_end_matches('\r').to_owned() }
    };
    text.trim_end_matches('\n').split('\n').map(line).collect()
}

/// Docker knows whole seconds only; the rest of `since` is kept here.
fn selected(mut line: LogLine, options: &LogOptions) -> Option<LogLine> {
    if let (Some(since), Some(time)) = (options.since, line.time)
        && time < since
    {
        return None;
    }
    if !options.timestamps {
        line.time = None;
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_becomes_lines_with_their_time() {
        let message = "2026-11-25T04:58:01.123456789Z hello there\n".into();
        let lines = split(&LogOutput::StdErr { message });
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].text.as_str(), lines[0].stderr), ("hello there", true));
        assert_eq!(lines[0].time.unwrap().to_string(), "2026-11-25T04:58:01.123456789Z");
        assert_eq!(split(&LogOutput::StdOut { message: "no time".into() })[0].text, "no time");
    }

    #[tokio::test]
    async fn lines_before_since_are_left_out_to_the_nanosecond() {
        let frame = |text: &str| Ok(LogOutput::StdOut { message: text.to_owned().into() });
        let frames = vec![frame("2026-11-25T04:58:01.1Z early\n"), frame("2026-11-25T04:58:01.3Z late\n")];
        let options = LogOptions { since: Some("2026-11-25T04:58:01.2Z".parse().unwrap()), ..LogOptions::default() };
        let lines: Vec<LogLine> = lines_of(futures::stream::iter(frames), options).map(Result::unwrap).collect().await;
        assert_eq!(lines, [LogLine { stderr: false, time: None, text: "late".into() }]);
    }

    #[test]
    fn a_long_log_keeps_its_last_whole_lines() {
        let text = "a line\n".repeat(GATEWAY_BYTES);
        assert!(tail(&text).len() <= GATEWAY_BYTES && tail(&text).starts_with("a line\n"));
        assert_eq!(tail("short\n"), "short\n");
    }
}
