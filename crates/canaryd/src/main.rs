//! The canaryd daemon and command line.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say where"))]

mod cli;
mod daemon;
mod demo;
mod doctor;
mod offline;
mod paths;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
