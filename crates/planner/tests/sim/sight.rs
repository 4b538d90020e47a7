//! Promise one, told in time: users get no version for long while nobody sees how it does, and get no more of it meanwhile,
//! unless a person says so.

use std::time::Duration;

use canaryd_gateway::Lane;
use canaryd_planner::*;
use canaryd_rollout::{SetId, Weight};
use jiff::Timestamp;

use super::laws::share;

/// What is promised, and two plans in which it is noticed and done.
const LONG: Duration = Duration::from_secs(34);
/// Sight of so long in one go makes up for what was not seen before.
const SEEN: Duration = Duration::from_secs(30);
/// A plan counts at most so much at once.
const STRIDE: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
pub struct Sight {
    set: Option<SetId>,
    blind: Duration,
    seen: Duration,
    last: Option<Timestamp>,
    /// A person said to go on: one step, or to the end.
    step: bool,
    finish: bool,
}

impl Sight {
    pub fn heed(&mut self, before: &Memory, world: &World, plan: &Plan, now: Timestamp) {
        let since = self.last.map(|last| Duration::try_from(now.duration_since(last)).unwrap_or_default());
        self.last = Some(now);
        if self.set != before.canary_set() {
            *self = Self { set: before.canary_set(), last: self.last, ..Self::default() };
        }
        self.listen(before, plan);
        let live = world.gateway.live.as_ref().map(|live| &live.intent);
        let weight = live.map_or(Weight::ZERO, |live| share(live, Lane::Canary));
        // Where production has nobody to answer, somebody else must.
        let is_alone = |intent: &canaryd_gateway::Intent| intent.lane(Lane::Production).is_empty();
        let serving = ["observing", "soaking", "promoting"].contains(&plan.memory.phase_name());
        let is_blind = world.evidence.silent.is_some();
        self.count(since.unwrap_or_default().min(STRIDE), is_blind, serving && weight > Weight::ZERO);
        if self.set.is_none() || plan.memory.canary_set() != self.set || !serving {
            return;
        }
        let route = plan.actions.iter().find_map(Action::route);
        let Some(intent) = route.or(live).filter(|intent| !is_alone(intent)) else { return };
        let becomes = share(intent, Lane::Canary);
        assert!(
            self.blind < LONG || self.finish || becomes == Weight::ZERO,
            "{becomes} % of the users get what nobody saw for {:?}",
            self.blind
        );
        let was = before.asked().filter(|asked| !is_alone(asked)).map_or(weight, |asked| share(asked, Lane::Canary));
        let by_hand = self.step || self.finish || plan.report.as_ref().is_some_and(|r| r.manual.is_some());
        assert!(!is_blind || route.is_none() || becomes <= was || by_hand, "a raise to {becomes} % that nobody sees");
        // The manifest said so in words, when too little was seen.
        self.step |= plan.events.iter().any(|e| e.kind == "inconclusive");
        self.step &= plan.events.iter().all(|e| e.kind != "stage-entered");
    }

    /// What a run knew that it could not write down is gone with it: the next one has as much time.
    pub fn wake(&mut self) {
        (self.blind, self.seen) = (Duration::ZERO, Duration::ZERO);
    }

    fn count(&mut self, since: Duration, is_blind: bool, is_exposed: bool) {
        match (is_blind, is_exposed) {
            (true, true) => (self.blind, self.seen) = (self.blind + since, Duration::ZERO),
            (true, false) => self.seen = Duration::ZERO,
            (false, _) => self.seen += since,
        }
        if self.seen >= SEEN {
            self.blind = Duration::ZERO;
        }
    }

    fn listen(&mut self, before: &Memory, plan: &Plan) {
        for answer in plan.answers.iter().filter(|a| a.accepted) {
            let verb = before.inbox.iter().find(|c| c.id == answer.id).map(|c| &c.verb);
            self.step |= matches!(verb, Some(Verb::Advance));
            self.finish |= matches!(verb, Some(Verb::Promote { .. }));
        }
    }
}
