//! The names that everything else is keyed by. Each is parsed once, at the edge; inside nobody checks again.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a legal name or weight. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} is not allowed: {allowed}")]
pub struct BadName {
    /// What was to be named: "rollout name", "weight" …
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What is allowed, in words.
    pub allowed: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let legal: fn(&str) -> bool = $check;
                if legal(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { what: $what, found: text.to_owned(), allowed: $allowed })
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

fn dns_label(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= longest
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
}

text_id!(
    /// Identity of a rollout: `metadata.name`, never the file's name. A DNS label of at most 40 characters.
    RolloutName,
    "rollout name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 40 characters",
    |t| dns_label(t, 40)
);
text_id!(
    /// `app`, or the name of one of `workers`.
    ComponentName,
    "component name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 40 characters",
    |t| dns_label(t, 40)
);
text_id!(
    /// Short hash (10 lower-case hexadecimal digits) of everything that one version of the whole rollout consists of.
    RevisionId,
    "revision",
    "10 hexadecimal digits",
    |t| t.len() == 10 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);
text_id!(
    /// Identity of one set of containers: `s` and a number that is never used again within its rollout.
    SetId,
    "set id",
    "the letter s and a number",
    |t| t.len() >= 2 && t.starts_with('s') && t[1..].bytes().all(|b| b.is_ascii_digit())
);

impl ComponentName {
    /// The component behind the gateway.
    #[must_use]
    pub fn app() -> Self {
        Self("app".to_owned())
    }
    /// Whether this is the component behind the gateway.
    #[must_use]
    pub fn is_app(&self) -> bool {
        self.0 == "app"
    }
}

impl RevisionId {
    /// The short form of a SHA-256: its first 10 hexadecimal digits.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl SetId {
    /// The `n`th set of a rollout.
    #[must_use]
    pub fn nth(n: u64) -> Self {
        Self(format!("s{n}"))
    }
}

/// A share of the traffic in basis points, 0 to 10,000: written as a percentage with at most two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(10_000);

    /// From basis points; `None` above 10,000.
    #[must_use]
    pub fn from_basis_points(points: u16) -> Option<Self> {
        (points <= 10_000).then_some(Self(points))
    }
    /// 0 to 10,000.
    #[must_use]
    pub fn basis_points(self) -> u16 {
        self.0
    }
    /// 0.0 to 100.0.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
    /// 0.0 to 1.0.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
    /// What is left for the other side.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(10_000 - self.0)
    }
}

impl TryFrom<f64> for Weight {
    type Error = BadName;
    fn try_from(percent: f64) -> Result<Self, BadName> {
        percent.to_string().parse()
    }
}
impl From<Weight> for f64 {
    fn from(weight: Weight) -> f64 {
        weight.percent()
    }
}

impl FromStr for Weight {
    type Err = BadName;
    /// Reads "25", "0.5", "12.34" and the same with a trailing "%".
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName {
            what: "weight",
            found: text.to_owned(),
            allowed: "0 to 100 percent with at most two decimals",
        };
        let digits = text.strip_suffix('%').unwrap_or(text).trim();
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !plain(whole) || !plain(decimals) {
            return Err(bad());
        }
        let whole: u16 = whole.parse().map_err(|_| bad())?;
        let decimals: u16 = format!("{decimals:0<2}").parse().map_err(|_| bad())?;
        Self::from_basis_points(whole.saturating_mul(100).saturating_add(decimals)).ok_or_else(bad)
    }
}

impl fmt::Display for Weight {
    /// "25", "0.5", "12.34": no percent sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match (rest, rest % 10) {
            (0, _) => whole.to_string(),
            (_, 0) => format!("{whole}.{}", rest / 10),
            (_, _) => format!("{whole}.{rest:02}"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_reads_what_it_prints() {
        for points in 0..=10_000 {
            let weight = Weight::from_basis_points(points).expect("in range");
            assert_eq!(weight.to_string().parse(), Ok(weight));
            assert_eq!(Weight::try_from(weight.percent()), Ok(weight));
        }
        for bad in ["", "101", "100.01", "-1", "1.234", "1e1", "nan", ".", "5 5"] {
            assert!(bad.parse::<Weight>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "shop", "fragrance-ai", "a1"] {
            assert!(good.parse::<RolloutName>().is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "a-", "A", "1a", "a_b", "a.b", "a/b", &"a".repeat(41)] {
            assert!(bad.parse::<RolloutName>().is_err(), "{bad:?} must be refused");
        }
    }
}
