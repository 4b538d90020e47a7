//! One look at a directory, for whoever does not watch it: the same files that the watch would list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::listing::Trouble;
use crate::look::{Limits, look};

/// What one look at a directory found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Every manifest in it and below, in order; each path begins as the directory was given.
    pub files: Vec<PathBuf>,
    /// How many directories were read, itself included.
    pub directories: usize,
    /// Why it was not read completely.
    pub trouble: Option<Trouble>,
}

/// Lists `dir` by the rules of [`DirectorySource`](crate::DirectorySource), and watches nothing. Blocks on the file system.
#[must_use]
pub fn glance(dir: &Path) -> Glance {
    let top = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let seen = look(std::slice::from_ref(&top), &BTreeSet::new(), Limits::default());
    let as_given = |path: PathBuf| path.strip_prefix(&top).map_or_else(|_| path.clone(), |rest| dir.join(rest));
    let troubles = seen.listing.dirs.into_iter().filter_map(|state| state.trouble);
    Glance {
        files: seen.listing.files.into_keys().map(as_given).collect(),
        directories: seen.scope.listed(),
        // That there is nothing is no trouble for whoever only looks.
        trouble: troubles.into_iter().find(|trouble| !matches!(trouble, Trouble::Empty { .. })),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn hidden_files_are_passed_over_symlinks_are_followed_and_a_loop_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("top/.git")).expect("a directory");
        fs::create_dir(at("elsewhere")).expect("a directory");
        for name in ["top/b.yaml", "top/.git/c.yaml", "top/.d.yaml", "top/e.txt", "elsewhere/a.yml"] {
            fs::write(at(name), "").expect("a file");
        }
        symlink("../elsewhere", at("top/team")).expect("a link");
        symlink("../top", at("elsewhere/back")).expect("a link");
        let seen = glance(&at("top"));
        assert_eq!(seen.files, [at("top/b.yaml"), at("top/team/a.yml")]);
        assert_eq!((seen.directories, seen.trouble), (2, None));
    }

    #[test]
    fn an_empty_directory_is_no_trouble_and_an_absent_one_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = glance(dir.path());
        assert_eq!((empty.files.len(), empty.directories, empty.trouble), (0, 1, None));
        let path = dir.path().join("absent");
        assert_eq!(glance(&path).trouble, Some(Trouble::Vanished { path }));
    }

    #[test]
    fn paths_begin_as_the_directory_was_given() {
        // The tests of a crate run in its directory.
        let seen = glance(Path::new("./src/.."));
        assert!(seen.files.iter().all(|path| path.starts_with("./src/..")), "{:?}", seen.files);
    }
}
