//! Why there is no version on trial that could be given more, and what can be done: never a sentence without a way on.

use crate::trial::Kind;
use crate::turn::Turn;

impl Turn<'_> {
    /// Why there is no version on trial, and what can be done.
    pub(crate) fn why_none(&self) -> String {
        let version = self.version();
        match self.trial().map(|t| &t.kind) {
            Some(Kind::Install) => format!("{version} is the first version: it serves all as soon as it is healthy"),
            Some(Kind::Restart) => {
                format!("a second set of {version} takes over by itself when it is healthy; abort ends that")
            }
            Some(Kind::Undo { .. }) => {
                format!("{version} gets all traffic by itself when it is healthy; abort ends that")
            }
            Some(Kind::Canary) | None if self.can_abort() => self.why_not_begun(&version),
            Some(Kind::Canary) | None if self.asks().is_some_and(|m| self.is_blocked(m)) => {
                format!("nothing is on trial: {version} was taken off; retry tries it again")
            }
            Some(Kind::Canary) | None => {
                "nothing is on trial; change the manifest's version to start a rollout".to_owned()
            }
        }
    }

    /// It is asked for, and nothing of it runs.
    fn why_not_begun(&self, version: &str) -> String {
        let ahead: Vec<&str> = self.world.slots.ahead.iter().map(canaryd_rollout::RolloutName::as_str).collect();
        let what = match self.absent_image() {
            _ if self.memory.paused.is_some() => "it is paused; resume goes on",
            Some((image, _)) => &format!("it waits for the image {image}"),
            None if self.world.slots.may_move && self.may_start() => "it is being prepared",
            None if ahead.is_empty() => "it waits for its turn",
            None => &format!(
                "it waits for its turn, behind {}: once one of them is through or is aborted it begins",
                ahead.join(", ")
            ),
        };
        format!("{version} is not on trial yet: {what}; say it again when its first stage has begun, or abort it now")
    }
}
