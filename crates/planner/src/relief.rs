//! Workers after a restart or an undo. The app's traffic goes over at once and waits for no worker; the workers of the
//! production before go on until those of the new one have taken their place, one at a time (`startFirst`: a healthy one
//! for one that stops; `stopFirst`: one stops for one that starts). Where a new one cannot be started they go on, for as
//! long as it takes: nothing is decided by it, and a person is told.

use std::time::Duration;

use canaryd_rollout::{Component, ComponentName, Order, SetId};
use serde::{Deserialize, Serialize};

use crate::crew::{Crew, Crews, Wish};
use crate::deadline::words;
use crate::report::{Severity, Waiting};
use crate::turn::{Turn, is_healthy, occupies};

/// How it goes with new workers that others go on for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relief {
    /// Time since some new one runs and is not healthy.
    pub(crate) stalled: Duration,
    /// A person knows.
    pub(crate) told: bool,
}

impl Turn<'_> {
    /// Takes the workers out that go on until production's have taken their place: those that were healthy once, of
    /// components that production has. The others of them stop.
    pub(crate) fn keep_at_work(&self, crews: &mut Crews) -> Crews {
        let has = |name: &ComponentName| !name.is_app() && self.of_production(name).is_some();
        let proven = |crew: &Crew| crew.running().any(|(_, m)| m.ready);
        let stay: Vec<ComponentName> =
            crews.iter().filter(|(name, crew)| has(name) && proven(crew)).map(|(name, _)| name.clone()).collect();
        let mut kept: Crews = stay.into_iter().filter_map(|name| crews.remove_entry(&name)).collect();
        for member in kept.values_mut().flat_map(|c| c.members.values_mut()) {
            if member.wish == Wish::Running && !member.ready {
                member.wish = Wish::Stopped;
            }
        }
        kept
    }

    fn of_production(&self, name: &ComponentName) -> Option<&Component> {
        self.memory.production.as_ref()?.release.component(name)
    }

    /// Workers of the production before that go on.
    pub(crate) fn at_work(&self, name: &ComponentName) -> u32 {
        let crews = self.memory.retired.iter().filter(|r| r.works_on).filter_map(|r| r.crews.get(name));
        crews.map(Crew::size).sum()
    }

    /// How many workers production asks for at this moment, of those that it is to have.
    pub(crate) fn relieving(&mut self, component: &Component, crew: &Crew, goal: u32) -> u32 {
        let at_work = self.at_work(&component.name);
        if at_work == 0 {
            return goal;
        }
        let (size, healthy) = (crew.size(), self.healthy(crew));
        let next = if healthy >= size { size + 1 } else { size };
        self.waiting.push(Waiting::Workers { component: component.name.clone(), done: healthy, of: goal });
        if let Some((ordinal, last)) = self.not_healthy(crew) {
            self.waiting.push(Waiting::Healthy { component: component.name.clone(), ordinal, last });
        }
        next.max(goal.saturating_sub(at_work)).min(goal)
    }

    /// Those whose place is taken stop; when the last one has, that is told.
    pub(crate) fn relieve(&mut self) {
        if self.memory.at_work().is_empty() {
            return self.end_relief();
        }
        self.memory.relief.get_or_insert_default();
        let names: Vec<ComponentName> =
            self.memory.retired.iter().filter(|r| r.works_on).flat_map(|r| r.crews.keys().cloned()).collect();
        for name in names {
            self.forget_lost(&name);
            let surplus = self.at_work(&name).saturating_sub(self.still_needed(&name));
            self.send_home(&name, surplus as usize);
        }
        self.tell_stalled();
    }

    /// Told when production has all of its workers, unless another version takes their place meanwhile.
    fn end_relief(&mut self) {
        if self.memory.relief.is_none() {
            return;
        }
        if self.workers_are_up() {
            self.memory.relief = None;
            let version = self.production_version().unwrap_or_default();
            self.tell(Severity::Info, "workers-replaced", format!("the workers of {version} have taken over"));
        } else if self.trial().is_some() {
            self.memory.relief = None;
        }
    }

    fn workers_are_up(&self) -> bool {
        let Some(production) = &self.memory.production else { return false };
        let up = |crew: &Crew, of: u32| crew.size() >= of && self.healthy(crew) >= of;
        let mut workers = production.release.components.iter().filter(|c| !c.name.is_app());
        workers.all(|c| production.crews.get(&c.name).is_some_and(|crew| up(crew, self.replicas(c))))
    }

    /// How many of those before are needed still.
    fn still_needed(&self, name: &ComponentName) -> u32 {
        let Some(component) = self.of_production(name).filter(|_| !self.stops_its_workers()) else { return 0 };
        let crew = self.memory.production.as_ref().and_then(|d| d.crews.get(name));
        let taken = crew.map_or(0, |crew| match component.order {
            Order::StartFirst => self.healthy(crew),
            Order::StopFirst => crew.size(),
        });
        self.replicas(component).saturating_sub(self.replaced(component)).saturating_sub(taken)
    }

    /// While the rollout is stopped for maintenance all workers stop, with the app, when it is drained.
    fn stops_its_workers(&self) -> bool {
        let down = self.memory.maintenance.as_ref().is_some_and(|held| held.back.is_none());
        down && self.page_is_live() && !self.is_draining()
    }

    /// What somebody removed does not come back; nor does what has ended where never more than R may run.
    fn forget_lost(&mut self, name: &ComponentName) {
        let stop_first = self.of_production(name).is_some_and(|c| c.order == Order::StopFirst);
        for (set, ordinal) in self.those_at_work(name) {
            match self.replica(&set, ordinal) {
                None => self.want_of(&set, ordinal, Wish::Removed),
                Some(replica) if stop_first && !occupies(replica) => self.want_of(&set, ordinal, Wish::Stopped),
                Some(_) => {}
            }
        }
    }

    /// So many stop: first what does not run, then what is ill, then the highest numbers.
    fn send_home(&mut self, name: &ComponentName, surplus: usize) {
        let mut all = self.those_at_work(name);
        all.sort_by_key(|(set, ordinal)| {
            let replica = self.replica(set, *ordinal);
            (replica.is_some_and(occupies), replica.is_some_and(is_healthy), std::cmp::Reverse(*ordinal))
        });
        for (set, ordinal) in all.into_iter().take(surplus) {
            self.want_of(&set, ordinal, Wish::Stopped);
        }
    }

    fn those_at_work(&self, name: &ComponentName) -> Vec<(SetId, u32)> {
        let crews = self.memory.retired.iter().filter(|r| r.works_on).filter_map(|r| r.crews.get(name));
        crews.flat_map(|crew| crew.running().map(|(ordinal, _)| (crew.set.clone(), ordinal))).collect()
    }

    fn want_of(&mut self, set: &SetId, ordinal: u32, wish: Wish) {
        let crews = self.memory.retired.iter_mut().flat_map(|r| r.crews.values_mut());
        crews.filter(|crew| &crew.set == set).for_each(|crew| crew.want(ordinal, wish));
    }

    /// A new one that runs and does not get healthy is told once. What cannot be started at all is told as trouble.
    fn tell_stalled(&mut self) {
        let stalled = self.stalled();
        let delta = self.delta;
        let Some(relief) = &mut self.memory.relief else { return };
        let Some((name, ordinal, last, limit)) = stalled else { return *relief = Relief::default() };
        relief.stalled += delta;
        if relief.told || relief.stalled < limit {
            return;
        }
        relief.told = true;
        let version = self.production_version().unwrap_or_default();
        let last = last.map(|last| format!(" (last: {last})")).unwrap_or_default();
        let (within, those) = (words(limit), goes_on(self.at_work(&name)));
        let why = format!("{name} {ordinal} of {version} was not healthy within {within}{last}; {those} until it is");
        self.tell(Severity::Notify, "workers-wait", why);
    }

    /// The first new worker that runs, is not healthy, and others go on for; and how long it has.
    fn stalled(&self) -> Option<(ComponentName, u32, Option<String>, Duration)> {
        let production = self.memory.production.as_ref()?;
        let start = self.manifest()?.deadlines.start;
        production.crews.iter().filter(|(name, _)| self.at_work(name) > 0).find_map(|(name, crew)| {
            let (ordinal, last) = self.not_healthy(crew)?;
            self.replica(&crew.set, ordinal)?;
            let startup = production.release.component(name)?.health.startup;
            Some((name.clone(), ordinal, last, start + startup))
        })
    }
}

/// "3 old workers go on".
pub(crate) fn goes_on(at_work: u32) -> String {
    if at_work == 1 { "the old worker goes on".to_owned() } else { format!("{at_work} old workers go on") }
}
