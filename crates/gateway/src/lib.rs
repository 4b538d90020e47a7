//! How traffic is split: renders NGINX configuration and reads its access log lines.
//!
//! Pure: text in, text out. Every value that reaches a configuration was validated against an allow-list.

mod access;
mod allow;
pub mod container;
mod generation;
mod judged;
mod lanes;
mod maintenance;
mod nginx;
mod page;
mod people;
mod render;
mod settings;
mod template;
mod traffic;

pub use access::{AccessLine, Attempt, BadLine, Route};
pub use generation::{BadGeneration, GenerationId};
pub use judged::{JudgedAttempt, Outcome, judge_attempts};
pub use nginx::{BadVersion, NginxVersion, Promise};
pub use page::{BadPage, BadPageId, LARGEST_PAGE, Page, PageId, PageKind};
pub use render::{RenderError, Rendered, render, twin};
pub use settings::{Settings, force_value};
pub use traffic::{Endpoint, Intent, Lane, Traffic};
