//! The fields of an object and the readers of their values. Each reader reports what is wrong and returns nothing then.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::foreign;
use crate::quantity::{self, BadQuantity};
use crate::shape::Shape;
use crate::suggest::nearest;
use crate::tree::{Entry, Value};
use crate::walk::{At, Walk, shortened};

/// The fields of one object; names were checked against its shape.
pub(crate) struct Fields<'t> {
    at: At<'t>,
    shape: &'static Shape,
}

impl<'t> Fields<'t> {
    /// Reads a mapping: unknown fields and missing required ones are reported.
    pub(crate) fn open(walk: &mut Walk, at: &At<'t>, shape: &'static Shape) -> Option<Self> {
        match &at.node.value {
            Value::Map(entries) => {
                for entry in entries.iter().filter(|e| shape.field(&e.key).is_none()) {
                    unknown(walk, at, shape, entry);
                }
                let fields = Self { at: at.clone(), shape };
                fields.require(walk);
                Some(fields)
            }
            Value::Unknown => None,
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let names: Vec<_> = shape.fields().map(|f| f.name).take(12).collect();
                let message = format!("{} must be a mapping, not {}", at.name(), at.shown());
                walk.error(at, message).label("must be a mapping").hint(format!("its fields: {}", names.join(", ")));
                None
            }
        }
    }

    fn require(&self, walk: &mut Walk) {
        for field in self.shape.fields().filter(|f| f.required && !self.has(f.name)) {
            let owner = if self.at.path.is_empty() { "the document" } else { &self.at.path };
            let message = format!("{owner} needs {}", field.name);
            let hint = if field.name == "health" {
                "one of\n  health: { http: /health }       a GET of that path answers 200 to 399\n  \
                 health: { exec: [command] }     a command inside exits 0\n  \
                 health: image                   the image's own HEALTHCHECK\n  \
                 health: none                    no proof at all"
                    .to_owned()
            } else {
                format!("add {}: {}", field.name, field.example)
            };
            walk.error_at_key(&self.at, message).label(format!("{} is missing", field.name)).hint(hint);
        }
    }

    /// Whether the field is written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.at.node.get(name).is_some()
    }

    /// Whether a field is written that this object does not have.
    pub(crate) fn has_unknown(&self) -> bool {
        let Value::Map(entries) = &self.at.node.value else { return false };
        entries.iter().any(|e| self.shape.field(&e.key).is_none())
    }

    /// The value of a field, where one is written. Nothing after the colon is an error.
    pub(crate) fn take(&self, walk: &mut Walk, name: &str) -> Option<At<'t>> {
        debug_assert!(self.shape.field(name).is_some(), "{name} is not in the table of {}", self.shape.name);
        let Value::Map(entries) = &self.at.node.value else { return None };
        let entry = entries.iter().find(|e| e.key == name)?;
        let at = self.at.field(name, &entry.key_span, &entry.node);
        if entry.node.value == Value::Null {
            let field = self.shape.field(name)?;
            let or = if field.required { "" } else { ", or drop it" };
            let example = field.example;
            walk.error_at_key(&at, format!("{name} has no value"))
                .label("nothing follows the colon")
                .hint(format!("write {name}: {example}{or}"));
            return None;
        }
        Some(at)
    }

    /// The value of a field, read.
    pub(crate) fn read<'w, T>(
        &self,
        walk: &mut Walk<'w>,
        name: &str,
        read: impl FnOnce(&mut Walk<'w>, &At<'t>) -> Option<T>,
    ) -> Option<T> {
        let at = self.take(walk, name)?;
        read(walk, &at)
    }

    /// The object itself.
    pub(crate) fn at(&self) -> &At<'t> {
        &self.at
    }
}

fn unknown(walk: &mut Walk, at: &At, shape: &'static Shape, entry: &Entry) {
    let key = &entry.key;
    let place = at.field(entry.shown(), &entry.key_span, &entry.node);
    let owner = if at.path.is_empty() { "the document".to_owned() } else { at.path.clone() };
    let names = || shape.fields().map(|f| f.name);
    let (advice, near) = (foreign::advice(shape, key), nearest(key, names()));
    if advice.is_none() && near.is_none() && !entry.node.text().is_some_and(quantity::is_one) {
        // Nobody knows what it is, so nobody knows that it may be shown. A quantity is no secret.
        walk.hide_all(&entry.node);
    }
    let diagnostic = walk.error_at_key(&place, format!("unknown field {} in {owner}", shortened(entry.shown())));
    if let Some(advice) = advice {
        diagnostic.label(advice.label).hint(advice.hint);
    } else if let Some(name) = near {
        diagnostic.label(format!("did you mean {name}?"));
    } else if names().count() <= 16 {
        diagnostic
            .label("no field of this name")
            .hint(format!("known here: {}", names().collect::<Vec<_>>().join(", ")));
    } else {
        diagnostic.label("no field of this name").hint("`canaryd schema` lists all fields");
    }
}

impl Walk<'_> {
    /// Any scalar, as written.
    pub(crate) fn text(&mut self, at: &At) -> Option<String> {
        match &at.node.value {
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            Value::Unknown => None,
            Value::Null | Value::List(_) | Value::Map(_) => {
                let message = format!("{} must be a text, not {}", at.name(), at.shown());
                let nothing = at.node.value == Value::Null;
                self.error(at, message).label(if nothing { "\"\" is the empty text" } else { "must be a text" });
                None
            }
        }
    }

    /// A text that passes a rule; the rule says what is allowed.
    pub(crate) fn text_that(&mut self, at: &At, allowed: &str, rule: impl FnOnce(&str) -> bool) -> Option<String> {
        let text = self.scalar(at, allowed)?;
        if rule(&text) {
            return Some(text);
        }
        let message = format!("{} {} is not allowed", at.name(), at.shown());
        self.error(at, message).label(must_be(allowed));
        None
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, at: &At) -> Option<bool> {
        let text = self.typed(at, "true or false")?;
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" if text == "true" => return Some(true),
            "false" if text == "false" => return Some(false),
            "true" | "yes" | "on" | "y" | "1" => Some("write true"),
            "false" | "no" | "off" | "n" | "0" => Some("write false"),
            _ => None,
        };
        let diagnostic = self.wrong(at, "true or false");
        if let Some(meant) = meant.filter(|_| !at.is_computed()) {
            diagnostic.hint(meant);
        }
        None
    }

    /// A whole number within a range.
    pub(crate) fn whole(&mut self, at: &At, least: i64, most: i64) -> Option<i64> {
        let range = if most == i64::MAX {
            format!("a whole number, at least {least}")
        } else {
            format!("a whole number from {least} to {most}")
        };
        let text = self.typed(at, &range)?;
        let digits = text.strip_prefix('-').unwrap_or(&text).bytes().all(|b| b.is_ascii_digit());
        match text.parse::<i64>() {
            Ok(value) if digits && (least..=most).contains(&value) => Some(value),
            Ok(_) | Err(_) => {
                self.wrong(at, &range);
                None
            }
        }
    }

    /// A TCP port.
    pub(crate) fn port(&mut self, at: &At) -> Option<u16> {
        self.whole(at, 1, 65_535).and_then(|p| u16::try_from(p).ok())
    }

    /// A number of containers.
    pub(crate) fn count(&mut self, at: &At, least: i64, most: i64) -> Option<u32> {
        self.whole(at, least, most).and_then(|n| u32::try_from(n).ok())
    }

    /// A decimal number.
    pub(crate) fn number(&mut self, at: &At, expected: &str, rule: impl FnOnce(f64) -> bool) -> Option<f64> {
        let text = self.typed(at, expected)?;
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && rule(value) => Some(value),
            Ok(_) | Err(_) => {
                self.wrong(at, expected);
                None
            }
        }
    }

    /// `15m`.
    pub(crate) fn duration(&mut self, at: &At) -> Option<Duration> {
        self.quantity(at, quantity::duration)
    }

    /// `15m`, more than nothing.
    pub(crate) fn some_time(&mut self, at: &At) -> Option<Duration> {
        let value = self.duration(at)?;
        if value.is_zero() {
            let message = format!("{} must be more than 0s", at.name());
            self.error(at, message).label("must be a duration above 0s such as 15m");
            return None;
        }
        Some(value)
    }

    /// `512m`.
    pub(crate) fn size(&mut self, at: &At) -> Option<u64> {
        self.quantity(at, quantity::size)
    }

    /// `0.5%` within bounds, as a share of 1.
    pub(crate) fn percent(&mut self, at: &At, allowed: &str, rule: impl FnOnce(f64) -> bool) -> Option<f64> {
        let share = self.quantity(at, quantity::percent)?;
        if rule(share) {
            return Some(share);
        }
        self.wrong(at, allowed);
        None
    }

    /// Whatever has a unit.
    pub(crate) fn quantity<T>(&mut self, at: &At, read: impl Fn(&str) -> Result<T, BadQuantity>) -> Option<T> {
        let expected = read("").err().map_or("a text", |bad| bad.expected);
        let text = self.scalar(at, expected)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(bad) => {
                let diagnostic = self.wrong(at, bad.expected);
                if !at.is_computed() {
                    diagnostic.hint(bad.hint);
                }
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&mut self, at: &At, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let expected = alternatives(&names);
        let text = self.scalar(at, &expected)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let near = nearest(&text, names.iter().copied()).map(|n| format!("did you mean {n}?"));
        let diagnostic = self.wrong(at, &expected);
        if let Some(near) = near.filter(|_| !at.is_computed()) {
            diagnostic.hint(near);
        }
        None
    }

    /// Each item of a list, read.
    pub(crate) fn list<'t, T>(
        &mut self,
        at: &At<'t>,
        mut read: impl FnMut(&mut Self, &At<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &at.node.value {
            Value::List(_) => Some(at.items().iter().filter_map(|item| read(self, item)).collect()),
            Value::Unknown => None,
            Value::Null | Value::Scalar(_) | Value::Map(_) => {
                let message = format!("{} must be a list, not {}", at.name(), at.shown());
                let diagnostic = self.error(at, message).label("must be a list");
                if matches!(at.node.value, Value::Scalar(_)) {
                    diagnostic.hint(format!("write {}: [{}]", at.name(), at.shown()));
                }
                None
            }
        }
    }

    /// Texts of a list.
    pub(crate) fn texts(&mut self, at: &At) -> Option<Vec<String>> {
        self.list(at, |walk, item| walk.text(item))
    }

    /// One text or several.
    pub(crate) fn one_or_more(&mut self, at: &At) -> Vec<String> {
        at.items().iter().filter_map(|item| self.text(item)).collect()
    }

    /// A mapping of texts.
    pub(crate) fn map_of_texts(&mut self, at: &At) -> Option<BTreeMap<String, String>> {
        let entries = self.entries(at)?;
        Some(entries.iter().filter_map(|(key, item)| Some((key.clone(), self.text(item)?))).collect())
    }

    /// Names and places of a mapping.
    pub(crate) fn entries<'t>(&mut self, at: &At<'t>) -> Option<Vec<(String, At<'t>)>> {
        match &at.node.value {
            Value::Map(entries) => {
                Some(entries.iter().map(|e| (e.key.clone(), at.field(e.shown(), &e.key_span, &e.node))).collect())
            }
            Value::Unknown => None,
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let message = format!("{} must be a mapping, not {}", at.name(), at.shown());
                self.error(at, message).label("must be a mapping of names to values");
                None
            }
        }
    }

    /// The text of a scalar where something more particular than a text is expected.
    pub(crate) fn scalar(&mut self, at: &At, expected: &str) -> Option<String> {
        match &at.node.value {
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            Value::Unknown => None,
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.error(at, format!("{} cannot be {}", at.name(), at.shown())).label(must_be(expected));
                None
            }
        }
    }

    /// Says what was expected.
    pub(crate) fn wrong(&mut self, at: &At, expected: &str) -> &mut crate::Diagnostic {
        let message = format!("{} {} is not {expected}", at.name(), at.shown());
        self.error(at, message).label(format!("must be {expected}"))
    }

    /// The text of a scalar that is not a quoted text, unless a variable gave it.
    fn typed(&mut self, at: &At, expected: &str) -> Option<String> {
        if matches!(at.node.value, Value::Scalar(_)) && !at.may_be_number() {
            self.wrong(at, expected).hint("write it without quotes");
            return None;
        }
        self.scalar(at, expected)
    }
}

fn must_be(allowed: &str) -> String {
    if allowed.starts_with("must") { allowed.to_owned() } else { format!("must be {allowed}") }
}

/// `a, b or c`.
fn alternatives(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
