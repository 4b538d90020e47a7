//! From the filled tree of a document to typed values; every problem on the way is collected.

mod component;
mod container;
mod files;
mod gateway;
mod judging;
mod mounts;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use component::Drafted;
pub(crate) use files::{WantedFile, Wants};

use crate::fields::Fields;
use crate::ids::RolloutName;
use crate::shapes;
use crate::spec::{Analysis, Check, Deadlines, Gateway, OnDelete, Promotion, PullPolicy, Stage};
use crate::tree::Node;
use crate::walk::{At, Walk};

/// A document, read; its files are only named.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) name: RolloutName,
    pub(crate) version: String,
    pub(crate) app: Drafted,
    pub(crate) workers: Vec<Drafted>,
    pub(crate) gateway: Gateway,
    pub(crate) stages: Vec<Stage>,
    pub(crate) analysis: Analysis,
    pub(crate) checks: Vec<Check>,
    pub(crate) deadlines: Deadlines,
    pub(crate) promotion: Promotion,
    pub(crate) on_delete: OnDelete,
}

impl Manifest {
    /// The app, then the workers.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Drafted> {
        std::iter::once(&self.app).chain(&self.workers)
    }

    /// Every file that is named.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let of = |w: &Wants| {
            let mounted = w.files.iter().map(|(f, _)| f.name.clone());
            w.env_files.iter().map(|f| f.name.clone()).chain(mounted).collect::<Vec<_>>()
        };
        self.components().flat_map(|d| of(&d.wants)).collect()
    }

    /// Every image of a component; where two differ about pulling, the one that pulls more wins.
    pub(crate) fn images(&self) -> BTreeMap<String, PullPolicy> {
        let rank = |p: PullPolicy| match p {
            PullPolicy::Never => 0,
            PullPolicy::Missing => 1,
            PullPolicy::Always => 2,
        };
        let mut images: BTreeMap<String, PullPolicy> = BTreeMap::new();
        for component in self.components().map(|d| &d.component).filter(|c| !c.image.is_empty()) {
            let policy = images.entry(component.image.clone()).or_insert(component.pull);
            if rank(component.pull) > rank(*policy) {
                *policy = component.pull;
            }
        }
        images
    }
}

/// Reads a document; `None` only where its name or its app cannot be read. The result counts only without errors.
pub(crate) fn manifest(walk: &mut Walk, root: &Node) -> Option<Manifest> {
    let at = At::root(root);
    let f = Fields::open(walk, &at, &shapes::DOCUMENT)?;
    f.read(walk, "apiVersion", |w, at| exactly(w, at, shapes::API_VERSION));
    f.read(walk, "kind", |w, at| exactly(w, at, "Rollout"));
    let name = f.read(walk, "metadata", |walk, at| {
        let f = Fields::open(walk, at, &shapes::METADATA)?;
        f.read(walk, "name", name)
    });
    walk.rollout.clone_from(&name);
    let spec = f.take(walk, "spec")?;
    read_spec(walk, &spec, name)
}

fn exactly(walk: &mut Walk, at: &At, word: &str) -> Option<()> {
    let text = walk.text(at)?;
    if text != word {
        let diagnostic = walk.wrong(at, word);
        if text.eq_ignore_ascii_case(word) && !at.is_computed() {
            diagnostic.hint("capitals count");
        }
    }
    Some(())
}

fn name(walk: &mut Walk, at: &At) -> Option<RolloutName> {
    let text = walk.text(at)?;
    match text.parse() {
        Ok(name) => Some(name),
        Err(bad) => {
            walk.error(at, format!("{} {} is not allowed", bad.what, at.shown())).label(bad.allowed);
            None
        }
    }
}

fn read_spec(walk: &mut Walk, at: &At, name: Option<RolloutName>) -> Option<Manifest> {
    let f = Fields::open(walk, at, &shapes::SPEC)?;
    f.take(walk, "vars");
    let version = f.read(walk, "version", version).unwrap_or_default();
    let app = f.read(walk, "app", component::app);
    let workers = f.read(walk, "workers", |w, at| w.list(at, component::worker)).unwrap_or_default();
    refuse_equal_workers(walk, &f);
    let gateway = f.read(walk, "gateway", gateway::gateway).unwrap_or_else(gateway::default_gateway);
    let observe = f.read(walk, "observe", Walk::some_time);
    let stages = match f.take(walk, "stages") {
        Some(at) => judging::stages(walk, &at, observe),
        None => judging::default_stages(observe),
    };
    let analysis = f.read(walk, "analysis", judging::analysis).unwrap_or_else(judging::default_analysis);
    let has_mode = at.node.get("analysis").is_some_and(|a| a.get("mode").is_some());
    let checks = match f.take(walk, "checks") {
        Some(at) => judging::checks(walk, &at, has_mode),
        None => judging::default_checks(),
    };
    judging::warn_of_warmup(walk, &f, &stages, &analysis, &checks);
    let deadlines = f.read(walk, "deadlines", judging::deadlines).unwrap_or_else(judging::default_deadlines);
    let promotion = f.read(walk, "promotion", judging::promotion).unwrap_or_else(judging::default_promotion);
    let words = [("keep", OnDelete::Keep), ("remove", OnDelete::Remove)];
    let on_delete = f.read(walk, "onDelete", |w, at| w.choice(at, &words)).unwrap_or(OnDelete::Keep);
    let (name, app) = (name?, app?);
    Some(Manifest { name, version, app, workers, gateway, stages, analysis, checks, deadlines, promotion, on_delete })
}

fn version(walk: &mut Walk, at: &At) -> Option<String> {
    walk.text_that(at, "letters, digits and . _ + -, at most 128", is_version)
}

/// Whether a text may be a version.
pub(crate) fn is_version(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-'))
}

fn refuse_equal_workers(walk: &mut Walk, f: &Fields) {
    let Some(at) = f.take(walk, "workers") else { return };
    let mut names = BTreeSet::new();
    for item in at.items() {
        let name = item.node.get("name").filter(|name| name.text().is_some_and(|text| !names.insert(text.to_owned())));
        if let Some(name) = name {
            let message = format!("two workers are called {}", judging::shown_name(&item));
            walk.error_in(name.span.clone(), &item.path, message).label("used by an earlier worker");
        }
    }
}
