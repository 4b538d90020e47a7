//! `canaryd logs`, through restarts of the daemon.

use std::time::Duration;

use canaryd_cockpit::{ClientError, LogQuery, LogText, Logged};
use canaryd_gateway::Lane;
use canaryd_rollout::RolloutName;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::ask::tell;
use super::patience::Patience;
use super::{daemon, reach};
use crate::cli::args::{Common, LogsArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::put_exact;
use crate::cli::style::tame;

/// A daemon that has just started may not have seen the containers yet.
const FIRST_LOOK: Duration = Duration::from_secs(5);

type Lines = BoxStream<'static, Result<Logged, ClientError>>;

/// `canaryd logs`.
pub(crate) async fn logs(args: LogsArgs, common: &Common) -> Result<Exit, Failure> {
    let lane = args.lane.map(Lane::from);
    let mut query = LogQuery { lane, follow: args.follow, tail: args.tail, gateway: args.gateway, since: None };
    let mut lines = daemon(common).await?.logs(&args.name, &query).await?;
    loop {
        match show(&mut lines).await {
            Ok(()) => return Ok(Exit::Yes),
            Err(error) if args.follow && is_gone(&error) => {
                // What is written while nobody looks is shown as soon as somebody can.
                (query.since, query.tail) = (Some(Timestamp::now()), None);
                lines = again(error, &args.name, &query, common).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn show(lines: &mut Lines) -> Result<(), ClientError> {
    while let Some(line) = lines.next().await {
        match line? {
            Logged::Line(line) => show_line(&line),
            Logged::Waits(why) => tell(Some(&format!("{} Waiting for one …", tame(&why)))),
        }
    }
    Ok(())
}

fn show_line(line: &LogText) {
    put_exact(&format!("{} | {}\n", line.source, tame(&line.text)));
}

/// Waits for a daemon that went away.
async fn again(error: ClientError, name: &RolloutName, query: &LogQuery, common: &Common) -> Result<Lines, Failure> {
    let mut patience = Patience::new(None);
    let mut lost = error;
    loop {
        tell(patience.lost(lost).await?.as_deref());
        match reopened(name, query, common).await {
            Ok(lines) => {
                tell(patience.found().as_deref());
                return Ok(lines);
            }
            Err(error) => lost = error,
        }
    }
}

async fn reopened(name: &RolloutName, query: &LogQuery, common: &Common) -> Result<Lines, ClientError> {
    let client = reach(common).await?;
    client.report(name).await?;
    let deadline = tokio::time::Instant::now() + FIRST_LOOK;
    loop {
        let mut lines = client.logs(name, query).await?;
        // A refusal comes at once. What follows a log says nothing until something is written.
        let first = tokio::time::timeout(Duration::from_millis(500), lines.next()).await;
        match first {
            Ok(Some(Err(ClientError::Unread { .. }))) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(Some(first)) => return Ok(futures::stream::iter([first]).chain(lines).boxed()),
            Ok(None) | Err(_) => return Ok(lines),
        }
    }
}

fn is_gone(error: &ClientError) -> bool {
    match error {
        ClientError::NoDaemon { .. } | ClientError::Silent { .. } | ClientError::Broken { .. } => true,
        ClientError::Forbidden { .. } | ClientError::Refused { .. } | ClientError::Unread { .. } => false,
    }
}
