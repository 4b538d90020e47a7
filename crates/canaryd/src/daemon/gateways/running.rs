//! The gateway's container as it runs: made, found again, asked, and ended.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use canaryd_engine::RunState;
use canaryd_gateway::{Intent, Traffic, render, twin};
use canaryd_link::{Link, Ops};
use canaryd_planner::Live;
use canaryd_rollout::Rollout;
use canaryd_telemetry::Rotation;
use jiff::Timestamp;

use super::attempts::ended;
use super::container::{EngineMaster, Running, owner, plan_of};
use super::disk::{Secrets, intent_of, keep_intent};
use super::lowering::lowered;
use super::settings::Choices;
use super::turn::Gateway;
use crate::daemon::bells::lock;

/// The master tells its old workers to leave 100 ms after the new ones answer, on a busy host later: until then none of
/// them can be told from a new one, and they still take requests.
const SETTLING: Duration = Duration::from_secs(1);

impl Gateway {
    /// The container goes, then everything that was kept for it: configurations, logs, tokens. In this order, and only
    /// when the engine says that it is gone.
    pub(super) async fn end(&mut self) -> Result<()> {
        if !self.ended {
            self.end_container().await?;
            self.ended = true;
        }
        let (store, name) = (self.house.store.clone(), self.cell.name.clone());
        let discarded = tokio::task::spawn_blocking(move || store.discard_gateway(&name)).await?;
        discarded.with_context(|| format!("cannot remove {}", self.dir.display()))?;
        crate::daemon::evidence::forget_log(&self.house, &self.cell).await;
        self.removed = true;
        Ok(())
    }

    async fn end_container(&mut self) -> Result<()> {
        self.house.engine.remove_gateway(&self.cell.name, true).await?;
        let seen = self.house.engine.observe().await?;
        if seen.gateways.iter().any(|gateway| gateway.rollout == self.cell.name) {
            bail!("its container is still there");
        }
        self.live = None;
        self.running = None;
        *lock(&self.cell.gateway.ops) = None;
        Ok(())
    }

    pub(super) fn link_and_master(&self) -> Result<(Link, EngineMaster)> {
        let running = self.running.clone().or_else(|| self.observed()).with_context(|| {
            let name = &self.cell.name;
            format!("the gateway does not run; canaryd starts it again; why it ended: canaryd logs {name} --gateway")
        })?;
        let ops = SocketAddr::from(([127, 0, 0, 1], running.ops_port));
        let link = link(&self.dir, &self.secrets, Some(ops))?;
        Ok((link, EngineMaster { engine: Arc::clone(&self.house.engine), running }))
    }

    /// The gateway in the last observation.
    pub(super) fn observed(&self) -> Option<Running> {
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

    /// The container runs, with a generation to start from; creates what is missing.
    pub(super) async fn ensure_container(&mut self, rollout: &Rollout, wanted: &Intent) -> Result<()> {
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
            // A gateway that is made anew while it is stopped shows the page from its first answer on.
            let traffic = match wanted.traffic {
                stopped @ Traffic::Stopped { .. } => stopped,
                Traffic::Nobody | Traffic::Split { .. } => Traffic::Nobody,
            };
            let lanes = if traffic == wanted.traffic { wanted.lanes.clone() } else { BTreeMap::new() };
            let intent = Intent { seq: wanted.seq, traffic, lanes, precaution: false };
            let generation = self.next_generation();
            let settings = self.settings(&Choices::of(rollout), &intent);
            let (whole, lowered) = (render(&settings, &intent, generation)?, twin(&settings, &intent, generation)?);
            link.prepare(&whole, &lowered, None).await?;
            keep_intent(&self.dir, generation, &intent)?;
            link.swap(generation)?;
            self.live = None;
        }
        let image = self.image(&rollout.gateway.image).await?;
        let plan = plan_of(&self.settings(&Choices::of(rollout), wanted), &self.dir, image);
        let made = self.house.engine.ensure_gateway(&plan).await?;
        self.house.observer.look(self.house.engine.as_ref()).await;
        let ops_port = made.ops_port.context("the gateway published no ops port")?;
        self.compared = None;
        self.adopt(Running { id: made.id, pid: made.pid, ops_port, started_at: made.started_at }).await;
        self.confirm().await
    }

    pub(super) async fn adopt(&mut self, running: Running) {
        if self.running.as_ref() == Some(&running) {
            return;
        }
        let ops = SocketAddr::from(([127, 0, 0, 1], running.ops_port));
        *lock(&self.cell.gateway.ops) = Some(Ops::new(ops, self.secrets.ops_token.clone()));
        self.running = Some(running);
        lock(&self.cell.gateway.standing).try_again();
        if let Ok((_, master)) = self.link_and_master() {
            self.nginx = master.version().await;
        }
    }

    /// After a start of daemon or gateway: what the symlink names answers.
    pub(super) async fn confirm(&mut self) -> Result<()> {
        let (link, master) = self.link_and_master()?;
        let seen = self.house.observer.subscribe();
        let proven = tokio::select! {
            proven = link.confirm(&master) => proven?,
            () = ended(seen, &self.cell.name, &master.running) => {
                self.died_at_start = true;
                bail!("the gateway's container ended before it answered");
            }
        };
        self.died_at_start = false;
        self.attempt = None;
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
        let way_on = "docker load it, or name another in gateway.image of the manifest";
        Ok(pulled.with_context(|| format!("the gateway's image {reference} cannot be had ({way_on})"))?.id)
    }

    pub(super) async fn count_old_workers(&mut self) {
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

    /// Keeps the logs small. One that is not there was renamed by a run that ended before it told NGINX, or was removed by
    /// somebody: NGINX writes on where nobody looks until it opens its logs anew.
    pub(super) async fn rotate(&self) {
        let log = self.dir.join("log");
        let rotation = Rotation::default();
        let paths = [canaryd_gateway::container::ACCESS_LOG, canaryd_gateway::container::CANARY_LOG];
        let mut reopen = false;
        for path in paths.iter().map(|name| log.join(name)) {
            let due = rotation.due(&path);
            reopen |= due || !path.exists();
            if due && let Err(error) = rotation.rotate(&path) {
                tracing::warn!(%error, path = %path.display(), "a log could not be rotated");
            }
        }
        if reopen
            && let Ok((_, master)) = self.link_and_master()
            && let Err(error) = canaryd_link::Master::reopen(&master).await
        {
            tracing::warn!(rollout = %self.cell.name, error, "the gateway did not reopen its logs yet");
        }
    }
}

pub(super) fn link(dir: &Path, secrets: &Secrets, ops: Option<SocketAddr>) -> Result<Link> {
    let nowhere = SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 0));
    Ok(Link::open(dir, owner(), Ops::new(ops.unwrap_or(nowhere), secrets.ops_token.clone()))?)
}
