//! What is said about text that is no YAML, in words that help.

use granit_parser::ErrorKind;

/// A message, and what can be done, for a syntax error on that line.
pub(crate) fn words(kind: &ErrorKind, line: &str) -> (String, String) {
    let (message, hint) = match kind {
        kind if is_tab(kind) => ("a tab cannot indent a line", "write spaces"),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => ("a quote is not closed", "close it where its text ends"),
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("text after a closing quote", "quote the whole value")
        }
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            ("a bracket is not closed, or a comma is missing", "close [ ] and { }, with a comma between the items")
        }
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("a bracket that closes nothing", "each ] needs its [ and each } its {")
        }
        ErrorKind::UnknownAnchor => {
            ("an alias of something that is not there", "name it first: &name beside the value")
        }
        ErrorKind::RecursionLimitExceeded => ("nested too deeply", "48 levels are the most"),
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace => {
            ("a colon where none can be", "quote a text that contains `: `, and indent fields of one object alike")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            ("the indentation fits nothing above", "fields of one object begin in the same column")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a field without its colon", "write NAME: VALUE")
        }
        ErrorKind::UnexpectedCharacter { .. } => ("a character that cannot begin a value", "quote the value"),
        ErrorKind::UnknownQuotedScalarEscape => {
            ("an escape that YAML does not know", "write \\\\ for a backslash, or use single quotes")
        }
        other => {
            return (
                format!("not valid YAML: {other}"),
                unquoted_variable(line).unwrap_or("quote the value where it is meant as text").to_owned(),
            );
        }
    };
    (message.to_owned(), unquoted_variable(line).unwrap_or(hint).to_owned())
}

/// Whether a tab is the problem.
pub(crate) fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart
    )
}

/// The first tab from there on; the parser points at what stands before it.
pub(crate) fn tab_from(text: &str, start: usize) -> usize {
    text[start..].find('\t').map_or(start, |n| start + n)
}

/// The most frequent mistake has its own hint.
fn unquoted_variable(line: &str) -> Option<&'static str> {
    let open = line.find("${")?;
    let before = &line[..open];
    let closed = |quote: char| before.matches(quote).count().is_multiple_of(2);
    let unquoted = closed('"') && closed('\'');
    (unquoted && before.contains(['{', '[']))
        .then_some("inside { } and [ ] a text with ${…} must be quoted: \"…:${version}\"")
}
