//! `--dry-run`: the full loop with real observation. Every action is told instead of done, and from then on the world is shown
//! as if it had been done and had succeeded: containers run and are healthy, the gateway splits, the canary's requests are well.
//! What is simulated is marked so; what really exists is observed as ever.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use canaryd_planner::{
    Action, Health, Live, Memory, Plan, Replica, RunState, SetGoal, SetView, Shelf, Slots, World, plan, settings_of,
};
use canaryd_rollout::{ComponentName, RevisionId, SetId};
use canaryd_verdict::{Arm, Judge, Sample, Settings, Verdict};
use jiff::Timestamp;

use super::bells::lock;
use super::house::{Cell, House};
use super::plan_page::in_words;
use super::world::world_of;

/// Simulated requests a second, for each mode that a check asks about.
const A_SECOND: u64 = 500;
/// Simulated seconds at most, until every check is content.
const MOST_SECONDS: i64 = 400;

/// What would be so if it had been done.
#[derive(Debug, Default)]
pub(crate) struct Pretence {
    sets: BTreeMap<SetId, PretendedSet>,
    live: Option<Live>,
    shelf: Shelf,
    judge: Option<(SetId, Judge)>,
    number: u64,
}

#[derive(Debug)]
struct PretendedSet {
    component: ComponentName,
    revision: RevisionId,
    replicas: BTreeMap<u32, Pretended>,
}

/// One container as it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pretended {
    Running(Timestamp),
    Stopped,
    Removed,
}

/// One turn: observes, adds what is pretended, plans, tells the actions and pretends them.
pub(crate) fn turn(house: &Arc<House>, cell: &Arc<Cell>, memory: &Memory, slots: Slots) -> Plan {
    let now = Timestamp::now();
    let mut world = world_of(house, cell, memory, slots);
    let settings = lock(&cell.wish).rollout.as_deref().map(settings_of);
    let mut pretence = lock(&cell.pretence);
    pretence.attend(memory.canary_set(), settings);
    pretence.number = memory.evidence_number();
    pretence.overlay(&mut world, now);
    let mut decided = plan(memory, &world, now);
    for action in std::mem::take(&mut decided.actions) {
        if pretence.is_news(&action) {
            tracing::info!(rollout = %cell.name, dry_run = true, "would {}", in_words(&action));
        }
        pretence.done(action, now);
    }
    for event in &mut decided.events {
        event.message = format!("{} (simulated)", event.message);
    }
    if let Some(report) = &mut decided.report {
        report.notes.push("simulated (dry run)".to_owned());
        // It takes no commands.
        report.can.clear();
    }
    decided
}

impl Pretence {
    /// Keeps the simulated evidence in step with the set on trial.
    fn attend(&mut self, set: Option<SetId>, settings: Option<Settings>) {
        let Some((set, settings)) = set.zip(settings) else {
            self.judge = None;
            return;
        };
        let fits = self.judge.as_ref().is_some_and(|(of, judge)| *of == set && judge.settings() == &settings);
        if !fits {
            self.judge = Some((set, content(settings)));
        }
    }

    /// The observed world with what is pretended laid over it.
    fn overlay(&self, world: &mut World, now: Timestamp) {
        for (id, pretended) in &self.sets {
            let at = world.sets.iter().position(|s| &s.id == id);
            let mut view = at.map_or_else(|| pretended.empty(id), |at| world.sets.swap_remove(at));
            pretended.overlay(&mut view);
            if !view.replicas.is_empty() {
                world.sets.push(view);
            }
        }
        world.shelf.clone_from(&self.shelf);
        world.sets.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(live) = &self.live {
            world.gateway.live = Some(live.clone());
            world.gateway.problem = None;
        }
        if self.judge.is_some() {
            world.evidence.judge.clone_from(&self.judge);
            world.evidence.number = self.number;
            world.evidence.read_at = Some(now);
            world.evidence.silent = None;
        }
    }

    /// Whether an action asks for more than is pretended already: the gateway is asked for the same until it is live.
    fn is_news(&self, action: &Action) -> bool {
        let asked = action.route().zip(self.live.as_ref());
        asked.is_none_or(|(intent, live)| live.intent.traffic != intent.traffic)
    }

    /// Takes an action as done.
    fn done(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::Route(intent) => {
                self.live = Some(Live { intent, generation: "simulated".to_owned(), since: now });
            }
            Action::EnsureSet(goal) => self.set_of(&goal).ensure(&goal, now),
            Action::RemoveSet { set, .. } => {
                if let Some(set) = self.sets.get_mut(&set) {
                    set.replicas.values_mut().for_each(|replica| *replica = Pretended::Removed);
                }
            }
            Action::RemoveGateway => self.live = None,
            Action::KeepImages { revision } => drop(self.shelf.kept.insert(revision)),
            Action::ForgetRevision { revision } => drop(self.shelf.forgotten.insert(revision)),
            Action::SaveFailure { .. } | Action::ResolveAgain => {}
        }
    }

    fn set_of(&mut self, goal: &SetGoal) -> &mut PretendedSet {
        self.sets.entry(goal.set.clone()).or_insert_with(|| PretendedSet {
            component: goal.component.clone(),
            revision: goal.revision.clone(),
            replicas: BTreeMap::new(),
        })
    }
}

impl PretendedSet {
    fn empty(&self, id: &SetId) -> SetView {
        SetView {
            id: id.clone(),
            component: self.component.clone(),
            revision: self.revision.clone(),
            replicas: Vec::new(),
        }
    }

    fn ensure(&mut self, goal: &SetGoal, now: Timestamp) {
        for ordinal in &goal.running {
            let replica = self.replicas.entry(*ordinal).or_insert(Pretended::Running(now));
            match replica {
                Pretended::Running(_) => {}
                Pretended::Stopped | Pretended::Removed => *replica = Pretended::Running(now),
            }
        }
        self.replicas.extend(goal.stopped.iter().map(|ordinal| (*ordinal, Pretended::Stopped)));
        self.replicas.extend(goal.removed.iter().map(|ordinal| (*ordinal, Pretended::Removed)));
    }

    /// A container that really runs is left as it is where it is to run.
    fn overlay(&self, view: &mut SetView) {
        for (ordinal, pretended) in &self.replicas {
            let at = view.replicas.iter().position(|r| r.ordinal == *ordinal);
            match (pretended, at) {
                (Pretended::Running(_), Some(at)) if view.replicas[at].state == RunState::Running => {}
                (Pretended::Running(since), at) => {
                    at.map(|at| view.replicas.swap_remove(at));
                    view.replicas.push(simulated(*ordinal, RunState::Running, Some(*since)));
                }
                (Pretended::Stopped, Some(at)) => view.replicas[at].state = RunState::Exited,
                (Pretended::Stopped, None) => view.replicas.push(simulated(*ordinal, RunState::Exited, None)),
                (Pretended::Removed, Some(at)) => {
                    view.replicas.swap_remove(at);
                }
                (Pretended::Removed, None) => {}
            }
        }
        view.replicas.sort_by_key(|r| r.ordinal);
    }
}

/// Its address is one of those that RFC 5737 keeps for examples: nothing is ever sent there.
fn simulated(ordinal: u32, state: RunState, since: Option<Timestamp>) -> Replica {
    let [.., last] = ordinal.to_be_bytes();
    Replica {
        ordinal,
        container: "simulated".to_owned(),
        state,
        health: Health::Healthy,
        started_at: since,
        addr: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))),
        exits: Vec::new(),
    }
}

/// A judge that has seen so many good requests that every check gives its leave for all traffic.
fn content(settings: Settings) -> Judge {
    let modes = std::iter::once(None).chain(settings.checks.iter().map(|check| check.mode.clone()));
    let samples: Vec<Sample> =
        modes.flat_map(|mode| (0..A_SECOND).map(move |client| good(mode.clone(), client))).collect();
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a warm-up, far below 2^63")]
    let stride = settings.warmup.ceil() as i64 + 1;
    let mut judge = Judge::new(settings);
    for second in 0..MOST_SECONDS {
        judge.tick(second * stride, &samples);
        if judge.verdict(Some(1.0)) == Verdict::Pass {
            break;
        }
    }
    judge
}

fn good(mode: Option<String>, client: u64) -> Sample {
    Sample { arm: Arm::Canary, ordinal: 1, failed: false, latency: Some(0.0), mode, client }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use canaryd_gateway::{Intent, Traffic};
    use canaryd_planner::{Desired, EngineView, EvidenceView, GatewayView};
    use canaryd_verdict::{Bad, Question};

    use super::*;

    fn nothing() -> World {
        World {
            desired: Desired::Unknown,
            sets: Vec::new(),
            gateway: GatewayView::default(),
            evidence: EvidenceView::default(),
            shelf: Shelf::default(),
            slots: Slots::default(),
            engine: EngineView::default(),
            journal_trouble: None,
        }
    }

    fn goal(running: &[u32], stopped: &[u32]) -> SetGoal {
        SetGoal {
            set: SetId::nth(1),
            component: ComponentName::app(),
            revision: "0123456789".parse().expect("a revision"),
            running: running.to_vec(),
            stopped: stopped.to_vec(),
            removed: Vec::new(),
            grace: Duration::from_secs(1),
            expendable: false,
        }
    }

    fn seen(pretence: &Pretence) -> World {
        let mut world = nothing();
        pretence.overlay(&mut world, Timestamp::UNIX_EPOCH);
        world
    }

    #[test]
    fn what_would_be_started_runs_and_is_healthy_and_marked() {
        let mut pretence = Pretence::default();
        pretence.done(Action::EnsureSet(goal(&[1, 2], &[])), Timestamp::UNIX_EPOCH);
        let world = seen(&pretence);
        assert_eq!(world.sets.len(), 1);
        for replica in &world.sets[0].replicas {
            assert_eq!((replica.state, &replica.health), (RunState::Running, &Health::Healthy));
            assert_eq!(replica.container, "simulated");
        }
    }

    #[test]
    fn what_would_be_stopped_or_removed_is_so() {
        let mut pretence = Pretence::default();
        pretence.done(Action::EnsureSet(goal(&[1, 2], &[])), Timestamp::UNIX_EPOCH);
        pretence.done(Action::EnsureSet(goal(&[1], &[2])), Timestamp::UNIX_EPOCH);
        let states: Vec<RunState> = seen(&pretence).sets[0].replicas.iter().map(|r| r.state).collect();
        assert_eq!(states, [RunState::Running, RunState::Exited]);
        pretence.done(Action::RemoveSet { set: SetId::nth(1), grace: Duration::ZERO }, Timestamp::UNIX_EPOCH);
        assert!(seen(&pretence).sets.is_empty());
    }

    #[test]
    fn a_container_that_really_runs_is_shown_as_it_is() {
        let mut pretence = Pretence::default();
        pretence.done(Action::EnsureSet(goal(&[1], &[])), Timestamp::UNIX_EPOCH);
        let mut world = seen(&pretence);
        let unwell = Health::Unhealthy { why: "answered 500".to_owned() };
        world.sets[0].replicas[0] =
            Replica { container: "real".to_owned(), health: unwell.clone(), ..world.sets[0].replicas[0].clone() };
        pretence.overlay(&mut world, Timestamp::UNIX_EPOCH);
        let replica = &world.sets[0].replicas[0];
        assert_eq!((replica.container.as_str(), &replica.health), ("real", &unwell));
    }

    #[test]
    fn a_weight_that_is_asked_for_is_live_and_told_once() {
        let mut pretence = Pretence::default();
        let intent = Intent { seq: 7, traffic: Traffic::PRODUCTION, lanes: BTreeMap::new(), precaution: false };
        let action = Action::Route(intent.clone());
        assert!(pretence.is_news(&action));
        pretence.done(action.clone(), Timestamp::UNIX_EPOCH);
        assert!(!pretence.is_news(&action));
        assert_eq!(seen(&pretence).gateway.live.map(|live| live.intent), Some(intent));
    }

    #[test]
    fn simulated_evidence_gives_leave_for_everything_whatever_is_asked() {
        let question = |name: &str, mode: Option<&str>, bad| Question {
            name: name.to_owned(),
            mode: mode.map(str::to_owned),
            weight: 1.0,
            observe_only: false,
            bad,
        };
        let checks = vec![
            question("errors", None, Bad::Failed { max: 0.0005 }),
            question("p99", Some("fast"), Bad::Slower { quantile: 0.99, max: 0.001 }),
        ];
        let settings = Settings { alpha: 0.05, beta: 0.05, planned_minutes: 45.0, warmup: 60.0, checks };
        assert_eq!(content(settings).verdict(Some(1.0)), Verdict::Pass);
    }
}
