//! The failure bundles of the state directory: one directory for each set that was taken off. They outlive the rollout
//! that they tell of, so they are bounded by themselves: of each rollout, over all of them, and in bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use canaryd_rollout::{RevisionId, RolloutName, SetId};
use jiff::Timestamp;

/// How much is kept. The newest bundle stays in any case.
const LIMITS: Limits = Limits { of_one: 20, of_all: 200, bytes: 1 << 30 };
/// The file that is written last: with it a bundle is whole.
pub(crate) const REPORT: &str = "report.md";
/// The file that is written first and removed in the end: why the version was taken off.
const UNFINISHED: &str = "unfinished";
/// How the bundles of a rollout that was deleted end: another one of its name begins to count from one again.
const DELETED: &str = "-deleted";

/// Bundles that are kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    of_one: usize,
    of_all: usize,
    bytes: u64,
}

/// All bundles of one state directory.
#[derive(Debug, Clone)]
pub(crate) struct Failures {
    dir: PathBuf,
}

/// One bundle: `<name>-<revision>-<set>-<time>`, with a last word when its rollout was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) name: RolloutName,
    pub(crate) revision: RevisionId,
    pub(crate) set: SetId,
    time: String,
    deleted: bool,
    pub(crate) path: PathBuf,
}

impl Failures {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The newest whole bundle of a revision that is not older than `since`.
    pub(crate) fn newest(&self, name: &RolloutName, revision: &RevisionId, since: Timestamp) -> Option<PathBuf> {
        let fits = |b: &Bundle| b.is_of(name, revision) && b.time >= time_of(since) && b.is_whole();
        self.bundles().into_iter().rfind(fits).map(|bundle| bundle.path)
    }

    /// Where a set's failure is to be saved: beside the others, or where it was begun. `None`: it is saved.
    pub(crate) fn place(
        &self,
        name: &RolloutName,
        revision: &RevisionId,
        set: &SetId,
        now: Timestamp,
    ) -> Option<PathBuf> {
        let mine: Vec<Bundle> =
            self.bundles().into_iter().filter(|b| b.is_of(name, revision) && &b.set == set).collect();
        if mine.iter().any(Bundle::is_whole) {
            return None;
        }
        let fresh = || self.dir.join(format!("{name}-{revision}-{set}-{}", time_of(now)));
        Some(mine.into_iter().next_back().map_or_else(fresh, |begun| begun.path))
    }

    /// Bundles that an earlier run did not finish.
    pub(crate) fn unfinished(&self) -> Vec<Bundle> {
        self.bundles().into_iter().filter(|bundle| !bundle.is_whole()).collect()
    }

    /// The sets of this rollout that a bundle tells of.
    pub(crate) fn sets_of(&self, name: &RolloutName) -> Vec<SetId> {
        self.bundles().into_iter().filter(|bundle| &bundle.name == name).map(|bundle| bundle.set).collect()
    }

    /// From now on they tell of a rollout that is no more.
    ///
    /// # Errors
    /// One of them cannot be renamed; a later call goes on.
    pub(crate) fn mark_deleted(&self, name: &RolloutName) -> io::Result<()> {
        for bundle in self.bundles().iter().filter(|b| &b.name == name && !b.deleted) {
            let mut marked = bundle.path.clone().into_os_string();
            marked.push(DELETED);
            fs::rename(&bundle.path, marked)?;
        }
        Ok(())
    }

    /// Removes the oldest whole bundles beyond what is kept.
    pub(crate) fn sweep(&self) {
        self.sweep_to(LIMITS);
    }

    fn sweep_to(&self, limits: Limits) {
        let whole: Vec<Bundle> = self.bundles().into_iter().filter(Bundle::is_whole).collect();
        let mut kept: Vec<&Bundle> = Vec::new();
        let mut bytes = 0;
        for bundle in whole.iter().rev() {
            let size = size_of(&bundle.path);
            let of_one = kept.iter().filter(|k| k.name == bundle.name).count();
            let fits = of_one < limits.of_one && kept.len() < limits.of_all && bytes + size <= limits.bytes;
            if fits || kept.is_empty() {
                bytes += size;
                kept.push(bundle);
            } else if let Err(error) = fs::remove_dir_all(&bundle.path) {
                tracing::warn!(%error, dir = %bundle.path.display(), "an old failure bundle could not be removed");
            }
        }
    }

    /// Every bundle, oldest first.
    fn bundles(&self) -> Vec<Bundle> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        let mut bundles: Vec<Bundle> = entries.filter_map(|entry| Bundle::parse(entry.path())).collect();
        bundles.sort_by(|a, b| (&a.time, &a.path).cmp(&(&b.time, &b.path)));
        bundles
    }
}

impl Bundle {
    fn parse(path: PathBuf) -> Option<Self> {
        let file = path.file_name()?.to_str()?;
        let (rest, deleted) = file.strip_suffix(DELETED).map_or((file, false), |rest| (rest, true));
        // From the end: names have dashes, too.
        let mut words = rest.rsplitn(4, '-');
        let time = words.next()?.to_owned();
        let set = words.next()?.parse().ok()?;
        let revision = words.next()?.parse().ok()?;
        let name = words.next()?.parse().ok()?;
        Some(Self { name, revision, set, time, deleted, path })
    }

    fn is_of(&self, name: &RolloutName, revision: &RevisionId) -> bool {
        !self.deleted && &self.name == name && &self.revision == revision
    }

    /// Whether its rollout was deleted.
    pub(crate) fn is_of_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether there is more in it than why it was begun.
    pub(crate) fn tells_anything(&self) -> bool {
        let files = fs::read_dir(&self.path).into_iter().flatten().filter_map(Result::ok);
        files.filter_map(|file| file.file_name().into_string().ok()).any(|name| {
            let extension = Path::new(&name).extension();
            extension.is_some_and(|e| e == "log" || e == "json")
        })
    }

    fn is_whole(&self) -> bool {
        self.path.join(REPORT).exists()
    }
}

/// Notes that a bundle is being written, and why.
pub(crate) fn begin(dir: &Path, reason: &str) -> anyhow::Result<()> {
    super::store::private_dir(dir)?;
    super::store::write_atomically(&dir.join(UNFINISHED), reason.as_bytes(), 0o600)
}

/// Writes the report, with which the bundle is whole.
pub(crate) fn finish(dir: &Path, report: &str) -> anyhow::Result<()> {
    super::store::write_atomically(&dir.join(REPORT), report.as_bytes(), 0o600)?;
    if let Err(error) = fs::remove_file(dir.join(UNFINISHED)) {
        tracing::debug!(%error, dir = %dir.display(), "the mark of a bundle that is whole stays");
    }
    Ok(())
}

/// Why the version was taken off whose bundle was begun here.
pub(crate) fn reason_of(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(UNFINISHED)).ok()
}

/// UTC, so that the order of the texts is the order of the moments.
fn time_of(moment: Timestamp) -> String {
    moment.strftime("%Y%m%dT%H%M%S").to_string()
}

fn size_of(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shelf {
        dir: tempfile::TempDir,
        failures: Failures,
    }

    impl Shelf {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let failures = Failures::new(dir.path().to_owned());
            Self { dir, failures }
        }

        fn put(&self, bundle: &str, bytes: usize) {
            let dir = self.dir.path().join(bundle);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("app.log"), vec![b'x'; bytes]).unwrap();
            fs::write(dir.join(REPORT), "").unwrap();
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> =
                fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ids() -> (RolloutName, RevisionId, SetId) {
        ("shop".parse().unwrap(), "0123456789".parse().unwrap(), SetId::nth(2))
    }

    #[test]
    fn the_oldest_go_beyond_the_number_of_one_rollout_and_those_of_its_namesakes_do_not_count() {
        let shelf = Shelf::new();
        for second in 0..4 {
            shelf.put(&format!("shop-0123456789-s{second}-20261127T00000{second}"), 1);
        }
        shelf.put("shop-api-0123456789-s1-20261126T000000", 1);
        shelf.failures.sweep_to(Limits { of_one: 2, of_all: 10, bytes: 1 << 20 });
        let left = [
            "shop-0123456789-s2-20261127T000002",
            "shop-0123456789-s3-20261127T000003",
            "shop-api-0123456789-s1-20261126T000000",
        ];
        assert_eq!(shelf.names(), left);
    }

    #[test]
    fn bundles_of_deleted_rollouts_are_bounded_over_all_names_by_number_and_by_bytes() {
        let shelf = Shelf::new();
        for second in 0..6 {
            shelf.put(&format!("job-{second}-0123456789-s1-20261127T00000{second}-deleted"), 100);
        }
        shelf.failures.sweep_to(Limits { of_one: 20, of_all: 4, bytes: 1 << 20 });
        assert_eq!(shelf.names().len(), 4);
        shelf.failures.sweep_to(Limits { of_one: 20, of_all: 4, bytes: 250 });
        let left = ["job-4-0123456789-s1-20261127T000004-deleted", "job-5-0123456789-s1-20261127T000005-deleted"];
        assert_eq!(shelf.names(), left);
        shelf.failures.sweep_to(Limits { of_one: 20, of_all: 4, bytes: 1 });
        assert_eq!(shelf.names(), left[1..], "the newest stays in any case");
    }

    #[test]
    fn what_is_no_whole_bundle_of_ours_is_never_swept() {
        let shelf = Shelf::new();
        shelf.put("notes", 10);
        shelf.put("shop-0123456789-s1-20261127T000001", 10);
        fs::create_dir(shelf.dir.path().join("shop-0123456789-s2-20261127T000000")).unwrap();
        shelf.failures.sweep_to(Limits { of_one: 0, of_all: 0, bytes: 0 });
        assert_eq!(shelf.names().len(), 3);
    }

    #[test]
    fn a_failure_that_was_begun_is_finished_where_it_lies_and_one_that_is_saved_is_not_saved_again() {
        let shelf = Shelf::new();
        let (name, revision, set) = ids();
        let place = || shelf.failures.place(&name, &revision, &set, at(1_000));
        let dir = place().unwrap();
        begin(&dir, "it crashed").unwrap();
        assert_eq!(reason_of(&dir).as_deref(), Some("it crashed"));
        let begun = shelf.failures.unfinished();
        assert_eq!((begun.len(), begun[0].path.as_path()), (1, dir.as_path()));
        assert_eq!(shelf.failures.place(&name, &revision, &set, at(2_000)), Some(dir.clone()));
        finish(&dir, "whole").unwrap();
        assert_eq!(place(), None);
        assert!(shelf.failures.unfinished().is_empty() && reason_of(&dir).is_none());
    }

    #[test]
    fn an_outcome_is_not_shown_with_the_files_of_an_earlier_one() {
        let shelf = Shelf::new();
        let (name, revision, set) = ids();
        let dir = shelf.failures.place(&name, &revision, &set, at(1_000)).unwrap();
        begin(&dir, "").unwrap();
        finish(&dir, "").unwrap();
        assert_eq!(shelf.failures.newest(&name, &revision, at(1_000)), Some(dir));
        assert_eq!(shelf.failures.newest(&name, &revision, at(1_001)), None);
    }

    #[test]
    fn a_rollout_that_begins_anew_under_the_name_of_a_deleted_one_has_failures_of_its_own() {
        let shelf = Shelf::new();
        let (name, revision, set) = ids();
        shelf.put("shop-0123456789-s2-20261127T000000", 1);
        shelf.put("shop-api-0123456789-s2-20261127T000000", 1);
        assert_eq!(shelf.failures.place(&name, &revision, &set, at(0)), None);
        shelf.failures.mark_deleted(&name).unwrap();
        assert!(shelf.failures.place(&name, &revision, &set, at(0)).is_some());
        assert_eq!(shelf.failures.newest(&name, &revision, at(0)), None);
        let left = ["shop-0123456789-s2-20261127T000000-deleted", "shop-api-0123456789-s2-20261127T000000"];
        assert_eq!(shelf.names(), left);
    }
}
