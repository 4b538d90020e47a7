//! Whole manifests: what is accepted, with which defaults, and what is said about the rest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{ImageState, Inputs, Parsed, Resolved, SourceText, diff, parse, resolve, schema};

const MINIMAL: &str = "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: { name: shop }\nspec:\n  version: v1\n  app:\n    image: shop:${version}\n    port: 8000\n    health: { http: /health }\n";

fn read(text: &str) -> Parsed {
    parse(&SourceText { name: "shop.yaml".to_owned(), text: text.to_owned() }, &BTreeMap::new())
}

fn resolved(text: &str, files: &[(&str, &str)]) -> Resolved {
    let parsed = read(text);
    assert_eq!(parsed.problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let files = files.iter().map(|(n, c)| ((*n).to_owned(), Ok(c.as_bytes().to_vec()))).collect();
    let draft = &parsed.drafts[0];
    let present = |image: String| (image, ImageState::Present { id: "sha256:1".to_owned() });
    let images = draft.images(&files).into_keys().map(present).collect();
    resolve(draft, &Inputs { files, images }).unwrap()
}

fn with(line: &str) -> String {
    format!("{MINIMAL}{line}\n")
}

fn said(text: &str) -> String {
    read(text).problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_minimal_manifest_gets_the_defaults() {
    let rollout = resolved(MINIMAL, &[]).rollout;
    assert_eq!(rollout.app.image, "shop:v1");
    assert_eq!(rollout.stages.iter().map(|s| s.weight.to_string()).collect::<Vec<_>>(), ["1", "5", "25", "100"]);
    assert_eq!((rollout.checks.len(), rollout.gateway.listen[0].port), (1, 8080));
    assert_eq!(rollout.stages[0].max_duration, rollout.stages[0].observe * 4);
    assert_ne!(rollout.revision, rollout.provisional);
}

#[test]
fn the_revision_ignores_spelling_and_what_is_live_or_policy() {
    let one = resolved(&with("    env: { A: 1, B: 2 }\n    resources: { memory: 1g }"), &[]).rollout;
    let two = resolved(&with("    resources: { memory: 1024m }\n    env: [B=2, A=1]\n    replicas: 3"), &[]).rollout;
    assert_eq!(one.revision, two.revision);
    let other = resolved(&with("    env: { A: 1, B: 3 }\n    resources: { memory: 1g }"), &[]).rollout;
    assert_ne!(one.revision, other.revision);
    let text = diff(&one, &other).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text, ["env ~ B"]);
}

#[test]
fn env_files_give_variables_and_environment() {
    let text = MINIMAL.replace("shop:${version}", "${REGISTRY}/shop:${version}")
        + "    envFiles: [.env]\n    env: { A: own }\n";
    let rollout = resolved(&text, &[(".env", "REGISTRY=ghcr.io/acme\nA=file\n")]).rollout;
    assert_eq!(rollout.app.image, "ghcr.io/acme/shop:v1");
    assert_eq!(rollout.app.container.env["A"], "own");
    assert_eq!(rollout.app.container.env["REGISTRY"], "ghcr.io/acme");
}

#[test]
fn a_weight_that_falls_is_shown_with_its_line() {
    let text = with("  stages:\n    - weight: 50\n    - weight: 25\n    - weight: 100");
    let expected = "error: stage weights must rise: 25 after 50\n  --> shop.yaml:12:15\n   |\n12 |     - weight: 25\n   |               ^^ must be more than 50 (line 11)\n hint: reorder the stages, or drop this one";
    assert_eq!(said(&text), expected);
}

#[test]
fn every_problem_of_every_document_is_found() {
    let text = format!("{}---\na: [\n---\n{MINIMAL}", with("    replica: 2\n    ports: [80]\n  observe: 15"));
    let parsed = read(&text);
    assert_eq!((parsed.drafts.len(), parsed.broken.len()), (0, 3));
    let said = parsed.problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>();
    for part in [
        "unknown field replica",
        "unknown field ports",
        "observe 15 is not a duration",
        "a bracket is not closed",
        "in this file twice",
    ] {
        assert!(said.iter().any(|m| m.contains(part)), "{part}: {said:?}");
    }
}

#[test]
fn each_mistake_has_its_message() {
    for (line, part) in [
        ("    mounts: [\"/srv:/srv\"]", "must say sharing"),
        ("    volumes: [\"/srv:/srv:ro\"]", "a volume is a name, not a path"),
        ("    env_file: .env", "use envFiles"),
        ("    restart: always", "containers restart by themselves"),
        ("    user: ${NOBODY}", "variable NOBODY is not set"),
        ("    labels: { io.canaryd.x: y }", "io.canaryd.* is set by canaryd"),
        ("    canaryReplicas: 5", "canaryReplicas 5 is more than replicas"),
        ("    port: 9", "port is written twice"),
        ("    init: yes", "is not true or false"),
        ("    shmSize: 512", "say the unit"),
        ("  stages: [1, 50]", "the last stage must be 100, not 50"),
        ("  checks: [{ name: e, errorRate: { max: 0.005 } }]", "write 0.5% for the share 0.005"),
        (
            "  checks: [{ name: e, errorRate: { max: 1% } }, { name: e, errorRate: { max: 1% } }]",
            "two checks are called e",
        ),
        ("  checks: [{ name: e, latnecy: 1 }, { name: e, errorRate: { max: 9 } }]", "two checks are called e"),
        ("  checks: [{ name: e, counter: { max: 0 } }]", "unknown field counter"),
        ("  gateway: { listen: [80, 80] }", "port 80 is used twice"),
        ("  gateway: { trustedProxies: [10.0.0.0/99] }", "an address or a network"),
        ("  gateway: { sticky: { cookie: \"a;b\" } }", "letters, digits and _"),
        ("  workers: [{ name: w, image: w }]", "needs health"),
        (
            "  workers: [{ name: w, image: w, health: none, singleton: true, replicas: 2 }]",
            "a singleton has one replica",
        ),
        ("  metrics: { scrape: /metrics }", "unknown field metrics"),
        ("  onDelete: delete", "is not keep or remove"),
    ] {
        let text = said(&with(line));
        assert!(text.contains(part), "{line}: {text}");
    }
}

#[test]
fn values_of_the_environment_are_in_no_message() {
    let text = said(&with("    env: { KEY: hunter2, KEY: hunter2, X: \"${NO}hunter2\" }"));
    assert!(!text.is_empty() && !text.contains("hunter2"), "{text}");
}

#[test]
fn the_schema_is_the_committed_one() {
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rollout.schema.json");
    #[expect(clippy::disallowed_methods, reason = "a test may rewrite the committed schema")]
    let committed = {
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        std::fs::read_to_string(path).unwrap()
    };
    assert!(made == committed, "run with UPDATE_SCHEMA=1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[ -~é\n\t]{0,80}") {
        for problem in read(&text).problems {
            prop_assert!(!problem.render(true).is_empty());
        }
    }

    #[test]
    fn any_value_anywhere_is_read_or_refused_without_panic(value in "[ -~é]{0,20}", line in 0_usize..9) {
        let text: Vec<_> = MINIMAL.lines().enumerate().map(|(n, l)| if n == line {
            format!("{}: {value}", l.split(':').next().unwrap_or("a"))
        } else { l.to_owned() }).collect();
        let parsed = read(&text.join("\n"));
        prop_assert!(parsed.drafts.len() + parsed.broken.len() >= 1);
    }
}
