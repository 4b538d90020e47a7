use std::collections::BTreeMap;

use super::*;
use crate::{ImageState, Inputs, SourceText, parse, resolve};

const FULL: &str = r#"apiVersion: canaryd.io/v1
kind: Rollout
metadata: { name: shop }
spec:
  version: v1
  app:
    image: registry.example/shop:${version}
    port: 8000
    replicas: 2
    command: [serve, "--greeting=$HOME"]
    env: { TOKEN: hunter2, QUOTED: "it's" }
    envFiles: [.env]
    secrets: [{ file: key.pem, target: /run/secrets/key.pem }]
    mounts: [{ source: /srv/media, target: /media, readOnly: true }]
    volumes: [{ source: data, target: /data, sharing: shared }, { source: cache, target: /cache, sharing: perRevision }]
    tmpfs: [/tmp]
    networks: [backend]
    labels: { team: shop }
    resources: { cpus: 1.5, memory: 1g }
    health: { http: /health }
    stop: { grace: 45s }
  workers:
    - { name: mail, image: "mail:${version}", health: { exec: [check, "--now"] } }
  gateway: { listen: 8080, aliases: [web], networks: [backend] }
"#;

fn ejected(text: &str) -> Ejection {
    let parsed = parse(&SourceText { name: "/etc/shop.yaml".to_owned(), text: text.to_owned() }, &BTreeMap::new());
    assert!(parsed.problems.iter().all(|p| !p.is_error()), "{:?}", parsed.problems);
    let draft = &parsed.drafts[0];
    let files = [(".env", "MORE=hunter3\n"), ("key.pem", "hunter4")];
    let files: BTreeMap<_, _> = files.map(|(name, c)| (name.to_owned(), Ok(c.as_bytes().to_vec()))).into();
    let present = |image: String| (image, ImageState::Present { id: "sha256:1".to_owned() });
    let images = draft.images(&files).into_keys().map(present).collect();
    let rollout = resolve(draft, &Inputs { files, images }).unwrap().rollout;
    let running = |image: &str, replicas| RunningComponent {
        image: image.to_owned(),
        container: Some("shop-app-0123456789-1".to_owned()),
        replicas,
    };
    let components = [("app", running("registry.example/shop@sha256:ab", 2)), ("mail", running("sha256:cd", 1))];
    let components = components.map(|(name, one)| (name.parse().unwrap(), one)).into();
    eject(&rollout, &Running { host: "host2".to_owned(), components, port: 18_080 })
}

#[test]
fn everything_but_what_is_secret_is_in_the_file() {
    let text = ejected(FULL).compose;
    for line in [
        "    image: \"registry.example/shop@sha256:ab\"",
        "    # the content of registry.example/shop:v1 that was promoted, whatever that name means by now",
        "    scale: 2",
        "    ports: [\"127.0.0.1:18080-18081:8000\"]",
        "    command: [\"serve\", \"--greeting=$$HOME\"]",
        "    env_file: [\"./shop-app.env\"]",
        "    stop_grace_period: 45s",
        "    restart: unless-stopped",
        "    cpus: 1.5",
        "    mem_limit: 1073741824",
        "    pull_policy: never",
        "      test: [\"CMD\", \"check\", \"--now\"]",
        "  \"data\": { name: \"data\", external: true }",
        "  \"backend\": { name: \"backend\", external: true }",
        "      \"team\": \"shop\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    assert!(text.contains("source: \"./shop-files/app-1-key.pem\", target: \"/run/secrets/key.pem\", read_only: true"));
    assert!(text.contains("source: \"cache-"), "a volume of this revision: {text}");
    assert!(text.contains("http://127.0.0.1:8000/health"), "{text}");
}

#[test]
fn no_value_of_a_variable_and_no_content_of_a_file_is_told() {
    let Ejection { compose, steps } = ejected(FULL);
    for text in [compose, format!("{steps:?}")] {
        assert!(!text.contains("hunter") && !text.contains("it's"), "{text}");
    }
}

#[test]
fn the_way_is_the_new_beside_the_old_then_the_proxy_then_the_old() {
    let steps = ejected(FULL).steps;
    let all: Vec<String> = steps.iter().map(|s| format!("{} {}", s.what, s.commands.join(" "))).collect();
    let place = |word: &str| all.iter().position(|s| s.contains(word)).unwrap_or_else(|| panic!("{word:?}: {all:#?}"));
    let order = [
        "shop-app.env",
        "QUOTED in shop-app.env",
        "up -d app",
        "--alias web backend",
        "nginx -s reload",
        "canaryd delete shop",
    ];
    let places: Vec<usize> = order.iter().map(|word| place(word)).collect();
    assert!(places.is_sorted(), "{all:#?}");
    assert!(all[place("nginx -s")].contains("write 127.0.0.1:18080, 127.0.0.1:18081 in the place of 127.0.0.1:8080"));
    assert!(all.last().unwrap().contains("works twice") && all.last().unwrap().contains("/etc/shop.yaml"), "{all:#?}");
}

#[test]
fn a_small_rollout_gives_a_small_file() {
    let text = "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: { name: shop }\nspec:\n  version: v1\n  app: { image: \"shop:v1\", port: 8000, health: { http: /health } }\n";
    let Ejection { compose, steps } = ejected(text);
    for word in ["env_file", "volumes", "networks:", "shop-files"] {
        assert!(!compose.contains(word), "{word:?} is in\n{compose}");
    }
    assert!(steps[0].what.starts_with("start it beside"), "{steps:#?}");
}
