//! What a container is created with.

use std::collections::BTreeMap;

use super::{files, mounts};
use crate::fields::Fields;
use crate::interpolate::is_variable_name;
use crate::quantity;
use crate::shapes;
use crate::spec::{Container, Gpus, Logging, Resources};
use crate::tree::Value;
use crate::walk::{At, Walk};

/// Reads every field of a container; env files, configs and secrets are only named.
pub(super) fn container(walk: &mut Walk, f: &Fields) -> Container {
    let sorted = |list: Option<Vec<String>>| {
        let mut list = list.unwrap_or_default();
        list.sort();
        list.dedup();
        list
    };
    let mounts = mounts::all(walk, f);
    Container {
        entrypoint: f.read(walk, "entrypoint", command).filter(|c| !c.is_empty()),
        command: f.read(walk, "command", command).filter(|c| !c.is_empty()),
        user: f.read(walk, "user", word),
        group_add: sorted(f.read(walk, "groupAdd", Walk::texts)),
        workdir: f.read(walk, "workdir", inside),
        env: f.read(walk, "env", environment).unwrap_or_default(),
        mounts,
        tmpfs: f.read(walk, "tmpfs", mounts::tmpfs).unwrap_or_default(),
        files: Vec::new(),
        networks: sorted(f.read(walk, "networks", names)),
        extra_hosts: sorted(f.read(walk, "extraHosts", extra_hosts)),
        dns: f.read(walk, "dns", |w, at| Some(addresses(w, at))).unwrap_or_default(),
        dns_search: f.read(walk, "dnsSearch", |w, at| Some(w.one_or_more(at))).unwrap_or_default(),
        resources: f.read(walk, "resources", resources).unwrap_or_default(),
        devices: sorted(f.read(walk, "devices", devices)),
        gpus: f.read(walk, "gpus", gpus),
        shm_size: f.read(walk, "shmSize", Walk::size),
        ulimits: f.read(walk, "ulimits", ulimits).unwrap_or_default(),
        sysctls: f.read(walk, "sysctls", |w, at| pairs(w, at, '=')).unwrap_or_default(),
        cap_add: sorted(f.read(walk, "capAdd", capabilities)),
        cap_drop: sorted(f.read(walk, "capDrop", capabilities)),
        security_opt: sorted(f.read(walk, "securityOpt", Walk::texts)),
        init: f.read(walk, "init", Walk::flag).unwrap_or_default(),
        read_only: f.read(walk, "readOnly", Walk::flag).unwrap_or_default(),
        labels: f.read(walk, "labels", labels).unwrap_or_default(),
        logging: f.read(walk, "logging", logging),
        platform: f.read(walk, "platform", platform),
        stop_signal: f.read(walk, "stopSignal", stop_signal),
        healthcheck: None,
    }
}

/// Words, or one text that is split into words.
pub(super) fn command(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    if matches!(at.node.value, Value::List(_)) {
        return walk.texts(at);
    }
    let text = walk.text(at)?;
    match files::words(&text) {
        Ok(words) => Some(words),
        Err(problem) => {
            walk.error(at, format!("{} {problem}", at.name())).hint("close the quote, or write a list of words");
            None
        }
    }
}

fn word(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "one word", |t| !t.is_empty() && !t.contains(char::is_whitespace))
}

/// An absolute path inside the container.
pub(super) fn inside(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "must be an absolute path", |t| t.starts_with('/') && !t.contains(['\0', '\n', ':']))
}

fn names(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    walk.list(at, docker_name)
}

/// The name of a network or a volume.
pub(super) fn docker_name(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "letters, digits, _, . and -, starting with a letter or a digit", mounts::is_docker_name)
}

fn addresses(walk: &mut Walk, at: &At) -> Vec<String> {
    let legal = |t: &str| t.parse::<std::net::IpAddr>().is_ok();
    at.items().iter().filter_map(|item| walk.text_that(item, "must be an IP address", legal)).collect()
}

fn environment(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, String>> {
    let values = pairs(walk, at, '=')?;
    for name in values.keys().filter(|n| n.is_empty() || n.contains(['\0', '\n', ' '])) {
        walk.error(at, format!("{name:?} is not allowed as the name of a variable")).hint("letters, digits and _");
    }
    if let Some(name) = values.iter().find(|(_, v)| v.contains('\0')).map(|(n, _)| n) {
        walk.error(at, format!("the value of {name} holds a NUL"));
    }
    for name in values.keys().filter(|n| !is_variable_name(n) && n.contains('-')) {
        walk.warn(at, format!("shells cannot read a variable called {name}"));
    }
    Some(values)
}

/// A mapping of texts, or a list of KEY=VALUE. Values are never shown.
fn pairs(walk: &mut Walk, at: &At, separator: char) -> Option<BTreeMap<String, String>> {
    if !matches!(at.node.value, Value::List(_)) {
        return walk.map_of_texts(at);
    }
    let mut found = BTreeMap::new();
    for item in at.items() {
        let Some(text) = walk.text(&item) else { continue };
        match text.split_once(separator) {
            None => {
                let message = format!("an item of {} without {separator}", at.name());
                walk.error(&item, message)
                    .hint(format!("write KEY{separator}VALUE; nothing is taken from the daemon's own environment"));
            }
            Some((key, _)) if found.contains_key(key) => {
                walk.error(&item, format!("{key} is written twice in {}", at.name()));
            }
            Some((key, value)) => {
                found.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    Some(found)
}

fn labels(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, String>> {
    let labels = pairs(walk, at, '=')?;
    for name in labels.keys() {
        if name.starts_with("io.canaryd.") {
            walk.error(at, format!("label {name} is taken: io.canaryd.* is set by canaryd"));
        } else if name.starts_with("com.docker.compose.") {
            walk.error(at, format!("label {name} is not allowed: Compose would remove the container as its orphan"));
        }
    }
    Some(labels)
}

fn extra_hosts(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    let entries = match &at.node.value {
        Value::List(_) => walk.texts(at)?,
        _ => walk.map_of_texts(at)?.into_iter().map(|(name, address)| format!("{name}:{address}")).collect(),
    };
    let legal = |e: &String| {
        e.split_once([':', '=']).is_some_and(|(name, to)| {
            !name.is_empty() && (to == "host-gateway" || to.parse::<std::net::IpAddr>().is_ok())
        })
    };
    if let Some(bad) = entries.iter().find(|e| !legal(e)) {
        walk.error(at, format!("{bad} in {} is not name:address", at.name())).hint("write db:10.0.0.5");
    }
    Some(entries)
}

fn resources(walk: &mut Walk, at: &At) -> Option<Resources> {
    let f = Fields::open(walk, at, &shapes::RESOURCES)?;
    let resources = Resources {
        nano_cpus: f.read(walk, "cpus", |walk, at| {
            let text = walk.text(at)?;
            quantity::cpus(&text).or_else(|| {
                walk.wrong(at, "a number of CPUs such as 2 or 0.5");
                None
            })
        }),
        memory: f.read(walk, "memory", |walk, at| at_least_6m(walk, at)),
        memory_reservation: f.read(walk, "memoryReservation", Walk::size),
        pids: f.read(walk, "pids", |walk, at| walk.whole(at, 1, 4_194_304)),
    };
    if let (Some(memory), Some(kept)) = (resources.memory, resources.memory_reservation)
        && kept > memory
    {
        walk.error(f.at(), "memoryReservation is more than memory");
    }
    Some(resources)
}

fn at_least_6m(walk: &mut Walk, at: &At) -> Option<u64> {
    let bytes = walk.size(at)?;
    if bytes < 6 * 1024 * 1024 {
        walk.error(at, "memory is less than the 6m that an engine needs");
        return None;
    }
    Some(bytes)
}

fn devices(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    walk.list(at, |walk, item| {
        walk.text_that(item, "path, path:path or path:path:rwm", |t| {
            let mut parts = t.split(':');
            parts.next().is_some_and(|p| p.starts_with('/')) && parts.count() <= 2
        })
    })
}

fn gpus(walk: &mut Walk, at: &At) -> Option<Gpus> {
    if matches!(at.node.value, Value::Map(_)) {
        let f = Fields::open(walk, at, &shapes::GPUS)?;
        let count = f.read(walk, "count", |walk, at| walk.count(at, 1, 64));
        let ids = f.read(walk, "devices", Walk::texts);
        return match (count, ids) {
            (Some(count), None) => Some(Gpus::Count(count)),
            (None, Some(ids)) => Some(Gpus::Devices(ids)),
            (Some(_), Some(_)) | (None, None) => {
                walk.error(at, "gpus takes either count or devices");
                None
            }
        };
    }
    if walk.text(at)? == "all" { Some(Gpus::All) } else { walk.count(at, 1, 64).map(Gpus::Count) }
}

fn ulimits(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, (i64, i64)>> {
    let mut found = BTreeMap::new();
    for (name, item) in walk.entries(at)? {
        let limit = match &item.node.value {
            Value::Map(_) => Fields::open(walk, &item, &shapes::ULIMIT).and_then(|f| {
                let soft = f.read(walk, "soft", |w, at| w.whole(at, -1, i64::MAX));
                soft.zip(f.read(walk, "hard", |w, at| w.whole(at, -1, i64::MAX)))
            }),
            _ => walk.whole(&item, -1, i64::MAX).map(|n| (n, n)),
        };
        found.extend(limit.map(|l| (name, l)));
    }
    Some(found)
}

fn capabilities(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    let legal =
        |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b.is_ascii_digit());
    let names =
        walk.list(at, |walk, item| walk.text_that(item, "the name of a capability such as NET_ADMIN", legal))?;
    Some(
        names.iter().map(|n| n.to_ascii_uppercase()).map(|n| n.strip_prefix("CAP_").unwrap_or(&n).to_owned()).collect(),
    )
}

fn logging(walk: &mut Walk, at: &At) -> Option<Logging> {
    let f = Fields::open(walk, at, &shapes::LOGGING)?;
    let options = f.read(walk, "options", Walk::map_of_texts).unwrap_or_default();
    Some(Logging { driver: f.read(walk, "driver", word)?, options })
}

fn platform(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "os/arch or os/arch/variant", |t| {
        let parts: Vec<_> = t.split('/').collect();
        (2..=3).contains(&parts.len())
            && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

fn stop_signal(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "a signal such as SIGTERM or SIGQUIT, or its number", |t| {
        !t.is_empty() && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'+' || b == b'-')
    })
}
