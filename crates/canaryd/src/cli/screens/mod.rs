//! What people see: each screen is a pure function of what the daemon said.

mod check;
mod doctor;
mod ending;
mod event;
mod explain;
mod first;
mod follow;
mod plan;
mod status;

pub(crate) use doctor::{render_doctor, render_findings};
pub(crate) use ending::render_ending;
pub(crate) use event::render_event;
pub(crate) use explain::render_explain;
#[cfg(test)]
pub(crate) use first::EIGHT_LINES;
pub(crate) use follow::render_follow;
pub(crate) use plan::render_plan;
pub(crate) use status::render_status;
