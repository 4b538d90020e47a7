//! Fields that people know from Compose, Docker and Kubernetes, and what to use here instead.

use crate::shape::Shape;

/// What to say about a field that this object does not have.
pub(crate) fn hint(shape: &Shape, key: &str) -> Option<String> {
    let camel = camel_case(key);
    if camel != key && shape.field(&camel).is_some() {
        return Some(format!("write {camel}: field names are camelCase"));
    }
    if shape.field("image").is_some() && shape.field("env").is_some() {
        let found = CONTAINER.iter().find(|(names, _)| names.contains(&camel.as_str()));
        if let Some((_, hint)) = found {
            return Some((*hint).to_owned());
        }
    }
    let found = ANYWHERE.iter().find(|(name, owner, _)| *name == camel && *owner != shape.name);
    found.map(|(_, _, place)| format!("{camel} belongs in {place}"))
}

fn camel_case(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut raise = false;
    for c in key.chars() {
        match c {
            '_' | '-' => raise = !camel.is_empty(),
            _ if raise => {
                camel.extend(c.to_uppercase());
                raise = false;
            }
            _ => camel.push(c),
        }
    }
    camel
}

const CONTAINER: &[(&[&str], &str)] = &[
    (&["ports"], "nothing is published on the app: gateway.listen is the door, gateway.expose leads to one lane"),
    (&["expose"], "ports inside need no declaration; gateway.expose opens a port that leads to one lane"),
    (
        &["containerName", "hostname", "domainname"],
        "containers are named <rollout>-<component>-<revision>-<n>; callers use gateway.aliases",
    ),
    (&["dependsOn"], "start order is not managed: health decides when a container gets traffic"),
    (&["restart"], "containers restart by themselves; a canary that crashes is taken off"),
    (&["build"], "images are not built here: docker build -t NAME:TAG . first, then name it in image"),
    (&["privileged"], "say what it needs: capAdd, devices, securityOpt"),
    (
        &["networkMode", "pid", "ipc", "uts", "usernsMode", "cgroup"],
        "versions run side by side on a network of their own; join others by networks",
    ),
    (
        &["healthcheck", "livenessProbe", "readinessProbe", "startupProbe"],
        "use health: { http: /path }, { exec: [command] }, image or none",
    ),
    (&["deploy"], "use replicas, resources and spec.stages"),
    (&["scale"], "use replicas"),
    (&["volumesFrom"], "name each volume in volumes"),
    (&["links", "externalLinks"], "join the network of the other container by networks"),
    (&["environment"], "use env"),
    (&["envFile"], "use envFiles"),
    (&["workingDir"], "use workdir"),
    (&["memLimit", "memory"], "use resources: { memory: 512m }"),
    (&["memReservation"], "use resources: { memoryReservation: 256m }"),
    (&["cpus", "cpuQuota", "cpuCount"], "use resources: { cpus: 1.5 }"),
    (&["pidsLimit"], "use resources: { pids: 200 }"),
    (&["stopGracePeriod"], "use stop: { grace: 30s }"),
    (&["pullPolicy", "imagePullPolicy"], "use pull"),
    (&["runtime"], "use gpus for GPUs; other runtimes are not supported"),
    (&["oomScoreAdj", "oomKillDisable"], "canaryd sets it: the canary goes first when memory is short"),
    (&["args"], "use command"),
    (&["volumeMounts"], "use mounts and volumes"),
    (&["stdinOpen", "tty"], "containers have no terminal here"),
    (&["extends", "profiles"], "write the fields out, or use YAML anchors"),
];

/// Fields that stand in another object: name, that object's name, where it is.
const ANYWHERE: &[(&str, &str, &str)] = &[
    ("services", "", "Compose files: here one document is one service, spec.app, with its workers"),
    ("replicas", "app", "spec.app"),
    ("image", "app", "spec.app"),
    ("port", "app", "spec.app"),
    ("env", "app", "spec.app"),
    ("envFiles", "app", "spec.app"),
    ("health", "app", "spec.app"),
    ("stop", "app", "spec.app"),
    ("resources", "app", "spec.app"),
    ("listen", "gateway", "spec.gateway"),
    ("sticky", "gateway", "spec.gateway"),
    ("aliases", "gateway", "spec.gateway"),
    ("stages", "rollout-spec", "spec"),
    ("checks", "rollout-spec", "spec"),
    ("version", "rollout-spec", "spec"),
    ("alpha", "analysis", "spec.analysis"),
    ("beta", "analysis", "spec.analysis"),
    ("onInconclusive", "analysis", "spec.analysis"),
    ("keepPrevious", "promotion", "spec.promotion"),
    ("keepFailed", "promotion", "spec.promotion"),
    ("steps", "", "Kubernetes rollouts: here it is spec.stages"),
    ("strategy", "", "Kubernetes: here it is spec.stages"),
    ("maxDuration", "stage", "a stage"),
];
