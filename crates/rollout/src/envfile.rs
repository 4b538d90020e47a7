//! Env files: `KEY=VALUE` lines with comments, quotes and `export `.

use std::collections::BTreeMap;

use crate::interpolate::is_variable_name;

/// What is wrong in an env file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Reads an env file; every problem is found, values are in no message.
pub(crate) fn read(content: &[u8]) -> Result<BTreeMap<String, String>, Vec<BadLine>> {
    let text = std::str::from_utf8(content)
        .map_err(|_| vec![BadLine { line: 1, message: "the file is not UTF-8".to_owned() }])?;
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match pair(line.strip_prefix("export ").unwrap_or(line)) {
            Ok((key, value)) => {
                values.insert(key, value);
            }
            Err(message) => problems.push(BadLine { line: n + 1, message: message.to_owned() }),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn pair(line: &str) -> Result<(String, String), &'static str> {
    let (key, value) = line.split_once('=').ok_or("a line must be KEY=VALUE")?;
    let key = key.trim();
    if !is_variable_name(key) {
        return Err("the name before = must be letters, digits and _, not starting with a digit");
    }
    let value = unquoted(value.trim())?;
    if value.contains('\0') { Err("a value cannot hold a NUL") } else { Ok((key.to_owned(), value)) }
}

fn unquoted(value: &str) -> Result<String, &'static str> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'').ok_or("a single quote is not closed on its line")?;
        return only_comment(after).map(|()| inner.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        return double_quoted(rest);
    }
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    Ok(value[..end].trim_end().to_owned())
}

fn double_quoted(rest: &str) -> Result<String, &'static str> {
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return only_comment(&rest[at + 1..]).map(|()| value),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(other @ ('"' | '\\' | '$')) => value.push(other),
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            _ => value.push(c),
        }
    }
    Err("a double quote is not closed on its line")
}

fn only_comment(after: &str) -> Result<(), &'static str> {
    let after = after.trim();
    if after.is_empty() || after.starts_with('#') { Ok(()) } else { Err("text after the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let text = b"# comment\nA=1\nexport B = two words # note\nC='x # y'\nD=\"a\\nb\" # c\nE=\nF=a#b\n\nA=2\n";
        let values = read(text).unwrap();
        let expected = [("A", "2"), ("B", "two words"), ("C", "x # y"), ("D", "a\nb"), ("E", ""), ("F", "a#b")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(values, BTreeMap::from(expected));
    }

    #[test]
    fn every_wrong_line_is_named_without_its_value() {
        let problems = read(b"A\n1B=secret\nC='secret\nD=ok\n").unwrap_err();
        assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(problems.iter().all(|p| !p.message.contains("secret")));
    }
}
