//! The number of a configuration: `<epoch>.<n>`, and `<epoch>.<n>t` for its all-production twin.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names one version of a gateway's configuration. Ordered by age; a twin comes directly after its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct GenerationId {
    epoch: u64,
    n: u64,
    twin: bool,
}

impl GenerationId {
    /// The `n`th generation since the `epoch`th start of the daemon.
    #[must_use]
    pub fn new(epoch: u64, n: u64) -> Self {
        Self { epoch, n, twin: false }
    }
    /// Rises at each start of the daemon.
    #[must_use]
    pub fn epoch(self) -> u64 {
        self.epoch
    }
    /// Rises with each configuration within an epoch.
    #[must_use]
    pub fn n(self) -> u64 {
        self.n
    }
    /// Whether this is an all-production twin.
    #[must_use]
    pub fn is_twin(self) -> bool {
        self.twin
    }
    /// The all-production twin (of a twin: itself).
    #[must_use]
    pub fn twin(self) -> Self {
        Self { twin: true, ..self }
    }
    /// The generation that a twin belongs to (of an original: itself).
    #[must_use]
    pub fn original(self) -> Self {
        Self { twin: false, ..self }
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}{}", self.epoch, self.n, if self.twin { "t" } else { "" }))
    }
}

/// The text is not `<epoch>.<n>` with an optional `t`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a generation: two numbers with a dot between them, and a t after a twin's")]
pub struct BadGeneration(String);

impl FromStr for GenerationId {
    type Err = BadGeneration;
    fn from_str(text: &str) -> Result<Self, BadGeneration> {
        let (digits, twin) = text.strip_suffix('t').map_or((text, false), |t| (t, true));
        let read = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<u64>().ok()).flatten();
        let parsed =
            digits.split_once('.').and_then(|(epoch, n)| Some(Self { epoch: read(epoch)?, n: read(n)?, twin }));
        parsed.filter(|id| id.to_string() == text).ok_or_else(|| BadGeneration(text.to_owned()))
    }
}

impl TryFrom<String> for GenerationId {
    type Error = BadGeneration;
    fn try_from(text: String) -> Result<Self, BadGeneration> {
        text.parse()
    }
}
impl From<GenerationId> for String {
    fn from(id: GenerationId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_reads_what_it_prints_and_nothing_else() {
        for text in ["0.0", "1.2", "1.2t", "12.345", "18446744073709551615.0t"] {
            let id: GenerationId = text.parse().expect("legal");
            assert_eq!(id.to_string(), text);
        }
        for text in ["", ".", "1", "1.", ".1", "1.2tt", "01.2", "+1.2", "1.2.3", "a.b", " 1.2"] {
            assert!(text.parse::<GenerationId>().is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn a_twin_is_the_next_of_its_original() {
        let id = GenerationId::new(3, 7);
        assert!(id < id.twin() && id.twin() < GenerationId::new(3, 8));
        assert_eq!(id.twin().original(), id);
        assert_eq!(id.twin().twin(), id.twin());
    }
}
