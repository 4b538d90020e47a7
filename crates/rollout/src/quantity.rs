//! Reading what people write for durations, sizes, percentages and file modes. Each has one rule, and a bare number is
//! never guessed at.

use std::time::Duration;

/// Why a quantity cannot be read: what it should look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadQuantity {
    /// What was expected.
    pub(crate) expected: &'static str,
    /// What to write instead.
    pub(crate) hint: String,
}

const DURATION: &str = "a duration such as 500ms, 15m or 1h30m";
const SIZE: &str = "a size such as 512m, 2g or 1.5GiB";
const PERCENT: &str = "a percentage such as 0.5%";
/// Longest duration: ten years.
const LONGEST: u128 = 10 * 365 * 86_400 * 1_000_000_000;

/// `15m`, `1h30m`, `2.5s`, `500ms`: units d, h, m, s, ms, us, each once and from large to small.
pub(crate) fn duration(text: &str) -> Result<Duration, BadQuantity> {
    const UNITS: [(&str, u128); 6] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    let bad = |hint: String| BadQuantity { expected: DURATION, hint };
    if is_number(text) {
        return Err(bad(format!("say the unit: {text}s, {text}m or {text}ms")));
    }
    let general = || bad("units are d, h, m, s, ms and us, from large to small: 1h30m".to_owned());
    let mut rest = text;
    let mut next = 0;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest).ok_or_else(general)?;
        let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|p| *p >= next).ok_or_else(general)?;
        total = total.saturating_add(scaled(number, UNITS[place].1).ok_or_else(general)?);
        next = place + 1;
        rest = after;
    }
    if next == 0 {
        return Err(general());
    }
    if total > LONGEST {
        return Err(bad("ten years are the most".to_owned()));
    }
    Ok(Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// `1024m`, `1g`, `2Gi`, `512MiB`, `100b`: all units are binary, as Docker's are; bytes.
pub(crate) fn size(text: &str) -> Result<u64, BadQuantity> {
    let bad = |hint: String| BadQuantity { expected: SIZE, hint };
    if is_number(text) {
        return Err(bad(format!("say the unit: {text}m, {text}g, or {text}b for bytes")));
    }
    let general = || bad("units are b, k, m, g and t, also as KiB or Ki; 1g is 1024m".to_owned());
    let (number, unit, after) = number_and_unit(text).ok_or_else(general)?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('i')).unwrap_or(&unit) {
        "b" if !unit.contains('i') => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        "t" | "tb" => 4,
        _ => return Err(general()),
    };
    let bytes = scaled(number, 1024_u128.pow(power)).filter(|_| after.is_empty()).ok_or_else(general)?;
    u64::try_from(bytes).ok().filter(|b| i64::try_from(*b).is_ok()).ok_or_else(general)
}

/// `0.5%`, `5 %`: always with the sign; a share of 1.
pub(crate) fn percent(text: &str) -> Result<f64, BadQuantity> {
    let bad = |hint: String| BadQuantity { expected: PERCENT, hint };
    let Some(number) = text.strip_suffix('%').map(str::trim_end) else {
        let hint = match text.parse::<f64>() {
            Ok(value) if value > 0.0 && value < 1.0 => {
                format!("write {}% for the share {text}, or {text}% if that is meant", short(value * 100.0))
            }
            Ok(_) => format!("write {text}%"),
            Err(_) => "a number and a percent sign".to_owned(),
        };
        return Err(bad(hint));
    };
    if !is_number(number) {
        return Err(bad("a number and a percent sign".to_owned()));
    }
    number.parse::<f64>().map(|v| v / 100.0).map_err(|_| bad("a number and a percent sign".to_owned()))
}

/// `0400`, `644`, `0o640`: octal whatever its spelling; 0 to 0o7777.
pub(crate) fn file_mode(text: &str) -> Result<u32, BadQuantity> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).ok().filter(|m| *m <= 0o7777 && !digits.starts_with('+')).ok_or_else(|| {
        BadQuantity {
            expected: "a file mode in octal such as 0400",
            hint: "three or four digits from 0 to 7".to_owned(),
        }
    })
}

/// `2`, `0.5`, `1.25`: CPUs in billionths.
pub(crate) fn cpus(text: &str) -> Option<i64> {
    if !is_number(text) {
        return None;
    }
    scaled(text, 1_000_000_000).and_then(|n| i64::try_from(n).ok()).filter(|n| *n > 0)
}

/// Whether it is surely a quantity, a short number or a switch, whatever is meant by it.
pub(crate) fn is_one(text: &str) -> bool {
    let counts = is_number(text) && text.len() <= 5;
    let measures = text.len() <= 8 && (duration(text).is_ok() || size(text).is_ok() || percent(text).is_ok());
    counts || measures || matches!(text, "true" | "false")
}

fn is_number(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(decimals)
}

fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(unit);
    let after = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(after);
    is_number(number).then_some((number, unit, after))
}

/// `number × unit`, exact; decimals below one part are cut off.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let parts = if decimals.is_empty() { 0 } else { decimals.parse::<u128>().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    whole.checked_add(parts.checked_mul(unit)? / scale)
}

fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_be_a_secret_is_no_quantity() {
        for text in ["10m", "1h30m", "512Mi", "5%", "0.5 %", "8000", "0.25", "true"] {
            assert!(is_one(text), "{text}");
        }
        for text in ["", "hunter2", "918273", "123456789s", "10x", "yes", "a1b2c3"] {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, millis) in
            [("15m", 900_000), ("1h30m", 5_400_000), ("500ms", 500), ("2.5s", 2_500), ("1d", 86_400_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "15", "m", "30m1h", "1h1h", "-5s", "5 m", "1.s", ".5s", "5x", "99999d"] {
            assert!(duration(bad).is_err(), "{bad:?} must be refused");
        }
        assert_eq!(duration("15").unwrap_err().hint, "say the unit: 15s, 15m or 15ms");
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [
            ("1024m", 1 << 30),
            ("1g", 1 << 30),
            ("2Gi", 2 << 30),
            ("512MiB", 512 << 20),
            ("100b", 100),
            ("1.5GB", 3 << 29),
            ("4k", 4096),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "512", "g", "1x", "1ib", "-1m", "1 g", "1gg", "99999999999999t"] {
            assert!(size(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn percentages_carry_their_sign() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("0.5 %"), Ok(0.005));
        assert_eq!(percent("0.005").unwrap_err().hint, "write 0.5% for the share 0.005, or 0.005% if that is meant");
        assert_eq!(percent("5").unwrap_err().hint, "write 5%");
        for bad in ["", "%", "-1%", "1e3%", "nan%"] {
            assert!(percent(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!((file_mode("0400"), file_mode("644"), file_mode("0o7")), (Ok(0o400), Ok(0o644), Ok(7)));
        assert!(file_mode("888").is_err() && file_mode("").is_err() && file_mode("10000").is_err());
    }

    #[test]
    fn cpus_are_counted_in_billionths() {
        assert_eq!(
            (cpus("2"), cpus("0.5"), cpus("0"), cpus("x")),
            (Some(2_000_000_000), Some(500_000_000), None, None)
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(millis in 0_u64..10_000_000_000) {
            let value = Duration::from_millis(millis);
            prop_assert_eq!(duration(&crate::fmt::duration(value)), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,20}") {
            let _ = (duration(&text), size(&text), percent(&text), file_mode(&text), cpus(&text));
        }
    }
}
