//! Components without HTTP: workers of a trial replace as many production ones, n of m at first, the rest one at a time.
//!
//! What production's workers do about it follows in `capacity`: it stands back for as many as are well (`startFirst`) or
//! as are asked for (`stopFirst`), and comes back, under the same numbers, when the trial goes.

use canaryd_rollout::{CanaryReplicas, Component};

use crate::crew::{Crew, count};
use crate::report::Waiting;
use crate::trial::Kind;
use crate::turn::Turn;
use crate::world::Health;

impl Turn<'_> {
    /// The workers that a trial has before its last stage are there and healthy.
    pub(crate) fn some_workers_are_up(&mut self) -> bool {
        let mut up = true;
        for worker in self.trial_workers() {
            let goal = self.worker_share(&worker);
            up &= self.crew_up(&worker.name, goal);
        }
        up
    }

    /// All workers are of the new version and healthy. Replaces one at a time.
    pub(crate) fn all_workers_are_up(&mut self) -> bool {
        let mut up = true;
        for worker in self.trial_workers() {
            let goal = self.replicas(&worker);
            let crew = self.trial().and_then(|t| t.crews.get(&worker.name));
            let (size, healthy) = crew.map_or((0, 0), |c| (c.size(), self.healthy(c)));
            let next = if size < goal && healthy >= size { size + 1 } else { size };
            let done = self.crew_up(&worker.name, next) && next == goal;
            if !done {
                self.waiting.push(Waiting::Workers { component: worker.name.clone(), done: healthy, of: goal });
            }
            up &= done;
        }
        up
    }

    /// All workers of the very first version, at once.
    pub(crate) fn first_workers_are_up(&mut self) -> bool {
        let mut up = true;
        for worker in self.trial_workers() {
            let goal = self.replicas(&worker);
            up &= self.crew_up(&worker.name, goal);
        }
        up
    }

    fn worker_share(&self, worker: &Component) -> u32 {
        let replicas = self.replicas(worker);
        match self.canary_replicas(worker) {
            CanaryReplicas::Auto => replicas.min(1),
            CanaryReplicas::Full => replicas,
            CanaryReplicas::Fixed(n) => replicas.min(n),
        }
    }

    fn trial_workers(&self) -> Vec<Component> {
        let components = self.trial().map(|t| t.release.components.as_slice()).unwrap_or_default();
        components.iter().filter(|c| !c.name.is_app()).cloned().collect()
    }

    /// Accumulates the time that some replica of the trial should be healthy and never was. Restarts do not reset it;
    /// while canaryd cannot ask a replica, nobody knows whether it is ready, and its time stands still.
    pub(crate) fn time_unready(&mut self) {
        let cannot_tell =
            !self.engine_answers() || self.refused || self.cannot_ask() || self.trial_is_paused_by_somebody();
        let paused = self.memory.paused.is_some() || cannot_tell;
        let delta = self.delta;
        let Some(trial) = &mut self.memory.trial else { return };
        let unready = |c: &Crew| count(c.running().filter(|(_, m)| !m.ready).count()) > 0;
        let waits = trial.crews.values().any(unready);
        match (waits, paused) {
            (false, true | false) => trial.unready = std::time::Duration::ZERO,
            (true, false) => trial.unready += delta,
            (true, true) => {}
        }
        debug_assert!(trial.kind != Kind::Install || trial.weight == canaryd_rollout::Weight::ZERO);
    }

    fn cannot_ask(&self) -> bool {
        let Some(trial) = self.trial() else { return false };
        let replicas = trial.crews.values().flat_map(|c| c.running().filter_map(|(o, _)| self.replica(&c.set, o)));
        replicas.into_iter().any(|r| r.health == Health::Unasked)
    }
}
