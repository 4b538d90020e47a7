//! How to move from canaryd to Compose without a lost request: the new beside the old, then the proxy in front, then the old.

use super::{EjectStep, Running, env_file, file, files_dir};
use crate::spec::{Component, Probe, Rollout};

pub(super) fn steps(rollout: &Rollout, running: &Running) -> Vec<EjectStep> {
    let mut steps = Vec::new();
    let commands = secrets(rollout, running);
    if !commands.is_empty() {
        let what =
            "fill in what canaryd shows nobody, beside FILE: environment, secrets and configs, from running containers";
        steps.push(EjectStep { what: what.to_owned(), commands });
    }
    steps.extend(by_hand(rollout));
    steps.push(beside(rollout, running));
    steps.extend(aliases(rollout));
    steps.push(move_users(rollout, running));
    steps.push(leave(rollout));
    steps
}

fn step(what: String, commands: &[String]) -> EjectStep {
    EjectStep { what, commands: commands.to_vec() }
}

fn secrets(rollout: &Rollout, running: &Running) -> Vec<String> {
    let mut commands = Vec::new();
    if rollout.components().any(|c| !c.container.files.is_empty()) {
        commands.push(format!("mkdir -m 700 {}", files_dir(rollout)));
    }
    for component in rollout.components() {
        let known = running.components.get(&component.name).and_then(|c| c.container.clone());
        let container = known.unwrap_or_else(|| format!("CONTAINER-OF-{}", component.name));
        commands.extend(environment(rollout, component, &container));
        for (place, mounted) in component.container.files.iter().enumerate() {
            let copy = file(rollout, component, place, mounted);
            commands.push(format!("docker cp -L {} {copy}", shell(&format!("{container}:{}", mounted.target))));
        }
    }
    commands
}

/// In quotes that Compose takes literally.
fn environment(rollout: &Rollout, component: &Component, container: &str) -> Option<String> {
    let names: Vec<&str> = component.container.env.keys().map(String::as_str).filter(|name| is_plain(name)).collect();
    (!component.container.env.is_empty()).then(|| {
        let pick = format!("\"s/^({})=(.*)/\\1='\\2'/p\"", names.join("|"));
        format!(
            "(umask 077; docker inspect --format '{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}' {container} | \
             sed -nE {pick} > {})",
            env_file(rollout, component)
        )
    })
}

/// One word of a shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A name that means nothing to a shell or to sed.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What a line of an env file cannot hold as it is.
fn by_hand(rollout: &Rollout) -> Option<EjectStep> {
    let odd = |name: &str, value: &str| !is_plain(name) || value.contains(['\'', '\n']);
    let names: Vec<String> = rollout
        .components()
        .flat_map(|c| c.container.env.iter().filter(|(n, v)| odd(n, v)).map(move |(name, _)| (c, name)))
        .map(|(component, name)| format!("{name} in {}", env_file(rollout, component)))
        .collect();
    let what =
        format!("write by hand, since name or value has a quote, a line break or an odd sign: {}", names.join(", "));
    (!names.is_empty()).then(|| step(what, &[]))
}

fn beside(rollout: &Rollout, running: &Running) -> EjectStep {
    let port = running.port;
    let path = match &rollout.app.health.probe {
        Probe::Http { path, port: None } => path.as_str(),
        Probe::Http { .. } | Probe::Exec(_) | Probe::Image | Probe::None => "/",
    };
    let name = &rollout.name;
    step(
        format!("start it beside, on 127.0.0.1:{port}: nobody gets it yet; go on when it answers"),
        &[
            format!("docker compose -p {name} -f FILE up -d app"),
            format!("curl -f {}", shell(&format!("http://127.0.0.1:{port}{path}"))),
        ],
    )
}

fn aliases(rollout: &Rollout) -> Option<EjectStep> {
    let gateway = &rollout.gateway;
    let (name, own) = (&rollout.name, &rollout.app.container.networks);
    let named: Vec<String> = gateway.aliases.iter().map(|alias| format!("--alias {alias}")).collect();
    let mut commands = Vec::new();
    for network in gateway.networks.iter().filter(|_| !named.is_empty()) {
        if own.contains(network) {
            commands.push(format!("docker network disconnect {network} {name}-app-1"));
        }
        commands.push(format!("docker network connect {} {network} {name}-app-1", named.join(" ")));
    }
    let what = format!(
        "give it the name by which callers inside know it ({}), beside the gateway",
        gateway.aliases.join(", ")
    );
    (!commands.is_empty()).then(|| step(what, &commands))
}

fn move_users(rollout: &Rollout, running: &Running) -> EjectStep {
    let listens = rollout.gateway.listen.iter().map(|l| std::net::SocketAddr::new(l.address, l.port).to_string());
    let from = listens.collect::<Vec<_>>().join(" and ");
    let replicas = running.components.get(&rollout.app.name).map_or(rollout.app.replicas, |c| c.replicas);
    let ports: Vec<String> = (0..replicas).map(|n| format!("127.0.0.1:{}", u32::from(running.port) + n)).collect();
    let what = format!(
        "in the proxy in front, write {} in the place of {from}, and reload it: requests that are under way end where they began, \
         new ones go to Compose",
        ports.join(", ")
    );
    step(what, &["nginx -t && nginx -s reload    # or what your proxy asks for".to_owned()])
}

fn leave(rollout: &Rollout) -> EjectStep {
    let name = &rollout.name;
    let file = rollout.origin.rsplit_once(':').map_or(rollout.origin.as_str(), |(file, _)| file);
    let mut commands = vec![format!("canaryd delete {name}")];
    let mut what = format!(
        "when the old workers of the proxy have ended (WebSockets may take long), stop what canaryd runs, and take its \
         manifest out of {file}"
    );
    if !rollout.workers.is_empty() {
        what.push_str("; only then start the workers, so that none of them works twice");
        commands.push(format!("docker compose -p {name} -f FILE up -d"));
    }
    step(what, &commands)
}
