//! The NGINX master process, as seen from outside.

use std::time::SystemTime;

use async_trait::async_trait;

/// Why a configuration did not pass its test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestError {
    /// NGINX refuses it, in its own words.
    Refused(String),
    /// It could not be tested: nothing is known of it.
    Untested(String),
}

/// What can be done to the gateway's master process. The daemon implements it over the engine.
#[async_trait]
pub trait Master: Send + Sync {
    /// Reads the configuration anew (SIGHUP). Success says nothing about the configuration.
    async fn hup(&self) -> Result<(), String>;
    /// Opens the log files anew (SIGUSR1), after a rotation.
    async fn reopen(&self) -> Result<(), String>;
    /// Tests the configuration at `conf`, a path inside, by `canaryd_gateway::container::test_argv`.
    async fn test(&self, conf: &str) -> Result<(), TestError>;
    /// How many workers of earlier generations still live ("worker process is shutting down").
    async fn old_workers(&self) -> Result<u32, String>;
    /// What the master wrote to stderr since then.
    async fn log_since(&self, since: SystemTime) -> Result<String, String>;
}
