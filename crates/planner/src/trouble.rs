//! Troubles of sets that are not on trial. Nothing is decided by them: production goes on with what runs, what is
//! missing is tried again, and a person is told once.

use canaryd_rollout::SetId;

use crate::action::Action;
use crate::relief::goes_on;
use crate::report::{Severity, Waiting};
use crate::turn::{Turn, is_running};
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
                None if self.memory.at_work().contains(&trouble.set) => self.show_old_workers(trouble),
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
        let goes_on = self.what_goes_on(&trouble.set);
        let why = format!("{part}: {what}; {goes_on}, and canaryd tries again");
        self.show_trouble(&trouble.set, severity, why);
    }

    /// What is left while something of this set is missing.
    fn what_goes_on(&self, set: &SetId) -> String {
        if self.memory.maintenance.is_some() {
            return "users get the page".to_owned();
        }
        let crews = self.memory.production.iter().flat_map(|d| &d.crews);
        let Some((name, crew)) = crews.into_iter().find(|(_, crew)| &crew.set == set) else { return String::new() };
        let runs = crew.running().any(|(o, _)| self.replica(set, o).is_some_and(is_running));
        match (self.at_work(name), runs, name.is_app()) {
            (1.., true | false, true | false) => goes_on(self.at_work(name)),
            (0, true, true) => "what runs goes on serving".to_owned(),
            (0, true, false) => "what runs goes on".to_owned(),
            (0, false, true | false) => "none of it runs".to_owned(),
        }
    }

    fn show_old_workers(&mut self, trouble: &Trouble) {
        let why = format!("old workers that new ones take the place of: {}; canaryd tries again", trouble.what);
        self.show_trouble(&trouble.set, Severity::Warning, why);
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

    /// A trouble is over when nothing is to be done for its set any more, and every replica of production in it is healthy.
    /// One that became the trial's is told there.
    fn forget_troubles(&mut self, troubles: &[&Trouble]) {
        if !self.engine_answers() {
            return;
        }
        let over = |set: &SetId| {
            !self.is_worked_on(set) && !troubles.iter().any(|t| &t.set == set) && self.is_as_it_should_be(set)
        };
        let ended: Vec<SetId> = self.memory.troubled.iter().filter(|set| over(set)).cloned().collect();
        for set in ended {
            self.memory.troubled.remove(&set);
            if let Some(part) = self.production_part(&set) {
                self.tell(Severity::Info, "trouble-over", format!("{part} is as it should be again"));
            }
        }
    }

    /// Of production: all that is to be there is healthy. Of anything else nothing is asked.
    fn is_as_it_should_be(&self, set: &SetId) -> bool {
        let mut crews = self.memory.production.iter().flat_map(|d| &d.crews).filter(|(_, crew)| &crew.set == set);
        crews.all(|(name, crew)| self.not_healthy(crew).is_none() && self.at_work(name) == 0)
    }
}
