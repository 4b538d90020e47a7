//! How bad a rate could still be, and is at least.

use libm::{lgamma, log, log1p};

use crate::clearance::ln_e_pass;

/// "Could still be up to": the largest bad rate (0.0 to 1.0) not excluded at `beta` by `bad` bad ones of `n` requests. One-sided,
/// valid at every look; the same bound as clearance, so that one figure serves for both.
#[must_use]
pub fn upper_bound(n: u64, bad: u64, beta: f64) -> f64 {
    let enough = -log(beta);
    turn(0.0, 1.0, |rate| ln_e_pass(real(n), real(bad), rate) < enough)
}

/// "Is at least": the lower end of the anytime-valid confidence interval for a rate of which `bad` of `n` were seen, 0.0 to 1.0.
///
/// The interval holds every rate p against which the Beta(1/2, 1/2) mixture, B(bad + 1/2, n - bad + 1/2) / (π p^bad (1-p)^(n-bad)), has
/// not reached 1/`alpha` (Ville's inequality). Its lower end alone is one-sided at `alpha`, with something to spare.
#[must_use]
pub fn lower_bound(n: u64, bad: u64, alpha: f64) -> f64 {
    let bad = bad.min(n);
    if bad == 0 {
        return 0.0;
    }
    let (bad, good) = (real(bad), real(n - bad));
    let ln_mixture = lgamma(bad + 0.5) + lgamma(good + 0.5) - lgamma(bad + good + 1.0) - log(std::f64::consts::PI);
    turn(0.0, bad / (bad + good), |rate| {
        let ln_rate = bad * log(rate) + if good > 0.0 { good * log1p(-rate) } else { 0.0 };
        ln_mixture - ln_rate >= -log(alpha)
    })
}

/// Where `holds` turns from true to false between `low` and `high`; `high` if it never does.
fn turn(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// A count as a real number.
#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^53")]
pub(crate) fn real(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/vectors.json")).unwrap()
    }

    fn n(value: &Value) -> u64 {
        value.as_u64().unwrap()
    }

    #[test]
    fn upper_bounds_equal_the_vectors() {
        for vector in vectors()["clearance"]["upper_bounds"].as_array().unwrap() {
            let upper = upper_bound(n(&vector["n"]), n(&vector["k"]), 0.05);
            assert!((upper - vector["u"].as_f64().unwrap()).abs() < 1e-8, "{upper}: {vector}");
        }
    }

    #[test]
    fn lower_bounds_equal_the_vectors() {
        for vector in vectors()["anytime_interval"].as_array().unwrap() {
            let alpha = vector["alpha"].as_f64().unwrap();
            let lower = lower_bound(n(&vector["n"]), n(&vector["k"]), alpha);
            assert!((lower - vector["ci"][0].as_f64().unwrap()).abs() < 1e-9, "{lower}: {vector}");
        }
    }

    #[test]
    fn nothing_seen_excludes_nothing() {
        assert!((upper_bound(0, 0, 0.05) - 1.0).abs() < 1e-9);
        assert!((upper_bound(3, 3, 0.05) - 1.0).abs() < 1e-9);
        assert!(lower_bound(0, 0, 0.05).abs() < 1e-12);
        assert!(lower_bound(4, 4, 0.05) > 0.3);
    }
}
