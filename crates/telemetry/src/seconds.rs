//! The seconds that one reading of the log spans.

/// Mostly one; after a pause of canaryd as many as it lasted, so that what is counted once a second is not counted once a pause.
/// None of them is shorter than a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds {
    from: f64,
    width: f64,
    count: usize,
}

/// A longer span is looked at in longer pieces.
const MOST: f64 = 3_600.0;

impl Seconds {
    /// Of lines with these times (Unix time, in whatever order).
    #[must_use]
    pub fn of(times: impl Iterator<Item = f64> + Clone) -> Self {
        let from = times.clone().fold(f64::INFINITY, f64::min);
        let width = times.fold(from, f64::max) - from;
        Self { from, width, count: whole(width).max(1) }
    }

    /// How many, at least one and at most 3,600.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Which one a time belongs to, from 0.
    #[must_use]
    pub fn index(&self, time: f64) -> usize {
        let share = if self.width > 0.0 { (time - self.from) / self.width } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "at most 3,600")]
        whole(share * self.count as f64).min(self.count - 1)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before; no number becomes 0")]
fn whole(seconds: f64) -> usize {
    seconds.clamp(0.0, MOST) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reading_of_about_a_second_is_one() {
        for times in [&[][..], &[7.5], &[7.0, 7.9], &[7.2, 9.1], &[f64::NAN]] {
            let seconds = Seconds::of(times.iter().copied());
            assert_eq!(seconds.count(), 1, "{times:?}");
            assert!(times.iter().all(|time| seconds.index(*time) == 0));
        }
    }

    proptest! {
        #[test]
        fn each_is_a_second_or_longer_and_every_time_has_its_own(times in proptest::collection::vec(1e9_f64..1.000_01e9, 1..50)) {
            let seconds = Seconds::of(times.iter().copied());
            let span = |index: usize| {
                let of: Vec<f64> = times.iter().copied().filter(|time| seconds.index(*time) == index).collect();
                Seconds::of(of.into_iter()).width
            };
            let longest = if seconds.count() == 3_600 { f64::INFINITY } else { 2.0 };
            // of none it is no number
            prop_assert!(!(0..seconds.count()).any(|index| span(index) > longest));
            prop_assert!(seconds.count() == 1 || seconds.width >= f64::from(u32::try_from(seconds.count()).unwrap()));
            let mut sorted = times.clone();
            sorted.sort_by(f64::total_cmp);
            prop_assert!(sorted.is_sorted_by_key(|time| seconds.index(*time)));
        }
    }
}
