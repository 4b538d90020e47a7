//! Troubles of sets that are not on trial. Nothing is decided by them: production goes on serving with what runs, what is
//! missing is tried again, and a person is told once.

use canaryd_rollout::SetId;

use crate::action::Action;
use crate::report::{Severity, Waiting};
use crate::turn::Turn;
use crate::world::{Fault, Trouble};

impl Turn<'_> {
    /// Shows every such trouble, and tells of its beginning and of its end.
    pub(crate) fn tell_troubles(&mut self) {
        let trial = self.trial().filter(|_| !self.is_reverting());
        let on_trial = |set: &SetId| trial.is_some_and(|t| t.crews.values().any(|c| &c.set == set));
        let troubles: Vec<&Trouble> = self.world.engine.troubles.iter().filter(|t| !on_trial(&t.set)).collect();
        for trouble in &troubles {
            match self.production_part(&trouble.set) {
                Some(part) => self.show_ailing(trouble, &part),
                None if self.is_worked_on(&trouble.set) => self.show_leftover(trouble),
                None => {}
            }
        }
        self.forget_troubles(&troubles);
    }

    fn show_ailing(&mut self, trouble: &Trouble, part: &str) {
        let severity = match trouble.fault {
            Fault::Passing => Severity::Warning,
            Fault::Host | Fault::Version => Severity::Notify,
        };
        let what = &trouble.what;
        self.ailing.get_or_insert(format!("{part} is not as it should be: {what}"));
        let meanwhile =
            if self.memory.maintenance.is_some() { "users get the page" } else { "what runs goes on serving" };
        let why = format!("{part}: {what}; {meanwhile}, and canaryd tries again");
        self.show_trouble(&trouble.set, severity, why);
    }

    fn show_leftover(&mut self, trouble: &Trouble) {
        let why = format!("containers that are not needed any more: {}; canaryd tries again", trouble.what);
        self.show_trouble(&trouble.set, Severity::Warning, why);
    }

    fn show_trouble(&mut self, set: &SetId, severity: Severity, why: String) {
        if self.memory.troubled.insert(set.clone()) {
            self.tell(severity, "trouble", why.clone());
        }
        self.waiting.push(Waiting::Trouble { why });
    }

    /// "app of production", if this set is a part of it.
    fn production_part(&self, set: &SetId) -> Option<String> {
        let crews = &self.memory.production.as_ref()?.crews;
        let (name, _) = crews.iter().find(|(_, crew)| &crew.set == set)?;
        Some(format!("{name} of production"))
    }

    fn is_worked_on(&self, set: &SetId) -> bool {
        self.actions.iter().filter_map(Action::set).any(|s| s == set)
    }

    /// A trouble is over when nothing is to be done for its set any more. One that became the trial's is told there.
    fn forget_troubles(&mut self, troubles: &[&Trouble]) {
        if !self.engine_answers() {
            return;
        }
        let over = |set: &SetId| !self.is_worked_on(set) && !troubles.iter().any(|t| &t.set == set);
        let ended: Vec<SetId> = self.memory.troubled.iter().filter(|set| over(set)).cloned().collect();
        for set in ended {
            self.memory.troubled.remove(&set);
            if let Some(part) = self.production_part(&set) {
                self.tell(Severity::Info, "trouble-over", format!("{part} is as it should be again"));
            }
        }
    }
}
