//! The exit codes, and what is said when a command fails.

use std::path::Path;
use std::process::ExitCode;

use canaryd_cockpit::ClientError;
use canaryd_rollout::RolloutName;

use crate::paths::Surroundings;

/// Is the revision that was asked for in production?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Yes; or the command did what it says.
    Yes,
    /// No: reverted, aborted, superseded, undone, refused.
    No,
    /// Wrong usage or an invalid manifest.
    Usage,
    /// Not decided in time.
    Undecided,
    /// No daemon or no engine.
    NoDaemon,
    /// What a command said that was run inside a container.
    Theirs(u8),
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Undecided => 3,
            Self::NoDaemon => 4,
            Self::Theirs(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, in words for stderr, with its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("{}: {error}", path.display()))
    }

    /// Commands in the hint are about this rollout, ready to be copied.
    pub(crate) fn about(mut self, name: Option<&RolloutName>) -> Self {
        if let (Some(name), Some(hint)) = (name, &mut self.hint) {
            *hint = hint.replace(OFFLINE, &OFFLINE.replace("NAME", name.as_str()));
        }
        self
    }

    /// As it is printed.
    pub(crate) fn render(&self) -> String {
        // Diagnostics of a manifest that the daemon refused say so themselves.
        let head = if self.message.starts_with("error: ") { "" } else { "error: " };
        match &self.hint {
            Some(hint) => format!("{head}{}\n  hint: {hint}\n", self.message),
            None => format!("{head}{}\n", self.message),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoDaemon { socket, why } => match holder(&socket) {
                None => no_daemon(&socket, &why),
                Some(pid) => elsewhere(&socket, &why, pid),
            },
            ClientError::Silent { socket } => silent(&socket),
            ClientError::Forbidden { .. } | ClientError::Broken { .. } => Self::new(Exit::NoDaemon, error.to_string()),
            ClientError::Unread { .. } => Self::new(Exit::No, error.to_string()),
            ClientError::Refused { status, refusal } => {
                let exit = if matches!(status, 400 | 404 | 422) { Exit::Usage } else { Exit::No };
                Self { exit, message: refusal.error, hint: refusal.hint }
            }
        }
    }
}

fn no_daemon(socket: &Path, why: &str) -> Failure {
    let message = format!(
        "the daemon does not run: {why} ({})\n\
         \x20 what it started serves as before; nothing is watched, promoted or taken off until it runs again",
        socket.display()
    );
    Failure::new(Exit::NoDaemon, message).hint(format!(
        "start it with systemctl start canaryd, or: canaryd --watch DIR\n\
         \x20       a version on trial gets no more requests after: {OFFLINE}\n\
         \x20       what is wrong on this host: canaryd doctor",
    ))
}

/// Which process has the state that usually goes with this socket.
fn holder(socket: &Path) -> Option<u32> {
    canaryd_journal::holder(&Surroundings::find().usual_state(socket)?)
}

/// It runs, and is not where it was looked for.
fn elsewhere(socket: &Path, why: &str, pid: u32) -> Failure {
    let message = format!(
        "nobody answers at {}: {why}\n\
         \x20 process {pid} has its state directory: a daemon that has another socket, or starts or stops",
        socket.display()
    );
    Failure::new(Exit::NoDaemon, message).hint(format!(
        "tr '\\0' ' ' < /proc/{pid}/cmdline shows its --socket: say it here as well\n\
         \x20       what is wrong on this host: canaryd doctor",
    ))
}

/// It is there, and hangs: what its containers do does not depend on it, what decides about them does.
fn silent(socket: &Path) -> Failure {
    let message = format!(
        "the daemon at {} does not answer\n\
         \x20 what runs serves as before, and its gateway goes on to production where a version on trial fails to connect;\n\
         \x20 until the daemon answers nothing is promoted or taken off; a command that was sent may still be carried out",
        socket.display()
    );
    Failure::new(Exit::NoDaemon, message).hint(format!(
        "how it is: systemctl status canaryd, or: canaryd doctor\n\
         \x20       a version on trial gets no more requests after: {OFFLINE}",
    ))
}

/// What lowers without a daemon; of which rollout is known later.
const OFFLINE: &str = "canaryd rollback NAME --offline";

#[cfg(test)]
mod tests {
    use canaryd_cockpit::Refusal;

    use super::*;

    #[test]
    fn the_exit_codes_are_the_documented_ones() {
        let all = [Exit::Yes, Exit::No, Exit::Usage, Exit::Undecided, Exit::NoDaemon];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn without_a_daemon_it_says_that_production_serves_and_how_to_start_it() {
        let failure = Failure::from(ClientError::NoDaemon { socket: "/no/x.sock".into(), why: "no socket".into() });
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert!(failure.render().contains("serves as before") && failure.render().contains("canaryd --watch"));
        assert!(failure.render().contains("canaryd rollback NAME --offline"));
        let named = failure.about(Some(&"shop".parse().unwrap())).render();
        assert!(named.contains("canaryd rollback shop --offline") && !named.contains("NAME"), "{named}");
    }

    #[test]
    fn a_daemon_that_listens_elsewhere_is_not_to_be_started_once_more() {
        let said = elsewhere(Path::new("/run/x.sock"), "there is no such socket", 77).render();
        assert!(said.contains("process 77") && said.contains("/proc/77/cmdline"), "{said}");
        assert!(said.contains("/run/x.sock") && !said.contains("start it"), "{said}");
    }

    #[test]
    fn of_a_daemon_that_hangs_it_says_what_protects_users_and_the_way_on() {
        let failure = Failure::from(ClientError::Silent { socket: "/run/x.sock".into() });
        let named = failure.about(Some(&"shop".parse().unwrap())).render();
        assert!(named.starts_with("error: the daemon at /run/x.sock does not answer\n"), "{named}");
        assert!(named.contains("serves as before") && named.contains("systemctl status canaryd"), "{named}");
        assert!(named.contains("canaryd rollback shop --offline"), "{named}");
    }

    #[test]
    fn a_diagnostic_is_not_called_an_error_twice() {
        let refusal = Refusal { error: "error: unknown field prot in spec.app".into(), hint: None };
        let failure = Failure::from(ClientError::Refused { status: 422, refusal });
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.render(), "error: unknown field prot in spec.app\n");
    }

    #[test]
    fn an_unknown_name_is_wrong_usage_and_keeps_the_hint() {
        let refusal = Refusal { error: "there is no rollout".into(), hint: Some("rollouts here: shop".into()) };
        let failure = Failure::from(ClientError::Refused { status: 404, refusal });
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.render(), "error: there is no rollout\n  hint: rollouts here: shop\n");
    }
}
