//! What the user writes: Rollout kinds, defaults, validation, diagnostics and the JSON Schema.
//!
//! Pure: no I/O, no clock. [`parse`] turns text into a [`Draft`] that says what it needs; [`resolve`] turns the draft and
//! those inputs into a [`Rollout`], whose types cannot be wrong.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that unwraps nothing fails, as it should"))]

mod compose;
mod decode;
mod diagnostic;
mod diff;
pub mod directives;
mod draft;
mod envfile;
mod facts;
mod fields;
pub mod fmt;
mod foreign;
mod ids;
mod image;
mod interpolate;
mod memory;
mod node;
mod private;
mod quantity;
mod resolve;
mod revision;
mod rivals;
mod schema;
mod scope;
mod set_version;
mod shape;
mod shapes;
mod spec;
mod suggest;
mod syntax;
mod tree;
mod walk;

pub use compose::{EjectStep, Ejection, Running, RunningComponent, eject};
pub use diagnostic::{Diagnostic, Severity, Snippet};
pub use diff::{Change, Class, diff};
pub use draft::{Broken, Draft, Needs, Parsed, SourceText, parse};
pub use ids::{BadName, ComponentName, RevisionId, RolloutName, SetId, Weight};
pub use image::{ImageReference, image_reference};
pub use memory::peak_memory;
pub use resolve::{Inputs, Resolved, resolve};
pub use revision::{FORMAT, known_formats, revision_in};
pub use rivals::{contested, rivals};
pub use schema::schema;
pub use set_version::{SetVersionError, set_version};
pub use spec::*;
pub use suggest::nearest;

#[cfg(test)]
mod manifest_tests;

#[cfg(test)]
mod agreement_tests;
