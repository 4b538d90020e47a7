//! Chance, good enough for jitter and error rates.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stream of random numbers: splitmix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new(seed.unwrap_or_else(Self::surprise)))
    }

    /// Whether something of this chance happens.
    pub(crate) fn happens(&self, chance: f64) -> bool {
        self.share() < chance
    }

    /// Between zero and `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        most.mul_f64(self.share())
    }

    /// 0 ≤ x < 1.
    fn share(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let share = (z >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }

    fn surprise() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ (now.as_secs() << 32) ^ u64::from(std::process::id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_of_one_in_ten_happens_about_so_often() {
        let random = Random::new(Some(1));
        let n = (0..10_000).filter(|_| random.happens(0.1)).count();
        assert!((850..1_150).contains(&n), "{n} of 10,000");
        assert!(!random.happens(0.0) && random.happens(1.0));
    }
}
