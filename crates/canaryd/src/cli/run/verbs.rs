//! Commands that ask the daemon to do something.

use std::io::{BufRead, IsTerminal};

use canaryd_cockpit::{Client, CommandRequest};
use canaryd_planner::{Expected, Verb};

use super::{daemon, json};
use crate::cli::args::{Asked, Common, DeleteArgs, OutputFormat};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, talk};

/// Sends a verb and prints what became of it.
pub(crate) async fn send(asked: Asked, common: &Common) -> Result<Exit, Failure> {
    let client = daemon(common).await?;
    let expected = expected(&client, &asked).await?;
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

/// What a command is said of. A raise is refused when things have moved on meanwhile; whatever protects users never is, and it
/// does not wait for manifests to be read either. All else means what was saved, were it a moment ago.
async fn expected(client: &Client, asked: &Asked) -> Result<Option<Expected>, Failure> {
    if matches!(asked.verb, Verb::Abort | Verb::Rollback | Verb::Delete) {
        return Ok(None);
    }
    let report = client.fresh_report(&asked.name).await?;
    let raises = matches!(asked.verb, Verb::Advance | Verb::Promote { .. });
    Ok(raises.then(|| Expected::of(&report)))
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
