//! What people see and press: the HTTP API on the socket.
//!
//! The server knows the daemon only as a [`Control`]; the client knows the server only by its answers. Neither decides
//! anything.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod client;
mod control;
mod follow;
mod forecast;
mod inside;
mod page;
mod server;
mod socket;

pub use client::{Client, ClientError};
pub use control::Control;
pub use forecast::plan_table;
pub use inside::{ContainerView, ContainersPage, EjectPage, OneOffPage, OneOffRequest};
pub use page::{
    CommandRequest, EventLine, Followed, KeptPage, LaneHeader, LogLine, LogQuery, LogText, Logged, PageRequest,
    PlanChange, PlanConnections, PlanMemory, PlanPage, PlanReplacement, PlanRequest, PlanStep, Refusal, SafeMode,
    StageForecast, StatusPage,
};
pub use server::serve;
pub use socket::{BindError, Socket, bind};

/// An id that nobody else has: 32 hexadecimal digits from the randomness that std seeds its hash maps with.
#[must_use]
pub fn fresh_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let half = |salt: u64| RandomState::new().hash_one((salt, jiff::Timestamp::now().as_nanosecond()));
    format!("{:016x}{:016x}", half(1), half(2))
}
