//! `canaryd rollback`, with the daemon and without it.

use std::path::Path;
use std::time::Duration;

use canaryd_cockpit::{ClientError, CommandRequest};
use canaryd_planner::{Answer, Memory, Verb};
use canaryd_rollout::RolloutName;

use super::reach;
use super::verbs::send;
use crate::cli::args::{Asked, Common, RollbackArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::put;
use crate::offline::Done;
use crate::paths::{StateDir, Surroundings};

/// How long an offline rollback, which is done, waits for the daemon to hear of it.
const EAR: Duration = Duration::from_secs(3);
/// How long it waits for what the journal says of a version that nobody gets yet.
const JOURNAL: Duration = Duration::from_secs(5);

/// `canaryd rollback`.
pub(crate) async fn rollback(args: RollbackArgs, common: &Common) -> Result<Exit, Failure> {
    if !args.offline {
        return send(Asked { name: args.name, verb: Verb::Rollback, how: args.how }, common).await;
    }
    let state = args.state.clone().unwrap_or_else(|| Surroundings::find().state_dir());
    let done = crate::offline::rollback(&args.name, &state);
    let name = &args.name;
    match (tell_daemon(&args, &state, common).await, done) {
        (Told::Answer(answer), done) => {
            put(&format!("{name}: the daemon knows: {}\n", answer.message));
            let lowered = matches!(done, Ok(Done::Lowered));
            Ok(if answer.accepted || lowered { Exit::Yes } else { Exit::No })
        }
        (Told::Nobody, Ok(Done::Lowered)) => {
            put(&format!(
                "{name}: the daemon was not there to be told; it records this as an abort when it runs again\n"
            ));
            Ok(Exit::Yes)
        }
        (Told::Late(why), Ok(Done::Lowered)) => {
            put(&format!(
                "{name}: the daemon was told and gave no answer ({why}); canaryd status shows what it makes of it\n"
            ));
            Ok(Exit::Yes)
        }
        (Told::Nobody, Ok(Done::NothingServed { no_word })) => unserved(name, memory_of(name, &state).await, no_word),
        (Told::Late(why), Ok(Done::NothingServed { .. })) => {
            let message = format!("{name} has no canary with traffic; the daemon was told and gave no answer ({why})");
            Err(Failure::new(Exit::Undecided, message).hint(format!("what it makes of it: canaryd status {name}")))
        }
        (Told::Nobody | Told::Late(_), Err(e)) => Err(Failure::new(Exit::No, format!("{e:#}"))),
    }
}

/// No canary had traffic and no daemon runs: what the word that was left for it will do.
fn unserved(name: &RolloutName, memory: Option<Memory>, no_word: Option<String>) -> Result<Exit, Failure> {
    let undo = format!("to leave a promoted version, start the daemon and use: canaryd undo {name}");
    let nothing = format!("{name} has no canary with traffic: nothing to take off");
    let Some(memory) = memory else {
        let then = match no_word {
            None => "if one is being prepared, it is aborted when the daemon runs again".to_owned(),
            Some(why) => format!("if one is being prepared, the daemon goes on with it (no word could be left: {why})"),
        };
        let message = format!("{nothing}; whether one is on its way cannot be read in the journal; {then}");
        return Err(Failure::new(Exit::Undecided, message).hint(undo));
    };
    match (memory.offline_aborts(), memory.taking_off(), no_word) {
        (Some(version), _, None) => {
            put(&format!("{name}: nobody gets {version} yet; it is aborted when the daemon runs again\n"));
            Ok(Exit::Yes)
        }
        (Some(version), _, Some(why)) => {
            let message =
                format!("nobody gets {version} of {name} yet, but no word could be left for the daemon: {why}");
            Err(Failure::new(Exit::No, message).hint("the daemon goes on with it when it runs again: abort it then"))
        }
        (None, Some(version), _) => {
            put(&format!("{name}: {version} is being taken off already; nobody gets it\n"));
            Ok(Exit::Yes)
        }
        (None, None, _) => Err(Failure::new(Exit::No, nothing).hint(undo)),
    }
}

/// What the journal has of it; `None`: it cannot be read.
async fn memory_of(name: &RolloutName, state: &Path) -> Option<Memory> {
    let examining = canaryd_journal::examine(state, Duration::from_millis(100));
    let found = tokio::time::timeout(JOURNAL, examining).await.ok()?.ok()??;
    let (_, json) = found.memories.iter().find(|(known, _)| known == name.as_str())?;
    serde_json::from_str(json).ok()
}

/// What the daemon said.
enum Told {
    Answer(Answer),
    /// None runs on this state directory.
    Nobody,
    /// It runs, was asked, and did not answer: why.
    Late(String),
}

/// Tells the daemon of this very state directory, if it runs, before it decides anything without knowing.
async fn tell_daemon(args: &RollbackArgs, state: &Path, common: &Common) -> Told {
    let late = || Told::Late(format!("not within {} s", EAR.as_secs()));
    let Ok(ours) = tokio::time::timeout(EAR, is_ours(state, common)).await else { return late() };
    if !ours {
        return Told::Nobody;
    }
    let request = CommandRequest {
        id: Some(canaryd_cockpit::fresh_id()),
        comment: Some(args.how.comment.clone().unwrap_or_else(|| "rolled back offline".to_owned())),
        expected: None,
        // What it does without a daemon: a version that was promoted is not touched.
        verb: Verb::Abort,
    };
    let telling = async { reach(common).await?.command(&args.name, &request).await };
    match tokio::time::timeout(EAR, telling).await {
        Ok(Ok(answer)) => Told::Answer(answer),
        Ok(Err(ClientError::NoDaemon { .. } | ClientError::Forbidden { .. })) => Told::Nobody,
        Ok(Err(error)) => Told::Late(error.to_string()),
        Err(_) => late(),
    }
}

/// Whether the daemon that answers is the one of this state directory.
async fn is_ours(state: &Path, common: &Common) -> bool {
    let Ok(instance) = std::fs::read_to_string(StateDir(state.to_owned()).instance()) else { return false };
    let page = async { reach(common).await?.status().await };
    page.await.is_ok_and(|page| page.instance == instance.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> RolloutName {
        "shop".parse().unwrap()
    }

    #[test]
    fn without_a_journal_nobody_can_say_and_where_nothing_is_on_its_way_the_answer_is_no() {
        let unknown = unserved(&name(), None, None).unwrap_err();
        assert_eq!(unknown.exit, Exit::Undecided);
        assert!(unknown.message.contains("if one is being prepared, it is aborted"), "{}", unknown.message);
        let unsaid = unserved(&name(), None, Some("disk full".to_owned())).unwrap_err();
        assert!(
            unsaid.message.contains("goes on with it") && unsaid.message.contains("disk full"),
            "{}",
            unsaid.message
        );
        let nothing = unserved(&name(), Some(Memory::default()), None).unwrap_err();
        assert_eq!((nothing.exit, nothing.message.contains("aborted")), (Exit::No, false), "{}", nothing.message);
        assert!(nothing.hint.unwrap().contains("canaryd undo shop"));
    }
}
