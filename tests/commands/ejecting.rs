//! `eject`: what is in production as a Compose file that works, and the way there that it prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::http::{ask, until_steady};
use canaryd_e2e::{Host, Manifest, NGINX, PATIENCE, compose, demo_image, docker, load, remove_leftovers};
use canaryd_rollout::{ImageState, Inputs, Running, RunningComponent, SourceText, eject, parse, resolve};

use super::{no, yes};

const NAME: &str = "gate-eject";
const PORT: u16 = 22_622;
const ASIDE: u16 = 32_622;
const FRONT: u16 = 22_623;

/// What was started by Compose goes with it.
struct Project(PathBuf);

impl Project {
    /// A command as it was printed.
    fn sh(&self, line: &str) -> Output {
        let way = compose().unwrap_or(&["docker", "compose"]).join(" ");
        let line = line.replace("docker compose", &way);
        Command::new("sh").args(["-c", &line]).current_dir(&self.0).stdin(Stdio::null()).output().unwrap()
    }
    fn done(&self, line: &str) -> String {
        let output = self.sh(line);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {err}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.sh(&format!("docker compose -p {NAME} -f out.yaml down -t 1"));
    }
}

/// Every printed command of the steps.
fn commands(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("       ")).map(str::trim).collect()
}

fn manifest(host: &Host, app: &str) -> Manifest {
    std::fs::write(host.path("key"), "hunter2-in-a-file").unwrap();
    std::fs::write(host.path("vars.env"), "TOKEN=hunter2 $HOME #5\n").unwrap();
    Manifest::new(NAME, app, "v1", PORT)
        .app("envFiles: [../vars.env]")
        .app("env: { GREETING: \"a $b\" }")
        .app("secrets: [{ file: ../key, target: /run/secrets/key }]")
        .app("resources: { cpus: 0.5, memory: 64m }")
        .app("tmpfs: [/tmp]")
        .spec(&format!(
            "workers:\n  - {{ name: mail, image: \"{app}:${{version}}\", env: {{ WORKER: \"1\" }}, health: {{ none: true, startup: 1s }} }}"
        ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ejected_starts_by_compose_and_users_move_there_without_a_lost_request() {
    remove_leftovers(NAME);
    let app = demo_image(NAME, "v1", &[]);
    let host = Host::start().await;
    host.set(&manifest(&host, &app));
    host.until_serving(NAME, "v1").await;
    until_steady(PORT).await;
    let out = host.path("out.yaml");
    let (said, text) = written(&host, &out).await;
    let Some(_) = compose() else {
        eprintln!("skipped: Docker Compose is not installed; the file was only read");
        return assert!(text.contains("\nservices:\n  \"app\":\n"), "{text}");
    };
    let project = Project(host.path(""));
    let front = Front::before(&host, PORT);
    until_steady(FRONT).await;
    let load = load(FRONT, 50.0, true);
    let commands = commands(&said);
    let (before, rest) = commands.split_at(commands.iter().position(|c| c.contains("nginx -s reload")).unwrap());
    for line in before.iter().filter(|line| !line.starts_with("curl") && !line.starts_with("cd ")) {
        project.done(line);
    }
    let config = project.done(&format!("docker compose -p {NAME} -f out.yaml config"));
    assert!(config.contains("hunter2"), "the variables are read from beside it: {config}");
    until_steady(ASIDE).await;
    as_it_was(&host);
    front.leads_to(&host, ASIDE).await;
    assert!(rest[1].starts_with(&format!("canaryd delete {NAME}")), "{rest:?}");
    yes(&host, &["delete", NAME, "--yes"]).await;
    let gone = "deleted; the manifest is still there";
    host.until(NAME, gone, |r| r.notes.iter().any(|n| n.contains(gone))).await;
    assert_eq!(ask(ASIDE, "GET /", &[], b"").await.unwrap().status, 200, "it does not need canaryd");
    let report = load.stop().await;
    assert!(report.failed == 0 && report.ok > 100, "{:#?}", report.failures);
    project.done(rest[2]);
    assert!(docker(&["ps", "--format", "{{.Names}}"]).contains("mail"), "the workers come last");
}

/// The proxy in front that users come to.
struct Front;

impl Front {
    fn before(host: &Host, port: u16) -> Self {
        Self::writes(host, port);
        let mount = format!("{}:/front", host.path("front").display());
        drop(Self);
        let run = ["run", "-d", "--name", "gate-eject-front", "--network", "host", "-v", &mount, NGINX];
        docker(&[&run[..], &["/usr/sbin/nginx", "-c", "/front/nginx.conf", "-g", "daemon off;"]].concat());
        Self
    }

    fn writes(host: &Host, port: u16) {
        std::fs::create_dir_all(host.path("front")).unwrap();
        let text = format!(
            "events {{}}\npid /tmp/front.pid;\nhttp {{ access_log off; keepalive_min_timeout 1s; server {{ listen 127.0.0.1:{FRONT}; \
             location / {{ proxy_pass http://127.0.0.1:{port}; }} }} }}\n"
        );
        std::fs::write(host.path("front/nginx.conf"), text).unwrap();
    }

    /// Reloads it, and waits until its old workers have ended.
    async fn leads_to(&self, host: &Host, port: u16) {
        Self::writes(host, port);
        docker(&["kill", "--signal", "HUP", "gate-eject-front"]);
        let deadline = Instant::now() + PATIENCE;
        let mut reloaded = false;
        loop {
            let old = docker(&["top", "gate-eject-front"]).contains("shutting down");
            reloaded |= old;
            if reloaded && !old {
                return;
            }
            assert!(Instant::now() < deadline, "the old workers of the proxy do not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "gate-eject-front"]).output();
    }
}

async fn written(host: &Host, out: &Path) -> (String, String) {
    let path = out.display().to_string();
    let (code, printed, said) = host.cli(&["eject", NAME, "--output", &path]).await;
    assert_eq!((code, printed.as_str()), (0, ""), "{said}");
    let text = std::fs::read_to_string(out).unwrap();
    for told in [&said, &text] {
        assert!(!told.contains("hunter2") && !told.contains("a $"), "no value is told: {told}");
    }
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("Nothing was changed: canaryd and all that it runs serve on"), "{said}");
    let (code, again, _) = host.cli(&["eject", NAME]).await;
    assert_eq!((code, &again), (0, &text), "to stdout, byte by byte the same");
    assert!(no(host, 2, &["eject", NAME, "--output", &path]).await.contains("is there already"));
    assert!(no(host, 2, &["eject", "gate-ejct"]).await.contains("did you mean gate-eject?"));
    assert!(yes(host, &["eject", NAME, "--port", "32623"]).await.contains("127.0.0.1:32623:8000"));
    (said, text)
}

/// Compose's container has what canaryd's has.
fn as_it_was(host: &Host) {
    let ours = host.containers(NAME, "app").remove(0);
    let filter = format!("label=com.docker.compose.project={NAME}");
    let theirs = docker(&["ps", "-q", "--filter", &filter]);
    let both = |template: &str| [&ours, &theirs].map(|id| docker(&["inspect", "--format", template, id]));
    for template in [
        "{{.Image}}",
        "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}} {{.Config.StopTimeout}}",
        "{{.HostConfig.Tmpfs}}",
    ] {
        let [one, other] = both(template);
        assert_eq!(one, other, "{template}");
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let [one, other] = both("{{range .Config.Env}}{{println .}}{{end}}");
    assert_eq!(sorted(&one), sorted(&other));
    let copy = docker(&["exec", &theirs, "/demo-app", "do", "cat", "/run/secrets/key"]);
    assert_eq!(copy, "hunter2-in-a-file");
}

const EVERYTHING: &str = r#"apiVersion: canaryd.io/v1
kind: Rollout
metadata: { name: gate-all }
spec:
  version: v1
  app:
    image: registry.example/shop:${version}
    port: 8000
    replicas: 3
    entrypoint: [/entry]
    command: [serve, "--greeting=$HOME", "a: b # c"]
    user: "1000:1000"
    groupAdd: ["44"]
    workdir: /srv
    env: { TOKEN: hunter2 }
    mounts: [{ source: /srv/media, target: /media, readOnly: true }]
    volumes: [{ source: data, target: /data, sharing: shared }, { source: cache, target: /cache, sharing: perRevision }]
    tmpfs: { /tmp: "size=64m", /run: "" }
    networks: [backend]
    extraHosts: ["db:10.0.0.1"]
    dns: [10.0.0.2]
    dnsSearch: [example.org]
    resources: { cpus: 1.5, memory: 1g, memoryReservation: 512m, pids: 100 }
    devices: [/dev/null]
    gpus: all
    shmSize: 64m
    ulimits: { nofile: 1024, nproc: { soft: 10, hard: 20 } }
    sysctls: { net.core.somaxconn: 1024 }
    capAdd: [NET_ADMIN]
    capDrop: [ALL]
    securityOpt: [no-new-privileges]
    init: true
    readOnly: true
    labels: { team: "a $team" }
    logging: { driver: json-file, options: { max-size: 10m } }
    platform: linux/amd64
    stopSignal: SIGINT
    health: { http: /health }
  workers:
    - { name: mail, image: "mail:${version}", health: { exec: [check, "--now"], interval: 1500ms } }
  gateway: { listen: 8080, aliases: [web], networks: [backend] }
"#;

#[test]
fn every_field_of_a_container_is_valid_for_compose() {
    let source = SourceText { name: "all.yaml".to_owned(), text: EVERYTHING.to_owned() };
    let parsed = parse(&source, &BTreeMap::new());
    assert!(parsed.problems.iter().all(|p| !p.is_error()), "{:?}", parsed.problems);
    let images = ["registry.example/shop:v1", "mail:v1"].map(|image| (image.to_owned(), ImageState::Pending)).into();
    let rollout = resolve(&parsed.drafts[0], &Inputs { images, ..Inputs::default() }).unwrap().rollout;
    let running =
        |replicas| RunningComponent { image: format!("sha256:{}", "ab".repeat(32)), container: None, replicas };
    let components = [("app", running(3)), ("mail", running(1))].map(|(name, one)| (name.parse().unwrap(), one));
    let running = Running { host: "host2".to_owned(), components: components.into(), port: 18_080 };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("out.yaml"), eject(&rollout, &running).compose).unwrap();
    std::fs::write(dir.path().join("gate-all-app.env"), "TOKEN='hunter2'\n").unwrap();
    let Some(way) = compose() else { return eprintln!("skipped: Docker Compose is not installed") };
    let line = format!("{} -f out.yaml config", way.join(" "));
    let output = Command::new("sh").args(["-c", &line]).current_dir(dir.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    for word in ["--greeting=$$HOME", "net.core.somaxconn", "NET_ADMIN", "nproc", "max-size", "start_period", "backend"]
    {
        assert!(out.contains(word), "{word:?}: {out}");
    }
}
