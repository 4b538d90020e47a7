//! What an event of the file system means for us. Most mean nothing: our own reading is reported too, and so is what
//! others do beside the manifests.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind};

use crate::scope::Scope;

/// What one event says about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody is writing to this file and has not closed it yet.
    Writing(PathBuf),
    /// It is as it will stay for now: closed, renamed, removed, another mode.
    Changed(PathBuf),
    /// A watched directory went away or was moved: its watch is worth nothing any more.
    Lost,
    /// Events were lost: anything may have changed.
    Anything,
}

/// Reads an event in the light of what is watched.
pub(crate) fn news_of(event: &notify::Result<Event>, scope: &Scope) -> Vec<News> {
    let event = match event {
        Ok(event) if event.need_rescan() => return vec![News::Anything],
        Ok(event) => event,
        Err(_) => return vec![News::Anything],
    };
    event.paths.iter().filter_map(|path| about(path, event.kind, scope)).collect()
}

fn about(path: &Path, kind: EventKind, scope: &Scope) -> Option<News> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            scope.matters(path).then(|| News::Changed(path.to_owned()))
        }
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) => scope.matters(path).then(|| News::Writing(path.to_owned())),
        EventKind::Create(kind) => created(path, kind, scope),
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => moved(path, scope),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => {
            scope.matters(path).then(|| News::Changed(path.to_owned()))
        }
    }
}

fn created(path: &Path, kind: CreateKind, scope: &Scope) -> Option<News> {
    if kind == CreateKind::File && scope.matters(path) && is_being_written(path) {
        return Some(News::Writing(path.to_owned()));
    }
    (scope.matters(path) || leads_to_more(path, scope)).then(|| News::Changed(path.to_owned()))
}

fn moved(path: &Path, scope: &Scope) -> Option<News> {
    if scope.is_watched(path) {
        return Some(News::Lost);
    }
    (scope.matters(path) || leads_to_more(path, scope)).then(|| News::Changed(path.to_owned()))
}

/// A file that was just made by opening it will be closed; a hard link or a symlink is complete at once.
fn is_being_written(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1)
}

/// A directory or a symlink, which may lead to one, beside the manifests.
fn leads_to_more(path: &Path, scope: &Scope) -> bool {
    scope.lists_directories_at(path)
        && std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() || meta.is_symlink())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use notify::event::{MetadataKind, RemoveKind, RenameMode};

    use super::*;

    const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const GONE: EventKind = EventKind::Remove(RemoveKind::Folder);
    const MODE: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));

    fn watched() -> (tempfile::TempDir, PathBuf, Scope) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("its real path");
        let (manifests, etc) = (root.join("manifests"), root.join("etc"));
        std::fs::create_dir_all(&manifests).expect("a directory");
        std::fs::create_dir_all(&etc).expect("a directory");
        let mut scope = Scope::default();
        scope.all_of(&manifests);
        scope.entry(&etc, OsStr::new("shop.env"));
        (dir, root, scope)
    }

    fn news(scope: &Scope, kind: EventKind, path: &Path) -> Vec<News> {
        news_of(&Ok(Event::new(kind).add_path(path.to_owned())), scope)
    }

    #[test]
    fn our_own_reading_is_no_news() {
        let (_keep, root, scope) = watched();
        assert_eq!(news(&scope, OPENED, &root.join("manifests/shop.yaml")), []);
        assert_eq!(news(&scope, OPENED, &root.join("manifests")), []);
    }

    #[test]
    fn a_file_is_being_written_until_it_is_closed() {
        let (_keep, root, scope) = watched();
        let path = root.join("manifests/shop.yaml");
        assert_eq!(news(&scope, WRITTEN, &path), [News::Writing(path.clone())]);
        assert_eq!(news(&scope, CLOSED, &path), [News::Changed(path)]);
    }

    #[test]
    fn what_lies_beside_the_manifests_is_no_news() {
        let (_keep, root, scope) = watched();
        for name in ["manifests/4913", "manifests/shop.yaml~", "manifests/.shop.yaml.swp", "manifests/access.log"] {
            let path = root.join(name);
            std::fs::write(&path, "").expect("a file");
            for kind in [EventKind::Create(CreateKind::File), WRITTEN, CLOSED, RENAMED, MODE] {
                assert_eq!(news(&scope, kind, &path), [], "{name} {kind:?}");
            }
        }
    }

    #[test]
    fn of_a_directory_that_holds_a_named_file_only_that_file_is_news() {
        let (_keep, root, scope) = watched();
        assert_eq!(news(&scope, RENAMED, &root.join("etc/shop.env")).len(), 1);
        assert_eq!(news(&scope, RENAMED, &root.join("etc/passwd")), []);
        assert_eq!(news(&scope, RENAMED, &root.join("etc/other.yaml")), []);
    }

    #[test]
    fn a_new_directory_and_a_new_symlink_are_news_and_a_hidden_one_is_none() {
        let (_keep, root, scope) = watched();
        let [team, hidden, link] = ["team", ".git", "link"].map(|name| root.join("manifests").join(name));
        std::fs::create_dir(&team).expect("a directory");
        std::fs::create_dir(&hidden).expect("a directory");
        std::os::unix::fs::symlink("team", &link).expect("a link");
        assert_eq!(news(&scope, RENAMED, &team), [News::Changed(team)]);
        assert_eq!(news(&scope, EventKind::Create(CreateKind::File), &link), [News::Changed(link)]);
        assert_eq!(news(&scope, EventKind::Create(CreateKind::Folder), &hidden), []);
    }

    #[test]
    fn a_watched_directory_that_goes_loses_its_watch() {
        let (_keep, root, scope) = watched();
        assert_eq!(news(&scope, GONE, &root.join("manifests")), [News::Lost]);
        assert_eq!(news(&scope, MODE, &root.join("manifests")).len(), 1);
    }

    #[test]
    fn an_overflow_of_the_kernels_queue_may_mean_anything() {
        let (_keep, _root, scope) = watched();
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert_eq!(news_of(&Ok(overflow), &scope), [News::Anything]);
    }
}
