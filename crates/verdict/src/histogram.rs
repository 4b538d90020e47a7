//! Latencies of one lane in logarithmic bins: for people's eyes (estimated quantiles), never for a verdict.
//!
//! Bins as in `DDSketch` (Masson, Rim, Lee, VLDB 2019): index = ceil(ln(x) / ln(gamma)), an estimate within 1 % of the true value, from 1 ms to
//! 100 s. Written down as runs of adjacent bins, `[[first, [count, …]], …]`.

use std::collections::BTreeMap;

use libm::{ceil, exp, log};
use serde::{Deserialize, Serialize};

use crate::bounds::real;

/// Ratio of the edges of a bin.
const GAMMA: f64 = 1.0202;
/// The lower end of the scale in seconds; anything faster is in bin 0.
const LOWEST: f64 = 0.001;
/// The last bin, which ends at 100 s; anything slower is in it, also what never came.
const LAST: u16 = 576;

/// Counts of latencies by size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Runs", into = "Runs")]
pub(crate) struct Histogram(BTreeMap<u16, u64>);

/// Adjacent bins with their counts.
type Runs = Vec<(u16, Vec<u64>)>;

impl Histogram {
    /// Counts one latency in seconds; `None`: no answer ever came.
    pub(crate) fn add(&mut self, latency: Option<f64>) {
        *self.0.entry(latency.map_or(LAST, bin)).or_default() += 1;
    }

    /// The estimated quantile in seconds (100 s stands for "100 s or more"), `None` without latencies.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ceil(q * real(self.0.values().sum())).max(1.0);
        let mut below = 0;
        let reached = self.0.iter().find(|(_, count)| {
            below += **count;
            real(below) >= rank
        });
        reached.map(|(bin, _)| middle(*bin))
    }
}

/// The bin of a latency in seconds.
fn bin(latency: f64) -> u16 {
    let index = ceil(log(latency / LOWEST) / log(GAMMA));
    // NaN, zero and negative latencies do not occur; they would be in bin 0
    (0..=LAST).rev().find(|bin| f64::from(*bin) <= index).unwrap_or(0)
}

/// The value that stands for a bin: no value in it is more than 1 % away.
fn middle(bin: u16) -> f64 {
    let upper = LOWEST * exp(f64::from(bin) * log(GAMMA));
    match bin {
        LAST => 100.0,
        _ => upper * 2.0 / (1.0 + GAMMA),
    }
}

impl From<Histogram> for Runs {
    fn from(histogram: Histogram) -> Self {
        let mut runs: Self = Vec::new();
        for (bin, count) in histogram.0 {
            match runs.last_mut() {
                Some((first, counts)) if usize::from(bin - *first) == counts.len() => {
                    counts.push(count);
                }
                Some(_) | None => runs.push((bin, vec![count])),
            }
        }
        runs
    }
}

impl From<Runs> for Histogram {
    fn from(runs: Runs) -> Self {
        let bins = runs.into_iter().flat_map(|(first, counts)| (first..=LAST).zip(counts));
        Self(bins.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.95), None);
    }

    #[test]
    fn no_answer_counts_as_the_slowest() {
        let mut histogram = Histogram::default();
        for latency in [Some(0.2), Some(1e9), None] {
            histogram.add(latency);
        }
        assert_eq!(histogram.quantile(0.95), Some(100.0));
        assert!((histogram.quantile(0.3).unwrap() - 0.2).abs() < 0.002);
    }

    #[test]
    fn adjacent_bins_are_written_as_one_run() {
        let mut histogram = Histogram::default();
        for latency in [0.1, 0.1, 0.102, 3.0] {
            histogram.add(Some(latency));
        }
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text, "[[231,[2,1]],[401,[1]]]");
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_one_percent(mut latencies in prop::collection::vec(0.0011..98.0, 1..80), q in 0.01..1.0) {
            let mut histogram = Histogram::default();
            for latency in &latencies {
                histogram.add(Some(*latency));
            }
            latencies.sort_by(f64::total_cmp);
            let rank = ceil(q * real(latencies.len() as u64)).max(1.0);
            let exact = latencies.iter().enumerate().find(|(i, _)| real(*i as u64 + 1) >= rank).unwrap().1;
            let estimate = histogram.quantile(q).unwrap();
            prop_assert!((estimate / exact - 1.0).abs() < 0.0101, "{estimate} for {exact}");
        }

        #[test]
        fn what_is_written_is_read_again(latencies in prop::collection::vec(0.0..200.0, 0..80)) {
            let mut histogram = Histogram::default();
            for latency in latencies {
                histogram.add(Some(latency));
            }
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
        }
    }
}
