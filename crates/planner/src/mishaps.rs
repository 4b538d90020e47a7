//! What befell production's containers, and what its owner changed about their number: for the history. What is done about it
//! is decided elsewhere.

use canaryd_rollout::ComponentName;

use crate::report::Severity;
use crate::turn::{Turn, occupies};
use crate::world::{Exit, ExitCause, Replica};

impl Turn<'_> {
    /// Told once for each container that was removed or has ended. Looked at before what vanished is forgotten.
    pub(crate) fn tell_mishaps(&mut self) {
        if !self.engine_answers() || self.memory.deletion.is_some() {
            return;
        }
        let Some(mut production) = self.memory.production.take() else { return };
        let version = production.release.version.clone();
        for (name, crew) in &mut production.crews {
            let (mut gone, mut ended) = (Vec::new(), Vec::new());
            let running: Vec<u32> = crew.running().map(|(o, _)| o).collect();
            for ordinal in running {
                let replica = self.replica(&crew.set, ordinal);
                let Some(member) = crew.members.get_mut(&ordinal) else { continue };
                match replica {
                    None if member.born => gone.push(ordinal),
                    Some(replica) if member.ready && !member.down && was_ended(replica) => {
                        member.down = true;
                        ended.push(ordinal);
                    }
                    Some(replica) if occupies(replica) => member.down = false,
                    None | Some(_) => {}
                }
            }
            let words = ("removed", "a fresh one takes its place", "fresh ones take their place");
            self.tell_mishap(name, &version, &gone, words);
            self.tell_mishap(name, &version, &ended, ("stopped", "it is started again", "they are started again"));
        }
        self.memory.production = Some(production);
    }

    fn tell_mishap(&mut self, name: &ComponentName, version: &str, which: &[u32], words: (&str, &str, &str)) {
        let numbers: Vec<String> = which.iter().map(ToString::to_string).collect();
        let (what, one, many) = words;
        let (was, then) = match which.len() {
            0 => return,
            1 => ("was", one),
            _ => ("were", many),
        };
        let message = format!(
            "{name} {} of {version}, in production, {was} {what}, and not by canaryd; {then}",
            numbers.join(", ")
        );
        self.tell(Severity::Warning, "container-lost", message);
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

/// It is down, and canaryd did not stop it.
fn was_ended(replica: &Replica) -> bool {
    let by_us = |exit: &Exit| match exit.cause {
        ExitCause::Us => true,
        ExitCause::Itself | ExitCause::Somebody | ExitCause::Neighbour | ExitCause::Engine => false,
    };
    !occupies(replica) && replica.exits.last().is_some_and(|exit| !by_us(exit))
}
