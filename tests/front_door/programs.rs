//! The programs that people have in front, as Debian packages them, each with a configuration of its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use canaryd_e2e::PATIENCE;
use tempfile::TempDir;

/// One of them, running as a process of this host.
pub(crate) struct Door {
    dir: TempDir,
    file: &'static str,
    process: Child,
}

impl Door {
    /// Writes the configuration and starts the program. `{dir}` in either stands for its directory.
    pub(crate) fn open(program: &'static str, file: &'static str, config: &str, args: &[&str]) -> Self {
        let dir = TempDir::with_prefix("canaryd-door-").unwrap();
        let here = dir.path().display().to_string();
        fs::create_dir(dir.path().join("bin")).unwrap();
        wrap(dir.path(), program, args);
        fs::write(dir.path().join(file), config.replace("{dir}", &here)).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = command(dir.path(), &format!("exec {program} {}", running(program)));
        let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { dir, file, process }
    }

    /// A program of the host that the guide's commands call, as it is here.
    pub(crate) fn stand_in(&self, program: &str, script: &str) {
        let script = script.replace("{pid}", &self.process.id().to_string());
        executable(&self.dir.path().join("bin").join(program), &script);
    }

    /// Another configuration, by the guide's commands; returns when the processes of before have ended.
    pub(crate) async fn turn(&self, config: &str, commands: &str) {
        let here = self.dir.path().display().to_string();
        fs::write(self.dir.path().join(self.file), config.replace("{dir}", &here)).unwrap();
        let old = self.children();
        let output = command(self.dir.path(), commands).output().unwrap();
        assert!(output.status.success(), "{commands}{output:?} {}", self.log());
        let deadline = Instant::now() + PATIENCE;
        // What has no processes of its own has changed when its command returns.
        while !old.is_empty() && (self.children().is_empty() || !self.children().is_disjoint(&old)) {
            assert!(Instant::now() < deadline, "its old processes do not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn children(&self) -> BTreeSet<String> {
        let pid = self.process.id();
        let found = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        found.split_whitespace().map(str::to_owned).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A master takes its workers along when it is told; what is killed cannot.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A shell with the program in its path, in its directory.
fn command(dir: &Path, script: &str) -> Command {
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(dir).stdin(Stdio::null());
    command.env("PATH", path).env("HOME", dir).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
    command
}

fn running(program: &str) -> &'static str {
    match program {
        "nginx" => "-g 'daemon off;'",
        "caddy" => "run --config Caddyfile",
        _ => "-W -f haproxy.cfg",
    }
}

/// The program under its own name: unpacked, it finds neither its libraries nor its directories by itself.
fn wrap(dir: &Path, program: &str, args: &[&str]) {
    let root = unpacked();
    let found = ["usr/sbin", "usr/bin"].map(|folder| root.join(folder).join(program));
    let binary = found.iter().find(|path| path.exists()).expect("run scripts/front-doors.sh");
    let libraries = format!("{}/usr/lib/{}-linux-gnu", root.display(), std::env::consts::ARCH);
    let args = args.join(" ").replace("{dir}", &dir.display().to_string());
    let script = format!("LD_LIBRARY_PATH={libraries} exec {} {args} \"$@\"", binary.display());
    executable(&dir.join("bin").join(program), &script);
}

fn unpacked() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/front-doors");
    assert!(root.exists(), "there is nothing to put in front: run scripts/front-doors.sh");
    root
}

fn executable(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
