//! Docker's own command line, for what is done at a terminal inside a container: raw mode, window sizes and signals are
//! its trade. It is told which engine is meant, whatever its environment says.

use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::exit::{Exit, Failure};

/// Keys that nobody types: a session is never left behind by accident.
const DETACH_KEYS: &str = "ctrl-@,ctrl-@,ctrl-@";

/// How long docker may take for a word to a container.
const ASIDE: Duration = Duration::from_secs(15);

/// `docker` on this engine.
pub(crate) fn docker(engine: &str) -> Command {
    let mut command = Command::new("docker");
    command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").args(["--host", engine]);
    command
}

/// Whether somebody sits at it: both keyboard and screen are a terminal.
pub(crate) fn at_a_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// `docker exec`, ready to take the place of this process.
pub(crate) fn exec(engine: &str, container: &str, terminal: bool, command: &[String]) -> Command {
    let mut docker = docker(engine);
    docker.args(["exec", "--detach-keys", DETACH_KEYS, "--interactive"]);
    docker.args(terminal.then_some("--tty")).arg(container).args(command);
    docker
}

/// `docker start`, attached: it ends with the container, and with its exit code.
pub(crate) fn start(engine: &str, container: &str) -> Command {
    let mut docker = docker(engine);
    docker.args(["start", "--attach", "--interactive", "--detach-keys", DETACH_KEYS, container]);
    docker
}

/// Runs docker beside whatever goes on, out of reach of the terminal's keys, and in silence; whether it did it.
pub(crate) async fn aside(engine: &str, args: &[&str]) -> bool {
    let mut docker = docker(engine);
    docker.args(args).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut docker = tokio::process::Command::from(docker);
    let ended = tokio::time::timeout(ASIDE, docker.kill_on_drop(true).status()).await;
    ended.is_ok_and(|ended| ended.is_ok_and(|status| status.success()))
}

/// Whether Docker's command line is there, before anything is asked for that needs it.
pub(crate) fn is_there() -> Result<(), Failure> {
    let asked = Command::new("docker").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    asked.map(drop).map_err(|e| no_docker(&e))
}

/// Gives this process to the command. Comes back only when that cannot be started.
pub(crate) fn become_it(mut command: Command) -> Failure {
    no_docker(&command.exec())
}

/// Docker's command line cannot be started.
pub(crate) fn no_docker(error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::NoDaemon, format!("docker cannot be started: {error}"));
    if error.kind() == ErrorKind::NotFound {
        return failure.hint("this needs Docker's command line: install docker-cli (Debian), or put it in the PATH");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_command_reaches_docker_word_by_word_after_the_container_and_for_the_daemon_s_engine() {
        let asked = ["sh".to_owned(), "-c".to_owned(), "echo $HOME; --tty".to_owned()];
        let command = exec("unix:///run/x.sock", "0123", false, &asked);
        let words = words(&command);
        assert_eq!(words[..3], ["--host", "unix:///run/x.sock", "exec"]);
        assert!(!words[..words.len() - 3].contains(&"--tty".to_owned()), "{words:?}");
        assert_eq!(words[words.len() - 4..], ["0123", "sh", "-c", "echo $HOME; --tty"]);
        let envs: Vec<_> = command.get_envs().map(|(name, value)| (name.to_owned(), value)).collect();
        assert!(envs.contains(&("DOCKER_HOST".into(), None)) && envs.contains(&("DOCKER_CONTEXT".into(), None)));
    }

    #[test]
    fn a_terminal_is_asked_for_where_there_is_one() {
        assert!(words(&exec("unix:///x", "0123", true, &["sh".to_owned()])).contains(&"--tty".to_owned()));
    }
}
