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
pub(super) fn all(walk: &mut Walk, f: &Fields, targets: &mut Targets) -> Vec<Mount> {
    let mut found = Vec::new();
    for (name, volume) in [("mounts", false), ("volumes", true)] {
        let some = f.read(walk, name, |walk, at| {
            walk.list(at, |walk, item| {
                let mount = mount(walk, item, volume)?;
                targets.take(walk, item, &mount.target);
                Some(mount)
            })
        });
        found.extend(some.unwrap_or_default());
    }
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found
}

/// The places inside one container at which something is mounted.
#[derive(Debug, Default)]
pub(super) struct Targets(BTreeSet<String>);

impl Targets {
    /// Notes a target; the second one at the same place is an error.
    pub(super) fn take(&mut self, walk: &mut Walk, at: &At, target: &str) {
        let plain = if target.len() > 1 { target.trim_end_matches('/') } else { target };
        if !self.0.insert(plain.to_owned()) {
            walk.error(at, "the target of this mount is taken by another one")
                .label("mounted a second time")
                .hint("each target is used once among mounts, volumes, tmpfs, secrets and configs");
        }
    }
}

fn mount(walk: &mut Walk, at: &At, volume: bool) -> Option<Mount> {
    let mount = match &at.node.value {
        Value::Map(_) => long(walk, at, volume)?,
        _ => short(walk, at, volume)?,
    };
    check_source(walk, at, &mount)?;
    if !mount.read_only && mount.sharing.is_none() {
        let forms = if volume { "sharing: shared, or sharing: perRevision" } else { "sharing: shared" };
        let written = at.written().trim_end_matches(":rw");
        let hint = match written.split_once(':').filter(|_| !at.is_computed()) {
            Some((source, target)) => format!(
                "{DANGER}\nread-only: \"{source}:{target}:ro\"; if that is fine: {{ source: {source}, target: {target}, {forms} }}"
            ),
            None => format!("{DANGER}\nread-only: readOnly: true; if that is fine: {forms}"),
        };
        let what = if volume { "volume" } else { "mount" };
        walk.error(at, format!("writable {what} must say sharing")).label("who writes here?").hint(hint);
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
            walk.error(at, "a volume is a name, not a path")
                .label("must be the name of a volume")
                .hint("paths of the host go under mounts");
            None
        }
        (true, false) => {
            walk.error(at, "the name of the volume is not allowed").label("letters, digits, _, . and -");
            None
        }
        (false, false) if is_docker_name(&mount.source) => {
            walk.error(at, "a mount is an absolute path of the host")
                .label("must begin with /")
                .hint("named volumes go under volumes");
            None
        }
        (false, false) => {
            walk.error(at, "a mount is an absolute path of the host")
                .label("must begin with /")
                .hint("write the whole path, from /");
            None
        }
    }
}

/// `tmpfs`: a path, a list of paths, or a mapping of paths to options.
pub(super) fn tmpfs(walk: &mut Walk, at: &At, targets: &mut Targets) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if matches!(at.node.value, Value::Map(_)) {
        for (path, item) in walk.entries(at)? {
            if !path.starts_with('/') {
                walk.error_at_key(&item, "the path of a tmpfs must be absolute").label("must begin with /");
            }
            targets.take(walk, &item, &path);
            found.extend(walk.text(&item).map(|options| (path, options)));
        }
        return Some(found);
    }
    for item in at.items() {
        let allowed = "must be an absolute path, or path:options";
        let Some(text) = walk.text_that(&item, allowed, |t| t.starts_with('/')) else { continue };
        let (path, options) = text.split_once(':').unwrap_or((&text, ""));
        targets.take(walk, &item, path);
        found.insert(path.to_owned(), options.to_owned());
    }
    Some(found)
}

/// Whether Docker takes it as the name of a network or a volume.
pub(super) fn is_docker_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
