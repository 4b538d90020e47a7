//! Commands that stay until a rollout has ended.

use std::time::Duration;

use canaryd_cockpit::Followed;
use futures::StreamExt;

use super::daemon;
use crate::cli::args::{Common, FollowArgs, WaitArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{Live, put, size};
use crate::cli::outcome::Asked;
use crate::cli::screens::render_follow;
use crate::cli::style::Style;
use crate::cli::words;

/// How often what was seen last is thought over.
const LOOK: Duration = Duration::from_millis(500);

/// `canaryd follow`.
pub(crate) async fn follow(args: FollowArgs, common: &Common) -> Result<Exit, Failure> {
    let client = daemon(common).await?;
    let report = client.report(&args.name).await?;
    let style = Style::of(common);
    if !words::moves(&report) {
        put(&render_follow(&report, &client.status().await?.host, size().0, style));
        return Ok(Exit::Yes);
    }
    let mut asked = Asked::default();
    asked.decide(&report);
    let mut live = Live::styled(style);
    let watching = async {
        let mut stream = client.follow(&args.name, None).await?;
        while let Some(next) = stream.next().await {
            match next? {
                Followed::Event { event } => live.event(&event),
                Followed::End { why } => return Err(Failure::new(Exit::NoDaemon, why)),
                Followed::Report { host, report } => {
                    live.report(&host, &report);
                    if let Some(exit) = asked.decide(&report) {
                        live.end(&host, &report);
                        return Ok(exit);
                    }
                }
            }
        }
        Err(Failure::new(Exit::NoDaemon, "the daemon went away; the rollout stays as it is until it runs again"))
    };
    in_time(args.timeout, watching).await
}

/// `canaryd wait`.
pub(crate) async fn wait(args: WaitArgs, common: &Common) -> Result<Exit, Failure> {
    daemon(common).await?.report(&args.name).await?;
    let asked = Asked { version: args.version.clone(), ..Asked::default() };
    until_ended(&args, asked, common).await
}

/// Waits until `asked` is decided.
pub(crate) async fn until_ended(args: &WaitArgs, mut asked: Asked, common: &Common) -> Result<Exit, Failure> {
    let watching = async {
        let client = daemon(common).await?;
        let mut stream = client.follow(&args.name, None).await?;
        let mut seen = None;
        loop {
            // Without news, what stands may still have become certain meanwhile.
            if let Ok(next) = tokio::time::timeout(LOOK, stream.next()).await.map(Option::transpose) {
                match next? {
                    Some(Followed::Event { .. }) => {}
                    Some(Followed::End { why }) => return Err(Failure::new(Exit::NoDaemon, why)),
                    Some(Followed::Report { report, .. }) => {
                        if let Some(exit) = asked.decide(&report) {
                            put(&format!("{}: {}\n", report.name, report.sentence));
                            return Ok(exit);
                        }
                        seen = Some(report);
                    }
                    None => return Err(Failure::new(Exit::NoDaemon, "the daemon went away")),
                }
            }
            if let Some(failure) = seen.as_deref().and_then(|report| asked.hopeless(report)) {
                return Err(failure);
            }
        }
    };
    in_time(args.timeout, watching).await
}

async fn in_time(
    limit: Option<Duration>,
    watching: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let Some(limit) = limit else { return watching.await };
    tokio::time::timeout(limit, watching).await.unwrap_or_else(|_| {
        Err(Failure::new(
            Exit::Undecided,
            format!("not decided after {}; it goes on", words::span(limit.as_secs_f64())),
        ))
    })
}
