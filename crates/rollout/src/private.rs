//! What is shown to nobody: values of environments and variables, and of fields whose names sound like a secret.
//!
//! Where a document can be read, the tree marks such values. Where it cannot, the line of the syntax error is looked at as
//! text, and what is not surely harmless is hidden.

use crate::shapes;
use crate::suggest::nearest;
use crate::tree::{Span, line_around};

/// Objects whose values are private, also as people call them elsewhere.
const OBJECTS: [&str; 9] =
    ["env", "envs", "environment", "envvars", "var", "vars", "variables", "secretenv", "stringdata"];
/// What the name of a private value contains.
const WORDS: [&str; 10] =
    ["password", "passwd", "passphrase", "token", "credential", "apikey", "privatekey", "secretkey", "dsn", "webhook"];

/// Whether the value of that name is private. `FOO_BAR` is: no field of a manifest has capitals in a row, variables do.
pub(crate) fn is_private(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let capitals = key.as_bytes().windows(2).any(|pair| {
        let capital = |b: u8| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit();
        capital(pair[0]) && capital(pair[1]) && pair.iter().any(u8::is_ascii_uppercase)
    });
    let misspelt = nearest(key, ["env", "vars", "environment"]).is_some() && !shapes::is_field(key);
    capitals
        || misspelt
        || OBJECTS.contains(&plain.as_str())
        || plain == "secret"
        || WORDS.iter().any(|w| plain.contains(w))
}

/// The parts of the line around a syntax error that are not shown.
pub(crate) fn hidden_around(text: &str, document: usize, at: usize) -> Vec<Span> {
    let line = line_around(text, at);
    if is_harmless(text, document, &line) {
        return Vec::new();
    }
    let written = &text[line.clone()];
    let words =
        written.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '?' | '{' | '[' | '"' | '\''));
    let begin = line.end - words.len();
    let end = words.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(words.len());
    // the name, and what makes it one, are plain structure: with them a reader finds the place
    let rest = words[end..].trim_start_matches(['"', '\'', ' ']).strip_prefix([':', '=']);
    let value = rest.map_or(begin, |rest| line.end - rest.trim_start().len());
    let hidden = value..line.start + written.trim_end().len();
    if hidden.is_empty() { Vec::new() } else { vec![hidden] }
}

/// A line that begins with a known field, has no other keys than those and nothing private, and stands in nothing private.
fn is_harmless(text: &str, document: usize, line: &Span) -> bool {
    let written = &text[line.clone()];
    let first = names(written).next();
    first.is_some_and(|(name, _)| shapes::is_field(name))
        && names(written).all(|(name, at)| !is_private(name) && (shapes::is_field(name) || !is_key(written, at)))
        && !is_inside(text, document, line)
}

/// Whether the colon there makes a key of the word before it; that of an image's tag does not.
fn is_key(line: &str, at: usize) -> bool {
    line[at..].starts_with(": ") || line[at..].trim_end() == ":"
}

/// Whether a line above opened something private that is not closed before this line.
fn is_inside(text: &str, document: usize, line: &Span) -> bool {
    let mut indent = indentation(&text[line.clone()]);
    let above = &text[document.min(line.start)..line.start];
    for earlier in above.lines().rev().filter(|l| !l.trim().is_empty()) {
        let private = names(earlier).find(|(name, _)| is_private(name));
        if let Some((_, end)) = private {
            let from = earlier.as_ptr() as usize - above.as_ptr() as usize + end;
            if is_open(&above[from..]) {
                return true;
            }
        }
        let own = indentation(earlier);
        if own <= indent {
            if own < indent && private.is_some() {
                return true;
            }
            indent = own;
        }
    }
    false
}

/// Whether a bracket or a quote is still open at the end.
fn is_open(text: &str) -> bool {
    let count = |c: char| text.matches(c).count();
    count('{') + count('[') > count('}') + count(']') || count('"') % 2 == 1 || count('\'') % 2 == 1
}

/// Every word before a colon or an equals sign, with the place where it ends.
fn names(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.match_indices([':', '=']).filter_map(|(at, _)| {
        let before = line[..at].trim_end_matches(['"', '\'', ' ']);
        let word = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
            .map_or(0, |n| n + before[n..].chars().next().map_or(1, char::len_utf8));
        (word < before.len()).then_some((&before[word..], at))
    })
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_and_secrets_are_private_and_fields_are_not() {
        for name in ["env", "environment", "vars", "PORT", "DB_PASSWORD", "dbPassword", "slack-webhook", "A1", "secret"]
        {
            assert!(is_private(name), "{name}");
        }
        for name in ["image", "envFiles", "secrets", "maxAge", "A", "Memory", "extraHosts", "rpc", ""] {
            assert!(!is_private(name), "{name}");
        }
        assert!(shapes::names().iter().all(|name| !is_private(name) || matches!(*name, "env" | "vars")));
    }

    fn shown(text: &str, line: usize) -> String {
        let at: usize = text.lines().take(line - 1).map(|l| l.len() + 1).sum();
        let hidden = hidden_around(text, 0, at);
        let whole = line_around(text, at);
        match hidden.first() {
            Some(part) => format!("{}***{}", &text[whole.start..part.start], &text[part.end..whole.end]),
            None => text[whole].to_owned(),
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_shown_where_it_is_surely_harmless() {
        let text = "spec:\n  app: { image: x, port: 1\n  env:\n    A: hunter2\n    - hunter2\n  port: [\n  app: { env: { a: hunter2\n  image: hunter2\n";
        let expected = [
            "spec:",
            "  app: { image: x, port: 1",
            "  env:",
            "    A: ***",
            "    - ***",
            "  port: [",
            "  app: ***",
            "  image: ***",
        ];
        for (n, line) in expected.iter().enumerate() {
            assert_eq!(shown(text, n + 1), *line, "line {}", n + 1);
        }
    }
}
