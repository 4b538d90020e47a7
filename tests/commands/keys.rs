//! Keys of `follow` on a real terminal: they only ask, and only the typed yes acts.

use std::process::Stdio;
use std::time::{Duration, Instant};

use canaryd_e2e::{Host, Manifest, canaryd, demo_image};
use canaryd_planner::Outcome;
use canaryd_rollout::Weight;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

const NAME: &str = "gate-keys";

/// A command on a terminal of its own, made by script(1).
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: std::path::PathBuf,
    seen: usize,
}

impl Terminal {
    fn start(host: &Host, command: &str) -> Self {
        let screen = host.path("screen");
        let line = format!(
            "{} {command} --socket {}; echo left with $?; stty; echo done",
            canaryd().display(),
            host.socket().display()
        );
        let mut child = Command::new("script")
            .env("SHELL", "/bin/sh")
            .args(["--quiet", "--command", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&screen).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { keyboard: child.stdin.take().unwrap(), child, screen, seen: 0 }
    }
    async fn press(&mut self, keys: &str) {
        self.seen = std::fs::read(&self.screen).unwrap().len();
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
        self.keyboard.flush().await.unwrap();
    }
    /// Waits until this is on the screen since the last key.
    async fn until(&self, word: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let all = std::fs::read(&self.screen).unwrap();
            let text = String::from_utf8_lossy(&all[self.seen..]).into_owned();
            let flat = text.replace("\r\n", " ").replace("\u{1b}[K", "").replace("\u{1b}[0m", "").replace('\r', "");
            let flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
            if flat.contains(word) {
                return flat;
            }
            assert!(Instant::now() < deadline, "{word:?} does not come: {flat}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_asks_and_only_the_typed_yes_acts() {
    let app = demo_image(NAME, "v1", &[]);
    demo_image(NAME, "v2", &[]);
    let host = Host::start().await;
    let manifest = Manifest::new(NAME, &app, "v1", 22_570).stages(&[(10.0, 300), (100.0, 300)]);
    host.write("keys.yaml", &manifest.yaml());
    host.until_serving(NAME, "v1").await;
    host.write("keys.yaml", &manifest.version("v2").yaml());
    host.until(NAME, "10 %", |r| r.live_weight > Weight::ZERO).await;

    let mut terminal = Terminal::start(&host, &format!("follow {NAME}"));
    terminal.until("[a]dvance").await;
    terminal.press("b").await;
    terminal.until("abort: the 10 % of v2 go back to v1 now").await;
    terminal.press("no\r").await;
    terminal.until("nothing was done").await;
    assert_eq!(host.report(NAME).await.unwrap().phase, "observing", "nothing was done indeed");
    terminal.press("l").await;
    terminal.until(&format!("{NAME}-app-")).await;
    // Where both have no room on the screen, the state comes again with the next key.
    terminal.press(" ").await;
    terminal.until("[a]dvance").await;
    terminal.press("e").await;
    terminal.until("errors: ").await;
    terminal.press(" ").await;
    terminal.until("[a]dvance").await;
    terminal.press("pyes\r").await;
    terminal.until("[p] resume").await;
    assert!(host.report(NAME).await.unwrap().paused.is_some());
    terminal.press("q").await;
    terminal.until("left with 3").await;
    assert!(host.report(NAME).await.unwrap().canary.is_some(), "the rollout goes on");
    terminal.child.wait().await.unwrap();

    let mut terminal = Terminal::start(&host, &format!("follow {NAME}"));
    terminal.until("[p] resume").await;
    terminal.press("byes\r").await;
    let end = terminal.until("done").await;
    assert!(end.contains("left with 1"), "{end}");
    assert!(end.contains("v2 was taken off"), "{end}");
    assert!(!end.contains("-icanon") && !end.contains("-echo "), "the terminal is as it was: {end}");
    host.expect_outcome(NAME, "v2", Outcome::Aborted).await;
}
