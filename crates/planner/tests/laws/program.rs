//! Histories whose events wait for a state and not for a time, so that they mean the same with and without a kill.

use std::collections::BTreeSet;

use canaryd_planner::{ExitCause, Outcome, Verb};
use canaryd_rollout::{RevisionId, Weight};

use crate::chance::{Dice, newborn};
use crate::sim::Sim;

#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// This version is asked for, if it is not yet.
    version: u64,
    /// Something happens when the canary has this share (basis points), or when nothing moves any more.
    at: u16,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Abort,
    EndsByItself,
    EndsForMemory,
    StoppedBySomebody,
    Errors,
    Promote,
    Undo,
    Restart,
    Retry,
    Scale,
    StopAndStart,
    DeleteAndRetry,
}

const ALL: [Then; 13] = [
    Then::Nothing,
    Then::Abort,
    Then::EndsByItself,
    Then::EndsForMemory,
    Then::StoppedBySomebody,
    Then::Errors,
    Then::Promote,
    Then::Undo,
    Then::Restart,
    Then::Retry,
    Then::Scale,
    Then::StopAndStart,
    Then::DeleteAndRetry,
];

/// Where canaryd dies: in this turn, after so many of its actions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) turn: u64,
    pub(crate) spared: usize,
}

/// What a history comes to.
#[derive(Debug, PartialEq)]
pub(crate) struct End {
    production: Option<String>,
    traffic: canaryd_gateway::Traffic,
    outcome: Option<(Outcome, String)>,
    notes: Vec<String>,
    containers: Vec<String>,
    kept: BTreeSet<RevisionId>,
    saved: BTreeSet<String>,
}

pub(crate) fn random(dice: &mut Dice) -> Vec<Step> {
    let step = |dice: &mut Dice| Step {
        version: 1 + dice.roll(4),
        at: [500, 2500, 10_000][usize::try_from(dice.roll(3)).unwrap()],
        then: ALL[usize::try_from(dice.roll(ALL.len() as u64)).unwrap()],
    };
    (0..3).map(|_| step(dice)).collect()
}

/// Returns the end and the number of turns it took.
pub(crate) fn run(program: &[Step], kills: &[Kill]) -> (End, u64) {
    let mut runner = Runner { sim: newborn(), turns: 0, kills: kills.to_vec() };
    for step in program {
        runner.take(step);
    }
    (0..40).for_each(|_| runner.turn());
    (runner.end(), runner.turns)
}

struct Runner {
    sim: Sim,
    turns: u64,
    kills: Vec<Kill>,
}

impl Runner {
    fn turn(&mut self) {
        if let Some(kill) = self.kills.iter().find(|k| k.turn == self.turns) {
            self.sim.kill = Some(kill.spared);
        }
        self.turns += 1;
        self.sim.tick();
    }

    fn until(&mut self, done: impl Fn(&Sim) -> bool) {
        for _ in 0..600 {
            self.turn();
            if done(&self.sim) {
                return;
            }
        }
        panic!("it comes to no end: {}", self.sim.why());
    }

    fn say(&mut self, verb: Verb) {
        self.sim.send(verb, None);
        self.turn();
    }

    fn take(&mut self, step: &Step) {
        self.sim.apply(&format!("v{}", step.version));
        let weight = Weight::from_basis_points(step.at).unwrap();
        self.until(|s| (s.weight() == weight && s.memory.canary_set().is_some()) || s.is_idle());
        self.sim.docker.conduct.clear();
        self.then(step.then);
        self.until(Sim::is_idle);
    }

    fn then(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Abort => self.say(Verb::Abort),
            Then::EndsByItself => self.exit(ExitCause::Itself, false),
            Then::EndsForMemory => self.exit(ExitCause::Itself, true),
            Then::StoppedBySomebody => self.exit(ExitCause::Somebody, false),
            Then::Errors => self.sim.users.extra(60, 80),
            Then::Promote => self.say(Verb::Promote { reason: "urgent".to_owned() }),
            Then::Undo => self.say(Verb::Undo),
            Then::Restart => self.say(Verb::Restart),
            Then::Retry => self.say(Verb::Retry),
            Then::Scale => {
                self.sim.manifest.app.replicas = 5 - self.sim.manifest.app.replicas;
                self.sim.save();
            }
            Then::StopAndStart => {
                self.say(Verb::Stop { page: None, retry_after: None });
                self.until(|s| s.is_idle() || s.memory.canary_set().is_some());
                self.say(Verb::Start);
            }
            Then::DeleteAndRetry => {
                self.say(Verb::Delete);
                self.until(|s| s.memory.is_deleted() && s.is_idle());
                self.say(Verb::Retry);
            }
        }
    }

    fn exit(&mut self, cause: ExitCause, oom: bool) {
        let Some(set) = self.sim.memory.canary_set() else { return };
        let Some(ordinal) = self.sim.docker.set(&set).and_then(|s| s.replicas.first()).map(|r| r.ordinal) else {
            return;
        };
        let now = self.sim.now;
        self.sim.docker.exit(&set, ordinal, cause, oom, now);
    }

    fn end(&self) -> End {
        let report = self.sim.report();
        let docker = &self.sim.docker;
        let mut containers: Vec<String> = Vec::new();
        for set in &docker.sets {
            let version = docker.version(&set.revision);
            let replicas = set.replicas.iter().map(|r| format!("{} {version} {:?}", set.component, r.state));
            containers.extend(replicas);
        }
        containers.sort();
        End {
            production: self.sim.production(),
            traffic: self.sim.nginx.view().traffic(),
            outcome: report.outcome.as_ref().map(|o| (o.outcome, o.version.clone())),
            notes: report.notes.iter().map(|n| n.chars().take_while(|c| *c != '(').collect()).collect(),
            containers,
            // whether a blocked version that is asked for still has its tag depends on how long it was not asked for
            kept: docker.kept.iter().filter(|revision| **revision != self.sim.manifest.revision).cloned().collect(),
            saved: docker.saved.clone(),
        }
    }
}
