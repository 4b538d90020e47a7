//! What /proc says of a process.

use std::fs;

use crate::doctor::facts::Process;

/// `CAP_KILL` in a set of capabilities.
const CAP_KILL: u64 = 1 << 5;

pub(super) fn me() -> Process {
    process(std::process::id()).unwrap_or_default()
}

/// `None`: it is not seen from here.
pub(super) fn process(pid: u32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as u64);
    Some(Process { files: open_files(&limits).map(|limit| (limit, open)), ..of_status(pid, &status)? })
}

/// Whether that process is an NGINX.
pub(super) fn is_nginx(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "nginx")
}

fn of_status(pid: u32, status: &str) -> Option<Process> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let uids: Vec<u32> = field("Uid:")?.split_whitespace().filter_map(|uid| uid.parse().ok()).collect();
    let capabilities = field("CapEff:").and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    let uids = [*uids.first()?, *uids.get(1)?, *uids.get(2)?];
    Some(Process { pid, uids, may_kill: capabilities & CAP_KILL != 0, files: None })
}

fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_right_to_signal_are_read() {
        let status = "Name:\tx\nUid:\t1000\t0\t1001\t0\nCapEff:\t0000000000000020\n";
        let found = of_status(7, status).unwrap();
        assert_eq!((found.uids, found.may_kill), ([1000, 0, 1001], true));
        assert!(!of_status(7, &status.replace("20\n", "df\n")).unwrap().may_kill);
        assert_eq!(
            open_files("Limit   Soft\nMax open files            1024                 524288  files\n"),
            Some(1024)
        );
    }

    #[test]
    fn this_process_is_seen() {
        assert!(me().files.is_some_and(|(limit, open)| limit > 0 && open > Some(0)));
    }
}
