//! The gateway as the daemon makes it: its container, its ports, its log, and a bad snippet.

use std::time::Duration;

use canaryd_e2e::http::{ask, get, until_steady};
use canaryd_e2e::{Host, Manifest, NGINX, demo_image, docker, inspect, load};
use canaryd_gateway::{Lane, force_value};
use canaryd_planner::Verb;
use canaryd_rollout::Weight;

const SLOW: [(f64, u64); 2] = [(1.0, 300), (100.0, 300)];

/// The secrets of a gateway, as the daemon keeps them.
fn secret(host: &Host, rollout: &str, name: &str) -> String {
    let text = std::fs::read(host.state().join("gateways").join(rollout).join("secrets.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()[name].as_str().unwrap().to_owned()
}

/// A network of the user's own, with a container to call from.
struct Callers(&'static str);

impl Callers {
    fn new(name: &'static str) -> Self {
        let callers = Self(name);
        drop(callers.sweep());
        docker(&["network", "create", name]);
        callers
    }
    /// What `path` of `http://alias:port` answers to a container on this network: asked by NGINX's own proxying.
    fn sweep(&self) -> std::io::Result<()> {
        for args in [["rm", "-f", "-v"].as_slice(), &["network", "rm"]] {
            let name = if args[0] == "rm" { format!("{}-caller", self.0) } else { self.0.to_owned() };
            std::process::Command::new("docker").args(args).arg(&name).output()?;
        }
        Ok(())
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        drop(self.sweep());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_container_can_do_little_and_its_ports_are_where_the_manifest_says() {
    let callers = Callers::new("gate-callers");
    let app = demo_image("gate-house", "v1", &[]);
    demo_image("gate-house", "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new("gate-house", &app, "v1", 22_300)
        .stages(&SLOW)
        .gateway("expose: { production: 22301, canary: 22302 }")
        .gateway("force: { header: X-Lane }")
        .gateway("networks: [gate-callers]")
        .gateway("aliases: [shop]");
    host.write("house.yaml", &manifest.yaml());
    host.until_serving("gate-house", "v1").await;
    little_rights("gate-house-gateway", &host);
    assert_eq!(get(22_301, "/").await.header("X-App-Version"), "v1");
    let nobody = get(22_302, "/").await;
    assert_eq!(nobody.status, 503, "there is no canary yet");
    assert!(nobody.body.starts_with("no canary of gate-house is running here"), "{}", nobody.body);
    host.write("house.yaml", &manifest.clone().version("v2").yaml());
    host.until("gate-house", "1 %", |r| r.live_weight > Weight::ZERO).await;
    until_steady(22_302).await;
    for (port, version) in [(22_301, "v1"), (22_302, "v2")] {
        let answer = get(port, "/").await;
        assert_eq!((answer.header("X-App-Version"), answer.header("X-Canary-Version")), (version, version));
    }
    let value = force_value(Lane::Canary, &secret(&host, "gate-house", "force_token"));
    assert_eq!(ask(22_300, "GET /", &[("X-Lane", &value)], b"").await.unwrap().header("X-App-Version"), "v2");
    told_to_who_asks(&host).await;
    let report = host.report("gate-house").await.unwrap();
    let counted: u64 = report.stages.iter().map(|s| s.requests).sum();
    assert_eq!(counted, 0, "forced and pinned requests are no evidence");
    called_by_its_old_name(&callers);
}

/// The secret header is shown by the one command that is for it, and by nothing else.
async fn told_to_who_asks(host: &Host) {
    let header = async |args: &[&str]| host.run_cli(&[&["header", "gate-house"], args].concat()).await;
    for (args, version) in [(&[][..], "v2"), (&["--lane", "production"][..], "v1")] {
        let line = header(args).await;
        let (name, value) = line.trim_end().split_once(": ").unwrap();
        let answer = ask(22_300, "GET /", &[(name, value)], b"").await.unwrap();
        assert_eq!((name, answer.header("X-App-Version")), ("X-Lane", version), "{args:?}");
    }
    let page: serde_json::Value = serde_json::from_str(&header(&["--output", "json"]).await).unwrap();
    assert_eq!((page["header"].as_str(), page["lane"].as_str()), (Some("X-Lane"), Some("canary")));
    let token = secret(host, "gate-house", "force_token");
    assert_eq!(page["value"].as_str().unwrap(), format!("canary:{token}"));
    let shown = [
        host.run_cli(&["status", "gate-house", "--output", "json"]).await,
        host.run_cli(&["status", "--output", "json"]).await,
        host.run_cli(&["events", "--output", "json"]).await,
        host.log(),
    ];
    assert!(shown.iter().all(|text| !text.contains(&token)), "a secret is shown");
    for file in ["journal.db", "journal.db-wal"] {
        let bytes = std::fs::read(host.state().join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(&token), "{file}");
    }
}

fn little_rights(container: &str, host: &Host) {
    assert_eq!(inspect(container, "{{.HostConfig.ReadonlyRootfs}}"), "true");
    assert_eq!(inspect(container, "{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}"), "[ALL] []");
    assert_eq!(
        inspect(container, "{{.HostConfig.Privileged}} {{.HostConfig.NetworkMode}}").split(' ').next(),
        Some("false")
    );
    assert_eq!(inspect(container, "{{.HostConfig.RestartPolicy.Name}} {{.Config.StopSignal}}"), "always SIGQUIT");
    assert!(inspect(container, "{{.HostConfig.SecurityOpt}}").contains("no-new-privileges"));
    assert!(!inspect(container, "{{.Config.User}}").starts_with('0'));
    assert!(!inspect(container, "{{.Config.Labels}}").contains("com.docker.compose"));
    let status = docker(&["exec", container, "/usr/sbin/nginx", "-v"]);
    assert_eq!(status, "", "it says its version on stderr");
    let mounts = inspect(container, "{{range .Mounts}}{{.Destination}}={{.RW}} {{end}}");
    assert!(mounts.contains("/etc/canaryd=false") && mounts.contains("/var/log/canaryd=true"), "{mounts}");
    let ports = inspect(container, "{{range $p, $b := .NetworkSettings.Ports}}{{range $b}}{{.HostIp}} {{end}}{{end}}");
    assert_eq!(ports.trim().split(' ').collect::<Vec<_>>(), ["127.0.0.1"; 4], "traffic, two pinned, ops");
    let all = inspect(container, "{{json .Config}}{{json .HostConfig}}");
    for name in ["ops_token", "force_token", "client_salt"] {
        assert!(!all.contains(&secret(host, "gate-house", name)), "{name} is no argument and no variable");
    }
    let configuration = host.state().join("gateways/gate-house/conf/current/nginx.conf");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(configuration).unwrap().permissions());
    assert_eq!(mode & 0o007, 0, "it holds secrets: {mode:o}");
}

/// A container of the user's network calls `http://shop:8000`. There is no shell in our images, so an NGINX is the caller.
fn called_by_its_old_name(callers: &Callers) {
    let dir = tempfile::tempdir().unwrap();
    let conf = "pid /tmp/n.pid; error_log stderr; events {}\nhttp { access_log off; proxy_temp_path /tmp/p; \
                client_body_temp_path /tmp/b; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;\n\
                server { listen 8080; location / { proxy_pass http://shop:8000; } } }\n";
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let (name, mount) = (format!("{}-caller", callers.0), format!("{}:/c:ro", dir.path().display()));
    let mut args = vec!["run", "-d", "--name", &name, "--network", callers.0, "-p", "127.0.0.1:22309:8080"];
    args.extend(["--tmpfs", "/tmp", "-v", &mount, NGINX, "/usr/sbin/nginx", "-e", "stderr", "-c", "/c/nginx.conf"]);
    args.extend(["-g", "daemon off;"]);
    docker(&args);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = futures::executor::block_on(async { tokio::spawn(ask(22_309, "GET /", &[], b"")).await.unwrap() });
        if let Ok(answer) = &answer
            && answer.header("X-App-Version").starts_with('v')
        {
            assert!(answer.header("X-Served-By") == "production" || answer.header("X-Served-By") == "canary");
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{answer:?} {}", docker(&["logs", &name]));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_holds_no_query_no_cookie_and_no_address() {
    let app = demo_image("gate-log", "v1", &[]);
    demo_image("gate-log", "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new("gate-log", &app, "v1", 22_310).stages(&SLOW).gateway("sticky: { cookie: who }");
    host.write("log.yaml", &manifest.yaml());
    host.until_serving("gate-log", "v1").await;
    host.write("log.yaml", &manifest.clone().version("v2").yaml());
    host.until("gate-log", "1 %", |r| r.live_weight > Weight::ZERO).await;
    host.command("gate-log", Verb::Traffic { weight: Weight::FULL }).await;
    host.until("gate-log", "100 %", |r| r.live_weight == Weight::FULL).await;
    let headers = [
        ("Cookie", "who=hunter2cookie; session=hunter2session"),
        ("Authorization", "Bearer hunter2bearer"),
        ("X-Forwarded-For", "203.0.113.200"),
        ("Referer", "http://x/?hunter2referer"),
    ];
    for _ in 0..3 {
        ask(22_310, "GET /seen?token=hunter2query", &headers, b"hunter2body").await.unwrap();
    }
    let dir = host.state().join("gateways/gate-log/log");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    host.until("gate-log", "the canary's own log", |_| read("canary.log").matches("/seen").count() == 3).await;
    assert_eq!(read("access.log").matches("\"/seen\"").count(), 3);
    for (name, text) in [("access", read("access.log")), ("canary", read("canary.log")), ("daemon", host.log())] {
        assert!(!text.contains("hunter2"), "{name}: {text}");
        assert!(!text.contains("203.0.113.200"), "{name}");
    }
    assert!(read("canary.log").lines().all(|line| line.contains("\"lane\":\"canary\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_snippet_is_refused_the_last_good_generation_goes_on_and_status_says_why() {
    let app = demo_image("gate-snip", "v1", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new("gate-snip", &app, "v1", 22_320);
    let with = |text: &str| manifest.clone().gateway(&format!("snippets: {{ location: \"{text}\" }}")).yaml();
    host.write("snip.yaml", &with("add_header X-Mine one;"));
    host.until_serving("gate-snip", "v1").await;
    until_steady(22_320).await;
    let load = load(22_320, 50.0, true);
    assert_eq!(get(22_320, "/").await.header("X-Mine"), "one");
    host.write("snip.yaml", &with("no_such_directive on;"));
    let what = "the refusal is told";
    let told = |r: &canaryd_planner::Report| serde_json::to_string(r).unwrap().contains("no_such_directive");
    let within = Duration::from_secs(5);
    host.until_within(within, "gate-snip", what, told).await;
    let (code, out, _) = host.cli(&["status"]).await;
    assert!(code == 0 && out.contains("gateway: NGINX refuses \"no_such_directive on;\": unknown directive"), "{out}");
    assert_eq!(get(22_320, "/").await.header("X-Mine"), "one", "the last good one serves on");
    host.write("snip.yaml", &with("add_header X-Mine two;"));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while get(22_320, "/").await.header("X-Mine") != "two" {
        assert!(std::time::Instant::now() < deadline, "mended, but not live: {}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    host.until("gate-snip", "no complaint is left", |r| !told(r)).await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
}
