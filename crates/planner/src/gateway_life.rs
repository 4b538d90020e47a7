//! What befell the gateway's container, for the history. It is started again, or made anew, elsewhere.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::crash::{by_whom, clock};
use crate::report::Severity;
use crate::turn::Turn;
use crate::world::{Exit, ExitCause, GatewayContainer};

/// So long it may turn out that it did not end by itself.
const DOUBT: SignedDuration = SignedDuration::from_secs(2);

/// The life of the gateway's container that the history knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GatewayLife {
    container: String,
    started_at: Option<Timestamp>,
    /// It is over, and the history has that.
    over: bool,
    /// Somebody paused it, and the history has that.
    #[serde(default)]
    paused: bool,
}

impl GatewayLife {
    fn of(container: &GatewayContainer) -> Self {
        Self { container: container.id.clone(), started_at: container.started_at, over: false, paused: false }
    }

    /// Where nobody could look into it, nothing speaks against it.
    fn is_of(&self, seen: &GatewayContainer) -> bool {
        let began = seen.started_at.is_none_or(|at| Some(at) == self.started_at);
        seen.runs && seen.id == self.container && began
    }
}

impl Turn<'_> {
    /// Told once when it is gone, whoever did it, and once when it runs again; so is a pause.
    pub(crate) fn tell_gateway_life(&mut self) {
        if self.memory.deletion.is_some() {
            self.memory.gateway_life = None;
            return;
        }
        if !self.engine_answers() {
            return;
        }
        let running = self.world.gateway.container.as_ref().filter(|container| container.runs);
        let Some(mut life) = self.memory.gateway_life.take() else {
            self.memory.gateway_life = running.map(GatewayLife::of);
            return;
        };
        if !life.over && self.gateway_lives_on(&life) {
            self.tell_gateway_pause(&mut life);
            self.memory.gateway_life = Some(life);
            return;
        }
        if !life.over {
            life.over = true;
            let what = self.end_of_gateway(&life);
            self.tell(Severity::Warning, "gateway-lost", format!("the gateway's container {what}"));
        }
        if let Some(container) = running {
            self.tell(Severity::Info, "gateway-back", "the gateway's container runs again".to_owned());
            life = GatewayLife::of(container);
        }
        self.memory.gateway_life = Some(life);
    }

    fn tell_gateway_pause(&mut self, life: &mut GatewayLife) {
        let paused = self.world.gateway.container.as_ref().is_some_and(|container| container.paused);
        match (std::mem::replace(&mut life.paused, paused), paused) {
            (false, true) => {
                let way_on = format!("docker unpause {} lets it go on", life.container);
                let message =
                    format!("the gateway's container was paused, and not by canaryd: it answers nobody; {way_on}");
                self.tell(Severity::Warning, "gateway-paused", message);
            }
            (true, false) => {
                self.tell(Severity::Info, "gateway-unpaused", "the gateway's container is no longer paused".to_owned());
            }
            (false, false) | (true, true) => {}
        }
    }

    /// Nothing has ended, or it is not known yet who ended it.
    fn gateway_lives_on(&self, life: &GatewayLife) -> bool {
        let Some(seen) = self.world.gateway.container.as_ref() else { return false };
        let doubtful = |exit: &Exit| {
            let age = self.now.duration_since(exit.at);
            exit.cause == ExitCause::Itself && age.abs() < DOUBT
        };
        life.is_of(seen) || (seen.id == life.container && seen.exit.as_ref().is_some_and(doubtful))
    }

    /// Whether a look in a second is due: who ended it is not known yet.
    pub(crate) fn owes_gateway_life(&self) -> bool {
        let seen = self.world.gateway.container.as_ref();
        let untold = |life: &GatewayLife| !life.over && !seen.is_some_and(|seen| life.is_of(seen));
        self.memory.deletion.is_none() && self.memory.gateway_life.as_ref().is_some_and(untold)
    }

    fn end_of_gateway(&self, life: &GatewayLife) -> String {
        let seen = self.world.gateway.container.as_ref().filter(|seen| seen.id == life.container);
        let Some(seen) = seen else { return "was removed, and not by canaryd; it is made anew".to_owned() };
        let Some(exit) = &seen.exit else { return "has ended; it is started again".to_owned() };
        let who = by_whom(exit.cause);
        format!("ended with exit code {} at {}{who}; it is started again", exit.code, clock(exit.at))
    }
}
