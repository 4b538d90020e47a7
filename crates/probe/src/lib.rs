//! What is tried on a version: health, and the load generator.
//!
//! [`Reach`] is the one seam to an HTTP endpoint of a container. [`HealthState`] turns single answers into "starting",
//! "healthy" or "unhealthy"; [`watch_http`] feeds it. [`Load`] is an open-loop load generator that never retries and
//! only ever talks to this host. Nothing here decides what happens to a version.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

mod health;
mod load;
mod reach;
#[cfg(test)]
mod stage;
mod watch;

pub use health::{DockerHealth, Health, HealthSettings, HealthState, Look, from_docker, from_running};
pub use load::{
    Failure, Latencies, Load, LoadPlan, LoadRefused, LoadReport, Method, RequestKind, SecondOf, VERSION_HEADER,
    VersionCount,
};
pub use reach::{Answer, RELAY_HEADER, RELAYED_HEADER, Reach, ReachError};
pub use watch::{Target, watch_http};
