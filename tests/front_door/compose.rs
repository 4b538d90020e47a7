//! An nginx that is a service of a Compose project.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, NGINX, PATIENCE, compose, demo_image, docker, load, remove_leftovers};
use canaryd_planner::Outcome;
use tempfile::TempDir;

use super::guide::{Section, before};
use super::{STAGES, lane};

const NAME: &str = "door-compose";
const FRONT: u16 = 22_651;
const GATEWAY: u16 = 22_652;

/// The user's project: `web` behind `front`.
struct Project(TempDir);

impl Project {
    fn new(app: &str) -> Self {
        let dir = TempDir::with_prefix("canaryd-door-").unwrap();
        fs::create_dir(dir.path().join("front")).unwrap();
        let text = format!(
            "version: '3.8'\nservices:\n  web: {{ image: '{app}:v1' }}\n  front:\n    image: {NGINX}\n    \
             command: [/usr/sbin/nginx, -e, stderr, -g, 'daemon off;']\n    tmpfs: [/tmp]\n    \
             volumes: ['./front:/etc/nginx:ro']\n    ports: ['127.0.0.1:{FRONT}:80']\n"
        );
        fs::write(dir.path().join("docker-compose.yml"), text).unwrap();
        Self(dir)
    }

    /// The configuration around the guide's block.
    fn configure(&self, block: &str) {
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|w| format!("{w}_temp_path /tmp/{w}; "));
        let text = format!(
            "pid /tmp/nginx.pid;\nevents {{}}\nhttp {{\n{}access_log off; keepalive_min_timeout 1s;\n{block}}}\n",
            temporary.concat()
        );
        fs::write(self.0.path().join("front/nginx.conf"), text).unwrap();
    }

    fn sh(&self, line: &str) -> Output {
        let way = compose().unwrap_or(&["docker", "compose"]).join(" ");
        let line = line.replace("docker compose", &format!("{way} -p {NAME}"));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-ec", &line]).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn done(&self, line: &str) -> String {
        let output = self.sh(line);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}: {text}");
        text
    }

    /// Reloads by the guide's own commands; returns when the old worker processes have ended.
    async fn turn(&self, block: &str, commands: &str) {
        self.configure(block);
        let front = self.done("docker compose ps -q front").trim().to_owned();
        let workers = || {
            let all = docker(&["top", &front, "-eo", "pid,args"]);
            let of_workers = all.lines().filter(|line| line.contains("worker process")).map(str::to_owned);
            of_workers.collect::<Vec<String>>()
        };
        let old: Vec<String> = workers().iter().map(|line| first_word(line)).collect();
        self.done(commands);
        let deadline = Instant::now() + PATIENCE;
        while workers().is_empty() || workers().iter().any(|line| old.contains(&first_word(line))) {
            assert!(Instant::now() < deadline, "its old workers do not end: {:?}", workers());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn first_word(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.sh("docker compose down -t 1");
    }
}

/// The guide's part of the manifest, with this project's network.
fn manifest(section: &Section, app: &str) -> Manifest {
    let part = section.first("yaml").replace("shop_default", &format!("{NAME}_default"));
    let lines = part.lines().skip(1).map(|line| line.split(" #").next().unwrap_or_default().trim());
    let mine = lines.filter(|line| !line.starts_with("listen"));
    mine.fold(Manifest::new(NAME, app, "v1", GATEWAY).stages(&STAGES), Manifest::gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_in_compose_leads_to_canaryd_and_back_without_a_lost_request() {
    let Some(_) = compose() else {
        eprintln!("skipped: Docker Compose is not installed");
        return;
    };
    remove_leftovers(NAME);
    let section = Section::of("nginx in Compose");
    let (app, block) = (demo_image(NAME, "v1", &[]), section.first("nginx"));
    demo_image(NAME, "v2", &[]);
    let commands = section.first("sh");
    let (turn, stop) = commands.trim_end().rsplit_once('\n').unwrap();
    let project = Project::new(&app);
    project.configure(&before(&block));
    project.done("docker compose up -d");
    until_steady(FRONT).await;
    let load = load(FRONT, 60.0, true);
    let host = Host::start().await;
    let manifest = manifest(&section, &app);
    host.set(&manifest);
    host.run_cli(&["wait", NAME, "--timeout", "1m"]).await;
    project.turn(&block, turn).await;
    assert_eq!(lane(FRONT).await, "production");
    project.done(stop);
    host.set(&manifest.version("v2"));
    host.expect_outcome(NAME, "v2", Outcome::Promoted).await;
    beside(&project, &host);
    project.turn(&before(&block), turn).await;
    assert_eq!(lane(FRONT).await, "");
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    assert!(report.ok > 500 && report.by_version.contains_key("v2"), "{:?}", report.by_version);
    gone(&project, &host).await;
}

/// What Compose does beside: it starts its own again, and leaves canaryd's containers alone.
fn beside(project: &Project, host: &Host) {
    let ours = host.containers(NAME, "app");
    project.done("docker compose up -d --remove-orphans");
    assert!(!project.done("docker compose ps -q web").trim().is_empty(), "it starts the old one again");
    assert_eq!(host.containers(NAME, "app"), ours);
}

/// Without the project what is in production serves on.
async fn gone(project: &Project, host: &Host) {
    let output = project.sh("docker compose down -t 1");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("has active endpoints"), "{said}");
    assert_eq!(get(GATEWAY, "/").await.header("X-App-Version"), "v2");
    host.run_cli(&["delete", NAME, "--yes"]).await;
    host.until_gone(NAME, "app", "v2").await;
    project.done("docker compose down -t 1");
}
