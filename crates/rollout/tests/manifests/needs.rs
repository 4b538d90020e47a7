//! What a draft asks for before it can be resolved, and how much memory a rollout needs at its worst moment.

use canaryd_rollout::{PullPolicy, Rollout, peak_memory};

use crate::common::{MINIMAL, read, rollout, with};

const MIB: u64 = 1024 * 1024;

fn app(replicas: u32, memory: &str) -> Rollout {
    rollout(&with(&format!("    replicas: {replicas}\n    resources: {{ memory: {memory} }}")))
}

fn worker(replicas: u32, order: &str) -> Rollout {
    let image = "image: \"m:v1\", health: none, resources: { memory: 10m }";
    rollout(&with(&format!("  workers: [{{ name: m, {image}, replicas: {replicas}, order: {order} }}]")))
}

#[test]
fn without_a_limit_the_peak_is_not_known() {
    assert_eq!(peak_memory(None, &rollout(MINIMAL)), None);
    assert_eq!(peak_memory(Some(&rollout(MINIMAL)), &rollout(MINIMAL)), None);
}

#[test]
fn a_first_version_needs_its_own_replicas_only() {
    assert_eq!(peak_memory(None, &app(3, "100m")), Some(300 * MIB));
}

#[test]
fn both_versions_of_the_app_run_in_full_before_all_users_move() {
    assert_eq!(peak_memory(Some(&app(2, "100m")), &app(2, "150m")), Some(500 * MIB));
    // Production's replicas count for the new version as well, until it is alone.
    assert_eq!(peak_memory(Some(&app(4, "100m")), &app(1, "100m")), Some(800 * MIB));
}

#[test]
fn workers_replace_one_another_with_one_more_at_a_time_or_none() {
    assert_eq!(peak_memory(Some(&worker(4, "startFirst")), &worker(4, "startFirst")), Some(50 * MIB));
    assert_eq!(peak_memory(Some(&worker(4, "stopFirst")), &worker(4, "stopFirst")), Some(40 * MIB));
}

#[test]
fn a_worker_that_the_new_version_has_no_more_still_counts() {
    assert_eq!(peak_memory(Some(&worker(2, "startFirst")), &rollout(MINIMAL)), Some(20 * MIB));
}

#[test]
fn a_draft_names_its_files_and_the_stricter_pull_of_an_image_that_two_share() {
    let text = with(
        "    envFiles: [.env, more.env]\n    configs: [{ file: app.toml, target: /a }]\n    pull: never\n  workers:\n    - { name: m, image: \"shop:v1\", pull: always, health: none }",
    );
    let draft = &read(&text).drafts[0];
    assert_eq!(draft.needs().files.iter().map(String::as_str).collect::<Vec<_>>(), [".env", "app.toml", "more.env"]);
    assert_eq!(draft.needs().images, [("shop:v1".to_owned(), PullPolicy::Always)].into());
    assert!(!draft.waits_for_files());
}

#[test]
fn an_image_that_an_env_file_names_is_known_once_the_file_was_read() {
    let text = MINIMAL.replace("shop:${version}", "${REGISTRY}/shop:${version}") + "    envFiles: [.env]\n";
    let draft = &read(&text).drafts[0];
    assert!(draft.waits_for_files() && draft.needs().images.is_empty());
    let files = [(".env".to_owned(), Ok(b"REGISTRY=ghcr.io/acme\n".to_vec()))].into();
    assert_eq!(draft.images(&files).into_keys().collect::<Vec<_>>(), ["ghcr.io/acme/shop:v1"]);
}
