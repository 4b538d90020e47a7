//! Setting a version: one word changes, every other byte stays, and the result says the new version.

use canaryd_rollout::{RolloutName, set_version};
use proptest::prelude::*;

use crate::common::{read, said};

/// One document around a version, in two halves.
#[derive(Debug, Clone)]
struct Halves {
    name: String,
    before: String,
    quote: &'static str,
    after: String,
}

impl Halves {
    fn with(&self, version: &str) -> String {
        format!("{}{q}{version}{q}{}", self.before, self.after, q = self.quote)
    }
}

fn halves(n: usize) -> impl Strategy<Value = Halves> {
    let styles = (any::<bool>(), any::<bool>(), any::<bool>(), prop::sample::select(vec!["", "\"", "'"]));
    let comment = prop::sample::select(vec!["", " # the line to change", "   #: version: v0", " # größe 🙂"]);
    (styles, comment, "[ a-z#:'é]{0,12}").prop_map(move |((flow, anchor, last, quote), comment, note)| {
        let name = format!("shop{n}");
        let anchor = if anchor { "&v " } else { "" };
        let metadata = format!("metadata: {{ name: {name} }}\n");
        let head = format!("# {note}\napiVersion: canaryd.io/v1\nkind: Rollout\n");
        let app = "app: { image: \"shop:v1\", port: 8000, health: none }";
        let (before, after) = if flow {
            (format!("spec: {{ version: {anchor}"), format!(", {app} }}{comment}\n"))
        } else {
            (format!("spec:\n  # version: v0\n  version: {anchor}"), format!("{comment}\n\n  {app}\n"))
        };
        let (top, bottom) = if last { (String::new(), metadata) } else { (metadata, String::new()) };
        Halves { name, before: format!("{head}{top}{before}"), quote, after: format!("{after}{bottom}# {note}\n") }
    })
}

fn file() -> impl Strategy<Value = (Vec<Halves>, usize, bool, bool)> {
    let documents = (1_usize..4).prop_flat_map(|count| (0..count).map(halves).collect::<Vec<_>>());
    (documents, any::<prop::sample::Index>(), any::<bool>(), any::<bool>()).prop_map(|(documents, index, crlf, bom)| {
        let chosen = index.index(documents.len());
        (documents, chosen, crlf, bom)
    })
}

/// The whole file, with that version in the chosen document and `v1` in the others.
fn written(documents: &[Halves], chosen: usize, version: &str, crlf: bool, bom: bool) -> String {
    let one = |(n, d): (usize, &Halves)| d.with(if n == chosen { version } else { "v1" });
    let text = documents.iter().enumerate().map(one).collect::<Vec<_>>().join("---\n");
    let text = if crlf { text.replace('\n', "\r\n") } else { text };
    format!("{}{text}", if bom { "\u{feff}" } else { "" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn only_the_version_changes_and_it_is_the_new_one(
        (documents, chosen, crlf, bom) in file(),
        version in prop_oneof!["[a-zA-Z0-9_][a-zA-Z0-9._+-]{0,12}", Just("1.10".to_owned()), Just("0x10".to_owned())],
    ) {
        let old = written(&documents, chosen, "v1", crlf, bom);
        let name: RolloutName = documents[chosen].name.parse().unwrap();
        let new = set_version(&old, &name, &version);
        let expected = written(&documents, chosen, &version, crlf, bom);
        prop_assert_eq!(new.as_ref(), Ok(&expected), "{}", old);
        let parsed = read(&new.unwrap());
        prop_assert!(parsed.broken.is_empty(), "{}", said(&parsed.problems));
        let again = set_version(&old, &name, "v1");
        prop_assert_eq!(again, Ok(old));
    }

    #[test]
    fn setting_a_version_in_any_text_never_panics(text in "[ a-z:{}\\[\\]&*'\"\n#-]{0,60}", version in "[ -~]{0,8}") {
        let _ = set_version(&text, &"shop".parse().unwrap(), &version);
        let _ = set_version(&format!("metadata: {{ name: shop }}\nspec:\n  version: {text}"), &"shop".parse().unwrap(), &version);
    }
}

#[test]
fn words_that_yaml_takes_for_something_else_are_quoted() {
    let text = "metadata: { name: shop }\nspec: { version: v1 }\n";
    for word in ["null", "true", "false", "Null"] {
        let new = set_version(text, &"shop".parse().unwrap(), word).unwrap();
        assert!(new.contains(&format!("\"{word}\"")), "{new}");
    }
}

#[test]
fn every_refusal_says_the_line_and_what_to_edit_instead() {
    for (text, part) in [
        ("metadata: { name: other }\n", "no rollout shop in this file"),
        ("metadata: { name: shop }\nspec: [\n", "no rollout shop"),
        ("metadata: { name: shop }\nspec: {}\n", "spec.version is not written"),
        ("metadata: { name: shop }\nspec:\n  version: [v1]\n", "line 3: spec.version is not a text"),
        ("metadata: { name: shop }\nspec:\n  version: ${TAG}\n", "comes from a variable"),
        ("metadata: { name: shop }\nspec:\n  version: >\n    v1\n", "spans several lines"),
        ("metadata: { name: shop }\n---\nmetadata: { name: shop }\n", "is in this file twice"),
    ] {
        let why = set_version(text, &"shop".parse().unwrap(), "v2").unwrap_err().to_string();
        let expected = if part == "no rollout shop" { "cannot be read as YAML" } else { part };
        assert!(why.contains(expected), "{text}: {why}");
    }
}
