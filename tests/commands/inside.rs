//! Commands that run something inside a container of a rollout.

use std::process::Stdio;
use std::time::Duration;

use canaryd_e2e::{Host, Manifest, canaryd, demo_image, docker};
use canaryd_rollout::Weight;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::no;

/// `canaryd ARGS --socket … -- COMMAND`.
pub(super) fn inside(host: &Host, args: &[&str], command: &[&str]) -> Command {
    let mut canaryd = Command::new(canaryd());
    canaryd.args(args).arg("--socket").arg(host.socket()).arg("--").args(command).kill_on_drop(true);
    canaryd.stdout(Stdio::piped()).stderr(Stdio::piped());
    canaryd
}

/// Runs it with this on stdin: exit code, stdout, stderr.
pub(super) async fn run(host: &Host, args: &[&str], command: &[&str], stdin: &str) -> (i32, String, String) {
    let mut child = inside(host, args, command).stdin(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    // Who does not read has ended.
    let _ = keyboard.write_all(stdin.as_bytes()).await;
    drop(keyboard);
    let ended = tokio::time::timeout(Duration::from_secs(40), child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{args:?} -- {command:?} does not end")).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The same on a terminal; what is on its screen.
pub(super) async fn at_a_terminal(host: &Host, args: &[&str], command: &[&str]) -> String {
    let line = inside(host, args, command);
    let words: Vec<String> = line.as_std().get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let line = format!("{} {}; echo left with $?", canaryd().display(), words.join(" "));
    let mut script = Command::new("script");
    script
        .env("SHELL", "/bin/sh")
        .args(["--quiet", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .kill_on_drop(true);
    let child = script.stdout(Stdio::piped()).spawn().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(40), child.wait_with_output()).await;
    String::from_utf8_lossy(&ended.expect("it ends").unwrap().stdout).into_owned()
}

const NAME: &str = "gate-exec";

#[tokio::test(flavor = "multi_thread")]
async fn exec_runs_a_command_in_the_container_that_was_meant_and_leaves_with_its_exit_code() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new(NAME, &app, "v1", 22_580).stages(&[(10.0, 300), (100.0, 300)]).replicas(2);
    host.set(&manifest);
    host.until_serving(NAME, "v1").await;
    in_production(&host).await;
    let lane = ["exec", NAME, "--lane", "canary"];
    let (code, _, refused) = run(&host, &lane, &["/demo-app", "do", "env", "VERSION"], "").await;
    assert_eq!(code, 1, "{refused}");
    assert!(refused.contains("lane canary") && refused.contains("--replica 2: gate-exec-app-"), "{refused}");
    host.set(&manifest.version("v2"));
    host.until(NAME, "10 %", |r| r.live_weight > Weight::ZERO).await;
    let (code, said, err) = run(&host, &lane, &["/demo-app", "do", "env", "VERSION"], "").await;
    assert_eq!((code, said.as_str()), (0, "v2\n"), "{err}");
    let (_, said, _) = run(&host, &["exec", NAME], &["/demo-app", "do", "env", "VERSION"], "").await;
    assert_eq!(said, "v1\n", "production unless another lane is said");
    refusals(&host).await;
}

async fn in_production(host: &Host) {
    let (code, said, err) = run(host, &["exec", NAME], &["/demo-app", "do", "cat"], "two\nlines\n").await;
    assert_eq!((code, said.as_str()), (0, "two\nlines\n"), "{err}");
    let (code, _, err) = run(host, &["exec", NAME], &["/demo-app", "do", "exit", "7"], "").await;
    assert_eq!(code, 7, "{err}");
    let (code, ..) = run(host, &["exec", NAME], &["/no-such-program"], "").await;
    assert!([126, 127].contains(&code), "{code}");
    // What looks like Docker's own options is the command's.
    let (code, said, err) = run(host, &["exec", NAME], &["/demo-app", "do", "env", "--tty"], "").await;
    assert_eq!((code, said.as_str()), (1, ""), "{err}");
    let mut hosts = Vec::new();
    for replica in ["1", "2"] {
        let (_, said, _) =
            run(host, &["exec", NAME, "--replica", replica], &["/demo-app", "do", "cat", "/etc/hostname"], "").await;
        hosts.push(said.trim().to_owned());
    }
    assert_ne!(hosts[0], hosts[1], "two containers");
    assert!(hosts.iter().all(|id| docker(&["inspect", "--format", "{{.State.Running}}", id]) == "true"));
    let screen = at_a_terminal(host, &["exec", NAME], &["/demo-app", "do", "terminal"]).await;
    assert!(screen.contains("a terminal") && screen.contains("left with 0"), "{screen}");
    let (_, said, _) = run(host, &["exec", NAME], &["/demo-app", "do", "terminal"], "").await;
    assert_eq!(said, "no terminal\n");
}

async fn refusals(host: &Host) {
    let (code, _, refused) = run(host, &["exec", "gate-exc"], &["true"], "").await;
    assert!(code == 2 && refused.contains("did you mean gate-exec?"), "{refused}");
    let (code, _, refused) = run(host, &["exec", NAME, "--replica", "3"], &["true"], "").await;
    assert!(code == 2 && refused.contains("no replica 3") && refused.contains("--replica 2"), "{refused}");
    let (code, _, refused) = run(host, &["exec", NAME, "--component", "worker"], &["true"], "").await;
    assert!(code == 2 && refused.contains("no container of worker"), "{refused}");
    let (code, _, refused) = run(host, &["exec", NAME], &[""], "").await;
    assert!(code == 2 && refused.contains("the command is empty"), "{refused}");
    assert!(no(host, 2, &["exec", NAME]).await.contains("CMD"));
    let without = inside(host, &["exec", NAME], &["true"]).env("PATH", "/nonexistent").output().await.unwrap();
    let refused = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(without.status.code() == Some(4) && refused.contains("Docker's command line"), "{refused}");
}
