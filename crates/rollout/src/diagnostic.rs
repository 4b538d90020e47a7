//! One problem of a manifest: where it is, what is wrong, what to do.
//!
//! A diagnostic never carries a value that came from a variable, an env file or a secret.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::RolloutName;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The document is not used.
    Error,
    /// The document is used; somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The source line of a problem and the part of it that is marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snippet {
    /// The whole line, without its end; secret parts are masked.
    pub text: String,
    /// First marked character, counted from 0.
    pub start: usize,
    /// Marked characters; at least 1.
    pub length: usize,
}

/// One problem of a manifest or of a file that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Path of the file as shown to people.
    pub file: String,
    /// Line, counted from 1; 0 when the problem has no place in the file.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the problem has no place in the file.
    pub column: usize,
    /// The rollout that the document belongs to, where its name could be read.
    pub rollout: Option<RolloutName>,
    /// Path of the field: `spec.stages[2].weight`; empty when no field is meant.
    pub path: String,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What is said under the caret.
    pub label: Option<String>,
    /// What can be done.
    pub hint: Option<String>,
    /// The source line.
    pub snippet: Option<Snippet>,
}

impl Diagnostic {
    /// A problem of a file as a whole: no line.
    #[must_use]
    pub fn of_file(severity: Severity, file: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            file: file.to_owned(),
            line: 0,
            column: 0,
            rollout: None,
            path: String::new(),
            message: harmless(&message.into()),
            label: None,
            hint: None,
            snippet: None,
        }
    }

    /// Says more under the caret.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(harmless(&label.into()));
        self
    }

    /// Says what can be done.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        let hint = hint.into();
        self.hint = Some(hint.lines().map(harmless).collect::<Vec<_>>().join("\n"));
        self
    }

    /// Whether the document cannot be used because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:line:column`, or the file alone.
    #[must_use]
    pub fn place(&self) -> String {
        if self.line == 0 { self.file.clone() } else { format!("{}:{}:{}", self.file, self.line, self.column) }
    }

    /// One line for a table or a log: `shop.yaml:14:15 stage weights must rise: 25 after 50`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} {}", self.place(), self.message)
    }

    /// The problem as people read it, several lines without a trailing line end.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { on: colour };
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let mark = match self.severity {
            Severity::Error => paint.red(self.severity.as_str()),
            Severity::Warning => paint.yellow(self.severity.as_str()),
        };
        let mut lines = vec![format!("{mark}{}", paint.bold(&format!(": {}", self.message)))];
        lines.push(format!("{gutter}{} {}", paint.blue("-->"), self.place()));
        if let Some(snippet) = &self.snippet {
            let bar = paint.blue("|");
            let before: String = snippet.text.chars().take(snippet.start).map(blank).collect();
            let marked = snippet.text.chars().skip(snippet.start).take(snippet.length).map(columns).sum::<usize>();
            let carets = "^".repeat(marked.max(1));
            let label = self.label.as_deref().map(|l| format!(" {l}")).unwrap_or_default();
            lines.push(format!("{gutter} {bar}"));
            lines.push(format!("{} {bar} {}", paint.blue(&number), snippet.text).trim_end().to_owned());
            lines.push(format!("{gutter} {bar} {before}{}", paint.red(&format!("{carets}{label}"))));
        } else if let Some(label) = &self.label {
            lines.push(format!("{gutter} {} {label}", paint.blue("=")));
        }
        if let Some(hint) = &self.hint {
            let indented = hint.replace('\n', "\n       ");
            lines.push(format!(" {} {indented}", paint.bold("hint:")));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Text that a terminal shows and does not obey: signs for control characters and for those that turn the direction of writing.
/// One character stays one character.
pub(crate) fn harmless(text: &str) -> String {
    let sign = |c: char| match c {
        '\t' => '\t',
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(sign).collect()
}

/// As much space as a character takes.
fn blank(c: char) -> &'static str {
    match (c, columns(c)) {
        ('\t', _) => "\t",
        (_, 0) => "",
        (_, 2) => "  ",
        (_, _) => " ",
    }
}

/// Columns of a terminal that a character takes: two for those of East Asia and for pictures (Unicode Standard Annex 11, by
/// blocks), none for marks that combine.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1_f300..=0x1_faff
        | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

struct Paint {
    on: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    fn red(&self, text: &str) -> String {
        self.with("1;31", text)
    }
    fn yellow(&self, text: &str) -> String {
        self.with("1;33", text)
    }
    fn blue(&self, text: &str) -> String {
        self.with("1;34", text)
    }
    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }
}
