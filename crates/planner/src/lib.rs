//! What to do next: (memory, world, now) → plan.
//!
//! Pure and total: no I/O, no clock, no `Result`. Two runs with equal input are byte-equal.

mod action;
mod capacity;
mod commands;
mod course;
mod crash;
mod crew;
mod deadline;
mod ensure;
mod evidence;
mod gateway_life;
mod host;
mod keep;
mod lanes;
mod maintenance;
mod manifest;
mod memory;
mod mishaps;
mod names;
mod paused;
mod phase;
mod plan;
mod progress;
mod promote;
mod questions;
mod rebuild;
mod recall;
mod release;
mod relief;
mod report;
mod residence;
mod sight;
mod standstill;
mod takeoff;
mod trial;
mod trouble;
mod turn;
mod unbegun;
mod unheard;
mod view;
mod wellness;
mod workers;
mod world;

pub use action::{Action, Answer, Command, Expected, SetGoal, Verb};
pub use course::Course;
pub use memory::Memory;
pub use plan::{Plan, plan};
pub use questions::settings_of;
pub use rebuild::{Rebuilt, Traces, rebuild};
pub use report::*;
pub use world::*;
