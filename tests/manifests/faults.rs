//! One broken manifest: told precisely, harmless to itself and to others, also across a restart.

use canaryd_e2e::http::{get, until_steady};
use canaryd_e2e::{Host, Manifest, demo_image, load};
use canaryd_planner::Outcome;

use super::{problems, running, until_told};

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_manifest_is_told_and_harmless_while_others_go_on_also_across_a_restart() {
    let app = demo_image("gate-break", "v1", &[]);
    demo_image("gate-break", "v2", &[]);
    let mut host = Host::start().await;
    let broken = Manifest::new("gate-break", &app, "v1", 22_410);
    let other = Manifest::new("gate-fine", &app, "v1", 22_411).stages(&[(50.0, 2), (100.0, 2)]);
    host.write("break.yaml", &broken.yaml());
    host.write("fine.yaml", &other.yaml());
    host.until_serving("gate-break", "v1").await;
    host.until_serving("gate-fine", "v1").await;
    until_steady(22_410).await;
    until_steady(22_411).await;
    let (load, others) = (load(22_410, 40.0, true), load(22_411, 100.0, false));

    let text = broken.clone().version("v2").yaml().replace("replicas: 1", "replcas: 1\n    prt: 8000");
    host.write("break.yaml", &text);
    until_told(&host, "both mistakes", |t| t.contains("replcas") && t.contains("prt")).await;
    let told = problems(&host).await;
    assert!(told.contains("break.yaml:9:5") && told.contains('^'), "place and caret: {told}");
    assert!(told.contains("did you mean") || told.contains("hint"), "what would be right: {told}");
    let note =
        |r: &canaryd_planner::Report| r.notes.iter().any(|n| n.contains("ignored") && n.contains("break.yaml:9"));
    host.until("gate-break", "the rollout itself says that a newer manifest is ignored", note).await;
    let (code, out, _) = host.cli(&["status"]).await;
    assert!(code == 0 && out.contains("replcas") && out.contains("break.yaml:9:5"), "{out}");
    assert!(host.log().contains("replcas"), "the log tells, too");

    host.write("fine.yaml", &other.clone().version("v2").yaml());
    host.expect_outcome("gate-fine", "v2", Outcome::Promoted).await;
    let others = others.stop().await;
    assert_eq!(others.failed, 0, "others go on: {:#?}", others.failures);

    host.write("break.yaml", "kind: Rollout\nmetadata: { name: gate-break\n");
    until_told(&host, "what YAML says", |t| t.contains("break.yaml:") && !t.contains("replcas")).await;
    let before = (running(&host), generation(&host, "gate-break"), generation(&host, "gate-fine"));
    host.kill().await;
    host.run().await;
    host.until_serving("gate-break", "v1").await;
    host.until_serving("gate-fine", "v2").await;
    until_told(&host, "told again", |t| t.contains("break.yaml:")).await;
    assert_eq!(get(22_410, "/").await.header("X-Canary-Version"), "v1");
    let after = (running(&host), generation(&host, "gate-break"), generation(&host, "gate-fine"));
    assert_eq!(before, after, "a restart starts, stops and reloads nothing");

    host.write("break.yaml", &broken.clone().version("v2").stages(&[(50.0, 2), (100.0, 2)]).yaml());
    until_told(&host, "nothing is wrong any more", str::is_empty).await;
    host.expect_outcome("gate-break", "v2", Outcome::Promoted).await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
}

/// The generation that NGINX is to read.
fn generation(host: &Host, rollout: &str) -> String {
    let current = host.state().join("gateways").join(rollout).join("conf/current");
    std::fs::read_link(current).unwrap().display().to_string()
}
