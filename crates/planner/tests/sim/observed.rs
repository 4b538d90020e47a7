//! Law 7, told in time: no stage is left for the next, nor a version taken off for lack of data, before the stage's weight was
//! live for as long as it is to be observed, unless a person says so. A stage that an edit begins below its weight gets it after
//! the same time.

use std::time::Duration;

use canaryd_gateway::Lane;
use canaryd_planner::*;
use canaryd_rollout::Weight;
use jiff::Timestamp;

/// A plan counts at most so much at once, though the weight may be live for a part of it only.
const STRIDE: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
pub struct Observed {
    /// The stage under observation.
    stage: Option<(usize, StageView)>,
    /// How long its weight was live since it was entered.
    live: Duration,
    /// A person said to go on: one step, or to the end.
    step: bool,
    finish: bool,
    /// What the canary has before the plan.
    from: Weight,
    /// The weight was set by a person.
    by_hand: bool,
    last: Option<Timestamp>,
}

impl Observed {
    pub fn heed(&mut self, before: &Memory, world: &World, plan: &Plan, now: Timestamp) {
        let since =
            self.last.map_or(Duration::ZERO, |last| Duration::try_from(now.duration_since(last)).unwrap_or_default());
        self.last = Some(now);
        self.from = world.gateway.live.as_ref().map_or(Weight::ZERO, |live| live.intent.traffic.canary());
        if self.is_live(before, world) {
            self.live += since.min(STRIDE);
        }
        let given_back = self.listen(before, plan);
        if world.journal_trouble.is_some() {
            return; // what such a plan reports is not remembered
        }
        let stage = plan.report.as_ref().and_then(|r| Some((r.stage?, r.stages.get(r.stage?)?.clone())));
        let told = |kind: &str| plan.events.iter().any(|e| e.kind == kind);
        // not when the host has mended what it refused: then it goes on where it was
        let anew = plan.events.iter().any(|e| e.kind == "recovered" && e.message.contains("begins again from zero"));
        let index = |stage: &Option<(usize, StageView)>| stage.as_ref().map(|(index, _)| *index);
        let promoting = self.stage.is_some() && stage.is_none() && plan.memory.phase_name() == "promoting";
        let further = index(&stage) > index(&self.stage) && self.stage.is_some();
        let blamed = plan.events.iter().any(|e| e.kind == "reverted" && e.message.contains("has seen"));
        let edited = told("stages-changed");
        let raised = told("stage-entered") && self.from > Weight::ZERO && !further && self.stage.is_some();
        if (promoting || further || blamed) && !given_back && !edited {
            self.it_was_live_long_enough(plan);
        }
        if edited {
            self.live = Duration::ZERO;
        }
        if raised && !given_back && !self.by_hand {
            self.stage = self.stage.take().filter(|_| !edited).or_else(|| stage.clone());
            self.it_was_live_long_enough(plan);
        }
        if index(&stage) != index(&self.stage) || told("stage-entered") || anew || given_back {
            self.live = Duration::ZERO;
        }
        self.step &= !told("stage-entered");
        if told("started") {
            (self.step, self.finish) = (false, false);
        }
        self.by_hand = plan.report.as_ref().is_some_and(|r| r.manual.is_some());
        self.stage = stage;
    }

    fn is_live(&self, before: &Memory, world: &World) -> bool {
        let Some((_, stage)) = &self.stage else { return false };
        let Some(live) = &world.gateway.live else { return false };
        let lane = live.intent.lane(Lane::Canary);
        let set = before.canary_set();
        let here = stage.weight == Weight::ZERO || lane.iter().any(|e| Some(&e.set) == set.as_ref());
        let weight = live.intent.traffic.canary();
        (weight == stage.weight || (weight > Weight::ZERO && weight < stage.weight)) && here
    }

    /// What people say; whether the weight was given back: then a stage begins anew, at whatever weight that is.
    fn listen(&mut self, before: &Memory, plan: &Plan) -> bool {
        let mut given_back = false;
        for answer in plan.answers.iter().filter(|a| a.accepted) {
            match before.inbox.iter().find(|c| c.id == answer.id).map(|c| &c.verb) {
                Some(Verb::Advance) => self.step = true,
                Some(Verb::Promote { .. }) => self.finish = true,
                Some(Verb::Resume) if self.by_hand => given_back = true,
                Some(
                    Verb::Pause
                    | Verb::Resume
                    | Verb::Abort
                    | Verb::Undo
                    | Verb::Rollback
                    | Verb::Retry
                    | Verb::Restart
                    | Verb::Traffic { .. }
                    | Verb::Stop { .. }
                    | Verb::Start
                    | Verb::Delete,
                )
                | None => {}
            }
        }
        given_back
    }

    fn it_was_live_long_enough(&self, plan: &Plan) {
        let Some((index, stage)) = &self.stage else { return };
        // the clock of a plan may begin a little before the weight was live
        let seen = self.live + STRIDE / 2;
        let number = index + 1;
        assert!(
            self.step || self.finish || seen >= stage.observe,
            "law 7: stage {number} is left after {:?} of {:?} with {} % live: {:?}",
            self.live,
            stage.observe,
            stage.weight,
            plan.events.iter().map(|e| &e.message).collect::<Vec<_>>()
        );
    }
}
