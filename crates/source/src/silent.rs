//! File systems on which a change made elsewhere gives no event.

use std::path::Path;

/// Magic numbers of statfs(2), with the names that people know.
const SILENT: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x786f_4256, "a VirtualBox share"),
];

/// The kind of file system at `path`, if it is one that does not tell of every change.
#[cfg(target_os = "linux")]
pub(crate) fn silent_file_system(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    // The field's width and sign differ between platforms; the magic numbers have 32 bits.
    let magic = u64::try_from(i128::from(kind) & 0xffff_ffff).ok()?;
    SILENT.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn silent_file_system(_path: &Path) -> Option<&'static str> {
    None
}
