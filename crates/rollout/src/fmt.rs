//! How durations, sizes and percentages are written, the same everywhere people see them.

use std::time::Duration;

/// `15m`, `1h30m`, `2.5s`, `500ms`, `0s`: exact to the millisecond (microseconds below one), readable by a manifest.
#[must_use]
pub fn duration(value: Duration) -> String {
    if value.is_zero() {
        return "0s".to_owned();
    }
    if value < Duration::from_millis(1) {
        return format!("{}us", value.as_micros());
    }
    let millis = value.as_millis();
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m")];
    let mut text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    let last = seconds % 60;
    if rest > 0 {
        let decimals = format!("{rest:03}");
        text.push_str(&format!("{last}.{}s", decimals.trim_end_matches('0')));
    } else if last > 0 || text.is_empty() {
        text.push_str(&format!("{last}s"));
    }
    text
}

/// `512 B`, `1.5 GiB`: binary units, at most two decimals.
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut divisor = 1_u64;
    while unit + 1 < UNITS.len() && value / divisor >= 1_024 {
        divisor *= 1_024;
        unit += 1;
    }
    let hundredths = u128::from(value) * 100 / u128::from(divisor);
    format!("{} {}", decimals(hundredths), UNITS[unit])
}

/// A share of 1 as a percentage: `0.5 %`, `13.5 %`, `0.06 %`, `100 %`; two significant decimals below 10 %.
#[must_use]
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "unknown".to_owned();
    }
    let value = share * 100.0;
    let digits = if value.abs() >= 10.0 || value == 0.0 { 1 } else { 2 };
    let text = format!("{value:.digits$}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short} %")
}

fn decimals(hundredths: u128) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match (rest, rest % 10) {
        (0, _) => whole.to_string(),
        (_, 0) => format!("{whole}.{}", rest / 10),
        (_, _) => format!("{whole}.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_exact() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (2_500, "2.5s"),
            (60_000, "1m"),
            (900_000, "15m"),
            (5_400_000, "1h30m"),
            (372_000, "6m12s"),
            (90_061_001, "1d1h1m1.001s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (value, text) in
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1 KiB"), (1_610_612_736, "1.5 GiB"), (536_870_912, "512 MiB")]
        {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn percentages_keep_what_matters() {
        for (share, text) in [
            (0.0, "0 %"),
            (0.005, "0.5 %"),
            (0.135, "13.5 %"),
            (0.0006, "0.06 %"),
            (1.0, "100 %"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(percent(share), text);
        }
    }
}
