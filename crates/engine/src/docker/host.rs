//! What is read from and done to this host directly: /proc. Everything here is best effort and says so by its `Option` or `bool`.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::subnet::Subnet;
use crate::gateway::Signal;

/// Destinations of the host's routes, the default route excepted.
pub(super) fn routes() -> Vec<Subnet> {
    routes_by_device().into_iter().map(|(_, route)| route).collect()
}

/// The same, with the device of each.
pub(super) fn routes_by_device() -> Vec<(String, Subnet)> {
    fs::read_to_string("/proc/net/route").map(|text| parse_routes(&text)).unwrap_or_default()
}

/// Addresses there are hexadecimal in the byte order of the machine (little endian on everything that Docker runs on here).
fn parse_routes(text: &str) -> Vec<(String, Subnet)> {
    let hex = |field: Option<&&str>| field.and_then(|f| u32::from_str_radix(f, 16).ok()).map(u32::swap_bytes);
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, mask) = (hex(fields.get(1))?, hex(fields.get(7))?);
            let prefix = u8::try_from(mask.leading_ones()).ok().filter(|p| *p > 0)?;
            Some(((*fields.first()?).to_owned(), Subnet::around(Ipv4Addr::from(address), prefix)?))
        })
        .collect()
}

/// Memory of this host in bytes: all of it, and what new processes could use.
#[must_use]
pub fn memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:")?))
}

/// Whether that process of this host is in the container (its cgroup carries the container's id).
pub(super) fn is_in_container(pid: i64, container_id: &str) -> bool {
    !container_id.is_empty()
        && pid > 1
        && fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(container_id))
}

/// Signals the process if it is the container's. A pidfd is opened before the look at its cgroup, so that a process id
/// that was given to another process in between is never hit. `false`: not done, ask the engine.
pub(super) fn signal(pid: i64, container_id: &str, signal: Signal) -> bool {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) else { return false };
    let signal = match signal {
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Quit => rustix::process::Signal::QUIT,
    };
    is_in_container(pid, container_id) && pidfd_send_signal(fd, signal).is_ok()
}

/// Workers of that NGINX master which say in their title that they are shutting down. `None`: cannot be told from here.
pub(super) fn old_workers(master: i64, container_id: &str) -> Option<u32> {
    if !is_in_container(master, container_id) {
        return None;
    }
    let title = |pid: i64| fs::read(format!("/proc/{pid}/cmdline")).map(|t| String::from_utf8_lossy(&t).into_owned());
    let leaving = children(master)?.into_iter().filter_map(|p| title(p).ok()).filter(|t| is_old_worker(t));
    u32::try_from(leaving.count()).ok()
}

/// Whether a process title is that of a worker that finishes requests of an older generation.
pub(super) fn is_old_worker(title: &str) -> bool {
    title.contains("worker process is shutting down")
}

fn children(pid: i64) -> Option<Vec<i64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Some(text.split_whitespace().filter_map(|p| p.parse().ok()).collect())
}

/// How much sooner than others the kernel kills an expendable container when memory is short.
const EXPENDABLE: i32 = 500;

/// Sets or takes back the mark "first to go when memory is short" on the container's process and its descendants.
pub(super) fn mark_expendable(pid: i64, container_id: &str, expendable: bool) {
    if !is_in_container(pid, container_id) {
        return;
    }
    let mut waiting = vec![pid];
    let mut seen = 0;
    while let Some(pid) = waiting.pop() {
        set_oom_score(pid, expendable);
        waiting.extend(children(pid).unwrap_or_default());
        seen += 1;
        if seen > 1000 {
            return;
        }
    }
}

/// What somebody else set is left alone.
fn set_oom_score(pid: i64, expendable: bool) {
    let file = format!("/proc/{pid}/oom_score_adj");
    let Some(now) = fs::read_to_string(&file).ok().and_then(|t| t.trim().parse::<i32>().ok()) else { return };
    let wanted = match (expendable, now) {
        (true, 0) => EXPENDABLE,
        (false, EXPENDABLE) => 0,
        (true | false, _) => return,
    };
    if let Err(error) = fs::write(&file, wanted.to_string()) {
        tracing::debug!(pid, %error, "the memory priority could not be set");
    }
}

/// When the engine that listens on this socket was started, by the process id file beside the socket. `None` if there is none.
pub(super) fn engine_start(socket: &Path) -> Option<EngineStart> {
    let file = fs::canonicalize(socket).ok()?.with_extension("pid");
    let pid: i64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22; the second one, the name, may hold spaces and ends with the last parenthesis.
    let ticks: i64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    // USER_HZ is 100 on every Linux that Docker supports.
    Some(EngineStart { pid, at: Timestamp::from_second(boot + ticks / 100).ok()? })
}

/// Identity of one life of the engine's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EngineStart {
    pub(super) pid: i64,
    pub(super) at: Timestamp,
}

impl EngineStart {
    /// The moment is reckoned from the boot's, which moves a little with the clock.
    pub(super) fn is_same_life(self, other: Self) -> bool {
        self.pid == other.pid && self.at.duration_since(other.at).abs() <= SignedDuration::from_secs(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_and_the_default_route_is_not_one() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
                    docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let routes: Vec<_> = parse_routes(text).iter().map(|(device, route)| format!("{device} {route}")).collect();
        assert_eq!(routes, ["tun0 10.0.0.0/8", "docker0 172.17.0.0/16"]);
    }

    #[test]
    fn a_process_of_the_host_is_in_no_container_and_is_not_signalled() {
        let own = i64::from(std::process::id());
        assert!(!is_in_container(own, &"0".repeat(64)));
        assert!(!signal(own, &"0".repeat(64), Signal::Quit), "this test would have ended here");
        assert_eq!(old_workers(own, &"0".repeat(64)), None);
    }

    #[test]
    fn the_hosts_memory_is_known() {
        let (total, free) = memory().unwrap();
        assert!(free > 0 && free <= total);
    }
}
