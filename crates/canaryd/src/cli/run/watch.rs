//! Commands that stay until a rollout has ended, or waits for a person.

use std::time::Duration;

use canaryd_cockpit::Followed;
use canaryd_planner::Report;

use super::ear::{Ear, Heard};
use super::{daemon, json};
use crate::cli::args::{Common, OutputFormat, WaitArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, talk};
use crate::cli::outcome::Asked;

/// How often what was seen last is thought over.
const LOOK: Duration = Duration::from_millis(500);

/// `canaryd wait`.
pub(crate) async fn wait(args: WaitArgs, common: &Common) -> Result<Exit, Failure> {
    daemon(common).await?.fresh_report(&args.name).await?;
    let asked = Asked { version: args.version.clone(), ..Asked::default() };
    until_ended(&args, asked, common).await
}

/// Waits until `asked` is decided.
pub(crate) async fn until_ended(args: &WaitArgs, mut asked: Asked, common: &Common) -> Result<Exit, Failure> {
    let mut ear = Ear::open(common, &args.name, args.until.timeout).await?;
    let mut seen: Option<Box<Report>> = None;
    let mut is_told = false;
    loop {
        let heard = thinking_it_over(&mut ear, &asked, seen.as_deref()).await;
        match heard.map_err(|failure| asked.how_it_stands(failure, seen.as_deref()))? {
            Heard::Note(note) => talk(&format!("{}: {note}\n", args.name)),
            Heard::Said(Followed::Event { .. }) => {}
            Heard::Said(Followed::End { why, .. }) => return Err(gone(&why)),
            Heard::Said(Followed::Report { report, .. }) => {
                if let Some(exit) = asked.decide(&report) {
                    tell_end(args, &asked, &report)?;
                    return Ok(exit);
                }
                if let Some(failure) = asked.held(&report).filter(|_| !args.until.through_pauses) {
                    return Err(failure);
                }
                if let Some(unasked) = asked.unasked(&report).filter(|_| args.version.is_some() && !is_told) {
                    talk(&format!("{}: {unasked} Waiting for it all the same …\n", args.name));
                    is_told = true;
                }
                seen = Some(report);
            }
        }
    }
}

fn tell_end(args: &WaitArgs, asked: &Asked, report: &Report) -> Result<(), Failure> {
    match args.output {
        OutputFormat::Json => put_exact(&json(report)?),
        OutputFormat::Table | OutputFormat::Wide => {
            let name = &report.name;
            put(&asked.overtaken(report).map(|what| format!("{name}: {what}\n")).unwrap_or_default());
            put(&format!("{name}: {}\n", report.sentence));
        }
    }
    Ok(())
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
pub(super) fn gone(why: &str) -> Failure {
    Failure::new(Exit::No, why)
}
