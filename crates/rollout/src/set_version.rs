//! Editing the version line of a manifest in place: nothing else of the text changes.

use crate::decode::is_version;
use crate::ids::RolloutName;
use crate::tree::{self, Document, Node, Span, Value};
use crate::walk::line_of;

/// Why a version was not set. `Display` is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetVersionError {
    /// The text is no YAML.
    #[error("the file cannot be read as YAML: line {line}: {reason}")]
    NotYaml {
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// No document has that name.
    #[error("no rollout {name} in this file")]
    NoSuchRollout {
        /// What was looked for.
        name: RolloutName,
    },
    /// It cannot be edited without guessing.
    #[error("line {line}: {reason}")]
    NotEditable {
        /// Line, counted from 1.
        line: usize,
        /// Why, and what to edit instead.
        reason: String,
    },
    /// The new version is not a legal one.
    #[error("version {version:?} is not allowed: letters, digits and . _ + -, at most 128")]
    BadVersion {
        /// What was asked for.
        version: String,
    },
}

/// The text with the version of one rollout replaced: comments, quotes, anchors and other documents stay as they are.
///
/// # Errors
/// When it cannot be done safely; nothing is guessed.
pub fn set_version(text: &str, name: &RolloutName, version: &str) -> Result<String, SetVersionError> {
    if !is_version(version) {
        return Err(SetVersionError::BadVersion { version: version.to_owned() });
    }
    let documents = tree::documents(text);
    let mut found = documents.iter().filter_map(|d| d.root.as_ref()).filter(|root| named(root, name));
    let Some(root) = found.next() else {
        return Err(not_found(text, &documents, name));
    };
    if let Some(second) = found.next() {
        return Err(refuse(text, second.span.start, format!("{name} is in this file twice; rename one of the two")));
    }
    let span = version_span(text, root)?;
    let quote = text[span.clone()].chars().next().filter(|c| matches!(c, '"' | '\''));
    let needs_quotes = quote.is_none() && matches!(version, "null" | "Null" | "NULL" | "true" | "false");
    let quote = if needs_quotes { Some('"') } else { quote };
    let scalar = quote.map_or_else(|| version.to_owned(), |q| format!("{q}{version}{q}"));
    let edited = format!("{}{scalar}{}", &text[..span.start], &text[span.end..]);
    let proof = tree::documents(&edited);
    let now = proof.iter().filter_map(|d| d.root.as_ref()).find(|root| named(root, name)).and_then(version_of);
    if now.and_then(Node::text) == Some(version) && proof.len() == documents.len() {
        Ok(edited)
    } else {
        Err(refuse(text, span.start, "the version could not be replaced safely; edit it by hand".to_owned()))
    }
}

fn named(root: &Node, name: &RolloutName) -> bool {
    root.get("metadata").and_then(|m| m.get("name")).and_then(Node::text) == Some(name.as_str())
}

fn version_of(root: &Node) -> Option<&Node> {
    root.get("spec")?.get("version")
}

fn not_found(text: &str, documents: &[Document], name: &RolloutName) -> SetVersionError {
    let broken = documents.iter().filter(|d| d.root.is_none()).find_map(|d| d.flaws.first());
    match broken {
        Some(flaw) => SetVersionError::NotYaml { line: line_of(text, flaw.span.start), reason: flaw.message.clone() },
        None => SetVersionError::NoSuchRollout { name: name.clone() },
    }
}

fn refuse(text: &str, at: usize, reason: String) -> SetVersionError {
    SetVersionError::NotEditable { line: line_of(text, at), reason }
}

/// Where the version is written, quotes included.
fn version_span(text: &str, root: &Node) -> Result<Span, SetVersionError> {
    let node =
        version_of(root).ok_or_else(|| refuse(text, root.span.start, "spec.version is not written".to_owned()))?;
    let span = node.span.clone();
    let written = &text[span.clone()];
    let Value::Scalar(scalar) = &node.value else {
        return Err(refuse(text, span.start, "spec.version is not a text".to_owned()));
    };
    if scalar.text.contains("${") {
        let reason = format!("the version comes from a variable, {}: change that one", scalar.text);
        return Err(refuse(text, span.start, reason));
    }
    let key = text[..span.start].lines().next_back().unwrap_or("").trim_end();
    let in_place = key.contains("version") && !key.ends_with(['|', '>']);
    let unquoted = written.trim_matches(['"', '\'']);
    if !in_place || unquoted != scalar.text {
        let reason = "the version is an alias or spans several lines; edit it by hand".to_owned();
        return Err(refuse(text, span.start, reason));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, version: &str) -> Result<String, SetVersionError> {
        set_version(text, &"shop".parse().unwrap(), version)
    }

    #[test]
    fn only_the_version_changes() {
        for (before, after) in [("v1", "v2"), ("'v1'", "'v2'"), ("\"v1\"", "\"v2\""), ("&v v1", "&v v2")] {
            let text = |version: &str| {
                format!(
                    "# top\nmetadata: {{ name: shop }}\nspec:\n  version: {version}   # note\n  app: {{}}\n---\nmetadata: {{ name: b }}\nspec: {{ version: v1 }}\n"
                )
            };
            assert_eq!(set(&text(before), "v2"), Ok(text(after)), "{before}");
        }
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused() {
        for text in [
            "metadata: {name: shop}\nspec: {}\n",
            "metadata: {name: shop}\nspec:\n  version: \"${V}\"\n",
            "x: &a v1\nmetadata: {name: shop}\nspec:\n  version: *a\n",
            "metadata: {name: shop}\nspec:\n  version: |\n    v1\n",
        ] {
            assert!(matches!(set(text, "v2"), Err(SetVersionError::NotEditable { .. })), "{text}");
        }
        assert!(matches!(set("a: [\n", "v2"), Err(SetVersionError::NotYaml { .. })));
        assert!(matches!(set("a: 1\n", "v 2"), Err(SetVersionError::BadVersion { .. })));
    }
}
