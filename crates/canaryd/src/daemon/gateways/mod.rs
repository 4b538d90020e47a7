//! The reconcile of one gateway: takes the newest intent of its rollout, makes it live, and reports what is proven.
//! Lowerings go first and wait for nothing; everything else follows.

mod attempts;
mod container;
mod disk;
mod drift;
mod generation;
mod lowering;
mod pages;
mod route;
mod running;
mod settings;
mod tampered;
mod turn;
#[cfg(test)]
mod turn_tests;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use canaryd_gateway::Intent;
use canaryd_link::Ops;
use canaryd_planner::GatewayView;
use canaryd_probe::Reach;
use canaryd_rollout::{Rollout, Weight};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bells::{Bell, lock};
use super::house::{Cell, House};
use crate::cli::ReachChoice;

use attempts::{Facts, Known, news, same_problem};
pub(crate) use disk::{all_intents, force_token, intent_of, is_of, last_epoch, live_intent, ops_token};
pub(crate) use pages::keep as keep_page;
use settings::{Choices, Standing};
use turn::Gateway;

/// What a rollout says to its gateway and hears from it.
#[derive(Debug)]
pub(crate) struct GatewayPort {
    wanted: watch::Sender<Wanted>,
    view: watch::Sender<GatewayView>,
    ops: Mutex<Option<Ops>>,
    /// What NGINX said to what the manifest chose.
    standing: Mutex<Standing>,
    /// How many generations this run has made, whatever became of the gateway in between.
    generations: AtomicU64,
    /// Cancelled when the loop is over: it acts no more.
    over: CancellationToken,
    /// Rung when what a generation is rendered from may have changed, beside the intent.
    bell: Bell,
}

/// The newest wish.
#[derive(Debug, Clone, Default, PartialEq)]
enum Wanted {
    /// Nothing was asked yet.
    #[default]
    Nothing,
    /// This traffic.
    Serve(Intent),
    /// No gateway any more.
    Removed,
    /// Nobody will ask again: the name is forgotten.
    Forgotten,
}

impl Default for GatewayPort {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(Wanted::Nothing),
            view: watch::Sender::new(GatewayView::default()),
            ops: Mutex::new(None),
            standing: Mutex::default(),
            generations: AtomicU64::new(0),
            over: CancellationToken::new(),
            bell: Bell::default(),
        }
    }
}

impl GatewayPort {
    /// Asks for this traffic; the newest wish wins.
    pub(crate) fn ask(&self, intent: Intent) {
        self.want(Wanted::Serve(intent));
    }
    /// Asks for the gateway's end.
    pub(crate) fn remove(&self) {
        self.want(Wanted::Removed);
    }
    /// Ends the loop; returns when it is over, so that another rollout may have the name.
    pub(crate) async fn leave(&self) {
        self.want(Wanted::Forgotten);
        self.over.cancelled().await;
    }
    /// The same wish said again is no news: it is said with every plan until it is live, and must not end the pause after
    /// a failure.
    fn want(&self, newer: Wanted) {
        self.wanted.send_if_modified(|held| {
            let is_news = *held != newer;
            *held = newer;
            is_news
        });
    }
    /// The manifest changed: its limits, snippets and headers reach the gateway now, also when the traffic stays.
    pub(crate) fn look_again(&self) {
        self.bell.ring();
    }
    /// A twin answers. Where none was proven live, somebody lowered without the daemon: a look at once.
    pub(crate) fn look_at_twin(&self) {
        let is_news = self.view.borrow().live.as_ref().is_some_and(|live| live.intent.traffic.canary() > Weight::ZERO);
        if is_news {
            self.bell.ring();
        }
    }
    /// What is proven now.
    pub(crate) fn view(&self) -> GatewayView {
        self.view.borrow().clone()
    }
    /// Why NGINX refuses what this manifest chooses, and whether it was not asked yet.
    pub(crate) fn word_on(&self, rollout: &Rollout) -> (Option<String>, bool) {
        let (choices, standing) = (Choices::of(rollout), lock(&self.standing));
        (standing.why_refused(&choices).map(str::to_owned), !standing.knows(&choices))
    }
    /// Wakes when the view changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<GatewayView> {
        self.view.subscribe()
    }
    /// The ops port, once the gateway runs.
    pub(crate) fn ops(&self) -> Option<Ops> {
        lock(&self.ops).clone()
    }
    /// How canaryd gets to this rollout's containers; `None`: not known before the gateway runs.
    pub(crate) fn reach(&self, house: &House) -> Option<Reach> {
        let relay = || {
            let ops = self.ops()?;
            Some(Reach::Relay { ops: ops.addr(), token: ops.header().1.to_owned() })
        };
        match (house.config.reach, house.routes.get()) {
            (ReachChoice::Direct, _) | (ReachChoice::Auto, Some(true)) => Some(Reach::Direct),
            (ReachChoice::Relay, _) | (ReachChoice::Auto, Some(false)) => relay(),
            // A dry run starts no gateway to try it on.
            (ReachChoice::Auto, None) => house.config.dry_run.then_some(Reach::Direct),
        }
    }

    /// As if this were proven.
    #[cfg(test)]
    pub(crate) fn pretend(&self, view: GatewayView) {
        self.publish(view);
    }
    /// The newest wish for traffic.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Option<Intent> {
        match &*self.wanted.borrow() {
            Wanted::Serve(intent) => Some(intent.clone()),
            Wanted::Nothing | Wanted::Removed | Wanted::Forgotten => None,
        }
    }

    fn publish(&self, view: GatewayView) {
        self.view.send_if_modified(|held| {
            let changed = !same_view(held, &view);
            *held = view;
            changed
        });
    }
}

fn same_view(a: &GatewayView, b: &GatewayView) -> bool {
    a.live == b.live
        && a.old_workers == b.old_workers
        && a.lowered_offline == b.lowered_offline
        && a.unexplained == b.unexplained
        && a.precaution == b.precaution
        && same_problem(a.problem.as_deref(), b.problem.as_deref())
}

/// Reconciles the gateway of one rollout until the rollout is gone or the daemon stops.
/// `opened` is cancelled once the view tells what an earlier run left: no plan may be made before that.
pub(crate) async fn run(house: Arc<House>, cell: Arc<Cell>, opened: CancellationToken) {
    let opened = opened.drop_guard();
    let _over = cell.gateway.over.clone().drop_guard();
    if house.config.dry_run && !house.store.gateway_dir(&cell.name).exists() {
        return;
    }
    let mut wanted = cell.gateway.wanted.subscribe();
    let mut seen = house.observer.subscribe();
    let mut stand = Stand::begin(&house, &cell).await;
    drop(opened);
    let mut failures = 0;
    loop {
        let goal = wanted.borrow_and_update().clone();
        // At least this is known to the turn.
        let share = seen.borrow_and_update().share_of(&cell.name);
        if goal == Wanted::Forgotten || cell.stop.is_cancelled() {
            return;
        }
        let wake = tokio::select! {
            wake = stand.turn(&house, &cell, goal.clone()) => wake,
            // Everything of a turn may be cut short; `Gateway` finds out what became of it.
            () = urgent(wanted.clone(), &goal) => continue,
        };
        failures = if cell.gateway.view().problem.is_some() { failures + 1 } else { 0 };
        let wake = wake.max(pause_after(failures));
        let known = if failures > 0 { Known::Failed(Facts::of(&seen.borrow_and_update())) } else { Known::Done(share) };
        tokio::select! {
            () = cell.stop.cancelled() => return,
            Ok(()) = wanted.changed() => {}
            () = cell.gateway.bell.rung() => {}
            () = news(&mut seen, &cell.name, &known) => {}
            () = tokio::time::sleep(wake) => {}
        }
    }
}

/// Whether there is a gateway to know anything of.
enum Stand {
    /// Nothing was found, nothing was made.
    Nothing,
    /// Its directory is open.
    Open(Box<Gateway>),
    /// It was removed with everything of it.
    Removed,
}

impl Stand {
    /// Takes up what an earlier run left.
    async fn begin(house: &Arc<House>, cell: &Arc<Cell>) -> Self {
        let (asked, over) = {
            let memory = cell.memory.lock().await;
            (memory.asked().is_some(), memory.is_without_gateway())
        };
        let left = house.store.gateway_dir(&cell.name).exists();
        if left && over && !house.config.dry_run {
            // It was being removed when canaryd was killed.
            cell.gateway.remove();
        }
        if left || asked { Self::open(house, cell).await } else { Self::Nothing }
    }

    async fn open(house: &Arc<House>, cell: &Arc<Cell>) -> Self {
        match Gateway::open(house, cell).await {
            Ok(gateway) => Self::Open(Box::new(gateway)),
            Err(error) => {
                let problem = format!("the gateway's directory cannot be used: {error:#}");
                if cell.gateway.view().problem.as_ref() != Some(&problem) {
                    tracing::error!(rollout = %cell.name, problem, "tried again, ever more rarely");
                }
                cell.gateway.publish(GatewayView { problem: Some(problem), ..GatewayView::default() });
                Self::Nothing
            }
        }
    }

    /// One turn; returns when to take the next at the latest.
    async fn turn(&mut self, house: &Arc<House>, cell: &Arc<Cell>, goal: Wanted) -> Duration {
        match (&goal, &*self) {
            (Wanted::Nothing | Wanted::Forgotten, Self::Nothing | Self::Removed) | (Wanted::Removed, Self::Removed) => {
                return QUIET;
            }
            (Wanted::Serve(_), Self::Nothing | Self::Removed) | (Wanted::Removed, Self::Nothing) => {
                *self = Self::open(house, cell).await;
            }
            (_, Self::Open(_)) => {}
        }
        let Self::Open(gateway) = self else { return SOON };
        let wake = gateway.turn(goal).await;
        if gateway.removed {
            *self = Self::Removed;
        }
        wake
    }
}

/// Ends when less is wanted for the canary than the turn under way is for: a lowering waits for nothing.
async fn urgent(mut wanted: watch::Receiver<Wanted>, goal: &Wanted) {
    let lowers = |newer: &Wanted| match (newer, goal) {
        (Wanted::Serve(newer), Wanted::Serve(goal)) => newer.lowers(goal),
        (Wanted::Nothing | Wanted::Removed | Wanted::Forgotten, _)
        | (_, Wanted::Nothing | Wanted::Removed | Wanted::Forgotten) => false,
    };
    if wanted.wait_for(lowers).await.is_err() {
        // Nobody will want anything any more.
        std::future::pending::<()>().await;
    }
}

/// How long is waited after so many failures in a row: a registry or a taken port is not asked twice a second. A new wish, a
/// changed manifest or news of a gateway's container ends the wait.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => SOON.saturating_mul(1 << (n - 1).min(5)).min(LONGEST_PAUSE),
    }
}

/// The longest of these waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a quiet gateway is left alone.
const QUIET: Duration = Duration::from_secs(30);
/// How soon a gateway with old workers or a problem is looked at again.
const SOON: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_keeps_failing_is_tried_ever_more_rarely_but_always_again() {
        let pauses: Vec<u64> = (0..8).map(|n| pause_after(n).as_millis().try_into().unwrap()).collect();
        assert_eq!(pauses, [0, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
