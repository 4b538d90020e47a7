//! The watch itself: what the kernel was asked to tell about, kept in step with what the last look saw.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::identity::Identity;
use crate::scope::Scope;
use crate::silent::silent_file_system;
use crate::wakes::Wakes;

/// Watches directories, each by itself: what lies below it is in the scope as well.
#[derive(Debug)]
pub(crate) struct Watch {
    wakes: Arc<Wakes>,
    watcher: Option<RecommendedWatcher>,
    armed: BTreeMap<PathBuf, Identity>,
}

impl Watch {
    pub(crate) fn new(wakes: Arc<Wakes>) -> Self {
        Self { wakes, watcher: None, armed: BTreeMap::new() }
    }

    /// Watches what `scope` says and nothing else. `true`: something is told about from now on that was not told
    /// about before, so what was seen before may be old already.
    pub(crate) fn arm(&mut self, scope: Scope) -> bool {
        let wanted: BTreeMap<PathBuf, Identity> = scope.dirs().map(|(path, id)| (path.to_owned(), id)).collect();
        let is_other = self.wakes.take_scope(scope);
        // After a directory was moved, removed or replaced the kernel's and the library's books of it differ. A fresh
        // watcher has neither's past.
        let outdated = self.armed.iter().any(|(path, identity)| wanted.get(path) != Some(identity));
        if self.wakes.take_lost() || outdated {
            self.watcher = None;
            self.armed.clear();
        }
        let before = self.armed.len();
        let deaf = self.arm_the_rest(&wanted);
        self.wakes.set_deaf(deaf);
        is_other || self.armed.len() > before
    }

    /// Returns why some change may go untold.
    fn arm_the_rest(&mut self, wanted: &BTreeMap<PathBuf, Identity>) -> Option<String> {
        let mut deaf = silence_of(wanted);
        for (path, identity) in wanted {
            if self.armed.contains_key(path) {
                continue;
            }
            match self.arm_one(path) {
                Ok(()) => _ = self.armed.insert(path.clone(), *identity),
                Err(error) if is_gone(&error) => self.wakes.stir(),
                Err(error) => {
                    deaf = Some(why(path, &error));
                    if matches!(Refusal::of(&error), Refusal::Watches | Refusal::Instances) {
                        break;
                    }
                }
            }
        }
        deaf
    }

    fn arm_one(&mut self, path: &Path) -> notify::Result<()> {
        let watcher = if let Some(watcher) = &mut self.watcher {
            watcher
        } else {
            let wakes = Arc::clone(&self.wakes);
            self.watcher.insert(notify::recommended_watcher(move |event| wakes.heed(&event))?)
        };
        watcher.watch(path, RecursiveMode::NonRecursive)
    }
}

/// The first directory on a file system that does not tell of every change.
fn silence_of(dirs: &BTreeMap<PathBuf, Identity>) -> Option<String> {
    let mut asked = BTreeSet::new();
    let on_a_new_device = dirs.iter().filter(|(_, identity)| asked.insert(identity.device()));
    on_a_new_device.into_iter().find_map(|(path, _)| {
        let kind = silent_file_system(path)?;
        Some(format!("{} is on {kind}, which does not tell of every change", path.display()))
    })
}

/// Why the kernel refuses to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// `fs.inotify.max_user_watches` is used up.
    Watches,
    /// `fs.inotify.max_user_instances` or the number of open files is used up.
    Instances,
    /// Anything else, about one directory.
    Other,
}

impl Refusal {
    fn of(error: &notify::Error) -> Self {
        match &error.kind {
            ErrorKind::MaxFilesWatch => Self::Watches,
            ErrorKind::Io(io) => Self::of_io(io),
            ErrorKind::Generic(_)
            | ErrorKind::PathNotFound
            | ErrorKind::WatchNotFound
            | ErrorKind::InvalidConfig(_) => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::Watches,
            _ if is_out_of_descriptors(error) => Self::Instances,
            _ => Self::Other,
        }
    }
}

/// EMFILE and ENFILE have no kind of their own in std.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(io) => io.kind() == io::ErrorKind::NotFound,
        ErrorKind::Generic(_) | ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) | ErrorKind::MaxFilesWatch => {
            false
        }
    }
}

fn why(path: &Path, error: &notify::Error) -> String {
    match Refusal::of(error) {
        Refusal::Watches => format!(
            "the kernel watches no more directories for this user (fs.inotify.max_user_watches is {})\n  hint: raise it: sysctl -w fs.inotify.max_user_watches=524288, and in /etc/sysctl.d to keep it",
            limit("max_user_watches")
        ),
        Refusal::Instances => format!(
            "the kernel opens no more watchers for this user (fs.inotify.max_user_instances is {}), or the daemon has no more open files (ulimit -n)\n  hint: raise it: sysctl -w fs.inotify.max_user_instances=1024, and in /etc/sysctl.d to keep it",
            limit("max_user_instances")
        ),
        Refusal::Other => format!("{} cannot be watched: {error}", path.display()),
    }
}

fn limit(name: &str) -> String {
    let value = std::fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name));
    value.map_or_else(|_| "unknown".to_owned(), |value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    //! The kernel's limits, reached for real: in a process of its own, so that nobody else feels them.

    use std::fs::File;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use tokio::sync::mpsc;

    use crate::directory::DirectorySource;

    const INNER: &str = "CANARYD_TEST_LIMIT";

    /// Runs one test of this file again, behind `prefix`; `false`: the prefix itself is not permitted here.
    fn again(test: &str, prefix: &[&str]) -> bool {
        let permitted = Command::new(prefix[0]).args(&prefix[1..]).arg("true").status();
        if !permitted.is_ok_and(|status| status.success()) {
            return false;
        }
        let this = std::env::current_exe().expect("a path");
        let output = Command::new(prefix[0])
            .args(&prefix[1..])
            .arg(this)
            .args(["--exact", &format!("watch::tests::{test}"), "--nocapture"])
            .env(INNER, "1")
            .output()
            .expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
        true
    }

    fn is_inner() -> bool {
        std::env::var_os(INNER).is_some()
    }

    async fn list(source: &DirectorySource) -> usize {
        let source = source.clone();
        tokio::task::spawn_blocking(move || source.list().files.len()).await.expect("listed")
    }

    /// Looks at every wake-up until that many manifests are listed; returns how long it took.
    async fn until(source: &DirectorySource, wakes: &mut mpsc::Receiver<()>, n: usize) -> Duration {
        let start = Instant::now();
        while list(source).await != n {
            tokio::time::timeout(Duration::from_secs(3), wakes.recv()).await.expect("a wake-up in time");
        }
        start.elapsed()
    }

    fn room() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let manifests = dir.path().join("manifests");
        std::fs::create_dir_all(manifests.join("team")).expect("a directory");
        std::fs::write(manifests.join("shop.yaml"), "v1").expect("a manifest");
        (dir, manifests)
    }

    async fn is_deaf_because(source: &DirectorySource, sysctl: &str) {
        assert_eq!(list(source).await, 1);
        let why = source.deaf().expect("a reason");
        assert!(why.contains(sysctl) && why.contains("hint: raise it"), "{why}");
    }

    async fn limited_watches() {
        let (_keep, manifests) = room();
        let limit = "/proc/sys/user/max_inotify_watches";
        std::fs::write(limit, "1").expect("a limit for this namespace");
        let (source, mut wakes) = DirectorySource::start(vec![manifests.clone()]);
        is_deaf_because(&source, "fs.inotify.max_user_watches").await;
        std::fs::write(manifests.join("team/blog.yaml"), "b1").expect("a manifest");
        assert!(until(&source, &mut wakes, 2).await < Duration::from_secs(2));
        std::fs::write(limit, "100").expect("a limit for this namespace");
        while source.deaf().is_some() {
            tokio::time::timeout(Duration::from_secs(3), wakes.recv()).await.expect("a wake-up in time");
            list(&source).await;
        }
        std::fs::write(manifests.join("team/more.yaml"), "m1").expect("a manifest");
        assert!(until(&source, &mut wakes, 3).await < Duration::from_secs(1));
    }

    #[test]
    fn without_watches_left_the_manifests_are_looked_at_once_a_second_until_there_are_some_again() {
        if is_inner() {
            return tokio::runtime::Runtime::new().expect("a runtime").block_on(limited_watches());
        }
        let test = "without_watches_left_the_manifests_are_looked_at_once_a_second_until_there_are_some_again";
        if !again(test, &["unshare", "--user", "--map-root-user"]) {
            // Where namespaces are not for everybody only the other limit is tested.
            assert!(!again(test, &["false"]));
        }
    }

    async fn limited_descriptors() {
        let (_keep, manifests) = room();
        let (source, mut wakes) = DirectorySource::start(vec![manifests.clone()]);
        let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // One for reading, but a watcher takes more.
        held.pop();
        is_deaf_because(&source, "fs.inotify.max_user_instances").await;
        held.pop();
        std::fs::write(manifests.join("blog.yaml"), "b1").expect("a manifest");
        assert!(until(&source, &mut wakes, 2).await < Duration::from_secs(2));
        drop(held);
        while source.deaf().is_some() {
            tokio::time::timeout(Duration::from_secs(3), wakes.recv()).await.expect("a wake-up in time");
            list(&source).await;
        }
    }

    #[test]
    fn without_descriptors_left_the_manifests_are_looked_at_once_a_second_until_there_are_some_again() {
        if is_inner() {
            return tokio::runtime::Runtime::new().expect("a runtime").block_on(limited_descriptors());
        }
        let test = "without_descriptors_left_the_manifests_are_looked_at_once_a_second_until_there_are_some_again";
        assert!(again(test, &["sh", "-c", "ulimit -n 128 && exec \"$@\"", "sh"]));
    }
}
