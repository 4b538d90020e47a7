//! From settings and an intent to one self-contained `nginx.conf`.

use crate::generation::GenerationId;
use crate::settings::Settings;
use crate::traffic::Intent;

/// A configuration, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its number: also the name of its directory, in every log line, and the answer of the ops port.
    pub generation: GenerationId,
    /// The whole file. Holds secrets.
    pub nginx_conf: String,
}

/// A value that may not reach a configuration. The value itself is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be put into an NGINX configuration: allowed is {allowed}")]
pub struct RenderError {
    /// Path of the value as the user knows it: `spec.gateway.sticky.cookie`.
    pub field: String,
    /// What is allowed, in words.
    pub allowed: &'static str,
}

/// The configuration that fulfils `intent`. A lane without endpoints gets no traffic: the canary's share then goes to
/// production, production's share gets a 503.
///
/// # Errors
/// A value outside its allow-list: nothing of it is rendered.
pub fn render(settings: &Settings, intent: &Intent, generation: GenerationId) -> Result<Rendered, RenderError> {
    let _ = (settings, intent, generation);
    todo!()
}

/// The all-production twin of [`render`]'s result: same lanes, but the split draws production only. Its number is
/// `generation.twin()`. Pinned and forced requests still reach the canary.
///
/// # Errors
/// As [`render`].
pub fn twin(settings: &Settings, intent: &Intent, generation: GenerationId) -> Result<Rendered, RenderError> {
    let _ = (settings, intent, generation);
    todo!()
}
