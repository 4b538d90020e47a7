//! Which names count.

use std::ffi::OsStr;
use std::path::Path;

/// Whether a file of this name is a manifest. The ending alone keeps out what editors and tools leave beside a file
/// while they write it (`shop.yaml~`, `4913`, `#shop.yaml#`, `shop.yaml.tmp`, `sedA1b2C3`).
pub(crate) fn is_manifest(name: &OsStr) -> bool {
    let ending = Path::new(name).extension();
    !is_skipped(name) && ending.is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Whether a file or directory of this name is passed over: hidden ones (`.git`, `.shop.yaml.swp`, `.#shop.yaml`,
/// `..data`), and the one that every new ext4 file system has and only root can read.
pub(crate) fn is_skipped(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "lost+found"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_behind_is_no_manifest() {
        let left = [
            ".shop.yaml.swp",
            ".shop.yaml.swx",
            "4913",
            "shop.yaml~",
            ".#shop.yaml",
            "#shop.yaml#",
            ".goutputstream-X1Y2Z3",
            "shop.yaml___jb_tmp___",
            "sedA1b2C3",
            ".shop.yaml.kate-swp",
            ".shop.yaml.Q3v5kT",
            "shop.yaml.bak",
        ];
        for name in left {
            assert!(!is_manifest(OsStr::new(name)), "{name}");
        }
        for name in ["shop.yaml", "shop.yml", "a.b.yaml", "shop backup.yaml"] {
            assert!(is_manifest(OsStr::new(name)), "{name}");
        }
    }
}
