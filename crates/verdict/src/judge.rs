//! The processes of all checks of one canary set, from its first request to its end.

use serde::{Deserialize, Serialize};

use crate::check::{Check, Seen};
use crate::question::{Arm, Bad, Question, Sample};
use crate::shares::shares;
use crate::verdict::{CheckReport, Clearance, HoldReason, LaneNumbers, Verdict};
use crate::warmup::Warmup;
use crate::words;

/// What is asked, and at which price. Fixed when the evidence begins; a change means fresh evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Chance that a version within tolerance is reverted by statistics, over the whole rollout.
    pub alpha: f64,
    /// Chance, per advance, that an unacceptable version gets more traffic.
    pub beta: f64,
    /// Planned canary minutes of the rollout (for restarts; at least 45 are used).
    pub planned_minutes: f64,
    /// Latencies of a new container that are left out, seconds (and at least its first five).
    pub warmup: f64,
    /// The checks.
    pub checks: Vec<Question>,
}

/// The processes of all checks of one set. Serialisable after every tick; resuming loses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    settings: Settings,
    second: Option<i64>,
    canary: LaneNumbers,
    warmup: Warmup,
    checks: Vec<Check>,
}

impl Judge {
    /// Begins with no evidence.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let checks = settings
            .checks
            .iter()
            .zip(shares(&settings.checks))
            .map(|(question, shares)| Check::new(question, shares, settings.alpha))
            .collect();
        Self { settings, second: None, canary: LaneNumbers::default(), warmup: Warmup::default(), checks }
    }

    /// What is asked.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One second of evidence. `second` is Unix time; a second never goes back (one that does is taken as the last one), empty
    /// seconds may be left out. Give a second in one call: failures of a client are counted once a call.
    pub fn tick(&mut self, second: i64, samples: &[Sample]) {
        let second = self.second.map_or(second, |last| last.max(second));
        self.second = Some(second);
        let seen: Vec<Seen<'_>> =
            samples.iter().map(|sample| Seen { sample, cold: self.meet(sample, second) }).collect();
        for (check, question) in self.checks.iter_mut().zip(&self.settings.checks) {
            check.tick(second, &seen, question, self.settings.planned_minutes);
        }
    }

    /// Counts a canary request and says whether its replica is still cold. Production's are warm.
    fn meet(&mut self, sample: &Sample, second: i64) -> bool {
        match sample.arm {
            Arm::Production => false,
            Arm::Canary => {
                self.canary.add(sample.failed);
                self.warmup.is_cold(sample.ordinal, second, self.settings.warmup)
            }
        }
    }

    /// The verdict on going to `next` (share of the traffic, 0.0 to 1.0; `None`: only staying is asked).
    ///
    /// Harm before suspicion before clearance. A proof of harm is never taken back. Going to any share wants at least one canary
    /// request that was counted, and one in each check whose requests all fell into the warm-up.
    #[must_use]
    pub fn verdict(&self, next: Option<f64>) -> Verdict {
        let harm = self.harm();
        let suspicion = harm.or_else(|| self.suspect());
        let wanting = suspicion.or_else(|| self.wanting(next?));
        wanting.unwrap_or(Verdict::Pass)
    }

    /// The first proof; of several in one second a proof by failures, and then the first check.
    fn harm(&self) -> Option<Verdict> {
        let proven = self.acting().filter_map(|(question, check)| check.proof().map(|proof| (question, proof)));
        let (question, proof) = proven.min_by_key(|(question, proof)| (proof.second, rank(question.bad)))?;
        Some(Verdict::Fail {
            check: question.name.clone(),
            reason: words::reason(question, proof, self.settings.alpha),
        })
    }

    /// The most suspicious check, if one is above a third of its bar.
    fn suspect(&self) -> Option<Verdict> {
        let alpha = self.settings.alpha;
        let (question, _) = self
            .acting()
            .filter(|(_, check)| check.is_suspicious())
            .max_by(|(_, a), (_, b)| a.suspicion(alpha).total_cmp(&b.suspicion(alpha)))?;
        Some(Verdict::Hold { reason: HoldReason::Suspicious { check: question.name.clone() } })
    }

    /// What is missing for a share `next` of the traffic: the check that needs most.
    fn wanting(&self, next: f64) -> Option<Verdict> {
        let needs = self.acting().filter_map(|(question, check)| {
            let more = match check.clearance(question, Some(next), self.settings.beta) {
                Clearance::Cleared | Clearance::NotNeeded => return None,
                Clearance::Needs { more } => more,
            };
            Some(Verdict::Inconclusive { check: question.name.clone(), have: check.have(), need: more })
        });
        needs.max_by_key(need).or_else(|| self.wanting_any())
    }

    /// Even a raise that needs no data of any check wants one canary request.
    fn wanting_any(&self) -> Option<Verdict> {
        let check = self.acting().next().map(|(question, _)| question.name.clone());
        (self.canary.requests == 0).then(|| Verdict::Inconclusive {
            check: check.unwrap_or_else(|| "requests".to_owned()),
            have: 0,
            need: 1,
        })
    }

    /// Every check with its numbers, for the same question.
    #[must_use]
    pub fn reports(&self, next: Option<f64>) -> Vec<CheckReport> {
        self.settings
            .checks
            .iter()
            .zip(&self.checks)
            .map(|(question, check)| CheckReport {
                cold_until: self.cold_until(check),
                ..check.report(question, next, &self.settings)
            })
            .collect()
    }

    fn cold_until(&self, check: &Check) -> Option<i64> {
        check.is_only_cold().then(|| self.warmup.over_at(self.settings.warmup))?
    }

    /// The one number: largest suspicion over all checks that act. Reverts at 1/alpha.
    #[must_use]
    pub fn suspicion(&self) -> f64 {
        self.acting().map(|(_, check)| check.suspicion(self.settings.alpha)).fold(0.0, f64::max)
    }

    /// Canary requests counted so far, and of these failed ones.
    #[must_use]
    pub fn canary_requests(&self) -> (u64, u64) {
        (self.canary.requests, self.canary.bad)
    }

    /// The checks that act, with their questions.
    fn acting(&self) -> impl Iterator<Item = (&Question, &Check)> {
        let all = self.settings.checks.iter().zip(&self.checks);
        all.filter(|(question, _)| !question.observe_only)
    }
}

/// Which of two proofs of the same second is told: a failure says more than a slow answer.
fn rank(bad: Bad) -> u8 {
    match bad {
        Bad::Failed { .. } => 0,
        Bad::Slower { .. } => 1,
    }
}

/// How many requests a verdict asks for.
fn need(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Inconclusive { need, .. } => *need,
        Verdict::Pass | Verdict::Fail { .. } | Verdict::Hold { .. } => 0,
    }
}
