//! When containers died, by Docker's own clock.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// Listens to the engine's `die` events of one instance.
pub struct Deaths {
    events: Child,
    heard: NamedTempFile,
}

impl Deaths {
    /// Begins to listen.
    #[must_use]
    pub fn watch(instance: &str) -> Self {
        let heard = NamedTempFile::new().expect("a temporary file");
        let label = format!("label=io.canaryd.instance={instance}");
        let events = crate::docker::command()
            .args(["events", "--filter", "event=die", "--filter", &label, "--format", "{{.TimeNano}} {{.Actor.ID}}"])
            .stdin(Stdio::null())
            .stdout(heard.reopen().expect("a temporary file"))
            .spawn()
            .expect("docker is installed");
        Self { events, heard }
    }

    /// Waits for the first death of a container; Unix time in seconds.
    pub async fn of(&self, container: &str) -> f64 {
        self.after(container, 0.0).await
    }
    /// Waits for the first death of a container that is later than `since`.
    pub async fn after(&self, container: &str, since: f64) -> f64 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut deaths = self.heard().into_iter().filter(|(id, at)| id == container && *at > since);
            if let Some((_, at)) = deaths.next() {
                return at;
            }
            assert!(Instant::now() < deadline, "{container} did not die");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Container and time, in order.
    fn heard(&self) -> Vec<(String, f64)> {
        let text = std::fs::read_to_string(self.heard.path()).expect("readable");
        let parse = |line: &str| {
            let (nanos, id) = line.split_once(' ')?;
            Some((id.to_owned(), nanos.parse::<f64>().ok()? / 1e9))
        };
        text.lines().filter_map(parse).collect()
    }
}

impl Drop for Deaths {
    fn drop(&mut self) {
        let _ = self.events.kill();
        let _ = self.events.wait();
    }
}
