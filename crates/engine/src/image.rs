//! An image that is in the engine.

/// An image that is in the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Content id, `sha256:…`.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// It brings a HEALTHCHECK (other than `NONE`).
    pub has_healthcheck: bool,
    /// Signal that asks its process to end, when it names one.
    pub stop_signal: Option<String>,
    /// TCP ports that it declares, ascending.
    pub exposed_ports: Vec<u16>,
    /// `amd64`, `arm64` …
    pub architecture: String,
    /// Names that it has: `shop:v1.0.0`.
    pub tags: Vec<String>,
    /// Registry digests that it has: `shop@sha256:…`.
    pub digests: Vec<String>,
}
