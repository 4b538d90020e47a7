//! What the numbers mean: evidence in, verdict out.
//!
//! Pure: no I/O, no clock, and `ln`, `exp` and the like from `libm`, so that equal input gives equal bits everywhere.
//! A [`Judge`] takes one second of [`Sample`]s after another and answers at any moment, as often as asked: what it promises
//! (at most `alpha` of the good versions reverted over the whole rollout, at most `beta` of the unacceptable ones given more
//! traffic) holds at every look and for any amount of data.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should panic"))]

mod bounds;
mod check;
mod clearance;
mod client;
mod evidence;
mod fast;
mod histogram;
mod judge;
mod p1;
mod question;
mod shares;
mod verdict;
mod warmup;
mod words;

pub use bounds::{lower_bound, upper_bound};
pub use clearance::needed_requests;
pub use judge::{Judge, Settings};
pub use question::{Arm, Bad, Question, Sample};
pub use verdict::{CheckReport, Clearance, HoldReason, LaneNumbers, LatencyNumbers, Verdict};
