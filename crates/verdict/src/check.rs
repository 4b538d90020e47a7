//! One check: its counts and its processes.
//!
//! A process is what can prove harm: it takes in a second of canary requests and has a bar of its own. There are two so far, P1 for every
//! check and the fast rule for errors. A further one (comparison with production) becomes a field here, fed in `see` and asked in
//! `proof` and `ln_excess`, with a share in `shares`.

use libm::{exp, log};
use serde::{Deserialize, Serialize};

use crate::bounds::{lower_bound, real, upper_bound};
use crate::clearance::clearance;
use crate::client::{Clients, Weighed};
use crate::fast::Fast;
use crate::histogram::Histogram;
use crate::judge::Settings;
use crate::p1::P1;
use crate::question::{Arm, Bad, Question, Sample};
use crate::shares::{Shares, bar};
use crate::verdict::{CheckReport, Clearance, LaneNumbers, LatencyNumbers};
use crate::words;

/// One bad request never proves harm, whatever the bars: with few checks a bar is low enough for a single unlucky error.
const FEWEST_BAD: u64 = 2;

/// Counts, processes, and the proof once there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    canary: LaneNumbers,
    production: LaneNumbers,
    latencies: Option<Latencies>,
    /// Canary latencies left out because their replica was cold.
    #[serde(default)]
    left_out: u64,
    p1: P1,
    bar: f64,
    /// Bad requests that counted as evidence, see `client`.
    counted: u64,
    fast: Option<Fast>,
    proof: Option<Proof>,
}

/// Latencies of both lanes, for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Latencies {
    canary: Histogram,
    production: Histogram,
}

/// Harm, proven: what stays true although later requests may be good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// When.
    pub(crate) second: i64,
    /// By what.
    pub(crate) by: By,
    /// The canary's counts at that moment.
    pub(crate) canary: LaneNumbers,
}

/// What proved harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum By {
    /// The fast rule: so many failures came too early.
    Early {
        /// Failures that counted.
        bad: u64,
    },
    /// P1 reached its bar.
    Weight,
}

/// A request of this second, and whether its latency is left out.
pub(crate) struct Seen<'a> {
    /// The request.
    pub(crate) sample: &'a Sample,
    /// Its replica still warms up.
    pub(crate) cold: bool,
}

impl Check {
    /// No evidence yet.
    pub(crate) fn new(question: &Question, shares: Shares, alpha: f64) -> Self {
        let p0 = question.bad.limit();
        let latencies = match question.bad {
            Bad::Failed { .. } => None,
            Bad::Slower { .. } => Some(Latencies::default()),
        };
        Self {
            canary: LaneNumbers::default(),
            production: LaneNumbers::default(),
            latencies,
            left_out: 0,
            p1: P1::new(p0),
            bar: bar(alpha, shares.p1, p0),
            counted: 0,
            fast: shares.fast.map(|share| Fast::new(share * alpha)),
            proof: None,
        }
    }

    /// Takes in one second.
    pub(crate) fn tick(&mut self, second: i64, seen: &[Seen<'_>], question: &Question, planned_minutes: f64) {
        let mut clients = Clients::default();
        let before = self.canary.requests;
        for seen in seen.iter().filter(|seen| question.concerns(seen.sample)) {
            self.count(seen, question.bad, &mut clients);
        }
        let requests = self.canary.requests - before;
        if requests > 0 {
            self.see(second, requests, clients.weigh(), planned_minutes);
        }
        if self.proof.is_none() && !question.observe_only {
            self.proof = self.prove(second, question.bad.limit());
        }
    }

    /// Counts one request in its lane; a canary's also for its client.
    fn count(&mut self, seen: &Seen<'_>, bad: Bad, clients: &mut Clients) {
        let Seen { sample, cold } = seen;
        let is_bad = bad.is_bad(sample);
        if self.latencies.is_some() && *cold {
            self.left_out += 1;
            return;
        }
        let lane = match sample.arm {
            Arm::Production => &mut self.production,
            Arm::Canary => &mut self.canary,
        };
        lane.add(is_bad);
        if let Some(latencies) = &mut self.latencies {
            latencies.of(sample.arm).add(sample.latency);
        }
        match (sample.arm, bad) {
            (Arm::Production, _) => {}
            (Arm::Canary, Bad::Failed { .. }) => clients.add(sample.client, is_bad),
            // slow answers are not retried: each request speaks for itself
            (Arm::Canary, Bad::Slower { .. }) => clients.add_alone(is_bad),
        }
    }

    /// Feeds the processes: clocks first, then a restart that is due, then the evidence.
    fn see(&mut self, second: i64, requests: u64, weighed: Weighed, planned_minutes: f64) {
        self.counted += weighed.bad;
        if let Some(fast) = &mut self.fast {
            fast.see(requests, weighed.bad);
        }
        self.p1.observe(second, planned_minutes);
        self.p1.see(weighed.requests, real(weighed.bad));
    }

    /// Whether some process proves harm now.
    fn prove(&self, second: i64, p0: f64) -> Option<Proof> {
        let early = self.fast.as_ref().filter(|fast| fast.fires(p0));
        let by = match early {
            Some(fast) => By::Early { bad: fast.bad() },
            None if self.ln_excess() >= 0.0 && self.counted >= FEWEST_BAD => By::Weight,
            None => return None,
        };
        Some(Proof { second, by, canary: self.canary })
    }

    /// ln of the e-value over its bar.
    fn ln_excess(&self) -> f64 {
        self.p1.ln() - log(self.bar)
    }

    /// The proof of harm, if there is one.
    pub(crate) fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }

    /// Above a third of its bar.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.ln_excess() >= -log(3.0)
    }

    /// E × share / k. It reaches 1/alpha exactly when harm is proven: at least that afterwards, and a little less while one bad request
    /// is all there is.
    pub(crate) fn suspicion(&self, alpha: f64) -> f64 {
        // the logarithm is cut before it overflows: JSON knows no infinity
        let suspicion = exp(self.ln_excess().min(600.0)) / alpha;
        match self.proof {
            Some(_) => suspicion.max(1.0 / alpha),
            None if self.counted < FEWEST_BAD => suspicion.min(0.95 / alpha),
            None => suspicion,
        }
    }

    /// Canary requests counted.
    pub(crate) fn have(&self) -> u64 {
        self.canary.requests
    }

    /// Whether it gives its leave for a share `next` of the traffic. A check that only observes has no say.
    pub(crate) fn clearance(&self, question: &Question, next: Option<f64>, beta: f64) -> Clearance {
        let next = next.filter(|_| !question.observe_only);
        let LaneNumbers { requests, bad } = self.canary;
        match clearance(requests, bad, question.bad.limit(), next, beta) {
            // a version that was only ever seen cold has not been seen
            Clearance::NotNeeded if next.is_some() && self.is_only_cold() => Clearance::Needs { more: 1 },
            leave => leave,
        }
    }

    /// Requests came, and all of them fell into the warm-up.
    pub(crate) fn is_only_cold(&self) -> bool {
        self.left_out > 0 && self.canary.requests == 0
    }

    /// Everything that people want to know of it.
    pub(crate) fn report(&self, question: &Question, next: Option<f64>, settings: &Settings) -> CheckReport {
        let LaneNumbers { requests, bad } = self.canary;
        CheckReport {
            name: question.name.clone(),
            question: words::question(question),
            observe_only: question.observe_only,
            canary: self.canary,
            production: self.production,
            limit: question.bad.limit(),
            latency: self.latency_numbers(question.bad),
            left_out: self.left_out,
            cold_until: None,
            suspicion: self.suspicion(settings.alpha),
            ln_e: self.p1.ln(),
            bar: self.bar,
            failed: self.proof.is_some(),
            clearance: self.clearance(question, next, settings.beta),
            upper: upper_bound(requests, bad, settings.beta),
            lower: lower_bound(requests, bad, settings.alpha),
        }
    }

    fn latency_numbers(&self, bad: Bad) -> Option<LatencyNumbers> {
        match (bad, &self.latencies) {
            (Bad::Slower { quantile, max }, Some(latencies)) => Some(LatencyNumbers {
                quantile,
                max,
                canary: latencies.canary.quantile(quantile),
                production: latencies.production.quantile(quantile),
            }),
            (Bad::Slower { .. }, None) | (Bad::Failed { .. }, _) => None,
        }
    }
}

impl Latencies {
    fn of(&mut self, arm: Arm) -> &mut Histogram {
        match arm {
            Arm::Canary => &mut self.canary,
            Arm::Production => &mut self.production,
        }
    }
}
