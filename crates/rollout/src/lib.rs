//! What the user writes: Rollout kinds, defaults, validation, diagnostics and the JSON Schema.
//!
//! Pure: no I/O, no clock. `parse` turns text into a `Draft` that says what it needs; `resolve` turns the draft and
//! those inputs into a [`Rollout`], whose types cannot be wrong.

mod ids;
mod spec;

pub use ids::{BadName, ComponentName, RevisionId, RolloutName, SetId, Weight};
pub use spec::*;
