//! The docker command line, for what a person would do by hand.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// What is asked instead of the host's engine.
static ENGINE: OnceLock<String> = OnceLock::new();

/// From now on, the harness asks the engine that listens there.
pub(crate) fn use_engine(socket: &Path) {
    let _ = ENGINE.set(format!("unix://{}", socket.display()));
}

/// The docker command line on the engine under test.
pub(crate) fn command() -> Command {
    let mut command = Command::new("docker");
    command.args(ENGINE.get().into_iter().flat_map(|engine| ["--host", engine]));
    command
}

/// The same as [`docker`], on the engine that listens there.
pub(crate) fn docker_at(socket: &Path, args: &[&str]) -> String {
    let host = format!("unix://{}", socket.display());
    docker(&[&["--host", &host], args].concat())
}

/// Runs docker; the answer is its stdout. Panics with docker's own words when it fails.
#[allow(clippy::must_use_candidate, reason = "most commands are run for what they do")]
pub fn docker(args: &[&str]) -> String {
    let output = command().args(args).output().expect("docker is installed");
    assert!(output.status.success(), "docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Ids of the containers of one instance, one rollout and one component, running or not, sorted.
#[must_use]
pub fn container_ids(instance: &str, rollout: &str, component: &str) -> Vec<String> {
    let labels = [
        format!("label=io.canaryd.instance={instance}"),
        format!("label=io.canaryd.rollout={rollout}"),
        format!("label=io.canaryd.component={component}"),
    ];
    let mut args = vec!["ps", "-aq", "--no-trunc"];
    for label in &labels {
        args.extend(["--filter", label.as_str()]);
    }
    let mut ids: Vec<String> = docker(&args).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// One value of a container, by a Go template.
#[must_use]
pub fn inspect(container: &str, template: &str) -> String {
    docker(&["inspect", "--format", template, container])
}

/// One container of a rollout, as the engine tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// The version in its labels.
    pub version: String,
    /// The set in its labels.
    pub set: String,
    /// Its number in its labels.
    pub ordinal: u32,
    /// Its full id.
    pub id: String,
    /// When it was last started.
    pub started_at: String,
    /// Whether it runs.
    pub running: bool,
    /// How often the engine restarted it.
    pub restarts: u32,
}

/// The containers of one instance, one rollout and one component, running or not; sorted by version, set and number.
#[must_use]
pub fn containers(instance: &str, rollout: &str, component: &str) -> Vec<Container> {
    let ids = container_ids(instance, rollout, component);
    let mut found: Vec<Container> = ids.iter().filter_map(|id| container(id)).collect();
    found.sort();
    found
}

/// What the engine says of one container; `None`: it went away meanwhile.
fn container(id: &str) -> Option<Container> {
    const FACTS: &str = "{{index .Config.Labels \"io.canaryd.version\"}} {{index .Config.Labels \"io.canaryd.set\"}} \
        {{index .Config.Labels \"io.canaryd.ordinal\"}} {{.State.StartedAt}} {{.State.Running}} {{.RestartCount}}";
    let output = command().args(["inspect", "--format", FACTS, id]).output().expect("docker is installed");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let [version, set, ordinal, started_at, running, restarts] = text.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(Container {
        version: version.to_owned(),
        set: set.to_owned(),
        ordinal: ordinal.parse().ok()?,
        id: id.to_owned(),
        started_at: started_at.to_owned(),
        running: running == "true",
        restarts: restarts.parse().ok()?,
    })
}

/// The plugin of Compose, or the program of its own that it once was.
#[must_use]
pub fn compose() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |way: &&&[&str]| {
        let found = Command::new(way[0]).args(&way[1..]).arg("version").output();
        found.is_ok_and(|output| output.status.success())
    };
    WAYS.iter().find(works).copied()
}
