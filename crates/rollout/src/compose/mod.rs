//! A rollout as a Compose file: the way out of canaryd. No value of an environment variable and no content of a secret or
//! a config is in it: the file names them, and the steps say how to take them from a container that has them.

mod service;
mod steps;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ids::ComponentName;
use crate::spec::{Component, FileMount, Rollout, Sharing};

/// What a manifest does not say of a version that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// On which host.
    pub host: String,
    /// Each component as it runs; one that is missing does not.
    pub components: BTreeMap<ComponentName, RunningComponent>,
    /// Host port of the app under Compose, the first one where there are several replicas.
    pub port: u16,
}

/// One component as it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningComponent {
    /// A name of its very image: `shop@sha256:…`, else its content id.
    pub image: String,
    /// A container of it.
    pub container: Option<String>,
    /// How many there should be.
    pub replicas: u32,
}

/// The way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// The Compose file.
    pub compose: String,
    /// What to do with it, in this order. `beside FILE` and `-f FILE` stand for its name.
    pub steps: Vec<EjectStep>,
}

/// One step of the way out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct EjectStep {
    /// What is done and why.
    pub what: String,
    /// The commands, if any.
    pub commands: Vec<String>,
}

/// The Compose file of a version that runs, and how to move there.
#[must_use]
pub fn eject(rollout: &Rollout, running: &Running) -> Ejection {
    let mut compose = head(rollout, running);
    compose.push_str("services:\n");
    for component in rollout.components() {
        service::write(&mut compose, rollout, component, running);
    }
    named_outside(&mut compose, "volumes", rollout.components().flat_map(|c| volumes(rollout, c)));
    named_outside(&mut compose, "networks", rollout.components().flat_map(|c| c.container.networks.clone()));
    Ejection { compose, steps: steps::steps(rollout, running) }
}

fn head(rollout: &Rollout, running: &Running) -> String {
    let (name, version, revision, host) = (&rollout.name, &rollout.version, &rollout.revision, &running.host);
    format!(
        "# {name} {} (revision {revision}) as it was in production on {}, made by `canaryd eject {name}`.\n\
         # Not in it: values of environment variables, contents of secrets and configs. They are read from files beside\n\
         # this one; `canaryd eject` prints the commands that take them from a running container.\n",
        comment(version),
        comment(host)
    )
}

/// Volumes and networks that are there already, and stay.
fn named_outside(text: &mut String, what: &str, names: impl Iterator<Item = String>) {
    let names: std::collections::BTreeSet<String> = names.collect();
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "{what}:");
    for name in names {
        let name = quoted(&name);
        let _ = writeln!(text, "  {name}: {{ name: {name}, external: true }}");
    }
}

/// Names of the volumes of a component.
fn volumes(rollout: &Rollout, component: &Component) -> Vec<String> {
    let mounts = component.container.mounts.iter().filter(|m| m.volume);
    mounts.map(|m| volume(rollout, &m.source, m.sharing)).collect()
}

/// As it is called in the engine.
fn volume(rollout: &Rollout, source: &str, sharing: Option<Sharing>) -> String {
    match sharing {
        Some(Sharing::PerRevision) => format!("{source}-{}", rollout.revision),
        Some(Sharing::Shared) | None => source.to_owned(),
    }
}

/// The file with the environment of a component, beside the Compose file.
fn env_file(rollout: &Rollout, component: &Component) -> String {
    format!("{}-{}.env", rollout.name, component.name)
}

/// The directory with copies of secrets and configs, beside the Compose file.
fn files_dir(rollout: &Rollout) -> String {
    format!("{}-files", rollout.name)
}

/// Where the copy of a secret or config lies.
fn file(rollout: &Rollout, component: &Component, place: usize, file: &FileMount) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let last: String = file.target.rsplit('/').next().unwrap_or_default().chars().map(legal).collect();
    format!("{}/{}-{}-{last}", files_dir(rollout), component.name, place + 1)
}

/// A scalar of YAML, with Compose's own sign for a variable taken literally.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

/// Text that stays in its comment.
fn comment(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests;
