//! Mounts of host paths, named volumes, and tmpfs.

use std::collections::{BTreeMap, BTreeSet};

use super::container::inside;
use crate::fields::Fields;
use crate::shapes;
use crate::spec::{Mount, Sharing};
use crate::tree::Value;
use crate::walk::{At, Walk};

const DANGER: &str = "while a rollout runs, the old and the new version both write there at once; \
                      what a bad version writes stays after it was taken off";

/// `mounts` and `volumes`, sorted by target.
pub(super) fn all(walk: &mut Walk, f: &Fields) -> Vec<Mount> {
    let mut found = f.read(walk, "mounts", |w, at| w.list(at, |w, item| mount(w, item, false))).unwrap_or_default();
    found.extend(f.read(walk, "volumes", |w, at| w.list(at, |w, item| mount(w, item, true))).unwrap_or_default());
    let mut targets = BTreeSet::new();
    if let Some(twice) = found.iter().find(|m| !targets.insert(m.target.clone())) {
        let message = format!("{} is mounted twice", twice.target);
        walk.error_at_key(f.at(), message).hint("each target can be used once in mounts and volumes");
    }
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found
}

fn mount(walk: &mut Walk, at: &At, volume: bool) -> Option<Mount> {
    let mount = match &at.node.value {
        Value::Map(_) => long(walk, at, volume)?,
        _ => short(walk, at, volume)?,
    };
    check_source(walk, at, &mount)?;
    if !mount.read_only && mount.sharing.is_none() {
        let forms = if volume { "sharing: shared, or sharing: perRevision" } else { "sharing: shared" };
        let hint = format!(
            "{DANGER}\nread-only: {}:{}:ro; if that is fine: {{ source: {}, target: {}, {forms} }}",
            mount.source, mount.target, mount.source, mount.target
        );
        walk.error(at, format!("writable {} must say sharing", if volume { "volume" } else { "mount" })).hint(hint);
        return None;
    }
    Some(Mount { sharing: mount.sharing.filter(|_| !mount.read_only), ..mount })
}

fn long(walk: &mut Walk, at: &At, volume: bool) -> Option<Mount> {
    let f = Fields::open(walk, at, if volume { &shapes::VOLUME } else { &shapes::MOUNT })?;
    let words: &[(&str, Sharing)] = if volume {
        &[("shared", Sharing::Shared), ("perRevision", Sharing::PerRevision)]
    } else {
        &[("shared", Sharing::Shared)]
    };
    let source = f.read(walk, "source", Walk::text);
    let target = f.read(walk, "target", inside);
    let read_only = f.read(walk, "readOnly", Walk::flag).unwrap_or(false);
    let sharing = f.read(walk, "sharing", |walk, at| walk.choice(at, words));
    if f.has("sharing") && sharing.is_none() {
        return None;
    }
    Some(Mount { source: source?, target: target?, volume, read_only, sharing })
}

fn short(walk: &mut Walk, at: &At, volume: bool) -> Option<Mount> {
    let text = walk.text(at)?;
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target] => (*source, *target, "rw"),
        [source, target, options] => (*source, *target, *options),
        _ => {
            walk.wrong(at, "source:target or source:target:ro");
            return None;
        }
    };
    if !target.starts_with('/') || !matches!(options, "ro" | "rw") {
        walk.wrong(at, "source:target:ro with an absolute target");
        return None;
    }
    let (source, target) = (source.to_owned(), target.to_owned());
    Some(Mount { source, target, volume, read_only: options == "ro", sharing: None })
}

fn check_source(walk: &mut Walk, at: &At, mount: &Mount) -> Option<()> {
    let absolute = mount.source.starts_with('/');
    match (mount.volume, absolute) {
        (true, false) if is_docker_name(&mount.source) => Some(()),
        (false, true) => Some(()),
        (true, true) => {
            walk.error(at, "a volume is a name, not a path").hint("paths of the host go under mounts");
            None
        }
        (true, false) => {
            walk.error(at, "the name of the volume is not allowed").label("letters, digits, _, . and -");
            None
        }
        (false, false) if is_docker_name(&mount.source) => {
            walk.error(at, "a mount is an absolute path of the host").hint("named volumes go under volumes");
            None
        }
        (false, false) => {
            walk.error(at, "the source of a mount must be an absolute path").hint("write the whole path, from /");
            None
        }
    }
}

/// `tmpfs`: a path, a list of paths, or a mapping of paths to options.
pub(super) fn tmpfs(walk: &mut Walk, at: &At) -> Option<BTreeMap<String, String>> {
    let found: BTreeMap<_, _> = if matches!(at.node.value, Value::Map(_)) {
        walk.map_of_texts(at)?
    } else {
        let split =
            |t: &String| t.split_once(':').map_or((t.clone(), String::new()), |(p, o)| (p.to_owned(), o.to_owned()));
        walk.one_or_more(at).iter().map(split).collect()
    };
    if let Some(bad) = found.keys().find(|p| !p.starts_with('/')) {
        walk.error(at, format!("{bad} in tmpfs must be an absolute path"));
    }
    Some(found)
}

/// Whether Docker takes it as the name of a network or a volume.
pub(super) fn is_docker_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
