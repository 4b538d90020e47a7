//! A watched directory of its own for each test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use canaryd_source::{DirectorySource, Listing};
use tokio::sync::mpsc;

/// What a user is promised.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);
/// What is promised where no event exists: it is asked once a second, and then read.
pub(crate) const ABOUT_A_SECOND: Duration = Duration::from_millis(1_900);
/// Without a wake-up for this long, a source has nothing more to tell.
const STILL: Duration = Duration::from_millis(250);

/// A temporary directory, and a source that watches `manifests` in it (or what the test says).
pub(crate) struct Room {
    _keep: tempfile::TempDir,
    root: PathBuf,
    pub(crate) source: DirectorySource,
    pub(crate) wakes: mpsc::Receiver<()>,
}

impl Room {
    /// Watches `manifests`, which holds `shop.yaml` with the text `v1`.
    pub(crate) async fn new() -> Self {
        Self::watching("manifests", |root| {
            std::fs::create_dir(root.join("manifests")).expect("a directory");
            std::fs::write(root.join("manifests/shop.yaml"), "v1").expect("a manifest");
        })
        .await
    }

    /// Prepares the room, watches `dir` in it and waits until there is nothing more to tell.
    pub(crate) async fn watching(dir: &str, prepare: impl FnOnce(&Path)) -> Self {
        let keep = tempfile::tempdir().expect("a directory");
        let top = keep.path().canonicalize().expect("its real path");
        prepare(&top);
        let (source, wakes) = DirectorySource::start(vec![top.join(dir)]);
        let mut room = Self { _keep: keep, root: top, source, wakes };
        room.settle().await;
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }
    pub(crate) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("renamed");
    }
    pub(crate) fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("linked");
    }
    /// As `ln -sfn` should do it: a new link is renamed over the old one.
    pub(crate) fn swap_link(&self, target: &str, name: &str) {
        self.link(target, "link.new");
        self.rename("link.new", name);
    }
    pub(crate) fn mkdir(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).expect("made");
    }
    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(path).expect("removed");
        } else {
            std::fs::remove_file(path).expect("removed");
        }
    }
    /// Runs the real git in the room.
    pub(crate) fn git(&self, args: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(self.path("manifests"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) async fn list(&self) -> Listing {
        let source = self.source.clone();
        tokio::task::spawn_blocking(move || source.list()).await.expect("listed")
    }

    /// Text of a manifest, if it is listed and readable.
    pub(crate) fn text<'a>(&self, listing: &'a Listing, name: &str) -> Option<&'a str> {
        listing.files.get(&self.path(name))?.as_deref().ok()
    }

    /// Listens until there is nothing more to tell.
    pub(crate) async fn settle(&mut self) {
        while let Ok(Some(())) = tokio::time::timeout(STILL, self.wakes.recv()).await {
            self.list().await;
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) async fn is_still(&mut self) -> bool {
        tokio::time::timeout(STILL, self.wakes.recv()).await.is_err()
    }

    /// Looks at every wake-up, as the daemon does, until `seen` holds; it must within `bound` from now.
    pub(crate) async fn within(&mut self, bound: Duration, what: &str, seen: impl Fn(&Self, &Listing) -> bool) {
        let start = Instant::now();
        let mut looks = 0;
        while let Some(rest) = bound.checked_sub(start.elapsed()) {
            if tokio::time::timeout(rest, self.wakes.recv()).await.is_err() {
                break;
            }
            looks += 1;
            let listing = self.list().await;
            if seen(self, &listing) {
                let took = start.elapsed();
                assert!(took <= bound, "{what} took {took:?}");
                return;
            }
        }
        let listing = self.list().await;
        panic!("not seen within {bound:?}, after {looks} wake-ups: {what}\n{listing:#?}");
    }

    /// The text of a manifest becomes this within a second.
    pub(crate) async fn becomes(&mut self, name: &str, text: &str) {
        let what = format!("{name} becomes {text}");
        self.within(A_SECOND, &what, |room, listing| room.text(listing, name) == Some(text)).await;
    }

    /// A manifest is no longer listed within a second.
    pub(crate) async fn loses(&mut self, name: &str) {
        let what = format!("{name} is gone");
        self.within(A_SECOND, &what, |room, listing| !listing.files.contains_key(&room.path(name))).await;
    }
}
