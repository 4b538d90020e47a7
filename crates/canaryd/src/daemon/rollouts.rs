//! The reconcile of one rollout: observe, plan, commit, act. At most one runs at a time for a name; triggers merge.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use canaryd_journal::{JournalError, NewEvent};
use canaryd_planner::{Action, Event, Memory, Outcome, Plan, Report, Severity, Slots, Unmet, plan};
use jiff::Timestamp;

use super::bells::lock;
use super::executor::carry_out;
use super::house::{Cell, House, Removal};
use super::observer::news;
use super::world::world_of;

/// Never plans again sooner than this without a ring, whatever a plan asks for.
const SHORTEST_WAKE: Duration = Duration::from_millis(50);
/// So long a lowering waits for the journal.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(150);
/// So long the engine may take for a fresh look.
const LOOK: Duration = Duration::from_secs(1);
/// A disk that takes longer counts as one that cannot be written: a way off must not wait for it.
pub(super) const DISK_PATIENCE: Duration = Duration::from_secs(2);
/// What is said of it.
pub(super) const SLOW_DISK: &str = "the disk takes longer than 2 s";
/// A kill loses at most this much observed time.
const CLOCK_KEPT_EVERY: Duration = Duration::from_secs(10);

/// Reconciles one rollout until it is gone or the daemon stops.
pub(crate) async fn run(house: Arc<House>, cell: Arc<Cell>) {
    let mut seen = house.observer.subscribe();
    let mut gateway = cell.gateway.subscribe();
    loop {
        let round = cell.bell.begin();
        // At least this is in the plan.
        let known = seen.borrow_and_update().share_of(&cell.name);
        let wake = reconcile(&house, &cell).await;
        cell.bell.end(round);
        if cell.stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = cell.stop.cancelled() => return,
            () = cell.bell.rung() => {}
            () = news(&mut seen, &cell.name, &known) => {}
            Ok(()) = gateway.changed() => {}
            () = tokio::time::sleep(wake.max(SHORTEST_WAKE)) => {}
        }
    }
}

/// One turn; returns when to plan again at the latest.
async fn reconcile(house: &Arc<House>, cell: &Arc<Cell>) -> Duration {
    let Some(plan) = plan_and_commit(house, cell).await else { return Duration::from_secs(1) };
    let Plan { actions, report, events, answers, next_wake, memory } = plan;
    log_events(cell, &events);
    // A memory without a name never had a manifest, or was emptied by a deletion that is over.
    let over = memory.name().is_none() && actions.is_empty() && lock(&cell.wish).gone.is_some();
    publish(house, cell, report);
    note_removal(house, cell, Removal::of(&memory));
    if house.can_write() {
        cell.sets.heed(&actions);
    }
    for action in actions {
        carry_out(house, cell, action);
    }
    for answer in answers {
        if let Some(waiting) = lock(&cell.waiting).remove(&answer.id) {
            // Nobody may be waiting any more: the command acts all the same.
            let _ = waiting.send(answer);
        }
    }
    if over {
        forget(house, cell).await;
    }
    next_wake
}

/// What another rollout is told of a port of this one changes with it, and in the end the port is free.
fn note_removal(house: &House, cell: &Cell, removal: Removal) {
    let before = std::mem::replace(&mut lock(&cell.wish).removal, removal);
    if before != removal {
        house.manifests.ring();
    }
}

/// Nothing is left of it, and no manifest asks for it. The journal comes last: killed before, the next start finds the
/// emptied memory and does all of it again.
async fn forget(house: &House, cell: &Cell) {
    if house.config.dry_run {
        return;
    }
    let name = &cell.name;
    cell.gateway.leave().await;
    if let Err(error) = house.store.forget(name) {
        tracing::warn!(%error, rollout = %name, "the manifest of a deleted rollout is still kept");
    }
    if let Err(error) = house.store.failures.mark_deleted(name) {
        tracing::warn!(%error, rollout = %name, "the failures of a deleted rollout are not marked so");
    }
    if let Err(error) = house.journal.forget(name.as_str()).await {
        tracing::warn!(%error, rollout = %name, "a deleted rollout is still in the journal");
    }
    house.remove_cell(name);
    // Its port is free: a manifest that was refused because of it is looked at again.
    house.manifests.ring();
}

/// Plans and writes the new memory ahead of any action. When the journal cannot be written, only what lowers the
/// canary's weight is left of the plan.
async fn plan_and_commit(house: &Arc<House>, cell: &Arc<Cell>) -> Option<Plan> {
    let mut memory = cell.memory.lock().await;
    let slots = house.slots.offer(&cell.name);
    if house.config.dry_run {
        let pretended = super::dry_run::turn(house, cell, &memory, slots);
        house.slots.settle(&cell.name, pretended.memory.moving(), pretended.memory.starting());
        *memory = pretended.memory.clone();
        return Some(pretended);
    }
    let world = world_of(house, cell, &memory, slots.clone());
    let mut decided = plan(&memory, &world, Timestamp::now());
    if blames_by_numbers(&decided) {
        decided = plan_on_fresh_facts(house, cell, &memory, &decided, slots.clone()).await;
    }
    if house.can_write()
        && must_be_kept(cell, &memory, &decided)
        && let Err(why) = commit_in_time(house, cell, &decided).await
    {
        house.note_journal(Some(&why));
        let world = world_of(house, cell, &memory, slots);
        decided = plan(&memory, &world, Timestamp::now());
    }
    let refused = house.slots.settle(&cell.name, decided.memory.moving(), decided.memory.starting());
    *memory = decided.memory.clone();
    super::evidence::attend(cell, &memory);
    drop(memory);
    for other in refused.iter().filter_map(|name| house.cell(name)) {
        other.bell.ring();
    }
    Some(decided)
}

/// Whether a check decided in this very plan.
fn blames_by_numbers(decided: &Plan) -> bool {
    let by_check = decided.report.as_ref().and_then(|r| r.outcome.as_ref()).is_some_and(|o| o.check.is_some());
    by_check && decided.events.iter().any(|event| event.kind == "reverted")
}

/// What looks like errors may be a container that somebody stopped a moment ago: the weight goes down at once, and who is
/// to blame is decided once more by what the engine says now.
async fn plan_on_fresh_facts(
    house: &Arc<House>,
    cell: &Arc<Cell>,
    memory: &Memory,
    decided: &Plan,
    slots: Slots,
) -> Plan {
    lower_now(cell, decided);
    // An engine that does not answer in time has nothing to say in anybody's favour.
    let _ = tokio::time::timeout(LOOK, house.observer.look(house.engine.as_ref())).await;
    plan(memory, &world_of(house, cell, memory, slots), Timestamp::now())
}

/// Takes what lowers the weight to the gateway ahead of everything that could delay it. After a kill before the commit the
/// next start finds the weight lowered, and decides once more by what it reads.
fn lower_now(cell: &Cell, decided: &Plan) {
    let live = cell.gateway.view().live;
    for intent in decided.actions.iter().filter_map(Action::route) {
        if live.as_ref().is_some_and(|l| intent.lowers(&l.intent)) {
            cell.gateway.ask(intent.clone());
        }
    }
}

/// A slow journal delays no lowering.
async fn commit_in_time(house: &House, cell: &Cell, decided: &Plan) -> Result<(), String> {
    let committed = commit(house, cell, decided);
    tokio::pin!(committed);
    tokio::select! {
        biased;
        result = &mut committed => return result,
        () = tokio::time::sleep(JOURNAL_PATIENCE) => lower_now(cell, decided),
    }
    let late = |_| Err(SLOW_DISK.to_owned());
    tokio::time::timeout(DISK_PATIENCE, committed).await.unwrap_or_else(late)
}

/// Observed time alone is kept every ten seconds (docs/adr/0002); everything else before it acts.
fn must_be_kept(cell: &Cell, before: &Memory, decided: &Plan) -> bool {
    let news = !decided.events.is_empty() || !decided.answers.is_empty() || cell.doubtful.load(Ordering::Relaxed);
    if news || decided.memory.without_clock() != before.without_clock() {
        return true;
    }
    let recent = lock(&cell.kept_at).is_some_and(|at| at.elapsed() < CLOCK_KEPT_EVERY);
    decided.memory != *before && !recent
}

async fn commit(house: &House, cell: &Cell, decided: &Plan) -> Result<(), String> {
    let json = serde_json::to_string(&decided.memory).map_err(|e| e.to_string())?;
    // What takes too long may still be written later.
    cell.doubtful.store(true, Ordering::Relaxed);
    let events = decided.events.iter().map(new_event).collect();
    house.journal.commit_plan(cell.name.as_str(), json, events, Timestamp::now()).await.map_err(|e| in_full(&e))?;
    cell.doubtful.store(false, Ordering::Relaxed);
    *lock(&cell.kept_at) = Some(Instant::now());
    Ok(())
}

/// With what is behind it; what is behind that says the same once more.
pub(super) fn in_full(error: &JournalError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn new_event(event: &Event) -> NewEvent {
    NewEvent {
        severity: severity_name(event.severity).to_owned(),
        kind: event.kind.clone(),
        message: event.message.clone(),
    }
}

/// The journal's word for a severity.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Notify => "notify",
    }
}

/// The severity of a journal's word; unknown ones (of a newer version) are worth a look.
pub(crate) fn severity_of(name: &str) -> Severity {
    match name {
        "info" => Severity::Info,
        "notify" => Severity::Notify,
        _ => Severity::Warning,
    }
}

fn log_events(cell: &Cell, events: &[Event]) {
    for Event { severity, kind, message } in events {
        match severity {
            Severity::Info => tracing::info!(rollout = %cell.name, kind, "{message}"),
            Severity::Warning => tracing::warn!(rollout = %cell.name, kind, "{message}"),
            Severity::Notify => tracing::warn!(rollout = %cell.name, kind, notify = true, "{message}"),
        }
    }
}

/// Where the failure of the last outcome was saved; looked up on disk until it is found.
fn files_of(house: &House, report: &Report, before: Option<&Report>) -> Option<String> {
    let outcome = report.outcome.as_ref().filter(|end| end.outcome == Outcome::Reverted)?;
    let known =
        before.filter(|before| before.outcome.as_ref() == Some(outcome)).and_then(|before| before.files.clone());
    let saved = || house.store.failures.newest(&report.name, &outcome.revision, outcome.at);
    known.or_else(|| Some(saved()?.display().to_string()))
}

fn publish(house: &House, cell: &Cell, report: Option<Report>) {
    let Some(mut report) = report else { return };
    {
        let wish = lock(&cell.wish);
        report.notes.extend(wish.notes.iter().chain(&wish.moved_tags).cloned());
    }
    if let Some(why) = why_ignored(house, cell) {
        report.notes.push(format!("a newer manifest is ignored: {why}"));
        report.unmet = Some(Unmet::Ignored { why });
    }
    let mut held = lock(&cell.report);
    report.files = files_of(house, &report, held.as_ref());
    let changed = held.as_ref() != Some(&report);
    *held = Some(report);
    drop(held);
    if changed {
        house.changed();
    }
}

fn why_ignored(house: &House, cell: &Cell) -> Option<String> {
    if let Some(why) = lock(&house.book).ignored(&cell.name) {
        return Some(why.to_owned());
    }
    let unresolved = lock(&house.unresolved);
    let first = unresolved.get(&cell.name)?.first()?.lines().next()?;
    Some(first.trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use canaryd_gateway::{Intent, Traffic};
    use canaryd_planner::{GatewayView, Live};
    use canaryd_rollout::Weight;

    use super::super::fake::{Freezer, Site, until};
    use super::*;

    fn intent(seq: u64, canary: Weight) -> Intent {
        Intent { seq, traffic: Traffic::Split { canary }, lanes: BTreeMap::new(), precaution: false }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lowering_does_not_wait_for_a_disk_that_hangs() {
        let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let at = dir.path().to_owned();
        let Some(disk) = Freezer::mount(&at, image.path()) else { return };
        let site = Site::on(dir).await;
        let cell = site.cell("shop");
        let quarter = intent(1, Weight::from_basis_points(2500).unwrap());
        let live = Live { intent: quarter, generation: "1.1".to_owned(), since: Timestamp::now() };
        cell.gateway.pretend(GatewayView { live: Some(live), ..GatewayView::default() });
        let lowered = intent(2, Weight::ZERO);
        let decided = Plan {
            actions: vec![Action::Route(lowered.clone())],
            memory: Memory::default(),
            report: None,
            events: Vec::new(),
            answers: Vec::new(),
            next_wake: Duration::from_secs(1),
        };
        disk.freeze();
        let began = Instant::now();
        let (house, owner) = (Arc::clone(&site.house), Arc::clone(&cell));
        let committing = tokio::spawn(async move { commit_in_time(&house, &owner, &decided).await });
        until("the gateway is asked to lower", async || cell.gateway.asked() == Some(lowered.clone())).await;
        assert!(began.elapsed() < DISK_PATIENCE, "{:?}", began.elapsed());
        assert_eq!(committing.await.unwrap(), Err(SLOW_DISK.to_owned()));
        disk.thaw();
    }
}
