//! Texts that are meant to hurt: any bytes, any edit of a good manifest, and bombs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use canaryd_rollout::{Diagnostic, Inputs, Parsed, SourceText, parse, resolve};
use proptest::prelude::*;

use crate::common::{MINIMAL, read, repository, said};

fn example() -> String {
    std::fs::read_to_string(repository().join("examples/fragrance-ai/fragrance-ai.yaml")).unwrap()
}

/// Reads bytes all the way; every problem has a place within the text.
fn digest(bytes: &[u8]) {
    let problems = match SourceText::of_bytes("shop.yaml", bytes) {
        Err(problems) => problems,
        Ok(source) => {
            let Parsed { drafts, broken, mut problems } = parse(&source, &BTreeMap::new());
            assert!(!drafts.is_empty() || !broken.is_empty(), "a file says something or is wrong");
            assert_eq!(broken.is_empty(), !problems.iter().any(Diagnostic::is_error), "{}", said(&problems));
            for draft in &drafts {
                problems.extend(resolve(draft, &Inputs::default()).err().unwrap_or_default());
            }
            problems
        }
    };
    let lines = bytes.split(|b| *b == b'\n').count();
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem:?}");
        let snippet = problem.snippet.as_ref().unwrap();
        assert!(snippet.start <= snippet.text.chars().count() && snippet.text.chars().count() <= 120, "{problem:?}");
        assert!(!problem.render(true).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        digest(&bytes);
    }

    #[test]
    fn any_text_with_the_signs_of_yaml_is_read_or_refused(text in "[ a-c0-9:,{}\\[\\]&*!|>'\"%@`?#~<$\t\r\n\\-\\\\é]{0,48}") {
        digest(text.as_bytes());
    }
}

/// An edit of a text: where, what is taken out, what is put in.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    let piece = prop_oneof![
        Just(String::new()),
        "[ a-z:{}\\[\\]&*'\"\n\t#-]{1,4}",
        "\\PC{1,3}",
        Just("${version}".to_owned()),
        Just("<<: *x".to_owned())
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, piece), 1..4)
}

fn edited(text: &str, edits: &[(prop::sample::Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, taken, put) in edits {
        let start = at.index(chars.len() + 1);
        let end = (start + taken).min(chars.len());
        chars.splice(start..end, put.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_edit_of_a_good_manifest_is_read_or_refused(edits in edits()) {
        digest(edited(&example(), &edits).as_bytes());
        digest(edited(MINIMAL, &edits).as_bytes());
    }
}

/// Each level names the one before ten times.
fn aliases(first: &str, levels: usize) -> String {
    let mut text = format!("a0: &a0 [{first}]\n");
    for n in 1..levels {
        text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    text
}

#[test]
fn bombs_are_refused_soon_and_with_a_reason() {
    let kilobytes = |n: usize| "x".repeat(n * 1024);
    let many = |n: usize, each: &str| (0..n).map(|i| each.replace('#', &i.to_string())).collect::<String>();
    let env = |text: &str| format!("{MINIMAL}    env: {{ {text} }}\n");
    let bombs = [
        ("aliases of aliases", aliases("x, x, x, x", 12), "too large once its aliases"),
        (
            "aliases of a long text",
            format!("a: &a \"{}\"\nb: [{}]\n", kilobytes(100), many(5_000, "*a, ")),
            "too large once",
        ),
        (
            "merges of merges",
            format!("a0: &a0 {{ {} }}\n{}", many(2_000, "k#: v, "), many(60, "m#: { <<: *a0 }\n")),
            "too large once",
        ),
        ("depth in brackets", format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)), "nested too deeply"),
        ("depth in lines", (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), "nested too deeply"),
        ("depth in dashes", format!("{}a\n", "- ".repeat(10_000)), "nested too deeply"),
        ("one long text", format!("{MINIMAL}    user: {}\n", kilobytes(200)), "this text has 200 KiB"),
        ("a large file", format!("# {}\n{MINIMAL}", kilobytes(1_100)), "larger than 1 MiB"),
        ("many values", format!("a: [{}]\n", many(60_000, "1, ")), "too large"),
        (
            "one variable many times",
            format!("{}  vars: {{ V: {} }}\n", env(&format!("A: \"{}\"", "${V}".repeat(10_000))), kilobytes(100)),
            "too long",
        ),
        (
            "a variable in many values",
            format!("{}  vars: {{ V: {} }}\n", env(&many(2_000, "A#: \"${V}\", ")), kilobytes(100)),
            "too long",
        ),
    ];
    for (name, text, reason) in bombs {
        let start = Instant::now();
        let parsed = read(&text);
        assert!(start.elapsed() < Duration::from_secs(20), "{name} took {:?}", start.elapsed());
        let said = said(&parsed.problems);
        assert!(parsed.drafts.is_empty() && said.contains(reason), "{name}: {}", &said[..said.len().min(2_000)]);
        assert!(said.len() < 4_000, "{name}: {} bytes are said", said.len());
    }
}

#[test]
fn a_long_line_is_shown_around_its_problem_only() {
    let text = format!("{MINIMAL}    labels: {{ {}: 1, \"\": 2, b: {} }}\n", "a".repeat(500), "c".repeat(500));
    let problem = &read(&text).problems[0];
    let snippet = problem.snippet.as_ref().unwrap();
    assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'), "{problem}");
    assert_eq!(snippet.text.chars().skip(snippet.start).take(2).collect::<String>(), "\"\"", "{problem}");
}
