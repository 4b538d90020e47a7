//! What is remembered: SQLite.
//!
//! The journal knows no planner types: it stores text (JSON) under names, and says when that text is safe. A plan is
//! on disk before any of its actions runs; what one second taught is one transaction, so that kill -9 counts nothing
//! twice. It must never panic on a file that it did not write, never delete what it cannot read, and never let two
//! daemons share one state directory.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod copy;
mod error;
mod examine;
mod housekeeping;
mod instance;
mod journal;
mod lock;
mod rebuild;
mod recall;
mod record;
mod schema;
mod store;

pub use copy::copy;
pub use error::JournalError;
pub use examine::{Examined, Soundness, examine, holder};
pub use housekeeping::Swept;
pub use journal::{Journal, Opened};
pub use rebuild::{Hold, Remade};
pub use record::{Event, EventFilter, NewEvent, TickBatch, TickRow};
