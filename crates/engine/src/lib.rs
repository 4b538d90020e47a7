//! How sets of containers run: one trait, Docker now.
//!
//! [`Engine`] speaks of sets and of one gateway container per rollout. Addresses, networks and container names are
//! private to the implementation. This is the only crate that knows bollard, and [`DockerEngine`] is the only place in
//! it that talks to a Docker daemon. It never touches a container of another instance, and never reads a lane from a
//! label.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod checkup;
mod docker;
mod endpoint;
mod engine;
mod error;
mod gateway;
mod image;
mod observation;
mod output;
mod plan;

pub use checkup::{Checkup, GatewayCheck, NetworkCheck};
pub use docker::{DockerEngine, DockerOptions, Subnet, host_memory};
pub use endpoint::{Endpoint, EndpointAddress, local_endpoint};
pub use engine::{Engine, EngineInfo, Removed};
pub use error::{EngineError, Fault, Result};
pub use gateway::{Bind, GatewayContainer, GatewayPlan, PublishedPort, Signal};
pub use image::Image;
pub use observation::{
    DockerHealth, EngineEvent, EventKind, ExitCause, Observation, ObservedContainer, ObservedExit, ObservedGateway,
    RunState, Unseen,
};
pub use output::{ExecResult, LogLine, LogOptions};
pub use plan::{OneOff, OneOffPlan, SetPlan};
