//! The record of one second: small, and enough to decide again.

use std::collections::BTreeMap;

use canaryd_rollout::SetId;
use serde::{Deserialize, Serialize};

use crate::evidence::Attempt;

/// Ratio of two neighbouring bin edges: a latency is known to 1 %.
const GAMMA: f64 = 1.0202;
/// Upper edge of the first bin, seconds.
const SMALLEST: f64 = 0.001;
/// The bin of everything above 98.6 s.
const LAST_BIN: u16 = 576;

/// Modes that are told apart in one second; the others count as [`OTHER_MODES`].
const MOST_MODES: usize = 32;
/// The mode of requests whose mode was one too many.
const OTHER_MODES: &str = "*";
/// Clients that are told apart in one second.
const MOST_CLIENTS: usize = 1_000;

/// Everything that was learned in one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Unix time.
    pub second: i64,
    /// By set.
    pub sets: BTreeMap<SetId, Counts>,
}

/// What one set did in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Attempts that the split sent there.
    pub requests: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Attempts that a rule or a forced lane sent there: in no other number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forced: u32,
    /// By hundreds of the status: `[no answer, 1xx, 2xx, 3xx, 4xx, 5xx]`.
    pub classes: [u32; 6],
    /// By mode; "" for requests without one, "*" for those beyond the first 32 modes of a second.
    pub modes: BTreeMap<String, ModeCounts>,
    /// By salted client hash: attempts and failed ones. At most 1,000 clients a second; the rest is only in the sums.
    pub clients: BTreeMap<u64, (u32, u32)>,
}

/// What one set did in one second for one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeCounts {
    /// Attempts.
    pub requests: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Latencies: [`bin_of`] to count, only bins that are not empty.
    pub bins: BTreeMap<u16, u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Tick {
    /// Begins the record of one second.
    #[must_use]
    pub fn new(second: i64) -> Self {
        Self { second, sets: BTreeMap::new() }
    }

    /// Counts one attempt, whatever its second.
    pub fn add(&mut self, attempt: &Attempt) {
        let counts = self.sets.entry(attempt.set.clone()).or_default();
        if attempt.by_split {
            counts.add(attempt);
        } else {
            counts.forced += 1;
        }
    }

    /// As JSON, in one line.
    #[must_use]
    pub fn into_json(self) -> String {
        // Numbers, text and maps with text or integer keys: serialising these cannot fail.
        serde_json::to_string(&self).unwrap_or_default()
    }
}

impl Counts {
    /// Counts one attempt that the split sent there.
    fn add(&mut self, attempt: &Attempt) {
        let failed = u32::from(attempt.failed);
        self.requests += 1;
        self.failed += failed;
        self.classes[class_of(attempt.status)] += 1;
        self.mode(attempt.mode.as_deref().unwrap_or_default()).add(attempt.latency, failed);
        self.client(attempt.client, failed);
    }

    /// The mode comes from the request: whoever invents modes must not be able to fill the disk.
    fn mode(&mut self, name: &str) -> &mut ModeCounts {
        let known = self.modes.contains_key(name) || self.modes.len() < MOST_MODES;
        self.modes.entry(if known { name } else { OTHER_MODES }.to_owned()).or_default()
    }

    fn client(&mut self, client: u64, failed: u32) {
        if self.clients.len() < MOST_CLIENTS || self.clients.contains_key(&client) {
            let (requests, failures) = self.clients.entry(client).or_default();
            *requests += 1;
            *failures += failed;
        }
    }

    /// As JSON, in one line: what one row of the journal holds.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ModeCounts {
    fn add(&mut self, latency: Option<f64>, failed: u32) {
        self.requests += 1;
        self.failed += failed;
        if let Some(latency) = latency {
            *self.bins.entry(bin_of(latency)).or_default() += 1;
        }
    }

    /// Latency in seconds that a share of `quantile` (0.0 to 1.0) of the counted ones does not exceed, to 2 %;
    /// `None` without a latency.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.bins.values().map(|n| u64::from(*n)).sum();
        let mut below = 0_u64;
        // 0.07 × 100 is a little more than 7: a rank that is whole but for rounding is that rank.
        #[expect(clippy::cast_precision_loss, reason = "counts of a second are far below 2^52")]
        let reached = |below: u64| below as f64 >= quantile * total as f64 - 1e-9 * total as f64;
        let bin = self.bins.iter().find(|(_, n)| {
            below += u64::from(**n);
            reached(below)
        });
        bin.map(|(bin, _)| upper_edge_of(*bin))
    }
}

/// Index into [`Counts::classes`].
fn class_of(status: Option<u16>) -> usize {
    match status {
        Some(status @ 100..=599) => usize::from(status / 100),
        Some(_) | None => 0,
    }
}

/// The bin of a latency in seconds: `ceil(ln(x / 1 ms) / ln 1.0202)`, between 0 (up to 1 ms) and 576 (above 98.6 s).
/// The mapping of `DDSketch` (Masson et al., VLDB 2019): relative error at most 1 %.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=576 before")]
pub fn bin_of(seconds: f64) -> u16 {
    if seconds <= SMALLEST {
        return 0;
    }
    let bin = libm::ceil(libm::log(seconds / SMALLEST) / libm::log(GAMMA));
    bin.clamp(0.0, f64::from(LAST_BIN)) as u16
}

/// The upper edge of a bin in seconds; the last bin (100.6 s) also holds everything above.
#[must_use]
pub fn upper_edge_of(bin: u16) -> f64 {
    SMALLEST * libm::pow(GAMMA, f64::from(bin.min(LAST_BIN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attempt(set: u64, failed: bool, latency: f64, mode: &str, client: u64) -> Attempt {
        Attempt {
            second: 7,
            generation: "1.1".parse().unwrap(),
            set: SetId::nth(set),
            ordinal: 1,
            by_split: true,
            failed,
            status: Some(if failed { 503 } else { 200 }),
            latency: Some(latency),
            mode: (!mode.is_empty()).then(|| mode.to_owned()),
            client,
        }
    }

    #[test]
    fn a_second_is_counted_by_set_class_mode_bin_and_client() {
        let mut tick = Tick::new(7);
        tick.add(&attempt(1, false, 0.010, "fast", 42));
        tick.add(&attempt(1, true, 0.010, "fast", 42));
        tick.add(&attempt(1, false, 1.0, "", 43));
        tick.add(&Attempt { by_split: false, ..attempt(1, true, 1.0, "", 44) });
        tick.add(&attempt(2, false, 1.0, "", 42));

        let counts = &tick.sets[&SetId::nth(1)];
        assert_eq!((counts.requests, counts.failed, counts.forced), (3, 1, 1));
        assert_eq!(counts.classes, [0, 0, 2, 0, 0, 1]);
        assert_eq!(counts.modes["fast"].bins, BTreeMap::from([(bin_of(0.010), 2)]));
        assert_eq!(counts.modes[""].requests, 1);
        assert_eq!(counts.clients, BTreeMap::from([(42, (2, 1)), (43, (1, 0))]));
        assert_eq!(tick.sets[&SetId::nth(2)].requests, 1);
    }

    #[test]
    fn a_tick_reads_what_it_writes() {
        let mut tick = Tick::new(7);
        tick.add(&attempt(1, true, 0.010, "fast", u64::MAX));
        let json = tick.clone().into_json();
        assert_eq!(serde_json::from_str::<Tick>(&json).unwrap(), tick, "{json}");
        assert!(json.len() < 200, "small: {json}");
    }

    #[test]
    fn nobody_fills_the_disk_by_inventing_clients_or_modes() {
        let mut tick = Tick::new(7);
        for n in 0..5_000 {
            tick.add(&attempt(1, false, 0.010, &format!("mode{n}"), n));
        }
        let counts = &tick.sets[&SetId::nth(1)];
        assert_eq!(counts.requests, 5_000);
        assert_eq!(counts.modes.values().map(|mode| mode.requests).sum::<u32>(), 5_000);
        assert!(counts.modes.len() <= MOST_MODES + 1);
        assert_eq!(counts.clients.len(), MOST_CLIENTS);
    }

    #[test]
    fn bins_span_a_millisecond_to_a_hundred_seconds() {
        assert_eq!(bin_of(0.0), 0);
        assert_eq!(bin_of(-1.0), 0);
        assert_eq!(bin_of(0.001), 0);
        assert_eq!(bin_of(100.0), LAST_BIN);
        assert_eq!(bin_of(f64::INFINITY), LAST_BIN);
        assert_eq!(bin_of(f64::NAN), 0, "no number is no latency");
    }

    #[test]
    fn the_quantile_of_no_latency_is_none() {
        assert_eq!(ModeCounts::default().quantile(0.95), None);
    }

    #[test]
    fn a_whole_rank_is_not_rounded_up() {
        let mut mode = ModeCounts::default();
        (0..7).for_each(|_| mode.add(Some(0.001), 0));
        (0..93).for_each(|_| mode.add(Some(1.0), 0));
        assert_eq!(mode.quantile(0.07), Some(SMALLEST), "7 of 100 are the 7 %");
    }

    proptest! {
        #[test]
        fn a_bin_knows_its_latency_to_two_percent(seconds in 0.001_f64..99.0) {
            let edge = upper_edge_of(bin_of(seconds));
            prop_assert!(edge >= seconds * (1.0 - 1e-9) && edge <= seconds * GAMMA * (1.0 + 1e-9), "{seconds} {edge}");
        }

        #[test]
        fn the_quantile_is_the_one_of_the_sorted_latencies(
            latencies in proptest::collection::vec(0.001_f64..50.0, 1..200),
            percent in 1_u32..=100,
        ) {
            let mut mode = ModeCounts::default();
            for latency in &latencies {
                mode.add(Some(*latency), 0);
            }
            let mut sorted = latencies;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(sorted.len() * percent as usize).div_ceil(100) - 1];
            let found = mode.quantile(f64::from(percent) / 100.0).unwrap();
            prop_assert!(found >= exact * (1.0 - 1e-9) && found <= exact * GAMMA * (1.0 + 1e-9), "{exact} {found}");
        }
    }
}
