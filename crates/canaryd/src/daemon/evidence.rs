//! Evidence about the set on trial: reads every gateway's access log once a second, feeds the judge, and writes log
//! offset, counts and process state in one transaction, so that a kill counts nothing twice.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use canaryd_engine::ObservedContainer;
use canaryd_gateway::{AccessLine, Route};
use canaryd_journal::{TickBatch, TickRow};
use canaryd_planner::{EvidenceView, Memory, Recent, settings_of};
use canaryd_rollout::{CheckKind, SetId};
use canaryd_telemetry::{Attempt, LossDetector, Owner, Rate, Seconds, Seen, Tail, TailState, Tick, evidence};
use canaryd_verdict::{Arm, Judge, Sample, Settings};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::bells::lock;
use super::house::{Cell, House};
use super::rollouts::{DISK_PATIENCE, SLOW_DISK, in_full};

/// Lines that one second takes at most from one log; more are read in the next second.
const LINES: usize = 50_000;
/// Records of seconds that wait for a journal that can be written, of all rollouts; the oldest go.
const UNSAVED: usize = 10_000;
/// Owners of addresses are remembered this long after their container went: slow requests end late.
const OWNERS_STAY: Duration = Duration::from_secs(600);

/// What is known of one rollout's traffic.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// The set on trial and its processes.
    judge: Option<(SetId, Judge)>,
    /// Under which number of the memory's they began.
    number: u64,
    /// When the evidence began, Unix time in seconds: what was asked before is no part of it, even if it ends later.
    since: Option<f64>,
    production: Option<SetId>,
    tail: Option<Tail>,
    owners: BTreeMap<IpAddr, (Owner, Option<Instant>)>,
    rate: Rate,
    loss: LossDetector,
    lines: u64,
    stub: Option<(u64, u64)>,
    read_at: Option<Timestamp>,
    silent: Option<(Timestamp, String)>,
    /// Seconds in a row without a line of a user.
    quiet: u64,
    /// The containers that `owners` knows.
    learnt: Vec<ObservedContainer>,
    /// Questions in a row that the gateway did not answer, since when, and why.
    deaf: Option<(u32, Timestamp, String)>,
    recent: RecentOf,
}

/// Requests of production's app set, and the failed ones of them.
#[derive(Debug, Default)]
struct RecentOf {
    all: Rate,
    failed: Rate,
    /// Whether so many fail that the planner was rung for it.
    alarming: bool,
}

impl RecentOf {
    fn now(&self, second: i64) -> Recent {
        Recent { requests: self.all.in_last_minute(second), failed: self.failed.in_last_minute(second) }
    }

    /// Whether it became alarming, or stopped to be: worth a look of the planner, which knows the checks.
    fn turns(&mut self, second: i64) -> bool {
        let alarming = self.now(second).is_alarming();
        std::mem::replace(&mut self.alarming, alarming) != alarming
    }
}

/// From so many unanswered questions in a row on, one a second, the gateway counts as one that answers nobody.
const DEAF: u32 = 4;
/// How often a gateway is asked that nobody uses and nobody is on trial behind, in seconds: each question costs both of us,
/// and a line in its log. What Docker does to its container is known by events at once.
const REST: u64 = 30;
/// After so many seconds without a request, where there were some in the last minute, the gateway is asked why.
const LULL: u64 = 2;

/// Whether the split decides about it: canaryd's own questions are no traffic that a stage could wait for, nor is what a
/// rule sent to a lane.
fn is_of_users(route: Route) -> bool {
    match route {
        Route::Drawn(_) | Route::Nobody => true,
        Route::Ruled(_) | Route::Ops => false,
    }
}

/// What the planner is told.
pub(crate) fn view(cell: &Cell) -> EvidenceView {
    let held = lock(&cell.evidence);
    EvidenceView {
        judge: held.judge.clone(),
        number: held.number,
        read_at: held.read_at,
        silent: held.silent.clone(),
        requests_per_second: held.rate.per_second(Timestamp::now().as_second()),
        production: held.recent.now(Timestamp::now().as_second()),
    }
}

/// That the gateway answers no question, in words.
pub(crate) fn deaf_gateway(cell: &Cell) -> Option<String> {
    let held = lock(&cell.evidence);
    let (_, since, why) = held.deaf.as_ref().filter(|_| held.is_deaf())?;
    Some(format!("the gateway does not answer since {} ({why})", since.strftime("%H:%M:%S UTC")))
}

/// Restores what an earlier run left.
pub(crate) async fn restore(house: &House, cell: &Cell) {
    let name = cell.name.as_str();
    let state = house.journal.offsets(name).await.ok().flatten();
    let state: Option<TailState> = state.and_then(|json| serde_json::from_str(&json).ok());
    let judge = house.journal.judge(name).await.ok().flatten();
    let judge: Option<(SetId, Numbered)> =
        judge.and_then(|(set, json)| Some((set.parse().ok()?, Numbered::read(&json)?)));
    let mut held = lock(&cell.evidence);
    held.tail = Some(Tail::open(log_of(house, cell), state));
    held.number = judge.as_ref().map_or(0, |(_, numbered)| numbered.number);
    held.judge = judge.map(|(set, numbered)| (set, numbered.judge));
}

/// The processes as the journal keeps them.
#[derive(Deserialize)]
struct Numbered {
    number: u64,
    judge: Judge,
}

impl Numbered {
    /// Those of earlier versions have no number.
    fn read(json: &str) -> Option<Self> {
        let bare = || Some(Self { number: 0, judge: serde_json::from_str(json).ok()? });
        serde_json::from_str(json).ok().or_else(bare)
    }
}

/// Likewise, to be written.
#[derive(Serialize)]
struct NumberedRef<'a> {
    number: u64,
    judge: &'a Judge,
}

/// The log is gone with its gateway: that of the next one is read from its start.
pub(crate) async fn forget_log(house: &House, cell: &Cell) {
    lock(&cell.evidence).tail = Some(Tail::open(log_of(house, cell), None));
    if let Err(error) = house.journal.drop_offsets(cell.name.as_str()).await {
        tracing::warn!(%error, rollout = %cell.name, "where its access log was read to is still in the journal");
    }
}

fn log_of(house: &House, cell: &Cell) -> PathBuf {
    house.store.gateway_dir(&cell.name).join("log").join(canaryd_gateway::container::ACCESS_LOG)
}

/// Keeps the judge in step with the set on trial: a new set, a new number, or changed checks, begin with no evidence.
pub(crate) fn attend(cell: &Cell, memory: &Memory) {
    let rollout = lock(&cell.wish).rollout.clone();
    let mut held = lock(&cell.evidence);
    let production = memory.production_app_set();
    if held.production != production {
        held.recent = RecentOf::default();
    }
    held.production = production;
    let Some(set) = memory.canary_set() else {
        held.judge = None;
        return;
    };
    let Some(rollout) = rollout else { return };
    let settings = settings_of(&rollout);
    // Edited stages change the planned time, and that alone is no reason to forget what was seen.
    let same = |asked: &Settings| Settings { planned_minutes: settings.planned_minutes, ..asked.clone() } == settings;
    let number = memory.evidence_number();
    let fits = held.judge.as_ref().is_some_and(|(of, judge)| *of == set && same(judge.settings()));
    if !fits || held.number != number {
        held.begin(set, number, settings);
    }
}

/// One tick a second for all rollouts, until the daemon stops.
pub(crate) async fn run(house: Arc<House>) {
    let began = Instant::now();
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut turn, mut unsaved) = (0_u64, Vec::new());
    loop {
        tokio::select! {
            () = house.stop.cancelled() => return,
            _ = every.tick() => {}
        }
        turn += 1;
        tick(&house, turn, began.elapsed(), &mut unsaved).await;
        if turn.is_multiple_of(60)
            && !house.config.dry_run
            && house.can_write()
            && let Err(error) = house.journal.housekeeping(Timestamp::now()).await
        {
            tracing::warn!(%error, "old history could not be dropped");
        }
    }
}

/// `unsaved`: the records of earlier seconds that the journal did not take; they go with the next one that it takes.
async fn tick(house: &Arc<House>, turn: u64, at: Duration, unsaved: &mut Vec<TickRow>) {
    let cells = house.cells();
    let second = Timestamp::now().as_second();
    // Their turns are spread over the time of rest.
    let due = cells.iter().zip(turn..).filter(|(cell, turn)| lock(&cell.evidence).is_due(second, *turn));
    // All at once: one that hangs must not hold up the others.
    futures::future::join_all(due.map(|(cell, _)| count_requests(cell))).await;
    let reading = {
        let house = Arc::clone(house);
        tokio::task::spawn_blocking(move || read_all(&house, &cells, at)).await
    };
    let Ok((mut batch, on_trial)) = reading else { return };
    for cell in on_trial {
        cell.bell.ring();
    }
    unsaved.append(&mut batch.ticks);
    unsaved.drain(..unsaved.len().saturating_sub(UNSAVED));
    batch.ticks.clone_from(unsaved);
    // Judging goes on whatever the disk does.
    match tokio::time::timeout(DISK_PATIENCE, save(house, batch)).await {
        Ok(true) => unsaved.clear(),
        Ok(false) => {}
        Err(_) => house.note_journal(Some(SLOW_DISK)),
    }
}

/// NGINX's own count, to notice requests that no line shows; and whether it answers at all.
async fn count_requests(cell: &Cell) {
    let Some(ops) = cell.gateway.ops() else {
        lock(&cell.evidence).deaf = None;
        return;
    };
    let answer = ops.stub_status().await;
    let mut held = lock(&cell.evidence);
    let was_deaf = held.is_deaf();
    match answer {
        Ok(status) => {
            held.deaf = None;
            held.stub = held.judge.is_some().then_some((status.requests, status.writing));
        }
        Err(error) => {
            held.stub = None;
            let (times, since, _) = held.deaf.take().unwrap_or((0, Timestamp::now(), String::new()));
            held.deaf = Some((times.saturating_add(1), since, error.to_string()));
        }
    }
    let is_deaf = held.is_deaf();
    drop(held);
    if was_deaf != is_deaf {
        cell.bell.ring();
    }
}

/// Whether nothing of it is left to be saved.
async fn save(house: &Arc<House>, batch: TickBatch) -> bool {
    if house.config.dry_run {
        return true;
    }
    if !house.can_write() {
        if house.journal.writable().await {
            house.note_journal(None);
        }
        return false;
    }
    let empty = batch.offsets.is_empty() && batch.judges.is_empty() && batch.ticks.is_empty();
    if !empty && let Err(error) = house.journal.tick(batch).await {
        house.note_journal(Some(&in_full(&error)));
        return false;
    }
    true
}

fn read_all(house: &House, cells: &[Arc<Cell>], at: Duration) -> (TickBatch, Vec<Arc<Cell>>) {
    let now = Timestamp::now();
    let mut batch = TickBatch { at_second: now.as_second(), ..TickBatch::default() };
    let mut on_trial = Vec::new();
    for cell in cells {
        if read_one(house, cell, now, at, &mut batch) {
            on_trial.push(Arc::clone(cell));
        }
    }
    (batch, on_trial)
}

/// Reads one log; `true`: a set is on trial, so its rollout plans again.
fn read_one(house: &House, cell: &Cell, now: Timestamp, at: Duration, batch: &mut TickBatch) -> bool {
    let mut held = lock(&cell.evidence);
    held.learn_owners(house, cell);
    let Some(tail) = held.tail.as_mut() else { return false };
    let read = tail.read(LINES, |line| AccessLine::parse(line).ok());
    let state = tail.state();
    let lines = match read {
        Ok(read) => {
            held.lines += read.lines.len() as u64 + read.bad;
            // Before its end the log tells of the past: nothing is raised by it.
            if read.end_of_file {
                held.read_at = Some(now);
            }
            held.heed_loss(now, at, read.lost);
            read.lines
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map_or(error.to_string(), |s| format!("{error}: {s}"));
            held.silent.get_or_insert((now, why));
            return held.judge.is_some();
        }
    };
    let of_users = lines.iter().any(|line| is_of_users(line.route));
    held.quiet = if of_users { 0 } else { held.quiet.saturating_add(1) };
    if lines.is_empty() {
        return held.judge.is_some();
    }
    if lines.last().is_some_and(|line| line.generation.is_twin()) {
        cell.gateway.look_at_twin();
    }
    let owners: BTreeMap<IpAddr, Owner> = held.owners.iter().map(|(ip, (owner, _))| (*ip, owner.clone())).collect();
    let slow = slow_limit(cell);
    let mut tick = Tick { second: now.as_second(), ..Tick::default() };
    let seconds = Seconds::of(lines.iter().map(|line| line.time));
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); seconds.count()];
    for line in &lines {
        held.rate.add(now.as_second(), u64::from(is_of_users(line.route)));
        for attempt in evidence(line, &owners, slow) {
            tick.add(&attempt);
            held.count_recent(now.as_second(), &attempt);
            samples[seconds.index(line.time)].extend(held.sample(&attempt).filter(|_| held.is_of_now(line)));
        }
    }
    if held.recent.turns(now.as_second()) {
        cell.bell.ring();
    }
    let number = held.number;
    if let Some((set, judge)) = held.judge.as_mut() {
        for (samples, before) in samples.iter().zip((0..seconds.count()).rev()) {
            judge.tick(now.as_second() - i64::try_from(before).unwrap_or_default(), samples);
        }
        if let Ok(json) = serde_json::to_string(&NumberedRef { number, judge }) {
            batch.judges.push((cell.name.to_string(), set.to_string(), json));
        }
    }
    if let Ok(json) = serde_json::to_string(&state) {
        batch.offsets.push((cell.name.to_string(), json));
    }
    batch.ticks.extend(rows_of(cell, &tick));
    held.judge.is_some()
}

/// From when on an answer that the client did not wait for is the replica's fault.
fn slow_limit(cell: &Cell) -> Duration {
    let rollout = lock(&cell.wish).rollout.clone();
    let bounds = rollout.iter().flat_map(|r| &r.checks).filter_map(|check| match check.kind {
        CheckKind::Latency { max, .. } => Some(max),
        CheckKind::ErrorRate { .. } => None,
    });
    bounds.min().unwrap_or(Duration::from_secs(1))
}

fn rows_of(cell: &Cell, tick: &Tick) -> Vec<TickRow> {
    tick.sets
        .iter()
        .filter_map(|(set, counts)| {
            let json = serde_json::to_string(counts).ok()?;
            Some(TickRow { name: cell.name.to_string(), second: tick.second, set: set.to_string(), json })
        })
        .collect()
}

impl Evidence {
    fn is_deaf(&self) -> bool {
        self.deaf.as_ref().is_some_and(|(times, ..)| *times >= DEAF)
    }

    /// Whether the gateway is asked in this second: each second while a set is on trial, while it does not answer, and
    /// when its users have suddenly gone; else seldom.
    fn is_due(&self, second: i64, turn: u64) -> bool {
        let lull = self.quiet >= LULL && self.rate.in_last_minute(second) > 0;
        self.judge.is_some() || self.deaf.is_some() || lull || turn.is_multiple_of(REST)
    }

    fn count_recent(&mut self, second: i64, attempt: &Attempt) {
        if Some(&attempt.set) == self.production.as_ref() {
            self.recent.all.add(second, 1);
            self.recent.failed.add(second, u64::from(attempt.failed));
        }
    }

    fn begin(&mut self, set: SetId, number: u64, settings: Settings) {
        self.judge = Some((set, Judge::new(settings)));
        self.number = number;
        self.since = Some(Timestamp::now().as_duration().as_secs_f64());
    }

    /// Whether the request began after the evidence did. Those that a killed container left behind end when a new one
    /// serves already: they say nothing about it.
    fn is_of_now(&self, line: &AccessLine) -> bool {
        self.since.is_none_or(|since| line.time - line.request_time >= since)
    }

    fn learn_owners(&mut self, house: &House, cell: &Cell) {
        let Some(observation) = house.observer.seen().observation else { return };
        let (containers, _) = observation.of(&cell.name);
        let now = Instant::now();
        if self.learnt != containers {
            self.learnt = containers.to_vec();
            for (_, gone) in self.owners.values_mut() {
                gone.get_or_insert(now);
            }
            for (container, addr) in containers.iter().filter_map(|c| Some((c, c.addr?))) {
                let owner = Owner { set: container.set.clone(), ordinal: container.ordinal };
                self.owners.insert(addr, (owner, None));
            }
        }
        self.owners.retain(|_, (_, gone)| gone.is_none_or(|at| now.duration_since(at) < OWNERS_STAY));
    }

    fn heed_loss(&mut self, now: Timestamp, at: Duration, lost: Option<String>) {
        let mut silence = lost;
        if let Some((requests, in_flight)) = self.stub.take() {
            let seen = Seen { at, requests, in_flight, lines: self.lines, ops: 0 };
            if let Some(gap) = self.loss.look(seen) {
                silence.get_or_insert(format!("{} requests were served that no log line shows", gap.missing));
            }
        }
        self.silent = silence.map(|why| self.silent.take().unwrap_or((now, why)));
    }

    /// What the judge is told of one attempt: only what the split sent, to one of the two sets that are compared.
    fn sample(&self, attempt: &Attempt) -> Option<Sample> {
        if !attempt.by_split {
            return None;
        }
        let (canary, _) = self.judge.as_ref()?;
        let arm = if &attempt.set == canary {
            Arm::Canary
        } else if Some(&attempt.set) == self.production.as_ref() {
            Arm::Production
        } else {
            return None;
        };
        Some(Sample {
            arm,
            ordinal: attempt.ordinal,
            failed: attempt.failed,
            latency: attempt.latency,
            mode: attempt.mode.clone(),
            client: attempt.client,
        })
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
