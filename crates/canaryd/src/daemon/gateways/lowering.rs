//! Taking the canary's weight off: a rename and a signal, with nothing in front of it that can fail.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use canaryd_gateway::{Intent, Lane, Traffic};
use canaryd_link::Why;
use canaryd_planner::Live;
use canaryd_rollout::Weight;
use jiff::Timestamp;

use super::attempts::ended;
use super::disk::intent_of;
use super::running::link;
use super::turn::Gateway;

impl Gateway {
    /// Whether somebody lowered what is live without the daemon, unknown before.
    pub(super) fn notices_offline_lowering(&mut self) -> bool {
        let Some(live) = &mut self.live else { return false };
        let Ok(link) = link(&self.dir, &self.secrets, None) else { return false };
        let Some(current) = link.current() else { return false };
        // A swap of our own whose signal failed is tried again by whoever wants it.
        let is_news = current.is_twin()
            && !link.was_lowered_by_daemon()
            && current.original().to_string() == live.generation
            && live.intent.traffic.canary() > Weight::ZERO;
        if is_news {
            self.lowered_offline = true;
            live.intent.traffic = lowered(live.intent.traffic);
            live.generation = current.to_string();
            live.since = Timestamp::now();
        }
        is_news
    }

    /// To 0 % by the prepared twin: a rename and a signal.
    pub(super) async fn lower_if_asked(&mut self, wanted: &Intent) -> Result<()> {
        let may_be_live = self.attempt.as_ref().into_iter().chain(self.live.as_ref().map(|live| &live.intent));
        let Some(lowered) = may_be_live.into_iter().find(|intent| twin_does(wanted, intent)).cloned() else {
            return Ok(());
        };
        let Ok((link, master)) = self.link_and_master() else { return self.lower_at_rest(wanted, lowered) };
        let began = Instant::now();
        let seen = self.house.observer.subscribe();
        let proven = tokio::select! {
            proven = link.lower(&master, why(wanted)) => proven.context("cannot lower by the prepared twin"),
            // The swap was the first thing done: its successor starts on the twin.
            () = ended(seen, &self.cell.name, &master.running) => Err(anyhow!("the gateway's container ended")),
        };
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
        link.swap_to_own_twin(why(wanted))?;
        let generation = link.current().context("the gateway has no generation")?;
        let mut intent = intent_of(&self.dir, generation).unwrap_or(lowered);
        (intent.seq, intent.traffic) = (wanted.seq, wanted.traffic);
        self.attempt = None;
        self.live = Some(Live { intent, generation: generation.to_string(), since: Timestamp::now() });
        Ok(())
    }
}

/// What a start that finds no record of it is to think of it.
fn why(wanted: &Intent) -> Why {
    if wanted.precaution { Why::Precaution } else { Why::Decided }
}

/// Whether the prepared twin of what is live does what is wanted: all traffic to production. After a lane swap it does
/// not: the production that it knows is the version before.
fn twin_does(wanted: &Intent, live: &Intent) -> bool {
    wanted.lowers(live) && wanted.traffic.canary() == Weight::ZERO
}

/// What a twin does with the traffic.
pub(super) fn lowered(traffic: Traffic) -> Traffic {
    match traffic {
        unchanged @ (Traffic::Nobody | Traffic::Stopped { .. }) => unchanged,
        Traffic::Split { canary: _ } => Traffic::PRODUCTION,
    }
}

/// Whether the journal wants what no lowering of its own leads to: weight for the canary of the twin, without having asked
/// for none since the twin was made; or that canary as production.
pub(super) fn is_against(asked: &Intent, twin: &Intent, without_canary: u64) -> bool {
    let set_of = |intent: &Intent, lane: Lane| intent.lane(lane).first().map(|e| e.set.clone());
    let Some(canary) = set_of(twin, Lane::Canary) else { return false };
    if asked.traffic.canary() > Weight::ZERO {
        return set_of(asked, Lane::Canary) == Some(canary) && twin.seq > without_canary;
    }
    set_of(asked, Lane::Production) == Some(canary)
}
