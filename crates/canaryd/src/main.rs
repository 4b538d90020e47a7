//! The canaryd daemon and command line.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod cli;
mod daemon;
mod demo;
mod doctor;
mod offline;
mod paths;

use std::process::ExitCode;

/// A look at a thousand containers allocates tens of megabytes for a moment. glibc's allocator keeps what is given back, in an
/// arena for each thread: more than twice as much memory, and half as much processor time again (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
