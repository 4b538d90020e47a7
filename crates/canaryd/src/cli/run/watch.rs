//! Commands that stay until a rollout has ended, or waits for a person.

use std::io::IsTerminal;
use std::time::Duration;

use canaryd_cockpit::Followed;
use canaryd_planner::Report;

use super::daemon;
use super::ear::{Ear, Heard};
use crate::cli::args::{Common, FollowArgs, WaitArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{Live, put, size, talk};
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
    // Somebody who looks at the screen sees that it waits, and for what.
    let stays = args.until.through_pauses || std::io::stdout().is_terminal();
    let mut asked = Asked::default();
    asked.decide(&report);
    let mut live = Live::styled(style);
    let mut ear = Ear::open(common, &args.name, args.until.timeout).await?;
    loop {
        match ear.next().await? {
            Heard::Note(note) => live.note(&note),
            Heard::Said(Followed::Event { event }) => live.event(&event),
            Heard::Said(Followed::End { why, .. }) => return Err(gone(&why)),
            Heard::Said(Followed::Report { host, report }) => {
                live.report(&host, &report);
                if let Some(exit) = asked.decide(&report) {
                    live.end(&host, &report);
                    return Ok(exit);
                }
                if let Some(failure) = asked.held(&report).filter(|_| !stays) {
                    return Err(failure);
                }
            }
        }
    }
}

/// `canaryd wait`.
pub(crate) async fn wait(args: WaitArgs, common: &Common) -> Result<Exit, Failure> {
    daemon(common).await?.report(&args.name).await?;
    let asked = Asked { version: args.version.clone(), ..Asked::default() };
    until_ended(&args, asked, common).await
}

/// Waits until `asked` is decided.
pub(crate) async fn until_ended(args: &WaitArgs, mut asked: Asked, common: &Common) -> Result<Exit, Failure> {
    let mut ear = Ear::open(common, &args.name, args.until.timeout).await?;
    let mut seen: Option<Box<Report>> = None;
    loop {
        match thinking_it_over(&mut ear, &asked, seen.as_deref()).await? {
            Heard::Note(note) => talk(&format!("{}: {note}\n", args.name)),
            Heard::Said(Followed::Event { .. }) => {}
            Heard::Said(Followed::End { why, .. }) => return Err(gone(&why)),
            Heard::Said(Followed::Report { report, .. }) => {
                if let Some(exit) = asked.decide(&report) {
                    put(&format!("{}: {}\n", report.name, report.sentence));
                    return Ok(exit);
                }
                if let Some(failure) = asked.held(&report).filter(|_| !args.until.through_pauses) {
                    return Err(failure);
                }
                seen = Some(report);
            }
        }
    }
}

/// What is heard next. Without news, what stands may still become hopeless.
async fn thinking_it_over(ear: &mut Ear<'_>, asked: &Asked, seen: Option<&Report>) -> Result<Heard, Failure> {
    let next = ear.next();
    tokio::pin!(next);
    loop {
        tokio::select! {
            heard = &mut next => return heard,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Some(failure) = seen.and_then(|report| asked.hopeless(report)) {
            return Err(failure);
        }
    }
}

/// Nothing is in production, and nothing will be.
fn gone(why: &str) -> Failure {
    Failure::new(Exit::No, why)
}
