//! From wishes to actions: what differs between the memory and the world is ensured, nothing else.

use std::collections::BTreeMap;

use canaryd_rollout::{Component, ComponentName, Order};

use crate::action::{Action, SetGoal};
use crate::capacity::grace;
use crate::crew::{Crew, Crews, Wish, count};
use crate::release::Release;
use crate::turn::{Turn, occupies};
use crate::world::{Replica, SetView};

/// Room for more replicas of the components that stop before they start.
type Room = BTreeMap<ComponentName, u32>;

impl Turn<'_> {
    /// Asks the engine for what differs. Production first.
    pub(crate) fn ensure(&mut self) {
        if !self.engine_answers() || self.memory.deletion.is_some() {
            return;
        }
        let mut room = self.room();
        let mut goals = Vec::new();
        let memory = &self.memory;
        let production = memory.production.iter().map(|d| (&d.release, &d.crews, false));
        let trial = memory.trial.iter().map(|t| (&t.release, &t.crews, memory.production.is_some()));
        let previous = memory.previous.iter().map(|p| (&p.release, &p.crews, false));
        for (release, crews, expendable) in production.chain(trial).chain(previous) {
            goals.extend(self.goals(release, crews, expendable, &mut room));
        }
        self.actions.extend(goals.into_iter().map(Action::EnsureSet));
    }

    /// Goals of the sets that are not as they should be.
    pub(crate) fn goals(&self, release: &Release, crews: &Crews, expendable: bool, room: &mut Room) -> Vec<SetGoal> {
        let one = |(name, crew): (&ComponentName, &Crew)| {
            let component = release.component(name);
            let goal = self.goal(component, name, crew, release, room);
            let view = self.set(&crew.set);
            let differs = differs(&goal, view);
            differs.then_some(SetGoal { expendable, ..goal })
        };
        crews.iter().filter_map(one).collect()
    }

    fn goal(
        &self,
        component: Option<&Component>,
        name: &ComponentName,
        crew: &Crew,
        release: &Release,
        room: &mut Room,
    ) -> SetGoal {
        let of = |wish: Wish| crew.with(wish).map(|(o, _)| o).collect::<Vec<u32>>();
        let wanted = of(Wish::Running).into_iter().filter(|o| self.has_room(name, crew, *o, room));
        let up = |o: &u32| self.replica(&crew.set, *o).is_some_and(occupies);
        let running = wanted.filter(|o| !self.is_not_tried(crew) || up(o)).collect();
        let mut removed = of(Wish::Removed);
        removed.extend(self.strays(name, crew));
        SetGoal {
            set: crew.set.clone(),
            component: name.clone(),
            revision: release.revision.clone(),
            running,
            stopped: of(Wish::Stopped),
            removed,
            grace: grace(component),
            expendable: false,
        }
    }

    /// Containers that were being made when their replica was given up.
    fn strays(&self, name: &ComponentName, crew: &Crew) -> Vec<u32> {
        let last = self.memory.last_ordinal.get(name).copied().unwrap_or(0);
        let stray = |r: &&Replica| r.ordinal <= last && !crew.members.contains_key(&r.ordinal);
        let replicas = self.set(&crew.set).map(|s| s.replicas.as_slice()).unwrap_or_default();
        replicas.iter().filter(stray).map(|r| r.ordinal).collect()
    }

    /// `stopFirst`: never more than R of the component at once, whichever version they are of.
    fn has_room(&self, name: &ComponentName, crew: &Crew, ordinal: u32, room: &mut Room) -> bool {
        let up = self.replica(&crew.set, ordinal).is_some_and(occupies);
        match room.get_mut(name) {
            Some(left) if !up => {
                let free = *left > 0;
                *left = left.saturating_sub(1);
                free
            }
            Some(_) | None => true,
        }
    }

    pub(crate) fn room(&self) -> Room {
        let memory = &self.memory;
        let releases = memory.production.iter().map(|d| &d.release).chain(memory.trial.iter().map(|t| &t.release));
        let components = releases.flat_map(|r| &r.components);
        let stop_first = components.filter(|c| !c.name.is_app() && c.order == Order::StopFirst);
        stop_first.map(|c| (c.name.clone(), self.replicas(c).saturating_sub(self.up_now(&c.name)))).collect()
    }

    fn up_now(&self, name: &ComponentName) -> u32 {
        let sets = self.world.sets.iter().filter(|s| &s.component == name);
        count(sets.flat_map(|s| &s.replicas).filter(|r| occupies(r)).count())
    }
}

/// Whether reality differs from the goal. Docker restarts by itself what is `Restarting`; what somebody paused, somebody lets
/// go on.
fn differs(goal: &SetGoal, view: Option<&SetView>) -> bool {
    let find = |ordinal: &u32| view.and_then(|v| v.replicas.iter().find(|r| r.ordinal == *ordinal));
    let down = |o: &u32| !find(o).is_some_and(occupies);
    goal.running.iter().any(down)
        || goal.stopped.iter().any(|o| find(o).is_some_and(occupies))
        || goal.removed.iter().any(|o| find(o).is_some())
}
