//! One component as a service of Compose.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Running, comment, env_file, file, quoted, volume};
use crate::spec::{Component, Container, Gpus, Mount, Probe, Rollout};

/// Writes the lines of one service.
pub(super) fn write(text: &mut String, rollout: &Rollout, component: &Component, running: &Running) {
    let mut lines = Lines(text);
    let _ = writeln!(lines.0, "  {}:", quoted(component.name.as_str()));
    image(&mut lines, component, running);
    process(&mut lines, &component.container);
    if !component.container.env.is_empty() {
        lines.put("env_file", &format!("[{}]", quoted(&format!("./{}", env_file(rollout, component)))));
    }
    ports(&mut lines, component, running);
    mounts(&mut lines, rollout, component);
    networks(&mut lines, rollout, component);
    health(&mut lines, component);
    lines.put("restart", "unless-stopped");
    lines.put("stop_grace_period", &seconds(component.stop.grace));
    lines.text("stop_signal", component.container.stop_signal.as_deref());
    limits(&mut lines, &component.container);
    rights(&mut lines, &component.container);
    rest(&mut lines, &component.container);
}

struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    fn put(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "    {key}: {value}");
    }
    fn say(&mut self, words: &str) {
        let _ = writeln!(self.0, "    # {}", comment(words));
    }
    fn item(&mut self, text: &str) {
        let _ = writeln!(self.0, "      {text}");
    }
    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, &quoted(value));
        }
    }
    fn number(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.put(key, &value.to_string());
        }
    }
    fn list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            self.put(key, &flow(values));
        }
    }
    fn map(&mut self, key: &str, values: &BTreeMap<String, String>) {
        if values.is_empty() {
            return;
        }
        self.put(key, "");
        for (name, value) in values {
            self.item(&format!("{}: {}", quoted(name), quoted(value)));
        }
    }
}

fn flow(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

fn image(lines: &mut Lines, component: &Component, running: &Running) {
    let known = running.components.get(&component.name);
    let image = known.map_or(component.image.as_str(), |c| c.image.as_str());
    if image != component.image {
        lines.say(&format!("the content of {} that was promoted, whatever that name means by now", component.image));
    }
    lines.put("image", &quoted(image));
    if image.starts_with("sha256:") {
        lines.put("pull_policy", "never");
    }
    lines.text("platform", component.container.platform.as_deref());
    match known.map_or(component.replicas, |c| c.replicas) {
        1 => {}
        n => lines.put("scale", &n.to_string()),
    }
}

fn process(lines: &mut Lines, c: &Container) {
    for (key, words) in [("entrypoint", &c.entrypoint), ("command", &c.command)] {
        if let Some(words) = words {
            lines.put(key, &flow(words));
        }
    }
    lines.text("user", c.user.as_deref());
    lines.list("group_add", &c.group_add);
    lines.text("working_dir", c.workdir.as_deref());
    if c.init {
        lines.put("init", "true");
    }
}

fn ports(lines: &mut Lines, component: &Component, running: &Running) {
    let Some(inside) = component.port else { return };
    let more = running.components.get(&component.name).map_or(component.replicas, |c| c.replicas).saturating_sub(1);
    let first = running.port;
    let last = u32::from(first) + more;
    let host = if more == 0 { first.to_string() } else { format!("{first}-{last}") };
    lines.put("ports", &format!("[{}]", quoted(&format!("127.0.0.1:{host}:{inside}"))));
}

fn mounts(lines: &mut Lines, rollout: &Rollout, component: &Component) {
    let c = &component.container;
    if !c.mounts.is_empty() || !c.files.is_empty() {
        lines.put("volumes", "");
    }
    for mount in &c.mounts {
        lines.item(&format!("- {}", self::mount(rollout, mount)));
    }
    for (place, mounted) in c.files.iter().enumerate() {
        let what = if mounted.secret { "a secret" } else { "a config" };
        let source = format!("./{}", file(rollout, component, place, mounted));
        lines.item(&format!("- {} # {what}", bind(&source, &mounted.target, true)));
    }
    if !c.tmpfs.is_empty() {
        let one = |(path, options): (&String, &String)| match options.as_str() {
            "" => path.clone(),
            options => format!("{path}:{options}"),
        };
        lines.list("tmpfs", &c.tmpfs.iter().map(one).collect::<Vec<_>>());
    }
}

fn mount(rollout: &Rollout, mount: &Mount) -> String {
    if !mount.volume {
        return bind(&mount.source, &mount.target, mount.read_only);
    }
    let (source, target) = (quoted(&volume(rollout, &mount.source, mount.sharing)), quoted(&mount.target));
    format!("{{ type: volume, source: {source}, target: {target}, read_only: {} }}", mount.read_only)
}

/// Without `create_host_path`, which Compose 1 does not know.
fn bind(source: &str, target: &str, read_only: bool) -> String {
    let (source, target) = (quoted(source), quoted(target));
    format!("{{ type: bind, source: {source}, target: {target}, read_only: {read_only} }}")
}

fn networks(lines: &mut Lines, rollout: &Rollout, component: &Component) {
    let known_inside = component.port.is_some() && !rollout.gateway.aliases.is_empty();
    let own = &component.container.networks;
    if !own.is_empty() {
        lines.put("networks", "");
        lines.item("default: {}");
        for network in own {
            lines.item(&format!("{}: {{}}", quoted(network)));
        }
    }
    for network in rollout.gateway.networks.iter().filter(|_| known_inside) {
        let aliases = flow(&rollout.gateway.aliases);
        lines.say(&format!(
            "canaryd's gateway is {aliases} on the network {network}; once it is gone, add here, to stay so:"
        ));
        lines.say(&format!("networks: {{ default: {{}}, {}: {{ aliases: {aliases} }} }}", quoted(network)));
    }
}

fn health(lines: &mut Lines, component: &Component) {
    let (health, port) = (&component.health, component.port.unwrap_or_default());
    match &health.probe {
        Probe::Exec(exec) => {
            let command: Vec<String> = std::iter::once("CMD".to_owned()).chain(exec.command.iter().cloned()).collect();
            lines.put("healthcheck", "");
            lines.item(&format!("test: {}", flow(&command)));
            lines.item(&format!("interval: {}", seconds(exec.interval)));
            lines.item(&format!("timeout: {}", seconds(exec.timeout)));
            lines.item(&format!("retries: {}", exec.failures));
            lines.item(&format!("start_period: {}", seconds(health.startup)));
        }
        Probe::Http { path, port: other } => {
            let url = format!("http://127.0.0.1:{}{path}", other.unwrap_or(port));
            lines.say(&format!(
                "canaryd asked {url} from outside; Docker needs a program in the image that asks, such as"
            ));
            lines.say(&format!("healthcheck: {{ test: [CMD, wget, -qO-, {}] }}", quoted(&url)));
        }
        Probe::Image => lines.say("the image has a HEALTHCHECK of its own"),
        Probe::None => lines.say("no health check, as in the manifest"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "billionths of a processor are far from what a float cannot hold")]
fn limits(lines: &mut Lines, c: &Container) {
    lines.number("cpus", c.resources.nano_cpus.map(|nanos| nanos as f64 / 1e9));
    lines.number("mem_limit", c.resources.memory);
    lines.number("mem_reservation", c.resources.memory_reservation);
    lines.number("pids_limit", c.resources.pids);
    lines.number("shm_size", c.shm_size);
    if !c.ulimits.is_empty() {
        lines.put("ulimits", "");
    }
    for (name, (soft, hard)) in &c.ulimits {
        lines.item(&format!("{}: {{ soft: {soft}, hard: {hard} }}", quoted(name)));
    }
    if let Some(gpus) = &c.gpus {
        let which = match gpus {
            Gpus::All => "count: all".to_owned(),
            Gpus::Count(n) => format!("count: {n}"),
            Gpus::Devices(ids) => format!("device_ids: {}", flow(ids)),
        };
        lines.put(
            "deploy",
            &format!("{{ resources: {{ reservations: {{ devices: [{{ capabilities: [gpu], {which} }}] }} }} }}"),
        );
    }
}

fn rights(lines: &mut Lines, c: &Container) {
    lines.list("cap_add", &c.cap_add);
    lines.list("cap_drop", &c.cap_drop);
    lines.list("security_opt", &c.security_opt);
    lines.list("devices", &c.devices);
    lines.map("sysctls", &c.sysctls);
    if c.read_only {
        lines.put("read_only", "true");
    }
}

fn rest(lines: &mut Lines, c: &Container) {
    lines.list("extra_hosts", &c.extra_hosts);
    lines.list("dns", &c.dns);
    lines.list("dns_search", &c.dns_search);
    lines.map("labels", &c.labels);
    if let Some(logging) = &c.logging {
        lines.put("logging", "");
        lines.item(&format!("driver: {}", quoted(&logging.driver)));
        let options = logging.options.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
        lines.item(&format!("options: {{ {} }}", options.collect::<Vec<_>>().join(", ")));
    }
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}
