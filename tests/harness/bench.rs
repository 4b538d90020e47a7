//! A gateway without a daemon: a real NGINX, driven by `render` and `Link` as the daemon drives it, before real replicas on
//! a network of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use canaryd_gateway::container::{CONF_DIR, LOG_DIR, STOP_SIGNAL, TMPFS, UNPRIVILEGED, argv, test_argv};
use canaryd_gateway::{Endpoint, GenerationId, Intent, Lane, NginxVersion, Settings, Traffic, render, twin};
use canaryd_link::{Link, LinkError, Live, Master, Ops, Owner, TestError};
use canaryd_rollout::{Expose, Gateway, Limits, Listen, SetId, Snippets, Weight};
use tempfile::TempDir;
use tokio::process::Command;

use crate::docker::docker;
use crate::images::NGINX;

/// The header that forces a lane.
pub const FORCE: &str = "X-Canary";
/// Its secret.
pub const FORCE_TOKEN: &str = "force-token-0123456789";
/// What the ops port wants.
pub const OPS_TOKEN: &str = "ops-token-0123456789";

/// A gateway under test. Dropping it removes everything it started.
pub struct Bench {
    dir: TempDir,
    name: String,
    octet: u8,
    /// `port`: drawn; then: ops, production pinned, canary pinned.
    pub port: u16,
    /// How its generations reach NGINX.
    pub link: Link,
    /// What its generations are made of.
    pub settings: Settings,
    lanes: BTreeMap<Lane, Vec<Endpoint>>,
    n: AtomicU64,
}

/// NGINX's master process, by the docker command line.
pub struct ByHand(String);

impl Bench {
    /// NGINX runs and serves nobody. `octet` makes network and ports its own.
    pub async fn start(octet: u8, adjust: impl FnOnce(&mut Settings)) -> Self {
        let name = format!("gate-bench-{octet}");
        let port = 22_000 + u16::from(octet) * 10;
        sweep(&name);
        let subnet = format!("10.215.{octet}.0/24");
        let range = format!("10.215.{octet}.128/25");
        let label = format!("canaryd-bench={name}");
        let host = format!("10.215.{octet}.1");
        let mut args = vec!["network", "create", "--label", &label, "--gateway", &host];
        args.extend(["--subnet", &subnet, "--ip-range", &range, &name]);
        docker(&args);
        let mut settings = settings(port, &subnet);
        adjust(&mut settings);
        let dir = TempDir::with_prefix("canaryd-bench-").expect("a temporary directory");
        let ops = Ops::new(SocketAddr::from(([127, 0, 0, 1], port + 1)), OPS_TOKEN.to_owned());
        let (uid, gid) = UNPRIVILEGED;
        let link = Link::open(dir.path(), Owner { uid, gid }, ops).expect("a directory");
        let bench = Self { dir, name, octet, port, link, settings, lanes: BTreeMap::new(), n: AtomicU64::new(0) };
        bench.first_generation().await;
        bench.run_nginx();
        bench.until("NGINX answers", async || bench.link.confirm(&bench.master()).await.is_ok()).await;
        bench
    }

    async fn first_generation(&self) {
        let intent = Intent { seq: 0, traffic: Traffic::Nobody, lanes: BTreeMap::new(), precaution: false };
        let generation = self.next();
        let whole = render(&self.settings, &intent, generation).expect("legal");
        let lowered = twin(&self.settings, &intent, generation).expect("legal");
        self.link.prepare(&whole, &lowered, None).await.expect("written");
        self.link.swap(generation).expect("swapped");
    }

    fn run_nginx(&self) {
        let (label, name) = (format!("canaryd-bench={}", self.name), format!("{}-nginx", self.name));
        let conf = format!("{}:{CONF_DIR}:ro", self.link.conf_dir().display());
        let log = format!("{}:{LOG_DIR}", self.link.log_dir().display());
        let user = format!("{}:{}", UNPRIVILEGED.0, UNPRIVILEGED.1);
        let publish = |host: u16, inside: u16| format!("127.0.0.1:{host}:{inside}");
        let ports = [8080, 9099, 9081, 9082];
        let ports: Vec<String> = (self.port..).zip(ports).map(|(host, inside)| publish(host, inside)).collect();
        let mut args = vec!["run", "-d", "--name", &name, "--label", &label, "--network", &self.name];
        for port in &ports {
            args.extend(["-p", port]);
        }
        args.extend(["-v", &conf, "-v", &log, "--user", &user, "--read-only", "--tmpfs", TMPFS, "--cap-drop", "ALL"]);
        args.extend(["--security-opt", "no-new-privileges", "--stop-signal", STOP_SIGNAL, NGINX]);
        let command = argv();
        args.extend(command.iter().map(String::as_str));
        docker(&args);
    }

    /// A replica of the demo application at `.last`; its container's name.
    pub fn replica(&mut self, lane: Lane, last: u8, version: &str, env: &[&str]) -> String {
        let (label, name) = (format!("canaryd-bench={}", self.name), format!("{}-{last}", self.name));
        let (addr, version) = (format!("10.215.{}.{last}", self.octet), format!("VERSION={version}"));
        let mut args = vec!["run", "-d", "--name", &name, "--label", &label, "--network", &self.name];
        args.extend(["--ip", &addr, "-e", &version]);
        for pair in env {
            args.extend(["-e", pair]);
        }
        args.push("canaryd-demo:base");
        docker(&args);
        self.endpoint(lane, IpAddr::V4(Ipv4Addr::new(10, 215, self.octet, last)), 8000);
        name
    }

    /// A server of the test itself as a replica. The host has the network's first address.
    pub fn endpoint(&mut self, lane: Lane, addr: IpAddr, port: u16) {
        let set = SetId::nth(if lane == Lane::Canary { 2 } else { 1 });
        let list = self.lanes.entry(lane).or_default();
        let ordinal = u32::try_from(list.len()).expect("few") + 1;
        list.push(Endpoint { set, ordinal, addr, port });
    }
    /// The host's address on the network.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 215, self.octet, 1))
    }

    /// Makes this share live, and waits until the workers before it take no new connection (NGINX lets them for 100 ms).
    pub async fn split(&self, canary: f64) -> Live {
        let live = self.try_split(canary, true).await.expect("it becomes live");
        let mut in_a_row = 0;
        while in_a_row < 20 {
            let answers = self.link.ops().generation().await.is_ok_and(|found| found == live.generation);
            in_a_row = if answers { in_a_row + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        live
    }
    /// Makes this share live, after `nginx -t` where it is to be tested.
    ///
    /// # Errors
    /// As [`Link::apply`].
    pub async fn try_split(&self, canary: f64, test: bool) -> Result<Live, LinkError> {
        self.try_split_by(&self.master(), canary, test).await
    }
    /// The same with another way to the master process.
    ///
    /// # Errors
    /// As [`Link::apply`].
    pub async fn try_split_by(&self, master: &dyn Master, canary: f64, test: bool) -> Result<Live, LinkError> {
        let canary = Weight::try_from(canary).expect("legal");
        let generation = self.next();
        let intent = Intent {
            seq: generation.n(),
            traffic: Traffic::Split { canary },
            lanes: self.lanes.clone(),
            precaution: false,
        };
        let whole = render(&self.settings, &intent, generation).expect("legal");
        let lowered = twin(&self.settings, &intent, generation).expect("legal");
        self.link.apply(&whole, &lowered, master, test).await
    }
    fn next(&self) -> GenerationId {
        GenerationId::new(1, self.n.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// NGINX's master process.
    #[must_use]
    pub fn master(&self) -> ByHand {
        ByHand(self.container())
    }
    /// The name of NGINX's container.
    #[must_use]
    pub fn container(&self) -> String {
        format!("{}-nginx", self.name)
    }
    /// A label that makes a container disappear with the gateway.
    #[must_use]
    pub fn label(&self) -> String {
        format!("canaryd-bench={}", self.name)
    }
    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.name
    }
    /// Where the replicas of a lane are.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &[Endpoint] {
        self.lanes.get(&lane).map_or(&[], Vec::as_slice)
    }
    /// The lines of the access log so far. NGINX holds them back for 250 ms.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log/access.log")).unwrap_or_default()
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done().await {
            assert!(Instant::now() < deadline, "{}: not within 20 s: {what}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        sweep(&self.name);
    }
}

fn sweep(name: &str) {
    let label = format!("label=canaryd-bench={name}");
    for id in docker(&["ps", "-aq", "--filter", &label]).lines() {
        let _ = std::process::Command::new("docker").args(["rm", "-f", "-v", id]).output();
    }
    for id in docker(&["network", "ls", "-q", "--filter", &label]).lines() {
        let _ = std::process::Command::new("docker").args(["network", "rm", id]).output();
    }
}

fn settings(port: u16, subnet: &str) -> Settings {
    let limits = Limits {
        read_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_millis(500),
        body: 0,
        stream_timeout: Duration::from_secs(300),
    };
    let spec = Gateway {
        image: NGINX.to_owned(),
        listen: vec![Listen { address: Ipv4Addr::LOCALHOST.into(), port }],
        aliases: vec![],
        networks: vec![],
        expose: Expose { production: Some(port + 2), canary: Some(port + 3) },
        sticky: None,
        trusted_proxies: vec![],
        force: Some(canaryd_rollout::Force { header: FORCE.to_owned() }),
        limits,
        snippets: Snippets::default(),
        workers: 2,
    };
    Settings {
        rollout: "bench".parse().expect("a legal name"),
        spec,
        app_port: 8000,
        mode: None,
        versions: BTreeMap::from([(Lane::Production, "v1".to_owned()), (Lane::Canary, "v2".to_owned())]),
        ops_token: OPS_TOKEN.to_owned(),
        force_token: Some(FORCE_TOKEN.to_owned()),
        client_salt: "salt-0123456789abcdef".to_owned(),
        nginx: NginxVersion::new(1, 30, 4),
        relay_subnet: subnet.to_owned(),
        page: None,
    }
}

async fn by_hand(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(args).output().await.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[async_trait]
impl Master for ByHand {
    async fn hup(&self) -> Result<(), String> {
        by_hand(&["kill", "-s", "HUP", &self.0]).await.map(drop)
    }
    async fn reopen(&self) -> Result<(), String> {
        by_hand(&["kill", "-s", "USR1", &self.0]).await.map(drop)
    }
    async fn test(&self, conf: &str) -> Result<(), TestError> {
        let command = test_argv(conf);
        let mut args = vec!["exec", self.0.as_str()];
        args.extend(command.iter().map(String::as_str));
        by_hand(&args).await.map(drop).map_err(TestError::Refused)
    }
    async fn old_workers(&self) -> Result<u32, String> {
        let top = by_hand(&["top", &self.0]).await?;
        Ok(u32::try_from(top.lines().filter(|l| l.contains("shutting down")).count()).unwrap_or(u32::MAX))
    }
    async fn log_since(&self, since: SystemTime) -> Result<String, String> {
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        by_hand(&["logs", "--since", &format!("{since:.3}"), &self.0]).await
    }
}
