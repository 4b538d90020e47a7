//! The rendered configurations, word by word. `UPDATE_GOLDEN=1` writes them anew; review the difference.

use std::path::Path;

use canaryd_gateway::{GenerationId, Intent, NginxVersion, Rendered, Traffic, render, twin};
use canaryd_rollout::ModeFrom;

mod common;
use common::{bare, full, intent};

fn generation() -> GenerationId {
    GenerationId::new(3, 14)
}

#[expect(clippy::disallowed_methods, reason = "a test may rewrite the golden files")]
fn golden(name: &str, rendered: &Rendered) {
    assert!(!rendered.nginx_conf.contains("{{"), "a blank of the template has no value");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.conf"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &rendered.nginx_conf).expect("written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(expected == rendered.nginx_conf, "{name}.conf differs: run with UPDATE_GOLDEN=1 and review");
}

#[test]
fn a_bare_gateway_with_production_only() {
    golden("production-only", &render(&bare(), &intent(0.0, &[2], &[]), generation()).expect("legal"));
}

#[test]
fn one_percent_for_the_canary() {
    golden("one-percent", &render(&bare(), &intent(1.0, &[2, 3], &[4]), generation()).expect("legal"));
}

#[test]
fn everything_for_the_canary() {
    golden("hundred-percent", &render(&bare(), &intent(100.0, &[2], &[4, 5]), generation()).expect("legal"));
}

#[test]
fn every_field_set() {
    golden("full", &render(&full(), &intent(25.0, &[2, 3], &[4]), generation()).expect("legal"));
}

#[test]
fn the_twin_of_every_field_set() {
    golden("full-twin", &twin(&full(), &intent(25.0, &[2, 3], &[4]), generation()).expect("legal"));
}

#[test]
fn nobody_serves() {
    let nobody = Intent { traffic: Traffic::Nobody, ..intent(0.0, &[], &[]) };
    golden("nobody", &render(&full(), &nobody, generation()).expect("legal"));
}

#[test]
fn an_old_nginx_and_a_mode_in_the_path() {
    let mut settings = bare();
    settings.nginx = NginxVersion::new(1, 26, 3);
    settings.mode = Some(ModeFrom::Path("/api/".into()));
    golden("old-nginx", &render(&settings, &intent(5.0, &[2], &[4]), generation()).expect("legal"));
}

#[test]
fn a_twin_differs_from_its_original_in_its_number_and_its_split_alone() {
    let (original, twin) = (
        render(&full(), &intent(25.0, &[2], &[4]), generation()).expect("legal").nginx_conf,
        twin(&full(), &intent(25.0, &[2], &[4]), generation()).expect("legal").nginx_conf,
    );
    let original = original.replace("3.14", "3.14t").replace("        25% canary;\n", "");
    assert_eq!(original, twin);
}

#[test]
fn a_canary_without_replicas_gets_nothing_whatever_its_weight() {
    let conf = render(&bare(), &intent(100.0, &[2], &[]), generation()).expect("legal").nginx_conf;
    assert!(conf.contains("* production;") && !conf.contains("* canary;"));
}
