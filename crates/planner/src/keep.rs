//! What is kept for a while, and what is let go: the previous version, a failed set, files and image tags.

use std::time::Duration;

use canaryd_rollout::SetId;

use crate::action::Action;
use crate::capacity::grace;
use crate::crew::Wish;
use crate::memory::Retired;
use crate::report::Severity;
use crate::turn::{Turn, occupies};

impl Turn<'_> {
    /// The previous version runs warm until its time is over.
    pub(crate) fn tend_previous(&mut self) {
        let now = self.now;
        let Some(previous) = self.memory.previous.as_mut().filter(|p| now >= p.warm_until) else { return };
        if previous.crews.is_empty() {
            return;
        }
        let crews = std::mem::take(&mut previous.crews);
        let release = previous.release.clone();
        let drain = release.app().map_or(Duration::from_secs(30), |a| a.stop.drain);
        let mut retired = Retired { release, crews, drain, until: None, works_on: false };
        for crew in retired.crews.values_mut() {
            let running: Vec<u32> = crew.running().map(|(o, _)| o).collect();
            for ordinal in running {
                crew.want(ordinal, Wish::Leaving);
            }
        }
        self.retire(retired);
    }

    /// Sets on their way out: drained, stopped, kept for a look, removed.
    pub(crate) fn tend_retired(&mut self) {
        if !self.engine_answers() {
            return;
        }
        self.relieve();
        let mut left = Vec::new();
        for mut retired in std::mem::take(&mut self.memory.retired) {
            if self.tend_one(&mut retired) {
                left.push(retired);
            }
        }
        self.memory.retired = left;
        self.remove_leftovers();
    }

    /// `false`: nothing of it is left.
    fn tend_one(&mut self, retired: &mut Retired) -> bool {
        let drained = retired.crews.values().all(|c| self.is_set_drained(c, retired.drain));
        let at_work = retired.works_on && retired.crews.values().any(|c| c.size() > 0);
        if drained && !at_work && retired.until.is_none_or(|until| self.now >= until) {
            let there: Vec<SetId> =
                retired.crews.values().filter(|c| self.set(&c.set).is_some()).map(|c| c.set.clone()).collect();
            for (name, crew) in &retired.crews {
                if there.contains(&crew.set) {
                    let grace = grace(retired.release.component(name));
                    self.actions.push(Action::RemoveSet { set: crew.set.clone(), grace });
                }
            }
            return !there.is_empty();
        }
        for crew in retired.crews.values_mut() {
            let leaving: Vec<u32> = crew.with(Wish::Leaving).map(|(o, _)| o).collect();
            for ordinal in leaving {
                let up = self.replica(&crew.set, ordinal).is_some_and(occupies);
                crew.want(ordinal, if drained || !up { Wish::Stopped } else { Wish::Leaving });
            }
        }
        let mut room = self.room();
        let goals = self.goals(&retired.release, &retired.crews, false, &mut room);
        self.actions.extend(goals.into_iter().map(Action::EnsureSet));
        true
    }

    /// Sets that were being made when they were given up. Sets that this memory never made are left alone.
    fn remove_leftovers(&mut self) {
        let known = self.memory.sets();
        let ours = |id: &SetId| id.as_str()[1..].parse::<u64>().is_ok_and(|n| n <= self.memory.last_set);
        for set in &self.world.sets {
            if known.contains(&set.id) {
                continue;
            }
            if ours(&set.id) && !self.is_carried(&set.id, None) {
                let component = self.manifest().and_then(|m| m.component(&set.component));
                self.actions.push(Action::RemoveSet { set: set.id.clone(), grace: grace(component) });
            } else if !ours(&set.id) {
                self.notes
                    .push(format!("containers of set {} are not known to this journal and are left alone", set.id));
            }
        }
    }

    /// Files and image tags: those that are needed are ensured, those that nothing needs any more go. Each is asked for until
    /// this run of the daemon has done it, so that no kill loses one.
    pub(crate) fn tend_revisions(&mut self) {
        let needed = self.memory.revisions();
        let done = &self.world.shelf;
        let memory = &mut self.memory;
        memory.given_up.retain(|revision| !needed.contains(revision) && !done.forgotten.contains(revision));
        memory.given_up.extend(memory.kept.difference(&needed).cloned());
        memory.kept.retain(|revision| needed.contains(revision));
        let keep = memory.kept.difference(&done.kept).cloned().map(|revision| Action::KeepImages { revision });
        let forget = memory.given_up.iter().cloned().map(|revision| Action::ForgetRevision { revision });
        self.actions.extend(keep.chain(forget));
    }

    /// At most one failed version is kept for a look, and the latest is it: each holds as much memory and disk as it did.
    pub(crate) fn retire(&mut self, retired: Retired) {
        let mut given_up = Vec::new();
        if retired.until.is_some() {
            for kept in &mut self.memory.retired {
                let version = &kept.release.version;
                if kept.until.is_some_and(|until| until > self.now) && !given_up.contains(version) {
                    given_up.push(version.clone());
                }
                kept.until = kept.until.map(|_| self.now);
            }
        }
        let latest = retired.release.version.clone();
        self.memory.retired.push(retired);
        for version in given_up {
            let message = format!(
                "the stopped containers of {version} are removed before keepFailed is over: only those of the latest \
                 failed version are kept, now {latest}; failures/ has what was saved when a version was taken off"
            );
            self.tell(Severity::Info, "let-go", message);
        }
    }
}
