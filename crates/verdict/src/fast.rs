//! The fast rule: two or three failures too early revert at once; one never does.
//!
//! A clock advances by -ln(1-p0) with every canary request. A trial of probability p is "at least one point of a Poisson process in
//! an interval of length -ln(1-p)", so at the tolerance the failures never outrun a unit Poisson process at the clock's time: the
//! rule costs at most its share of alpha, whatever the feedback from verdicts to traffic.

use libm::{exp, expm1, log1p};
use serde::{Deserialize, Serialize};

use crate::bounds::real;

/// Failures counted and requests seen, against the limits of the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fast {
    limits: Limits,
    requests: u64,
    bad: u64,
}

/// Until which time of the clock two, and three, failures are too early.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Limits {
    two: f64,
    three: f64,
}

impl Fast {
    /// A rule that fires with probability at most `alpha`, ever (0 < alpha < 1).
    pub(crate) fn new(alpha: f64) -> Self {
        Self { limits: Limits::costing(alpha), requests: 0, bad: 0 }
    }

    /// Takes in so many canary requests and so many failures that count.
    pub(crate) fn see(&mut self, requests: u64, bad: u64) {
        self.requests += requests;
        self.bad += bad;
    }

    /// Failures counted so far.
    pub(crate) fn bad(&self) -> u64 {
        self.bad
    }

    /// Whether the failures came too early for the tolerance `p0`.
    pub(crate) fn fires(&self, p0: f64) -> bool {
        let clock = real(self.requests) * -log1p(-p0);
        (self.bad >= 2 && clock <= self.limits.two) || (self.bad >= 3 && clock <= self.limits.three)
    }
}

impl Limits {
    /// The limits with which the rule fires with probability exactly `alpha` on a unit Poisson process: two points before `two` have
    /// probability c, three before `three` c/2, and c is what makes the union cost `alpha`.
    fn costing(alpha: f64) -> Self {
        let three = |two: f64| root(0.0, 9.0, |t| three_by(t) - two_by(two) / 2.0);
        let two = root(0.0, 5.0, |two| probability(two, three(two)) - alpha);
        Self { two, three: three(two) }
    }
}

/// Probability of two or more points of a unit Poisson process by `time`.
fn two_by(time: f64) -> f64 {
    -expm1(-time) - time * exp(-time)
}

/// Probability of three or more.
fn three_by(time: f64) -> f64 {
    -expm1(-time) - (time + time * time / 2.0) * exp(-time)
}

/// Probability of two by `two` or three by `three`.
fn probability(two: f64, three: f64) -> f64 {
    let d = three - two;
    1.0 - exp(-three) * (1.0 + d + d * d / 2.0 + two * (1.0 + d))
}

/// Where the rising `f` passes zero between `low` and `high`, to the last bit.
fn root(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if f(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn f(value: &Value) -> f64 {
        value.as_f64().unwrap()
    }

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/vectors.json")).unwrap()
    }

    #[test]
    fn limits_equal_the_vectors() {
        for vector in vectors()["fast_limits"].as_array().unwrap() {
            let limits = Limits::costing(f(&vector["alpha"]));
            assert!((limits.two - f(&vector["mu2"])).abs() < 1e-9);
            assert!((limits.three - f(&vector["mu3"])).abs() < 1e-9);
        }
    }

    #[test]
    fn the_rule_fires_exactly_on_the_examples() {
        for vector in vectors()["fast_absolute_examples"].as_array().unwrap() {
            let mut rule = Fast::new(f(&vector["alpha"]));
            rule.see(vector["n"].as_u64().unwrap(), vector["x"].as_u64().unwrap());
            assert_eq!(rule.fires(f(&vector["p0"])), vector["hit"].as_bool().unwrap(), "{vector}");
        }
    }

    #[test]
    fn the_rule_fires_exactly_as_the_oracle_on_whole_paths() {
        let paths: Value = serde_json::from_str(include_str!("../tests/paths.json")).unwrap();
        for case in paths["cases"].as_array().unwrap() {
            let mut rule = Fast::new(f(&case["fast_alpha"]));
            for tick in case["ticks"].as_array().unwrap() {
                rule.see(tick[1].as_u64().unwrap(), tick[2].as_u64().unwrap());
                assert_eq!(rule.fires(f(&case["p0"])), f(&tick[4]) > 0.0, "{tick} of {case}");
            }
        }
    }

    /// Probability that the rule ever fires when every request is bad with probability `p0`, looked at after each request.
    fn cost(alpha: f64, p0: f64) -> f64 {
        let limits = Limits::costing(alpha);
        let step = -log1p(-p0);
        // index: bad requests so far; index 3 is kept for "three, and not too early"
        let mut quiet = [1.0, 0.0, 0.0];
        let mut fired = 0.0;
        let mut clock = 0.0;
        while clock <= limits.three {
            clock += step;
            let bad = [0.0, quiet[0] * p0, quiet[1] * p0, quiet[2] * p0];
            let good = quiet.map(|probability| probability * (1.0 - p0));
            quiet = [good[0], good[1] + bad[1], good[2] + bad[2]];
            if clock <= limits.two {
                fired += quiet[2];
                quiet[2] = 0.0;
            }
            fired += if clock <= limits.three { bad[3] } else { 0.0 };
        }
        fired
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_rule_costs_at_most_its_share(alpha in 0.0005..0.2, p0 in 0.002..0.6) {
            let cost = cost(alpha, p0);
            prop_assert!(cost <= alpha, "{cost} is more than {alpha}");
        }

        #[test]
        fn one_failure_never_fires(alpha in 0.0005..0.5, p0 in 0.00001..0.9, requests in 1u64..500) {
            let mut rule = Fast::new(alpha);
            rule.see(requests, 1);
            prop_assert!(!rule.fires(p0));
        }
    }

    #[test]
    fn a_rare_failure_costs_nearly_all_of_the_share() {
        assert!(cost(0.0025, 0.0005) > 0.0024);
    }
}
