//! What to do next: (memory, world, now) → plan.
//!
//! Pure and total: no I/O, no clock, no `Result`. Two runs with equal input are byte-equal.

mod action;
mod memory;
mod plan;
mod report;
mod world;

pub use action::{Action, Answer, Command, Expected, SetGoal, Verb};
pub use memory::Memory;
pub use plan::{Plan, plan};
pub use report::*;
pub use world::*;
