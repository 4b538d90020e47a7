//! `canaryd run`: the daemon makes a container for one command; this process starts it, sits beside it, passes signals on,
//! and leaves when it is gone.

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use canaryd_cockpit::{OneOffPage, OneOffRequest};
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::daemon;
use super::exec::named;
use crate::cli::args::{Common, InsideArgs};
use crate::cli::docker::{aside, at_a_terminal, is_there, no_docker, start};
use crate::cli::exit::{Exit, Failure};
use crate::cli::live::talk;

/// `canaryd run`.
pub(crate) async fn run(args: InsideArgs, common: &Common) -> Result<Exit, Failure> {
    named(&args.command)?;
    is_there()?;
    // From here on no signal ends this process before the container is gone.
    let signals = Signals::heard()?;
    let terminal = at_a_terminal();
    let (lane, component) = (args.lane.into(), args.component);
    let request = OneOffRequest { lane, component, command: args.command, terminal };
    let made = daemon(common).await?.one_off(&args.name, &request).await?;
    let attended = attend(&made, terminal, signals).await;
    // The engine removes it when it ends: this is for one that never began or does not end.
    aside(&made.engine, &["rm", "--force", "--volumes", &made.id]).await;
    attended
}

async fn attend(made: &OneOffPage, terminal: bool, mut signals: Signals) -> Result<Exit, Failure> {
    let mut child = attached(made, terminal)?;
    let mut patience: Option<Instant> = None;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(exit_of).map_err(|e| no_docker(&e)),
            name = signals.next() => {
                if patience.is_some() {
                    return leave(made, &mut child).await;
                }
                patience = Some(Instant::now() + Duration::from_secs_f64(made.grace.clamp(0.0, 86_400.0)));
                aside(&made.engine, &["kill", "--signal", name, &made.id]).await;
            }
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                return leave(made, &mut child).await;
            }
        }
    }
}

/// Docker beside the container. Without a terminal for the container, docker is out of reach of ours: at a Ctrl-C it would
/// leave before the command has ended. What is typed there comes to it through this process.
fn attached(made: &OneOffPage, terminal: bool) -> Result<Child, Failure> {
    let mut command = start(&made.engine, &made.id);
    if !terminal {
        command.process_group(0);
        if std::io::stdin().is_terminal() {
            command.stdin(Stdio::piped());
        }
    }
    let mut child = tokio::process::Command::from(command).spawn().map_err(|e| no_docker(&e))?;
    if let Some(keyboard) = child.stdin.take() {
        let mut keyboard = File::from(keyboard.into_owned_fd().map_err(|e| no_docker(&e))?);
        // A read of a terminal cannot be called off: it ends with the process.
        std::thread::spawn(move || std::io::copy(&mut std::io::stdin(), &mut keyboard));
    }
    Ok(child)
}

/// It was told, and does not end.
async fn leave(made: &OneOffPage, child: &mut Child) -> Result<Exit, Failure> {
    talk(&format!("{} does not end: it is killed\n", made.name));
    aside(&made.engine, &["rm", "--force", "--volumes", &made.id]).await;
    let Ok(status) = tokio::time::timeout(Duration::from_secs(5), child.wait()).await else {
        let failure = Failure::new(Exit::No, format!("{} could not be removed", made.name));
        return Err(failure.hint(format!("when Docker answers again: docker rm -f {}", made.name)));
    };
    status.map(exit_of).map_err(|e| no_docker(&e))
}

fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Exit::Theirs(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// What would end this process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn heard() -> Result<Self, Failure> {
        let hear = |kind| signal(kind).map_err(|e| Failure::new(Exit::No, format!("signals cannot be heard: {e}")));
        Ok(Self {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hangup: hear(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "INT",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_command_s_also_when_a_signal_ended_it() {
        assert_eq!(exit_of(ExitStatus::from_raw(7 << 8)), Exit::Theirs(7));
        assert_eq!(exit_of(ExitStatus::from_raw(9)), Exit::Theirs(137));
    }
}
