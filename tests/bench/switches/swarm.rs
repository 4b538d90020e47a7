//! Swarm's start-first update of a service with a health check, on an engine of the bench's own in a network of its own, so that
//! the engine of this machine never becomes part of a swarm. In front a plain NGINX, which asks Swarm's DNS for the tasks
//! (`dnsrr`: not every kernel has what a virtual address needs).

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::{NGINX, demo_image_with, load};
use canaryd_probe::LoadReport;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::{BOOT, Harm, Release, WATCHED};

const PORT: u16 = 8080;
const HEALTH: &str = "HEALTHCHECK CMD [\"/demo-app\", \"health\"]\n";
const START: Duration = Duration::from_secs(60);

/// An engine that ends, with everything it has, when it is dropped.
struct Engine {
    dir: TempDir,
    process: Child,
}

pub(super) async fn release(release: Release) -> Result<Harm, String> {
    tokio::task::spawn_blocking(move || on_an_engine(release)).await.unwrap()
}

fn on_an_engine(release: Release) -> Result<Harm, String> {
    if !rustix::process::getuid().is_root() {
        return Err("an engine of its own needs root".to_owned());
    }
    let repository = demo_image_with("bench-swarm", "v1", &[BOOT], HEALTH);
    demo_image_with("bench-swarm", "v2", release.env(), HEALTH);
    let engine = Engine::start()?;
    engine.take(&[NGINX, &format!("{repository}:v1"), &format!("{repository}:v2")])?;
    engine.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?;
    engine.docker(&["network", "create", "-d", "overlay", "--attachable", "bench"])?;
    engine.serve(&format!("{repository}:v1"))?;
    engine.front()?;
    let reports = engine.under_load(|| {
        engine.docker(&["service", "update", "--image", &format!("{repository}:v2"), "--no-resolve-image", "app"])?;
        std::thread::sleep(if release == Release::Good { Duration::from_secs(6) } else { WATCHED });
        Ok(())
    })?;
    Ok(Harm::of(&reports))
}

impl Engine {
    fn start() -> Result<Self, String> {
        let dir = TempDir::with_prefix("canaryd-bench-").unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let log = File::create(dir.path().join("log")).unwrap();
        // Whatever this machine's engine is told does not concern this one.
        std::fs::write(dir.path().join("daemon.json"), "{}").unwrap();
        let flags = format!(
            "--config-file {} --data-root {} --exec-root {} -p {} -H unix://{}",
            at("daemon.json"),
            at("data"),
            at("exec"),
            at("pid"),
            at("docker.sock")
        );
        let script = format!("ip link set lo up && exec dockerd {flags}");
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", &script]).stdin(Stdio::null());
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().map_err(|e| e.to_string())?;
        let mut engine = Self { dir, process };
        let deadline = Instant::now() + START;
        while engine.docker(&["version"]).is_err() {
            let ended = engine.process.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(engine.dir.path().join("log")).unwrap_or_default();
                return Err(format!("an engine of its own does not start: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(engine)
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    fn docker(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("docker").arg("-H").arg(self.socket()).args(args).env_remove("DOCKER_HOST").output();
        let output = output.map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Copies images of this machine's engine.
    fn take(&self, images: &[&str]) -> Result<(), String> {
        let file = self.dir.path().join("images.tar").display().to_string();
        let saved =
            Command::new("docker").args(["save", "-o", &file]).args(images).output().map_err(|e| e.to_string())?;
        if !saved.status.success() {
            return Err(String::from_utf8_lossy(&saved.stderr).trim().to_owned());
        }
        self.docker(&["load", "-q", "-i", &file]).map(drop)
    }

    fn serve(&self, image: &str) -> Result<(), String> {
        self.docker(&[
            "service",
            "create",
            "-d",
            "--name",
            "app",
            "--network",
            "bench",
            "--endpoint-mode",
            "dnsrr",
            "--no-resolve-image",
            "--update-order",
            "start-first",
            "--update-failure-action",
            "rollback",
            "--rollback-order",
            "start-first",
            "--health-interval",
            "1s",
            "--health-timeout",
            "1s",
            "--health-retries",
            "2",
            image,
        ])
        .map(drop)
    }

    fn front(&self) -> Result<(), String> {
        let conf = format!(
            "user root;\npid /tmp/nginx.pid;\nerror_log /dev/stderr;\nevents {{}}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; \
             scgi_temp_path /tmp/5;\n  resolver 127.0.0.11 valid=1s;\n  server {{\n    listen {PORT};\n    location / {{\n      \
             set $app app;\n      proxy_connect_timeout 2s;\n      proxy_pass http://$app:8000;\n    }}\n  }}\n}}\n"
        );
        let file: PathBuf = self.dir.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let (mount, published) = (format!("{}:/nginx.conf:ro", file.display()), format!("127.0.0.1:{PORT}:{PORT}"));
        self.docker(&[
            "run",
            "-d",
            "--name",
            "front",
            "--network",
            "bench",
            "-p",
            &published,
            "-v",
            &mount,
            NGINX,
            "/usr/sbin/nginx",
            "-c",
            "/nginx.conf",
            "-g",
            "daemon off;",
        ])
        .map(drop)
    }

    /// Runs in this engine's network, where its front door is on 127.0.0.1.
    fn under_load(&self, change: impl FnOnce() -> Result<(), String>) -> Result<[LoadReport; 2], String> {
        let network = File::open(format!("/proc/{}/ns/net", self.process.id())).map_err(|e| e.to_string())?;
        let (go, over) = std::sync::mpsc::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel::<Result<(), String>>();
        let loading = std::thread::spawn(move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), kind).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                ready.send(until_served().await).unwrap();
                let loads = [load(PORT, 50.0, true), load(PORT, 50.0, false)];
                while let Err(std::sync::mpsc::TryRecvError::Empty) = over.try_recv() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let [kept, new] = loads;
                [kept.stop().await, new.stop().await]
            })
        });
        is_ready.recv().map_err(|e| e.to_string())??;
        std::thread::sleep(Duration::from_secs(2));
        let changed = change();
        drop(go);
        let reports = loading.join().map_err(|_| "the load broke off".to_owned())?;
        changed.map(|()| reports)
    }
}

async fn until_served() -> Result<(), String> {
    let deadline = Instant::now() + START;
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let answer = canaryd_e2e::http::ask(PORT, "GET /", &[], b"").await;
        in_a_row = if answer.is_ok_and(|answer| answer.status == 200) { in_a_row + 1 } else { 0 };
        if Instant::now() > deadline {
            return Err("the service does not serve".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.docker(&["service", "rm", "app"]);
        let _ = self.docker(&["rm", "-f", "front"]);
        let _ = self.docker(&["swarm", "leave", "--force"]);
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
