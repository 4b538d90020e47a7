//! Watched directories, memory and limits of the kernel.

use super::super::Finding;
use super::super::facts::{Facts, Watched};
use super::bytes;

/// Fewer watches than this are used up by other programs soon.
const FEW_WATCHES: u64 = 8_192;
/// inotify instances of one user.
const FEW_INSTANCES: u64 = 64;
/// The daemon holds a few files for each rollout and connection.
const FEW_FILES: u64 = 1_024;

pub(super) fn watch(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.watch.iter().filter_map(|w| watched(facts, w)).collect();
    let directories: usize = facts.watch.iter().filter_map(|w| w.directories.as_ref().ok()).sum();
    let (watches, instances) = (facts.kernel.inotify_watches, facts.kernel.inotify_instances);
    let slow = "changes of manifests are then seen by looking every 30 s only";
    if watches.is_some_and(|limit| limit < FEW_WATCHES || (directories as u64).saturating_mul(2) > limit) {
        let said = format!(
            "the kernel allows {} inotify watches; {directories} directories are watched",
            watches.unwrap_or_default()
        );
        findings
            .push(Finding::warning("watch", said).means(slow).mend("sudo sysctl -w fs.inotify.max_user_watches=65536"));
    }
    if instances.is_some_and(|limit| limit < FEW_INSTANCES) {
        let said = format!("the kernel allows {} inotify instances a user", instances.unwrap_or_default());
        findings
            .push(Finding::warning("watch", said).means(slow).mend("sudo sysctl -w fs.inotify.max_user_instances=128"));
    }
    if findings.is_empty() && !facts.watch.is_empty() {
        let manifests: usize = facts.watch.iter().map(|w| w.manifests).sum();
        let places: Vec<String> = facts.watch.iter().map(|w| w.path.display().to_string()).collect();
        findings.push(Finding::ok(
            "watch",
            format!("{} in {}", crate::cli::several(manifests as u64, "file"), places.join(", ")),
        ));
    }
    findings
}

fn watched(facts: &Facts, watched: &Watched) -> Option<Finding> {
    let path = watched.path.display();
    match &watched.directories {
        // The daemon reads it by its own rights.
        Err(why) if facts.me.uids[1] != 0 && why.contains("ermission") => {
            let found = Finding::warning("watch", format!("this user cannot read {why}"));
            Some(found.means("the daemon may be able to").mend("sudo canaryd doctor"))
        }
        Err(why) => {
            let found = Finding::wrong("watch", format!("it cannot be read: {why}"));
            Some(
                found
                    .means("the last valid manifests stay in force; new ones are not seen")
                    .mend(format!("ls -ld {path}")),
            )
        }
        Ok(_) if watched.manifests == 0 => {
            let found = Finding::warning("watch", format!("there is no *.yaml or *.yml in {path}"));
            Some(found.means("nothing is to be done; or the manifests are elsewhere").mend("canaryd status"))
        }
        Ok(_) => None,
    }
}

pub(super) fn memory(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let checkup = facts.docker.as_ref().ok().and_then(|d| d.checkup.as_ref().ok());
    let killed = checkup.map(|c| c.killed_for_memory.join(", ")).filter(|names| !names.is_empty());
    if let Some(names) = killed {
        findings.push(
            Finding::warning("memory", format!("ended for lack of memory: {names}"))
                .means("the kernel killed it; a limit is too low, or the host too small")
                .mend("docker stats --no-stream; raise resources.memory in the manifest"),
        );
    }
    let Some((total, free)) = facts.kernel.memory else { return findings };
    let said = format!("{} of {} available", bytes(free), bytes(total));
    if free < total / 10 {
        findings.push(
            Finding::warning("memory", said)
                .means("a rollout needs room for both versions; when memory is short, the canary is the first to go")
                .mend("docker stats --no-stream; canaryd plan FILE shows what a rollout needs"),
        );
    } else if findings.is_empty() {
        findings.push(Finding::ok("memory", said));
    }
    findings
}

pub(super) fn files(facts: &Facts) -> Option<Finding> {
    let (process, who) = facts.signaller();
    let (limit, open) = process.files?;
    let shown = if limit == u64::MAX { "any number of".to_owned() } else { limit.to_string() };
    let said = format!("{who} may open {shown} files{}", open.map_or_else(String::new, |n| format!(", {n} are open")));
    let mend = "LimitNOFILE=65536 in the unit, then sudo systemctl restart canaryd";
    if open.is_some_and(|n| n.saturating_mul(5) > limit.saturating_mul(4)) {
        return Some(
            Finding::wrong("files", said).means("at the limit nothing can be read, asked or started").mend(mend),
        );
    }
    if limit < FEW_FILES {
        return Some(Finding::warning("files", said).means("many rollouts or followers may reach it").mend(mend));
    }
    Some(Finding::ok("files", said))
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::super::sample::{found, only, spoiled};

    #[test]
    fn a_watched_directory_that_is_gone_closed_or_empty_is_told() {
        let gone = spoiled(|f| f.watch[0].directories = Err("/m: No such file or directory".into()));
        only(&gone, "watch", Level::Wrong, &["/m: No such file", "stay in force", "ls -ld"]);
        let closed = spoiled(|f| {
            f.watch[0].directories = Err("/m: Permission denied".into());
            f.me.uids = [1000; 3];
        });
        found(&closed, "watch", Level::Warning, &["this user cannot read /m"]);
        only(&spoiled(|f| f.watch[0].manifests = 0), "watch", Level::Warning, &["no *.yaml"]);
    }

    #[test]
    fn limits_of_inotify_that_are_low_are_told() {
        let few = spoiled(|f| f.kernel.inotify_watches = Some(1_000));
        only(&few, "watch", Level::Warning, &["1000 inotify watches", "max_user_watches=65536"]);
        let many = spoiled(|f| f.watch[0].directories = Ok(40_000));
        only(&many, "watch", Level::Warning, &["40000 directories", "every 30 s"]);
        let instances = spoiled(|f| f.kernel.inotify_instances = Some(8));
        only(&instances, "watch", Level::Warning, &["8 inotify instances"]);
    }

    #[test]
    fn little_memory_and_a_container_that_was_killed_for_it_are_told() {
        only(
            &spoiled(|f| f.kernel.memory = Some((8 << 30, 100 << 20))),
            "memory",
            Level::Warning,
            &["100 MiB of 8.0 GiB"],
        );
        let killed = spoiled(|f| {
            let checkup = f.docker.as_mut().unwrap().checkup.as_mut().unwrap();
            checkup.killed_for_memory.push("shop-app-1".into());
        });
        only(&killed, "memory", Level::Warning, &["lack of memory: shop-app-1", "resources.memory"]);
    }

    #[test]
    fn a_low_limit_of_open_files_is_a_warning_and_a_reached_one_is_wrong() {
        let files = |limit, open| {
            spoiled(move |f| f.state.as_mut().unwrap().holder.as_mut().unwrap().files = Some((limit, Some(open))))
        };
        only(&files(256, 10), "files", Level::Warning, &["256 files", "LimitNOFILE"]);
        only(&files(1_024, 1_000), "files", Level::Wrong, &["1000 are open"]);
        found(&files(u64::MAX, 10), "files", Level::Ok, &["any number of"]);
    }
}
