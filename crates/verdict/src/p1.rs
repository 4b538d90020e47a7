//! P1, the one-sample Bernoulli process: "does more than p0 of the canary's requests turn out bad?".
//!
//! Null: whatever happened before, the next request is bad with probability at most p0. Alternatives: q with odds 2, 4, 8 … times
//! those of p0, up to 0.98. A request multiplies the wealth of q by q/p0 if it was bad, else by (1-q)/(1-p0). A quantile bound is the
//! same question: "p95 at most 2.5 s" is "at most 5 % slower than 2.5 s".

use libm::log;
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

/// Weight of the alternatives, nearest first; further ones get the last weight.
const PRIOR: [f64; 8] = [2.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 0.5];
/// The largest alternative.
const FURTHEST: f64 = 0.98;

/// Evidence that more than `p0` are bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct P1 {
    p0: f64,
    evidence: Evidence,
}

impl P1 {
    /// Against the tolerance `p0` (0 < p0 < 0.98).
    pub(crate) fn new(p0: f64) -> Self {
        let evidence = Evidence::new(&prior(alternatives(p0).len()));
        Self { p0, evidence }
    }

    /// Announces requests at `second`, before they are seen: a restart may be due.
    pub(crate) fn observe(&mut self, second: i64, planned_minutes: f64) {
        let prior = prior(alternatives(self.p0).len());
        self.evidence.observe(second, &prior, planned_minutes);
    }

    /// Takes in so many requests, of which so many bad. Fractions come from clients with several failures at once (`client`).
    pub(crate) fn see(&mut self, requests: f64, bad: f64) {
        let (p0, good) = (self.p0, requests - bad);
        let ratios = alternatives(p0).into_iter().map(|q| bad * log(q / p0) + good * log((1.0 - q) / (1.0 - p0)));
        self.evidence.multiply(ratios);
    }

    /// ln of the e-value.
    pub(crate) fn ln(&self) -> f64 {
        self.evidence.ln()
    }
}

/// The alternatives to `p0`, rising.
fn alternatives(p0: f64) -> Vec<f64> {
    let odds = p0 / (1.0 - p0);
    let doubled = std::iter::successors(Some(odds * 2.0), |odds| Some(odds * 2.0));
    doubled.map(|odds| odds / (1.0 + odds)).take_while(|q| *q < FURTHEST).chain([FURTHEST]).collect()
}

/// The weights of `n` alternatives; they sum to one.
fn prior(n: usize) -> Vec<f64> {
    let last = PRIOR[PRIOR.len() - 1];
    let weights: Vec<f64> = PRIOR.into_iter().chain(std::iter::repeat(last)).take(n).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn f(value: &Value) -> f64 {
        value.as_f64().unwrap()
    }

    fn file(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn close(ours: f64, theirs: f64) {
        let error = (ours - theirs).abs() / theirs.abs().max(1.0);
        assert!(error < 1e-9, "{ours} is not {theirs}");
    }

    fn restart(process: &mut P1, planned_minutes: f64) {
        let prior = prior(alternatives(process.p0).len());
        process.evidence.restart(&prior, planned_minutes);
    }

    #[test]
    fn evidence_without_restarts_equals_the_vectors() {
        let vectors = file(include_str!("../tests/vectors.json"));
        for vector in vectors["p1_without_restarts"].as_array().unwrap() {
            let mut process = P1::new(f(&vector["p0"]));
            process.see(f(&vector["n"]), f(&vector["x"]));
            close(process.ln(), f(&vector["ln_e"]));
        }
    }

    #[test]
    fn evidence_with_restarts_equals_the_vectors() {
        let vectors = file(include_str!("../tests/vectors.json"));
        let path = &vectors["restarts"];
        let mut process = P1::new(f(&path["p0"]));
        for i in 0..4 {
            if path["restart_before"][i].as_bool().unwrap() {
                restart(&mut process, f(&path["T"]));
            }
            process.see(f(&path["n"][i]), f(&path["x"][i]));
            close(process.ln(), f(&path["ln_e"][i]));
        }
    }

    #[test]
    fn ten_ticks_of_errors_and_of_latency_equal_the_vectors() {
        let vectors = file(include_str!("../tests/vectors.json"));
        let story = &vectors["ten_ticks"];
        let mut errors = P1::new(f(&story["error_limit"]));
        let mut latency = P1::new(f(&story["slow_limit"]));
        for tick in story["ticks"].as_array().unwrap() {
            if tick["restart"].as_bool().unwrap() {
                restart(&mut errors, 45.0);
                restart(&mut latency, 45.0);
            }
            errors.see(f(&tick["n"]), f(&tick["bad"]));
            latency.see(f(&tick["n"]), f(&tick["slow"]));
            close(errors.ln(), f(&tick["ln_e_errors"]));
            close(latency.ln(), f(&tick["ln_e_latency"]));
        }
    }

    #[test]
    fn whole_paths_equal_the_oracle() {
        for case in file(include_str!("../tests/paths.json"))["cases"].as_array().unwrap() {
            let mut process = P1::new(f(&case["p0"]));
            for tick in case["ticks"].as_array().unwrap() {
                if f(&tick[0]) > 0.0 {
                    restart(&mut process, f(&case["planned_minutes"]));
                }
                process.see(f(&tick[1]), f(&tick[2]));
                close(process.ln(), f(&tick[3]));
            }
        }
    }

    /// Probability that the process ever reaches `bar` within `n_max` requests, by dynamic programming over the number of bad ones.
    fn crossing(p0: f64, bar: f64, n_max: u32) -> f64 {
        let mut alive = vec![1.0];
        let mut crossed = 0.0;
        for n in 1..=n_max {
            let mut next = vec![0.0; alive.len() + 1];
            for (bad, probability) in alive.iter().enumerate() {
                next[bad] += probability * (1.0 - p0);
                next[bad + 1] += probability * p0;
            }
            let mut bad = 0u32;
            next.retain(|probability| {
                let mut process = P1::new(p0);
                process.see(f64::from(n), f64::from(bad));
                let stays = process.ln() < log(bar);
                bad += 1;
                crossed += if stays { 0.0 } else { *probability };
                stays
            });
            alive = next;
        }
        crossed
    }

    #[test]
    fn the_bar_is_crossed_exactly_as_often_as_enumerated() {
        let vectors = file(include_str!("../tests/vectors.json"));
        for vector in vectors["crossing_probabilities"].as_array().unwrap() {
            let n_max = u32::try_from(vector["n_max"].as_u64().unwrap()).unwrap();
            let probability = crossing(f(&vector["p0"]), f(&vector["bar"]), n_max);
            close(probability, f(&vector["probability"]));
        }
    }

    proptest! {
        #[test]
        fn ticks_of_any_length_say_the_same(
            p0 in 0.0005..0.9,
            ticks in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..9), 1..20),
        ) {
            let mut by_tick = P1::new(p0);
            let mut by_request = P1::new(p0);
            for tick in &ticks {
                let bad = tick.iter().filter(|bad| **bad).count();
                by_tick.see(f64::from(u32::try_from(tick.len()).unwrap()), f64::from(u32::try_from(bad).unwrap()));
                for bad in tick {
                    by_request.see(1.0, f64::from(u8::from(*bad)));
                }
            }
            close(by_tick.ln(), by_request.ln());
        }

        #[test]
        fn one_request_more_that_is_bad_never_lowers_the_evidence(p0 in 0.0005..0.9, n in 1u32..2000, part in 0.0f64..1.0) {
            let bad = (f64::from(n - 1) * part).floor();
            let (mut better, mut worse) = (P1::new(p0), P1::new(p0));
            better.see(f64::from(n), bad);
            worse.see(f64::from(n), bad + 1.0);
            prop_assert!(worse.ln() >= better.ln());
        }
    }
}
