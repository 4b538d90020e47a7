//! Where manifests come from: a watched directory.
//!
//! An event of the file system is only a wake-up: whoever is woken lists everything again and compares. So a
//! half-written file, a lost event or a doubled one can do no harm. This crate reads files; it parses none.

mod directory;
mod glance;
mod identity;
mod listing;
mod look;
mod names;
mod news;
mod quiet;
mod scope;
mod silent;
mod trace;
mod wakes;
mod watch;

pub use directory::DirectorySource;
pub use glance::{Glance, glance};
pub use listing::{DirState, Listing, Trouble};
