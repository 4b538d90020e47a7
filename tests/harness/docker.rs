//! The docker command line, for what a person would do by hand.

use std::process::Command;

/// Runs docker; the answer is its stdout. Panics with docker's own words when it fails.
#[allow(clippy::must_use_candidate, reason = "most commands are run for what they do")]
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker is installed");
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
