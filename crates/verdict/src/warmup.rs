//! Cold starts: the first latencies of a replica say how it starts, not how it runs, and are left out.

use serde::{Deserialize, Serialize};

/// At least so many latencies of each replica are left out.
const FEWEST: u32 = 5;
/// Replicas remembered; beyond them the longest known one is forgotten (it would warm up again).
const REPLICAS: usize = 256;

/// When each replica got its first request, and how many since (counted up to `FEWEST`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Warmup(Vec<(u32, i64, u32)>);

impl Warmup {
    /// Notes a request to the replica `ordinal` and says whether its latency is to be left out: it came less than `seconds` after the
    /// replica's first, or is one of the first five.
    pub(crate) fn is_cold(&mut self, ordinal: u32, second: i64, seconds: f64) -> bool {
        let (_, first, seen) = self.replica(ordinal, second);
        let age = i32::try_from(second - *first).map_or(f64::MAX, f64::from);
        let cold = age < seconds || *seen < FEWEST;
        *seen = FEWEST.min(*seen + 1);
        cold
    }

    /// The second from which the first replica is warm, if `seconds` alone decide it.
    pub(crate) fn over_at(&self, seconds: f64) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a warm-up, far below 2^63")]
        let seconds = seconds.ceil() as i64;
        self.0.iter().map(|(_, first, _)| first.saturating_add(seconds)).min()
    }

    fn replica(&mut self, ordinal: u32, second: i64) -> &mut (u32, i64, u32) {
        let known = self.0.iter().position(|(known, _, _)| *known == ordinal);
        let index = known.unwrap_or_else(|| {
            if self.0.len() == REPLICAS {
                self.0.remove(0);
            }
            self.0.push((ordinal, second, 0));
            self.0.len() - 1
        });
        &mut self.0[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replica_is_cold_for_its_own_first_minute() {
        let mut warmup = Warmup::default();
        for second in 0..60 {
            assert!(warmup.is_cold(1, second, 60.0));
        }
        assert!(!warmup.is_cold(1, 60, 60.0));
        assert!(warmup.is_cold(2, 60, 60.0));
    }

    #[test]
    fn at_least_five_latencies_are_left_out() {
        let mut warmup = Warmup::default();
        for second in [0, 100, 200, 300, 400] {
            assert!(warmup.is_cold(1, second, 0.0));
        }
        assert!(!warmup.is_cold(1, 500, 0.0));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut warmup = Warmup::default();
        for ordinal in 0..1_000 {
            warmup.is_cold(ordinal, 0, 1.0);
        }
        assert_eq!(warmup.0.len(), REPLICAS);
    }
}
