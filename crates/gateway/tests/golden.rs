//! The rendered configurations, word by word. `UPDATE_GOLDEN=1` writes them anew; review the difference.

use std::path::Path;

use canaryd_gateway::{GenerationId, Intent, NginxVersion, Page, PageKind, Rendered, Traffic, render, twin};
use canaryd_rollout::ModeFrom;

mod common;
use common::{bare, full, intent};

fn generation() -> GenerationId {
    GenerationId::new(3, 14)
}

fn golden(name: &str, rendered: &Rendered) {
    assert!(!rendered.nginx_conf.contains("{{"), "a blank of the template has no value");
    golden_of(name, rendered);
}

#[expect(clippy::disallowed_methods, reason = "a test may rewrite the golden files")]
fn golden_of(name: &str, rendered: &Rendered) {
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

fn stopped(page: Option<&Page>) -> Intent {
    let traffic = Traffic::Stopped { page: page.map(Page::id), retry_after: 120 };
    Intent { traffic, ..intent(0.0, &[2, 3], &[]) }
}

#[test]
fn stopped_for_maintenance_with_the_built_in_page() {
    golden("stopped", &render(&full(), &stopped(None), generation()).expect("legal"));
}

#[test]
fn stopped_for_maintenance_with_a_page_of_the_users_own() {
    let text = "<h1 class=\"big\">We are back at 5 $ {{ o'clock }}; promised \\o/</h1>\r\n# not a comment\n";
    let page = Page::new(PageKind::Html, text.as_bytes()).expect("a page");
    let settings = canaryd_gateway::Settings { page: Some(page.clone()), ..bare() };
    golden_of("stopped-own-page", &render(&settings, &stopped(Some(&page)), generation()).expect("legal"));
}

#[test]
fn while_it_is_stopped_nothing_leads_to_a_replica_neither_from_the_twin_nor_by_a_secret_header() {
    for rendered in [render(&full(), &stopped(None), generation()), twin(&full(), &stopped(None), generation())] {
        let conf = rendered.expect("legal").nginx_conf;
        assert!(conf.contains("* nobody;") && conf.contains("return 503;"), "{conf}");
        assert!(!conf.contains("10.77.0.2:8000") && !conf.contains("shop_production"), "{conf}");
    }
    let conf = |rendered: Rendered| rendered.nginx_conf.replace("3.14t", "3.14");
    let whole = conf(render(&full(), &stopped(None), generation()).expect("legal"));
    assert_eq!(whole, conf(twin(&full(), &stopped(None), generation()).expect("legal")));
}

#[test]
fn a_page_that_is_lost_is_replaced_by_the_built_in_one() {
    let page = Page::new(PageKind::Html, b"<p>mine</p>").expect("a page");
    let conf = render(&bare(), &stopped(Some(&page)), generation()).expect("legal").nginx_conf;
    assert!(conf.contains("Down for maintenance") && conf.contains("Retry-After 120"), "{conf}");
}
