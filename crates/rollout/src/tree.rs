//! YAML as a tree in which every node knows its place. This is the only code that parses YAML.
//!
//! Scalars keep their text, so `version: 1.10` stays "1.10". Aliases are expanded under a budget, merge keys (`<<`) are
//! followed, and a syntax error ends its document only.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as Mark, StrInput, StructureStyle, Tag};

/// Bytes of the source.
pub(crate) type Span = Range<usize>;

/// Largest file that is read.
pub(crate) const LARGEST_FILE: usize = 1024 * 1024;
/// Most nodes that one document may have after its aliases were expanded.
const MOST_NODES: usize = 50_000;
/// Deepest nesting.
const DEEPEST: usize = 48;

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, duplicates included.
    Map(Vec<Entry>),
    /// A scalar whose variable is not known yet.
    Unknown,
}

/// A scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    /// Its text after escapes and, later, after interpolation.
    pub(crate) text: String,
    /// The text before interpolation, where that changed it.
    pub(crate) written: Option<String>,
    /// Neither quoted nor a block: it may be a number or a flag.
    pub(crate) plain: bool,
}

impl Scalar {
    /// The text that may be shown: never what a variable held.
    pub(crate) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    /// The entry of a mapping; the first one if there are several.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|e| e.key == key).map(|e| &e.node)
    }

    /// The items of a list, or the node itself as the only one.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar(_) | Value::Map(_) | Value::Unknown => std::slice::from_ref(self),
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Unknown => None,
        }
    }

    fn count(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) | Value::Unknown => 1,
            Value::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|e| 1 + e.node.count()).sum::<usize>(),
        }
    }
}

/// Something that makes a document unusable.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flaw {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// One document of a file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Where it begins.
    pub(crate) start: usize,
    /// Its tree; `None` when it could not be read.
    pub(crate) root: Option<Node>,
    /// Syntax errors, duplicate keys and the like.
    pub(crate) flaws: Vec<Flaw>,
}

/// All documents of a text; empty ones are left out.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    let mut reader = Reader::new(text);
    let mut found = Vec::new();
    while let Some(document) = reader.document() {
        found.push(document);
    }
    found.retain(|d| !d.flaws.is_empty() || d.root.as_ref().is_some_and(|r| r.value != Value::Null));
    found
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    flaws: Vec<Flaw>,
}

/// The rest of the document cannot be read.
struct Stop;

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = DEEPEST;
        options.block_nesting_limit = DEEPEST;
        let parser = Parser::new_from_str_with_options(text, options);
        Self { text, parser, anchors: HashMap::new(), nodes: 0, flaws: Vec::new() }
    }

    fn document(&mut self) -> Option<Document> {
        self.anchors.clear();
        self.nodes = 0;
        let start = loop {
            match self.parser.next_event()? {
                Ok((Event::DocumentStart(..), mark)) => break bytes(&mark).start,
                Ok((Event::StreamEnd, _)) => return None,
                Ok(_) => {}
                Err(error) => {
                    let start = error.marker().byte_offset().unwrap_or(0);
                    self.fail(&error);
                    self.parser.proceed_next_document().ok();
                    return Some(self.finish(start, None));
                }
            }
        };
        let root = self.root();
        if root.is_none() {
            self.parser.proceed_next_document().ok();
        }
        Some(self.finish(start, root))
    }

    fn finish(&mut self, start: usize, root: Option<Node>) -> Document {
        Document { start, root, flaws: std::mem::take(&mut self.flaws) }
    }

    fn root(&mut self) -> Option<Node> {
        let (event, mark) = self.next().ok()?;
        let node = self.node(event, &mark).ok()?;
        match self.next().ok()? {
            (Event::DocumentEnd, _) => Some(node),
            (_, mark) => {
                self.flaw(bytes(&mark), "unexpected content after the end of the document", None);
                None
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Mark), Stop> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                self.fail(&error);
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn node(&mut self, event: Event<'t>, mark: &Mark) -> Result<Node, Stop> {
        self.nodes += 1;
        let span = bytes(mark);
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text.into_owned(), style, tag.as_deref(), span), anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", &span);
                (self.list(style, span)?, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", &span);
                (self.map(style, span)?, anchor)
            }
            Event::Alias(id) => (self.alias(id, &span)?, 0),
            _ => {
                self.flaw(span, "a value was expected here", None);
                return Err(Stop);
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let as_text = tag.and_then(Tag::core_suffix) == Some("str");
        let plain = style == ScalarStyle::Plain && !as_text;
        if let Some(tag) = tag.filter(|t| t.core_suffix().is_none()) {
            self.flaw(span.clone(), &format!("the tag {} is not supported", tag.original()), None);
        }
        let empty = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let value = if plain && empty { Value::Null } else { Value::Scalar(Scalar { text, written: None, plain }) };
        Node { span, value }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, span: &Span) {
        if let Some(tag) = tag.filter(|t| t.core_suffix() != Some(expected)) {
            self.flaw(span.clone(), &format!("the tag {} is not supported here", tag.original()), None);
        }
    }

    fn list(&mut self, style: StructureStyle, start: Span) -> Result<Node, Stop> {
        let mut items = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, mark) => break bytes(&mark),
                (event, mark) => items.push(self.node(event, &mark)?),
            }
        };
        let last = items.last().map(|n| n.span.end);
        Ok(Node { span: extent(style, &start, &end, last), value: Value::List(items) })
    }

    fn map(&mut self, style: StructureStyle, start: Span) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let end = loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break bytes(&mark);
            }
            let key = self.node(event, &mark)?;
            let (event, mark) = self.next()?;
            let node = self.node(event, &mark)?;
            match key.value {
                Value::Scalar(Scalar { text, plain: true, .. }) if text == "<<" => merged.push(node),
                Value::Scalar(Scalar { text, .. }) => entries.push(Entry { key: text, key_span: key.span, node }),
                Value::Null | Value::List(_) | Value::Map(_) | Value::Unknown => {
                    self.flaw(key.span, "the name of a field must be a text", None);
                }
            }
        };
        self.refuse_duplicates(&entries);
        let last = entries.last().map(|e| e.node.span.end.max(e.key_span.end));
        for node in merged {
            self.merge(&mut entries, node);
        }
        Ok(Node { span: extent(style, &start, &end, last), value: Value::Map(entries) })
    }

    fn refuse_duplicates(&mut self, entries: &[Entry]) {
        let mut first: HashMap<&str, &Span> = HashMap::new();
        for entry in entries {
            if let Some(earlier) = first.get(entry.key.as_str()) {
                let line = self.text[..earlier.start].matches('\n').count() + 1;
                let message = format!("{} is written twice", entry.key);
                let hint = format!("the first one is on line {line}; keep one of the two");
                self.flaw(entry.key_span.clone(), &message, Some(hint));
            } else {
                first.insert(&entry.key, &entry.key_span);
            }
        }
    }

    /// `<<: *base` and `<<: [*a, *b]`: what is written beside it wins, then the first of the list.
    fn merge(&mut self, entries: &mut Vec<Entry>, node: Node) {
        match node.value {
            Value::Map(more) => {
                for entry in more {
                    if !entries.iter().any(|e| e.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Value::List(items) if items.iter().all(|i| matches!(i.value, Value::Map(_))) => {
                for item in items {
                    self.merge(entries, item);
                }
            }
            Value::Null | Value::Scalar(_) | Value::List(_) | Value::Unknown => {
                self.flaw(node.span, "<< takes a mapping or a list of mappings", None);
            }
        }
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&id) else {
            self.flaw(span.clone(), "an alias inside of what it stands for", None);
            return Err(Stop);
        };
        self.nodes += node.count();
        if self.nodes > MOST_NODES {
            let hint = format!("aliases of aliases multiply; at most {MOST_NODES} values a document are read");
            self.flaw(span.clone(), "the document is too large once its aliases are expanded", Some(hint));
            return Err(Stop);
        }
        Ok(node.clone())
    }

    fn fail(&mut self, error: &ScanError) {
        let start = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let line = line_around(self.text, start);
        let hint = if self.text[line].contains("${") {
            Some("inside { } and [ ] a text with ${…} must be quoted: \"…:${version}\"".to_owned())
        } else {
            None
        };
        self.flaw(start..start, &format!("not valid YAML: {}", error.info()), hint);
    }

    fn flaw(&mut self, span: Span, message: &str, hint: Option<String>) {
        self.flaws.push(Flaw { span, message: message.to_owned(), hint });
    }
}

fn bytes(mark: &Mark) -> Span {
    mark.byte_range().unwrap_or(0..0)
}

fn extent(style: StructureStyle, start: &Span, end: &Span, last: Option<usize>) -> Span {
    match style {
        StructureStyle::Flow => start.start..end.end.max(start.end),
        StructureStyle::Block => start.start..last.unwrap_or(start.end).max(start.start),
    }
}

/// The line that holds a byte, without its end.
pub(crate) fn line_around(text: &str, byte: usize) -> Span {
    let start = text[..byte].rfind('\n').map_or(0, |n| n + 1);
    let end = text[byte..].find('\n').map_or(text.len(), |n| byte + n);
    start..end
}
