//! Lowering without a journal: the prepared symlink, then a signal to NGINX itself, else through Docker; then a look at
//! what answers. Nothing else of a gateway is touched.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use canaryd_engine::{DockerEngine, DockerOptions, Engine, ObservedGateway, RunState, Signal};
use canaryd_gateway::{GenerationId, Intent, Lane, Traffic};
use canaryd_link::{Link, LinkError, Ops};
use canaryd_rollout::{RolloutName, Weight};
use rustix::process::kill_process;

use crate::daemon::gateways::{intent_of, live_intent, ops_token};
use crate::daemon::store::gateways_in;
use crate::offline::{masters_of, owner};

/// So long an engine may take to say what runs.
const PATIENCE: Duration = Duration::from_secs(3);
/// NGINX answers by the new configuration within a tenth of a second; then the signal is said again.
const AGAIN: Duration = Duration::from_secs(3);

/// What became of one gateway, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) rollout: RolloutName,
    /// No user is given the canary any more.
    pub(super) at_zero: bool,
    pub(super) text: String,
}

/// Every gateway of a state directory.
pub(super) struct Gateways {
    state: PathBuf,
    instance: String,
    docker_host: Option<String>,
    engine: Option<Arc<dyn Engine>>,
    all: Vec<Gateway>,
}

/// One gateway.
struct Gateway {
    rollout: RolloutName,
    dir: PathBuf,
    stand: Stand,
}

/// How far its lowering is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    /// Its configuration gives a canary nothing.
    Nothing,
    /// Its twin is in place.
    Swapped { signalled: Option<Instant>, trouble: Option<String> },
    /// The twin answers.
    Proven,
    /// The canary's weight stays, for this reason.
    Stays(String),
}

impl Gateways {
    pub(super) fn of(state: &Path, docker_host: Option<String>) -> Self {
        let instance = std::fs::read_to_string(state.join("instance")).unwrap_or_default().trim().to_owned();
        Self { state: state.to_owned(), instance, docker_host, engine: None, all: Vec::new() }
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Brings every canary to 0 % as far as that needs no Docker: a rename and a signal.
    pub(super) fn lower(&mut self) {
        for rollout in gateways_in(&self.state) {
            if !self.all.iter().any(|gateway| gateway.rollout == rollout) {
                let dir = self.state.join("gateways").join(rollout.as_str());
                self.all.push(Gateway { rollout, dir, stand: Stand::Nothing });
            }
        }
        for gateway in &mut self.all {
            gateway.lower();
        }
    }

    /// Looks again, and at what answers; asks Docker where the signal could not be sent, or nothing is proven.
    pub(super) async fn look(&mut self) {
        self.lower();
        if !self.all.iter().any(Gateway::is_unproven) {
            return;
        }
        self.connect().await;
        let engine = self.engine.clone();
        let observed = match &engine {
            Some(engine) => tokio::time::timeout(PATIENCE, engine.observe()).await.ok().and_then(Result::ok),
            None => None,
        };
        for gateway in self.all.iter_mut().filter(|gateway| gateway.is_unproven()) {
            let seen = observed.iter().flat_map(|o| &o.gateways).find(|seen| seen.rollout == gateway.rollout);
            gateway.prove(engine.as_ref(), seen).await;
        }
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.all.iter().map(Gateway::told).collect()
    }

    /// Connects to Docker if it was not yet. Without its own name nothing can be found there.
    async fn connect(&mut self) {
        if self.engine.is_some() || self.instance.is_empty() {
            return;
        }
        let options =
            DockerOptions { host: self.docker_host.clone(), ..DockerOptions::new(&self.instance, &self.state) };
        let connected = tokio::time::timeout(PATIENCE, DockerEngine::connect(options)).await;
        self.engine = connected.ok().and_then(Result::ok).map(|engine| Arc::new(engine) as Arc<dyn Engine>);
    }
}

impl Gateway {
    fn is_unproven(&self) -> bool {
        match self.stand {
            Stand::Swapped { .. } => true,
            Stand::Nothing | Stand::Proven | Stand::Stays(_) => false,
        }
    }

    /// Swaps the twin in where the live configuration gives a canary weight, and signals at once.
    fn lower(&mut self) {
        let Some(current) = Link::look(&self.dir).current else { return };
        let intent = intent_of(&self.dir, current);
        if !needs_lowering(current, intent.as_ref()) {
            // A run before this one may have swapped it in and ended before it could signal.
            let is_lowered = current.is_twin() && intent.is_some_and(|i| i.traffic.canary() > Weight::ZERO);
            if self.stand == Stand::Nothing && is_lowered {
                self.stand = Stand::Swapped { signalled: None, trouble: None };
            }
            return;
        }
        if let Some(why) = intent.as_ref().and_then(stands_in) {
            self.stay(why);
            return;
        }
        match self.swap() {
            Ok(()) => {
                tracing::warn!(rollout = %self.rollout, generation = %current.twin(), "safe mode: the canary goes to 0 %");
                self.stand = Stand::Swapped { signalled: None, trouble: None };
                self.signal_directly();
            }
            Err(error) => self.stay(format!("{error:#}")),
        }
    }

    fn stay(&mut self, why: String) {
        let stand = Stand::Stays(why);
        if self.stand != stand {
            self.stand = stand;
            tracing::error!(rollout = %self.rollout, "safe mode: {}", self.told().text);
        }
    }

    fn swap(&self) -> Result<()> {
        let nowhere = Ops::new(SocketAddr::from(([127, 0, 0, 1], 0)), String::new());
        let link = Link::open(&self.dir, owner(), nowhere)?;
        match link.swap_to_twin() {
            Ok(_) => Ok(()),
            Err(LinkError::NoTwin) => bail!("it has no prepared all-production configuration"),
            Err(error) => Err(error.into()),
        }
    }

    /// Without Docker: the master process of this gateway, found by what it has mounted.
    fn signal_directly(&mut self) {
        let signal = || -> Result<()> {
            let masters = masters_of(&self.dir)?;
            if masters.is_empty() {
                bail!("no NGINX of it runs where this process can see it");
            }
            for master in masters {
                kill_process(master, rustix::process::Signal::HUP).context("cannot signal its NGINX")?;
            }
            Ok(())
        };
        let trouble = signal().err().map(|error| format!("{error:#}"));
        let signalled = trouble.is_none().then(Instant::now);
        self.stand = Stand::Swapped { signalled, trouble };
    }

    /// Asks which generation answers; signals again while it is another.
    async fn prove(&mut self, engine: Option<&Arc<dyn Engine>>, seen: Option<&ObservedGateway>) {
        let Some(current) = Link::look(&self.dir).current else { return };
        if let Some(seen) = seen.filter(|seen| seen.state != RunState::Running) {
            let trouble = Some(format!("its container {} does not run, and is at 0 % when it does", seen.name));
            self.stand = Stand::Swapped { signalled: None, trouble };
            return;
        }
        let answers = self.generation(seen).await;
        if answers == Some(current) {
            tracing::warn!(rollout = %self.rollout, generation = %current, "safe mode: canary at 0 %, proven");
            self.stand = Stand::Proven;
            return;
        }
        let Stand::Swapped { signalled, .. } = self.stand else { return };
        // Nobody can say what answers: said once, it is not said again.
        let due = signalled.is_none_or(|at| answers.is_some() && at.elapsed() > AGAIN);
        if due {
            self.signal_directly();
            if let (Stand::Swapped { signalled: None, .. }, Some(engine), Some(seen)) = (&self.stand, engine, seen) {
                let told = engine.signal(&seen.id, seen.pid, Signal::Hup).await;
                let trouble = told.as_ref().err().map(ToString::to_string);
                self.stand = Stand::Swapped { signalled: told.is_ok().then(Instant::now), trouble };
            }
        }
    }

    async fn generation(&self, seen: Option<&ObservedGateway>) -> Option<GenerationId> {
        let port = seen?.ops_port?;
        let ops = Ops::new(SocketAddr::from(([127, 0, 0, 1], port)), ops_token(&self.dir)?);
        ops.generation().await.ok()
    }

    fn is_stopped(&self) -> bool {
        live_intent(&self.dir).is_some_and(|intent| matches!(intent.traffic, Traffic::Stopped { .. }))
    }

    fn told(&self) -> Told {
        let name = &self.rollout;
        let (at_zero, text) = match &self.stand {
            Stand::Nothing if self.is_stopped() => {
                (true, format!("{name}: stopped for maintenance, users get a page with 503; no canary had a share"))
            }
            Stand::Nothing => (true, format!("{name}: production serves all; no canary had a share")),
            Stand::Proven => (true, format!("{name}: production serves all; its canary was taken to 0 %")),
            Stand::Swapped { signalled: Some(_), .. } => {
                (true, format!("{name}: its canary was taken to 0 %; NGINX was told, and it is not proven yet"))
            }
            Stand::Swapped { signalled: None, trouble } => {
                let why = trouble.clone().unwrap_or_else(|| "it is signalled next".to_owned());
                let text = format!(
                    "error: {name}: its canary is at 0 % as soon as NGINX reads its configuration again ({why}): \
                     docker kill -s HUP {name}-gateway"
                );
                (false, text)
            }
            Stand::Stays(why) => (false, format!("error: {name}: its canary keeps its share: {why}")),
        };
        Told { rollout: name.clone(), at_zero, text }
    }
}

/// Whether users are given a canary by the configuration that is current.
fn needs_lowering(current: GenerationId, intent: Option<&Intent>) -> bool {
    // What is not known to give it nothing may give it something; then the twin is the same or better.
    !current.is_twin() && intent.is_none_or(|intent| intent.traffic.canary() > Weight::ZERO)
}

/// The canary answers for a production without a running container: to take it off would be to answer nobody.
fn stands_in(intent: &Intent) -> Option<String> {
    let alone = intent.lane(Lane::Production).is_empty() && !intent.lane(Lane::Canary).is_empty();
    alone.then(|| "production has no container that runs, and without the canary nobody would be answered".to_owned())
}

#[cfg(test)]
#[path = "gateways_tests.rs"]
mod tests;
