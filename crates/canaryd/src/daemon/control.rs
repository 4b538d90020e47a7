//! What the API reads from and asks of the daemon.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use canaryd_cockpit::{
    ContainersPage, Control, EjectPage, EventLine, KeptPage, LaneHeader, LogLine, LogQuery, OneOffPage, OneOffRequest,
    PageRequest, PlanPage, Refusal, StatusPage,
};
use canaryd_gateway::{Lane, force_value};
use canaryd_journal::EventFilter;
use canaryd_planner::{Answer, Command, Report};
use canaryd_rollout::RolloutName;
use futures::stream::BoxStream;
use tokio::sync::{oneshot, watch};

use super::bells::lock;
use super::gateways::force_token;
use super::house::{Cell, House};
use super::rollouts::{DISK_PATIENCE, SLOW_DISK, in_full, severity_of};

/// How long a follower waits for what was just saved to be read.
const CATCH_UP: Duration = Duration::from_secs(2);
/// A plan follows a command within milliseconds; longer means that something is wrong.
const ANSWER: Duration = Duration::from_secs(5);

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
        if let Some(why) = house.journal_trouble() {
            problems.push(format!(
                "error: the journal cannot be written: {why}; weights can still be lowered, nothing else moves"
            ));
        }
        StatusPage {
            host: house.config.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: house.config.instance.clone(),
            since: house.config.since,
            state: Some(house.config.state.display().to_string()),
            watch: house.config.watch.iter().map(|dir| dir.display().to_string()).collect(),
            rollouts: house.cells().iter().filter_map(|cell| lock(&cell.report).clone()).collect(),
            problems,
            dry_run: house.config.dry_run,
            safe_mode: None,
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

    async fn catch_up(&self, name: &RolloutName) {
        let rounds = async {
            self.0.manifests.full_round().await;
            if let Some(cell) = self.0.cell(name) {
                cell.bell.full_round().await;
            }
        };
        // Late by a slow disk: what is known is told.
        let _ = tokio::time::timeout(CATCH_UP, rounds).await;
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
        let stored = take_in(house, &cell, command).await?;
        cell.bell.ring();
        let answered = tokio::time::timeout(ANSWER, answer).await;
        lock(&cell.waiting).remove(&id);
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) if stored => {
                Err("the daemon is stopping; the command is journalled and acts after the next start".to_owned())
            }
            Err(_) if stored => {
                Err("the command is journalled, but no plan took it up within 5 s; see `canaryd status`".to_owned())
            }
            Ok(Err(_)) | Err(_) => {
                Err("the command is not journalled, and no plan took it up; see `canaryd status`, and say it again"
                    .to_owned())
            }
        }
    }

    fn logs(&self, name: &RolloutName, query: LogQuery) -> BoxStream<'static, LogLine> {
        super::logs::logs(&self.0, name, query)
    }

    async fn lane_header(&self, name: &RolloutName, lane: Lane) -> Result<LaneHeader, Refusal> {
        let refusal = |error: String, hint: &str| Refusal { error, hint: Some(hint.to_owned()) };
        let wish = self.0.cell(name).and_then(|cell| lock(&cell.wish).rollout.clone());
        let Some(force) = wish.and_then(|rollout| rollout.gateway.force.clone()) else {
            let how = "name one in the manifest: spec.gateway.force: { header: X-Lane }";
            return Err(refusal(format!("{name} has no header that forces a lane"), how));
        };
        let Some(token) = force_token(&self.0.store.gateway_dir(name)) else {
            return Err(refusal(
                format!("the gateway of {name} was not made yet"),
                "ask again when its first version starts",
            ));
        };
        Ok(LaneHeader { header: force.header, lane, value: force_value(lane, &token) })
    }

    async fn containers(&self, name: &RolloutName) -> Result<ContainersPage, Refusal> {
        super::inside::containers(&self.0, name).await
    }

    async fn one_off(&self, name: &RolloutName, request: OneOffRequest, actor: &str) -> Result<OneOffPage, Refusal> {
        super::inside::one_off(&self.0, name, request, actor).await
    }

    async fn keep_page(&self, name: &RolloutName, request: PageRequest) -> Result<KeptPage, Refusal> {
        super::inside::keep_page(&self.0, name, &request).await
    }

    async fn eject(&self, name: &RolloutName, port: Option<u16>) -> Result<EjectPage, Refusal> {
        super::eject::eject(&self.0, name, port).await
    }

    async fn plan(&self, source: String, text: String) -> Result<Vec<PlanPage>, String> {
        super::plan_page::pages(&self.0, source, text).await
    }
}

/// Journals a command before it is acknowledged; `false`: it could not be. The plan that takes it up then says so: what
/// lowers a weight is done all the same (taking a version off must not depend on a disk), everything else is refused.
async fn take_in(house: &House, cell: &Cell, command: Command) -> Result<bool, String> {
    let mut memory = cell.memory.lock().await;
    memory.inbox.push(command);
    let json = serde_json::to_string(&*memory).map_err(|e| e.to_string())?;
    let storing = house.journal.commit_command(cell.name.as_str(), json, jiff::Timestamp::now());
    let stored = tokio::time::timeout(DISK_PATIENCE, storing).await;
    let trouble = match stored {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(in_full(&error)),
        Err(_) => Some(SLOW_DISK.to_owned()),
    };
    if trouble.is_some() {
        // A slow disk may write it later, whatever it is answered.
        cell.doubtful.store(true, Ordering::Relaxed);
    }
    house.note_journal(trouble.as_deref());
    Ok(trouble.is_none())
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
