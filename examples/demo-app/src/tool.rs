//! `demo-app do …`: what a shell would be used for, in an image that has no other program.

use std::io::{IsTerminal, Read, Write as _};
use std::process::ExitCode;

/// Does what the words say; another exit code than 0 means that it could not.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["env", name] => std::env::var(*name).map_or(ExitCode::FAILURE, |value| said(&value)),
        ["cat"] => copied(&mut std::io::stdin().lock()),
        ["cat", file] => std::fs::File::open(file).map_or(ExitCode::FAILURE, |mut file| copied(&mut file)),
        ["terminal"] => said(if std::io::stdin().is_terminal() { "a terminal" } else { "no terminal" }),
        ["exit", code] => code.parse::<u8>().map_or(ExitCode::from(2), ExitCode::from),
        _ => {
            eprintln!("demo-app do: env NAME | cat [FILE] | terminal | exit CODE");
            ExitCode::from(2)
        }
    }
}

fn said(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn copied(from: &mut impl Read) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let copied = std::io::copy(from, &mut out).and_then(|_| out.flush());
    if copied.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
