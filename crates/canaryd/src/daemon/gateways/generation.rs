//! One version of the configuration: what it is rendered from, and how it becomes live.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use canaryd_gateway::{GenerationId, Intent, Lane, NginxVersion, RenderError, Settings, Traffic, render, twin};
use canaryd_link::LinkError;
use canaryd_planner::Live;
use canaryd_rollout::Weight;
use jiff::Timestamp;

use super::attempts::ended;
use super::disk::{conf_of, intent_of, keep_intent, sweep_intents};
use super::pages;
use super::settings::{Choices, Standing, in_words};
use super::turn::Gateway;
use crate::daemon::bells::lock;

/// Generations that stay on disk.
const GENERATIONS: usize = 20;

/// NGINX's workers before a reload take new connections for 100 ms more.
const OLD_WORKERS_ACCEPT: Duration = Duration::from_millis(150);

impl Gateway {
    pub(super) fn settings(&self, choices: &Choices, intent: &Intent) -> Settings {
        Settings {
            rollout: self.cell.name.clone(),
            spec: choices.spec.clone(),
            app_port: choices.app_port,
            mode: choices.mode.clone(),
            versions: self.versions(intent),
            ops_token: self.secrets.ops_token.clone(),
            force_token: choices.spec.force.as_ref().map(|_| self.secrets.force_token.clone()),
            client_salt: self.secrets.client_salt.clone(),
            nginx: self.nginx.unwrap_or(NginxVersion::new(0, 0, 0)),
            relay_subnet: self.relay_subnet(),
            page: pages::shown(&self.dir, intent.traffic),
        }
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

    /// Makes an intent live: by the newest choices, or by those that NGINX accepted last while it refuses them.
    pub(super) async fn make_live(&mut self, newest: &Choices, wanted: &Intent) -> Result<()> {
        let choices = lock(&self.cell.gateway.standing).choose(newest);
        let Err(error) = self.make_live_by(&choices, wanted).await else {
            self.note_standing(|standing, dir| standing.accept(dir, &choices));
            return Ok(());
        };
        let accepted = lock(&self.cell.gateway.standing).other_than(newest);
        let Some(accepted) = accepted.filter(|_| choices == *newest) else { return Err(error) };
        if let Some(why) = self.refusal(&error) {
            self.note_standing(|standing, dir| standing.refuse(dir, newest, why));
            return self.make_live_by(&accepted, wanted).await;
        }
        if matches!(error.downcast_ref(), Some(LinkError::Master { what: "test", .. })) {
            // Nothing is known of the newest; what was live needs no test.
            self.make_live_by(&accepted, wanted).await?;
        }
        Err(error)
    }

    /// Why NGINX does not take a configuration, where it is the configuration's fault.
    fn refusal(&self, error: &anyhow::Error) -> Option<String> {
        if let Some(unfit) = error.downcast_ref::<RenderError>().filter(|unfit| unfit.field.starts_with("spec.")) {
            return Some(unfit.to_string());
        }
        let (generation, output) = match error.downcast_ref()? {
            LinkError::Refused { generation, output } => (*generation, output),
            LinkError::NotLive { generation, emerg: Some(emerg), put_back: true, .. } => (*generation, emerg),
            LinkError::NotLive { .. } | LinkError::File { .. } | LinkError::Master { .. } | LinkError::NoTwin => {
                return None;
            }
        };
        let said = in_words(output, &conf_of(&self.dir, generation).unwrap_or_default());
        Some(format!("NGINX refuses {said}"))
    }

    /// The planner hears of it when NGINX's word is another one than before.
    fn note_standing(&self, note: impl FnOnce(&mut Standing, &Path) -> bool) {
        if note(&mut lock(&self.cell.gateway.standing), &self.dir) {
            self.cell.bell.ring();
        }
    }

    async fn make_live_by(&mut self, choices: &Choices, wanted: &Intent) -> Result<()> {
        let settings = self.settings(choices, wanted);
        if let Some(live) = self.live.clone().filter(|_| !self.tampered && self.does_by(&settings, wanted)) {
            let generation = live.generation.parse::<GenerationId>().ok();
            self.rendered = generation.map(|generation| (generation.original(), settings));
            self.live = Some(Live { intent: wanted.clone(), ..live });
            return Ok(());
        }
        if self.lowered_offline && wanted.traffic.canary() > Weight::ZERO {
            let name = &self.cell.name;
            return Err(anyhow!(
                "the canary was lowered without the daemon and is not raised again; to try it once more: canaryd retry {name}"
            ));
        }
        if self.unexplained && wanted.traffic.canary() > Weight::ZERO {
            return Err(anyhow!("the canary was lowered, and it is looked for why"));
        }
        self.lowered_offline = false;
        let raises = self.live.as_ref().is_none_or(|l| l.intent.traffic.canary() < wanted.traffic.canary());
        let snippets = &choices.spec.snippets;
        let own = snippets.http.is_some() || snippets.server.is_some() || snippets.location.is_some();
        // A page is a text of the user's own, too; nothing is stopped before NGINX has taken it.
        let stops = matches!(wanted.traffic, Traffic::Stopped { .. });
        let test = raises || stops || (own && !lock(&self.cell.gateway.standing).has_accepted(choices));
        let generation = self.next_generation();
        let (whole, lowered) = (render(&settings, wanted, generation)?, twin(&settings, wanted, generation)?);
        let (link, master) = self.link_and_master()?;
        keep_intent(&self.dir, generation, wanted)?;
        self.attempt = Some(wanted.clone());
        self.rendered = Some((generation, settings));
        let seen = self.house.observer.subscribe();
        let proven = tokio::select! {
            proven = link.apply(&whole, &lowered, &master, test) => proven,
            () = ended(seen, &self.cell.name, &master.running) => bail!("the gateway's container ended in the middle of it"),
        };
        // Those that were refused take as much room as those that were live.
        if link.sweep(GENERATIONS).is_ok() {
            sweep_intents(&self.dir);
            pages::sweep(&self.dir, wanted.traffic);
        }
        let nobody_served = self.live.as_ref().is_none_or(|live| !live.intent.traffic.reaches_somebody());
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
        self.tampered = false;
        self.note_reload();
        Ok(())
    }

    /// Whether what is live does what is wanted, by these choices.
    pub(super) fn does(&self, choices: &Choices, wanted: &Intent) -> bool {
        self.does_by(&self.settings(choices, wanted), wanted)
    }

    fn does_by(&self, settings: &Settings, wanted: &Intent) -> bool {
        self.live.as_ref().is_some_and(|live| same_wish(&live.intent, wanted) && self.is_rendered_from(settings, live))
    }

    /// Whether the live generation would be rendered the same now; after a restart the text on disk tells.
    fn is_rendered_from(&self, settings: &Settings, live: &Live) -> bool {
        let Ok(generation) = live.generation.parse::<GenerationId>() else { return false };
        if let Some((_, before)) = self.rendered.as_ref().filter(|(of, _)| *of == generation.original()) {
            return before == settings;
        }
        let Some(intent) = intent_of(&self.dir, generation) else { return false };
        let again = if generation.is_twin() {
            twin(settings, &intent, generation.original())
        } else {
            render(settings, &intent, generation)
        };
        again.is_ok_and(|again| conf_of(&self.dir, generation).as_ref() == Some(&again.nginx_conf))
    }

    pub(super) fn next_generation(&self) -> GenerationId {
        let n = self.cell.gateway.generations.fetch_add(1, Ordering::Relaxed) + 1;
        GenerationId::new(self.house.config.epoch, n)
    }
}

/// Equal traffic to equal replicas; only the number may differ.
fn same_wish(a: &Intent, b: &Intent) -> bool {
    a.traffic == b.traffic && a.lanes == b.lanes
}
