//! The command line by its real binary: what each command does, refuses and says, and that it is done also when the daemon
//! dies right after.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stderr, reason = "a test that needs root says that it was skipped")]

mod alone;
mod doctor;
mod dry;
mod ejecting;
mod inside;
mod keys;
mod looking;
mod one_off;
mod setting;
mod survival;
mod unwell;
mod unwritable;
mod verbs;
mod waiting;

use canaryd_e2e::Host;
use serde_json::Value;

/// Runs a command that must be accepted; what it says.
async fn yes(host: &Host, args: &[&str]) -> String {
    let (code, out, err) = host.cli(args).await;
    assert_eq!(code, 0, "canaryd {args:?}: {out}{err}\n{}", host.log());
    assert!(!out.contains('\u{1b}'), "escape codes in a pipe: {out:?}");
    out
}

/// Runs a command that must be refused with this code; what it says on stderr.
async fn no(host: &Host, code: i32, args: &[&str]) -> String {
    let (found, out, err) = host.cli(args).await;
    assert_eq!(found, code, "canaryd {args:?}: {out}{err}\n{}", host.log());
    assert!(!err.is_empty() && !err.contains('\u{1b}') && !err.contains("panicked"), "canaryd {args:?}: {err:?}");
    err
}

/// Runs a command with `--output json`; its value.
async fn json(host: &Host, args: &[&str]) -> Value {
    let (_, out, err) = host.cli(&[args, &["--output", "json"]].concat()).await;
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("canaryd {args:?}: {e}: {out}{err}"))
}
