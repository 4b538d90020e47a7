//! What an NGINX can do, by its version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Version of an NGINX, as `nginx -v` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NginxVersion {
    /// 1 of 1.30.4.
    pub major: u32,
    /// 30 of 1.30.4; even = stable line.
    pub minor: u32,
    /// 4 of 1.30.4.
    pub patch: u32,
}

/// What may be said about reloads of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// A change of the weights loses no request.
    Lossless,
    /// A change of the weights may lose requests of keep-alive clients.
    LossyReload {
        /// One sentence for people.
        why: String,
    },
}

impl NginxVersion {
    /// First version with `keepalive_min_timeout` (NGINX CHANGES 1.27.4).
    pub const LOSSLESS: Self = Self::new(1, 27, 4);
    /// Oldest version that we do not warn about: CVE-2026-42533 is fixed in it.
    pub const ADVISED: Self = Self::new(1, 30, 4);

    /// `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Whether reloads lose nothing.
    #[must_use]
    pub fn promise(&self) -> Promise {
        if *self >= Self::LOSSLESS {
            return Promise::Lossless;
        }
        let why = format!(
            "NGINX {self} closes idle keep-alive connections at each reload, so a change of the weights can lose \
             requests; NGINX {} and later does not",
            Self::LOSSLESS
        );
        Promise::LossyReload { why }
    }

    /// What people should know about this version, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Promise::LossyReload { why } = self.promise() {
            warnings.push(why);
        }
        if *self < Self::ADVISED {
            warnings.push(format!("NGINX {self} has known faults that {} mends: use it or a later one", Self::ADVISED));
        }
        warnings
    }
}

impl fmt::Display for NginxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

/// The text names no NGINX version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no NGINX version (expected \"nginx version: nginx/1.30.4\")")]
pub struct BadVersion(String);

impl FromStr for NginxVersion {
    type Err = BadVersion;
    /// Reads the output of `nginx -v` ("nginx version: nginx/1.30.4 (Debian)"), or a bare "1.30.4".
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let tail = text.split_once("nginx/").map_or(text, |(_, tail)| tail);
        let digits: &str = tail.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
        let mut parts = digits.split('.').map(str::parse::<u32>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self { major, minor, patch }),
            _ => Err(BadVersion(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_nginx_v_is_read() {
        let cases = [
            ("nginx version: nginx/1.30.4\n", NginxVersion::new(1, 30, 4)),
            ("nginx version: nginx/1.22.1 (Debian)", NginxVersion::new(1, 22, 1)),
            ("nginx version: openresty/1.2 nginx/1.27.1.2", NginxVersion::new(0, 0, 0)),
            ("1.28.0", NginxVersion::new(1, 28, 0)),
        ];
        for (text, version) in cases {
            let read = text.parse::<NginxVersion>();
            assert_eq!(read.is_ok(), version.major > 0, "{text:?}");
            assert!(read.is_err() || read == Ok(version), "{text:?}");
        }
    }

    #[test]
    fn old_versions_promise_less_and_say_why() {
        assert_eq!(NginxVersion::new(1, 27, 4).promise(), Promise::Lossless);
        assert!(matches!(NginxVersion::new(1, 26, 3).promise(), Promise::LossyReload { .. }));
        assert_eq!(NginxVersion::new(1, 26, 3).warnings().len(), 2);
        assert_eq!(NginxVersion::new(1, 28, 0).warnings().len(), 1);
        assert_eq!(NginxVersion::new(1, 30, 4).warnings(), Vec::<String>::new());
    }
}
