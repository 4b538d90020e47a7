//! What cannot be done for the version on trial. Only what the version itself asks for in vain is its fault. A port that is
//! taken or a network that is missing is the host's: the version gets no requests, is tried again for a while, and then waits
//! for a person; it is never remembered as bad for it. What may pass by itself is tried again likewise, at the weight it has.

use std::time::Duration;

use crate::crew::Crew;
use crate::deadline::words;
use crate::report::{Outcome, Severity, Waiting};
use crate::trial::Refusal;
use crate::turn::{Did, Turn};
use crate::world::{Fault, Trouble};

/// So long something is tried again before a person is asked.
const PATIENCE: Duration = Duration::from_secs(300);

impl Turn<'_> {
    /// The worst that keeps the trial from running as it should.
    pub(crate) fn heed_trouble(&mut self) -> Option<Did> {
        let trial = self.trial().filter(|_| !self.is_reverting())?;
        let ours = |t: &&Trouble| trial.crews.values().any(|c| c.set == t.set);
        let worst = self.world.engine.troubles.iter().filter(ours).max_by_key(|t| t.fault);
        let Some(trouble) = worst else { return self.heed_mended() };
        match trouble.fault {
            Fault::Version if !self.engine_answers() => self.heed_refusal(&trouble.what, false),
            Fault::Version => Some(self.take_off(Outcome::Reverted, &trouble.what, None, None)),
            Fault::Host => self.heed_refusal(&trouble.what, true),
            Fault::Passing => self.heed_refusal(&trouble.what, false),
        }
    }

    fn heed_refusal(&mut self, what: &str, by_host: bool) -> Option<Did> {
        self.refused = true;
        let counts = self.memory.paused.is_none() && self.engine_answers();
        let delta = self.delta;
        let trial = self.memory.trial.as_mut()?;
        let fresh = Refusal { what: String::new(), host: false, spent: Duration::ZERO };
        let refusal = trial.refusal.get_or_insert(fresh);
        let is_news = by_host && !refusal.host;
        what.clone_into(&mut refusal.what);
        refusal.host |= by_host;
        refusal.spent += if counts { delta } else { Duration::ZERO };
        let tired = counts && refusal.spent >= PATIENCE;
        let version = self.version();
        if is_news {
            let limit = words(PATIENCE);
            let message =
                format!("{version} is not blamed: {what}; it gets no requests and is tried again for {limit}");
            self.tell(Severity::Warning, "host", message);
        }
        if tired {
            return self.stop_trying();
        }
        let goes_on = if counts { "it is tried again" } else { "it is not tried again before resume" };
        self.waiting.push(Waiting::Trouble { why: format!("{what}; {version} is not blamed; {goes_on}") });
        None
    }

    /// A first version that serves with what it has is let in; everything else waits for a person.
    fn stop_trying(&mut self) -> Option<Did> {
        let trial = self.memory.trial.as_mut()?;
        let refusal = trial.refusal.as_mut()?;
        refusal.spent = Duration::ZERO;
        let why = format!("{}; it was tried for {}", refusal.what, words(PATIENCE));
        if self.first_version_serves() {
            self.tell(Severity::Notify, "degraded", format!("{why}; the healthy ones serve"));
            return Some(self.finish_install());
        }
        self.pause_itself(why);
        None
    }

    /// Nothing is refused any more: as soon as the trial is whole it goes on where it was.
    fn heed_mended(&mut self) -> Option<Did> {
        let refusal = self.trial()?.refusal.clone()?;
        let app = self.trial()?.release.app()?.clone();
        let need = self.need(&app, self.granted());
        let enough = Self::app_crew(&self.trial()?.crews).is_some_and(|c| self.healthy(c) >= need);
        if !(enough && self.trial_is_well() && self.engine_answers()) {
            return None;
        }
        if let Some(why) = self.blindness().filter(|_| self.is_serving()) {
            self.waiting.push(Waiting::Evidence { why });
            return None;
        }
        if let Some(trial) = &mut self.memory.trial {
            trial.refusal = None;
        }
        if refusal.host {
            let message = format!("{} is whole: what the host refused is there; it goes on", self.version());
            self.tell(Severity::Info, "recovered", message);
        }
        None
    }

    /// Whether missing replicas of this crew are left alone: they were refused, and nobody said to go on since.
    pub(crate) fn is_not_tried(&self, crew: &Crew) -> bool {
        let trial = self.trial().filter(|t| t.refusal.is_some() && self.memory.paused.is_some());
        trial.is_some_and(|t| t.crews.values().any(|c| c.set == crew.set))
    }
}
