//! An e-process: a bet against "the version is within tolerance" whose wealth, if it is, exceeds x with probability at most 1/x, ever.
//!
//! The bet is spread over a grid of alternatives and, for regressions that begin late, over starts in time: a mixture of
//! Shiryaev-Roberts type with total mass at most one (Shin, Ramdas, Rinaldo: E-detectors, NEJSDS), hence valid at every look.
//! Everything is kept as logarithms. Which alternatives there are, and what an observation says about each, is the business of
//! the process that owns the evidence (`p1`).

use libm::{exp, log};
use serde::{Deserialize, Serialize};

/// Part of the wealth that is bet at the very start.
const FIRST: f64 = 0.8;
/// Part that is bet on later starts within the planned time.
const LATER: f64 = 0.18;
/// Fewest minutes over which `LATER` is spread.
const FEWEST_MINUTES: f64 = 45.0;
/// After the planned time, each start bets this part of what is left.
const TAIL: f64 = 1.0 / 30.0;
/// Seconds between two starts.
const MINUTE: i64 = 60;

/// ln of the wealth of each alternative, and the money not bet yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    ln_wealth: Vec<f64>,
    unspent: f64,
    restarts: u32,
    minute_began: Option<i64>,
}

impl Evidence {
    /// The first bet. `prior` sums to one.
    pub(crate) fn new(prior: &[f64]) -> Self {
        Self {
            ln_wealth: prior.iter().map(|part| log(FIRST * part)).collect(),
            unspent: 1.0 - FIRST,
            restarts: 0,
            minute_began: None,
        }
    }

    /// Announces observations at `second`, before they are multiplied in. A restart is due with the first observation of each
    /// new minute: sixty seconds that begin with an observation. Minutes without any cost nothing.
    pub(crate) fn observe(&mut self, second: i64, prior: &[f64], planned_minutes: f64) {
        match self.minute_began {
            None => self.minute_began = Some(second),
            Some(began) if second - began >= MINUTE => {
                self.minute_began = Some(second);
                self.restart(prior, planned_minutes);
            }
            Some(_) => {}
        }
    }

    /// Bets anew, as if the rollout began now.
    pub(crate) fn restart(&mut self, prior: &[f64], planned_minutes: f64) {
        self.restarts += 1;
        let planned = planned_minutes.max(FEWEST_MINUTES);
        let mass = if f64::from(self.restarts) <= planned { LATER / planned } else { self.unspent * TAIL };
        self.unspent -= mass;
        for (wealth, part) in self.ln_wealth.iter_mut().zip(prior) {
            *wealth = ln_add(*wealth, log(mass * part));
        }
    }

    /// Multiplies the wealth of each alternative by its likelihood ratio.
    pub(crate) fn multiply(&mut self, ln_ratios: impl IntoIterator<Item = f64>) {
        for (wealth, ratio) in self.ln_wealth.iter_mut().zip(ln_ratios) {
            *wealth += ratio;
        }
    }

    /// ln of the e-value.
    pub(crate) fn ln(&self) -> f64 {
        ln_add(ln_sum(&self.ln_wealth), log(self.unspent))
    }
}

/// ln(e^a + e^b).
fn ln_add(a: f64, b: f64) -> f64 {
    ln_sum(&[a, b])
}

/// ln of the sum of e^x.
pub(crate) fn ln_sum(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + log(values.iter().map(|value| exp(value - largest)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mass_of_all_restarts_stays_below_one() {
        let prior = [0.5, 0.5];
        let mut evidence = Evidence::new(&prior);
        for _ in 0..5_000 {
            evidence.restart(&prior, 45.0);
            assert!(evidence.unspent > 0.0);
            assert!(evidence.ln() <= 1e-12, "betting on nothing wins nothing");
        }
    }

    #[test]
    fn a_restart_comes_with_the_first_observation_of_each_new_minute() {
        let prior = [1.0];
        let mut evidence = Evidence::new(&prior);
        for (second, restarts) in [(100, 0), (159, 0), (160, 1), (161, 1), (900, 2), (959, 2), (960, 3)] {
            evidence.observe(second, &prior, 45.0);
            assert_eq!(evidence.restarts, restarts, "at second {second}");
        }
    }

    #[test]
    fn a_logarithm_of_a_sum_neither_overflows_nor_underflows() {
        assert!((ln_sum(&[1000.0, 1000.0]) - (1000.0 + log(2.0))).abs() < 1e-12);
        assert!((ln_sum(&[-2000.0, f64::NEG_INFINITY]) + 2000.0).abs() < 1e-12);
        assert!(ln_sum(&[]).is_infinite());
    }
}
