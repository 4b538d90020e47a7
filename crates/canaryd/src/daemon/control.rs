//! What the API reads from and asks of the daemon.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use canaryd_cockpit::{Control, EventLine, LogQuery, LogText, PlanPage, StatusPage};
use canaryd_engine::LogOptions;
use canaryd_gateway::Lane;
use canaryd_journal::EventFilter;
use canaryd_planner::{Answer, Command, Report};
use canaryd_rollout::RolloutName;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::{oneshot, watch};

use super::bells::lock;
use super::house::{Cell, House};
use super::rollouts::{DISK_PATIENCE, severity_of};

/// A plan follows a command within milliseconds; longer means that something is wrong.
const ANSWER: Duration = Duration::from_secs(5);

/// While the journal cannot be written no plan answers.
const UNKEPT_ANSWER: Duration = Duration::from_millis(200);
const UNKEPT: &str = "the journal cannot be written: if this takes a version off, its traffic is lowered now; everything \
    else follows when the journal can be written again";

/// The daemon as the API sees it.
pub(crate) struct Desk(pub(crate) Arc<House>);

#[async_trait]
impl Control for Desk {
    async fn status(&self) -> StatusPage {
        let house = &self.0;
        let mut problems = lock(&house.book).problems();
        problems.extend(lock(&house.unresolved).values().flatten().cloned());
        if let Some(why) = house.observer.seen().unreachable {
            problems.push(format!("error: {why}"));
        }
        if !house.can_write() {
            problems.push(
                "error: the journal cannot be written: weights can still be lowered, nothing else moves".to_owned(),
            );
        }
        StatusPage {
            host: house.config.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: house.config.instance.clone(),
            since: house.config.since,
            watch: house.config.watch.iter().map(|dir| dir.display().to_string()).collect(),
            rollouts: house.cells().iter().filter_map(|cell| lock(&cell.report).clone()).collect(),
            problems,
            dry_run: house.config.dry_run,
        }
    }

    async fn report(&self, name: &RolloutName) -> Option<Report> {
        let cell = self.0.cell(name)?;
        lock(&cell.report).clone()
    }

    async fn events(&self, name: Option<&RolloutName>, after: u64, limit: usize) -> Result<Vec<EventLine>, String> {
        let filter = EventFilter { name: name.map(ToString::to_string), after_seq: after, limit, newest: after == 0 };
        let events = self.0.journal.events(filter).await.map_err(|e| e.to_string())?;
        Ok(events.into_iter().filter_map(line_of).collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    async fn command(&self, name: &RolloutName, command: Command) -> Result<Answer, String> {
        let house = &self.0;
        if house.config.dry_run {
            return Err("this daemon runs with --dry-run: it takes no commands".to_owned());
        }
        let cell = house.cell(name).ok_or_else(|| format!("there is no rollout {name}"))?;
        let (sender, answer) = oneshot::channel();
        lock(&cell.waiting).insert(command.id.clone(), sender);
        let id = command.id.clone();
        take_in(house, &cell, command).await?;
        cell.bell.ring();
        let patience = if house.can_write() { ANSWER } else { UNKEPT_ANSWER };
        let answered = tokio::time::timeout(patience, answer).await;
        lock(&cell.waiting).remove(&id);
        match answered {
            Err(_) if !house.can_write() => Ok(Answer { id, accepted: true, message: UNKEPT.to_owned() }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                Err("the daemon is stopping; the command is journalled and acts after the next start".to_owned())
            }
            Err(_) => {
                Err("the command is journalled, but no plan took it up within 5 s; see `canaryd status`".to_owned())
            }
        }
    }

    fn logs(&self, name: &RolloutName, query: LogQuery) -> BoxStream<'static, Result<LogText, String>> {
        let sources = sources_of(&self.0, name, &query);
        if sources.is_empty() {
            let why = format!("{name} has no container to read from");
            return futures::stream::once(async move { Err(why) }).boxed();
        }
        let options = LogOptions { follow: query.follow, tail: query.tail, since: None, timestamps: false };
        let mut streams: Vec<BoxStream<'static, Result<LogText, String>>> = Vec::new();
        for (id, source) in sources {
            let lines = self.0.engine.logs(&id, options.clone());
            let named = lines.map(move |line| match line {
                Ok(line) => Ok(LogText { source: source.clone(), text: line.text }),
                Err(error) => Err(error.to_string()),
            });
            streams.push(named.boxed());
        }
        if query.follow {
            return futures::stream::select_all(streams).boxed();
        }
        futures::stream::iter(streams).flatten().boxed()
    }

    async fn plan(&self, source: String, text: String) -> Result<Vec<PlanPage>, String> {
        super::plan_page::pages(&self.0, source, text).await
    }
}

/// Journals a command before it is acknowledged. When the journal cannot be written the command still acts (taking a
/// version off must not depend on a disk), and the answer of the plan says what is possible.
async fn take_in(house: &House, cell: &Cell, command: Command) -> Result<(), String> {
    let mut memory = cell.memory.lock().await;
    memory.inbox.push(command);
    let json = serde_json::to_string(&*memory).map_err(|e| e.to_string())?;
    let storing = house.journal.commit_command(cell.name.as_str(), json, jiff::Timestamp::now());
    let stored = tokio::time::timeout(DISK_PATIENCE, storing).await;
    drop(memory);
    match stored {
        Ok(Ok(())) => {}
        Ok(Err(error)) => house.set_writable(false, &error.to_string()),
        Err(_) => house.set_writable(false, "the disk takes longer than 2 s"),
    }
    Ok(())
}

/// An event of the journal as people see it.
pub(crate) fn line_of(event: canaryd_journal::Event) -> Option<EventLine> {
    Some(EventLine {
        seq: event.seq,
        at: event.at,
        name: event.name.parse().ok()?,
        severity: severity_of(&event.severity),
        kind: event.kind,
        message: event.message,
    })
}

/// Containers whose logs are asked for: (id, name).
fn sources_of(house: &House, name: &RolloutName, query: &LogQuery) -> Vec<(String, String)> {
    let Some(observation) = house.observer.seen().observation else { return Vec::new() };
    if query.gateway {
        let gateways = observation.gateways.iter().filter(|g| &g.rollout == name);
        return gateways.map(|g| (g.id.clone(), g.name.clone())).collect();
    }
    let lanes = house.cell(name).and_then(|cell| lock(&cell.report).clone());
    let revision_of = |lane: Lane| {
        let report = lanes.as_ref()?;
        let view = match lane {
            Lane::Production => report.production.as_ref(),
            Lane::Canary => report.canary.as_ref(),
        };
        view.map(|v| v.revision.clone())
    };
    let wanted = query.lane.map(revision_of);
    let mut sources: Vec<(String, String)> = observation
        .containers
        .iter()
        .filter(|c| &c.rollout == name)
        .filter(|c| wanted.as_ref().is_none_or(|revision| revision.as_ref() == Some(&c.revision)))
        .map(|c| (c.id.clone(), c.name.clone()))
        .collect();
    sources.sort_by(|a, b| a.1.cmp(&b.1));
    sources
}
