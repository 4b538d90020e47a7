//! The tree that YAML is read into: every node knows its place.

use std::ops::Range;

/// Bytes of the source.
pub(crate) type Span = Range<usize>;

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
    /// A value of an environment and the like (see [`crate::private`]): shown in no message and in no snippet.
    pub(crate) private: bool,
}

impl Scalar {
    /// The text that may be shown: never what a variable held, and nothing private.
    pub(crate) fn shown(&self) -> &str {
        if self.private { "***" } else { self.written() }
    }

    /// The text before interpolation.
    pub(crate) fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
    /// The key itself is shown nowhere: it stands where a value should.
    pub(crate) private: bool,
}

impl Entry {
    /// The key as messages and paths show it.
    pub(crate) fn shown(&self) -> &str {
        if self.private { "***" } else { &self.key }
    }
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

    /// Calls with the place of every scalar.
    pub(crate) fn each_scalar(&self, visit: &mut dyn FnMut(&Span)) {
        match &self.value {
            Value::Null => {}
            Value::Scalar(_) | Value::Unknown => visit(&self.span),
            Value::List(items) => items.iter().for_each(|item| item.each_scalar(visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.node.each_scalar(visit)),
        }
    }

    /// Calls with the place of everything private.
    pub(crate) fn each_private(&self, visit: &mut dyn FnMut(&Span)) {
        match &self.value {
            Value::Null | Value::Unknown => {}
            Value::Scalar(scalar) => {
                if scalar.private {
                    visit(&self.span);
                }
            }
            Value::List(items) => items.iter().for_each(|item| item.each_private(visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| {
                if entry.private {
                    visit(&entry.key_span);
                }
                entry.node.each_private(visit);
            }),
        }
    }

    /// Marks everything below; the names of the topmost mapping are no secret.
    pub(crate) fn make_private(&mut self, text: &str, topmost: bool) {
        match &mut self.value {
            Value::Null | Value::Unknown => {}
            Value::Scalar(scalar) => scalar.private = true,
            Value::List(items) => items.iter_mut().for_each(|item| item.make_private(text, false)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                let is_name = text[entry.key_span.end..].trim_start().starts_with(':');
                entry.private |= !topmost || !is_name;
                entry.node.make_private(text, false);
            }),
        }
    }

    pub(crate) fn size(&self) -> Size {
        match &self.value {
            Value::Null | Value::Unknown => Size { nodes: 1, bytes: 0 },
            Value::Scalar(scalar) => Size { nodes: 1, bytes: scalar.text.len() },
            Value::List(items) => items.iter().map(Node::size).fold(Size { nodes: 1, bytes: 0 }, Size::plus),
            Value::Map(entries) => {
                let of = |e: &Entry| e.node.size().plus(Size { nodes: 1, bytes: e.key.len() });
                entries.iter().map(of).fold(Size { nodes: 1, bytes: 0 }, Size::plus)
            }
        }
    }
}

/// How much a node holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) bytes: usize,
}

impl Size {
    pub(crate) fn plus(self, more: Self) -> Self {
        Self { nodes: self.nodes + more.nodes, bytes: self.bytes + more.bytes }
    }
}
