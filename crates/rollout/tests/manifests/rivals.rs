//! Documents that are each right and cannot be in force together.

use std::collections::BTreeMap;

use canaryd_rollout::{Diagnostic, Draft, Inputs, Rollout, SourceText, parse, resolve, rivals};

fn document(name: &str, gateway: &str) -> String {
    format!(
        "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: {name} }}\nspec:\n  version: v1\n  app: {{ image: \"{name}:${{version}}\", port: 8000, health: {{ http: /health }} }}\n{gateway}"
    )
}

fn told(files: &[(&str, String)]) -> Vec<Diagnostic> {
    let vars = BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]);
    let mut documents: Vec<(Draft, Rollout)> = Vec::new();
    for (file, text) in files {
        let parsed = parse(&SourceText { name: (*file).to_owned(), text: text.clone() }, &vars);
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        for draft in parsed.drafts {
            let rollout = resolve(&draft, &Inputs::default()).unwrap().rollout;
            documents.push((draft, rollout));
        }
    }
    rivals(&documents.iter().map(|(draft, rollout)| (draft, rollout)).collect::<Vec<_>>())
}

#[test]
fn a_port_that_two_want_is_told_with_both_places() {
    let a = document("shop", "  gateway: { listen: [8081, 8080] }\n");
    let b = document("blog", "  gateway:\n    listen: 9090\n    expose: { canary: 8080 }\n");
    let problems = told(&[("a.yaml", a), ("b.yaml", b)]);
    let [one] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!(one.place(), "b.yaml:9:23");
    assert_eq!(one.path, "spec.gateway.expose.canary");
    assert_eq!(one.message, "blog wants 127.0.0.1:8080, which is the port of shop");
    assert_eq!(one.label.as_deref(), Some("shop has it: a.yaml:7:29"));
    assert!(one.hint.is_some() && one.is_error());
}

#[test]
fn every_address_overlaps_one_and_other_addresses_do_not() {
    let on = |name: &str, listen: &str| document(name, &format!("  gateway: {{ listen: \"{listen}\" }}\n"));
    assert_eq!(told(&[("a", on("shop", "127.0.0.2:80")), ("b", on("blog", "127.0.0.1:80"))]), []);
    assert_eq!(told(&[("a", on("shop", "0.0.0.0:80")), ("b", on("blog", "127.0.0.1:80"))]).len(), 1);
}

#[test]
fn a_port_by_default_or_by_a_variable_counts_as_well() {
    let a = document("shop", "");
    let b = document("blog", "  gateway: { listen: \"${PORT}\" }\n");
    let problems = told(&[("a.yaml", a), ("b.yaml", b)]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].place(), "b.yaml:7:22");
    assert_eq!(problems[0].label.as_deref(), Some("shop has it: a.yaml:4:1"), "spec, where gateway would be");
}

#[test]
fn a_name_that_two_have_is_told_once_with_both_places() {
    let problems = told(&[("a.yaml", document("shop", "")), ("b.yaml", document("shop", ""))]);
    let [one] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!(one.place(), "b.yaml:3:19");
    assert_eq!(one.message, "rollout shop is in a.yaml as well; a name has one manifest");
    assert_eq!(one.label.as_deref(), Some("it is named so here, and at a.yaml:3:19"));
}

#[test]
fn two_documents_of_one_file_are_rivals_as_well() {
    let both = format!("{}---\n{}", document("shop", ""), document("blog", ""));
    let problems = told(&[("a.yaml", both)]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].label.as_deref().is_some_and(|label| label.starts_with("shop has it: a.yaml:4:")));
}

#[test]
fn a_port_that_many_want_is_one_error_each_with_some_of_those_who_have_it() {
    let files: Vec<(String, String)> =
        (0..200).map(|n| (format!("{n}.yaml"), document(&format!("app-{n}"), ""))).collect();
    let named: Vec<(&str, String)> = files.iter().map(|(file, text)| (file.as_str(), text.clone())).collect();
    let problems = told(&named);
    assert_eq!(problems.len(), 199);
    let told_of = |n: usize| problems[n - 1].message.clone();
    assert_eq!(told_of(1), "app-1 wants 127.0.0.1:8080, which is the port of app-0");
    assert_eq!(told_of(3), "app-3 wants 127.0.0.1:8080, which is the port of app-0, app-1 and app-2");
    assert_eq!(told_of(199), "app-199 wants 127.0.0.1:8080, which is the port of app-0, app-1, app-2 and 196 more");
    assert!(problems[198].label.as_deref().is_some_and(|label| label.starts_with("app-0 has it: 0.yaml:")));
}
