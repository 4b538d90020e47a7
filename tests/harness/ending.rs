//! What must hold whenever a bad version was taken off, whatever was wrong with it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use canaryd_planner::{Outcome, OutcomeView};
use canaryd_rollout::Weight;

use crate::docker::inspect;
use crate::scene::Scene;

/// How long it is watched that a blocked version stays off.
const WATCHED: Duration = Duration::from_millis(1500);

impl Scene {
    /// The version was reverted for a reason that contains `words`; production was not touched; containers and logs
    /// are kept; the history tells it; and it stays off, also after a kill -9 of the daemon.
    pub async fn expect_reverted(&mut self, version: &str, words: &str) -> OutcomeView {
        let ended = self.host.expect_outcome(&self.name, version, Outcome::Reverted).await;
        assert!(ended.reason.contains(words), "{:?} does not say {words:?}", ended.reason);
        self.expect_production_untouched();
        self.expect_failed_is_kept(&ended).await;
        self.expect_history(&ended).await;
        self.expect_it_stays_off().await;
        self.expect_production_untouched();
        println!(
            "{version}: {}; {:.1} s after its start, {} canary requests",
            ended.reason, ended.took, ended.requests
        );
        ended
    }

    /// Its containers are there, stopped for good; its logs and the reason are in one bundle.
    async fn expect_failed_is_kept(&self, ended: &OutcomeView) {
        let is_kept = |id: &String| inspect(id, "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}") == "exited no";
        self.until("the failed containers are stopped for good", |_| {
            let kept = self.canaries();
            !kept.is_empty() && kept.iter().all(is_kept)
        })
        .await;
        let kept = self.canaries();
        self.until("the failure is saved", |_| !self.bundles().is_empty()).await;
        let bundles = self.bundles();
        assert_eq!(bundles.len(), 1, "one failure, one bundle: {bundles:?}");
        expect_bundle_tells(&bundles[0], ended, kept.len());
    }

    async fn expect_history(&self, ended: &OutcomeView) {
        let events = self.host.events(&self.name).await;
        let told = events.iter().filter(|e| e.kind == "reverted" && e.message.contains(&ended.reason)).count();
        assert_eq!(told, 1, "the history tells it once: {events:#?}");
    }

    /// The daemon is killed and started again, and the manifest is written once more: nothing of it comes back.
    pub async fn expect_it_stays_off(&mut self) {
        let raises = |kinds: &[String]| kinds.iter().filter(|k| *k == "stage-entered" || *k == "started").count();
        let before = raises(&self.kinds().await);
        let epoch = self.access().last().map_or(0, |line| line.generation.epoch());
        self.host.kill().await;
        self.host.run().await;
        self.apply(self.manifest.clone());
        self.until("it is known again", |r| r.phase == "idle").await;
        self.stays(WATCHED, "it is off", |r| {
            r.phase == "idle" && r.live_weight == Weight::ZERO && r.wanted_weight == Weight::ZERO && r.canary.is_none()
        })
        .await;
        // Kept connections may still be on workers of the last run's generations.
        let drawn = self.drawn_for_canary().iter().filter(|line| line.generation.epoch() > epoch).count();
        assert_eq!(drawn, 0, "it got requests again");
        assert_eq!(raises(&self.kinds().await), before, "it was raised again");
    }
}

/// `report.md` names version, reason, and each container with its log beside it.
fn expect_bundle_tells(bundle: &Path, ended: &OutcomeView, containers: usize) {
    let report = fs::read_to_string(bundle.join("report.md")).expect("a report");
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in [ended.version.as_str(), &ended.reason] {
        assert!(report.contains(word), "report.md does not tell {word:?}:\n{report}");
    }
    let files = fs::read_dir(bundle).expect("a directory").map(|entry| entry.expect("readable").path());
    let logs: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    assert_eq!(logs.len(), containers, "each container has its log: {logs:?}");
    for log in logs {
        let container = log.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(report.contains(&container), "report.md does not name {container}:\n{report}");
        assert!(fs::metadata(&log).expect("readable").len() > 0, "{} is empty", log.display());
    }
}
