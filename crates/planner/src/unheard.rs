//! Checks that fail while the engine cannot be asked. The version gets no requests at once; whether it is to blame is decided
//! when the engine answers: an engine that goes away may have taken the containers along, and then that is seen by their exits.

use canaryd_rollout::ComponentName;

use crate::report::{Outcome, Severity, Waiting};
use crate::trial::{Crash, FailedUnheard};
use crate::turn::{Did, Turn};

/// What is said of it until then.
const OPEN: &str = "whether it is to blame is decided when the container engine answers";

impl Turn<'_> {
    /// A check failed: at 0 % until the engine can be asked.
    pub(crate) fn hold_unheard(&mut self, check: String, what: &str) {
        let failed = self.requests().1;
        let (now, version) = (self.now, self.version());
        let Some(trial) = &mut self.memory.trial else { return };
        let before = failed > 0 && trial.failures * 2 >= failed;
        let message = format!("{version}: {what}; its weight is 0 % at once; {OPEN}");
        let failed = Some(FailedUnheard { check, before });
        let component = ComponentName::app();
        trial.crash = Some(Crash { component, ordinal: 0, at: now, what: what.to_owned(), held: false, failed });
        self.waiting.push(Waiting::Environment { why: format!("{what}; {OPEN}") });
        self.tell(Severity::Warning, "suspected", message);
    }

    /// What failed had failed before the engine went away, whatever became of the containers since.
    pub(crate) fn heed_failed_before(&mut self) -> Option<Did> {
        let before = self.trial()?.crash.as_ref()?.failed.as_ref()?.before;
        if before { self.heed_unheard() } else { None }
    }

    /// As soon as the engine answers, and no exit says that it was the engine, it is the version.
    pub(crate) fn heed_unheard(&mut self) -> Option<Did> {
        let Crash { what, failed, .. } = self.trial()?.crash.clone()?;
        let check = failed?.check;
        if self.engine_is_heard() {
            return Some(self.take_off(Outcome::Reverted, &what, Some(check), None));
        }
        self.waiting.push(Waiting::Environment { why: format!("{what}; {OPEN}") });
        Some(Did::Hold)
    }

    /// What has failed by the time when the engine is heard is not the doing of an engine that goes away later.
    pub(crate) fn note_failures(&mut self) {
        let failures = self.requests().1;
        let heard = self.engine_is_heard();
        if let Some(trial) = self.memory.trial.as_mut().filter(|_| heard) {
            trial.failures = failures;
        }
    }
}
