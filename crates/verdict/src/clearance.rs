//! Clearance: the statistical leave to give more traffic.
//!
//! Unacceptable at weight w is a bad rate of `KAPPA * p0 / w` or more: so much harm to all users as `KAPPA` times the allowed rate would
//! do at 100 %. Leave is given when an e-value against "the rate is unacceptable" reaches 1/beta; it is a mixture of bets that the true
//! rate is c times that level, valid at every look. Every check must give its leave, so no correction for several is needed.

use libm::{log, log1p};

use crate::bounds::real;
use crate::evidence::ln_sum;
use crate::verdict::Clearance;

/// Unacceptable, as a multiple of the allowed rate.
const KAPPA: f64 = 3.0;
/// The bets: the true rate is this part of the unacceptable one …
const PARTS: [f64; 5] = [0.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0];
/// … with this weight.
const WEIGHTS: [f64; 5] = [0.35, 0.20, 0.20, 0.15, 0.10];
/// A wait for more requests than this is no answer.
const TOO_LONG: u64 = 1 << 40;

/// Canary requests needed in all for a share `next_share` (0.0 to 1.0) of the traffic, when `bad` of them are bad and at most `p0` should
/// be. 0: no data is needed, because any rate is acceptable at that share.
#[must_use]
pub fn needed_requests(p0: f64, next_share: f64, beta: f64, bad: u64) -> u64 {
    let level = level(p0, next_share);
    if level >= 1.0 {
        return 0;
    }
    let reaches = |more: u64| ln_e_pass(real(bad + more), real(bad), level) >= -log(beta);
    bad + least(reaches).unwrap_or(TOO_LONG)
}

/// Whether `bad` of `n` requests are leave for a share `next` of the traffic (`None`: nothing more is asked for).
///
/// The requests still needed are estimated with the bad rate seen so far. Where that rate could never be enough, they are the least number,
/// all of them clean.
pub(crate) fn clearance(n: u64, bad: u64, p0: f64, next: Option<f64>, beta: f64) -> Clearance {
    let level = next.map_or(1.0, |share| level(p0, share));
    if level >= 1.0 {
        return Clearance::NotNeeded;
    }
    let enough = -log(beta);
    let (n, bad) = (real(n), real(bad));
    let rate = if n > 0.0 { bad / n } else { 0.0 };
    let reaches = |more: f64, bad_more: f64| ln_e_pass(n + more, bad + bad_more, level) >= enough;
    if reaches(0.0, 0.0) {
        return Clearance::Cleared;
    }
    let more = least(|more| reaches(real(more), rate * real(more)))
        .or_else(|| least(|more| reaches(real(more), 0.0)))
        .unwrap_or(TOO_LONG);
    Clearance::Needs { more }
}

/// The unacceptable bad rate at a share of the traffic; 1: none is.
fn level(p0: f64, share: f64) -> f64 {
    if share <= 0.0 {
        return 1.0;
    }
    (KAPPA * p0 / share).min(1.0)
}

/// ln of the e-value against "the bad rate is `level` or more" after `bad` of `n` requests; rises with `level`.
pub(crate) fn ln_e_pass(n: f64, bad: f64, level: f64) -> f64 {
    let ln_null = log1p(-level);
    let bets = std::array::from_fn::<f64, 5, _>(|i| {
        let (part, good) = (PARTS[i], n - bad);
        let of_bad = if bad > 0.0 { bad * log(part) } else { 0.0 };
        let of_good = if good > 0.0 { good * (log1p(-part * level) - ln_null) } else { 0.0 };
        log(WEIGHTS[i]) + of_bad + of_good
    });
    ln_sum(&bets)
}

/// The least number from 1 on for which `enough` holds, if it holds for some number that is not too long; from there on it goes on holding.
fn least(enough: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = 1;
    while !enough(high) {
        high *= 2;
        if high > TOO_LONG {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str::<Value>(include_str!("../tests/vectors.json")).unwrap()["clearance"].take()
    }

    #[test]
    fn evidence_for_clearance_equals_the_vectors() {
        for vector in vectors()["ln_e"].as_array().unwrap() {
            let f = |key: &str| vector[key].as_f64().unwrap();
            let ours = ln_e_pass(f("n"), f("k"), f("P"));
            assert!((ours - f("v")).abs() < 1e-9, "{ours}: {vector}");
        }
    }

    #[test]
    fn the_least_number_of_requests_equals_the_table() {
        for vector in vectors()["least_n"].as_array().unwrap() {
            let level = vector["P"].as_f64().unwrap();
            let needed = needed_requests(level / KAPPA, 1.0, 0.05, vector["k"].as_u64().unwrap());
            assert_eq!(needed, vector["n"].as_u64().unwrap(), "{vector}");
        }
    }

    #[test]
    fn the_usual_ladder_needs_10_then_54_then_219_clean_requests() {
        let needed = [0.05, 0.25, 1.0].map(|share| needed_requests(0.005, share, 0.05, 0));
        assert_eq!(needed, [10, 54, 219]);
    }

    #[test]
    fn a_p95_needs_no_data_for_5_percent_of_the_traffic() {
        assert_eq!(clearance(0, 0, 0.05, Some(0.05), 0.05), Clearance::NotNeeded);
        assert_eq!(needed_requests(0.05, 0.05, 0.05, 0), 0);
        assert_eq!(clearance(0, 0, 0.05, None, 0.05), Clearance::NotNeeded);
    }

    #[test]
    fn more_needed_is_counted_from_what_is_there() {
        let next = Some(0.25);
        assert_eq!(clearance(42, 0, 0.005, next, 0.05), Clearance::Needs { more: 12 });
        assert_eq!(clearance(53, 0, 0.005, next, 0.05), Clearance::Needs { more: 1 });
        assert_eq!(clearance(54, 0, 0.005, next, 0.05), Clearance::Cleared);
    }

    #[test]
    fn a_rate_that_can_never_be_enough_counts_clean_requests() {
        let Clearance::Needs { more } = clearance(2, 1, 0.005, Some(0.25), 0.05) else {
            panic!("one bad of two is no leave");
        };
        assert_eq!(2 + more, needed_requests(0.005, 0.25, 0.05, 1));
    }

    proptest! {
        #[test]
        fn what_is_needed_is_enough_and_one_less_is_not(
            n in 0u64..300, bad in 0u64..3, p0 in 0.002..0.05, share in 0.2..1.0,
        ) {
            let bad = bad.min(n);
            if let Clearance::Needs { more } = clearance(n, 0, p0, Some(share), 0.05) {
                prop_assert_eq!(clearance(n + more, 0, p0, Some(share), 0.05), Clearance::Cleared);
                prop_assert_ne!(clearance(n + more - 1, 0, p0, Some(share), 0.05), Clearance::Cleared);
            }
            if clearance(n, bad, p0, Some(share), 0.05) == Clearance::Cleared && bad > 0 {
                prop_assert_eq!(clearance(n, bad - 1, p0, Some(share), 0.05), Clearance::Cleared);
            }
        }
    }
}
