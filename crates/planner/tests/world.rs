//! The planner against a small simulated world: fake containers, a gateway that follows at once, no verdict (silent judge).
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use canaryd_planner::*;
use canaryd_rollout::*;
use jiff::Timestamp;

fn component(replicas: u32) -> Component {
    Component {
        name: ComponentName::app(),
        image: "shop:1".to_owned(),
        pull: PullPolicy::Missing,
        replicas,
        canary_replicas: CanaryReplicas::Auto,
        port: Some(8000),
        container: Container::default(),
        health: canaryd_rollout::Health {
            probe: Probe::None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 3,
            startup: Duration::from_secs(10),
        },
        stop: Stop { grace: Duration::from_secs(1), drain: Duration::from_secs(3) },
        order: Order::StartFirst,
    }
}

fn rollout(version: &str, revision: &str) -> Rollout {
    let stage = |w: u16| Stage {
        weight: Weight::from_basis_points(w).unwrap(),
        observe: Duration::from_secs(5),
        max_duration: Duration::from_secs(20),
    };
    let listen = Listen { address: "127.0.0.1".parse().unwrap(), port: 8080 };
    Rollout {
        name: "shop".parse().unwrap(),
        origin: "shop.yaml:1".to_owned(),
        version: version.to_owned(),
        revision: revision.parse().unwrap(),
        provisional: revision.parse().unwrap(),
        images: BTreeMap::from([("shop:1".to_owned(), ImageState::Present { id: "sha256:1".to_owned() })]),
        app: component(2),
        workers: Vec::new(),
        gateway: Gateway {
            image: "nginx".to_owned(),
            listen: vec![listen],
            aliases: Vec::new(),
            networks: Vec::new(),
            expose: Expose::default(),
            sticky: None,
            trusted_proxies: Vec::new(),
            force: None,
            limits: Limits {
                read_timeout: Duration::from_secs(60),
                connect_timeout: Duration::from_millis(500),
                body: 0,
                stream_timeout: Duration::from_secs(300),
            },
            snippets: Snippets::default(),
            workers: 1,
        },
        stages: vec![stage(100), stage(2500), stage(10_000)],
        analysis: Analysis {
            alpha: 0.05,
            beta: 0.05,
            on_inconclusive: OnInconclusive::Promote,
            warmup: Duration::ZERO,
            mode: None,
        },
        checks: Vec::new(),
        deadlines: Deadlines { pull: Duration::from_secs(60), start: Duration::from_secs(10) },
        promotion: Promotion {
            keep_previous: Duration::from_secs(60),
            keep_failed: Duration::from_secs(60),
            rollback_window: None,
        },
        on_delete: OnDelete::Keep,
    }
}

struct Sim {
    memory: Memory,
    world: World,
    now: Timestamp,
    last: Option<Plan>,
    commands: u32,
}

impl Sim {
    fn new() -> Self {
        let world = World {
            desired: Desired::Ready(Box::new(rollout("v1", "00000000a1"))),
            sets: Vec::new(),
            gateway: GatewayView::default(),
            evidence: EvidenceView::default(),
            slots: Slots { may_move: true, may_start: true, ahead: Vec::new() },
            engine: EngineView::default(),
            journal_writable: true,
        };
        Self { memory: Memory::default(), world, now: Timestamp::UNIX_EPOCH, last: None, commands: 0 }
    }
    fn tick(&mut self) {
        self.now += Duration::from_secs(1);
        self.world.evidence.read_at = Some(self.now);
        let judge = canaryd_verdict::Settings {
            alpha: 0.05,
            beta: 0.05,
            planned_minutes: 45.0,
            warmup: 0.0,
            checks: Vec::new(),
        };
        self.world.evidence.judge = self.memory.canary_set().map(|s| (s, canaryd_verdict::Judge::new(judge)));
        let plan = plan(&self.memory, &self.world, self.now);
        self.memory = plan.memory.clone();
        for action in plan.actions.clone() {
            self.act(action);
        }
        self.laws();
        self.last = Some(plan);
    }
    fn act(&mut self, action: Action) {
        match action {
            Action::Route(intent) => {
                let generation = format!("1.{}", intent.seq);
                self.world.gateway.live = Some(Live { intent, generation, since: self.now });
            }
            Action::EnsureSet(goal) => self.ensure(&goal),
            Action::RemoveSet { set, .. } => self.world.sets.retain(|s| s.id != set),
            Action::RemoveGateway => self.world.gateway.live = None,
            Action::SaveFailure { .. }
            | Action::KeepImages { .. }
            | Action::ForgetRevision { .. }
            | Action::FreshEvidence { .. }
            | Action::ResolveAgain => {}
        }
    }
    fn ensure(&mut self, goal: &SetGoal) {
        if !self.world.sets.iter().any(|s| s.id == goal.set) {
            let (id, component) = (goal.set.clone(), goal.component.clone());
            let revision = goal.revision.clone();
            self.world.sets.push(SetView { id, component, revision, replicas: Vec::new() });
        }
        let set = self.world.sets.iter_mut().find(|s| s.id == goal.set).unwrap();
        set.replicas.retain(|r| !goal.removed.contains(&r.ordinal));
        for replica in &mut set.replicas {
            if goal.stopped.contains(&replica.ordinal) {
                replica.state = RunState::Exited;
            }
            if goal.running.contains(&replica.ordinal) {
                replica.state = RunState::Running;
            }
        }
        for ordinal in &goal.running {
            if !set.replicas.iter().any(|r| r.ordinal == *ordinal) {
                set.replicas.push(Replica {
                    ordinal: *ordinal,
                    container: format!("c{ordinal}"),
                    state: RunState::Running,
                    health: canaryd_planner::Health::Healthy,
                    started_at: Some(self.now),
                    addr: Some(format!("10.0.0.{ordinal}").parse().unwrap()),
                    exits: Vec::new(),
                });
            }
        }
    }
    /// Law 1: the split sums to 100 % over lanes that have replicas, or nobody serves.
    fn laws(&self) {
        let Some(live) = &self.world.gateway.live else { return };
        let (p, c) = (
            live.intent.lane(canaryd_gateway::Lane::Production).len(),
            live.intent.lane(canaryd_gateway::Lane::Canary).len(),
        );
        match live.intent.traffic {
            canaryd_gateway::Traffic::Nobody => assert_eq!(p + c, 0),
            canaryd_gateway::Traffic::Split { canary } => {
                assert!(canary == Weight::ZERO || c > 0);
                assert!(canary == Weight::FULL || p > 0);
            }
        }
    }
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..300 {
            if done(self) {
                return;
            }
            self.tick();
        }
        panic!("never {what}: {:#?}", self.last.as_ref().and_then(|p| p.report.clone()));
    }
    fn idle_at(&mut self, version: &str) {
        let want = version.to_owned();
        self.until(&format!("idle at {version}"), |s| {
            let report = s.last.as_ref().and_then(|p| p.report.as_ref());
            s.memory.phase_name() == "idle"
                && report.and_then(|r| r.production.as_ref()).is_some_and(|p| p.version == want)
        });
    }
    fn at_weight(&mut self, percent: u16) {
        let weight = Weight::from_basis_points(percent * 100).unwrap();
        self.until("at the weight", |s| s.world.gateway.traffic().canary() == weight);
    }
    fn ask(&mut self, version: &str, revision: &str) {
        self.world.desired = Desired::Ready(Box::new(rollout(version, revision)));
    }
    fn say(&mut self, verb: Verb) -> Answer {
        self.commands += 1;
        let id = format!("c{}", self.commands);
        let actor = "mina".to_owned();
        self.memory.inbox.push(Command { id, actor, comment: None, at: self.now, expected: None, verb });
        self.tick();
        self.last.as_ref().unwrap().answers[0].clone()
    }
    fn outcome(&self) -> Outcome {
        let report = self.last.as_ref().unwrap().report.as_ref().unwrap();
        report.outcome.as_ref().unwrap().outcome
    }
    fn quiet(&mut self) {
        for _ in 0..10 {
            self.tick();
        }
        assert!(self.last.as_ref().unwrap().actions.is_empty(), "{:?}", self.last.as_ref().unwrap().actions);
    }
    fn canary_exists(&self) -> bool {
        let set = self.memory.canary_set();
        self.world.sets.iter().any(|s| Some(&s.id) == set.as_ref() && !s.replicas.is_empty())
    }
    fn crash_canary(&mut self, cause: ExitCause) {
        let set = self.memory.canary_set().unwrap();
        let at = self.now;
        let view = self.world.sets.iter_mut().find(|s| s.id == set).unwrap();
        view.replicas[0].state = RunState::Exited;
        view.replicas[0].exits.push(Exit { at, code: 1, oom: false, cause });
    }
}

fn installed() -> Sim {
    let mut sim = Sim::new();
    sim.idle_at("v1");
    sim.quiet();
    sim
}

#[test]
fn an_installation_has_not_ended_before_users_are_served() {
    let mut sim = Sim::new();
    loop {
        let live = sim.world.gateway.traffic();
        sim.tick();
        if sim.memory.phase_name() == "idle" && sim.memory.production_revision().is_some() {
            assert_eq!(live, canaryd_gateway::Traffic::PRODUCTION, "this was live when the plan was made");
            return;
        }
    }
}

#[test]
fn a_good_version_is_promoted_and_undo_brings_the_old_one_back() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(1);
    sim.idle_at("v2");
    assert_eq!(sim.outcome(), Outcome::Promoted);
    sim.quiet();
    assert!(sim.say(Verb::Undo).accepted);
    sim.idle_at("v1");
    assert_eq!(sim.outcome(), Outcome::Undone);
    sim.quiet();
}

#[test]
fn an_abort_is_weight_zero_in_the_very_next_plan_and_ends_idle() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    assert!(sim.say(Verb::Abort).accepted);
    assert_eq!(sim.world.gateway.traffic().canary(), Weight::ZERO);
    sim.idle_at("v1");
    assert_eq!(sim.outcome(), Outcome::Aborted);
    sim.quiet();
}

#[test]
fn a_crash_of_its_own_is_off_at_once_and_blamed_after_two_seconds() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    sim.crash_canary(ExitCause::Itself);
    sim.tick();
    assert_eq!(sim.world.gateway.traffic().canary(), Weight::ZERO);
    sim.idle_at("v1");
    assert_eq!(sim.outcome(), Outcome::Reverted);
    sim.quiet();
}

#[test]
fn a_crash_by_somebody_else_is_held_and_comes_back() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    sim.crash_canary(ExitCause::Somebody);
    sim.tick();
    assert_eq!(sim.world.gateway.traffic().canary(), Weight::ZERO);
    sim.at_weight(25);
    sim.idle_at("v2");
}

#[test]
fn a_newer_version_supersedes_the_one_on_trial() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    sim.ask("v3", "00000000a3");
    sim.tick();
    assert_eq!(sim.world.gateway.traffic().canary(), Weight::ZERO);
    sim.idle_at("v3");
    sim.quiet();
}

#[test]
fn a_daemon_that_has_just_started_asks_for_the_traffic_that_was_there() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    let before = sim.world.gateway.live.clone().unwrap().intent;
    let seen = std::mem::take(&mut sim.world.sets);
    let gateway = std::mem::take(&mut sim.world.gateway);
    sim.world.engine.unreachable = Some("not asked yet".to_owned());
    sim.tick();
    let asked = sim.world.gateway.live.clone().unwrap().intent;
    assert_eq!((&asked.traffic, &asked.lanes), (&before.traffic, &before.lanes), "nothing is known: nothing changes");

    sim.world.engine.unreachable = None;
    sim.world.gateway = gateway;
    sim.world.sets = seen;
    for replica in sim.world.sets.iter_mut().flat_map(|s| &mut s.replicas) {
        replica.health = canaryd_planner::Health::Starting { last: None };
    }
    sim.tick();
    let actions = &sim.last.as_ref().unwrap().actions;
    assert!(!actions.iter().any(|a| matches!(a, Action::Route(_))), "nothing was probed yet: {actions:?}");
}

/// A rollout of so many replicas.
fn sized(version: &str, revision: &str, replicas: u32) -> Desired {
    let mut rollout = rollout(version, revision);
    rollout.app.replicas = replicas;
    Desired::Ready(Box::new(rollout))
}

#[test]
fn more_replicas_in_the_manifest_reach_the_canary_as_its_weight_needs_them() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    sim.world.desired = sized("v2", "00000000a2", 8);
    sim.tick();
    sim.tick();
    let set = sim.memory.canary_set().unwrap();
    let canary = sim.world.sets.iter().find(|s| s.id == set).unwrap();
    assert_eq!(canary.replicas.len(), 2, "a quarter of eight");
    sim.idle_at("v2");
}

#[test]
fn changed_checks_are_told_as_long_as_the_version_is_on_trial() {
    let mut sim = installed();
    sim.ask("v2", "00000000a2");
    sim.at_weight(25);
    let mut changed = rollout("v2", "00000000a2");
    changed.analysis.alpha = 0.01;
    sim.world.desired = Desired::Ready(Box::new(changed));
    for _ in 0..2 {
        sim.tick();
        let notes = sim.last.as_ref().unwrap().report.as_ref().unwrap().notes.clone();
        assert!(notes.iter().any(|n| n.contains("the evidence began from nothing")), "{notes:?}");
    }
}

#[test]
fn delete_removes_everything() {
    let mut sim = installed();
    assert!(sim.say(Verb::Delete).accepted);
    sim.until("deleted", |s| s.world.sets.is_empty() && s.world.gateway.live.is_none());
    sim.quiet();
}

#[test]
fn what_was_deleted_does_not_start_again_when_its_manifest_is_away_for_a_moment() {
    let mut sim = installed();
    assert!(sim.say(Verb::Delete).accepted);
    sim.until("deleted", |s| s.world.sets.is_empty() && s.world.gateway.live.is_none());
    sim.world.desired = Desired::Gone { since: sim.now, confirmed: false };
    sim.quiet();
    sim.ask("v1", "00000000a1");
    sim.quiet();
    assert!(sim.memory.is_deleted() && sim.world.sets.is_empty());
    sim.world.desired = Desired::Gone { since: sim.now, confirmed: true };
    sim.quiet();
    assert_eq!(sim.memory.name(), None, "nothing of it is remembered");
}

#[test]
fn what_is_deleted_after_its_manifest_leaves_nothing_behind() {
    let mut sim = installed();
    sim.world.desired = Desired::Gone { since: sim.now, confirmed: true };
    sim.quiet();
    assert!(sim.memory.is_orphaned() && !sim.world.sets.is_empty());
    assert!(sim.say(Verb::Delete).accepted);
    sim.until("deleted", |s| s.world.sets.is_empty() && s.world.gateway.live.is_none());
    sim.quiet();
    assert_eq!(sim.memory.name(), None, "nothing of it is remembered");
}

/// Random events; law 1 at each step, and law 5 at the end of each history.
#[test]
fn ten_thousand_random_histories_keep_the_split_honest_and_abort_always_works() {
    for seed in 1..=10_000_u64 {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = |n: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % n
        };
        let mut sim = Sim::new();
        for _ in 0..30 {
            match roll(14) {
                0 => sim.ask("v2", "00000000a2"),
                1 => sim.ask("v1", "00000000a1"),
                2 => sim.ask("v3", "00000000a3"),
                3 if sim.canary_exists() => sim.crash_canary(ExitCause::Itself),
                4 if sim.canary_exists() => sim.crash_canary(ExitCause::Engine),
                5 => drop(sim.say(Verb::Undo)),
                6 => drop(sim.say(Verb::Advance)),
                7 => drop(sim.say(Verb::Promote { reason: "test".to_owned() })),
                8 => drop(sim.say(Verb::Retry)),
                9 => drop(sim.say(Verb::Traffic { weight: Weight::FULL })),
                10 => drop(sim.say(Verb::Restart)),
                11 => drop(sim.say(Verb::Pause)),
                12 => drop(sim.say(Verb::Resume)),
                _ => (0..roll(8)).for_each(|_| sim.tick()),
            }
        }
        sim.say(Verb::Abort);
        if sim.memory.phase_name() != "promoting" {
            assert_eq!(sim.world.gateway.traffic().canary(), Weight::ZERO, "seed {seed}");
        }
        sim.world.desired = Desired::Unknown;
        sim.until(&format!("idle, seed {seed}"), |s| s.memory.phase_name() == "idle");
    }
}
