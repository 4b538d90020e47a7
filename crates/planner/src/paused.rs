//! Containers on trial that somebody paused: as if somebody had stopped them, except that nobody but that person lets them go
//! on. What users get is at 0 % at once, no version is blamed, and no deadline runs.

use canaryd_rollout::ComponentName;

use crate::crew::Crews;
use crate::report::Severity;
use crate::trial::Crash;
use crate::turn::Turn;
use crate::world::RunState;

impl Turn<'_> {
    /// Whether any replica on trial that should run is paused.
    pub(crate) fn trial_is_paused_by_somebody(&self) -> bool {
        self.trial().is_some_and(|trial| !self.paused(&trial.crews).is_empty())
    }

    /// Holds what users get; tells once of what they do not get yet.
    pub(crate) fn heed_paused(&mut self) {
        let Some(paused) = self.trial().map(|trial| self.paused(&trial.crews)) else { return };
        let serving = self.is_serving();
        let version = self.version();
        for (component, ordinal, container) in &paused {
            let what = format!("somebody paused {component} {ordinal}; docker unpause {container} lets it go on");
            if serving {
                let component = component.clone();
                self.hold(Crash { component, ordinal: *ordinal, at: self.now, what, held: true, failed: None });
            } else if !self.history_has_pause(component, *ordinal) {
                self.tell(Severity::Warning, "container-paused", format!("{version} is not blamed: {what}"));
            }
        }
        let members = self.memory.trial.iter_mut().flat_map(|t| &mut t.crews);
        for (component, crew) in members {
            for (ordinal, member) in &mut crew.members {
                member.paused = paused.iter().any(|(c, o, _)| c == component && o == ordinal);
            }
        }
    }

    fn paused(&self, crews: &Crews) -> Vec<(ComponentName, u32, String)> {
        let mut paused = Vec::new();
        for (name, crew) in crews {
            let replicas = crew.running().filter_map(|(o, _)| self.replica(&crew.set, o));
            let stands = replicas.filter(|r| r.state == RunState::Paused);
            paused.extend(stands.map(|r| (name.clone(), r.ordinal, r.container.clone())));
        }
        paused
    }

    fn history_has_pause(&self, component: &ComponentName, ordinal: u32) -> bool {
        let crew = self.trial().and_then(|t| t.crews.get(component));
        crew.and_then(|c| c.members.get(&ordinal)).is_some_and(|m| m.paused)
    }
}
