//! How many requests come now.

use std::collections::BTreeMap;

/// How long back the rate looks, seconds.
const WINDOW: i64 = 60;

/// Shortest time that a rate is told for, seconds: one request in the first second is no traffic of one a second.
const SHORTEST: i64 = 10;

/// Requests per second over the last minute: for "about 6 min" in reports, never for a decision.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    seconds: BTreeMap<i64, u64>,
    began: Option<i64>,
}

impl Rate {
    /// Counts `requests` that ended in `second` (Unix time). Late ones are welcome.
    pub fn add(&mut self, second: i64, requests: u64) {
        self.began = Some(self.began.map_or(second, |began| began.min(second)));
        *self.seconds.entry(second).or_default() += requests;
        let newest = self.seconds.last_key_value().map_or(second, |(newest, _)| *newest);
        self.seconds = self.seconds.split_off(&(newest - WINDOW));
    }

    /// How many were counted in the minute before `now` (Unix time), without the running second.
    #[must_use]
    pub fn in_last_minute(&self, now: i64) -> u64 {
        self.seconds.range(now - WINDOW..now).map(|(_, requests)| requests).sum()
    }

    /// Requests per second over the minute before `now` (Unix time), without the running second; over less, but at least
    /// 10 s, where counting began later.
    #[must_use]
    pub fn per_second(&self, now: i64) -> f64 {
        let Some(began) = self.began.filter(|began| *began < now) else { return 0.0 };
        let from = began.max(now - WINDOW);
        let sum: u64 = self.seconds.range(from..now).map(|(_, requests)| requests).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^52")]
        let rate = sum as f64 / (now - from).max(SHORTEST) as f64;
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_that_of_the_last_minute_without_the_running_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.in_last_minute(1_000), 0);
        for second in [1_000, 1_030, 1_059, 1_060] {
            rate.add(second, 10);
        }
        assert_eq!(rate.in_last_minute(1_060), 30);
        assert_eq!(rate.in_last_minute(1_061), 30, "one is over a minute old");
        assert_eq!(rate.in_last_minute(2_000), 0);
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute_without_the_running_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(1_000).to_bits(), 0.0_f64.to_bits());
        rate.add(1_000, 0);
        for second in 1_000..1_010 {
            rate.add(second, 30);
        }
        rate.add(1_010, 1);
        assert!((rate.per_second(1_010) - 30.0).abs() < 1e-9, "ten full seconds of 30");
        assert!(
            (rate.per_second(1_002) - 6.0).abs() < 1e-9,
            "60 requests in the first ten seconds, as far as is known"
        );
        assert!((rate.per_second(1_070) - 1.0 / 60.0).abs() < 1e-9, "only the last one is left");
        assert!(rate.per_second(1_200).abs() < 1e-9, "long ago");
        assert!(rate.per_second(999).abs() < 1e-9, "a clock that went back is no rate");
    }

    #[test]
    fn the_rate_stays_small_whatever_its_age() {
        let mut rate = Rate::default();
        for second in 0..100_000 {
            rate.add(second, 1);
        }
        assert!(rate.seconds.len() <= 61);
    }
}
