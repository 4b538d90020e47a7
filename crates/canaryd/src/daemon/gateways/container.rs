//! The gateway's container: its plan, and its master process as the link needs it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use canaryd_engine::{Bind, Engine, GatewayPlan, PublishedPort, Signal};
use canaryd_gateway::container::{CONF_DIR, LOG_DIR, Ports, argv, test_argv};
use canaryd_gateway::{NginxVersion, Settings};
use canaryd_link::{Master, TestError};
use jiff::Timestamp;

/// The container as it runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) pid: Option<i64>,
    pub(super) ops_port: u16,
    pub(super) started_at: Option<Timestamp>,
}

/// The master process of a running gateway.
pub(super) struct EngineMaster {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) running: Running,
}

#[async_trait]
impl Master for EngineMaster {
    async fn hup(&self) -> Result<(), String> {
        self.signal(Signal::Hup).await
    }
    async fn reopen(&self) -> Result<(), String> {
        self.signal(Signal::Usr1).await
    }
    async fn test(&self, conf: &str) -> Result<(), TestError> {
        let tested = self.engine.exec(&self.running.id, &test_argv(conf), Duration::from_secs(10)).await;
        match tested {
            Ok(result) if result.code == 0 => Ok(()),
            // NGINX's word for a configuration that it refuses; everything else kept it from reading it.
            Ok(result) if result.code == 1 => Err(TestError::Refused(result.output)),
            Ok(result) => Err(TestError::Untested(format!("exit code {}: {}", result.code, result.output.trim()))),
            Err(error) => Err(TestError::Untested(error.to_string())),
        }
    }
    async fn old_workers(&self) -> Result<u32, String> {
        self.engine.old_workers(&self.running.id).await.map_err(|e| e.to_string())
    }
    async fn log_since(&self, since: SystemTime) -> Result<String, String> {
        let since = Timestamp::try_from(since).ok();
        self.engine.gateway_logs(&self.running.id, since).await.map_err(|e| e.to_string())
    }
}

impl EngineMaster {
    async fn signal(&self, signal: Signal) -> Result<(), String> {
        self.engine.signal(&self.running.id, self.running.pid, signal).await.map_err(|e| e.to_string())
    }

    /// Which NGINX it is.
    pub(super) async fn version(&self) -> Option<NginxVersion> {
        let command = canaryd_gateway::container::version_argv();
        let result = self.engine.exec(&self.running.id, &command, Duration::from_secs(10)).await.ok()?;
        result.output.parse().ok()
    }
}

/// The user inside: canaryd's own where that is not root, else an unprivileged one.
pub(super) fn owner() -> canaryd_link::Owner {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    if uid.is_root() {
        let (uid, gid) = canaryd_gateway::container::UNPRIVILEGED;
        canaryd_link::Owner { uid, gid }
    } else {
        canaryd_link::Owner { uid: uid.as_raw(), gid: gid.as_raw() }
    }
}

/// What the container should be.
pub(super) fn plan_of(settings: &Settings, dir: &Path, image_id: String) -> GatewayPlan {
    let owner = owner();
    let mut plan = GatewayPlan {
        rollout: settings.rollout.clone(),
        image_id,
        user: format!("{}:{}", owner.uid, owner.gid),
        entrypoint: argv(),
        binds: vec![
            Bind { source: dir.join("conf"), target: CONF_DIR.to_owned(), read_only: true },
            Bind { source: dir.join("log"), target: LOG_DIR.to_owned(), read_only: false },
        ],
        ports: published(settings),
        ops_port: Ports::of(settings).ops,
        ops_host_port: None,
        networks: settings.spec.networks.clone(),
        aliases: settings.spec.aliases.clone(),
        spec_hash: String::new(),
        recreate: false,
        grace: Duration::from_secs(10),
    };
    plan.spec_hash = fixed_hash(&plan);
    plan
}

fn published(settings: &Settings) -> Vec<PublishedPort> {
    let ports = Ports::of(settings);
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    let listens = settings.spec.listen.iter().map(|l| (ports.traffic, l.address, l.port));
    let exposed = [(ports.production, settings.spec.expose.production), (ports.canary, settings.spec.expose.canary)];
    let exposed = exposed.into_iter().filter_map(|(inside, host)| Some((inside, loopback, host?)));
    listens.chain(exposed).map(|(container, address, host)| PublishedPort { container, address, host }).collect()
}

/// Digest of what is fixed at creation; networks are not, they are joined later as well.
fn fixed_hash(plan: &GatewayPlan) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    let fixed = (&plan.image_id, &plan.user, &plan.entrypoint, &plan.binds, &plan.ports, &plan.aliases);
    hash.update(format!("{fixed:?}"));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
