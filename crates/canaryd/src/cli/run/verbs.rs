//! Commands that ask the daemon to do something.

use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use canaryd_cockpit::CommandRequest;
use canaryd_planner::{Answer, Expected, Verb};

use super::{daemon, json, reach};
use crate::cli::args::{Asked, Common, DeleteArgs, OutputFormat, RollbackArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, talk};
use crate::paths::{StateDir, Surroundings};

/// Sends a verb and prints what became of it.
pub(crate) async fn send(asked: Asked, common: &Common) -> Result<Exit, Failure> {
    let client = daemon(common).await?;
    // A raise is refused when things have moved on meanwhile; whatever protects users never is.
    let raises = matches!(asked.verb, Verb::Advance | Verb::Promote { .. });
    let expected = if raises { Some(Expected::of(&client.report(&asked.name).await?)) } else { None };
    let request = CommandRequest {
        id: Some(canaryd_cockpit::fresh_id()),
        comment: asked.how.comment,
        expected,
        verb: asked.verb,
    };
    let answer = client.command(&asked.name, &request).await?;
    let line = format!("{}: {}\n", asked.name, answer.message);
    match (asked.how.output, answer.accepted) {
        (OutputFormat::Json, _) => put_exact(&json(&answer)?),
        (_, true) => put(&line),
        (_, false) => talk(&format!("refused: {line}")),
    }
    Ok(if answer.accepted { Exit::Yes } else { Exit::No })
}

/// `canaryd rollback`.
pub(crate) async fn rollback(args: RollbackArgs, common: &Common) -> Result<Exit, Failure> {
    if !args.offline {
        return send(Asked { name: args.name, verb: Verb::Rollback, how: args.how }, common).await;
    }
    let state = args.state.clone().unwrap_or_else(|| Surroundings::find().state_dir());
    let done = crate::offline::rollback(&args.name, &state);
    let name = &args.name;
    let told = tokio::time::timeout(EAR, tell_daemon(&args, &state, common)).await;
    match (told.ok().flatten(), done) {
        (Some(answer), done) => {
            put(&format!("{name}: the daemon knows: {}\n", answer.message));
            Ok(if answer.accepted || done.is_ok() { Exit::Yes } else { Exit::No })
        }
        (None, Ok(_)) => {
            put(&format!(
                "{name}: the daemon was not there to be told; it records this as an abort when it runs again\n"
            ));
            Ok(Exit::Yes)
        }
        (None, Err(e)) => Err(Failure::new(Exit::No, format!("{e:#}"))),
    }
}

/// How long an offline rollback, which is done, waits for the daemon to hear of it.
const EAR: Duration = Duration::from_secs(3);

/// Tells the daemon of this very state directory, if it runs, before it decides anything without knowing.
async fn tell_daemon(args: &RollbackArgs, state: &Path, common: &Common) -> Option<Answer> {
    let client = reach(common).await.ok()?;
    let instance = std::fs::read_to_string(StateDir(state.to_owned()).instance()).ok()?;
    if client.status().await.ok()?.instance != instance.trim() {
        return None;
    }
    let request = CommandRequest {
        id: Some(canaryd_cockpit::fresh_id()),
        comment: Some(args.how.comment.clone().unwrap_or_else(|| "rolled back offline".to_owned())),
        expected: None,
        verb: Verb::Rollback,
    };
    client.command(&args.name, &request).await.ok()
}

/// `canaryd delete`.
pub(crate) async fn delete(args: DeleteArgs, common: &Common) -> Result<Exit, Failure> {
    if !args.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("delete stops everything of {}: say --yes if that is meant", args.name)));
    }
    // A name that nobody knows is refused before anything is asked.
    daemon(common).await?.report(&args.name).await?;
    if !args.yes && !confirmed(args.name.as_str())? {
        return Err(Failure::new(Exit::No, "nothing was deleted"));
    }
    send(Asked { name: args.name, verb: Verb::Delete, how: args.how }, common).await
}

fn confirmed(name: &str) -> Result<bool, Failure> {
    talk(&format!("This stops the production and the gateway of {name} now. Type its name to go on: "));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::usage(e.to_string()))?;
    Ok(line.trim() == name)
}
