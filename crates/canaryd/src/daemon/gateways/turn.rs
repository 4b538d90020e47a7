//! One turn of a gateway's reconcile.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use canaryd_engine::RunState;
use canaryd_gateway::container::Ports;
use canaryd_gateway::{GenerationId, Intent, Lane, NginxVersion, Settings, Traffic, render, twin};
use canaryd_link::{Link, Ops};
use canaryd_planner::{GatewayView, Live};
use canaryd_rollout::Rollout;
use canaryd_telemetry::Rotation;
use jiff::Timestamp;

use super::container::{EngineMaster, Running, owner, plan_of};
use super::disk::{Secrets, conf_of, intent_of, keep_intent, secrets, sweep_intents};
use super::route::find_route;
use super::{QUIET, SOON, Wanted};
use crate::daemon::bells::lock;
use crate::daemon::house::{Cell, House};

/// Generations that stay on disk.
const GENERATIONS: usize = 20;

/// NGINX's workers before a reload take new connections for 100 ms more.
const OLD_WORKERS_ACCEPT: Duration = Duration::from_millis(150);
/// The master tells its old workers to leave 100 ms after the new ones answer, on a busy host later: until then none of
/// them can be told from a new one, and they still take requests.
const SETTLING: Duration = Duration::from_secs(1);

/// One gateway as its loop knows it.
pub(super) struct Gateway {
    pub(super) house: Arc<House>,
    pub(super) cell: Arc<Cell>,
    pub(super) dir: PathBuf,
    secrets: Secrets,
    n: u64,
    live: Option<Live>,
    /// What a turn was making live when a lowering cut it short: it may be live, or not.
    attempt: Option<Intent>,
    /// What the live generation was rendered from; `None`: not known, compare the text.
    rendered_from: Option<Settings>,
    running: Option<Running>,
    /// What the container was last compared with.
    pub(super) compared: Option<canaryd_rollout::Gateway>,
    nginx: Option<NginxVersion>,
    lowered_offline: bool,
    old_workers: u32,
    /// When NGINX was last told to reload.
    reloaded: Option<Instant>,
    problem: Option<String>,
}

impl Gateway {
    /// Reads what an earlier run left: tokens, and which intent is live.
    pub(super) async fn open(house: &Arc<House>, cell: &Arc<Cell>) -> Result<Self> {
        let dir = house.store.gateway_dir(&cell.name);
        let secrets = secrets(&dir)?;
        let link = link(&dir, &secrets, None)?;
        let asked = cell.memory.lock().await.asked().cloned();
        let mut gateway = Self {
            house: Arc::clone(house),
            cell: Arc::clone(cell),
            dir,
            secrets,
            n: 0,
            live: None,
            attempt: None,
            rendered_from: None,
            running: None,
            compared: None,
            nginx: None,
            lowered_offline: false,
            old_workers: 0,
            reloaded: None,
            problem: None,
        };
        gateway.recover(link.current(), asked.as_ref());
        if gateway.live.is_some() {
            // Workers of before may still be leaving.
            gateway.note_reload();
        }
        if !house.config.dry_run {
            gateway.publish();
        }
        if let Some(intent) = asked {
            cell.gateway.ask(intent);
        }
        Ok(gateway)
    }

    /// What the symlink on disk says is live. A twin of the very intent that the journal has in force means that
    /// somebody lowered it without the daemon.
    fn recover(&mut self, current: Option<GenerationId>, asked: Option<&Intent>) {
        let Some(generation) = current else { return };
        let Some(mut intent) = intent_of(&self.dir, generation) else { return };
        if generation.is_twin() {
            self.lowered_offline =
                asked.is_some_and(|a| a.traffic.canary() > canaryd_rollout::Weight::ZERO && a.seq == intent.seq);
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
            Wanted::Nothing => return QUIET,
            Wanted::Removed => self.end().await,
            Wanted::Serve(intent) => self.serve(&intent).await,
        };
        let before = std::mem::replace(&mut self.problem, outcome.err().map(|error| format!("{error:#}")));
        if let Some(problem) = self.problem.as_ref().filter(|p| Some(*p) != before.as_ref()) {
            tracing::warn!(rollout = %self.cell.name, problem, "the gateway is not as asked yet");
        }
        self.publish();
        if self.problem.is_some() || self.old_workers > 0 { SOON } else { QUIET }
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
            problem: self.problem.clone(),
        });
    }

    async fn end(&mut self) -> Result<()> {
        self.house.engine.remove_gateway(&self.cell.name, true).await?;
        self.live = None;
        self.running = None;
        *lock(&self.cell.gateway.ops) = None;
        Ok(())
    }

    async fn serve(&mut self, wanted: &Intent) -> Result<()> {
        self.notice_offline_lowering();
        // First of all, and with nothing in front of it that can fail.
        self.lower_if_asked(wanted).await?;
        self.settle_attempt().await?;
        let rollout = lock(&self.cell.wish).rollout.clone().context("no valid manifest describes the gateway")?;
        self.ensure_container(&rollout, wanted).await?;
        find_route(&self.house, &self.cell.name, Ports::of(&self.settings(&rollout, wanted)).ops).await;
        self.make_live(&rollout, wanted).await?;
        self.count_old_workers().await;
        self.rotate().await;
        self.compare(&rollout, wanted).await;
        Ok(())
    }

    fn notice_offline_lowering(&mut self) {
        let Some(live) = &mut self.live else { return };
        let Ok(link) = link(&self.dir, &self.secrets, None) else { return };
        let Some(current) = link.current() else { return };
        if current.is_twin()
            && current.original().to_string() == live.generation
            && live.intent.traffic.canary() > canaryd_rollout::Weight::ZERO
        {
            self.lowered_offline = true;
            live.intent.traffic = lowered(live.intent.traffic);
            live.generation = current.to_string();
            live.since = Timestamp::now();
        }
    }

    /// To 0 % by the prepared twin: a rename and a signal.
    async fn lower_if_asked(&mut self, wanted: &Intent) -> Result<()> {
        let may_be_live = self.attempt.as_ref().into_iter().chain(self.live.as_ref().map(|live| &live.intent));
        let Some(lowered) = may_be_live.into_iter().find(|intent| twin_does(wanted, intent)).cloned() else {
            return Ok(());
        };
        let Ok((link, master)) = self.link_and_master() else { return self.lower_at_rest(wanted, lowered) };
        let began = Instant::now();
        let proven = link.lower(&master).await.context("cannot lower by the prepared twin");
        let generation = match proven {
            Ok(proven) => proven.generation,
            Err(error) => {
                tracing::warn!(rollout = %self.cell.name, error = format!("{error:#}"), "trying the long way");
                return Ok(());
            }
        };
        tracing::info!(rollout = %self.cell.name, %generation, took_ms = began.elapsed().as_millis(), "canary at 0 %");
        // Whichever generation was current: its twin has its replicas.
        let mut intent = intent_of(&self.dir, generation).unwrap_or(lowered);
        (intent.seq, intent.traffic) = (wanted.seq, wanted.traffic);
        self.attempt = None;
        self.live = Some(Live { intent, generation: generation.to_string(), since: Timestamp::now() });
        self.note_reload();
        self.publish_live();
        Ok(())
    }

    /// The gateway does not run: it is to start on the twin.
    fn lower_at_rest(&mut self, wanted: &Intent, lowered: Intent) -> Result<()> {
        let link = link(&self.dir, &self.secrets, None)?;
        link.swap_to_twin()?;
        let generation = link.current().context("the gateway has no generation")?;
        let mut intent = intent_of(&self.dir, generation).unwrap_or(lowered);
        (intent.seq, intent.traffic) = (wanted.seq, wanted.traffic);
        self.attempt = None;
        self.live = Some(Live { intent, generation: generation.to_string(), since: Timestamp::now() });
        Ok(())
    }

    /// Finds out what is live after a turn that was cut short.
    async fn settle_attempt(&mut self) -> Result<()> {
        if self.attempt.is_some() {
            self.confirm().await?;
            self.attempt = None;
        }
        Ok(())
    }

    /// Tells the rollout at once, before slower work of the same turn.
    fn publish_live(&self) {
        let mut view = self.cell.gateway.view();
        view.live.clone_from(&self.live);
        view.old_workers = self.old_workers;
        view.lowered_offline = self.lowered_offline;
        self.cell.gateway.publish(view);
    }

    fn link_and_master(&self) -> Result<(Link, EngineMaster)> {
        let running = self.running.clone().or_else(|| self.observed()).with_context(|| {
            let name = &self.cell.name;
            format!("the gateway does not run; canaryd starts it again; why it ended: canaryd logs {name} --gateway")
        })?;
        let ops = SocketAddr::from(([127, 0, 0, 1], running.ops_port));
        let link = link(&self.dir, &self.secrets, Some(ops))?;
        Ok((link, EngineMaster { engine: Arc::clone(&self.house.engine), running }))
    }

    /// The gateway in the last observation.
    fn observed(&self) -> Option<Running> {
        let observation = self.house.observer.seen().observation?;
        let gateway = observation.gateways.iter().find(|g| g.rollout == self.cell.name)?;
        (gateway.state == RunState::Running).then_some(())?;
        Some(Running {
            id: gateway.id.clone(),
            pid: gateway.pid,
            ops_port: gateway.ops_port?,
            started_at: gateway.started_at,
        })
    }

    /// The version that each lane of an intent runs, by the labels of its containers: what answers, not what a report
    /// said last.
    fn versions(&self, intent: &Intent) -> BTreeMap<Lane, String> {
        let observation = self.house.observer.seen().observation;
        let containers = || observation.iter().flat_map(|o| &o.containers).filter(|c| c.rollout == self.cell.name);
        let version = |lane: &Lane| {
            let set = &intent.lane(*lane).first()?.set;
            Some((*lane, containers().find(|c| &c.set == set)?.version.clone()))
        };
        [Lane::Production, Lane::Canary].iter().filter_map(version).collect()
    }

    pub(super) fn settings(&self, rollout: &Rollout, intent: &Intent) -> Settings {
        Settings {
            rollout: self.cell.name.clone(),
            spec: rollout.gateway.clone(),
            app_port: rollout.app.port.unwrap_or(80),
            mode: rollout.analysis.mode.clone(),
            versions: self.versions(intent),
            ops_token: self.secrets.ops_token.clone(),
            force_token: rollout.gateway.force.as_ref().map(|_| self.secrets.force_token.clone()),
            client_salt: self.secrets.client_salt.clone(),
            nginx: self.nginx.unwrap_or(NginxVersion::new(0, 0, 0)),
            relay_subnet: self.relay_subnet(),
        }
    }

    /// The engine gives each gateway a /24 of its own; the relay may reach nothing else.
    fn relay_subnet(&self) -> String {
        let observation = self.house.observer.seen().observation;
        let gateway = observation.iter().flat_map(|o| &o.gateways).find(|g| g.rollout == self.cell.name);
        match gateway.and_then(|g| g.addr) {
            Some(IpAddr::V4(addr)) => {
                let [a, b, c, _] = addr.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            Some(IpAddr::V6(_)) | None => "127.255.255.255/32".to_owned(),
        }
    }

    /// The container runs, with a generation to start from; creates what is missing.
    async fn ensure_container(&mut self, rollout: &Rollout, wanted: &Intent) -> Result<()> {
        if let Some(seen) = self.observed() {
            let replaced = self.running.as_ref().is_none_or(|r| r.started_at != seen.started_at || r.id != seen.id);
            self.adopt(seen).await;
            if replaced {
                self.confirm().await?;
            }
            return Ok(());
        }
        let link = link(&self.dir, &self.secrets, None)?;
        if link.current().is_none() {
            let intent = Intent { seq: wanted.seq, traffic: Traffic::Nobody, lanes: BTreeMap::new() };
            let generation = self.next_generation();
            let settings = self.settings(rollout, &intent);
            let (whole, lowered) = (render(&settings, &intent, generation)?, twin(&settings, &intent, generation)?);
            link.prepare(&whole, &lowered, None).await?;
            keep_intent(&self.dir, generation, &intent)?;
            link.swap(generation)?;
            self.live = None;
        }
        let image = self.image(&rollout.gateway.image).await?;
        let plan = plan_of(&self.settings(rollout, wanted), &self.dir, image);
        let made = self.house.engine.ensure_gateway(&plan).await?;
        self.house.observer.look(self.house.engine.as_ref()).await;
        let ops_port = made.ops_port.context("the gateway published no ops port")?;
        self.compared = None;
        self.adopt(Running { id: made.id, pid: made.pid, ops_port, started_at: made.started_at }).await;
        self.confirm().await
    }

    async fn adopt(&mut self, running: Running) {
        if self.running.as_ref() == Some(&running) {
            return;
        }
        let ops = SocketAddr::from(([127, 0, 0, 1], running.ops_port));
        *lock(&self.cell.gateway.ops) = Some(Ops::new(ops, self.secrets.ops_token.clone()));
        self.running = Some(running);
        if let Ok((_, master)) = self.link_and_master() {
            self.nginx = master.version().await;
        }
    }

    /// After a start of daemon or gateway: what the symlink names answers.
    async fn confirm(&mut self) -> Result<()> {
        let (link, master) = self.link_and_master()?;
        let proven = link.confirm(&master).await?;
        if let Some(mut intent) = intent_of(&self.dir, proven.generation) {
            if proven.generation.is_twin() {
                intent.traffic = lowered(intent.traffic);
            }
            self.live = Some(Live { intent, generation: proven.generation.to_string(), since: Timestamp::now() });
        }
        Ok(())
    }

    async fn image(&self, reference: &str) -> Result<String> {
        if let Some(image) = self.house.engine.image(reference).await? {
            return Ok(image.id);
        }
        let (progress, _) = tokio::sync::watch::channel(String::new());
        let pulled = self.house.engine.pull(reference, None, progress).await;
        Ok(pulled.with_context(|| format!("the gateway's image {reference} cannot be had"))?.id)
    }

    async fn make_live(&mut self, rollout: &Rollout, wanted: &Intent) -> Result<()> {
        let settings = self.settings(rollout, wanted);
        if let Some(live) = &self.live
            && same_wish(&live.intent, wanted)
            && self.is_rendered_from(&settings, live)
        {
            let live = live.clone();
            self.rendered_from = Some(settings);
            self.live = Some(Live { intent: wanted.clone(), ..live });
            return Ok(());
        }
        if self.lowered_offline && wanted.traffic.canary() > canaryd_rollout::Weight::ZERO {
            let name = &self.cell.name;
            return Err(anyhow!(
                "the canary was lowered without the daemon and is not raised again; to try it once more: canaryd retry {name}"
            ));
        }
        self.lowered_offline = false;
        let raises = self.live.as_ref().is_none_or(|l| l.intent.traffic.canary() < wanted.traffic.canary());
        let snippets = &rollout.gateway.snippets;
        let test = raises || snippets.http.is_some() || snippets.server.is_some() || snippets.location.is_some();
        let generation = self.next_generation();
        let (whole, lowered) = (render(&settings, wanted, generation)?, twin(&settings, wanted, generation)?);
        let (link, master) = self.link_and_master()?;
        keep_intent(&self.dir, generation, wanted)?;
        self.attempt = Some(wanted.clone());
        let proven = link.apply(&whole, &lowered, &master, test).await;
        let nobody_served = self.live.as_ref().is_none_or(|live| live.intent.traffic == Traffic::Nobody);
        if proven.is_ok() && nobody_served {
            // Said to serve, it must answer no new connection with 503 any more.
            tokio::time::sleep(OLD_WORKERS_ACCEPT).await;
        }
        // Not put back, it may still come to life.
        if !matches!(proven, Err(canaryd_link::LinkError::NotLive { put_back: false, .. })) {
            self.attempt = None;
        }
        let proven = proven?;
        tracing::info!(rollout = %self.cell.name, generation = %proven.generation, canary = %wanted.traffic.canary(), took_ms = proven.took.as_millis(), "gateway live");
        self.live =
            Some(Live { intent: wanted.clone(), generation: proven.generation.to_string(), since: Timestamp::now() });
        self.rendered_from = Some(settings);
        self.note_reload();
        if link.sweep(GENERATIONS).is_ok() {
            sweep_intents(&self.dir);
        }
        Ok(())
    }

    /// Whether the live generation would be rendered the same now; after a restart the text on disk tells.
    fn is_rendered_from(&self, settings: &Settings, live: &Live) -> bool {
        if let Some(before) = &self.rendered_from {
            return before == settings;
        }
        let Ok(generation) = live.generation.parse::<GenerationId>() else { return false };
        let Some(intent) = intent_of(&self.dir, generation) else { return false };
        let again = if generation.is_twin() {
            twin(settings, &intent, generation.original())
        } else {
            render(settings, &intent, generation)
        };
        again.is_ok_and(|again| conf_of(&self.dir, generation).as_ref() == Some(&again.nginx_conf))
    }

    fn note_reload(&mut self) {
        self.old_workers = self.old_workers.max(1);
        self.reloaded = Some(Instant::now());
    }

    async fn count_old_workers(&mut self) {
        if self.old_workers == 0 {
            return;
        }
        if let Ok((_, master)) = self.link_and_master()
            && let Ok(count) = canaryd_link::Master::old_workers(&master).await
        {
            let unsettled = self.reloaded.is_some_and(|at| at.elapsed() < SETTLING);
            self.old_workers = count.max(u32::from(unsettled));
        }
    }

    async fn rotate(&self) {
        let log = self.dir.join("log");
        let rotation = Rotation::default();
        let due: Vec<PathBuf> = [canaryd_gateway::container::ACCESS_LOG, canaryd_gateway::container::CANARY_LOG]
            .iter()
            .map(|name| log.join(name))
            .filter(|path| rotation.due(path))
            .collect();
        if due.is_empty() {
            return;
        }
        for path in &due {
            if let Err(error) = rotation.rotate(path) {
                tracing::warn!(%error, path = %path.display(), "a log could not be rotated");
            }
        }
        if let Ok((_, master)) = self.link_and_master()
            && let Err(error) = canaryd_link::Master::reopen(&master).await
        {
            tracing::warn!(rollout = %self.cell.name, error, "the gateway did not reopen its logs yet");
        }
    }

    fn next_generation(&mut self) -> GenerationId {
        self.n += 1;
        GenerationId::new(self.house.config.epoch, self.n)
    }
}

fn link(dir: &std::path::Path, secrets: &Secrets, ops: Option<SocketAddr>) -> Result<Link> {
    let nowhere = SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 0));
    Ok(Link::open(dir, owner(), Ops::new(ops.unwrap_or(nowhere), secrets.ops_token.clone()))?)
}

/// Whether the prepared twin of what is live does what is wanted: all traffic to production. After a lane swap it does
/// not: the production that it knows is the version before.
fn twin_does(wanted: &Intent, live: &Intent) -> bool {
    wanted.lowers(live) && wanted.traffic.canary() == canaryd_rollout::Weight::ZERO
}

/// Equal traffic to equal replicas; only the number may differ.
fn same_wish(a: &Intent, b: &Intent) -> bool {
    a.traffic == b.traffic && a.lanes == b.lanes
}

/// What a twin does with the traffic.
fn lowered(traffic: Traffic) -> Traffic {
    match traffic {
        Traffic::Nobody => Traffic::Nobody,
        Traffic::Split { canary: _ } => Traffic::PRODUCTION,
    }
}
