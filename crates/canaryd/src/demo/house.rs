//! The demo's own daemon, manifest, images and load.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use canaryd_cockpit::Client;
use canaryd_engine::{DockerEngine, DockerOptions, Endpoint, Engine};
use canaryd_planner::Report;
use canaryd_probe::{Load, LoadPlan, RequestKind};
use canaryd_rollout::{RolloutName, set_version};
use tokio::process::{Child, Command};

use super::{NAME, PORT};
use crate::cli::DemoArgs;

/// How long anything of the demo may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// What users pull, and what `scripts/nginx-image.sh` makes where nothing can be pulled.
const NGINX_IMAGES: [&str; 2] = ["nginx:stable", "canaryd-nginx:local"];

/// Everything that the demo started.
pub(crate) struct DemoHouse {
    dir: PathBuf,
    app_image: String,
    /// The first that is there is used.
    nginx_images: Vec<String>,
    endpoint: Endpoint,
    daemon: Option<Child>,
}

impl DemoHouse {
    pub(super) fn new(args: &DemoArgs, endpoint: Endpoint) -> Self {
        let uid = rustix::process::getuid().as_raw();
        let app = args.app_image.clone().unwrap_or_else(|| "canaryd-demo".to_owned());
        let nginx_images =
            args.nginx_image.clone().map_or(NGINX_IMAGES.map(str::to_owned).to_vec(), |asked| vec![asked]);
        let dir = std::env::temp_dir().join(format!("canaryd-demo-{uid}"));
        Self { dir, app_image: app, nginx_images, endpoint, daemon: None }
    }

    fn state(&self) -> PathBuf {
        self.dir.join("state")
    }
    fn manifest(&self) -> PathBuf {
        self.dir.join("manifests/shop.yaml")
    }
    fn socket(&self) -> PathBuf {
        self.dir.join("canaryd.sock")
    }

    fn name() -> RolloutName {
        NAME.parse().expect("a legal name")
    }

    /// An engine that sees the demo's containers only; `None` when no demo ran here.
    pub(super) async fn engine(&self) -> Result<Option<DockerEngine>> {
        let Ok(instance) = fs::read_to_string(self.state().join("instance")) else { return Ok(None) };
        let host = Some(self.endpoint.address.to_string());
        let options = DockerOptions { host, ..DockerOptions::new(instance.trim(), self.state()) };
        Ok(Some(DockerEngine::connect(options).await?))
    }

    /// Stops the demo's daemon and removes its containers, network and files.
    pub(super) async fn clean(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take() {
            end(&mut daemon).await;
        }
        if let Some(engine) = self.engine().await? {
            engine.remove_everything().await?;
        }
        match fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", self.dir.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Every image is there, or the message says how to make it.
    pub(super) async fn check_images(&mut self) -> Result<()> {
        let host = Some(self.endpoint.address.to_string());
        let options = DockerOptions { host, ..DockerOptions::new("demo", self.state()) };
        let engine = DockerEngine::connect(options).await?;
        let versions = ["v1", "v2", "v3", "v4"].map(|v| format!("{}:{v}", self.app_image));
        let mut missing = Vec::new();
        for image in &versions {
            if engine.image(image).await?.is_none() {
                missing.push(image.clone());
            }
        }
        match first_present(&engine, &self.nginx_images).await? {
            Some(image) => self.nginx_images = vec![image],
            None => missing.push(self.nginx_images.join(" or ")),
        }
        if !missing.is_empty() {
            bail!("the demo needs images that are not in the engine: {}; `make demo` builds them", missing.join(", "));
        }
        Ok(())
    }

    /// Writes the manifest of v1 and starts the daemon on it.
    pub(super) fn start(&mut self) -> Result<()> {
        fs::create_dir_all(self.dir.join("manifests"))?;
        fs::create_dir_all(self.state())?;
        fs::write(self.manifest(), self.manifest_text())?;
        let log = fs::File::create(self.dir.join("daemon.log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--watch").arg(self.dir.join("manifests"));
        command.arg("--state").arg(self.state()).arg("--socket").arg(self.socket());
        command.args(["--log", "text", "--docker-host", &self.endpoint.address.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.daemon = Some(command.spawn().context("cannot start the daemon")?);
        Ok(())
    }

    fn manifest_text(&self) -> String {
        format!(
            "# The demo's rollout. Only the version line changes.
apiVersion: canaryd.io/v1
kind: Rollout
metadata:
  name: {NAME}
spec:
  version: v1
  app:
    image: {image}:${{version}}
    port: 8000
    health: {{ http: /health, interval: 1s, startup: 20s }}
    stop: {{ grace: 5s, drain: 10s }}
  gateway:
    image: {nginx}
    listen: {PORT}
  stages:              # seconds here; 15 minutes each are the default
    - {{ weight: 1, observe: 6s, maxDuration: 60s }}
    - {{ weight: 5, observe: 6s, maxDuration: 60s }}
    - {{ weight: 25, observe: 8s, maxDuration: 60s }}
    - {{ weight: 100, observe: 6s, maxDuration: 60s }}
  analysis: {{ warmup: 2s }}
  checks:
    - {{ name: errors, errorRate: {{ max: 1% }} }}
    - {{ name: latency, latency: {{ quantile: 0.95, max: 500ms }} }}
",
            image = self.app_image,
            nginx = self.nginx_images.first().map_or(NGINX_IMAGES[0], String::as_str)
        )
    }

    /// Waits until v1 serves.
    pub(super) async fn install(&mut self) -> Result<()> {
        self.until("v1 serves", |report| {
            report.phase == "idle" && report.production.as_ref().is_some_and(|p| p.version == "v1")
        })
        .await?;
        Ok(())
    }

    /// Changes the version line, as a person would with an editor or a commit.
    pub(super) fn set_version(&self, version: &str) -> Result<()> {
        let path = self.manifest();
        let text = set_version(&fs::read_to_string(&path)?, &Self::name(), version)?;
        let temporary = path.with_extension("new");
        fs::write(&temporary, text)?;
        fs::rename(&temporary, &path)?;
        Ok(())
    }

    pub(super) fn load() -> Result<Load> {
        let plan = LoadPlan {
            target: SocketAddr::from(([127, 0, 0, 1], PORT)),
            rate: 200.0,
            duration: Some(Duration::from_secs(300)),
            count: None,
            connections: 40,
            keep_alive: true,
            mix: RequestKind::of_many_clients(500, &[RequestKind::get("/"), RequestKind::post("/echo", "an order")]),
            timeout: Duration::from_secs(10),
            seed: 7,
        };
        Ok(Load::start(plan)?)
    }

    /// The daemon's API, as soon as it answers.
    pub(super) async fn client(&mut self) -> Result<Client> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Client::connect(self.socket()).await {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() > deadline => return Err(error).context("the daemon does not answer"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            if let Some(daemon) = &mut self.daemon
                && let Some(status) = daemon.try_wait()?
            {
                bail!("the daemon ended ({status}): {}", self.last_words());
            }
        }
    }

    /// Polls until `done`; the deadline's message says what was waited for.
    async fn until(&mut self, what: &str, done: impl Fn(&Report) -> bool) -> Result<Report> {
        let client = self.client().await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(report) = client.report(&Self::name()).await
                && done(&report)
            {
                return Ok(report);
            }
            if Instant::now() > deadline {
                bail!("it took too long until {what}; the daemon said: {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

async fn first_present(engine: &DockerEngine, images: &[String]) -> Result<Option<String>> {
    for image in images {
        if engine.image(image).await?.is_some() {
            return Ok(Some(image.clone()));
        }
    }
    Ok(None)
}

async fn end(daemon: &mut Child) {
    if let Some(pid) = daemon.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(15), daemon.wait()).await.is_err() {
        let _ = daemon.kill().await;
    }
}
