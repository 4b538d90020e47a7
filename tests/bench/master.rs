//! NGINX's master process as the daemon drives it: signalled by its host PID, tested through the engine's API.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use canaryd_e2e::{Bench, inspect};
use canaryd_engine::{DockerEngine, DockerOptions, Engine, Signal};
use canaryd_gateway::container::test_argv;
use canaryd_link::{Master, TestError};
use jiff::Timestamp;
use tempfile::TempDir;

pub(crate) struct ByEngine {
    engine: DockerEngine,
    id: String,
    pid: Option<i64>,
    _dir: TempDir,
}

impl ByEngine {
    pub(crate) async fn of(bench: &Bench) -> Self {
        let dir = TempDir::with_prefix("canaryd-bench-").unwrap();
        let engine = DockerEngine::connect(DockerOptions::new("bench", dir.path())).await.unwrap();
        let id = inspect(&bench.container(), "{{.Id}}");
        let pid = inspect(&id, "{{.State.Pid}}").parse().ok();
        Self { engine, id, pid, _dir: dir }
    }
}

#[async_trait]
impl Master for ByEngine {
    async fn hup(&self) -> Result<(), String> {
        self.engine.signal(&self.id, self.pid, Signal::Hup).await.map_err(|e| e.to_string())
    }
    async fn reopen(&self) -> Result<(), String> {
        self.engine.signal(&self.id, self.pid, Signal::Usr1).await.map_err(|e| e.to_string())
    }
    async fn test(&self, conf: &str) -> Result<(), TestError> {
        match self.engine.exec(&self.id, &test_argv(conf), Duration::from_secs(10)).await {
            Ok(result) if result.code == 0 => Ok(()),
            Ok(result) => Err(TestError::Refused(result.output)),
            Err(error) => Err(TestError::Untested(error.to_string())),
        }
    }
    async fn old_workers(&self) -> Result<u32, String> {
        self.engine.old_workers(&self.id).await.map_err(|e| e.to_string())
    }
    async fn log_since(&self, since: SystemTime) -> Result<String, String> {
        self.engine.gateway_logs(&self.id, Timestamp::try_from(since).ok()).await.map_err(|e| e.to_string())
    }
}
