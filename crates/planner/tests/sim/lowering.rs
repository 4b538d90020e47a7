//! How fast a lowering is asked for: in the very plan that is told of its reason, whatever else that plan has to do.

use canaryd_gateway::Lane;
use canaryd_planner::*;
use canaryd_rollout::{SetId, Weight};
use canaryd_verdict::Verdict;
use jiff::Timestamp;

use super::laws::share;

#[derive(Clone, Default)]
pub struct Lowering {
    /// The canary when last looked at: its containers that ran, and exits of them.
    set: Option<SetId>,
    ran: Vec<u32>,
    known: Vec<(u32, Timestamp)>,
}

impl Lowering {
    pub fn heed(&mut self, before: &Memory, world: &World, plan: &Plan) {
        let Some(set) = before.canary_set() else { return };
        let production = before.production_app_set();
        let up = |set: &SetId| replicas(world, set).any(|r| r.state == RunState::Running);
        // that nobody serves is no lowering: without a journal it is not asked for
        let nobody_else = world.journal_trouble.is_some() && !production.as_ref().is_some_and(up);
        let serving = ["observing", "soaking"].contains(&before.phase_name()) && !nobody_else;
        let ended = self.has_ended(world, &set);
        self.remember(world, &set);
        // not what failed while its environment did: then the evidence begins from nothing
        let same = plan.memory.evidence_number() == before.evidence_number();
        let why = match (ended, same && fails(before, world, &set)) {
            (true, _) => "a container ended",
            (false, true) => "a check failed",
            (false, false) => return,
        };
        let live = world.gateway.live.as_ref().map(|live| &live.intent);
        let intent = plan.actions.iter().find_map(Action::route).or(live);
        let weight = intent.map_or(Weight::ZERO, |intent| share(intent, Lane::Canary));
        assert!(!serving || weight == Weight::ZERO, "{why}, and the plan that is told so leaves it {weight} %");
    }

    fn has_ended(&self, world: &World, set: &SetId) -> bool {
        let is_news = |r: &Replica| {
            let fresh = |exit: &&Exit| exit.cause != ExitCause::Us && !self.known.contains(&(r.ordinal, exit.at));
            self.ran.contains(&r.ordinal) && r.exits.iter().any(|exit| fresh(&exit))
        };
        self.set.as_ref() == Some(set) && world.engine.unreachable.is_none() && replicas(world, set).any(is_news)
    }

    fn remember(&mut self, world: &World, set: &SetId) {
        if self.set.as_ref() != Some(set) {
            self.set = Some(set.clone());
        }
        let ordinal = |r: &Replica| r.ordinal;
        self.ran = replicas(world, set).filter(|r| r.state == RunState::Running).map(ordinal).collect();
        self.known = replicas(world, set).flat_map(|r| r.exits.iter().map(|exit| (r.ordinal, exit.at))).collect();
    }
}

fn replicas<'a>(world: &'a World, set: &'a SetId) -> impl Iterator<Item = &'a Replica> {
    world.sets.iter().filter(move |s| s.id == *set).flat_map(|s| &s.replicas)
}

fn fails(before: &Memory, world: &World, set: &SetId) -> bool {
    let evidence = &world.evidence;
    let judge = evidence.judge.as_ref().filter(|(of, _)| of == set && evidence.number == before.evidence_number());
    judge.is_some_and(|(_, judge)| matches!(judge.verdict(None), Verdict::Fail { .. }))
}
