//! Harness of the end-to-end tests: a daemon on a state directory of its own, manifests, images with faults, load, and
//! the observations that tests share. Everything it starts carries an instance of its own and is removed when it is
//! dropped.
#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on says so by a panic")]

mod docker;
mod gateway;
mod host;
pub mod http;
mod images;
mod manifest;
mod traffic;

pub use docker::{Container, container_ids, containers, docker, inspect};
pub use gateway::{Drawn, Generation, assert_fair, weights};
pub use host::{Host, PATIENCE, load};
pub use images::{NGINX, demo_image, good_images};
pub use manifest::Manifest;
pub use traffic::{Answers, Traffic};
