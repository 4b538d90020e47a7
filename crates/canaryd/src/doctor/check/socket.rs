//! The daemon and its socket.

use canaryd_rollout::RolloutName;

use super::super::Finding;
use super::super::facts::{Answer, Facts, Journal, Page};
use crate::cli::date;

/// Whether a daemon runs, and which.
pub(super) fn daemon(facts: &Facts) -> Finding {
    let holder = facts.state.as_ref().and_then(|s| s.holder.as_ref());
    match (&facts.socket.answer, holder) {
        (Answer::Page(page), _) => running(facts, page),
        (Answer::Forbidden, _) => Finding::wrong("daemon", format!("its socket {} is not open to you", place(facts)))
            .means("this user can neither see nor command it")
            .mend("use sudo; or: sudo usermod -aG canaryd $USER, log in again, sudo systemctl restart canaryd"),
        (Answer::Odd(why), _) => {
            Finding::wrong("daemon", format!("something listens on {} and gives no status: {why}", place(facts)))
                .means("commands will hang or fail; production serves as before")
                .mend("journalctl -u canaryd -n 50; then sudo systemctl restart canaryd")
        }
        (Answer::Nobody(_), Some(process)) => Finding::wrong(
            "daemon",
            format!("process {} holds the state directory, but nobody answers on {}", process.pid, place(facts)),
        )
        .means("the daemon has another socket, or is starting or stopping")
        .mend(format!("tr '\\0' ' ' < /proc/{}/cmdline shows its --socket: say it here as well", process.pid)),
        (Answer::Nobody(why), None) => absent(facts, why),
    }
}

fn running(facts: &Facts, page: &Page) -> Finding {
    let said = format!("runs since {}, version {}", date(page.since), page.version);
    if let Some((sentence, way_out)) = &page.safe_mode {
        return Finding::wrong("daemon", sentence).means("it answers nothing but its status").mend(way_out);
    }
    if page.version != facts.version {
        return Finding::warning("daemon", format!("{said}; this command line is {}", facts.version))
            .means("an upgrade is not in force yet, or two versions are installed")
            .mend("sudo systemctl restart canaryd");
    }
    if page.dry_run {
        return Finding::warning("daemon", format!("{said}, with --dry-run"))
            .means("it changes nothing: no version is promoted or taken off")
            .mend("start it without --dry-run");
    }
    let several = |n: usize, what| crate::cli::several(n as u64, what);
    if page.errors > 0 {
        return Finding::warning("daemon", format!("{said}; it tells of {}", several(page.errors, "mistake")))
            .means("a manifest with a mistake is ignored; what it said before stays in force")
            .mend("canaryd status shows each with its place");
    }
    if page.warnings > 0 {
        return Finding::warning("daemon", format!("{said}; it has {}", several(page.warnings, "warning")))
            .means("the manifests are in force all the same")
            .mend("canaryd status shows each with its place");
    }
    Finding::ok("daemon", format!("{said}, {}", crate::cli::several(page.rollouts as u64, "rollout")))
}

/// Nobody watches what an earlier run started: that is wrong. On a fresh host it is not.
fn absent(facts: &Facts, why: &str) -> Finding {
    let remembered = match facts.state.as_ref().map(|s| &s.journal) {
        Some(Journal::Found(found)) => found.memories.len(),
        Some(Journal::Missing(_) | Journal::Damaged(_) | Journal::Unread(_)) | None => 0,
    };
    let said = format!("does not run: {why} ({})", place(facts));
    let mend = "sudo systemctl start canaryd; or: canaryd --watch DIR";
    if remembered == 0 {
        return Finding::warning("daemon", said).means("nothing is watched").mend(mend);
    }
    let rollouts = crate::cli::several(remembered as u64, "rollout");
    Finding::wrong("daemon", said)
        .means(format!("what it started ({rollouts}) serves as before; nothing is watched, promoted or taken off"))
        .mend(mend)
}

/// The socket file.
pub(super) fn file(facts: &Facts) -> Option<Finding> {
    let file = facts.socket.file.as_ref()?;
    let path = place(facts);
    if !file.is_socket {
        let found = Finding::wrong("socket", format!("{path} exists and is not a socket"));
        return Some(
            found.means("the daemon will not start: it replaces no file of others").mend("choose another --socket"),
        );
    }
    let state_owner = facts.state.as_ref().and_then(|s| s.dir.as_ref());
    let said = format!("{path} is for {}, mode {:04o}", who(&file.owner, &file.group, file.mode), file.mode);
    if let Some(dir) = state_owner.filter(|dir| dir.uid != file.uid) {
        let found =
            Finding::wrong("socket", format!("{path} belongs to {}, the state directory to {}", file.owner, dir.owner));
        return Some(
            found
                .means("somebody else's process could answer in the daemon's name, and the daemon's own people may be kept out")
                .mend(format!("sudo chown {} {path}, or restart the daemon", dir.owner)),
        );
    }
    if file.mode & 0o007 != 0 {
        let found = Finding::wrong("socket", format!("{path} is open to everybody (mode {:04o})", file.mode));
        return Some(
            found.means("every user of this host can release and delete").mend(format!("sudo chmod 660 {path}")),
        );
    }
    let holder = facts.state.as_ref().and_then(|s| s.holder.as_ref());
    match (&facts.socket.answer, holder) {
        (Answer::Nobody(_), None) => {
            let found = Finding::warning("socket", format!("{path} was left behind: nobody listens on it"));
            Some(found.means("a daemon was killed; the next start replaces it"))
        }
        (Answer::Nobody(_), Some(process)) => {
            let found = Finding::warning("socket", format!("{path} was left behind: nobody listens on it"));
            Some(found.means(format!("the daemon that runs, process {}, listens elsewhere", process.pid)))
        }
        (Answer::Page(_) | Answer::Forbidden | Answer::Odd(_), _) => Some(Finding::ok("socket", said)),
    }
}

/// What has a daemon see to something: one that runs is asked, one that hangs is started anew.
pub(super) fn rouse(facts: &Facts, name: &RolloutName) -> String {
    let holder = facts.state.as_ref().and_then(|s| s.holder.as_ref());
    match (&facts.socket.answer, holder) {
        (Answer::Page(_), _) => format!("canaryd status {name}"),
        (Answer::Forbidden, _) => format!("sudo canaryd status {name}"),
        (Answer::Odd(_), _) => "sudo systemctl restart canaryd".to_owned(),
        (Answer::Nobody(_), Some(process)) => {
            format!("canaryd status {name} --socket PATH, of the daemon that is process {}", process.pid)
        }
        (Answer::Nobody(_), None) => "sudo systemctl start canaryd".to_owned(),
    }
}

fn who(owner: &str, group: &str, mode: u32) -> String {
    if mode & 0o060 == 0o060 { format!("{owner} and the group {group}") } else { owner.to_owned() }
}

fn place(facts: &Facts) -> String {
    facts.socket.path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::super::sample::{found, only, spoiled};
    use super::*;

    fn page_of(facts: &mut Facts) -> &mut Page {
        match &mut facts.socket.answer {
            Answer::Page(page) => page,
            Answer::Nobody(_) | Answer::Forbidden | Answer::Odd(_) => panic!("it runs"),
        }
    }

    #[test]
    fn another_version_a_dry_run_and_ignored_manifests_are_warnings() {
        let other = spoiled(|f| page_of(f).version = "0.0.9".into());
        only(&other, "daemon", Level::Warning, &["version 0.0.9", "this command line is 0.1.0", "restart"]);
        let safe = ("safe mode: the journal cannot be used".to_owned(), "canaryd journal rebuild".to_owned());
        let safe = spoiled(|f| page_of(f).safe_mode = Some(safe.clone()));
        only(&safe, "daemon", Level::Wrong, &["safe mode", "nothing but its status", "canaryd journal rebuild"]);
        only(&spoiled(|f| page_of(f).dry_run = true), "daemon", Level::Warning, &["--dry-run", "changes nothing"]);
        let mistakes = spoiled(|f| page_of(f).errors = 2);
        only(&mistakes, "daemon", Level::Warning, &["it tells of 2 mistakes", "is ignored", "canaryd status"]);
        let warnings = spoiled(|f| page_of(f).warnings = 1);
        only(&warnings, "daemon", Level::Warning, &["it has 1 warning", "in force all the same", "canaryd status"]);
    }

    #[test]
    fn a_daemon_that_does_not_run_is_wrong_where_there_are_rollouts_and_a_warning_on_a_fresh_host() {
        let absent = |f: &mut Facts| {
            f.socket.answer = Answer::Nobody("there is no such socket".into());
            f.socket.file = None;
            f.state.as_mut().unwrap().holder = None;
        };
        only(
            &spoiled(absent),
            "daemon",
            Level::Wrong,
            &["does not run", "(1 rollout) serves", "systemctl start canaryd"],
        );
        let fresh = spoiled(|f| {
            absent(f);
            f.state.as_mut().unwrap().journal = Journal::Missing(None);
        });
        found(&fresh, "daemon", Level::Warning, &["does not run", "canaryd --watch DIR"]);
    }

    #[test]
    fn a_daemon_that_may_not_be_asked_or_gives_no_answer_or_listens_elsewhere_is_wrong() {
        only(
            &spoiled(|f| f.socket.answer = Answer::Forbidden),
            "daemon",
            Level::Wrong,
            &["not open to you", "usermod -aG canaryd"],
        );
        only(
            &spoiled(|f| f.socket.answer = Answer::Odd("no answer".into())),
            "daemon",
            Level::Wrong,
            &["no answer", "journalctl"],
        );
        let elsewhere = spoiled(|f| {
            f.socket.answer = Answer::Nobody("there is no such socket".into());
            f.socket.file = None;
        });
        only(&elsewhere, "daemon", Level::Wrong, &["process 77 holds", "/proc/77/cmdline"]);
    }

    #[test]
    fn a_socket_of_another_owner_open_to_all_left_behind_or_no_socket_is_told() {
        let owner = spoiled(|f| {
            let file = f.socket.file.as_mut().unwrap();
            (file.uid, file.owner) = (1000, "mina".into());
        });
        only(&owner, "socket", Level::Wrong, &["belongs to mina, the state directory to root", "chown root"]);
        only(
            &spoiled(|f| f.socket.file.as_mut().unwrap().mode = 0o666),
            "socket",
            Level::Wrong,
            &["0666", "chmod 660"],
        );
        only(
            &spoiled(|f| f.socket.file.as_mut().unwrap().is_socket = false),
            "socket",
            Level::Wrong,
            &["not a socket"],
        );
        let stale = |f: &mut Facts| f.socket.answer = Answer::Nobody("nobody listens on it any more".into());
        found(&spoiled(stale), "socket", Level::Warning, &["left behind", "process 77, listens elsewhere"]);
        let dead = spoiled(|f| {
            stale(f);
            f.state.as_mut().unwrap().holder = None;
        });
        found(&dead, "socket", Level::Warning, &["left behind", "next start replaces it"]);
    }

    #[test]
    fn a_daemon_that_runs_is_never_to_be_started() {
        let roused = |answer: Answer, runs: bool| {
            let mut facts = super::super::sample::healthy();
            facts.socket.answer = answer;
            if !runs {
                facts.state.as_mut().unwrap().holder = None;
            }
            rouse(&facts, &"shop".parse().unwrap())
        };
        let nobody = || Answer::Nobody("there is no such socket".into());
        assert_eq!(roused(nobody(), false), "sudo systemctl start canaryd");
        assert_eq!(roused(Answer::Odd("no answer".into()), true), "sudo systemctl restart canaryd");
        assert_eq!(roused(Answer::Forbidden, true), "sudo canaryd status shop");
        assert!(roused(nobody(), true).contains("--socket PATH, of the daemon that is process 77"));
    }
}
