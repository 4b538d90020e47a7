//! What a container is created with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::mounts::Targets;
use super::{files, mounts};
use crate::fields::Fields;
use crate::interpolate::is_variable_name;
use crate::quantity;
use crate::shapes;
use crate::spec::{Container, Gpus, Logging, Resources};
use crate::tree::{Entry, Span, Value};
use crate::walk::{At, Walk, shortened};

/// Reads every field of a container; env files, configs and secrets are only named.
pub(super) fn container(walk: &mut Walk, f: &Fields, targets: &mut Targets) -> Container {
    let sorted = |list: Option<Vec<String>>| {
        let mut list = list.unwrap_or_default();
        list.sort();
        list.dedup();
        list
    };
    let mounts = mounts::all(walk, f, targets);
    Container {
        entrypoint: f.read(walk, "entrypoint", command).filter(|c| !c.is_empty()),
        command: f.read(walk, "command", command).filter(|c| !c.is_empty()),
        user: f.read(walk, "user", word),
        group_add: sorted(f.read(walk, "groupAdd", Walk::texts)),
        workdir: f.read(walk, "workdir", inside),
        env: f.read(walk, "env", environment).unwrap_or_default(),
        mounts,
        tmpfs: f.read(walk, "tmpfs", |w, at| mounts::tmpfs(w, at, targets)).unwrap_or_default(),
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
        sysctls: f.read(walk, "sysctls", |w, at| pairs(w, at).map(Pair::map)).unwrap_or_default(),
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
            walk.error(at, format!("{} {problem}", at.name()))
                .label("this cannot be split into words")
                .hint("close the quote, or write a list of words");
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
    let legal = |t: &str| t.parse::<IpAddr>().is_ok();
    at.items().iter().filter_map(|item| walk.text_that(item, "must be an IP address", legal)).collect()
}

fn environment(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, String>> {
    let pairs = pairs(walk, at)?;
    for pair in &pairs {
        if pair.name.is_empty() || pair.name.contains(|c: char| c.is_control() || c.is_whitespace()) {
            let message = format!("{} is not allowed as the name of a variable", pair.shown);
            walk.error_in(pair.span.clone(), &at.path, message).label("letters, digits and _");
        } else if !is_variable_name(&pair.name) {
            let message = format!("shells cannot read a variable called {}", pair.shown);
            walk.warn_in(pair.span.clone(), &at.path, message).label("letters, digits and _, no digit first");
        }
        if pair.value.contains('\0') {
            walk.error_in(pair.span.clone(), &at.path, format!("the value of {} holds a NUL", pair.shown))
                .label("a variable of a program cannot hold it");
        }
    }
    Some(Pair::map(pairs))
}

/// A name and a value, as a mapping or a list of KEY=VALUE gives them.
struct Pair {
    name: String,
    value: String,
    /// The name as a message may show it.
    shown: String,
    /// Where the name is.
    span: Span,
}

impl Pair {
    fn map(pairs: Vec<Self>) -> BTreeMap<String, String> {
        pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
    }
}

/// A mapping of texts, or a list of KEY=VALUE. Values are never shown.
fn pairs(walk: &mut Walk, at: &At) -> Option<Vec<Pair>> {
    if let Value::Map(entries) = &at.node.value {
        let pair = |entry: &Entry, walk: &mut Walk| {
            let item = at.field(entry.shown(), &entry.key_span, &entry.node);
            let shown = shortened(entry.shown());
            Some(Pair { name: entry.key.clone(), value: walk.text(&item)?, shown, span: entry.key_span.clone() })
        };
        return Some(entries.iter().filter_map(|entry| pair(entry, walk)).collect());
    }
    if !matches!(at.node.value, Value::List(_)) {
        walk.map_of_texts(at);
        return None;
    }
    let mut found: Vec<Pair> = Vec::new();
    for item in at.items() {
        let Some(text) = walk.text(&item) else { continue };
        let Some((name, value)) = text.split_once('=') else {
            walk.error(&item, format!("an item of {} without =", at.name()))
                .label("must be KEY=VALUE")
                .hint("nothing is taken from the daemon's own environment; an empty value is KEY=");
            continue;
        };
        let shown = shortened(item.written().split('=').next().unwrap_or_default());
        if found.iter().any(|pair| pair.name == name) {
            walk.error(&item, format!("{shown} is written twice in {}", at.name())).label("keep one of the two");
        }
        let (name, value) = (name.to_owned(), value.to_owned());
        found.push(Pair { name, value, shown, span: item.spot() });
    }
    Some(found)
}

fn labels(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, String>> {
    let pairs = pairs(walk, at)?;
    for pair in &pairs {
        let why = if pair.name.is_empty() {
            "a label needs a name"
        } else if pair.name.starts_with("io.canaryd.") {
            "io.canaryd.* is set by canaryd"
        } else if pair.name.starts_with("com.docker.compose.") {
            "Compose would remove the container as its orphan"
        } else {
            continue;
        };
        let message = format!("label {} is not allowed", pair.shown);
        walk.error_in(pair.span.clone(), &at.path, message).label(why).hint("take another name, or drop it");
    }
    Some(Pair::map(pairs))
}

fn extra_hosts(walk: &mut Walk, at: &At) -> Option<Vec<String>> {
    let legal = |name: &str, to: &str| {
        !name.is_empty()
            && !name.contains(char::is_whitespace)
            && (to == "host-gateway" || to.parse::<IpAddr>().is_ok())
    };
    let allowed = "name:address such as db:10.0.0.5, or name:host-gateway";
    if matches!(at.node.value, Value::List(_)) {
        let of = |t: &str| t.split_once([':', '=']).map(|(name, to)| (name.to_owned(), to.to_owned()));
        let texts = walk.list(at, |walk, item| {
            walk.text_that(item, allowed, |t| of(t).is_some_and(|(name, to)| legal(&name, &to)))
        })?;
        return Some(texts.iter().filter_map(|t| of(t)).map(|(name, to)| format!("{name}:{to}")).collect());
    }
    let entries = walk.entries(at)?;
    let mut found = Vec::new();
    for (name, item) in &entries {
        let to = walk.text_that(item, "must be an IP address, or host-gateway", |t| legal(name, t));
        found.extend(to.map(|to| format!("{name}:{to}")));
    }
    Some(found)
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
        let place = f.take(walk, "memoryReservation").unwrap_or_else(|| f.at().clone());
        walk.error(&place, "memoryReservation is more than memory").label("at most memory");
    }
    Some(resources)
}

fn at_least_6m(walk: &mut Walk, at: &At) -> Option<u64> {
    let bytes = walk.size(at)?;
    if bytes < 6 * 1024 * 1024 {
        walk.error(at, format!("memory {} is less than an engine takes", at.shown())).label("at least 6m");
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
                walk.error(at, "gpus takes either count or devices").label("one of the two").hint("or write gpus: all");
                None
            }
        };
    }
    let text = walk.text(at)?;
    match text.parse::<u32>() {
        _ if text == "all" => Some(Gpus::All),
        Ok(count) if at.may_be_number() && (1..=64).contains(&count) => Some(Gpus::Count(count)),
        Ok(_) | Err(_) => {
            walk.wrong(at, "all, a number from 1 to 64, or { devices: [ID] }");
            None
        }
    }
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
        let named = t.starts_with(|c: char| c.is_ascii_uppercase())
            && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'+' || b == b'-');
        let number = t.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n));
        named || number && !t.starts_with(['0', '+'])
    })
}
