//! Containers as Docker keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use canaryd_planner::{Action, Exit, ExitCause, Fault, Health, Replica, RunState, SetGoal, SetView, Trouble};
use canaryd_rollout::{ComponentName, RevisionId, SetId};
use jiff::Timestamp;

/// How a version behaves.
#[derive(Clone)]
pub struct Conduct {
    /// From start to healthy; `None`: never.
    pub boot: Option<Duration>,
    /// It ends by itself this long after each start.
    pub dies: Option<Duration>,
    /// One of so many of its requests fails.
    pub fails: Option<u64>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self { boot: Some(Duration::from_secs(1)), dies: None, fails: None }
    }
}

#[derive(Clone, Default)]
pub struct Docker {
    pub sets: Vec<SetView>,
    pub versions: BTreeMap<RevisionId, String>,
    pub conduct: BTreeMap<String, Conduct>,
    /// Revisions whose images carry a tag of ours.
    pub kept: BTreeSet<RevisionId>,
    /// Versions with a failure bundle.
    pub saved: BTreeSet<String>,
    /// Replicas that are told to be ill.
    pub ill: BTreeSet<(SetId, u32)>,
    /// Docker brings these back, after so many seconds.
    pub restarts: BTreeMap<(SetId, u32), u8>,
    /// What is said when containers of these versions (or "mail of v1") are to be started, and whose fault it is.
    pub refused: BTreeMap<String, (Fault, String)>,
    /// Operations that failed.
    pub troubles: BTreeMap<SetId, Trouble>,
    /// Sets of which a container cannot be inspected.
    pub unseen: BTreeSet<SetId>,
    /// Starts that were refused.
    pub tries: u32,
    starts: u32,
}

impl Docker {
    pub fn version(&self, revision: &RevisionId) -> String {
        self.versions.get(revision).cloned().unwrap_or_else(|| revision.to_string())
    }

    pub fn conduct(&self, revision: &RevisionId) -> Conduct {
        self.conduct.get(&self.version(revision)).cloned().unwrap_or_default()
    }

    fn conduct_of(&self, set: &SetView) -> Conduct {
        let own = self.conduct.get(&of(&set.component, &self.version(&set.revision)));
        own.cloned().unwrap_or_else(|| self.conduct(&set.revision))
    }

    pub fn set(&self, id: &SetId) -> Option<&SetView> {
        self.sets.iter().find(|s| &s.id == id)
    }

    /// Boots, ends and restarts what is due.
    pub fn live_on(&mut self, now: Timestamp) {
        let conducts: Vec<Conduct> = self.sets.iter().map(|s| self.conduct_of(s)).collect();
        for (set, conduct) in self.sets.iter_mut().zip(conducts) {
            for replica in &mut set.replicas {
                let key = (set.id.clone(), replica.ordinal);
                match self.restarts.remove(&key) {
                    Some(0) if replica.state == RunState::Exited => start(replica, now),
                    Some(left) if left > 0 => drop(self.restarts.insert(key.clone(), left - 1)),
                    Some(_) | None => {}
                }
                let runs = replica.state == RunState::Running;
                if runs && age(replica, &conduct, self.ill.contains(&key), now) {
                    self.restarts.insert(key, 0);
                }
            }
        }
    }

    pub fn ensure(&mut self, goal: &SetGoal, now: Timestamp) -> Vec<String> {
        if self.set(&goal.set).is_none() {
            let (id, component) = (goal.set.clone(), goal.component.clone());
            self.sets.push(SetView { id, component, revision: goal.revision.clone(), replicas: Vec::new() });
        }
        let version = self.version(&goal.revision);
        let refused = self.refuse(goal, &version);
        let mut lines = Vec::new();
        let mut say = |what: &str, n: u32| lines.push(format!("{what} {} {n} ({version})", goal.component));
        let mut starts = self.starts;
        let set = self.sets.iter_mut().find(|s| s.id == goal.set).unwrap();
        for replica in &mut set.replicas {
            let key = (goal.set.clone(), replica.ordinal);
            if goal.stopped.contains(&replica.ordinal) && replica.state != RunState::Exited {
                replica.state = RunState::Exited;
                self.restarts.remove(&key);
                say("stops", replica.ordinal);
            }
            let down = !matches!(replica.state, RunState::Running | RunState::Paused);
            if !refused && goal.running.contains(&replica.ordinal) && down {
                self.restarts.remove(&key);
                start(replica, now);
                say("starts", replica.ordinal);
            }
        }
        let before = set.replicas.len();
        set.replicas.retain(|r| !goal.removed.contains(&r.ordinal));
        if set.replicas.len() < before {
            goal.removed.iter().for_each(|n| say("removes", *n));
        }
        for ordinal in &goal.running {
            if !refused && !set.replicas.iter().any(|r| r.ordinal == *ordinal) {
                starts += 1;
                set.replicas.push(fresh(*ordinal, starts, now));
                say("starts", *ordinal);
            }
        }
        set.replicas.sort_by_key(|r| r.ordinal);
        self.starts = starts;
        self.sets.retain(|s| !s.replicas.is_empty());
        lines
    }

    /// Whether what is to be started is refused.
    fn refuse(&mut self, goal: &SetGoal, version: &str) -> bool {
        let up = |o: &u32| {
            self.set(&goal.set)
                .is_some_and(|s| s.replicas.iter().any(|r| r.ordinal == *o && r.state == RunState::Running))
        };
        let starts = !goal.running.iter().all(up);
        let refused = self.refused.get(version).or_else(|| self.refused.get(&of(&goal.component, version)));
        let Some((fault, what)) = refused.cloned().filter(|_| starts) else {
            self.troubles.remove(&goal.set);
            return false;
        };
        self.tries += 1;
        self.troubles.insert(goal.set.clone(), Trouble { set: goal.set.clone(), what, fault });
        true
    }

    pub fn all_troubles(&self) -> Vec<Trouble> {
        let unseen = self.unseen.iter().filter_map(|id| {
            let what = format!("Docker cannot inspect a container of {}", self.set(id)?.component);
            Some(Trouble { set: id.clone(), what, fault: Fault::Passing })
        });
        self.troubles.values().cloned().chain(unseen).collect()
    }

    /// What is not asked for any more is not tried any more.
    pub fn give_up(&mut self, actions: &[Action]) {
        self.troubles.retain(|set, _| {
            actions.iter().any(|action| matches!(action, Action::EnsureSet(goal) if &goal.set == set))
        });
    }

    pub fn remove(&mut self, id: &SetId) -> Vec<String> {
        self.troubles.remove(id);
        let Some(set) = self.set(id) else { return Vec::new() };
        let version = self.version(&set.revision);
        let lines =
            set.replicas.iter().map(|r| format!("removes {} {} ({version})", set.component, r.ordinal)).collect();
        self.sets.retain(|s| &s.id != id);
        lines
    }

    /// The replicas of a component in a version that run.
    pub fn running(&self, component: &ComponentName, version: &str) -> Vec<(SetId, u32)> {
        let sets = self.sets.iter().filter(|s| &s.component == component && self.version(&s.revision) == version);
        let up = |s: &SetView| -> Vec<(SetId, u32)> {
            let running = s.replicas.iter().filter(|r| r.state == RunState::Running);
            running.map(|r| (s.id.clone(), r.ordinal)).collect()
        };
        sets.flat_map(up).collect()
    }

    pub fn exit(&mut self, set: &SetId, ordinal: u32, cause: ExitCause, oom: bool, now: Timestamp) {
        let Some(set) = self.sets.iter_mut().find(|s| &s.id == set) else { return };
        let Some(replica) = set.replicas.iter_mut().find(|r| r.ordinal == ordinal) else { return };
        let code = if oom || cause != ExitCause::Itself { 137 } else { 1 };
        end(replica, Exit { at: now, code, oom, cause });
        // the restart policy acts on what ended by itself, not on what somebody stopped
        if cause == ExitCause::Itself {
            self.restarts.insert((set.id.clone(), ordinal), 1);
        }
    }

    /// The engine takes every container along.
    pub fn end_with_engine(&mut self, now: Timestamp) {
        let running = self.sets.iter_mut().flat_map(|s| &mut s.replicas).filter(|r| r.state == RunState::Running);
        running.for_each(|r| end(r, Exit { at: now, code: 0, oom: false, cause: ExitCause::Engine }));
    }

    pub fn pause(&mut self, set: &SetId, ordinal: u32) {
        let replicas = self.sets.iter_mut().filter(|s| &s.id == set).flat_map(|s| &mut s.replicas);
        replicas
            .filter(|r| r.ordinal == ordinal && r.state == RunState::Running)
            .for_each(|r| r.state = RunState::Paused);
    }

    pub fn unpause(&mut self) {
        let paused = self.sets.iter_mut().flat_map(|s| &mut s.replicas).filter(|r| r.state == RunState::Paused);
        paused.for_each(|r| r.state = RunState::Running);
    }

    pub fn vanish(&mut self, set: &SetId, ordinal: u32) {
        for view in self.sets.iter_mut().filter(|s| &s.id == set) {
            view.replicas.retain(|r| r.ordinal != ordinal);
        }
        self.sets.retain(|s| !s.replicas.is_empty());
    }
}

/// One component of a version.
pub fn of(component: &ComponentName, version: &str) -> String {
    format!("{component} of {version}")
}

fn fresh(ordinal: u32, n: u32, now: Timestamp) -> Replica {
    Replica {
        ordinal,
        container: format!("c{n}"),
        state: RunState::Running,
        health: Health::Starting { last: None },
        started_at: Some(now),
        addr: Some(format!("10.0.{}.{}", n / 250, 1 + n % 250).parse().unwrap()),
        exits: Vec::new(),
    }
}

fn start(replica: &mut Replica, now: Timestamp) {
    replica.state = RunState::Running;
    replica.health = Health::Starting { last: None };
    replica.started_at = Some(now);
}

fn end(replica: &mut Replica, exit: Exit) {
    replica.state = RunState::Exited;
    replica.exits.push(exit);
    let surplus = replica.exits.len().saturating_sub(8);
    replica.exits.drain(..surplus);
}

/// `true`: it ended by itself.
fn age(replica: &mut Replica, conduct: &Conduct, ill: bool, now: Timestamp) -> bool {
    let age = replica.started_at.map_or(0, |at| now.duration_since(at).as_secs()).unsigned_abs();
    let dies = conduct.dies.is_some_and(|after| age >= after.as_secs().max(1));
    if dies {
        end(replica, Exit { at: now, code: 1, oom: false, cause: ExitCause::Itself });
    } else if conduct.boot.is_none_or(|boot| age < boot.as_secs()) {
        replica.health = Health::Starting { last: Some("connection refused".to_owned()) };
    } else if ill {
        replica.health = Health::Unhealthy { why: "GET /health answered 500".to_owned() };
    } else {
        replica.health = Health::Healthy;
    }
    dies
}
