//! A small simulated world around the planner: containers that boot, crash and are restarted as Docker does it, a gateway
//! that follows its intents, requests that are counted by a real judge, a journal, and a daemon that can be killed.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by tests; each uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::new_without_default,
    clippy::must_use_candidate,
    clippy::print_stdout,
    reason = "a test"
)]

pub mod blame;
pub mod docker;
pub mod gateway;
pub mod laws;
pub mod lowering;
pub mod manifest;
pub mod observed;
pub mod sight;
pub mod standstill;
pub mod told;
pub mod users;

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_gateway::Traffic;
use canaryd_planner::*;
use canaryd_rollout::{ImageState, RevisionId, Rollout, Weight};
use jiff::Timestamp;

use docker::Docker;
use gateway::Nginx;
use laws::Laws;
use users::Users;

thread_local! {
    /// What happens is printed, for a failed test.
    pub static LOUD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// When every story begins.
pub const DAWN: &str = "2026-03-02T09:00:00Z";

#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of the simulated host, named where a story sets it"
)]
pub struct Sim {
    pub memory: Memory,
    /// What the journal holds: all that is left of the memory after a kill.
    disk: Memory,
    pub world: World,
    pub now: Timestamp,
    pub last: Option<Plan>,
    /// The manifest file as it is being edited; `apply` saves it.
    pub manifest: Rollout,
    pub docker: Docker,
    pub nginx: Nginx,
    pub users: Users,
    pub laws: Laws,
    /// The daemon is killed in the next turn, after so many actions.
    pub kill: Option<usize>,
    /// It came back and has not asked anybody yet.
    pub waking: bool,
    /// The last turn was such a one.
    blind: bool,
    /// The next observation shows the world as it was before.
    pub late: bool,
    /// Turns that `until` waits.
    pub patience: usize,
    /// Every plan is made twice, and every memory goes through the journal.
    pub strict: bool,
    /// What a person saw when she looked last.
    pub seen: Option<Expected>,
    pub told: Vec<String>,
    commands: u32,
}

impl Sim {
    pub fn new() -> Self {
        let world = World {
            desired: Desired::Unknown,
            sets: Vec::new(),
            gateway: GatewayView::default(),
            evidence: EvidenceView::default(),
            slots: Slots { may_move: true, may_start: true, ahead: Vec::new() },
            engine: EngineView::default(),
            shelf: Shelf::default(),
            journal_trouble: None,
        };
        Self {
            memory: Memory::default(),
            disk: Memory::default(),
            world,
            now: DAWN.parse().unwrap(),
            last: None,
            manifest: manifest::rollout(),
            docker: Docker::default(),
            nginx: Nginx::default(),
            users: Users::default(),
            laws: Laws::default(),
            kill: None,
            waking: false,
            blind: false,
            late: false,
            patience: 7200,
            strict: false,
            seen: None,
            told: Vec::new(),
            commands: 0,
        }
    }

    /// With v1 in production and nothing left to do.
    pub fn installed(edit: impl Fn(&mut Rollout)) -> Self {
        let mut sim = Self::new();
        edit(&mut sim.manifest);
        sim.apply("v1");
        sim.until("idle", Self::is_idle);
        sim
    }

    // --- the manifest ---

    pub fn apply(&mut self, version: &str) {
        self.apply_as(version, version);
    }

    /// Content under the name of a version that may be another one's, too.
    pub fn apply_as(&mut self, version: &str, content: &str) {
        version.clone_into(&mut self.manifest.version);
        self.manifest.revision = manifest::revision(content);
        self.manifest.provisional = self.manifest.revision.clone();
        self.docker.versions.insert(self.manifest.revision.clone(), version.to_owned());
        self.save();
    }

    pub fn save(&mut self) {
        self.world.desired = Desired::Ready(Box::new(self.manifest.clone()));
    }

    pub fn image(&mut self, state: ImageState) {
        self.manifest.images = BTreeMap::from([("shop".to_owned(), state)]);
        self.save();
    }

    pub fn say(&mut self, verb: Verb) -> Answer {
        let id = self.send(verb, None);
        self.tick();
        let mut answers = self.last.iter().flat_map(|p| &p.answers);
        let none = Answer { id: id.clone(), accepted: false, message: "no answer".to_owned() };
        answers.rfind(|a| a.id == id).cloned().unwrap_or(none)
    }

    /// Journalled, not yet planned.
    pub fn send(&mut self, verb: Verb, comment: Option<String>) -> String {
        self.commands += 1;
        let id = format!("c{}", self.commands);
        let actor = "mina".to_owned();
        self.memory.inbox.push(Command { id: id.clone(), actor, comment, at: self.now, expected: None, verb });
        if self.world.journal_trouble.is_none() {
            self.disk = self.memory.clone();
        }
        id
    }

    // --- the journal ---

    /// The daemon was killed and its journal is gone; safe mode lowers, and a memory is made of what is left.
    pub fn rebuild(&mut self, safe_mode: bool) {
        let mut live = self.nginx.live.clone();
        if let Some(live) = live.as_mut().filter(|live| safe_mode && live.intent.traffic.canary() > Weight::ZERO) {
            live.intent.traffic = Traffic::PRODUCTION;
        }
        self.nginx.start_again(live.clone());
        let rebuilt = rebuild(&self.traces(), self.now);
        for line in rebuilt.found.iter().chain(&rebuilt.assumed) {
            self.told(line);
        }
        (self.memory, self.disk) = (rebuilt.memory.clone(), rebuilt.memory);
        self.docker.troubles.clear();
        self.world.shelf = Shelf::default();
        self.waking = true;
        self.laws.wake(self.memory.asked());
    }

    /// What is left without the journal.
    pub fn traces(&self) -> Traces {
        let desired = match &self.world.desired {
            Desired::Ready(rollout) => Some((**rollout).clone()),
            Desired::Unknown | Desired::Gone { .. } => None,
        };
        let content = |(revision, version): (&RevisionId, &String)| {
            let (version, revision) = (version.clone(), revision.clone());
            Rollout { version, provisional: revision.clone(), revision, ..self.manifest.clone() }
        };
        Traces {
            desired,
            revisions: self.docker.versions.iter().map(content).collect(),
            sets: self.docker.sets.clone(),
            versions: self.docker.versions.clone(),
            live: self.nginx.live.as_ref().map(|live| live.intent.clone()),
            seq: 0,
            last_set: 0,
        }
    }

    // --- time ---

    /// One second.
    pub fn tick(&mut self) {
        self.step(Duration::from_secs(1));
    }

    pub fn step(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    pub fn advance(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.tick());
    }

    /// One reconcile at the present moment.
    pub fn turn(&mut self) {
        let before = self.nginx.live.clone();
        self.docker.live_on(self.now);
        self.nginx.follow(self.now);
        self.observe();
        let plan = self.decide();
        self.blind = self.waking;
        self.laws.heed(&self.memory, &self.world, &plan, self.now, &self.docker);
        self.tell(&plan);
        self.memory = plan.memory.clone();
        if self.world.journal_trouble.is_none() {
            self.disk = self.memory.clone();
        }
        let in_force = match &self.world.desired {
            Desired::Ready(rollout) => rollout,
            Desired::Unknown | Desired::Gone { .. } => &self.manifest,
        };
        self.users.attend(&self.memory, in_force);
        if self.world.journal_trouble.is_none() {
            self.docker.give_up(&plan.actions);
        }
        let all = plan.actions.len();
        let spared = self.kill.take().map(|n| n.min(all));
        for action in plan.actions.iter().take(spared.unwrap_or(all)) {
            self.act(action);
        }
        self.waking = spared.is_some();
        if self.waking {
            self.docker.troubles.clear();
            self.world.shelf = Shelf::default();
            self.told("canaryd is killed and starts again");
            self.memory = self.disk.clone();
            self.nginx.wake(self.memory.asked());
            self.laws.wake(self.memory.asked());
        }
        self.tell_traffic(before.as_ref());
        self.last = Some(plan);
    }

    fn observe(&mut self) {
        if self.world.engine.unreachable.is_none() && !self.late {
            self.world.sets.clone_from(&self.docker.sets);
            self.world.engine.troubles = self.docker.all_troubles();
        }
        self.late = false;
        self.users.visit(self.nginx.live.as_ref(), &self.docker, self.now);
        self.world.evidence = self.users.view(self.now);
        let gateway = self.nginx.view();
        // Of its container the engine tells.
        let unknown = GatewayView { container: gateway.container.clone(), ..GatewayView::default() };
        self.world.gateway = if self.waking { unknown } else { gateway };
    }

    fn decide(&self) -> Plan {
        let desired = Desired::Unknown;
        let blind;
        let world = if self.waking {
            blind = World { desired, ..self.world.clone() };
            &blind
        } else {
            &self.world
        };
        let decided = plan(&self.memory, world, self.now);
        let telling = !(decided.actions.is_empty() && decided.events.is_empty());
        if self.strict && (telling || self.now.as_second() % 60 == 0) {
            let again = plan(&self.memory, world, self.now);
            assert_eq!(format!("{decided:?}"), format!("{again:?}"), "two runs with equal input are byte-equal");
            let json = serde_json::to_string(&decided.memory).unwrap();
            let back: Memory = serde_json::from_str(&json).unwrap();
            assert_eq!(back, decided.memory, "the journal gives back what it was given");
        }
        decided
    }

    fn act(&mut self, action: &Action) {
        let reachable = self.world.engine.unreachable.is_none();
        match action {
            Action::Route(intent) => self.nginx.ask(intent, self.now),
            Action::EnsureSet(goal) if reachable => {
                let lines = self.docker.ensure(goal, self.now);
                for line in lines {
                    self.told(&line);
                }
            }
            Action::RemoveSet { set, .. } if reachable => {
                let lines = self.docker.remove(set);
                for line in lines {
                    self.told(&line);
                }
            }
            Action::EnsureSet(_) | Action::RemoveSet { .. } => {}
            Action::RemoveGateway => self.nginx.remove(),
            Action::SaveFailure { revision, .. } => {
                let version = self.docker.version(revision);
                if self.docker.saved.insert(version.clone()) {
                    self.told(&format!("logs of {version} are saved"));
                }
            }
            Action::KeepImages { revision } => {
                self.docker.kept.insert(revision.clone());
                self.world.shelf.forgotten.remove(revision);
                self.world.shelf.kept.insert(revision.clone());
            }
            Action::ForgetRevision { revision } => {
                self.docker.kept.remove(revision);
                self.world.shelf.kept.remove(revision);
                self.world.shelf.forgotten.insert(revision.clone());
            }
            Action::ResolveAgain => self.told("the manifest's images are looked up again"),
        }
    }

    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..self.patience {
            if done(self) {
                return;
            }
            self.tick();
        }
        panic!("never {what}: {}", self.why());
    }

    // --- what is ---

    /// Where it hangs, for a failed test.
    pub fn why(&self) -> String {
        let actions = self.last.iter().flat_map(|p| &p.actions).map(|a| format!("\n  does {a:?}")).collect::<String>();
        let events =
            self.last.iter().flat_map(|p| &p.events).map(|e| format!("\n  says {}", e.message)).collect::<String>();
        let live = self.nginx.live.as_ref().map(|l| format!("\n  live {:?}", l.intent)).unwrap_or_default();
        format!("\n{}{actions}{events}{live}", self.show().join("\n"))
    }

    /// Nothing moves, and nothing is being asked of the world.
    pub fn is_idle(&self) -> bool {
        let still = self.last.as_ref().is_some_and(|p| p.actions.is_empty() && p.events.is_empty());
        let going =
            self.last.as_ref().and_then(|p| p.report.as_ref()).is_some_and(|r| r.sentence.contains("being deleted"));
        still
            && !going
            && matches!(self.memory.phase_name(), "idle" | "stopped")
            && !self.waking
            && !self.blind
            && self.memory.at_work().is_empty()
            && self.memory.inbox.is_empty()
    }

    /// canaryd, or a person, paused it.
    pub fn is_paused(&self) -> bool {
        self.last.as_ref().and_then(|p| p.report.as_ref()).is_some_and(|r| r.paused.is_some())
    }

    pub fn report(&self) -> &Report {
        self.last.as_ref().unwrap().report.as_ref().unwrap()
    }

    pub fn outcome(&self) -> Option<Outcome> {
        self.last.as_ref()?.report.as_ref()?.outcome.as_ref().map(|o| o.outcome)
    }

    pub fn weight(&self) -> canaryd_rollout::Weight {
        self.nginx.view().traffic().canary()
    }

    /// Version in production, as the last report says.
    pub fn production(&self) -> Option<String> {
        self.last.as_ref()?.report.as_ref()?.production.as_ref().map(|p| p.version.clone())
    }

    /// Plans at one and the same moment until there is nothing left to do.
    pub fn settle(&mut self) {
        for _ in 0..50 {
            let before = self.memory.clone();
            self.turn();
            let last = self.last.as_ref().unwrap();
            if last.actions.is_empty() && last.events.is_empty() && before == self.memory && !self.waking {
                return;
            }
        }
        panic!("no fixpoint: {}", self.why());
    }
}
