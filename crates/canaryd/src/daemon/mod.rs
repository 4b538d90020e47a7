//! The daemon: wires the rooms, runs the loops, executes plans. It decides nothing about a rollout.

mod bells;
mod book;
#[cfg(test)]
mod book_tests;
mod control;
#[cfg(test)]
mod control_tests;
mod drift;
mod dry_run;
mod eject;
mod evidence;
mod executor;
mod failures;
#[cfg(test)]
mod fake;
mod gateways;
mod health;
mod house;
mod inside;
mod logs;
mod manifests;
mod observer;
mod plan_gateway;
mod plan_page;
pub(crate) mod rebuild;
mod resolver;
mod rollouts;
mod safe;
mod scratch;
mod slots;
mod store;
mod tidy;
#[cfg(test)]
mod tidy_tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use canaryd_engine::{DockerEngine, DockerOptions, Engine};
use canaryd_journal::{Journal, JournalError, Opened};
use canaryd_planner::Memory;
use canaryd_rollout::RolloutName;
use canaryd_source::DirectorySource;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::DaemonArgs;
pub(crate) use gateways::{intent_of as gateway_intent, ops_token};

use bells::lock;
use book::Book;
use house::{Cell, Config, House};
use scratch::Scratch;
use store::{Kept, Store};

/// How long the end of the daemon waits for operations under way.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long a start waits for a daemon before it to let go of the state directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the daemon until SIGTERM or SIGINT. What serves goes on serving.
///
/// # Errors
/// Engine or journal cannot be used; the message says what to do.
pub(crate) async fn run(args: DaemonArgs) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let (house, memories) = match open(&args, stop.clone()).await {
        Ok(opened) => opened,
        Err(error) => match safe::is_due(&error).filter(|_| !args.dry_run) {
            Some(why) => return safe::run(&args, why).await,
            None => return Err(error),
        },
    };
    let socket = canaryd_cockpit::bind(&args.socket).await?;
    recall(&house, memories);
    tidy::at_start(&house).await;
    let (source, wakes) = DirectorySource::start(house.config.watch.clone());
    let tasks = house.tasks.clone();
    tasks.spawn({
        let house = Arc::clone(&house);
        async move { house.observer.run(Arc::clone(&house.engine), house.stop.clone()).await }
    });
    tasks.spawn(evidence::run(Arc::clone(&house)));
    tasks.spawn(manifests::run(Arc::clone(&house), source, wakes));
    tasks.spawn(drift::run(Arc::clone(&house)));
    tasks.spawn(canaryd_cockpit::serve(socket, Arc::new(control::Desk(Arc::clone(&house))), stop.clone()));
    let watched: Vec<String> = house.config.watch.iter().map(|d| d.display().to_string()).collect();
    tracing::info!(
        host = house.config.host,
        instance = house.config.instance,
        watch = watched.join(", "),
        socket = %args.socket.display(),
        dry_run = house.config.dry_run,
        "canaryd {} runs",
        env!("CARGO_PKG_VERSION")
    );
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    end_of_life().await?;
    tracing::info!("stopping; containers and gateways go on serving, nothing is watched until the next start");
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    close(&house).await;
    Ok(ExitCode::SUCCESS)
}

fn tell_systemd(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

async fn end_of_life() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hangup = hangup().context("cannot listen for SIGHUP")?;
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hung_up => {}
    }
    Ok(())
}

/// The terminal was closed. Whoever started canaryd with `nohup` wants it to go on: then SIGHUP is ignored, and stays so.
fn hangup() -> std::io::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    if is_ignored(&status, SignalKind::hangup().as_raw_value()) {
        Ok(None)
    } else {
        signal(SignalKind::hangup()).map(Some)
    }
}

/// Whether a process with this `/proc/PID/status` ignores the signal (proc(5), `SigIgn`: a mask, lowest bit first).
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(number).ok().and_then(|n| mask.checked_shr(n.checked_sub(1)?)).is_some_and(|mask| mask & 1 == 1)
}

async fn close(house: &Arc<House>) {
    house.stop.cancel();
    house.tasks.close();
    if tokio::time::timeout(FAREWELL, house.tasks.wait()).await.is_err() {
        tracing::warn!("some operations were still under way; the next start takes them up again");
    }
    if house.config.dry_run {
        return;
    }
    for cell in house.cells() {
        let memory = cell.memory.lock().await;
        if let Ok(json) = serde_json::to_string(&*memory)
            && let Err(error) = house.journal.commit_command(cell.name.as_str(), json, Timestamp::now()).await
        {
            tracing::warn!(%error, rollout = %cell.name, "the last seconds of observed time are not kept");
        }
    }
}

/// What is remembered of each rollout.
type Memories = BTreeMap<RolloutName, Memory>;

/// The journal first, with everything in it: where it cannot be read nothing else is asked for.
async fn open(args: &DaemonArgs, stop: CancellationToken) -> Result<(Arc<House>, Memories)> {
    let state_dir = std::path::absolute(&args.state)?;
    let (state_dir, scratch) = if args.dry_run {
        let scratch = Scratch::of(&state_dir).await?;
        (scratch.dir().to_owned(), Some(scratch))
    } else {
        (state_dir, None)
    };
    let store = Store::open(&state_dir)?;
    let Opened { journal, epoch, instance } = open_journal(&state_dir).await?;
    let memories = journal.memories().await?;
    let memories: Memories =
        memories.iter().map(|(name, json)| remembered(journal.path(), name, json)).collect::<Result<_>>()?;
    let options = DockerOptions { host: args.docker_host.clone(), ..DockerOptions::new(&instance, &state_dir) };
    let engine = DockerEngine::connect(options).await?;
    let watch = args.watch.iter().map(std::path::absolute).collect::<std::io::Result<Vec<_>>>()?;
    let config = Config {
        host: crate::paths::host(),
        state: std::path::absolute(&args.state)?,
        watch,
        dry_run: args.dry_run,
        reach: args.reach,
        instance,
        epoch,
        since: Timestamp::now(),
        _scratch: scratch,
    };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let book = Book::new(args.vars.clone());
    Ok((House::new(config, engine, journal, store, args.max_moving, book, stop), memories))
}

/// A daemon that was killed a moment ago may still hold the lock: the kernel takes it away with the last of the process.
async fn open_journal(state_dir: &Path) -> Result<Opened, JournalError> {
    let began = Instant::now();
    loop {
        match Journal::open(state_dir).await {
            Err(JournalError::InUse { .. }) if began.elapsed() < LOCK_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// Takes up what an earlier run knew: every rollout with a memory or a last valid manifest.
fn recall(house: &Arc<House>, mut memories: Memories) {
    let mut kept: BTreeMap<RolloutName, Kept> =
        house.store.desired().into_iter().map(|kept| (kept.rollout.name.clone(), kept)).collect();
    let names: BTreeSet<RolloutName> = kept.keys().chain(memories.keys()).cloned().collect();
    for name in names {
        let memory = memories.remove(&name).unwrap_or_default();
        let gone = memory.is_orphaned().then(Timestamp::now);
        let (cell, _) = house.cell_or_new(&name, memory);
        let kept = kept.remove(&name);
        let file = kept.as_ref().map(|kept| kept.file.clone()).unwrap_or_default();
        lock(&house.book).remember(name, file, gone);
        {
            let mut wish = lock(&cell.wish);
            // What was deleted before stays so: looking at its manifest for the last time starts nothing.
            wish.gone = gone.map(|since| (since, true));
            if let Some(kept) = kept {
                // Killed between a deletion and the files of a new beginning: they are read and kept once more.
                let is_kept = house.store.revision(&cell.name, &kept.rollout.revision).is_some();
                wish.key = if is_kept { kept.key } else { String::new() };
                wish.rollout = Some(Arc::new(kept.rollout));
            }
        }
        start_cell(house, &cell);
    }
}

/// A memory as this version understands it. Its format is looked at first: what a newer version wrote may read well and
/// mean something else.
///
/// # Errors
/// It cannot be read: to begin without it would be to install over what serves.
pub(crate) fn remembered(journal: &Path, name: &str, json: &str) -> Result<(RolloutName, Memory)> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let path = || journal.to_owned();
    let read = || -> Result<_, JournalError> {
        let damaged = |what: String| JournalError::Corrupt { path: path(), what };
        let Head { format } = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
        if format > Memory::FORMAT {
            return Err(JournalError::Newer { path: path(), found: format, known: Memory::FORMAT });
        }
        let memory = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
        let name = name.parse().map_err(|_| damaged(format!("{name:?} is no name of a rollout")))?;
        Ok((name, memory))
    };
    read().with_context(|| format!("the journal's memory of {name} cannot be read"))
}

/// Starts the loops of one rollout.
fn start_cell(house: &Arc<House>, cell: &Arc<Cell>) {
    let (house, cell) = (Arc::clone(house), Arc::clone(cell));
    house.tasks.clone().spawn(async move {
        evidence::restore(&house, &cell).await;
        let opened = CancellationToken::new();
        tokio::join!(gateways::run(Arc::clone(&house), Arc::clone(&cell), opened.clone()), async {
            opened.cancelled().await;
            rollouts::run(Arc::clone(&house), Arc::clone(&cell)).await;
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(RolloutName, Memory)> {
        remembered(Path::new("/s/journal.db"), "shop", json)
    }

    #[test]
    fn a_memory_that_cannot_be_read_is_named_and_never_taken_for_an_empty_one() {
        let error = format!("{:#}", read("{\"format\": 1, \"phase\": 7}").unwrap_err());
        assert!(error.starts_with("the journal's memory of shop cannot be read"), "{error}");
        assert!(read("{}").is_err(), "a memory without a format is none of ours");
        assert!(read(&serde_json::to_string(&Memory::default()).unwrap()).is_ok());
    }

    #[test]
    fn a_memory_of_a_newer_version_is_refused_for_that_however_well_it_reads() {
        let whole = serde_json::to_string(&Memory::default()).unwrap().replace("\"format\":1", "\"format\":2");
        for json in [whole.as_str(), "{\"format\": 2, \"fields\": \"that nobody here knows\"}"] {
            let error = read(json).unwrap_err();
            let newer = error.chain().find_map(|cause| cause.downcast_ref::<JournalError>());
            assert!(matches!(newer, Some(JournalError::Newer { found: 2, known: 1, .. })), "{error:#}");
            let said = format!("{error:#}");
            for word in ["memory of shop", "/s/journal.db", "format 2", "up to 1", "backup"] {
                assert!(said.contains(word), "{word:?} is not said: {said}");
            }
        }
    }

    #[test]
    fn a_hangup_that_whoever_started_it_ignores_is_ignored() {
        let status = |mask: &str| format!("Name:\tcanaryd\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert!(is_ignored(&status("0000000000000001"), 1) && is_ignored(&status("0000000000001003"), 1));
        assert!(!is_ignored(&status("0000000000001000"), 1) && !is_ignored("", 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_start_waits_a_moment_for_the_daemon_before_it_to_be_gone_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let before = open_journal(dir.path()).await.unwrap();
        let began = Instant::now();
        let refused = open_journal(dir.path()).await.err().unwrap();
        assert!(matches!(refused, JournalError::InUse { .. }) && began.elapsed() >= LOCK_PATIENCE, "{refused}");
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(before);
        });
        assert!(open_journal(dir.path()).await.is_ok());
    }
}
