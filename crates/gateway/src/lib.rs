//! How traffic is split: renders NGINX configuration and reads its access log lines.
//!
//! Pure: text in, text out. Every value that reaches a configuration was validated against an allow-list.

mod traffic;

pub use traffic::{Endpoint, Intent, Lane, Traffic};
