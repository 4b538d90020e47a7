//! What one client's requests of one second say about failures.
//!
//! Retries and runs of errors are not independent: they are one event seen several times. So at most one failure of a client counts in a
//! second, and the client's other requests of that second count in proportion (2 failures of 10 are 1 of 5), lest the cap hide a broken
//! version behind the single address of a proxy. The factor of such a second, exp(l/b) with b failures, has expectation at most one
//! whenever each request fails with probability at most p0 (the test below enumerates it), and it rises with every failure.

use std::collections::BTreeMap;

use crate::bounds::real;
use crate::verdict::LaneNumbers;

/// Requests and failures after weighing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Weighed {
    /// Requests, in proportion.
    pub(crate) requests: f64,
    /// Failures that count, at most one a client.
    pub(crate) bad: u64,
}

/// The requests of one second by client, summed in the order of the clients' hashes: equal input, equal bits.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    known: BTreeMap<u64, LaneNumbers>,
    alone: LaneNumbers,
}

impl Clients {
    /// Adds one request of `client`.
    pub(crate) fn add(&mut self, client: u64, bad: bool) {
        self.known.entry(client).or_default().add(bad);
    }

    /// Adds one request that speaks for itself, whoever sent it.
    pub(crate) fn add_alone(&mut self, bad: bool) {
        self.alone.add(bad);
    }

    /// What they say together.
    pub(crate) fn weigh(&self) -> Weighed {
        let mut sum = Weighed { requests: real(self.alone.requests), bad: self.alone.bad };
        for seen in self.known.values() {
            sum.requests += real(seen.requests) / real(seen.bad.max(1));
            sum.bad += seen.bad.min(1);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use libm::{exp, lgamma, log, log1p};

    use super::*;

    fn weighed(requests: &[(u64, bool)]) -> Weighed {
        let mut clients = Clients::default();
        for (client, bad) in requests {
            clients.add(*client, *bad);
        }
        clients.weigh()
    }

    #[test]
    fn failures_of_different_clients_all_count() {
        let sum = weighed(&[(1, true), (2, true), (3, false), (3, false)]);
        assert_eq!(sum, Weighed { requests: 4.0, bad: 2 });
    }

    #[test]
    fn retries_of_one_client_are_one_failure() {
        let sum = weighed(&[(1, true), (1, true), (1, true), (2, false)]);
        assert_eq!(sum, Weighed { requests: 2.0, bad: 1 });
    }

    #[test]
    fn a_broken_version_behind_one_address_stays_as_broken_as_it_is() {
        let requests: Vec<_> = (0..75).map(|i| (1, i % 5 == 0)).collect();
        assert_eq!(weighed(&requests), Weighed { requests: 5.0, bad: 1 });
    }

    /// Expectation of exp(l / max(b, 1)) over the failures b of n independent requests, at the tolerance.
    fn expectation(n: u32, p0: f64, q: f64) -> f64 {
        let (bad_ratio, good_ratio) = (log(q / p0), log((1.0 - q) / (1.0 - p0)));
        (0..=n)
            .map(|b| {
                let (n, b) = (f64::from(n), f64::from(b));
                let ln_probability =
                    lgamma(n + 1.0) - lgamma(b + 1.0) - lgamma(n - b + 1.0) + b * log(p0) + (n - b) * log1p(-p0);
                exp(ln_probability + (b * bad_ratio + (n - b) * good_ratio) / b.max(1.0))
            })
            .sum()
    }

    #[test]
    fn a_second_of_one_client_is_a_fair_bet_at_most() {
        for p0 in [0.0001, 0.001, 0.005, 0.01, 0.05, 0.2, 0.5, 0.9] {
            let odds = p0 / (1.0 - p0);
            for j in 1..12 {
                let odds = odds * f64::from(1 << j);
                for n in [1, 2, 3, 5, 8, 13, 30, 100, 300] {
                    let mean = expectation(n, p0, odds / (1.0 + odds));
                    assert!(mean <= 1.0 + 1e-9, "{n} requests at {p0} against {odds}: {mean}");
                }
            }
        }
    }
}
