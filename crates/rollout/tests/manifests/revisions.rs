//! The hash that names a revision: pinned, and the same for equal content however it is written.

use std::collections::BTreeMap;

use canaryd_rollout::{Class, FORMAT, ImageState, Inputs, Rollout, diff, known_formats, resolve, revision_in};
use proptest::prelude::*;

use crate::common::{MINIMAL, read, rollout, said, tests, with};

/// Manifests that differ in one thing of the revision each: what follows the minimal one.
const FAMILY: &[(&str, &str)] = &[
    ("minimal", ""),
    ("entrypoint", "    entrypoint: [/srv/app]"),
    ("command", "    command: serve --workers 4"),
    ("user", "    user: 1000:1000"),
    ("group-add", "    groupAdd: [video]"),
    ("workdir", "    workdir: /srv"),
    ("env", "    env: { LOG_LEVEL: info, POOL_SIZE: 10 }"),
    ("env-empty-value", "    env: { LOG_LEVEL: \"\", POOL_SIZE: 10 }"),
    ("env-file", "    envFiles: [.env]"),
    ("mount", "    mounts: [\"/srv/data:/data:ro\"]"),
    ("mount-writable", "    mounts: [{ source: /srv/data, target: /data, sharing: shared }]"),
    ("volume-of-each-revision", "    volumes: [{ source: data, target: /data, sharing: perRevision }]"),
    ("tmpfs", "    tmpfs: [/tmp]"),
    ("tmpfs-options", "    tmpfs: [\"/tmp:size=64m\"]"),
    ("config", "    configs: [{ file: app.toml, target: /etc/app.toml }]"),
    ("config-mode", "    configs: [{ file: app.toml, target: /etc/app.toml, mode: \"0400\" }]"),
    ("networks", "    networks: [backend]"),
    ("extra-hosts", "    extraHosts: [\"db:10.0.0.5\"]"),
    ("dns", "    dns: [10.0.0.2]"),
    ("dns-search", "    dnsSearch: [corp.example]"),
    ("resources", "    resources: { cpus: 1.5, memory: 1g, memoryReservation: 512m, pids: 200 }"),
    ("devices", "    devices: [/dev/snd]"),
    ("gpus", "    gpus: all"),
    ("shm-size", "    shmSize: 256m"),
    ("ulimits", "    ulimits: { nofile: 65536 }"),
    ("sysctls", "    sysctls: { net.core.somaxconn: 1024 }"),
    ("cap-add", "    capAdd: [NET_BIND_SERVICE]"),
    ("cap-drop", "    capDrop: [ALL]"),
    ("security-opt", "    securityOpt: [\"no-new-privileges:true\"]"),
    ("init", "    init: true"),
    ("read-only", "    readOnly: true"),
    ("labels", "    labels: { team: web }"),
    ("logging", "    logging: { driver: json-file, options: { max-size: 10m } }"),
    ("platform", "    platform: linux/amd64"),
    ("stop-signal", "    stopSignal: SIGQUIT"),
    ("worker", "  workers: [{ name: mailer, image: \"mailer:${version}\", health: none }]"),
    ("worker-image-health", "  workers: [{ name: mailer, image: \"mailer2:${version}\", health: image }]"),
    ("worker-exec-health", "  workers: [{ name: mailer, image: \"mailer:${version}\", health: { exec: [ok] } }]"),
    (
        "worker-exec-startup",
        "  workers: [{ name: mailer, image: \"mailer:${version}\", health: { exec: [ok], startup: 5m } }]",
    ),
];

/// What is live or policy: it follows the minimal manifest and leaves its revision alone.
const NOT_OF_THE_REVISION: &[&str] = &[
    "    replicas: 4\n    canaryReplicas: full",
    "    pull: always",
    "    stop: { grace: 5s, drain: 1s }",
    "  observe: 1m",
    "  stages: [10, 100]",
    "  analysis: { alpha: 1%, beta: 1%, onInconclusive: revert, warmup: 5s, mode: { header: X-Mode } }",
    "  checks: [{ name: slow, latency: { quantile: 0.95, max: 2s } }]",
    "  deadlines: { pull: 1m, start: 1m }",
    "  promotion: { keepPrevious: 1m, keepFailed: 1m, rollbackWindow: 1m }",
    "  onDelete: remove",
    "  gateway: { image: \"nginx:1.30\", listen: 9090, sticky: { cookie: lane }, limits: { body: 1g } }",
    "  gateway: { networks: [edge], aliases: [app], expose: { canary: 8001 }, force: { header: X-Lane }, workers: 4 }",
    "  gateway: { trustedProxies: [10.0.0.0/8], snippets: { http: \"gzip on;\" } }",
    "  vars: { UNUSED: \"1\" }",
];

/// The rollout of a text that may name `.env` and `app.toml`; `round` stands for what the images contain.
fn resolved(text: &str, round: &str) -> Rollout {
    let parsed = read(text);
    assert!(parsed.broken.is_empty(), "{text}\n{}", said(&parsed.problems));
    let files = [(".env", "FROM_FILE=1\n"), ("app.toml", "answer = 42\n")];
    let files: BTreeMap<_, _> = files.map(|(n, c)| (n.to_owned(), Ok(c.as_bytes().to_vec()))).into();
    let present = |image: String| (image.clone(), ImageState::Present { id: format!("sha256:{image}{round}") });
    let images = parsed.drafts[0].images(&files).into_keys().map(present).collect();
    resolve(&parsed.drafts[0], &Inputs { files, images }).map_err(|p| said(&p)).unwrap().rollout
}

/// Released hashes never change: a difference here is a new format beside `h1`, not a new line in the file.
#[test]
fn the_hashes_of_h1_are_the_released_ones() {
    let line = |name: &str, text: &str| {
        let rollout = resolved(&with(text), "");
        format!("{} {} {name}\n", rollout.revision, rollout.provisional)
    };
    let made: String = FAMILY.iter().map(|(name, text)| line(name, text)).collect();
    let pinned = std::fs::read_to_string(tests("golden/h1.txt")).unwrap_or_default();
    assert!(pinned == made, "the hashes are now\n{made}");
}

#[test]
fn each_field_of_a_container_makes_another_revision() {
    let mut seen = BTreeMap::new();
    for (name, text) in FAMILY {
        let rollout = resolved(&with(text), "");
        for revision in [rollout.revision, rollout.provisional] {
            let before = seen.insert(revision, name);
            assert!(before.is_none(), "{name} and {before:?} have the same revision");
        }
    }
}

#[test]
fn what_is_live_or_policy_is_seen_and_makes_no_revision() {
    let minimal = rollout(MINIMAL);
    for text in NOT_OF_THE_REVISION {
        let other = rollout(&with(text));
        assert_eq!((&other.revision, &other.provisional), (&minimal.revision, &minimal.provisional), "{text}");
        let changes = diff(&minimal, &other);
        assert!(changes.iter().all(|c| c.class != Class::Revision), "{text}: {changes:?}");
        assert_eq!(changes.is_empty(), text.contains("UNUSED"), "{text}");
    }
}

#[test]
fn what_makes_another_revision_is_told_as_such_and_without_values() {
    let minimal = resolved(MINIMAL, "");
    for (name, text) in &FAMILY[1..] {
        let changes = diff(&minimal, &resolved(&with(text), ""));
        assert!(changes.iter().any(|c| c.class == Class::Revision), "{name}");
        let said = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(!said.contains("info") && !said.contains("Some("), "{name}: {said}");
    }
}

#[test]
fn the_content_of_images_and_files_is_of_the_revision_and_their_names_are_not() {
    let text = with("    configs: [{ file: app.toml, target: /etc/app.toml }]");
    let (one, two) = (resolved(&text, ""), resolved(&text, "rebuilt"));
    assert_ne!(one.revision, two.revision);
    assert_eq!(one.provisional, two.provisional);
    let copied = text.replace("file: app.toml", "file: app.toml, mode: 444");
    assert_eq!(resolved(&copied, "").revision, one.revision);
    assert_ne!(resolved(&text.replace("file: app.toml", "file: .env"), "").revision, one.revision);
}

#[test]
fn an_image_that_is_not_there_yet_leaves_the_revision_provisional() {
    let draft = &read(MINIMAL).drafts[0];
    let pending = resolve(draft, &Inputs::default()).unwrap().rollout;
    assert_eq!(pending.revision, pending.provisional);
    assert_eq!(pending.images["shop:v1"], ImageState::Pending);
    let missing = ImageState::Missing { reason: "no such image".to_owned() };
    let inputs = Inputs { images: [("shop:v1".to_owned(), missing.clone())].into(), ..Inputs::default() };
    let rollout = resolve(draft, &inputs).unwrap().rollout;
    assert_eq!((&rollout.revision, &rollout.images["shop:v1"]), (&pending.revision, &missing));
}

#[test]
fn a_stored_format_is_computed_again_and_an_unknown_one_is_refused() {
    let rollout = rollout(MINIMAL);
    assert_eq!(known_formats(), [FORMAT]);
    assert_eq!(revision_in(FORMAT, &rollout), Some(rollout.revision.clone()));
    assert_eq!(revision_in("h2", &rollout), None);
}

/// Each line: ways to write one and the same thing.
const SPELLINGS: &[&[&str]] = &[
    &["env: { A: 1, B: two }", "env: [B=two, A=1]", "env:\n      B: \"two\"   # why\n      A: '1'"],
    &[
        "resources: { memory: 1g, cpus: 0.5 }",
        "resources: { cpus: 0.50, memory: 1024m }",
        "resources: { \"memory\": \"1GiB\", cpus: 0.500 }",
        "resources: { memory: 1048576K, cpus: \"0.5\" }",
    ],
    &["capAdd: [NET_ADMIN, SYS_TIME]", "capAdd: [cap_sys_time, net_admin]"],
    &[
        "command: serve --all 'a b'",
        "command: [serve, --all, a b]",
        "command:\n      - serve\n      - --all\n      - a b",
    ],
    &["extraHosts: { db: 10.0.0.5 }", "extraHosts: [\"db:10.0.0.5\"]", "extraHosts: [db=10.0.0.5]"],
    &["mounts: [\"/a:/a:ro\"]", "mounts: [{ source: /a, readOnly: true, target: /a }]"],
    &["tmpfs: /tmp", "tmpfs: [/tmp]", "tmpfs: { /tmp: \"\" }"],
    &["ulimits: { nofile: 1024 }", "ulimits: { nofile: { hard: 1024, soft: 1024 } }"],
    &["", "init: false", "readOnly: false"],
    &["gpus: 1", "gpus: { count: 1 }"],
    &["shmSize: 64m", "shmSize: 65536k", "shmSize: 64MB"],
    &["labels: { team: web, tier: \"1\" }", "labels: [tier=1, team=web]"],
    &["networks: [a, b]", "networks: [b, a]", "networks: [a, b, a]"],
    &["user: 1000", "user: \"1000\"", "user: '1000'"],
];

/// Two manifests of the same facets: for each the spelling in the one and in the other, and an order for both.
fn twins() -> impl Strategy<Value = (String, String)> {
    let facet = (any::<bool>(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let facets = prop::collection::vec(facet, SPELLINGS.len());
    let order = || Just((0..SPELLINGS.len()).collect::<Vec<_>>()).prop_shuffle();
    (facets, order(), order()).prop_map(|(facets, one, other)| {
        let write = |order: &[usize], second: bool| {
            let lines = order.iter().filter(|n| facets[**n].0).map(|n| {
                let pick = if second { &facets[*n].2 } else { &facets[*n].1 };
                format!("    {}\n", pick.get(SPELLINGS[*n]))
            });
            format!("{MINIMAL}{}", lines.collect::<String>())
        };
        (write(&one, false), write(&other, true))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn equal_content_is_an_equal_revision_however_it_is_written((one, other) in twins()) {
        let (a, b) = (rollout(&one), rollout(&other));
        prop_assert_eq!(&a.revision, &b.revision, "{}\n{}", one, other);
        prop_assert_eq!(&a.provisional, &b.provisional);
        prop_assert!(diff(&a, &b).is_empty());
        prop_assert_eq!(&a.app.container, &b.app.container);
    }

    #[test]
    fn quotes_and_block_style_change_nothing(style in 0_usize..4) {
        let version = ["v1", "\"v1\"", "'v1'", ">-\n    v1"][style];
        let text = MINIMAL.replace("version: v1", &format!("version: {version}"));
        prop_assert_eq!(rollout(&text).revision, rollout(MINIMAL).revision);
    }
}
