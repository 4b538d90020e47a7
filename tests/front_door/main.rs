//! docs/front-door.md, executed: from a container of the user's own to canaryd and back, through the program in front.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a figure or a reason is told to whoever runs the test")]

mod compose;
mod guide;
mod place;
mod programs;

use canaryd_e2e::http::{ask, get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, docker, load, remove_leftovers};
use canaryd_planner::Outcome;
use guide::{Section, before};
use programs::Door;

/// Quick ones: the way there and back is what is tested here.
const STAGES: [(f64, u64); 2] = [(50.0, 2), (100.0, 2)];

/// Ports of one test.
pub(crate) struct Ports {
    pub(crate) front: u16,
    pub(crate) gateway: u16,
    pub(crate) old: u16,
}

impl Ports {
    /// The guide's addresses as they are here.
    fn put(&self, text: &str) -> String {
        let text = text.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.gateway));
        text.replace("127.0.0.1:9000", &format!("127.0.0.1:{}", self.old))
    }
}

/// The user's own container, which canaryd knows nothing of.
pub(crate) struct Old(String);

impl Old {
    pub(crate) fn run(name: &str, image: &str, published: &str) -> Self {
        let old = Self(format!("{name}-old"));
        old.remove();
        // Not the engine's default network: another engine that starts on this host may take that away.
        docker(&["network", "create", &old.0]);
        docker(&["run", "-d", "--name", &old.0, "--network", &old.0, "-p", published, image]);
        old
    }
    pub(crate) fn stop(&self) {
        docker(&["stop", &self.0]);
    }
    fn start(&self) {
        docker(&["start", &self.0]);
    }
    fn remove(&self) {
        for args in [["rm", "-f", "-v"].as_slice(), &["network", "rm"]] {
            let _ = std::process::Command::new("docker").args(args).arg(&self.0).output();
        }
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Which lane of canaryd answered; empty where none did.
async fn lane(port: u16) -> String {
    get(port, "/").await.header("X-Served-By").to_owned()
}

/// The whole way: `config` makes the program's configuration of the guide's block.
async fn there_and_back(
    name: &str,
    ports: Ports,
    block: String,
    commands: String,
    config: impl Fn(&str) -> String,
    open: impl FnOnce(&str) -> Door,
) {
    remove_leftovers(name);
    let app = demo_image(name, "v1", &[]);
    demo_image(name, "v2", &[]);
    let old = Old::run(name, &format!("{app}:v1"), &format!("127.0.0.1:{}:8000", ports.old));
    until_steady(ports.old).await;
    let (was, is) = (config(&ports.put(&before(&block))), config(&ports.put(&block)));
    let door = open(&was);
    until_steady(ports.front).await;
    assert_eq!(lane(ports.front).await, "");
    let load = load(ports.front, 60.0, false);
    let host = Host::start().await;
    let manifest = Manifest::new(name, &app, "v1", ports.gateway).stages(&STAGES);
    host.set(&manifest);
    host.run_cli(&["wait", name, "--timeout", "1m"]).await;
    let tried = ask(ports.gateway, "GET /", &[("Host", "shop.example")], b"").await.unwrap();
    assert_eq!(tried.status, 200);
    door.turn(&is, &commands).await;
    assert_eq!(lane(ports.front).await, "production", "{}", door.log());
    old.stop();
    host.set(&manifest.version("v2"));
    host.expect_outcome(name, "v2", Outcome::Promoted).await;
    old.start();
    until_steady(ports.old).await;
    door.turn(&was, &commands).await;
    assert_eq!(lane(ports.front).await, "");
    std::fs::remove_file(host.manifests().join(format!("{name}.yaml"))).unwrap();
    host.run_cli(&["delete", name, "--yes"]).await;
    host.until_gone(name, "app", "v2").await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?} {}", report.failures, door.log());
    assert!(report.ok > 500 && report.by_version.contains_key("v2"), "{:?}", report.by_version);
    println!("{name}: {} requests, none lost", report.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_on_the_host_leads_to_canaryd_and_back_without_a_lost_request() {
    let section = Section::of("nginx on the host");
    let blocks = section.all("nginx");
    let map = blocks[1].clone();
    let ports = Ports { front: 22_640, gateway: 22_641, old: 22_642 };
    let (front, temporary) = (ports.front, ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]);
    let temporary = temporary.map(|what| format!("{what}_temp_path {{dir}}/{what}; ")).concat();
    let config = move |location: &str| {
        format!(
            "pid {{dir}}/pid;\nuser root;\nevents {{}}\nhttp {{\n{temporary}access_log off;\n{map}\nserver {{ listen 127.0.0.1:{front};\n{location}}}\n}}\n"
        )
    };
    let args = ["-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "{dir}/log"];
    let open = |config: &str| Door::open("nginx", "nginx.conf", config, &args);
    there_and_back("door-nginx", ports, blocks[0].clone(), section.first("sh"), config, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_leads_to_canaryd_and_back_without_a_lost_request() {
    let section = Section::of("Caddy");
    let ports = Ports { front: 22_643, gateway: 22_644, old: 22_645 };
    let (front, admin) = (ports.front, "{\n\tadmin 127.0.0.1:22646\n}\n");
    let config =
        move |site: &str| format!("{admin}{}", site.replace("shop.example", &format!("http://127.0.0.1:{front}")));
    let open = |config: &str| Door::open("caddy", "Caddyfile", config, &[]);
    there_and_back("door-caddy", ports, section.first("caddyfile"), section.first("sh"), config, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_leads_to_canaryd_and_back_without_a_lost_request() {
    let section = Section::of("HAProxy");
    let ports = Ports { front: 22_647, gateway: 22_648, old: 22_649 };
    let front = ports.front;
    let config = move |backend: &str| {
        format!(
            "defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n\
             frontend web\n    bind 127.0.0.1:{front}\n    default_backend shop\n{backend}"
        )
    };
    let open = |config: &str| {
        let door = Door::open("haproxy", "haproxy.cfg", config, &[]);
        // There is no systemd here: what its reload does.
        door.stand_in("systemctl", "[ \"$*\" = 'reload haproxy' ] && kill -USR2 {pid}");
        door
    };
    there_and_back("door-haproxy", ports, section.first("haproxy"), section.first("sh"), config, open).await;
}
