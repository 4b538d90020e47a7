//! How traffic is split: renders NGINX configuration and reads its access log lines.
//!
//! Pure: text in, text out. Every value that reaches a configuration was validated against an allow-list.

mod access;
pub mod container;
mod generation;
mod nginx;
mod render;
mod settings;
mod traffic;

pub use access::{AccessLine, Attempt, BadLine, JudgedAttempt, Outcome, Route, judge_attempts};
pub use generation::{BadGeneration, GenerationId};
pub use nginx::{BadVersion, NginxVersion, Promise};
pub use render::{RenderError, Rendered, render, twin};
pub use settings::{Settings, force_value};
pub use traffic::{Endpoint, Intent, Lane, Traffic};
