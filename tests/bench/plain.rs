//! What people run instead of our gateway: a plain NGINX, or HAProxy, in a container of the same kind on the same network, before
//! the same replicas.

use std::path::PathBuf;

use canaryd_e2e::{Bench, NGINX, docker};
use canaryd_gateway::Lane;
use tempfile::TempDir;
use tokio::process::Command;

/// HAProxy of Debian; scripts/bench-tools.sh makes it.
pub(crate) const HAPROXY: &str = "canaryd-haproxy:local";

const CONF: &str = "/etc/nginx/nginx.conf";

/// Plain NGINX with its configuration inside the container, changed by the usual recipe.
pub(crate) struct Plain {
    name: String,
    pub(crate) port: u16,
    upstreams: String,
    /// What a connection that is idle at a reload is given to ask once more; our gateway has `1s`.
    min_timeout: &'static str,
    dir: TempDir,
}

impl Plain {
    /// Starts it beside a gateway of ours, on a port above its. Its canary has this share.
    pub(crate) fn beside(bench: &Bench, name: &str, min_timeout: &'static str, canary: u32) -> Self {
        let lane = |lane: Lane| {
            let server = |e: &canaryd_gateway::Endpoint| format!("server {}:{}; ", e.addr, e.port);
            bench.lane(lane).iter().map(server).collect::<String>()
        };
        let upstream = |name: &str, servers: &str| {
            let servers = if servers.is_empty() { "server 127.0.0.1:1; ".to_owned() } else { servers.to_owned() };
            format!("upstream {name} {{ {servers}keepalive 32; }}\n  ")
        };
        let upstreams = upstream("production", &lane(Lane::Production)) + &upstream("canary", &lane(Lane::Canary));
        let dir = TempDir::with_prefix("canaryd-bench-").unwrap();
        let name = format!("{}-{name}", bench.container());
        let plain = Self { port: free_port(), name, upstreams, min_timeout, dir };
        let (label, published) = (bench.label(), format!("127.0.0.1:{}:8080", plain.port));
        docker(&[
            "create",
            "--name",
            &plain.name,
            "--label",
            &label,
            "--network",
            bench.network(),
            "-p",
            &published,
            NGINX,
            "/usr/sbin/nginx",
            "-c",
            CONF,
            "-g",
            "daemon off;",
        ]);
        docker(&["cp", &plain.render(canary).to_string_lossy(), &format!("{}:{CONF}", plain.name)]);
        docker(&["start", &plain.name]);
        plain
    }

    /// The configuration with this share, in percent, as a file.
    fn render(&self, canary: u32) -> PathBuf {
        let split = match canary {
            0 => "* production;".to_owned(),
            100 => "* canary;".to_owned(),
            share => format!("{share}% canary; * production;"),
        };
        let Self { upstreams, min_timeout, .. } = self;
        let text = format!(
            "worker_processes 2;
user root;
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
  keepalive_min_timeout {min_timeout};
  {upstreams}split_clients \"$request_id\" $lane {{ {split} }}
  map $lane $version {{ production v1; canary v2; }}
  server {{
    listen 8080;
    location / {{
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_pass http://$lane;
      add_header X-Canary-Version $version always;
    }}
  }}
}}
"
        );
        let path = self.dir.path().join("nginx.conf");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The recipe: render, copy, test, reload.
    pub(crate) async fn change(&self, canary: u32) {
        let (conf, name) = (self.render(canary), &self.name);
        let recipe = format!(
            "docker cp {} {name}:{CONF} && docker exec {name} /usr/sbin/nginx -t && docker exec {name} /usr/sbin/nginx -s reload",
            conf.display()
        );
        let done = Command::new("sh").args(["-c", &recipe]).output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// HAProxy before production; its port.
pub(crate) fn haproxy_beside(bench: &Bench) -> u16 {
    let port = free_port();
    let servers = bench.lane(Lane::Production).iter().zip(1..);
    let servers: String = servers.map(|(e, n)| format!("  server s{n} {}:{}\n", e.addr, e.port)).collect();
    let conf = format!(
        "global
  maxconn 8192
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind :8080
  default_backend app
backend app
{servers}"
    );
    let dir = TempDir::with_prefix("canaryd-bench-").unwrap();
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, conf).unwrap();
    let (name, label) = (format!("{}-haproxy", bench.container()), bench.label());
    let published = format!("127.0.0.1:{port}:8080");
    docker(&[
        "create",
        "--name",
        &name,
        "--label",
        &label,
        "--network",
        bench.network(),
        "-p",
        &published,
        HAPROXY,
        "/usr/sbin/haproxy",
        "-W",
        "-db",
        "-f",
        "/haproxy.cfg",
    ]);
    docker(&["cp", &file.to_string_lossy(), &format!("{name}:/haproxy.cfg")]);
    docker(&["start", &name]);
    port
}

/// A port of production's first replica on this host, without a gateway in between but with the same forwarding by Docker.
pub(crate) fn direct(bench: &Bench, version: &str) -> u16 {
    let (port, label) = (free_port(), bench.label());
    let (name, published) = (format!("{}-direct", bench.container()), format!("127.0.0.1:{port}:8000"));
    let version = format!("VERSION={version}");
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--label",
        &label,
        "--network",
        bench.network(),
        "-p",
        &published,
        "-e",
        &version,
        "canaryd-demo:base",
    ]);
    port
}

fn free_port() -> u16 {
    canaryd_e2e::free_port()
}
