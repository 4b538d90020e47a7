//! How a generation reaches NGINX: publish, swap, signal, ask the ops port.
//!
//! Knows files, symlinks and the ops port; knows nothing of Docker: what needs the container goes through [`Master`].
//! Lowering (`swap_to_twin`, then HUP) allocates no disk space and asks nobody.

mod link;
mod master;
mod ops;
mod shelf;

pub use link::{Link, LinkError, Live, OnDisk, Owner, Why};
pub use master::{Master, TestError};
pub use ops::{Ops, OpsError, RELAY_HEADER, StubStatus};
