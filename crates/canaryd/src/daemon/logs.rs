//! Log lines of a rollout. Who follows them hears of every container that comes, and what is waited for while none runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use canaryd_cockpit::{Control, LogLine, LogQuery, LogText};
use canaryd_engine::{EngineError, LogOptions, RunState};
use canaryd_gateway::Lane;
use canaryd_planner::{Report, Unmet};
use canaryd_rollout::{RevisionId, RolloutName};
use futures::stream::{BoxStream, SelectAll, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Interval, MissedTickBehavior};

use super::bells::lock;
use super::control::Desk;
use super::house::House;

/// How often is looked for containers that have come.
const LOOK: Duration = Duration::from_secs(1);

/// What is asked for.
pub(super) fn logs(house: &Arc<House>, name: &RolloutName, query: LogQuery) -> BoxStream<'static, LogLine> {
    let (house, name) = (Arc::clone(house), name.clone());
    let lines = async move {
        if query.follow {
            // Who has just said `set` or `retry` means what comes of it.
            Desk(Arc::clone(&house)).catch_up(&name).await;
            return futures::stream::unfold(Follower::new(house, name, query), Follower::next).boxed();
        }
        read(&house, &name, &query).await
    };
    futures::stream::once(lines).flatten().boxed()
}

/// What is there, container by container.
async fn read(house: &Arc<House>, name: &RolloutName, query: &LogQuery) -> BoxStream<'static, LogLine> {
    let sources = sources_of(house, name, query).await;
    if sources.is_empty() {
        let why = why_no_logs(house, name, query);
        return futures::stream::once(async move { LogLine::Failed { why } }).boxed();
    }
    let options = LogOptions { follow: false, tail: query.tail, since: query.since, timestamps: false };
    let line = |source: String, line: Result<canaryd_engine::LogLine, EngineError>| match line {
        Ok(line) => LogLine::Line(LogText { source, text: line.text }),
        Err(error) => LogLine::Failed { why: error.to_string() },
    };
    let streams: Vec<_> = sources
        .into_iter()
        .map(|source| house.engine.logs(&source.id, options.clone()).map(move |read| line(source.name.clone(), read)))
        .collect();
    futures::stream::iter(streams).flatten().boxed()
}

/// A container that is asked for.
struct Source {
    id: String,
    name: String,
    runs: bool,
}

/// What was read of one container.
struct Reading {
    is_open: bool,
    /// From when on a line is new.
    next: Timestamp,
}

/// What comes from one container.
enum Piece {
    Line {
        id: String,
        at: Option<Timestamp>,
        text: LogText,
    },
    Failed {
        id: String,
        error: EngineError,
    },
    /// It ended, for now or for good.
    Over {
        id: String,
    },
}

/// Whoever follows.
struct Follower {
    house: Arc<House>,
    name: RolloutName,
    query: LogQuery,
    open: SelectAll<BoxStream<'static, Piece>>,
    readings: BTreeMap<String, Reading>,
    look: Interval,
    /// When was looked last.
    looked: Option<Timestamp>,
    /// In which phase, with which version on trial, it was told what is waited for.
    told: Option<(String, Option<RevisionId>)>,
    /// There was a container.
    heard: bool,
    pending: VecDeque<LogLine>,
    is_over: bool,
}

impl Follower {
    fn new(house: Arc<House>, name: RolloutName, query: LogQuery) -> Self {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            house,
            name,
            query,
            open: SelectAll::new(),
            readings: BTreeMap::new(),
            look,
            looked: None,
            told: None,
            heard: false,
            pending: VecDeque::new(),
            is_over: false,
        }
    }

    async fn next(mut self) -> Option<(LogLine, Self)> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some((line, self));
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                Some(piece) = self.open.next(), if !self.open.is_empty() => self.take(piece),
                _ = self.look.tick() => self.look_for_containers().await,
            }
        }
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Line { id, at, text } => {
                if let (Some(reading), Some(at)) = (self.readings.get_mut(&id), at) {
                    reading.next = at + SignedDuration::from_nanos(1);
                }
                self.pending.push_back(LogLine::Line(text));
            }
            // Removed before its log was opened.
            Piece::Over { id } | Piece::Failed { id, error: EngineError::Gone { .. } } => {
                if let Some(reading) = self.readings.get_mut(&id) {
                    reading.is_open = false;
                }
            }
            Piece::Failed { error, .. } => self.fail(error.to_string()),
        }
    }

    fn fail(&mut self, why: String) {
        self.pending.push_back(LogLine::Failed { why });
        self.is_over = true;
    }

    /// Opens the log of every container that came, or runs again.
    async fn look_for_containers(&mut self) {
        let now = Timestamp::now();
        let sources = sources_of(&self.house, &self.name, &self.query).await;
        self.readings.retain(|id, reading| reading.is_open || sources.iter().any(|source| &source.id == id));
        for source in sources {
            let (since, tail) = match (self.readings.get(&source.id), self.looked) {
                (Some(reading), _) if reading.is_open || !source.runs => continue,
                (Some(reading), _) => (Some(reading.next), None),
                // It came into this lane, or into being, since then.
                (None, Some(looked)) => (Some(looked), None),
                (None, None) => (self.query.since, self.query.tail),
            };
            self.readings.insert(source.id.clone(), Reading { is_open: true, next: since.unwrap_or(now) });
            self.open.push(self.lines_of(source, since, tail));
            self.heard = true;
        }
        self.looked = Some(now);
        self.tell_what_is_waited_for();
    }

    fn lines_of(
        &self,
        Source { id, name, .. }: Source,
        since: Option<Timestamp>,
        tail: Option<u32>,
    ) -> BoxStream<'static, Piece> {
        let options = LogOptions { follow: true, tail, since, timestamps: true };
        let lines = self.house.engine.logs(&id, options);
        let over = Piece::Over { id: id.clone() };
        let piece = move |line: Result<canaryd_engine::LogLine, EngineError>| match line {
            Ok(line) => {
                Piece::Line { id: id.clone(), at: line.time, text: LogText { source: name.clone(), text: line.text } }
            }
            Err(error) => Piece::Failed { id: id.clone(), error },
        };
        lines.map(piece).chain(futures::stream::once(async { over })).boxed()
    }

    fn tell_what_is_waited_for(&mut self) {
        if self.readings.values().any(|reading| reading.is_open) {
            self.told = None;
            return;
        }
        let report = self.house.cell(&self.name).and_then(|cell| lock(&cell.report).clone());
        let Some(report) = report.filter(|report| self.is_on_its_way(report)) else {
            if self.heard {
                self.is_over = true;
            } else {
                self.fail(why_no_logs(&self.house, &self.name, &self.query));
            }
            return;
        };
        let stands = (report.phase.clone(), report.canary.as_ref().map(|canary| canary.revision.clone()));
        if self.told.as_ref() != Some(&stands) {
            let why = format!("{} runs: {}", self.nobody(), report.sentence);
            self.pending.push_back(LogLine::Waits { why });
            self.told = Some(stands);
        }
    }

    /// Whether a container that is asked for is to come.
    fn is_on_its_way(&self, report: &Report) -> bool {
        let blocked = matches!(report.unmet, Some(Unmet::Blocked { .. }));
        let moves = match report.phase.as_str() {
            "deleting" => return false,
            "idle" | "orphaned" | "unknown" => false,
            // What comes after it may be asked for already.
            "reverting" => !blocked,
            _ => true,
        };
        match self.query.lane {
            Some(Lane::Canary) => report.production.is_some() && (moves || (!blocked && self.is_asked_for(report))),
            Some(Lane::Production) | None => report.production.is_some() || moves,
        }
    }

    /// The manifest asks for another version than the one in production, and nothing has begun yet.
    fn is_asked_for(&self, report: &Report) -> bool {
        let wish = self.house.cell(&self.name).and_then(|cell| lock(&cell.wish).rollout.clone());
        let production = report.production.as_ref().map(|production| &production.revision);
        report.phase == "idle" && wish.is_some_and(|rollout| Some(&rollout.revision) != production)
    }

    fn nobody(&self) -> String {
        let name = &self.name;
        match (self.query.gateway, self.query.lane) {
            (true, _) => format!("no gateway of {name}"),
            (false, None) => format!("no container of {name}"),
            (false, Some(lane)) => format!("no container of {name} ({lane})"),
        }
    }
}

fn why_no_logs(house: &House, name: &RolloutName, query: &LogQuery) -> String {
    let problem = house.cell(name).and_then(|cell| cell.gateway.view().problem);
    match (query.gateway, problem) {
        (true, Some(problem)) => format!("the gateway of {name} has no container: {problem}"),
        (true, None) => format!("the gateway of {name} has no container yet"),
        (false, _) => format!("{name} has no container to read from; see canaryd status {name}"),
    }
}

/// The containers that are asked for, by name.
async fn sources_of(house: &House, name: &RolloutName, query: &LogQuery) -> Vec<Source> {
    let Some(observation) = house.observer.seen().observation else { return Vec::new() };
    let source = |id: &String, name: &String, state: RunState| Source {
        id: id.clone(),
        name: name.clone(),
        runs: state == RunState::Running,
    };
    let (containers, gateways) = observation.of(name);
    if query.gateway {
        return gateways.iter().map(|gateway| source(&gateway.id, &gateway.name, gateway.state)).collect();
    }
    let Some(cell) = house.cell(name) else { return Vec::new() };
    let memory = cell.memory.lock().await;
    let asked = containers.iter().filter(|c| query.lane.is_none_or(|lane| memory.lane_of(&c.set) == Some(lane)));
    let mut sources: Vec<Source> = asked.map(|c| source(&c.id, &c.name, c.state)).collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}
