//! Bounds on the rate of a version that has not failed once, for forecasts.
//!
//! The clearance's betting mixture with no bad request among `n`: the stake on "the rate is at least P" has become
//! `Σ v (1 - c P)^n / (1 - P)^n`, and P is ruled out when that is 1/beta or more.

/// Shares of P that the mixture bets on, each with its part of the stake.
const BETS: [(f64, f64); 5] = [(0.0, 0.35), (1.0 / 16.0, 0.20), (0.125, 0.20), (0.25, 0.15), (0.5, 0.10)];

/// Whether `n` clean requests rule out a rate of `p` or more, at `beta`.
fn ruled_out(n: f64, p: f64, beta: f64) -> bool {
    let won: f64 = BETS.iter().map(|(c, v)| v * ((1.0 - c * p) / (1.0 - p)).powf(n)).sum();
    won >= 1.0 / beta
}

/// Least number of clean requests that rule out `level` (0 < level < 1) or more.
pub(crate) fn needed(level: f64, beta: f64) -> u64 {
    let mut high: u32 = 1;
    while !ruled_out(f64::from(high), level, beta) && high < 1 << 30 {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if ruled_out(f64::from(middle), level, beta) { high = middle } else { low = middle }
    }
    u64::from(high)
}

/// The rate that `n` clean requests leave possible: 1.0 when there are none.
#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
pub(crate) fn upper(n: u64, beta: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if ruled_out(n as f64, middle, beta) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_figures_come_out() {
        for (level, n) in [(0.30, 10), (0.06, 54), (0.015, 219), (0.005, 661)] {
            assert_eq!(needed(level, 0.05), n, "level {level}");
        }
        for (n, bound) in [(50, 0.0640), (310, 0.0106)] {
            assert!((upper(n, 0.05) - bound).abs() < 1e-4, "{n}: {}", upper(n, 0.05));
        }
        assert!((upper(0, 0.05) - 1.0).abs() < 1e-9);
    }
}
