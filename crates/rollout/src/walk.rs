//! One walk over the tree of a document: where it is, and the problems it has collected.

use crate::diagnostic::{Diagnostic, Severity, Snippet};
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

    /// What is written, for a message; never what a variable held.
    pub(crate) fn shown(&self) -> String {
        match &self.node.value {
            Value::Scalar(scalar) => shortened(scalar.shown()),
            Value::Null => "nothing".to_owned(),
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
    problems: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a SourceText) -> Self {
        Self { source, hidden: Vec::new(), rollout: None, problems: Vec::new() }
    }

    /// What is written there is masked in every snippet from now on.
    pub(crate) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
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

    fn report(&mut self, severity: Severity, span: Span, path: &str, message: String) -> &mut Diagnostic {
        let (line, column, snippet) = place(&self.source.text, span, &self.hidden);
        let mut diagnostic = Diagnostic::of_file(severity, &self.source.name, message);
        diagnostic.line = line;
        diagnostic.column = column;
        diagnostic.rollout.clone_from(&self.rollout);
        path.clone_into(&mut diagnostic.path);
        diagnostic.snippet = Some(snippet);
        let last = self.problems.len();
        self.problems.push(diagnostic);
        &mut self.problems[last]
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
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Everything that was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        for problem in &mut self.problems {
            problem.rollout.clone_from(&self.rollout);
        }
        self.problems.sort_by_key(|p| (p.line, p.column));
        self.problems.dedup();
        self.problems
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
    let end = floor(text, span.end).clamp(start, line.end);
    let column = text[line.start..start].chars().count();
    let (shown, start, end) = masked(text, &line, start..end, hidden);
    let before = shown[..start].chars().count();
    let length = shown[start..end].chars().count().max(1);
    (line_of(text, line.start), column + 1, Snippet { text: shown.trim_end().to_owned(), start: before, length })
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
        let shift = |byte: usize, edge: usize, now: usize| {
            if byte <= part.start {
                now
            } else if byte >= part.end {
                edge + (byte - part.end)
            } else {
                begin
            }
        };
        marked = (shift(mark.start, shown.len(), marked.0), shift(mark.end, shown.len(), marked.1));
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

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= 60 && line.len() == text.len() {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(59).collect::<String>())
}
