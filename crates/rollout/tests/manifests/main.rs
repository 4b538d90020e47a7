//! Whole manifests through the public door of the crate: what is accepted, what is said about the rest, and what never happens.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::disallowed_methods, reason = "tests read the manifests that lie beside them")]

mod common;
mod examples;
mod limits;
mod needs;
mod private;
mod revisions;
mod rivals;
mod versions;
mod wrong;
