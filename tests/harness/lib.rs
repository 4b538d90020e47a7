//! Harness of the end-to-end tests: a daemon on a state directory of its own, manifests, images with faults, load, and
//! the observations that tests share. Everything it starts carries an instance of its own and is removed when it is
//! dropped.
#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on says so by a panic")]
#![allow(clippy::print_stdout, reason = "a measured figure is told to whoever runs the test")]

mod bench;
mod deaths;
mod disk;
mod docker;
pub mod document;
mod ending;
mod gateway;
mod host;
pub mod http;
mod images;
mod manifest;
mod own_engine;
mod proxy;
mod registry;
mod scene;
mod traffic;

pub use bench::{Bench, ByHand, FORCE, FORCE_TOKEN, OPS_TOKEN};
pub use deaths::Deaths;
pub use disk::SmallDisk;
pub use docker::{Container, compose, container_ids, containers, docker, inspect};
pub use gateway::{Drawn, Generation, assert_fair, weights};
pub use host::{Host, PATIENCE, canaryd, load, remove_leftovers};
pub use images::{NGINX, demo_image, demo_image_with, good_images};
pub use manifest::Manifest;
pub use own_engine::OwnEngine;
pub use proxy::{Change, EngineProxy, Moment, Mood};
pub use registry::Registry;
pub use scene::{RATE, Scene, free_port, promised};
pub use traffic::{Answers, Traffic};
