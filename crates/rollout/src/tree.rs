//! YAML as a tree in which every node knows its place. This is the only code that parses YAML.
//!
//! Scalars keep their text, so `version: 1.10` stays "1.10". Aliases are expanded under a budget, merge keys (`<<`) are
//! followed, and a syntax error ends its document only.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as Mark, StrInput, StructureStyle, Tag};

use crate::node::Size;
pub(crate) use crate::node::{Entry, Node, Scalar, Span, Value};
use crate::{private, syntax};

/// Largest file that is read.
pub(crate) const LARGEST_FILE: usize = 1024 * 1024;
/// Most nodes that one document may have after its aliases were expanded.
const MOST_NODES: usize = 50_000;
/// Most bytes of text in one document, after its aliases were expanded and after its variables were filled in.
pub(crate) const MOST_TEXT: usize = 4 * 1024 * 1024;
/// Longest text of one value: Linux passes a program no longer argument and no longer variable.
pub(crate) const LONGEST_TEXT: usize = 128 * 1024;
/// What some editors put before the first line.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// What is said of a tag.
const NO_TAGS: &str = "drop it; quotes make a text of anything";
/// Deepest nesting.
const DEEPEST: usize = 48;

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
    /// What stands where nothing can, and is not in the tree: shown nowhere.
    pub(crate) stray: Vec<Span>,
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
    size: Size,
    /// Brackets that are not closed yet.
    open: Vec<Span>,
    stray: Vec<Span>,
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
        Self {
            text,
            parser,
            anchors: HashMap::new(),
            size: Size::default(),
            open: Vec::new(),
            stray: Vec::new(),
            flaws: Vec::new(),
        }
    }

    fn document(&mut self) -> Option<Document> {
        self.anchors.clear();
        self.size = Size::default();
        self.open.clear();
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
        let (flaws, stray) = (std::mem::take(&mut self.flaws), std::mem::take(&mut self.stray));
        Document { start, root, flaws, stray }
    }

    fn root(&mut self) -> Option<Node> {
        let (event, mark) = self.next().ok()?;
        let node = self.node(event, &mark).ok()?;
        match self.next().ok()? {
            (Event::DocumentEnd, _) => Some(node),
            (_, mark) => {
                let hint = "a new document begins with a line ---".to_owned();
                self.flaw(bytes(&mark), "unexpected content after the end of the document", Some(hint));
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
        let span = bytes(mark);
        if !matches!(event, Event::Alias(_)) {
            let bytes = if let Event::Scalar(text, ..) = &event { text.len() } else { 0 };
            self.grow(Size { nodes: 1, bytes }, &span)?;
        }
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
                self.flaw(span, "a value was expected here", Some("write NAME: VALUE".to_owned()));
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
            self.flaw(span.clone(), &format!("the tag {} is not supported", tag.original()), Some(NO_TAGS.to_owned()));
        }
        if text.len() > LONGEST_TEXT {
            let message = format!("this text has {} KiB, more than the {}", text.len() / 1024, LONGEST_TEXT / 1024);
            let hint = "that a program can be given; put it into a file and name that under configs or secrets";
            self.flaw(span.clone(), &message, Some(hint.to_owned()));
        }
        let empty = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let scalar = Scalar { text, written: None, plain, private: false };
        let value = if plain && empty { Value::Null } else { Value::Scalar(scalar) };
        Node { span, value }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, span: &Span) {
        if let Some(tag) = tag.filter(|t| t.core_suffix() != Some(expected)) {
            self.flaw(
                span.clone(),
                &format!("the tag {} is not supported here", tag.original()),
                Some(NO_TAGS.to_owned()),
            );
        }
    }

    fn list(&mut self, style: StructureStyle, start: Span) -> Result<Node, Stop> {
        let mut items = Vec::new();
        self.opened(style, &start);
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, mark) => break bytes(&mark),
                (event, mark) => items.push(self.node(event, &mark)?),
            }
        };
        self.closed(style);
        let last = items.last().map(|n| n.span.end);
        Ok(Node { span: extent(style, &start, &end, last), value: Value::List(items) })
    }

    fn map(&mut self, style: StructureStyle, start: Span) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        self.opened(style, &start);
        let end = loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break bytes(&mark);
            }
            let key = self.node(event, &mark)?;
            let (event, mark) = self.next()?;
            let mut node = self.node(event, &mark)?;
            if key.text().is_some_and(private::is_private) {
                node.make_private(self.text, true);
            }
            match key.value {
                Value::Scalar(Scalar { text, plain: true, .. }) if text == "<<" => merged.push(node),
                Value::Scalar(Scalar { text, .. }) => {
                    entries.push(Entry { key: text, key_span: key.span, node, private: false });
                }
                Value::Null | Value::List(_) | Value::Map(_) | Value::Unknown => {
                    for lost in [&key, &node] {
                        lost.each_scalar(&mut |span| self.stray.push(span.clone()));
                    }
                    let hint = "names of fields stand before a colon: NAME: VALUE".to_owned();
                    self.flaw(key.span, "the name of a field must be a text", Some(hint));
                }
            }
        };
        self.closed(style);
        self.refuse_duplicates(&entries);
        let last = entries.last().map(|e| e.node.span.end.max(e.key_span.end));
        if !merged.is_empty() {
            let mut known: HashSet<String> = entries.iter().map(|e| e.key.clone()).collect();
            for node in merged {
                self.merge(&mut entries, &mut known, node);
            }
        }
        Ok(Node { span: extent(style, &start, &end, last), value: Value::Map(entries) })
    }

    fn opened(&mut self, style: StructureStyle, start: &Span) {
        match style {
            StructureStyle::Flow => self.open.push(start.clone()),
            StructureStyle::Block => {}
        }
    }

    fn closed(&mut self, style: StructureStyle) {
        match style {
            StructureStyle::Flow => drop(self.open.pop()),
            StructureStyle::Block => {}
        }
    }

    fn refuse_duplicates(&mut self, entries: &[Entry]) {
        let mut first: HashMap<&str, &Span> = HashMap::new();
        for entry in entries {
            if let Some(earlier) = first.get(entry.key.as_str()) {
                let line = self.text[..earlier.start].matches('\n').count() + 1;
                let key = if entry.key.contains('=') { "a name" } else { &entry.key };
                let message = format!("{key} is written twice");
                let hint = format!("the first one is on line {line}; keep one of the two");
                self.flaw(entry.key_span.clone(), &message, Some(hint));
            } else {
                first.insert(&entry.key, &entry.key_span);
            }
        }
    }

    /// `<<: *base` and `<<: [*a, *b]`: what is written beside it wins, then the first of the list.
    fn merge(&mut self, entries: &mut Vec<Entry>, known: &mut HashSet<String>, node: Node) {
        match node.value {
            Value::Map(more) => entries.extend(more.into_iter().filter(|entry| known.insert(entry.key.clone()))),
            Value::List(items) if items.iter().all(|i| matches!(i.value, Value::Map(_))) => {
                for item in items {
                    self.merge(entries, known, item);
                }
            }
            Value::Null | Value::Scalar(_) | Value::List(_) | Value::Unknown => {
                node.each_scalar(&mut |span| self.stray.push(span.clone()));
                let hint = "such as <<: *name, where &name stands before a mapping".to_owned();
                self.flaw(node.span, "<< takes a mapping or a list of mappings", Some(hint));
            }
        }
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&id) else {
            let hint = "it would never end; write the value out".to_owned();
            self.flaw(span.clone(), "an alias inside of what it stands for", Some(hint));
            return Err(Stop);
        };
        let (node, size) = (node.clone(), node.size());
        self.grow(size, span)?;
        Ok(node)
    }

    fn grow(&mut self, more: Size, span: &Span) -> Result<(), Stop> {
        self.size = self.size.plus(more);
        if self.size.nodes <= MOST_NODES && self.size.bytes <= MOST_TEXT {
            return Ok(());
        }
        let most = MOST_TEXT / (1024 * 1024);
        let hint = format!("aliases of aliases multiply; at most {MOST_NODES} values and {most} MiB of text are read");
        self.flaw(span.clone(), "the document is too large once its aliases are expanded", Some(hint));
        Err(Stop)
    }

    fn fail(&mut self, error: &ScanError) {
        let start = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let line = |at: usize| 1 + self.text[..at].matches('\n').count();
        if let Some(open) = self.open.last().filter(|open| line(open.start) < line(start)) {
            let hint = format!("close it before line {}", line(start));
            let span = open.clone();
            self.flaw(span, "this bracket is not closed", Some(hint));
            return;
        }
        let start = if syntax::is_tab(error.kind()) { syntax::tab_from(self.text, start) } else { start };
        let (message, hint) = syntax::words(error.kind(), &self.text[line_around(self.text, start)]);
        self.flaw(start..start, &message, Some(hint));
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

/// The line that holds a byte, without its end and without a byte order mark.
pub(crate) fn line_around(text: &str, byte: usize) -> Span {
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let byte = byte.max(mark);
    let start = text[..byte].rfind('\n').map_or(mark, |n| n + 1);
    let end = text[byte..].find('\n').map_or(text.len(), |n| byte + n);
    start..end
}
