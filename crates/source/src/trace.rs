//! Which directory entries decide what a path leads to.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many symlinks as Linux follows in one path.
const MOST_LINKS: usize = 40;

/// The way that a path takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Entries whose change makes the path lead elsewhere, as (directory without symlinks, name): every symlink on the
    /// way, and where the way ends early, the entry that is missing.
    pub(crate) turns: Vec<(PathBuf, OsString)>,
    /// Where it leads, free of symlinks; `None` when it leads nowhere.
    pub(crate) end: Option<PathBuf>,
}

/// Follows an absolute path as the kernel does.
pub(crate) fn trace(path: &Path) -> Trace {
    let mut trace = Trace::default();
    let mut here = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = steps(path).collect();
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&step);
        match std::fs::symlink_metadata(&next) {
            Ok(meta) if meta.is_symlink() => {
                trace.turns.push((here.clone(), step));
                links += 1;
                let Ok(target) = std::fs::read_link(&next) else { return trace };
                if links > MOST_LINKS {
                    return trace;
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(step);
                }
            }
            Ok(_) => here = next,
            Err(error) => {
                trace.turns.extend(dead_end(&here, step, &error));
                return trace;
            }
        }
    }
    trace.end = Some(here);
    trace
}

/// The entry that has to change before the way goes on: the missing one, or the file that is no directory.
fn dead_end(here: &Path, step: OsString, error: &io::Error) -> Option<(PathBuf, OsString)> {
    if error.kind() == io::ErrorKind::NotADirectory {
        return Some((here.parent()?.to_owned(), here.file_name()?.to_owned()));
    }
    Some((here.to_owned(), step))
}

fn steps(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn room() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let real = dir.path().canonicalize().expect("its real path");
        (dir, real)
    }

    #[test]
    fn every_symlink_on_the_way_is_a_turn_and_the_end_has_none() {
        let (_keep, root) = room();
        std::fs::create_dir_all(root.join("releases/17/manifests")).expect("directories");
        symlink("releases/17", root.join("current")).expect("a link");
        symlink(root.join("current/manifests"), root.join("watched")).expect("a link");
        let trace = trace(&root.join("watched"));
        assert_eq!(trace.turns, [(root.clone(), "watched".into()), (root.clone(), "current".into())]);
        assert_eq!(trace.end, Some(root.join("releases/17/manifests")));
    }

    #[test]
    fn a_way_that_ends_early_turns_at_the_missing_entry() {
        let (_keep, root) = room();
        std::fs::create_dir(root.join("a")).expect("a directory");
        let trace = trace(&root.join("a/b/c"));
        assert_eq!((trace.turns, trace.end), (vec![(root.join("a"), "b".into())], None));
    }

    #[test]
    fn a_file_in_the_way_is_the_turn() {
        let (_keep, root) = room();
        std::fs::write(root.join("a"), "").expect("a file");
        let trace = trace(&root.join("a/b"));
        assert_eq!((trace.turns, trace.end), (vec![(root, "a".into())], None));
    }

    #[test]
    fn a_loop_of_symlinks_ends() {
        let (_keep, root) = room();
        symlink("b", root.join("a")).expect("a link");
        symlink("a", root.join("b")).expect("a link");
        let trace = trace(&root.join("a/x"));
        assert_eq!((trace.turns.len(), trace.end), (MOST_LINKS + 1, None));
    }

    #[test]
    fn a_step_back_after_a_symlink_is_taken_where_the_link_leads() {
        let (_keep, root) = room();
        std::fs::create_dir_all(root.join("x/y")).expect("directories");
        symlink("x/y", root.join("l")).expect("a link");
        assert_eq!(trace(&root.join("l/../y")).end, Some(root.join("x/y")));
    }
}
