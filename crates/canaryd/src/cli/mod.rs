//! The command line: what can be typed, what it does, what is seen.

mod args;
mod daemon;
mod desk;
mod docker;
mod exit;
mod keys;
mod live;
mod outcome;
#[cfg(test)]
mod reference;
mod run;
mod screens;
mod style;
mod vars;
mod words;

use std::io::IsTerminal;
use std::process::ExitCode;

use canaryd_journal::JournalError;
use canaryd_planner::Verb;
use clap::{CommandFactory, Parser};

use crate::paths::Surroundings;
use args::{Asked, Cli, Command, JournalCommand, OutputFormat};
pub(crate) use args::{Common, DemoArgs, LogFormat, ReachChoice};
pub(crate) use daemon::DaemonArgs;
use exit::{Exit, Failure};
pub(crate) use live::Live;
pub(crate) use screens::{render_ending, render_event};
pub(crate) use style::Style;
pub(crate) use words::{date, several, span};

/// Reads the command line, does what it says, and answers with the exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&Failure::new(Exit::NoDaemon, format!("no threads can be started: {e}"))),
    };
    let code = runtime.block_on(dispatch(cli)).unwrap_or_else(|failure| failed(&failure));
    // A read of a terminal that is under way cannot be called off; it must not hold the end up.
    runtime.shutdown_background();
    code
}

fn failed(failure: &Failure) -> ExitCode {
    live::talk(&failure.render());
    failure.exit.into()
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let Some(command) = cli.command else {
        let args = DaemonArgs::from_flags(cli.daemon, &cli.common, &Surroundings::find())?;
        log_to_stderr(args.log);
        return crate::daemon::run(args).await.map_err(|e| Failure::new(why_not_started(&e), format!("{e:#}")));
    };
    if !cli.daemon.watch.is_empty() {
        return Err(Failure::usage("--watch before a command starts the daemon: run them one by one"));
    }
    if let Command::Demo(args) = command {
        return crate::demo::run(args).await.map_err(|e| Failure::new(why_no_demo(&e), format!("{e:#}")));
    }
    let name = command.rollout().cloned();
    let said = obey(command, &cli.common).await.map(ExitCode::from);
    said.map_err(|failure| failure.about(name.as_ref()))
}

/// Without an engine there is no demo; everything else that goes wrong in it is a promise that was not kept.
fn why_no_demo(error: &anyhow::Error) -> Exit {
    let of_the_engine = error.chain().any(<dyn std::error::Error>::is::<canaryd_engine::EngineError>);
    if of_the_engine { Exit::NoDaemon } else { Exit::No }
}

/// Engine and journal stand between the daemon and its work; everything else is for whoever wrote the command to mend.
fn why_not_started(error: &anyhow::Error) -> Exit {
    let stands_between = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<canaryd_engine::EngineError>()
            || cause.is::<serde_json::Error>()
            || cause.downcast_ref().is_some_and(is_of_the_journal)
            || cause.downcast_ref().is_some_and(is_of_the_disk)
    };
    if error.chain().any(stands_between) { Exit::NoDaemon } else { Exit::Usage }
}

/// Whether the journal itself cannot be used. Another state directory is the way out of the others.
fn is_of_the_journal(error: &JournalError) -> bool {
    match error {
        JournalError::Newer { .. }
        | JournalError::Corrupt { .. }
        | JournalError::Lost { .. }
        | JournalError::InstanceMismatch { .. }
        | JournalError::Full { .. }
        | JournalError::ReadOnly { .. }
        | JournalError::Sqlite { .. }
        | JournalError::Closed => true,
        JournalError::InUse { .. } | JournalError::Io { .. } => false,
    }
}

/// Whether no other command would help: the disk takes nothing.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    [QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&error.kind())
}

async fn obey(command: Command, common: &Common) -> Result<Exit, Failure> {
    match command {
        Command::Validate(args) => run::validate(&args, common),
        Command::Schema => run::json(&canaryd_rollout::schema()).map(|text| print(&text)),
        Command::Plan(args) => run::plan(args, common).await,
        Command::Set(args) => run::set(args, common).await,
        Command::Status(args) => run::status(args, common).await,
        Command::Follow(args) => run::follow(args, common).await,
        Command::Wait(args) => run::wait(args, common).await,
        Command::Events(args) => run::events(args, common).await,
        Command::Logs(args) => run::logs(args, common).await,
        Command::Exec(args) => run::exec(args, common).await,
        Command::Run(args) => run::run(args, common).await,
        Command::Header(args) => run::header(args, common).await,
        Command::Explain(args) => run::explain(args, common).await,
        Command::Doctor(args) => run::doctor(args, common).await,
        Command::Journal(JournalCommand::Check(args)) => run::journal_check(args, common).await,
        Command::Journal(JournalCommand::Rebuild(args)) => run::journal_rebuild(args).await,
        Command::Advance(args) => run::send(args.asks(Verb::Advance), common).await,
        Command::Promote(args) => {
            let verb = Verb::Promote { reason: args.reason };
            run::send(Asked { name: args.name, verb, how: args.how }, common).await
        }
        Command::Pause(args) => run::send(args.asks(Verb::Pause), common).await,
        Command::Resume(args) => run::send(args.asks(Verb::Resume), common).await,
        Command::Abort(args) => run::send(args.asks(Verb::Abort), common).await,
        Command::Undo(args) => run::send(args.asks(Verb::Undo), common).await,
        Command::Rollback(args) => run::rollback(args, common).await,
        Command::Retry(args) => run::send(args.asks(Verb::Retry), common).await,
        Command::Restart(args) => run::send(args.asks(Verb::Restart), common).await,
        Command::Stop(args) => run::stop(args, common).await,
        Command::Start(args) => run::send(args.asks(Verb::Start), common).await,
        Command::Delete(args) => run::delete(args, common).await,
        Command::Eject(args) => run::eject(args, common).await,
        Command::Traffic(args) => {
            let verb = Verb::Traffic { weight: args.weight };
            run::send(Asked { name: args.name, verb, how: args.how }, common).await
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "canaryd", &mut text);
            Ok(print(&String::from_utf8_lossy(&text)))
        }
        Command::Demo(_) => version(OutputFormat::Table),
        Command::Version { output } => version(output),
    }
}

fn version(output: OutputFormat) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        OutputFormat::Json => run::json(&serde_json::json!({ "version": version })).map(|text| print(&text)),
        OutputFormat::Table | OutputFormat::Wide => Ok(print(&format!("canaryd {version}\n"))),
    }
}

fn print(text: &str) -> Exit {
    live::put(text);
    Exit::Yes
}

fn log_to_stderr(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CANARYD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Below info bollard writes whole create bodies, and so the values of environment variables.
    let filter = match "bollard=info".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colourful);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_daemon_that_does_not_start_says_by_its_exit_code_whether_another_command_would_help() {
        let path = || std::path::PathBuf::from("/s/journal.db");
        let io = |kind: std::io::ErrorKind| JournalError::Io { doing: "open", path: path(), source: kind.into() };
        let of_the_journal = [
            JournalError::Full { path: path() },
            JournalError::ReadOnly { path: path(), what: "attempt to write a readonly database".to_owned() },
            JournalError::Corrupt { path: path(), what: "malformed".to_owned() },
            JournalError::Newer { path: path(), found: 2, known: 1 },
            io(std::io::ErrorKind::ReadOnlyFilesystem),
            io(std::io::ErrorKind::StorageFull),
        ];
        for error in of_the_journal {
            let error = anyhow::Error::from(error).context("at the start");
            assert_eq!(why_not_started(&error), Exit::NoDaemon, "{error:#}");
        }
        for error in [JournalError::InUse { dir: path(), holder: None }, io(std::io::ErrorKind::NotADirectory)] {
            let error = anyhow::Error::from(error);
            assert_eq!(why_not_started(&error), Exit::Usage, "{error:#}");
        }
    }

    #[test]
    fn a_weight_below_zero_is_a_wrong_weight_and_no_unknown_option() {
        let said = Cli::try_parse_from(["canaryd", "traffic", "shop", "-1"]).unwrap_err().to_string();
        assert!(said.contains("'-1' for '<PERCENT>'") && !said.contains("-- -1"), "{said}");
    }

    #[test]
    fn common_flags_stand_before_and_after_a_command() {
        for line in ["canaryd --socket /x --ascii status", "canaryd status --socket /x --ascii"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.common.ascii && cli.common.socket.is_some(), "{line}");
        }
    }

    #[test]
    fn the_manifest_that_beginners_are_shown_is_valid() {
        let source = canaryd_rollout::SourceText { name: "x.yaml".into(), text: screens::EIGHT_LINES.into() };
        let parsed = canaryd_rollout::parse(&source, &std::collections::BTreeMap::new());
        assert_eq!((parsed.drafts.len(), parsed.problems.len()), (1, 0), "{:?}", parsed.problems);
    }
}
