//! What befell production's containers, and what its owner changed about their number: for the history. What is done about it
//! is decided elsewhere.

use canaryd_rollout::ComponentName;

use crate::crew::{Member, Wish};
use crate::report::Severity;
use crate::turn::{Turn, occupies};
use crate::world::{Exit, ExitCause, Replica, RunState};

impl Turn<'_> {
    /// Told once for each container that was removed, has ended, was paused, or goes on after that. Looked at before what vanished is forgotten.
    pub(crate) fn tell_mishaps(&mut self) {
        // What canaryd itself stopped is starting then, and the sentence says what is wrong with it.
        if !self.engine_answers() || self.memory.deletion.is_some() || self.memory.maintenance.is_some() {
            return;
        }
        let Some(version) = self.production_version() else { return };
        let Some(mut production) = self.memory.production.take() else { return };
        for (name, crew) in &mut production.crews {
            let mut befell = Befell::default();
            for (&ordinal, member) in crew.members.iter_mut().filter(|(_, m)| m.wish == Wish::Running) {
                befell.note(ordinal, member, self.replica(&crew.set, ordinal));
            }
            self.tell_befallen(name, &version, &befell);
        }
        self.memory.production = Some(production);
    }

    fn tell_befallen(&mut self, name: &ComponentName, version: &str, befell: &Befell) {
        let Befell { gone, ended, paused, containers, let_go } = befell;
        let words = ("removed", "a fresh one takes its place", "fresh ones take their place");
        self.tell_mishap("container-lost", name, version, gone, words);
        let words = ("stopped", "it is started again", "they are started again");
        self.tell_mishap("container-lost", name, version, ended, words);
        let unpause = format!("docker unpause {}", containers.join(" "));
        let (one, many) = (format!("{unpause} lets it go on"), format!("{unpause} lets them go on"));
        self.tell_mishap("container-paused", name, version, paused, ("paused", &one, &many));
        if !let_go.is_empty() {
            let message = format!("{name} {} of {version}, in production: no longer paused", in_words(let_go));
            self.tell(Severity::Info, "container-unpaused", message);
        }
    }

    fn tell_mishap(
        &mut self,
        kind: &str,
        name: &ComponentName,
        version: &str,
        which: &[u32],
        words: (&str, &str, &str),
    ) {
        let (what, one, many) = words;
        let (was, then) = match which.len() {
            0 => return,
            1 => ("was", one),
            _ => ("were", many),
        };
        let which = in_words(which);
        let message = format!("{name} {which} of {version}, in production, {was} {what}, and not by canaryd; {then}");
        self.tell(Severity::Warning, kind, message);
    }

    /// Told when the manifest asks for another number of production's replicas.
    pub(crate) fn tell_scaling(&mut self) {
        let Some(production) = self.memory.production.as_ref().filter(|_| self.memory.deletion.is_none()) else {
            return;
        };
        let now: Vec<(ComponentName, u32)> =
            production.release.components.iter().map(|c| (c.name.clone(), self.replicas(c))).collect();
        self.memory.sizes.retain(|name, _| now.iter().any(|(n, _)| n == name));
        for (name, size) in now {
            let before = self.memory.sizes.insert(name.clone(), size);
            if let Some(before) = before.filter(|before| *before != size) {
                let message = format!("{name} of production: {before} → {size} containers, as the manifest asks");
                self.tell(Severity::Info, "scaled", message);
            }
        }
    }
}

/// What befell the replicas of one component since the last plan.
#[derive(Default)]
struct Befell {
    gone: Vec<u32>,
    ended: Vec<u32>,
    paused: Vec<u32>,
    /// The paused ones, by Docker's ids.
    containers: Vec<String>,
    let_go: Vec<u32>,
}

impl Befell {
    fn note(&mut self, ordinal: u32, member: &mut Member, replica: Option<&Replica>) {
        match replica {
            None if member.born => self.gone.push(ordinal),
            Some(replica) if member.ready && !member.down && was_ended(replica) => {
                member.down = true;
                self.ended.push(ordinal);
            }
            Some(replica) if replica.state == RunState::Paused => {
                if !std::mem::replace(&mut member.paused, true) {
                    self.paused.push(ordinal);
                    self.containers.push(replica.container.clone());
                }
            }
            Some(replica) if occupies(replica) => {
                member.down = false;
                self.let_go.extend(std::mem::take(&mut member.paused).then_some(ordinal));
            }
            None | Some(_) => {}
        }
    }
}

fn in_words(ordinals: &[u32]) -> String {
    ordinals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// It is down, and canaryd did not stop it.
fn was_ended(replica: &Replica) -> bool {
    let by_us = |exit: &Exit| match exit.cause {
        ExitCause::Us => true,
        ExitCause::Itself | ExitCause::Somebody | ExitCause::Neighbour | ExitCause::Engine => false,
    };
    !occupies(replica) && replica.exits.last().is_some_and(|exit| !by_us(exit))
}
