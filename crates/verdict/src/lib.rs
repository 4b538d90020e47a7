//! What the numbers mean: evidence in, verdict out.
//!
//! Pure: no I/O, no clock, and `ln`, `exp` and the like from `libm`, so that equal input gives equal bits everywhere.

mod judge;
mod verdict;

pub use judge::{Arm, Bad, Judge, Question, Sample, Settings};
pub use verdict::{CheckReport, Clearance, HoldReason, LaneNumbers, LatencyNumbers, Verdict};
