//! Env files, configs and secrets as the manifest names them, and texts that are split into words.

use super::mounts::Targets;
use crate::fields::Fields;
use crate::quantity;
use crate::shapes;
use crate::tree::Span;
use crate::walk::{At, Walk};

/// Files that one component names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wants {
    pub(crate) env_files: Vec<WantedFile>,
    pub(crate) files: Vec<(WantedFile, Mounted)>,
}

/// A file and where it is named.
#[derive(Debug, Clone)]
pub(crate) struct WantedFile {
    pub(crate) name: String,
    /// As messages show it.
    pub(crate) shown: String,
    pub(crate) span: Span,
    pub(crate) path: String,
}

/// How a config or a secret is mounted.
#[derive(Debug, Clone)]
pub(crate) struct Mounted {
    pub(crate) target: String,
    pub(crate) secret: bool,
    pub(crate) mode: u32,
}

/// What a component needs to be read.
pub(super) fn wants(walk: &mut Walk, f: &Fields, targets: &mut Targets) -> Wants {
    let env_files =
        f.read(walk, "envFiles", |walk, at| Some(at.items().iter().filter_map(|item| wanted(walk, item)).collect()));
    let mut files = Vec::new();
    for (name, secret) in [("secrets", true), ("configs", false)] {
        let some = f.read(walk, name, |walk, at| {
            walk.list(at, |walk, item| {
                let (file, mounted) = mounted(walk, item, secret)?;
                targets.take(walk, item, &mounted.target);
                Some((file, mounted))
            })
        });
        files.extend(some.unwrap_or_default());
    }
    Wants { env_files: env_files.unwrap_or_default(), files }
}

fn wanted(walk: &mut Walk, at: &At) -> Option<WantedFile> {
    let name = walk.text_that(at, "must be the path of a file", |t| !t.is_empty() && !t.contains(['\0', '\n']))?;
    Some(WantedFile { name, shown: at.shown(), span: at.spot(), path: at.path.clone() })
}

fn mounted(walk: &mut Walk, at: &At, secret: bool) -> Option<(WantedFile, Mounted)> {
    let f = Fields::open(walk, at, &shapes::FILE)?;
    let file = f.read(walk, "file", wanted);
    let target = f.read(walk, "target", super::container::inside);
    let mode = f.read(walk, "mode", |walk, at| walk.quantity(at, quantity::file_mode));
    let mode = mode.unwrap_or(if secret { 0o400 } else { 0o444 });
    Some((file?, Mounted { target: target?, secret, mode }))
}

/// Splits a text as a shell would, without expanding anything.
pub(super) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some('"') | None, '\\') => {
                let next = chars.next().ok_or("ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("has a quote that is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_as_a_shell_would() {
        let text = r#"sh -c "echo 'a b'" x\ y '' "q\"r""#;
        assert_eq!(words(text).unwrap(), ["sh", "-c", "echo 'a b'", "x y", "", "q\"r"]);
        assert!(words("'a").is_err() && words("a\\").is_err());
    }
}
