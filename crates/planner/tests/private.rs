//! What the memory holds goes to the journal, and so must not hold what may be secret.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;

use canaryd_planner::{Desired, EngineView, EvidenceView, GatewayView, Memory, Shelf, Slots, World, plan};
use canaryd_rollout::{ImageState, Inputs, SourceText, parse, resolve};

const MANIFEST: &str = "
apiVersion: canaryd.io/v1
kind: Rollout
metadata: { name: shop }
spec:
  version: v1
  vars: { TOKEN: hush-hush }
  app:
    image: shop:${version}
    port: 8000
    env: { KEY: hush-hush }
    health: { http: '/health?token=${TOKEN}' }
  workers:
    - { name: mail, image: 'mail:${version}', health: { exec: [check, '${TOKEN}'] } }
  gateway: { snippets: { server: 'set $key hush-hush;' } }
";

#[test]
fn no_value_of_a_container_a_probe_or_a_snippet_is_remembered() {
    let parsed = parse(&SourceText { name: "shop.yaml".to_owned(), text: MANIFEST.to_owned() }, &BTreeMap::new());
    let problems: String = parsed.problems.iter().map(|problem| problem.render(false)).collect();
    let draft = parsed.drafts.first().unwrap_or_else(|| panic!("{problems}"));
    let image = |name: &str| (name.to_owned(), ImageState::Present { id: "sha256:1".to_owned() });
    let images = BTreeMap::from([image("shop:v1"), image("mail:v1")]);
    let rollout = resolve(draft, &Inputs { files: BTreeMap::new(), images }).unwrap().rollout;
    let world = World {
        desired: Desired::Ready(Box::new(rollout)),
        sets: Vec::new(),
        gateway: GatewayView::default(),
        evidence: EvidenceView::default(),
        slots: Slots { may_move: true, may_start: true, ahead: Vec::new() },
        engine: EngineView::default(),
        shelf: Shelf::default(),
        journal_trouble: None,
    };
    let now = "2026-03-02T09:00:00Z".parse().unwrap();
    let first = plan(&Memory::default(), &world, now);
    let second = plan(&first.memory, &world, now);
    let remembered = serde_json::to_string(&second.memory).unwrap();
    assert!(remembered.contains("mail"), "it is about this manifest: {remembered}");
    assert!(!remembered.contains("hush"), "{remembered}");
}
