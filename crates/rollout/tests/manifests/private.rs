//! What came from a variable, an env file or an environment is in no message, no label, no hint and no snippet.

use std::collections::BTreeMap;

use canaryd_rollout::{Diagnostic, ImageState, Inputs, SourceText, parse, resolve};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::said;

/// A manifest with every kind of value; `«…»` marks those that a variable may stand for.
const EVERYTHING: &str = include_str!("everything.yaml");
const TEXT: &str = "hunter2zq";
const NUMBER: &str = "918273";
const PLACES: usize = 90;

/// The manifest in which a variable stands in the chosen places.
fn with_variable(chosen: &[prop::sample::Index], around: (&str, &str)) -> String {
    let parts: Vec<&str> = EVERYTHING.split(['«', '»']).collect();
    let places = parts.len() / 2;
    assert!(places >= PLACES - 20, "{places} places");
    let chosen: Vec<usize> = chosen.iter().map(|index| index.index(places)).collect();
    let variable = format!("\"{}${{SECRET}}{}\"", around.0, around.1);
    let part = |(n, part): (usize, &&str)| {
        let is_place = n % 2 == 1;
        if is_place && chosen.contains(&(n / 2)) { variable.clone() } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Everything that is said about a text whose variable has that value, given in one of the three ways.
fn problems(text: &str, secret: &str, way: usize) -> Vec<Diagnostic> {
    let given = if way == 0 { BTreeMap::from([("SECRET".to_owned(), secret.to_owned())]) } else { BTreeMap::new() };
    let text = if way == 1 { text.replace("SECRET: none", &format!("SECRET: {secret}")) } else { text.to_owned() };
    let text = if way == 2 { text.replace("SECRET: none", "OTHER: none") } else { text };
    let parsed = parse(&SourceText { name: "shop.yaml".to_owned(), text }, &given);
    let mut problems = parsed.problems;
    for draft in &parsed.drafts {
        let content = |name: &String| {
            let content = if name == ".env" { format!("SECRET={secret}\n") } else { format!("{secret}\n{secret}=1") };
            (name.clone(), if name == "gone" { Err("no such file".to_owned()) } else { Ok(content.into_bytes()) })
        };
        let files: BTreeMap<_, _> = draft.needs().files.iter().map(content).collect();
        let images = draft.images(&files).into_keys().map(|image| (image, ImageState::Pending)).collect();
        match resolve(draft, &Inputs { files, images }) {
            Ok(resolved) => problems.extend(resolved.warnings),
            Err(more) => problems.extend(more),
        }
    }
    problems
}

fn ways() -> impl Strategy<Value = (Vec<prop::sample::Index>, &'static str, (&'static str, &'static str), usize)> {
    let around =
        prop::sample::select(vec![("", ""), ("x", ""), ("", ":/a"), ("/", ""), ("", "=1"), ("-", " "), ("", "%")]);
    let chosen = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    (chosen, prop::sample::select(vec![TEXT, NUMBER]), around, 0_usize..3)
}

/// An edit somewhere: that many characters out, these in.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    (any::<prop::sample::Index>(), 0_usize..3, "[ a-z:{}\\[\\]'\"\n\t#&*-]{0,2}")
}

/// A text after an edit that left the secret whole.
fn edited(text: &str, secret: &str, (at, taken, put): &(prop::sample::Index, usize, String)) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let start = at.index(chars.len());
    let end = (start + taken).min(chars.len());
    chars.splice(start..end, put.chars());
    let edited: String = chars.into_iter().collect();
    if edited.matches(secret).count() == text.matches(secret).count() { edited } else { text.to_owned() }
}

proptest! {
    // The same edits in every run: what an edit may make of a text has no end.
    #![proptest_config(ProptestConfig { cases: 250, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]
    #[test]
    fn the_value_of_a_variable_is_said_nowhere((chosen, secret, around, way) in ways()) {
        let text = with_variable(&chosen, around);
        let problems = problems(&text, secret, way);
        let said = format!("{}{:?}", said(&problems), problems);
        prop_assert!(!said.contains(secret), "{}", said);
    }

    #[test]
    fn the_value_of_an_environment_is_said_nowhere_however_broken_the_text_is(first in edit(), second in edit()) {
        let text = EVERYTHING.replace(['«', '»'], "").replace("private", TEXT);
        let text = edited(&edited(&text, TEXT, &first), TEXT, &second);
        let problems = problems(&text, "none", 0);
        let said = format!("{}{:?}", said(&problems), problems);
        prop_assert!(!said.contains(TEXT), "{}\n{}", text, said);
    }
}

#[test]
fn what_is_said_of_the_test_manifest_itself_is_nothing() {
    let problems = problems(&EVERYTHING.replace(['«', '»'], ""), "x", 0);
    assert!(problems.is_empty(), "{}", said(&problems));
}
