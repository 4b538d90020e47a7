//! `canaryd rollback NAME --offline`: all users back to production without a daemon, a journal, free disk or Docker.
//! It does what the prepared all-production twin can do, and nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use canaryd_gateway::{GenerationId, Intent, container::CONF_DIR};
use canaryd_link::{Link, LinkError, Ops, Owner};
use canaryd_rollout::{RolloutName, Weight};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

/// What a rollback without the daemon did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// The canary is at 0 %.
    Lowered,
    /// No canary had traffic. If one is being prepared, the daemon finds a word not to go on with it; or why no word could
    /// be left.
    NothingServed {
        /// Why there is no word.
        no_word: Option<String>,
    },
}

/// Lowers the canary of `name` to 0 % and says what was done.
///
/// # Errors
/// There is no gateway directory, or NGINX could not be signalled; each with what to do.
pub(crate) fn rollback(name: &RolloutName, state_dir: &Path) -> Result<Done> {
    let dir = std::path::absolute(state_dir)?.join("gateways").join(name.as_str());
    if !dir.join("conf").is_dir() {
        bail!("{} does not exist: is {name} a rollout of this host, and is --state right?", dir.display());
    }
    let link = Link::open(&dir, owner(), Ops::new(SocketAddr::from(([127, 0, 0, 1], 0)), String::new()))?;
    let current = link.current().context("the gateway has no configuration yet: nobody gets a canary")?;
    if !current.is_twin() && is_without_canary(&dir, current) {
        return Ok(leave_word(&dir));
    }
    match link.swap_to_twin() {
        Ok(Some(twin)) => say(&format!("{name}: the all-production configuration {twin} is in place")),
        Ok(None) => say(&format!("{name}: the all-production configuration {current} was in place already")),
        Err(LinkError::NoTwin) => {
            bail!("generation {current} has no all-production twin; stop the canary's containers instead")
        }
        Err(error) => return Err(error.into()),
    }
    let masters = masters_of(&dir)?;
    if masters.is_empty() {
        bail!(
            "no NGINX of this gateway was found to signal; it lowers when it is next started or signalled: docker kill -s HUP {name}-gateway"
        );
    }
    for master in masters {
        kill_process(master, Signal::HUP).with_context(|| {
            format!(
                "cannot signal process {}: try as root, or docker kill -s HUP {name}-gateway",
                master.as_raw_nonzero()
            )
        })?;
    }
    say(&format!("{name}: NGINX was told; new requests go to production within 150 ms"));
    Ok(Done::Lowered)
}

fn say(text: &str) {
    anstream::println!("{text}");
}

/// After a lane swap there is no canary: going back then needs containers, and so the daemon. Nor is there one before the
/// first request; then the daemon would raise it when it runs again, and finds a word not to.
fn leave_word(dir: &Path) -> Done {
    let no_word = fs::write(dir.join(WORD), "").err().map(|error| error.to_string());
    Done::NothingServed { no_word }
}

/// A file in the gateway's directory: what is on trial is to be aborted.
const WORD: &str = "rollback";

/// Takes the word away; returns whether it is about what is on its way since then.
pub(crate) fn take_word(dir: &Path, on_its_way: Option<Timestamp>) -> bool {
    let path = dir.join(WORD);
    let left = fs::metadata(&path).and_then(|found| found.modified()).ok().and_then(|at| Timestamp::try_from(at).ok());
    let _ = fs::remove_file(&path);
    left.zip(on_its_way).is_some_and(|(left, since)| left >= since)
}

fn is_without_canary(dir: &Path, current: GenerationId) -> bool {
    let path = dir.join("intents").join(format!("{current}.json"));
    let intent = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Intent>(&text).ok());
    intent.is_some_and(|intent| intent.traffic.canary() == Weight::ZERO)
}

/// Whose the files of a gateway are.
pub(crate) fn owner() -> Owner {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    if uid.is_root() {
        let (uid, gid) = canaryd_gateway::container::UNPRIVILEGED;
        return Owner { uid, gid };
    }
    Owner { uid: uid.as_raw(), gid: gid.as_raw() }
}

/// Master processes that have this gateway's directory mounted, seen from the host: a process named nginx whose parent
/// is none of them.
pub(crate) fn masters_of(dir: &Path) -> Result<Vec<Pid>> {
    let conf = fs::canonicalize(dir.join("conf"))?;
    let mut found: Vec<(i32, i32)> = Vec::new();
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        if is_nginx(&entry.path()) && mounts(&entry.path(), &conf) {
            found.push((pid, parent_of(&entry.path()).unwrap_or(0)));
        }
    }
    let pids: Vec<i32> = found.iter().map(|(pid, _)| *pid).collect();
    Ok(found.iter().filter(|(_, parent)| !pids.contains(parent)).filter_map(|(pid, _)| Pid::from_raw(*pid)).collect())
}

fn is_nginx(process: &Path) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == "nginx")
}

/// Whether `conf` is what the process has at the gateway's configuration path. `mountinfo` gives the mounted
/// directory relative to its own file system, so its end must agree.
fn mounts(process: &Path, conf: &Path) -> bool {
    let Ok(text) = fs::read_to_string(process.join("mountinfo")) else { return false };
    text.lines().any(|line| {
        let mut fields = line.split(' ').skip(3);
        let (Some(root), Some(target)) = (fields.next(), fields.next()) else { return false };
        let root = PathBuf::from(root.replace("\\040", " "));
        let relative = root.strip_prefix("/").unwrap_or(&root);
        target == CONF_DIR && !relative.as_os_str().is_empty() && conf.ends_with(relative)
    })
}

fn parent_of(process: &Path) -> Option<i32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
