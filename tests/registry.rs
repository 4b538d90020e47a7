//! Images from a real registry that wants a password: pulled with the user's own Docker login, or refused with the reason.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, demo_image, docker};
use canaryd_planner::Outcome;
use tempfile::TempDir;

const USER: &str = "deployer";
const PASSWORD: &str = "not a secret";
/// bcrypt of the password.
const HTPASSWD: &str = "deployer:$2y$05$abcdefghijklmnopqrstuuiitcSTbmWtinjxTMhPy6Z4ocreVFuRu\n";

/// A registry on 127.0.0.1, which Docker trusts without TLS.
struct Registry {
    dir: TempDir,
    process: Child,
    port: u16,
}

impl Registry {
    fn start() -> Self {
        let dir = TempDir::with_prefix("canaryd-registry-").expect("a directory");
        let port = free_port();
        fs::write(dir.path().join("htpasswd"), HTPASSWD).expect("writable");
        let config = format!(
            "version: 0.1
storage: {{ filesystem: {{ rootdirectory: {root}/images }} }}
http: {{ addr: \"127.0.0.1:{port}\" }}
auth: {{ htpasswd: {{ realm: tests, path: {root}/htpasswd }} }}
",
            root = dir.path().display()
        );
        fs::write(dir.path().join("config.yml"), config).expect("writable");
        let process = Command::new(tool())
            .args(["serve".as_ref(), dir.path().join("config.yml").as_os_str()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).expect("writable"))
            .spawn()
            .expect("the registry starts");
        let registry = Self { dir, process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    fn repository(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// A Docker configuration of somebody who has logged in.
    fn logged_in(&self) -> PathBuf {
        let config = self.dir.path().join("docker");
        let mut login = Command::new("docker")
            .arg("--config")
            .arg(&config)
            .args(["login", "--username", USER, "--password-stdin", &format!("127.0.0.1:{}", self.port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker is installed");
        std::io::Write::write_all(&mut login.stdin.take().expect("a pipe"), PASSWORD.as_bytes()).expect("a pipe");
        assert!(login.wait().expect("docker ends").success(), "the login is refused");
        config
    }

    /// Moves a local image there: afterwards only the registry has it under that name.
    fn push(&self, local: &str, name: &str, version: &str, config: &Path) {
        let remote = format!("{}:{version}", self.repository(name));
        docker(&["tag", &format!("{local}:{version}"), &remote]);
        docker(&["--config", config.to_str().expect("a plain path"), "push", "--quiet", &remote]);
        docker(&["image", "rm", &remote]);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `scripts/registry.sh` fetches.
fn tool() -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/docker-registry");
    assert!(tool.exists(), "there is no registry to test with: run scripts/registry.sh");
    tool
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_pulled_with_the_users_own_login_and_a_missing_tag_is_named() {
    let name = "pulled";
    let registry = Registry::start();
    let config = registry.logged_in();
    let local = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    registry.push(&local, name, "v1", &config);
    registry.push(&local, name, "v2", &config);

    let host = Host::start_in(&[], &[("DOCKER_CONFIG", &config)]).await;
    let stages = [(50.0, 1), (100.0, 1)];
    let manifest = Manifest::new(name, &registry.repository(name), "v1", free_port())
        .stages(&stages)
        .deadlines("{ pull: 30s, start: 20s }")
        .check("{ name: slow, latency: { quantile: 0.95, max: 5s } }");
    host.write("app.yaml", &manifest.yaml());
    host.until_serving(name, "v1").await;
    // Without traffic nothing is proven: a person says that it is good.
    host.write("app.yaml", &manifest.clone().version("v2").yaml());
    host.until(name, "v2 is on trial", |r| r.canary.as_ref().is_some_and(|c| c.version == "v2")).await;
    let verb = canaryd_planner::Verb::Promote { reason: "pulled".to_owned() };
    assert!(host.command(name, verb).await.accepted);
    host.expect_outcome(name, "v2", Outcome::Promoted).await;

    host.write("app.yaml", &manifest.version("v9").yaml());
    let ended = host.expect_outcome(name, "v9", Outcome::Reverted).await;
    assert!(ended.reason.contains(&format!("{}:v9", registry.repository(name))), "{}", ended.reason);
    assert!(!host.log().contains(PASSWORD), "a password is never logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_the_message_says_which_one_is_missing() {
    let name = "refused";
    let registry = Registry::start();
    let config = registry.logged_in();
    let local = demo_image(name, "v1", &[]);
    registry.push(&local, name, "v1", &config);

    let stranger = TempDir::new().expect("a directory");
    let host = Host::start_in(&[], &[("DOCKER_CONFIG", stranger.path())]).await;
    let manifest = Manifest::new(name, &registry.repository(name), "v1", free_port());
    host.write("app.yaml", &manifest.yaml());
    let report = host
        .until(name, "the pull is refused", |r| r.outcome.as_ref().is_some_and(|end| end.outcome == Outcome::Reverted))
        .await;
    let reason = report.outcome.map(|end| end.reason).unwrap_or_default();
    assert!(reason.contains("docker login"), "{reason}");
}
