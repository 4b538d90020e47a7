//! What stays in the state directory, and what goes: with a rollout, with its gateway, and at the next start.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use canaryd_gateway::{Intent, Traffic};
use canaryd_journal::TickBatch;
use canaryd_rollout::SetId;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::bells::lock;
use super::fake::{Site, container, gateway, name, until};
use super::house::Cell;
use super::{failures, gateways, rollouts, tidy};

const REVISION: &str = "0123456789";

impl Site {
    fn gateway_dir(&self, rollout: &str) -> PathBuf {
        self.house.store.gateway_dir(&name(rollout))
    }

    /// A directory as a gateway of this installation leaves it.
    fn leave_gateway(&self, rollout: &str, instance: &str) {
        let dir = self.gateway_dir(rollout);
        fs::create_dir_all(dir.join("log")).unwrap();
        fs::write(dir.join("log/access.log"), "").unwrap();
        let secrets = format!(
            r#"{{"ops_token": "of {rollout}", "force_token": "b", "client_salt": "c", "instance": "{instance}"}}"#
        );
        fs::write(dir.join("secrets.json"), secrets).unwrap();
    }

    fn leave_own_gateway(&self, rollout: &str) {
        let instance = self.house.config.instance.clone();
        self.leave_gateway(rollout, &instance);
    }

    fn leave_failure(&self, bundle: &str, files: &[&str]) -> PathBuf {
        let dir = self.dir.path().join("failures").join(bundle);
        failures::begin(&dir, "it crashed").unwrap();
        for file in files {
            fs::write(dir.join(file), format!("{file} of before")).unwrap();
        }
        dir
    }

    /// As if its access log was read.
    async fn leave_tail(&self, rollout: &str) {
        self.house.journal.commit_command(rollout, "{}".to_owned(), Timestamp::now()).await.unwrap();
        let offsets = vec![(rollout.to_owned(), r#"{"places": []}"#.to_owned())];
        self.house.journal.tick(TickBatch { offsets, ..TickBatch::default() }).await.unwrap();
    }

    async fn has_tail(&self, rollout: &str) -> bool {
        self.house.journal.offsets(rollout).await.unwrap().is_some()
    }

    fn run_gateway(&self, cell: &Arc<Cell>) {
        let loops = gateways::run(Arc::clone(&self.house), Arc::clone(cell), CancellationToken::new());
        self.house.tasks.spawn(loops);
    }
}

fn nobody() -> Intent {
    Intent { seq: 1, traffic: Traffic::Nobody, lanes: std::collections::BTreeMap::new(), precaution: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_gateway_takes_its_tokens_its_logs_and_its_place_in_the_journal_along() {
    let site = Site::new().await;
    site.leave_own_gateway("shop");
    site.leave_own_gateway("shop-api");
    site.leave_tail("shop").await;
    let cell = site.cell("shop");
    site.run_gateway(&cell);
    cell.gateway.remove();
    until("the directory is gone", async || !site.gateway_dir("shop").exists()).await;
    until("the tail is forgotten", async || !site.has_tail("shop").await).await;
    assert!(site.gateway_dir("shop-api").exists(), "its namesake stays");
    assert_eq!(*lock(&site.engine.removals), ["shop"]);
    // The planner asks twice, and whatever the engine tells wakes the loop: nothing is done again.
    cell.gateway.remove();
    site.look().await;
    cell.gateway.leave().await;
    assert_eq!((lock(&site.engine.removals).len(), site.gateway_dir("shop").exists()), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_container_is_there_or_nobody_can_say_nothing_of_a_gateway_is_removed() {
    let site = Site::new().await;
    site.leave_own_gateway("shop");
    lock(&site.engine.gateways).push(gateway("shop"));
    *lock(&site.engine.away) = true;
    let cell = site.cell("shop");
    site.run_gateway(&cell);
    cell.gateway.remove();
    let says = |word: &'static str| {
        let cell = Arc::clone(&cell);
        async move || cell.gateway.view().problem.is_some_and(|problem| problem.contains(word))
    };
    until("it says that the engine is away", says("it is away")).await;
    assert!(site.gateway_dir("shop").join("secrets.json").exists());
    *lock(&site.engine.away) = false;
    until("it says that the container is there", says("still there")).await;
    assert!(site.gateway_dir("shop").join("secrets.json").exists());
    lock(&site.engine.gateways).clear();
    until("it is gone with its container", async || !site.gateway_dir("shop").exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_comes_back_under_its_name_has_a_gateway_with_tokens_of_its_own() {
    let site = Site::new().await;
    site.leave_own_gateway("shop");
    let cell = site.cell("shop");
    site.run_gateway(&cell);
    cell.gateway.remove();
    until("it is gone", async || !site.gateway_dir("shop").exists()).await;
    cell.gateway.ask(nobody());
    let secrets = site.gateway_dir("shop").join("secrets.json");
    until("there are tokens again", async || secrets.exists()).await;
    assert!(!fs::read_to_string(&secrets).unwrap().contains("of shop"));
    assert!(gateways::is_of(&site.gateway_dir("shop"), &site.house.config.instance));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_forgotten_leaves_only_marked_failures_behind() {
    let site = Site::new().await;
    site.leave_own_gateway("shop");
    site.leave_tail("shop").await;
    let bundle = site.leave_failure(&format!("shop-{REVISION}-s1-20261127T000000"), &[]);
    failures::finish(&bundle, "whole").unwrap();
    let cell = site.cell("shop");
    lock(&cell.wish).gone = Some((Timestamp::UNIX_EPOCH, true));
    // A memory without a manifest: its deletion is over.
    cell.gateway.remove();
    site.run_gateway(&cell);
    until("the gateway is gone", async || !site.gateway_dir("shop").exists()).await;
    site.look().await;
    rollouts::run(Arc::clone(&site.house), cell).await;
    assert!(site.house.cell(&name("shop")).is_none());
    let journal = &site.house.journal;
    assert_eq!((journal.memory("shop").await.unwrap(), site.has_tail("shop").await), (None, false));
    let marked = bundle.with_file_name(format!("shop-{REVISION}-s1-20261127T000000-deleted"));
    assert!(marked.join("report.md").exists() && !bundle.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_only_what_belongs_to_nobody_is_removed() {
    let site = Site::new().await;
    for rollout in ["known", "running", "stray"] {
        site.leave_own_gateway(rollout);
    }
    site.leave_gateway("of-others", "ffffffffffffffff");
    let half = site.dir.path().join("gateways/.gone-shop/conf");
    fs::create_dir_all(&half).unwrap();
    site.cell("known");
    lock(&site.engine.gateways).push(gateway("running"));
    *lock(&site.engine.away) = true;
    tidy::at_start(&site.house).await;
    assert!(site.gateway_dir("stray").exists() && half.exists(), "without the engine's word nothing is removed");
    *lock(&site.engine.away) = false;
    tidy::at_start(&site.house).await;
    let left = ["known", "running", "stray", "of-others"].map(|rollout| site.gateway_dir(rollout).exists());
    assert_eq!((left, half.exists()), ([true, true, false, true], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_was_being_saved_is_finished_at_the_start() {
    let site = Site::new().await;
    let begun = site.leave_failure(&format!("shop-{REVISION}-s2-20261127T000000"), &["evidence.json"]);
    let of_gone = site.leave_failure(&format!("blog-{REVISION}-s1-20261127T000000"), &["app.log"]);
    let empty = site.leave_failure(&format!("blog-{REVISION}-s2-20261127T000000"), &[]);
    site.cell("shop");
    lock(&site.engine.containers).push(container("shop", REVISION, 2));
    tidy::at_start(&site.house).await;
    until("its report is there", async || begun.join("report.md").exists()).await;
    let text = |file: &str| fs::read_to_string(begun.join(file)).unwrap();
    assert!(text("report.md").contains("it crashed"), "{}", text("report.md"));
    assert_eq!(text(&format!("shop-app-{REVISION}-1.log")), "a line of shop-id\n");
    assert_eq!(text("evidence.json"), "evidence.json of before", "what was seen then is not what is seen now");
    let said = fs::read_to_string(of_gone.join("report.md")).unwrap();
    assert!(said.contains("it crashed") && said.contains("all there is"), "{said}");
    assert!(!empty.exists(), "it told nothing");
    until("the mark goes", async || !begun.join("unfinished").exists()).await;
    let failures = &site.house.store.failures;
    let revision = REVISION.parse().unwrap();
    assert_eq!(failures.place(&name("shop"), &revision, &SetId::nth(2), Timestamp::now()), None);
}
