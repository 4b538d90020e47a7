//! How many replicas there are: capacity before weight, and production kept at its size.

use std::time::Duration;

use canaryd_rollout::{CanaryReplicas, Component, ComponentName, Order, Weight};

use crate::crew::{Crew, Member, Wish};
use crate::report::Waiting;
use crate::trial::Kind;
use crate::turn::Turn;

impl Turn<'_> {
    /// Replicas of the app on trial before it may have this weight: ceil(weight × R), at least one; R before 100 %.
    pub(crate) fn need(&self, app: &Component, weight: Weight) -> u32 {
        let replicas = self.replicas(app).max(1);
        let share = (u64::from(weight.basis_points()) * u64::from(replicas)).div_ceil(10_000);
        let share = u32::try_from(share).unwrap_or(replicas).max(1);
        match self.canary_replicas(app) {
            CanaryReplicas::Auto => share,
            CanaryReplicas::Full => replicas,
            CanaryReplicas::Fixed(n) => share.max(n),
        }
    }

    pub(crate) fn canary_replicas(&self, component: &Component) -> CanaryReplicas {
        self.manifest().and_then(|m| m.component(&component.name)).unwrap_or(component).canary_replicas
    }

    /// The app on trial has the replicas that this weight needs, and they are healthy. Starts those that are missing.
    pub(crate) fn app_has_capacity(&mut self, weight: Weight) -> bool {
        let Some(app) = self.trial().and_then(|t| t.release.app()).cloned() else { return false };
        let need = self.need(&app, weight);
        self.crew_up(&app.name, need)
    }

    /// This many replicas of the component on trial run and are healthy. Starts those that are missing, if a slot is free.
    pub(crate) fn crew_up(&mut self, name: &ComponentName, goal: u32) -> bool {
        let Some(trial) = &self.memory.trial else { return false };
        let size = trial.crews.get(name).map_or(0, Crew::size);
        if size < goal && !self.enlist(name, goal - size) {
            return false;
        }
        let Some(crew) = self.trial().and_then(|t| t.crews.get(name)) else { return goal == 0 };
        let enough = self.healthy(crew) >= goal;
        if let Some((ordinal, last)) = self.not_healthy(crew).filter(|_| !enough) {
            self.waiting.push(Waiting::Healthy { component: name.clone(), ordinal, last });
        }
        enough
    }

    /// Asks for more replicas of the trial. `false`: another rollout starts containers now.
    fn enlist(&mut self, name: &ComponentName, more: u32) -> bool {
        if !self.may_start() {
            self.wait_slot();
            return false;
        }
        self.tell_started();
        let Some(mut trial) = self.memory.trial.take() else { return false };
        let crew = trial.crews.entry(name.clone()).or_insert_with(|| self.memory.new_crew());
        for _ in 0..more {
            crew.add(self.memory.new_ordinal(name));
        }
        self.memory.trial = Some(trial);
        true
    }

    /// Users who are served by nobody, or by what a person wants undone, wait for no other rollout's start.
    pub(crate) fn may_start(&self) -> bool {
        let undo = self.trial().is_some_and(|t| matches!(t.kind, Kind::Undo { .. }));
        self.world.slots.may_start || undo || self.production_is_dead()
    }

    pub(crate) fn wait_slot(&mut self) {
        self.waiting.push(Waiting::Slot { ahead: self.world.slots.ahead.clone() });
    }

    /// Production has its replicas: fresh ones for those that vanished, as many as the manifest says, minus the workers
    /// that a trial replaces, and those that are to take the place of others one at a time.
    pub(crate) fn tend_production(&mut self) {
        let Some(mut production) = self.memory.production.take() else { return };
        for component in &production.release.components {
            let replicas = self.replicas(component);
            let goal = replicas.saturating_sub(self.replaced(component));
            let crew = production.crews.entry(component.name.clone()).or_insert_with(|| self.memory.new_crew());
            let goal = self.relieving(component, crew, goal);
            self.resize(component, crew, goal, replicas);
        }
        self.memory.production = Some(production);
    }

    /// The trial has no more replicas than it could ever need (the manifest asked for fewer).
    pub(crate) fn trim_trial(&mut self) {
        if self.is_reverting() {
            return;
        }
        let Some(mut trial) = self.memory.trial.take() else { return };
        for component in &trial.release.components {
            let replicas = self.replicas(component);
            let most = match self.canary_replicas(component) {
                CanaryReplicas::Fixed(n) if component.name.is_app() => replicas.max(n),
                CanaryReplicas::Fixed(_) | CanaryReplicas::Auto | CanaryReplicas::Full => replicas,
            };
            if let Some(crew) = trial.crews.get_mut(&component.name) {
                self.shrink(component, crew, most);
                self.let_go(component, crew);
            }
        }
        self.memory.trial = Some(trial);
    }

    /// The trial keeps the capacity that its weight needs (the manifest asked for more replicas meanwhile).
    pub(crate) fn fill_trial(&mut self) {
        let weight = self.granted();
        let serves = self.is_serving() && weight > Weight::ZERO;
        let Some(trial) = self.trial().filter(|t| serves && t.is_canary()) else { return };
        let Some(app) = trial.release.app().cloned() else { return };
        let missing = self.need(&app, weight).saturating_sub(trial.crews.get(&app.name).map_or(0, Crew::size));
        if missing > 0 {
            self.enlist(&app.name, missing);
        }
    }

    fn resize(&mut self, component: &Component, crew: &mut Crew, goal: u32, replicas: u32) {
        while crew.size() < goal {
            let back = crew.with(Wish::Leaving).chain(crew.with(Wish::Stopped)).map(|(o, _)| o).next();
            match back {
                Some(ordinal) => crew.want(ordinal, Wish::Running),
                None => crew.add(self.memory.new_ordinal(&component.name)),
            }
        }
        if goal == replicas || component.name.is_app() {
            self.shrink(component, crew, goal);
        }
        while crew.size() > goal {
            let Some((ordinal, _)) = crew.running().next_back() else { break };
            crew.want(ordinal, Wish::Stopped);
        }
        let stopped = replicas.saturating_sub(goal) as usize;
        let surplus: Vec<u32> = crew.with(Wish::Stopped).map(|(o, _)| o).skip(stopped).collect();
        for ordinal in surplus {
            crew.want(ordinal, Wish::Removed);
        }
        self.let_go(component, crew);
    }

    /// The highest numbers go: the app's through the gateway first, a worker's at once.
    fn shrink(&self, component: &Component, crew: &mut Crew, goal: u32) {
        let _ = self;
        let wish = if component.name.is_app() { Wish::Leaving } else { Wish::Removed };
        while crew.size() > goal {
            let Some((ordinal, _)) = crew.running().next_back() else { break };
            crew.want(ordinal, wish);
        }
    }

    /// Those that left their lane are removed once they are drained.
    fn let_go(&mut self, component: &Component, crew: &mut Crew) {
        let drained = |o, m: &Member| self.is_drained(&crew.set, o, m, component.stop.drain);
        let leaving: Vec<(u32, bool)> = crew.with(Wish::Leaving).map(|(o, m)| (o, drained(o, m))).collect();
        for (ordinal, drained) in leaving {
            if drained {
                crew.want(ordinal, Wish::Removed);
            } else {
                self.wait_drain(self.world.gateway.old_workers, component.stop.drain);
            }
        }
    }

    /// How many production workers stand back for workers on trial.
    pub(crate) fn replaced(&self, component: &Component) -> u32 {
        let canary = self.trial().filter(|t| t.is_canary() && !self.is_reverting() && !component.name.is_app());
        let Some(crew) = canary.and_then(|t| t.crews.get(&component.name)) else { return 0 };
        match component.order {
            Order::StartFirst => crate::crew::count(crew.running().filter(|(_, m)| m.ready).count()),
            Order::StopFirst => crew.size(),
        }
    }
}

/// The longest that any replica of these components may take to end.
pub(crate) fn grace(component: Option<&Component>) -> Duration {
    component.map_or(Duration::from_secs(10), |c| c.stop.grace)
}
