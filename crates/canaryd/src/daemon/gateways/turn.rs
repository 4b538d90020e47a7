//! One turn of a gateway's reconcile: the order of its steps.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use canaryd_gateway::container::Ports;
use canaryd_gateway::{GenerationId, Intent, NginxVersion, Settings};
use canaryd_link::{Link, Ops};
use canaryd_planner::{GatewayView, Live};
use canaryd_rollout::Weight;
use jiff::Timestamp;

use super::attempts::same_problem;
use super::container::Running;
use super::disk::{Secrets, intent_of, secrets};
use super::lowering::{is_against, lowered};
use super::route::find_route;
use super::running::link;
use super::settings::{Choices, Standing};
use super::tampered::Seal;
use super::{QUIET, SOON, Wanted};
use crate::daemon::bells::lock;
use crate::daemon::house::{Cell, House};

/// How long the planner has to answer to a lowering without the daemon.
const SECOND_THOUGHT: Duration = Duration::from_secs(5);

/// One gateway as its loop knows it.
#[expect(clippy::struct_excessive_bools, reason = "facts that hold or not, each for itself")]
pub(super) struct Gateway {
    pub(super) house: Arc<House>,
    pub(super) cell: Arc<Cell>,
    pub(super) dir: PathBuf,
    pub(super) secrets: Secrets,
    pub(super) live: Option<Live>,
    /// What a turn was making live when a lowering cut it short: it may be live, or not.
    pub(super) attempt: Option<Intent>,
    /// What the generation written last was rendered from; of any other nothing is known, and its text is compared.
    pub(super) rendered: Option<(GenerationId, Settings)>,
    /// The files of the live generation as they were last found right.
    pub(super) seal: Option<Seal>,
    /// Its container ended before it answered: what lies there may be no good.
    pub(super) died_at_start: bool,
    /// They were put back: NGINX may have read something else.
    pub(super) tampered: bool,
    pub(super) running: Option<Running>,
    /// What the container was last compared with.
    pub(super) compared: Option<canaryd_rollout::Gateway>,
    pub(super) nginx: Option<NginxVersion>,
    pub(super) lowered_offline: bool,
    /// An earlier run lowered, and was killed before it could write down why.
    pub(super) unexplained: bool,
    /// That was a precaution.
    pub(super) precaution: bool,
    /// Until something newer than this is wanted, nothing but lowerings.
    held: Option<(u64, Instant)>,
    pub(super) old_workers: u32,
    /// When NGINX was last told to reload.
    pub(super) reloaded: Option<Instant>,
    pub(super) problem: Option<String>,
    /// The engine says that the container is gone, as was asked.
    pub(super) ended: bool,
    /// So is the directory: nothing is left to be known.
    pub(super) removed: bool,
}

impl Gateway {
    /// Reads what an earlier run left: tokens, and which intent is live.
    pub(super) async fn open(house: &Arc<House>, cell: &Arc<Cell>) -> Result<Self> {
        let dir = house.store.gateway_dir(&cell.name);
        // A dry run reads the original.
        let owner = Some(house.config.instance.as_str()).filter(|_| !house.config.dry_run);
        let secrets = secrets(&dir, owner)?;
        let link = link(&dir, &secrets, None)?;
        *lock(&cell.gateway.standing) = Standing::read(&dir);
        let (asked, over, without_canary, on_its_way) = {
            let memory = cell.memory.lock().await;
            let over = memory.is_without_gateway();
            (memory.asked().cloned(), over, memory.last_without_canary(), memory.on_its_way_since())
        };
        let seq = asked.as_ref().map_or(0, |asked| asked.seq);
        let mut gateway = Self {
            house: Arc::clone(house),
            cell: Arc::clone(cell),
            dir,
            secrets,
            live: None,
            attempt: None,
            rendered: None,
            seal: None,
            died_at_start: false,
            tampered: false,
            running: None,
            compared: None,
            nginx: None,
            lowered_offline: false,
            unexplained: false,
            precaution: false,
            held: None,
            old_workers: 0,
            reloaded: None,
            problem: None,
            ended: false,
            removed: false,
        };
        gateway.recover(&link, asked.as_ref(), without_canary);
        // Taken once: a version of later has nothing to do with it.
        if !house.config.dry_run && crate::offline::take_word(&gateway.dir, on_its_way) {
            gateway.lowered_offline = true;
            gateway.hold(seq);
        }
        if gateway.live.is_some() {
            // Workers of before may still be leaving.
            gateway.note_reload();
        }
        if !house.config.dry_run {
            gateway.publish();
        }
        // What is being removed must not be started once more.
        if let Some(intent) = asked.filter(|_| !over) {
            cell.gateway.ask(intent);
        }
        Ok(gateway)
    }

    /// What the symlink on disk says is live. A twin where the journal wants weight, and no lowering was asked for since,
    /// means that somebody lowered it without the daemon, or that the daemon itself was killed in the middle of it. Where the
    /// journal knows of a precaution, somebody took it over.
    fn recover(&mut self, link: &Link, asked: Option<&Intent>, without_canary: u64) {
        let Some(generation) = link.current() else { return };
        let Some(mut intent) = intent_of(&self.dir, generation) else { return };
        if generation.is_twin() {
            let taken_over = |asked: &&Intent| asked.precaution && !link.was_lowered_by_daemon();
            if let Some(asked) = asked.filter(taken_over) {
                self.lowered_offline = true;
                self.hold(asked.seq);
            }
            if let Some(asked) = asked.filter(|asked| is_against(asked, &intent, without_canary)) {
                self.unexplained = link.was_lowered_by_daemon() && asked.traffic.canary() > Weight::ZERO;
                self.precaution = self.unexplained && link.was_lowered_as_precaution();
                self.lowered_offline = !self.unexplained;
                self.hold(asked.seq);
            }
            intent.traffic = lowered(intent.traffic);
        }
        self.live = Some(Live { intent, generation: generation.to_string(), since: Timestamp::now() });
    }

    /// One turn; returns when to take the next at the latest.
    pub(super) async fn turn(&mut self, wanted: Wanted) -> Duration {
        if self.house.config.dry_run {
            self.only_look();
            return QUIET;
        }
        let outcome = match wanted {
            Wanted::Nothing | Wanted::Forgotten => return QUIET,
            Wanted::Removed => self.end().await,
            Wanted::Serve(intent) => self.serve(&intent).await,
        };
        let before = std::mem::replace(&mut self.problem, outcome.err().map(|error| format!("{error:#}")));
        if let Some(problem) = self.problem.as_deref().filter(|p| !same_problem(Some(p), before.as_deref())) {
            tracing::warn!(rollout = %self.cell.name, problem, "the gateway is not as asked yet");
        }
        self.publish();
        if self.problem.is_some() || self.old_workers > 0 || self.held.is_some() {
            return SOON;
        }
        let newest = lock(&self.cell.wish).rollout.as_deref().map(Choices::of);
        let again = newest.and_then(|newest| lock(&self.cell.gateway.standing).next_try(&newest));
        again.map_or(QUIET, |wait| wait.clamp(SOON, QUIET))
    }

    /// A dry run: tells what is live, and where the ops port is, and touches nothing.
    fn only_look(&mut self) {
        if let Some(running) = self.observed() {
            let ops = SocketAddr::from(([127, 0, 0, 1], running.ops_port));
            *lock(&self.cell.gateway.ops) = Some(Ops::new(ops, self.secrets.ops_token.clone()));
        }
        self.publish_live();
    }

    fn publish(&self) {
        self.cell.gateway.publish(GatewayView {
            live: self.live.clone(),
            old_workers: self.old_workers,
            lowered_offline: self.lowered_offline,
            unexplained: self.unexplained,
            precaution: self.precaution,
            problem: self.problem.clone(),
            // The world builder asks evidence, engine and manifest.
            ..GatewayView::default()
        });
    }

    async fn serve(&mut self, wanted: &Intent) -> Result<()> {
        self.ended = false;
        if self.notices_offline_lowering() {
            self.hold(wanted.seq);
            self.publish_live();
        }
        // First of all, and with nothing in front of it that can fail.
        self.lower_if_asked(wanted).await?;
        self.settle_attempt().await?;
        if self.is_held(wanted) {
            return Ok(());
        }
        // The planner knows, and wants nothing for a canary: what comes later is another matter.
        self.lowered_offline &= wanted.traffic.canary() > Weight::ZERO;
        self.unexplained &= wanted.traffic.canary() > Weight::ZERO;
        self.precaution &= self.unexplained;
        let rollout = lock(&self.cell.wish).rollout.clone().context("no valid manifest describes the gateway")?;
        let choices = Choices::of(&rollout);
        if let Err(error) = self.put_back(&choices).await {
            tracing::warn!(rollout = %self.cell.name, error = format!("{error:#}"), "the gateway's files are not put back yet");
        }
        if self.is_left_alone(&rollout, wanted).await? {
            return Ok(());
        }
        let ensured = self.ensure_container(&rollout, wanted).await;
        find_route(&self.house, &rollout, Ports::of(&self.settings(&choices, wanted)).ops).await;
        ensured?;
        self.make_live(&choices, wanted).await?;
        self.count_old_workers().await;
        self.rotate().await;
        self.compare(&rollout, wanted).await;
        Ok(())
    }

    /// What is wanted was decided before it was known that somebody lowered without the daemon: a raise or a lane swap
    /// would undo that. The planner is given the time to want something else.
    pub(super) fn hold(&mut self, seq: u64) {
        let by = if self.unexplained { "by an earlier run, which did not say why" } else { "without the daemon" };
        tracing::warn!(rollout = %self.cell.name, "lowered {by}");
        self.held = Some((seq, Instant::now()));
    }

    fn is_held(&mut self, wanted: &Intent) -> bool {
        let lasts = |since: &Instant| self.unexplained || since.elapsed() < SECOND_THOUGHT;
        self.held = self.held.filter(|(seq, since)| wanted.seq <= *seq && lasts(since));
        self.held.is_some()
    }

    /// Finds out what is live after a turn that was cut short. Of a gateway that does not run, its next start tells.
    async fn settle_attempt(&mut self) -> Result<()> {
        match self.observed() {
            Some(seen) if self.attempt.is_some() => {
                self.adopt(seen).await;
                self.confirm().await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Tells the rollout at once, before slower work of the same turn.
    pub(super) fn publish_live(&self) {
        let mut view = self.cell.gateway.view();
        view.live.clone_from(&self.live);
        view.old_workers = self.old_workers;
        view.lowered_offline = self.lowered_offline;
        view.unexplained = self.unexplained;
        view.precaution = self.precaution;
        self.cell.gateway.publish(view);
    }

    pub(super) fn note_reload(&mut self) {
        self.old_workers = self.old_workers.max(1);
        self.reloaded = Some(Instant::now());
    }
}
