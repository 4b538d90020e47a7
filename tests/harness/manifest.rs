//! Manifests for tests: short stages, everything else as a user would write it.

use std::fmt::Write as _;

use crate::images::NGINX;

/// A manifest under construction.
#[derive(Debug, Clone)]
pub struct Manifest {
    name: String,
    repository: String,
    version: String,
    port: u16,
    replicas: u32,
    stages: Vec<(f64, u64)>,
    longest: Option<u64>,
    startup: u64,
    app: String,
    spec: String,
    gateway: String,
    errors: u32,
    checks: String,
    deadlines: String,
}

impl Manifest {
    /// The image is `repository:version`; the gateway listens on `port` of 127.0.0.1.
    #[must_use]
    pub fn new(name: &str, repository: &str, version: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            repository: repository.to_owned(),
            version: version.to_owned(),
            port,
            replicas: 1,
            stages: vec![(1.0, 4), (5.0, 4), (25.0, 4), (100.0, 4)],
            longest: None,
            startup: 10,
            app: String::new(),
            spec: String::new(),
            gateway: String::new(),
            errors: 1,
            checks: String::new(),
            deadlines: "{ pull: 5s, start: 5s }".to_owned(),
        }
    }
    /// Name of the rollout.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }
    /// Another image repository.
    #[must_use]
    pub fn repository(mut self, repository: &str) -> Self {
        repository.clone_into(&mut self.repository);
        self
    }
    /// Replicas of the app.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }
    /// Stages: percent and seconds.
    #[must_use]
    pub fn stages(mut self, stages: &[(f64, u64)]) -> Self {
        self.stages = stages.to_vec();
        self
    }
    /// Seconds that a stage may take at most.
    #[must_use]
    pub fn longest_stage(mut self, seconds: u64) -> Self {
        self.longest = Some(seconds);
        self
    }
    /// Seconds until a container must have answered its health check.
    #[must_use]
    pub fn startup(mut self, seconds: u64) -> Self {
        self.startup = seconds;
        self
    }
    /// Percent of the canary's requests that may fail.
    #[must_use]
    pub fn errors(mut self, percent: u32) -> Self {
        self.errors = percent;
        self
    }
    /// One more line under `spec.app`.
    #[must_use]
    pub fn app(mut self, line: &str) -> Self {
        let _ = writeln!(self.app, "    {line}");
        self
    }
    /// More text under `spec`, indented by two.
    #[must_use]
    pub fn spec(mut self, text: &str) -> Self {
        for line in text.lines() {
            let _ = writeln!(self.spec, "  {line}");
        }
        self
    }
    /// One more line under `spec.gateway`.
    #[must_use]
    pub fn gateway(mut self, line: &str) -> Self {
        let _ = writeln!(self.gateway, "    {line}");
        self
    }
    /// One more check.
    #[must_use]
    pub fn check(mut self, check: &str) -> Self {
        let _ = writeln!(self.checks, "    - {check}");
        self
    }
    /// Other deadlines, as a YAML flow mapping.
    #[must_use]
    pub fn deadlines(mut self, deadlines: &str) -> Self {
        deadlines.clone_into(&mut self.deadlines);
        self
    }

    /// The YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut stages = String::new();
        for (weight, observe) in &self.stages {
            let longest = self.longest.unwrap_or(60.max(observe * 4));
            let _ = writeln!(stages, "    - {{ weight: {weight}, observe: {observe}s, maxDuration: {longest}s }}");
        }
        format!(
            "apiVersion: canaryd.io/v1
kind: Rollout
metadata: {{ name: {name} }}
spec:
  version: {version}
  app:
    image: {repository}:${{version}}
    port: 8000
    replicas: {replicas}
    health: {{ http: /health, interval: 500ms, timeout: 400ms, startup: {startup}s }}
    stop: {{ grace: 5s, drain: 10s }}
{app}  gateway:
    image: {NGINX}
    listen: {port}
{gateway}  stages:
{stages}  analysis: {{ warmup: 1s }}
  checks:
    - {{ name: errors, errorRate: {{ max: {errors}% }} }}
{checks}  deadlines: {deadlines}
{spec}",
            name = self.name,
            version = self.version,
            repository = self.repository,
            replicas = self.replicas,
            startup = self.startup,
            errors = self.errors,
            app = self.app,
            port = self.port,
            gateway = self.gateway,
            checks = self.checks,
            deadlines = self.deadlines,
            spec = self.spec,
        )
    }
}
