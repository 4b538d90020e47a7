//! `docker compose up -d` with another image: the old container goes, the new one comes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use canaryd_e2e::http::until_steady;
use canaryd_e2e::{demo_image, free_port, load};
use tempfile::TempDir;

use super::{BOOT, Harm, Release, WATCHED};

const PROJECT: &str = "canaryd-bench";

/// A Compose project, taken down with what it started when it is dropped.
struct Project {
    dir: TempDir,
    program: &'static [&'static str],
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "-t", "1"]);
    }
}

pub(super) async fn release(release: Release) -> Result<Harm, String> {
    let program = program().ok_or("Docker Compose is not installed")?;
    let repository = demo_image("bench-compose", "v1", &[BOOT]);
    demo_image("bench-compose", "v2", release.env());
    let port = free_port();
    let project = Project { dir: TempDir::with_prefix("canaryd-bench-").unwrap(), program };
    project.write(&repository, "v1", port);
    project.compose(&["up", "-d"])?;
    until_steady(port).await;
    let loads = [load(port, 50.0, true), load(port, 50.0, false)];
    tokio::time::sleep(Duration::from_secs(2)).await;
    project.write(&repository, "v2", port);
    let up = tokio::task::spawn_blocking(move || {
        let up = project.compose(&["up", "-d"]);
        (project, up)
    });
    let (_project, up) = up.await.unwrap();
    up?;
    tokio::time::sleep(if release == Release::Good { Duration::from_secs(6) } else { WATCHED }).await;
    let [kept, new] = loads;
    Ok(Harm::of(&[kept.stop().await, new.stop().await]))
}

/// The plugin, or the program of its own that it once was.
fn program() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |way: &&&[&str]| {
        let found = Command::new(way[0]).args(&way[1..]).arg("version").output();
        found.is_ok_and(|output| output.status.success())
    };
    WAYS.iter().find(works).copied()
}

impl Project {
    fn write(&self, repository: &str, version: &str, port: u16) {
        let text = format!(
            "version: \"3\"\nservices:\n  app:\n    image: {repository}:{version}\n    restart: unless-stopped\n    ports: \
             [\"127.0.0.1:{port}:8000\"]\n"
        );
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> std::path::PathBuf {
        Path::join(self.dir.path(), "docker-compose.yml")
    }

    fn compose(&self, args: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]).args(["-p", PROJECT, "-f"]).arg(self.file()).args(args);
        let output = command.output().map_err(|e| e.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
    }
}
