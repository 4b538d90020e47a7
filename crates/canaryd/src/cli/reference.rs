//! What is committed because people read it without the binary: the reference of the command line and the completions.
//! These tests say whether they are what the binary says; with `UPDATE_DOCS=1` they write them.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use super::args::Cli;

const HEAD: &str = "\
# The command line

<!-- Made from `canaryd --help` by crates/canaryd/src/cli/reference.rs: UPDATE_DOCS=1 cargo test -p canaryd reference -->

All commands but `doctor`, `journal`, `validate`, `schema`, `completions`, `version`, `demo` and `rollback --offline` ask a running
daemon over its socket. The common options (`--socket`, `--ascii`, `--no-color`) are understood by every command and are listed once, at
the top. Data goes to stdout, talk to stderr. What a command that changes something did is kept in `canaryd events`, with
the name of the user who asked. While the journal cannot be written, `abort`, `rollback` and `traffic` to less are done and say
that they are not recorded; every other command that changes something is refused, with exit code 1. A daemon in safe mode answers
`status`; `abort` and `rollback` say what became of the canary; everything else is refused with the way out, with exit code 1.

";

/// The page `docs/commands.md`.
fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut text = format!("{HEAD}## `canaryd`\n\n```text\n{}\n```\n", cli.render_help().to_string().trim_end());
    for command in cli.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
        let name = command.get_name().to_owned();
        text.push_str(&section(command, &name));
        for part in command.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
            let name = format!("{name} {}", part.get_name());
            text.push_str(&section(part, &name));
        }
    }
    text
}

/// One command.
fn section(command: &mut Command, name: &str) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut text = format!("\n## `canaryd {name}`\n\n{about}.\n\n```text\n{usage}\n```\n");
    let rows: Vec<String> = command.get_arguments().filter(|a| is_its_own(a)).map(row).collect();
    if !rows.is_empty() {
        let _ = writeln!(text, "\n| argument | meaning |\n|---|---|\n{}", rows.join("\n"));
    }
    if let Some(example) = command.get_after_help() {
        let _ = writeln!(text, "\n```text\n{example}\n```");
    }
    text
}

/// Neither common to all commands nor help.
fn is_its_own(argument: &Arg) -> bool {
    !argument.is_global_set() && !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn row(argument: &Arg) -> String {
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = argument.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
    if argument.get_action().takes_values() && !values.is_empty() {
        let _ = write!(meaning, ": {}", values.join(", "));
    }
    for default in argument.get_default_values().iter().filter(|_| argument.get_action().takes_values()) {
        let _ = write!(meaning, " (default `{}`)", default.to_string_lossy());
    }
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    format!("| `{short}{}` | {} |", argument.to_string().replace('|', "\\|"), meaning.replace('|', "\\|"))
}

/// Compares a committed file with what it should be; writes it when asked to.
fn is_committed(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "{} is not up to date: run this test with UPDATE_DOCS=1", path.display());
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "canaryd", &mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_reference_of_the_command_line_is_the_committed_one() {
    is_committed("docs/commands.md", &page());
}

#[test]
fn the_completions_are_the_committed_ones() {
    for (shell, file) in [(Shell::Bash, "canaryd.bash"), (Shell::Zsh, "_canaryd"), (Shell::Fish, "canaryd.fish")] {
        is_committed(&format!("completions/{file}"), &completions(shell));
    }
}
