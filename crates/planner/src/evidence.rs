//! What the numbers say about the trial: a Fail takes it off, and more traffic needs leave.

use canaryd_rollout::{ComponentName, Weight};
use canaryd_verdict::{HoldReason, Judge, Verdict};
use jiff::{SignedDuration, Timestamp};

use crate::crew::several;
use crate::deadline::words;
use crate::report::{Outcome, Waiting};
use crate::turn::{Did, STRIDE, Turn};

/// Whether the numbers allow a weight.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leave {
    /// They do, or none are needed.
    Granted,
    /// More canary requests are needed.
    Samples {
        /// By this check.
        check: String,
        /// Counted.
        have: u64,
        /// Needed more.
        need: u64,
    },
    /// Nothing can be said now.
    Silent(String),
}

impl<'a> Turn<'a> {
    /// The processes of the verdict on the set on trial.
    pub(crate) fn judge(&self) -> Option<&'a Judge> {
        let trial = self.trial().filter(|t| t.is_canary())?;
        let set = trial.crews.get(&ComponentName::app()).map(|c| &c.set)?;
        let (judged, judge) = self.world.evidence.judge.as_ref()?;
        (judged == set && self.world.evidence.number == trial.evidence).then_some(judge)
    }

    /// Canary requests counted so far, and of these failed ones.
    pub(crate) fn requests(&self) -> (u64, u64) {
        self.judge().map_or((0, 0), Judge::canary_requests)
    }

    /// Why the evidence cannot be relied on now, if so.
    pub(crate) fn stale_evidence(&self) -> Option<String> {
        if let Some((_, why)) = &self.world.evidence.silent {
            return Some(why.clone());
        }
        let limit = SignedDuration::try_from(STRIDE).unwrap_or(SignedDuration::MAX);
        let fresh = self.world.evidence.read_at.is_some_and(|at| self.now.duration_since(at) <= limit);
        (!fresh).then(|| "no evidence was read for 2 s".to_owned())
    }

    /// Whether the numbers allow this weight. The first weight above 0 needs none, health is its leave: but somebody who sees.
    pub(crate) fn leave(&self, next: Weight) -> Leave {
        if self.trial().is_none_or(|t| t.weight == Weight::ZERO) {
            let blind = self.blindness().filter(|_| next > Weight::ZERO);
            return blind.map_or(Leave::Granted, Leave::Silent);
        }
        if let Some(why) = self.stale_evidence() {
            return Leave::Silent(why);
        }
        let Some(judge) = self.judge() else {
            return Leave::Silent("the evidence about this version begins".to_owned());
        };
        match judge.verdict(Some(next.share())) {
            Verdict::Pass => Leave::Granted,
            Verdict::Inconclusive { check, have, need } => Leave::Samples { check, have, need },
            Verdict::Fail { reason, .. } => Leave::Silent(reason),
            Verdict::Hold { reason: HoldReason::Suspicious { check } } => Leave::Silent(format!(
                "{check} looks bad, without proof yet: no more traffic until it calms down or fails"
            )),
        }
    }

    /// A check looks bad, without proof yet.
    pub(crate) fn is_suspicious(&self) -> bool {
        let verdict = self.judge().filter(|_| self.stale_evidence().is_none()).map(|judge| judge.verdict(None));
        matches!(verdict, Some(Verdict::Hold { reason: HoldReason::Suspicious { .. } }))
    }

    /// Says what the numbers still want before this weight. `true`: nothing.
    pub(crate) fn has_leave(&mut self, next: Weight) -> bool {
        match self.leave(next) {
            Leave::Granted => true,
            Leave::Samples { check, have, need } => {
                let eta = self.eta(need).map(|eta| eta.max(self.warm_in(&check)));
                self.waiting.push(Waiting::Samples { check, have, need, eta });
                false
            }
            Leave::Silent(why) => {
                self.waiting.push(Waiting::Evidence { why });
                false
            }
        }
    }

    /// Seconds until a check that has seen cold containers only begins to count; 0 for others.
    fn warm_in(&self, check: &str) -> u64 {
        let reports = self.judge().map(|judge| judge.reports(None)).unwrap_or_default();
        let until = reports.iter().find(|report| report.name == check).and_then(|report| report.cold_until);
        until.and_then(|until| u64::try_from(until - self.now.as_second()).ok()).unwrap_or(0)
    }

    /// What is said of harm: that nothing shows any, and which check has only seen containers that warm up.
    pub(crate) fn no_sign_of_harm(&self) -> String {
        if self.is_suspicious() {
            return "No proof of harm".to_owned();
        }
        let reports = self.judge().map(|judge| judge.reports(None)).unwrap_or_default();
        let cold = reports.iter().filter(|report| !report.observe_only).find(|report| report.cold_until.is_some());
        let Some((check, until)) = cold.and_then(|check| Some((check, check.cold_until?))) else {
            return "No sign of harm".to_owned();
        };
        let (name, requests) = (&check.name, several(check.left_out, "request"));
        let warmup = self.manifest().map(|m| words(m.analysis.warmup)).unwrap_or_default();
        let ends = match Timestamp::from_second(until) {
            Ok(at) if at > self.now => format!("ends at {}", crate::crash::clock(at)),
            Ok(_) | Err(_) => "leaves out the first five of each container".to_owned(),
        };
        format!(
            "No failure shows harm, but {name} has counted nothing yet: {requests} fell into the warm-up ({warmup}), which {ends}"
        )
    }

    /// Seconds until so many more canary requests at the present traffic.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate for people"
    )]
    fn eta(&self, need: u64) -> Option<u64> {
        let rate = self.world.evidence.requests_per_second * self.wanted_weight().share();
        (rate > 0.0).then(|| (need as f64 / rate).ceil() as u64)
    }

    /// A check that proved harm takes the version off, whatever it waits for. It gets no more requests at once; but while the
    /// engine cannot be asked, nobody knows whether it is stopping its containers, and who is to blame is left open.
    pub(crate) fn heed_verdict(&mut self) -> Option<Did> {
        if !self.is_serving() {
            return None;
        }
        match self.judge()?.verdict(None) {
            Verdict::Fail { check, reason } => {
                let sentence = format!("{check}: {reason}");
                if self.engine_is_heard() {
                    return Some(self.take_off(Outcome::Reverted, &sentence, Some(check), None));
                }
                self.hold_unheard(check, &sentence);
                Some(Did::Hold)
            }
            Verdict::Pass | Verdict::Inconclusive { .. } | Verdict::Hold { .. } => None,
        }
    }
}
