//! Harness of the end-to-end tests: a daemon on a state directory of its own, manifests, images with faults, load, and
//! the observations that tests share. Everything it starts carries an instance of its own and is removed when it is
//! dropped.
#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on says so by a panic")]

mod docker;
mod host;
pub mod http;
mod images;
mod manifest;

pub use docker::{container_ids, docker, inspect};
pub use host::{Host, PATIENCE, load};
pub use images::{NGINX, demo_image};
pub use manifest::Manifest;
