//! `canaryd journal check` and `canaryd journal rebuild`.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use canaryd_cockpit::Client;
use canaryd_engine::{DockerEngine, DockerOptions, Engine};
use canaryd_journal::{Hold, JournalError};
use jiff::Timestamp;

use super::json;
use crate::cli::args::{CheckArgs, Common, OutputFormat, RebuildArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::{put, put_exact, size, talk};
use crate::cli::screens::render_findings;
use crate::cli::style::{Style, tame, wrap};
use crate::daemon::rebuild::{Proposal, propose};
use crate::doctor::{Finding, JournalCheck, Level, examine_journal};
use crate::paths::Surroundings;

/// Every page of the largest journal is read within that.
const PATIENCE: Duration = Duration::from_secs(300);
/// A daemon that takes longer is not asked where its state is.
const ANSWER: Duration = Duration::from_secs(4);

/// `canaryd journal check`.
pub(crate) async fn journal_check(args: CheckArgs, common: &Common) -> Result<Exit, Failure> {
    let around = Surroundings::find();
    let socket = common.socket.clone().unwrap_or_else(|| around.socket_to_ask(Path::exists));
    let state = match args.state {
        Some(state) => state,
        None => named_by_daemon(&socket).await.unwrap_or_else(|| around.state_behind(&socket)),
    };
    let findings = examined(&state).await?.findings;
    match args.output {
        OutputFormat::Json => put_exact(&json(&findings)?),
        OutputFormat::Table | OutputFormat::Wide => {
            put_exact(&render_findings(&findings, size().0, Style::of(common)));
        }
    }
    Ok(if is_good(&findings) { Exit::Yes } else { Exit::No })
}

/// Where the daemon on this socket keeps its state, if one answers.
async fn named_by_daemon(socket: &Path) -> Option<PathBuf> {
    let asking = async { Client::connect(socket).await.ok()?.status().await.ok()?.state };
    tokio::time::timeout(ANSWER, asking).await.ok()?.map(PathBuf::from)
}

async fn examined(state: &Path) -> Result<JournalCheck, Failure> {
    let dir = state.display();
    if !state.is_dir() {
        return Err(Failure::usage(format!("{dir} is no directory: say --state DIR")));
    }
    let found = examine_journal(state.to_owned(), PATIENCE).await;
    let found = found.ok_or_else(|| Failure::new(Exit::No, "the disk of the state directory does not answer"))?;
    match (found.findings.is_empty(), found.unread) {
        (false, _) => Ok(found),
        (true, true) => Err(Failure::new(Exit::No, format!("{dir} is closed to this user")).hint("use sudo")),
        (true, false) => Err(Failure::usage(format!("there is no journal in {dir}: no daemon ran there"))),
    }
}

fn is_good(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level != Level::Wrong)
}

/// `canaryd journal rebuild`.
pub(crate) async fn journal_rebuild(args: RebuildArgs) -> Result<Exit, Failure> {
    let state = args.state.clone().unwrap_or_else(|| Surroundings::find().state_dir());
    let state = std::path::absolute(&state).map_err(|e| Failure::file(&state, &e))?;
    if !args.dry_run && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("rebuild asks before it acts: say --yes if that is meant, or --dry-run"));
    }
    let found = damaged(&state).await?;
    // Nobody else may change what is read from here on.
    let hold = if args.dry_run { None } else { Some(hold(&state)?) };
    let proposal = gather(&state, args.docker_host).await?;
    put(&screen(&state, &found, &proposal));
    let Some(hold) = hold else { return Ok(Exit::Yes) };
    if !args.yes && !confirmed()? {
        return Err(Failure::new(Exit::No, "nothing was changed"));
    }
    let now = Timestamp::now();
    let remade = proposal.remade(now).map_err(|e| Failure::new(Exit::No, format!("{e:#}")))?;
    let aside = hold.rebuild(remade).await.map_err(failed)?;
    for path in aside {
        put(&format!("the old one is kept: {}\n", path.display()));
    }
    put("the journal was rebuilt; start the daemon: systemctl start canaryd\n");
    Ok(Exit::Yes)
}

/// What is wrong with the journal; nothing else is a reason to make another.
async fn damaged(state: &Path) -> Result<Vec<Finding>, Failure> {
    let JournalCheck { findings, unread } = examined(state).await?;
    if is_good(&findings) {
        return Err(Failure::new(Exit::No, "the journal is good: nothing to rebuild, and nothing was changed"));
    }
    if unread {
        let said = findings.first().map(|finding| finding.said.clone()).unwrap_or_default();
        let message = format!("the journal could not be looked at, which does not mean that it is damaged: {said}");
        return Err(Failure::new(Exit::No, message).hint("mend that first, then: canaryd journal check"));
    }
    Ok(findings)
}

fn hold(state: &Path) -> Result<Hold, Failure> {
    Hold::take(state).map_err(|error| match error {
        JournalError::InUse { .. } => {
            Failure::new(Exit::No, format!("{error}")).hint("stop the daemon first: systemctl stop canaryd")
        }
        error => failed(error),
    })
}

fn failed(error: JournalError) -> Failure {
    Failure::new(Exit::No, format!("{:#}", anyhow::Error::from(error)))
}

/// What containers and disk say.
async fn gather(state: &Path, docker_host: Option<String>) -> Result<Proposal, Failure> {
    let instance = instance(state)?;
    let no_engine = |error: canaryd_engine::EngineError| {
        Failure::new(Exit::NoDaemon, format!("{:#}", anyhow::Error::from(error)))
            .hint("what is in production is proven by its containers: start Docker, and try again")
    };
    let options = DockerOptions { host: docker_host, ..DockerOptions::new(&instance, state) };
    let engine = DockerEngine::connect(options).await.map_err(no_engine)?;
    let seen = engine.observe().await.map_err(no_engine)?;
    let unseen = seen.containers.iter().find(|container| container.unseen.is_some());
    if let Some(container) = unseen {
        let name = &container.name;
        return Err(Failure::new(Exit::No, format!("Docker cannot inspect {name}: nothing is known of it"))
            .hint(format!("docker inspect {name}; then try again")));
    }
    Ok(propose(state, &instance, &seen, Timestamp::now()))
}

/// Whose containers are ours.
fn instance(state: &Path) -> Result<String, Failure> {
    let path: PathBuf = state.join("instance");
    let text = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
    if !text.is_empty() {
        return Ok(text);
    }
    let message = format!("{} does not say whose containers these are", path.display());
    let hint = format!(
        "docker ps -a --format '{{{{.Names}}}} {{{{.Label \"io.canaryd.instance\"}}}}' shows it: write it into {}",
        path.display()
    );
    Err(Failure::new(Exit::No, message).hint(hint))
}

/// What was found and what is assumed, for each rollout.
fn screen(state: &Path, wrong: &[Finding], proposal: &Proposal) -> String {
    // In a pipe every fact is one line.
    let width = if std::io::stdout().is_terminal() { size().0 } else { usize::MAX };
    let mut text = format!("The journal of {} is made anew, because:\n", state.display());
    for finding in wrong.iter().filter(|finding| finding.level == Level::Wrong) {
        text.push_str(&format!("  {}\n", tame(&finding.said)));
    }
    for (name, rebuilt) in &proposal.rollouts {
        text.push_str(&format!("\n{name}\n"));
        let lines = rebuilt.found.iter().map(|line| ("found", line));
        for (word, line) in lines.chain(rebuilt.assumed.iter().map(|line| ("assumed", line))) {
            let lines = wrap(&format!("  {word:<9}"), &" ".repeat(11), &tame(line), width);
            text.push_str(&(lines.join("\n") + "\n"));
        }
    }
    if proposal.rollouts.is_empty() {
        text.push_str("\nno manifest and no container of this installation was found\n");
    }
    for stray in &proposal.strays {
        text.push_str(&format!("\n{}\n", tame(stray)));
    }
    text.push_str(
        "\nLost are history, evidence, pauses, and what else was taken off before.\nNo container is touched now.\n",
    );
    text
}

fn confirmed() -> Result<bool, Failure> {
    talk("Type yes to put this in place of the old journal: ");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::usage(e.to_string()))?;
    Ok(line.trim() == "yes")
}
