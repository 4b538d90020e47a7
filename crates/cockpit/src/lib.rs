//! What people see and press: the HTTP API on the socket.

mod control;
mod page;

pub use control::Control;
pub use page::{
    CommandRequest, EventLine, Followed, LogQuery, LogText, PlanChange, PlanMemory, PlanPage, PlanRequest, PlanStep,
    Refusal, StageForecast, StatusPage,
};
