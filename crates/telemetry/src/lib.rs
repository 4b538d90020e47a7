//! Where evidence comes from: the gateway's JSON access log.
//!
//! [`Tail`] reads lines and never loses one to a restart or a rotation; [`evidence()`] says which attempt is whose;
//! [`Tick`] is the record of one second; [`Rate`] and [`LossDetector`] say how much there is and whether it is all.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod evidence;
mod file;
mod hash;
mod loss;
mod rate;
mod rotation;
mod seconds;
mod tail;
mod tick;
mod wake;

pub use evidence::{Attempt, Owner, evidence};
pub use file::Place;
pub use loss::{LossDetector, Seen, Silence};
pub use rate::Rate;
pub use rotation::Rotation;
pub use seconds::Seconds;
pub use tail::{Batch, Tail, TailError, TailState};
pub use tick::{Counts, ModeCounts, Tick, bin_of, upper_edge_of};
