//! One walk over the tree of a document: where it is, and the problems it has collected.

use crate::diagnostic::{Diagnostic, Severity, Snippet, harmless};
use crate::draft::SourceText;
use crate::ids::RolloutName;
use crate::tree::{Node, Span, Value, line_around};

/// A node, the path to it, and the place to point at when it is not a scalar.
#[derive(Debug, Clone)]
pub(crate) struct At<'t> {
    pub(crate) node: &'t Node,
    pub(crate) path: String,
    key: Span,
}

impl<'t> At<'t> {
    /// Where the name of the field is.
    pub(crate) fn key_span(&self) -> Span {
        self.key.clone()
    }

    /// The root of a document.
    pub(crate) fn root(node: &'t Node) -> Self {
        Self { node, path: String::new(), key: node.span.start..node.span.start }
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str, key: &Span, node: &'t Node) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { node, path, key: key.clone() }
    }

    /// Each item of a list, or the node itself as the only one.
    pub(crate) fn items(&self) -> Vec<Self> {
        match &self.node.value {
            Value::List(items) => items.iter().enumerate().map(|(n, node)| self.item(n, node)).collect(),
            Value::Null | Value::Scalar(_) | Value::Map(_) | Value::Unknown => vec![self.clone()],
        }
    }

    fn item(&self, n: usize, node: &'t Node) -> Self {
        Self { node, path: format!("{}[{n}]", self.path), key: node.span.clone() }
    }

    /// Where to point: the scalar itself, else the name of the field.
    pub(crate) fn spot(&self) -> Span {
        match &self.node.value {
            Value::Scalar(_) | Value::Unknown => self.node.span.clone(),
            Value::Null | Value::List(_) | Value::Map(_) => self.key.clone(),
        }
    }

    /// The last part of the path: `weight` of `spec.stages[2].weight`, `stages[2]` of `spec.stages[2]`.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('.').next().filter(|n| !n.is_empty()).unwrap_or("the document")
    }

    /// Whether a number or a flag may be read from it: not quoted, or from a variable.
    pub(crate) fn may_be_number(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.plain || scalar.written.is_some())
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        self.node.text()
    }

    /// What is written of a scalar, whole and even where it is private: for a name that stands in it.
    pub(crate) fn written(&self) -> &str {
        match &self.node.value {
            Value::Scalar(scalar) => scalar.written(),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Unknown => "",
        }
    }

    /// Whether a variable gave the text, or it is private: nothing may be said about what it is.
    pub(crate) fn is_computed(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.written.is_some() || scalar.private)
    }

    /// What is written, for a message; never what a variable held.
    pub(crate) fn shown(&self) -> String {
        match &self.node.value {
            Value::Scalar(scalar) => shortened(scalar.shown()),
            Value::Null => "nothing".to_owned(),
            Value::List(items) if items.is_empty() => "an empty list".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Unknown => "a variable".to_owned(),
        }
    }
}

/// The problems of one document.
pub(crate) struct Walk<'a> {
    source: &'a SourceText,
    hidden: Vec<Span>,
    pub(crate) rollout: Option<RolloutName>,
    /// Their snippets are made last, when everything that must not be shown is known.
    problems: Vec<(Diagnostic, Span)>,
    /// How many were not kept, and the last of them.
    more: usize,
    last: Diagnostic,
}

/// Most problems of one document that are told; a document with more is not a manifest that somebody mistyped.
const MOST_PROBLEMS: usize = 100;

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a SourceText) -> Self {
        let last = Diagnostic::of_file(Severity::Error, &source.name, "");
        Self { source, hidden: Vec::new(), rollout: None, problems: Vec::new(), more: 0, last }
    }

    /// What is written there is masked in every snippet from now on.
    pub(crate) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// Masks every scalar below a node.
    pub(crate) fn hide_all(&mut self, node: &Node) {
        node.each_scalar(&mut |span| self.hidden.push(span.clone()));
    }

    /// Masks every private value of a tree: all of it, or what follows the equals sign of a KEY=VALUE.
    pub(crate) fn hide_private(&mut self, root: &Node) {
        let text = &self.source.text;
        let hidden = &mut self.hidden;
        root.each_private(&mut |span| {
            let written = text.get(span.clone()).unwrap_or("");
            let name = written.find('=').filter(|at| is_name(&written[..*at]));
            hidden.push(name.map_or(span.start, |at| span.start + at + 1)..span.end);
        });
    }

    /// An error at the value of a field.
    pub(crate) fn error(&mut self, at: &At, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Error, at.spot(), &at.path, message.into())
    }

    /// A warning at the value of a field.
    pub(crate) fn warn(&mut self, at: &At, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Warning, at.spot(), &at.path, message.into())
    }

    /// An error at the name of a field.
    pub(crate) fn error_at_key(&mut self, at: &At, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Error, at.key.clone(), &at.path, message.into())
    }

    /// An error anywhere.
    pub(crate) fn error_in(&mut self, span: Span, path: &str, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Error, span, path, message.into())
    }

    /// A warning anywhere.
    pub(crate) fn warn_in(&mut self, span: Span, path: &str, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Warning, span, path, message.into())
    }

    fn report(&mut self, severity: Severity, span: Span, path: &str, message: String) -> &mut Diagnostic {
        if self.problems.len() >= MOST_PROBLEMS {
            self.more += 1;
            return &mut self.last;
        }
        let mut diagnostic = Diagnostic::of_file(severity, &self.source.name, message);
        path.clone_into(&mut diagnostic.path);
        let last = self.problems.len();
        self.problems.push((diagnostic, span));
        &mut self.problems[last].0
    }

    /// The source text of a span.
    pub(crate) fn written(&self, span: &Span) -> &'a str {
        self.source.text.get(span.clone()).unwrap_or("")
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, span: &Span) -> usize {
        line_of(&self.source.text, span.start)
    }

    /// Whether the document cannot be used.
    pub(crate) fn has_errors(&self) -> bool {
        self.more > 0 || self.problems.iter().any(|(problem, _)| problem.is_error())
    }

    /// Everything that was found, in the order of the file.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let text = &self.source.text;
        let placed = |(problem, span): (Diagnostic, Span)| {
            let (line, column, snippet) = place(text, span, &self.hidden);
            Diagnostic { line, column, snippet: Some(snippet), rollout: self.rollout.clone(), ..problem }
        };
        let mut problems: Vec<_> = self.problems.into_iter().map(placed).collect();
        problems.sort_by_key(|p| (p.line, p.column));
        problems.dedup();
        if self.more > 0
            && let Some(last) = problems.last().cloned()
        {
            let message = format!("{} more problems", self.more);
            let mut rest = Diagnostic { message, hint: None, severity: Severity::Error, ..last };
            rest.label(format!("only the first {MOST_PROBLEMS} are shown"));
            problems.push(rest);
        }
        problems
    }
}

/// The line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, byte: usize) -> usize {
    text[..floor(text, byte)].matches('\n').count() + 1
}

/// Line and column of a span, and its first line with the masked parts left out.
pub(crate) fn place(text: &str, span: Span, hidden: &[Span]) -> (usize, usize, Snippet) {
    let start = floor(text, span.start);
    let line = line_around(text, start);
    let start = start.max(line.start);
    let end = floor(text, span.end).clamp(start, line.end);
    let column = text[line.start..start].chars().count();
    let (shown, start, end) = masked(text, &line, start..end, hidden);
    let before = shown[..start].chars().count();
    let length = shown[start..end].chars().count().max(1);
    let shown = harmless(shown.trim_end());
    let snippet = Snippet { start: before.min(shown.chars().count()), text: shown, length };
    (line_of(text, line.start), column + 1, clipped(snippet))
}

/// Of a long line, what is around the mark.
fn clipped(snippet: Snippet) -> Snippet {
    const WIDEST: usize = 120;
    let count = snippet.text.chars().count();
    if count <= WIDEST {
        return snippet;
    }
    let first = snippet.start.saturating_sub(WIDEST / 3).min(count - WIDEST);
    let mut text: Vec<char> = snippet.text.chars().skip(first).take(WIDEST).collect();
    if first > 0 {
        text[0] = '…';
    }
    if first + WIDEST < count {
        text[WIDEST - 1] = '…';
    }
    let start = snippet.start - first;
    let length = snippet.length.min(WIDEST.saturating_sub(start)).max(1);
    Snippet { text: text.into_iter().collect(), start, length }
}

/// Letters, digits and what else the name before an equals sign has, perhaps after a quote.
fn is_name(text: &str) -> bool {
    let text = text.trim_start_matches(['"', '\'']);
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// A line with `***` for each hidden part, and where the marked part is in it.
fn masked(text: &str, line: &Span, mark: Span, hidden: &[Span]) -> (String, usize, usize) {
    let mut parts: Vec<Span> =
        hidden.iter().map(|h| h.start.max(line.start)..h.end.min(line.end)).filter(|h| h.start < h.end).collect();
    parts.sort_by_key(|h| h.start);
    let mut shown = String::new();
    let mut at = line.start;
    let mut marked = (mark.start - line.start, mark.end - line.start);
    for part in parts {
        if part.start < at {
            continue;
        }
        shown.push_str(&text[at..part.start]);
        let begin = shown.len();
        shown.push_str("***");
        // A mark within a hidden part is one of the whole of it: what is there is shown to nobody.
        let shift = |byte: usize, now: usize, inside: usize| {
            if byte <= part.start {
                now
            } else if byte >= part.end {
                shown.len() + (byte - part.end)
            } else {
                inside
            }
        };
        marked = (shift(mark.start, marked.0, begin), shift(mark.end, marked.1, shown.len()));
        at = part.end;
    }
    shown.push_str(&text[at..line.end]);
    let end = marked.1.min(shown.len());
    (shown, marked.0.min(end), end)
}

fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// One line of at most 60 characters; quoted where its ends could not be seen.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let short = if line.chars().count() <= 60 && line.len() == text.len() {
        line.to_owned()
    } else {
        format!("{}…", line.chars().take(59).collect::<String>())
    };
    let has_edges = short.is_empty() || short.starts_with(char::is_whitespace) || short.ends_with(char::is_whitespace);
    if has_edges { format!("\"{short}\"") } else { short }
}
