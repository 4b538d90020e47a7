//! Nobody is blamed while the engine cannot be asked, nor for what failed while it went away and took the containers along.

use canaryd_planner::*;
use canaryd_rollout::SetId;

#[derive(Clone, Default)]
pub struct Blame {
    /// What was known when the engine was last heard: the canary, its failed requests, and how often it ended with the engine.
    heard: Option<(SetId, u64, usize)>,
}

impl Blame {
    pub fn heed(&mut self, before: &Memory, world: &World, plan: &Plan) {
        let told = plan.events.iter().find(|e| e.kind == "reverted").map(|e| e.message.as_str());
        assert!(told.is_none() || world.engine.unreachable.is_none(), "blamed unheard: {told:?}");
        let outcome = plan.report.as_ref().and_then(|r| r.outcome.as_ref());
        let by_check = outcome.is_some_and(|o| o.check.is_some() && !o.reason.contains("has seen"));
        let told = told.filter(|_| by_check);
        assert!(told.is_none() || !world.engine.asking, "blamed before the answer: {told:?}");
        if world.engine.unreachable.is_some() || world.engine.asking {
            return;
        }
        let now = before.canary_set().map(|set| {
            let judge = world.evidence.judge.as_ref().filter(|(of, _)| *of == set);
            let failed = judge.map_or(0, |(_, judge)| judge.canary_requests().1);
            let ends = ends_with_engine(world, &set);
            (set, failed, ends)
        });
        if let (Some((set, 0, ends)), Some((same, _, more))) = (&self.heard, &now) {
            assert!(told.is_none() || set != same || more <= ends, "blamed for the engine's going: {told:?}");
        }
        self.heard = now;
    }
}

fn ends_with_engine(world: &World, set: &SetId) -> usize {
    let replicas = world.sets.iter().filter(|s| s.id == *set).flat_map(|s| &s.replicas);
    replicas.flat_map(|r| &r.exits).filter(|exit| exit.cause == ExitCause::Engine).count()
}
