//! The state directory, its disk and its journal.

use canaryd_journal::{Examined, Soundness};
use jiff::Timestamp;

use super::super::Finding;
use super::super::facts::{Dir, Disk, Facts, Journal, State};
use super::bytes;
use crate::daemon::remembered;

/// Below this a log may fill the disk before anybody looks.
const LITTLE: u64 = 1 << 30;
/// Below this the journal may fail at any time.
const NOTHING: u64 = 64 << 20;
/// Fewer free inodes are told.
const FEW_INODES: u64 = 10_000;
/// With fewer nothing can be written soon.
const NO_INODES: u64 = 100;
/// What a daemon does that cannot use its journal.
const SAFE_MODE: &str =
    "a daemon that is started now runs in safe mode: production serves, canaries are at 0 %, nothing moves";
/// A log that a living daemon keeps is a few MiB.
const LARGE_WAL: u64 = 256 << 20;

pub(super) fn newest_event(facts: &Facts) -> Option<Timestamp> {
    match &facts.state.as_ref()?.journal {
        Journal::Found(found) => found.newest_event,
        Journal::Missing(_) | Journal::Damaged(_) | Journal::Unread(_) => None,
    }
}

pub(super) fn directory(facts: &Facts) -> Option<Finding> {
    let Some(state) = &facts.state else {
        let found = Finding::wrong("state", "the disk of the state directory does not answer");
        return Some(found.means("the daemon hangs as well where it writes there").mend("dmesg | tail; mount"));
    };
    let path = state.path.display();
    let Some(dir) = &state.dir else {
        if state.disk.is_some_and(|d| d.read_only) {
            return None; // told of the disk
        }
        let found = Finding::warning("state", format!("{path} does not exist"));
        return Some(found.means("the first start makes it; or the daemon has another one: say --state DIR"));
    };
    if let Some(found) = of_another_daemon(facts, state) {
        return Some(found);
    }
    Some(rights(facts, state, dir))
}

fn of_another_daemon(facts: &Facts, state: &State) -> Option<Finding> {
    let Journal::Found(journal) = &state.journal else { return None };
    let page = facts.socket.page().filter(|page| page.instance != journal.instance)?;
    let said = format!(
        "{} belongs to instance {}, the daemon that answers is {}",
        state.path.display(),
        journal.instance,
        page.instance
    );
    Some(
        Finding::warning("state", said)
            .means("the findings about journal and disk are not that daemon's")
            .mend("say its --state DIR here as well"),
    )
}

fn rights(facts: &Facts, state: &State, dir: &Dir) -> Finding {
    let path = state.path.display();
    if !dir.is_directory {
        return Finding::wrong("state", format!("{path} is not a directory"))
            .means("the daemon will not start")
            .mend("say --state DIR");
    }
    if dir.mode & 0o077 != 0 {
        return Finding::wrong("state", format!("{path} is open to others (mode {:04o})", dir.mode))
            .means("it holds the content of secrets and the tokens of gateways")
            .mend(format!("sudo chmod 700 {path}"));
    }
    let holder = state.holder.as_ref();
    if let Some(daemon) = holder.filter(|daemon| daemon.uids[1] != dir.uid && daemon.uids[1] != 0) {
        return Finding::wrong(
            "state",
            format!("{path} belongs to {}, the daemon runs as user {}", dir.owner, daemon.uids[1]),
        )
        .means("it cannot write there")
        .mend(format!("sudo chown -R {} {path}", daemon.uids[1]));
    }
    let mine = facts.me.uids[1] == 0 || facts.me.uids[1] == dir.uid;
    if !dir.readable || !mine {
        return Finding::warning("state", format!("{path} belongs to {} and is closed to this user", dir.owner))
            .means("journal and gateways were not looked at")
            .mend("sudo canaryd doctor");
    }
    let held = holder.map_or_else(|| "no process holds it".to_owned(), |p| format!("held by process {}", p.pid));
    Finding::ok("state", format!("{path} of {}, mode {:04o}, {held}", dir.owner, dir.mode))
}

pub(super) fn disk(facts: &Facts) -> Option<Finding> {
    let state = facts.state.as_ref()?;
    let disk = state.disk?;
    let path = state.path.display();
    if disk.read_only {
        let found = Finding::wrong("disk", format!("the file system of {path} is read-only"));
        return Some(
            found
                .means("weights can still be lowered; nothing else moves, and the daemon does not start")
                .mend(format!("dmesg | tail; sudo mount -o remount,rw $(findmnt -no TARGET -T {path})")),
        );
    }
    let said = format!("{} of {} free for {path}", bytes(disk.free), bytes(disk.total));
    let mend = format!("du -xhd1 {path}; docker system df; docker image prune");
    if disk.free < NOTHING || lacks_inodes(disk, NO_INODES) {
        let found = Finding::wrong("disk", with_inodes(said, disk));
        return Some(
            found.means("the journal will fail: then weights only go down, and nothing else moves").mend(mend),
        );
    }
    if disk.free < LITTLE || lacks_inodes(disk, FEW_INODES) {
        let found = Finding::warning("disk", with_inodes(said, disk));
        return Some(found.means("each gateway keeps up to 512 MiB of logs, the failures 1 GiB over all").mend(mend));
    }
    Some(Finding::ok("disk", said))
}

fn lacks_inodes(disk: Disk, least: u64) -> bool {
    disk.inodes > 0 && disk.inodes_free < least
}

fn with_inodes(said: String, disk: Disk) -> String {
    if lacks_inodes(disk, FEW_INODES) { format!("{said}, {} inodes free", disk.inodes_free) } else { said }
}

pub(super) fn journal(facts: &Facts) -> Vec<Finding> {
    facts.state.as_ref().map(journal_of).unwrap_or_default()
}

/// The journal, then each memory in it that cannot be read.
pub(in crate::doctor) fn journal_of(state: &State) -> Vec<Finding> {
    let mut findings: Vec<Finding> = the_journal(state).into_iter().collect();
    if let Journal::Found(found) = &state.journal {
        findings.extend(unreadable(state, found));
    }
    findings
}

/// A memory that cannot be read keeps the whole journal from being used.
fn unreadable(state: &State, found: &Examined) -> Vec<Finding> {
    let path = state.path.join("journal.db");
    let one = |(name, json): &(String, String)| {
        let error = remembered(&path, name, json).err()?;
        let found = Finding::wrong(format!("memory {name}"), format!("{error:#}"));
        Some(found.means(SAFE_MODE).mend(restore(state)))
    };
    found.memories.iter().filter_map(one).collect()
}

fn the_journal(state: &State) -> Option<Finding> {
    let dir = state.dir.as_ref()?;
    let path = state.path.join("journal.db").display().to_string();
    match &state.journal {
        Journal::Missing(None) => None,
        Journal::Missing(Some(instance)) => {
            let said = format!(
                "{path} is missing, but {} says that instance {instance} lived here",
                state.path.join("instance").display()
            );
            Some(
                Finding::wrong("journal", said)
                    .means(format!("what is in production is not remembered; {SAFE_MODE}"))
                    .mend(restore(state)),
            )
        }
        Journal::Damaged(what) => Some(damaged(state, &path, what)),
        Journal::Unread(_) if !dir.readable => None, // told of the directory
        Journal::Unread(why) => {
            let found = Finding::wrong("journal", format!("it was not read: {why}"));
            Some(
                found
                    .means("a daemon may fail on it as well")
                    .mend(format!("ls -l {}; sudo canaryd doctor", state.path.display())),
            )
        }
        Journal::Found(found) => Some(examined(state, &path, found)),
    }
}

fn examined(state: &State, path: &str, found: &Examined) -> Finding {
    if let Soundness::Damaged(what) = &found.soundness {
        return damaged(state, path, what);
    }
    if found.format > found.known {
        return Finding::wrong(
            "journal",
            format!("a newer canaryd wrote it: format {}, this one reads up to {}", found.format, found.known),
        )
        .means(SAFE_MODE)
        .mend(format!("install the newer canaryd again; or {}", restore(state)));
    }
    if found.plain.as_ref().is_some_and(|plain| *plain != found.instance) {
        let plain = found.plain.clone().unwrap_or_default();
        return Finding::wrong(
            "journal",
            format!("it belongs to instance {}, the file instance says {plain}", found.instance),
        )
        .means(format!("two state directories were mixed; {SAFE_MODE}"))
        .mend(restore(state));
    }
    let size = format!("format {}, {} and {} of log", found.format, bytes(found.size), bytes(found.wal));
    if found.wal > LARGE_WAL {
        return Finding::warning("journal", size)
            .means("something reads the journal without end, and keeps its log from being taken over")
            .mend(format!("sudo fuser -v {path}"));
    }
    match found.soundness {
        Soundness::Unfinished => Finding::ok("journal", format!("{size}; too large to check every page now")),
        Soundness::Sound | Soundness::Damaged(_) => Finding::ok("journal", format!("sound, {size}")),
    }
}

fn damaged(state: &State, path: &str, what: &str) -> Finding {
    Finding::wrong(
        "journal",
        format!("{path} is damaged or not a journal of canaryd: {}", what.lines().next().unwrap_or(what)),
    )
    .means(SAFE_MODE)
    .mend(restore(state))
}

fn restore(state: &State) -> String {
    format!(
        "stop the daemon and put a backup of the whole {0} in place; without one: canaryd journal rebuild --state {0}",
        state.path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::super::super::facts::{Answer, Process};
    use super::super::sample::{found, healthy, only};
    use super::*;

    fn spoiled(spoil: impl FnOnce(&mut State)) -> Facts {
        let mut facts = healthy();
        spoil(facts.state.as_mut().unwrap());
        facts
    }

    fn examined_of(state: &mut State) -> &mut Examined {
        match &mut state.journal {
            Journal::Found(found) => found,
            Journal::Missing(_) | Journal::Damaged(_) | Journal::Unread(_) => panic!("it is there"),
        }
    }

    #[test]
    fn a_state_directory_that_is_open_somebody_else_s_or_no_directory_is_told() {
        let dir = |spoil: fn(&mut Dir)| spoiled(|s| spoil(s.dir.as_mut().unwrap()));
        only(&dir(|d| d.mode = 0o755), "state", Level::Wrong, &["0755", "secrets", "chmod 700"]);
        only(&dir(|d| d.is_directory = false), "state", Level::Wrong, &["not a directory"]);
        let mina = spoiled(|s| s.holder = Some(Process { pid: 7, uids: [1000; 3], ..Process::default() }));
        found(&mina, "state", Level::Wrong, &["belongs to root", "runs as user 1000", "chown -R 1000"]);
        let mut closed = dir(|d| d.readable = false);
        closed.me.uids = [1000; 3];
        only(&closed, "state", Level::Warning, &["closed to this user", "sudo canaryd doctor"]);
    }

    #[test]
    fn a_missing_directory_a_disk_that_hangs_and_another_daemon_s_directory_are_told() {
        let mut fresh = spoiled(|s| (s.dir, s.journal, s.holder) = (None, Journal::Missing(None), None));
        found(&fresh, "state", Level::Warning, &["does not exist", "--state"]);
        fresh.state = None;
        found(&fresh, "state", Level::Wrong, &["does not answer"]);
        let mut other = healthy();
        if let Answer::Page(page) = &mut other.socket.answer {
            page.instance = "feed".into();
        }
        only(&other, "state", Level::Warning, &["instance 0123456789abcdef", "is feed", "--state"]);
    }

    #[test]
    fn a_disk_that_is_read_only_full_or_without_inodes_is_told() {
        let disk = |spoil: fn(&mut Disk)| spoiled(|s| spoil(s.disk.as_mut().unwrap()));
        only(&disk(|d| d.read_only = true), "disk", Level::Wrong, &["read-only", "lowered", "remount,rw"]);
        only(&disk(|d| d.free = 10 << 20), "disk", Level::Wrong, &["10 MiB of 50 GiB", "docker system df"]);
        only(&disk(|d| d.free = 500 << 20), "disk", Level::Warning, &["500 MiB", "512 MiB of logs"]);
        only(&disk(|d| d.inodes_free = 9), "disk", Level::Wrong, &["9 inodes free"]);
        only(&disk(|d| d.inodes_free = 5_000), "disk", Level::Warning, &["5000 inodes free"]);
        found(&disk(|d| (d.inodes, d.inodes_free) = (0, 0)), "disk", Level::Ok, &["20 GiB"]);
    }

    #[test]
    fn a_journal_that_is_damaged_newer_mixed_or_lost_is_wrong_and_says_what_to_do() {
        let damaged = spoiled(|s| s.journal = Journal::Damaged("malformed".into()));
        only(
            &damaged,
            "journal",
            Level::Wrong,
            &[
                "malformed",
                "safe mode: production serves",
                "backup of the whole /var/lib/canaryd",
                "canaryd journal rebuild",
            ],
        );
        let pages = spoiled(|s| examined_of(s).soundness = Soundness::Damaged("row 3 missing".into()));
        only(&pages, "journal", Level::Wrong, &["row 3 missing"]);
        only(&spoiled(|s| examined_of(s).format = 2), "journal", Level::Wrong, &["format 2", "up to 1", "newer"]);
        only(&spoiled(|s| examined_of(s).plain = Some("feed".into())), "journal", Level::Wrong, &["feed", "mixed"]);
        let unreadable = spoiled(|s| examined_of(s).memories[0].1 = "{}".into());
        only(&unreadable, "memory shop", Level::Wrong, &["cannot be read", "safe mode", "canaryd journal rebuild"]);
        let lost = spoiled(|s| s.journal = Journal::Missing(Some("feed".into())));
        only(&lost, "journal", Level::Wrong, &["missing", "instance feed", "backup"]);
        let unread = spoiled(|s| s.journal = Journal::Unread("cannot open".into()));
        only(&unread, "journal", Level::Wrong, &["cannot open"]);
    }

    #[test]
    fn a_large_log_is_a_warning_and_an_unfinished_check_is_none() {
        only(&spoiled(|s| examined_of(s).wal = 1 << 30), "journal", Level::Warning, &["1.0 GiB of log", "fuser"]);
        let large = spoiled(|s| examined_of(s).soundness = Soundness::Unfinished);
        found(&large, "journal", Level::Ok, &["too large to check"]);
    }
}
