//! Fields that people know from Compose, Docker and Kubernetes, and what to use here instead.

use crate::shape::Shape;

/// What is said under the caret, and what can be done.
pub(crate) struct Advice {
    pub(crate) label: String,
    pub(crate) hint: String,
}

/// What to say about a field that this object does not have.
pub(crate) fn advice(shape: &Shape, key: &str) -> Option<Advice> {
    let camel = camel_case(key);
    let name = camel.as_str();
    let said = |label: &str, hint: &str| Some(Advice { label: label.to_owned(), hint: hint.to_owned() });
    if name != key && shape.field(name).is_some() {
        return said(&format!("did you mean {name}?"), "names of fields are camelCase");
    }
    if let Some((.., hint)) = LATER.iter().find(|(owner, names, _)| *owner == shape.name && names.contains(&name)) {
        return said("not in this version of canaryd", hint);
    }
    if shape.field("image").is_some() && shape.field("env").is_some() {
        let found = CONTAINER.iter().find(|(names, _)| names.contains(&name));
        if let Some((_, hint)) = found {
            return said("no field of this name", hint);
        }
    }
    if let Some((_, hint)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return said("no field of this name", hint);
    }
    let found = ANYWHERE.iter().find(|(other, owner, _)| *other == name && *owner != shape.name);
    found.and_then(|(_, _, place)| said("not a field of this object", &format!("{name} belongs in {place}")))
}

fn camel_case(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut raise = false;
    let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
    camel.push_str(&first.to_lowercase());
    for c in rest.chars() {
        match c {
            '_' | '-' => raise = true,
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
    ("maxDuration", "stage", "a stage"),
];

/// What other systems call something that stands elsewhere here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("services", "this is no Compose file: one document is one service, spec.app, with its spec.workers"),
    ("steps", "the steps of a rollout are spec.stages"),
    ("strategy", "the steps of a rollout are spec.stages"),
    ("canary", "the steps of a rollout are spec.stages"),
    ("selector", "containers are found by canaryd's own labels"),
    ("template", "what a pod's template says stands in spec.app"),
    ("namespace", "a name is unique on its host: there are no namespaces"),
    ("annotations", "use spec.app.labels"),
];

/// What is planned and not built: owner, names, and what can be done today.
const LATER: &[(&str, &[&str], &str)] = &[
    ("rollout-spec", &["metrics", "prometheus"], "drop it: checks are judged by the gateway's access log"),
    ("rollout-spec", &["preflight"], "drop it: run such tests before the version line is changed"),
    (
        "rollout-spec",
        &["smoke"],
        "drop it: health decides when a container gets traffic; a first stage of 0 is a rehearsal",
    ),
    ("rollout-spec", &["notify", "notifications"], "drop it: `canaryd events NAME` tells every step"),
    ("check", &["counter", "gauge", "metric", "query"], "drop the check: the kinds are errorRate and latency"),
    ("errorRate", &["maxRatioToProduction", "maxDelta"], "use max: at most this share of the requests fails"),
    ("latency", &["maxRatioToProduction", "maxDelta"], "use max: the bound on the quantile"),
    ("analysis", &["baseline", "method", "interval"], "drop it: the canary's own requests are judged at every look"),
    ("promotion", &["approval"], "drop it: `canaryd pause NAME` holds a rollout until `canaryd resume NAME`"),
    ("promotion", &["tag", "log"], "drop it: `canaryd events NAME` tells every step"),
    ("gateway", &["ref", "host", "hosts", "path", "paths"], "drop it: each rollout has a gateway of its own"),
    ("gateway", &["tls", "certificate"], "drop it: TLS ends in the proxy in front, which points at gateway.listen"),
];
