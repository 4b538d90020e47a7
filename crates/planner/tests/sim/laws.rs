//! The laws of the design, as far as one rollout shows them, checked at every single plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use canaryd_gateway::{Intent, Lane, Traffic};
use canaryd_planner::*;
use canaryd_rollout::{OnInconclusive, RevisionId, SetId, Weight};
use jiff::Timestamp;

use super::blame::Blame;
use super::docker::Docker;
use super::lowering::Lowering;
use super::observed::Observed;
use super::sight::Sight;

/// Beyond this a memory is not bounded any more.
pub const LARGEST_MEMORY: usize = 64 * 1024;

#[derive(Clone, Default)]
pub struct Laws {
    /// What was proven bad or given up, until a new reason.
    condemned: BTreeSet<RevisionId>,
    asked: Option<Intent>,
    outcome: Option<OutcomeView>,
    /// When a replica was last sent requests, by `clock`.
    carried: BTreeMap<(SetId, u32), Duration>,
    /// Time as it went by: what jumps is left out.
    clock: Duration,
    /// Sets that were production once.
    productions: BTreeSet<SetId>,
    last: Option<Timestamp>,
    phase: String,
    /// A person, or the manifest, said in words that little evidence is enough.
    daring: bool,
    /// How long each stage's weight was live.
    observed: Observed,
    blame: Blame,
    lowering: Lowering,
    sight: Sight,
    /// A replica of the canary's app ended with weight on it: none of it comes back before its set is healthy.
    fallen: Option<SetId>,
}

impl Laws {
    pub fn heed(&mut self, before: &Memory, world: &World, plan: &Plan, now: Timestamp, docker: &Docker) {
        self.news(before, world, plan);
        let since =
            self.last.map_or(Duration::ZERO, |last| Duration::try_from(now.duration_since(last)).unwrap_or_default());
        self.clock += since.min(Duration::from_secs(2));
        self.last = Some(now);
        self.note_traffic(world);
        if before.production_revision().is_some() {
            self.productions.extend(before.production_app_set());
        }
        let route = plan.actions.iter().find_map(Action::route);
        if let Some(intent) = route {
            the_split_is_honest(intent, world);
            self.a_condemned_revision_gets_nothing(intent, docker);
            self.what_fell_comes_back_healthy(intent, world);
            self.a_raise_has_a_reason(intent, before, plan);
            capacity_comes_first(intent, world, before);
            self.asked = Some(intent.clone());
        }
        self.note_falls(world, plan);
        self.condemned_containers_do_not_start(plan, world);
        a_host_fault_blames_no_version(before, world, plan);
        what_the_host_refuses_gets_nothing(before, world, plan);
        self.production_drains_before_it_stops(plan, world);
        self.evidence_comes_before_promotion(before, world, plan);
        self.observed.heed(before, world, plan, now);
        self.blame.heed(before, world, plan);
        self.lowering.heed(before, world, plan);
        self.sight.heed(before, world, plan, now);
        without_a_journal_only_lowerings_run(before, world, plan);
        super::standstill::check(before, world, plan);
        plan.memory.phase_name().clone_into(&mut self.phase);
    }

    /// After a kill only what the journal holds was ever asked for.
    pub fn wake(&mut self, known: Option<&Intent>) {
        self.asked = known.cloned();
        self.sight.wake();
    }

    fn news(&mut self, before: &Memory, world: &World, plan: &Plan) {
        let mut retried = false;
        for answer in plan.answers.iter().filter(|a| a.accepted) {
            let verb = before.inbox.iter().find(|c| c.id == answer.id).map(|c| &c.verb);
            match verb {
                Some(Verb::Retry | Verb::Delete) => {
                    self.condemned.clear();
                    retried = true;
                }
                Some(Verb::Undo | Verb::Rollback) => {
                    let to = plan.report.as_ref().and_then(|r| r.canary.as_ref()).map(|c| c.revision.clone());
                    to.map(|to| self.condemned.remove(&to));
                }
                Some(Verb::Promote { .. }) => self.daring = true,
                Some(
                    Verb::Advance
                    | Verb::Pause
                    | Verb::Resume
                    | Verb::Abort
                    | Verb::Restart
                    | Verb::Stop { .. }
                    | Verb::Start
                    | Verb::Traffic { .. },
                )
                | None => {}
            }
        }
        if plan.events.iter().any(|e| e.kind == "started") {
            self.daring = false;
            self.fallen = None;
        }
        if world.journal_trouble.is_some() {
            return; // said again when it can be remembered
        }
        let outcome = plan.report.as_ref().and_then(|r| r.outcome.clone());
        if outcome != self.outcome {
            if let Some(o) = &outcome {
                match o.outcome {
                    // an abort that can be recorded only now came before the retry that is answered now
                    Outcome::Reverted | Outcome::Aborted | Outcome::Undone if retried => {}
                    Outcome::Reverted | Outcome::Aborted | Outcome::Undone => {
                        self.condemned.insert(o.revision.clone());
                    }
                    Outcome::Promoted | Outcome::Superseded => {}
                }
            }
            self.outcome = outcome;
        }
    }

    fn note_traffic(&mut self, world: &World) {
        let live = world.gateway.live.as_ref().map(|l| &l.intent);
        for intent in live.into_iter().chain(&self.asked) {
            for lane in [Lane::Production, Lane::Canary] {
                if share(intent, lane) > Weight::ZERO {
                    for endpoint in intent.lane(lane) {
                        self.carried.insert((endpoint.set.clone(), endpoint.ordinal), self.clock);
                    }
                }
            }
        }
    }

    /// Law 2.
    fn a_condemned_revision_gets_nothing(&self, intent: &Intent, docker: &Docker) {
        if share(intent, Lane::Canary) == Weight::ZERO {
            return;
        }
        for endpoint in intent.lane(Lane::Canary) {
            let Some(set) = docker.set(&endpoint.set) else { continue };
            assert!(!self.condemned.contains(&set.revision), "law 2: {} gets traffic again", set.revision);
        }
    }

    /// Law 2, second half.
    fn what_fell_comes_back_healthy(&mut self, intent: &Intent, world: &World) {
        let Some(fallen) = self.fallen.clone() else { return };
        if share(intent, Lane::Canary) == Weight::ZERO || intent.lane(Lane::Canary).iter().any(|e| e.set != fallen) {
            return;
        }
        let set = world.sets.iter().find(|s| s.id == fallen);
        let well =
            set.is_some_and(|s| s.replicas.iter().all(|r| r.state == RunState::Running && r.health == Health::Healthy));
        assert!(well, "law 2: a raise before the set that fell is healthy");
        self.fallen = None;
    }

    fn note_falls(&mut self, world: &World, plan: &Plan) {
        if plan.events.iter().any(|e| e.kind == "crash") && world.journal_trouble.is_none() {
            let weight = self.asked.as_ref().map_or(Weight::ZERO, |a| share(a, Lane::Canary));
            assert_eq!(weight, Weight::ZERO, "law 2: an exit takes the lane to 0 % in the very plan that sees it");
            self.fallen = plan.memory.canary_set();
        }
    }

    /// Laws 2 and 9.
    fn condemned_containers_do_not_start(&self, plan: &Plan, world: &World) {
        for action in &plan.actions {
            if let Action::EnsureSet(goal) = action {
                let known = world.sets.iter().find(|s| s.id == goal.set);
                let up = |r: &Replica| r.state != RunState::Created && r.state != RunState::Exited;
                let new = goal
                    .running
                    .iter()
                    .any(|o| !known.is_some_and(|s| s.replicas.iter().any(|r| r.ordinal == *o && up(r))));
                // what was production is kept warm, whatever became of an undo that was to go there
                let previous = plan.report.as_ref().and_then(|r| r.previous.as_ref()).map(|p| p.revision.clone());
                let needed = [plan.memory.production_revision(), previous];
                // nor are workers that go on until those of production have taken their place
                let at_work = plan.memory.at_work().contains(&goal.set);
                let needed = at_work || needed.contains(&Some(goal.revision.clone()));
                let bad = self.condemned.contains(&goal.revision) && !needed;
                assert!(!(new && bad), "law 9: {} is started again without a reason", goal.revision);
            }
        }
    }

    /// Law 1, last clause: every raise follows from a step forward or a person's word; else only from a production that
    /// has no running container at all.
    fn a_raise_has_a_reason(&self, intent: &Intent, memory: &Memory, plan: &Plan) {
        // what was lowered without a journal was not recorded: it comes back if its reason is gone by then
        let asked = self.asked.as_ref().into_iter().chain(memory.asked());
        let before = asked.map(|a| share(a, Lane::Canary)).max().unwrap_or(Weight::ZERO);
        let reasons = ["stage-entered", "recovered", "manual-weight", "stages-changed"];
        let step = plan.events.iter().any(|e| reasons.contains(&e.kind.as_str()));
        // an undo and a restart have no stages: all at once, when they are healthy
        let steps = plan.memory.phase_name() == "promoting";
        let alone = intent.lane(Lane::Production).is_empty();
        let raised = share(intent, Lane::Canary) > before;
        let by_hand = plan.report.as_ref().is_some_and(|r| r.manual.is_some());
        assert!(!raised || step || by_hand || steps || alone, "law 1: a raise for no reason: {intent:?}");
    }

    /// Law 3.
    fn production_drains_before_it_stops(&self, plan: &Plan, world: &World) {
        let stops = plan.actions.iter().flat_map(|action| stopped_by(action, world));
        for (set, ordinal) in stops.filter(|(set, _)| self.productions.contains(set)) {
            let up =
                world.sets.iter().find(|s| s.id == set).and_then(|s| s.replicas.iter().find(|r| r.ordinal == ordinal));
            if up.is_none_or(|r| r.state != RunState::Running) || world.gateway.live.is_none() {
                continue;
            }
            let Some(last) = self.carried.get(&(set.clone(), ordinal)) else { continue };
            let waited = self.clock.checked_sub(*last).unwrap();
            let drained = world.gateway.old_workers == 0 && waited > Duration::ZERO;
            // the shortest drain used here, and one second for the look
            assert!(
                drained || waited >= Duration::from_secs(2),
                "law 3: {set} {ordinal} is stopped {waited:?} after its last request"
            );
        }
    }

    /// Law 7.
    fn evidence_comes_before_promotion(&mut self, before: &Memory, world: &World, plan: &Plan) {
        let promoted = plan.memory.phase_name() == "promoting" && self.phase == "soaking";
        let manifest = match &world.desired {
            Desired::Ready(rollout) => Some(rollout),
            Desired::Unknown | Desired::Gone { .. } => None,
        };
        let allowed = manifest.is_some_and(|m| m.analysis.on_inconclusive == OnInconclusive::Promote);
        if !promoted || self.daring || allowed {
            return;
        }
        let set = before.canary_set();
        let judge = world.evidence.judge.as_ref().filter(|(of, _)| Some(of) == set.as_ref()).map(|(_, judge)| judge);
        let verdict = judge.map(|j| j.verdict(Some(1.0)));
        assert_eq!(verdict, Some(canaryd_verdict::Verdict::Pass), "law 7: promoted on too little");
        assert!(world.evidence.silent.is_none(), "law 7: promoted on stale evidence");
    }
}

/// What is nobody's fault, or the host's, is never remembered as the version's.
fn a_host_fault_blames_no_version(before: &Memory, world: &World, plan: &Plan) {
    let outcome = |r: &Report| r.outcome.clone().filter(|o| o.outcome == Outcome::Reverted);
    let Some(end) = plan.report.as_ref().and_then(outcome) else { return };
    if plan.events.iter().all(|e| e.kind != "reverted") {
        return;
    }
    let innocent = |t: &&Trouble| t.fault != Fault::Version;
    for trouble in world.engine.troubles.iter().filter(innocent) {
        assert!(!end.reason.contains(&trouble.what), "a host fault blames a version: {}", end.reason);
        let late = end.reason.contains("was not healthy within") && before.canary_set().as_ref() == Some(&trouble.set);
        assert!(!late, "a version is blamed for what could not be started: {} ({})", end.reason, trouble.what);
    }
}

/// While the host refuses something to the canary, its share is 0: unless nobody else is left to serve.
fn what_the_host_refuses_gets_nothing(before: &Memory, world: &World, plan: &Plan) {
    let on_trial = before.canary_set().filter(|set| plan.memory.canary_set().as_ref() == Some(set));
    let refused = world.engine.troubles.iter().any(|t| t.fault == Fault::Host && Some(&t.set) == on_trial.as_ref());
    let asked = plan.memory.asked().filter(|a| refused && !a.lane(Lane::Production).is_empty());
    let weight = asked.map_or(Weight::ZERO, |a| share(a, Lane::Canary));
    assert!(
        weight == Weight::ZERO || world.journal_trouble.is_some(),
        "{weight} % while the host refuses what it needs"
    );
}

/// Law 1.
fn the_split_is_honest(intent: &Intent, world: &World) {
    let (production, canary) = (intent.lane(Lane::Production), intent.lane(Lane::Canary));
    match intent.traffic {
        // the lanes only say who served before
        Traffic::Stopped { .. } => return,
        Traffic::Nobody => assert!(production.is_empty() && canary.is_empty(), "law 1: lanes without traffic"),
        Traffic::Split { canary: weight } => {
            assert!(weight == Weight::ZERO || !canary.is_empty(), "law 1: the canary's lane is empty");
            assert!(weight == Weight::FULL || !production.is_empty(), "law 1: production's lane is empty");
        }
    }
    for endpoint in production.iter().chain(canary) {
        let set = world.sets.iter().find(|s| s.id == endpoint.set);
        let replica = set.and_then(|s| s.replicas.iter().find(|r| r.ordinal == endpoint.ordinal));
        assert!(replica.is_some_and(|r| r.state == RunState::Running), "law 1: {endpoint:?} does not run");
    }
}

/// Capacity before weight.
fn capacity_comes_first(intent: &Intent, world: &World, before: &Memory) {
    let weight = share(intent, Lane::Canary);
    let was = before.asked().map_or(Weight::ZERO, |a| share(a, Lane::Canary));
    if weight <= was || intent.lane(Lane::Production).is_empty() {
        return;
    }
    let Desired::Ready(manifest) = &world.desired else { return };
    let need = (u64::from(weight.basis_points()) * u64::from(manifest.app.replicas)).div_ceil(10_000);
    let have = intent.lane(Lane::Canary).len() as u64;
    assert!(have >= need, "capacity: {weight} % on {have} replicas, {need} are needed");
}

/// Law 11.
fn without_a_journal_only_lowerings_run(before: &Memory, world: &World, plan: &Plan) {
    if world.journal_trouble.is_none() {
        return;
    }
    for action in &plan.actions {
        let Action::Route(intent) = action else { panic!("law 11: {action:?} without a journal") };
        let live = world.gateway.live.as_ref().map(|l| &l.intent).or(before.asked());
        assert!(live.is_some_and(|live| intent.lowers(live)), "law 11: no lowering, and no journal");
    }
}

fn stopped_by(action: &Action, world: &World) -> Vec<(SetId, u32)> {
    match action {
        Action::EnsureSet(goal) if goal.component.is_app() => {
            goal.stopped.iter().chain(&goal.removed).map(|o| (goal.set.clone(), *o)).collect()
        }
        Action::RemoveSet { set, .. } => {
            let view = world.sets.iter().find(|s| &s.id == set && s.component.is_app());
            view.into_iter().flat_map(|v| v.replicas.iter().map(|r| (set.clone(), r.ordinal))).collect()
        }
        Action::EnsureSet(_)
        | Action::Route(_)
        | Action::SaveFailure { .. }
        | Action::KeepImages { .. }
        | Action::ForgetRevision { .. }
        | Action::RemoveGateway
        | Action::ResolveAgain => Vec::new(),
    }
}

pub fn share(intent: &Intent, lane: Lane) -> Weight {
    match (intent.traffic, lane) {
        (Traffic::Nobody | Traffic::Stopped { .. }, Lane::Production | Lane::Canary) => Weight::ZERO,
        (Traffic::Split { canary }, Lane::Canary) => canary,
        (Traffic::Split { canary }, Lane::Production) => canary.complement(),
    }
}
