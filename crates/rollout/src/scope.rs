//! Filling in the variables of a document: which names are known where.

use std::collections::BTreeMap;

use crate::decode::is_version;
use crate::interpolate::{Filled, Lookup, interpolate, is_variable_name};
use crate::tree::{LONGEST_TEXT, MOST_TEXT, Node, Span, Value};
use crate::walk::{At, Walk};

/// Variables of the env files of one component, later files winning; `None` before they were read.
pub(crate) type FileVariables<'a> = &'a dyn Fn(&[String]) -> Option<BTreeMap<String, String>>;

/// What a filled document looks like.
pub(crate) struct FilledDocument {
    pub(crate) root: Node,
    /// Some variable may come from an env file that was not read yet.
    pub(crate) waits: bool,
    /// `${version}` is used somewhere.
    pub(crate) uses_version: bool,
}

struct Scope<'a> {
    given: &'a BTreeMap<String, String>,
    vars: BTreeMap<String, String>,
    version: Version,
    files: Vec<FromFiles>,
}

/// `spec.version`: nothing that stands before it can use it, and a wrong one is told once.
enum Version {
    Unread,
    Wrong,
    Known(String),
}

/// Variables of the env files of one component.
enum FromFiles {
    Unread,
    Read(BTreeMap<String, String>),
}

impl Scope<'_> {
    fn lookup(&self, name: &str) -> Lookup<'_> {
        if name == "version" {
            return match &self.version {
                Version::Unread => Lookup::Unset,
                Version::Wrong => Lookup::NotYet,
                Version::Known(version) => Lookup::Found(version),
            };
        }
        let near = self.given.get(name).or_else(|| self.vars.get(name));
        if let Some(value) = near {
            return Lookup::Found(value);
        }
        for file in &self.files {
            match file {
                FromFiles::Unread => return Lookup::NotYet,
                FromFiles::Read(variables) => {
                    if let Some(value) = variables.get(name) {
                        return Lookup::Found(value);
                    }
                }
            }
        }
        Lookup::Unset
    }
}

struct Filler<'w, 's> {
    walk: &'w mut Walk<'s>,
    /// Bytes of text that variables may still bring.
    budget: usize,
    waits: bool,
    uses_version: bool,
}

/// Fills in every scalar of a document, except in the gateway's snippets.
pub(crate) fn fill(
    walk: &mut Walk,
    root: &Node,
    given: &BTreeMap<String, String>,
    files: FileVariables,
) -> FilledDocument {
    let mut root = root.clone();
    let mut filler = Filler { walk, budget: MOST_TEXT, waits: false, uses_version: false };
    let mut scope = Scope { given, vars: BTreeMap::new(), version: Version::Unread, files: Vec::new() };
    filler.document(&mut root, &mut scope, files);
    FilledDocument { root, waits: filler.waits, uses_version: filler.uses_version }
}

impl Filler<'_, '_> {
    fn document(&mut self, root: &mut Node, scope: &mut Scope, files: FileVariables) {
        self.each_field(root, |filler, name, node| {
            if name != "spec" {
                filler.node(node, name, scope);
            }
        });
        let Some(spec) = child(root, "spec") else { return };
        if let Some(vars) = child(spec, "vars") {
            self.vars(vars, scope);
        }
        if let Some(version) = child(spec, "version") {
            self.node(version, "spec.version", scope);
            let legal = version.text().filter(|text| is_version(text));
            scope.version = legal.map_or(Version::Wrong, |text| Version::Known(text.to_owned()));
        }
        let app_files = child(spec, "app").and_then(|app| self.env_files(app, "spec.app", scope, files));
        scope.files.extend(app_files);
        self.each_field(spec, |filler, name, node| match name {
            "vars" | "version" => {}
            "gateway" => filler.each_field(node, |filler, field, node| {
                if field != "snippets" {
                    filler.node(node, &format!("spec.gateway.{field}"), scope);
                }
            }),
            "workers" => filler.workers(node, scope, files),
            _ => filler.node(node, &format!("spec.{name}"), scope),
        });
    }

    fn workers(&mut self, node: &mut Node, scope: &mut Scope, files: FileVariables) {
        let Value::List(items) = &mut node.value else { return self.node(node, "spec.workers", scope) };
        for (n, item) in items.iter_mut().enumerate() {
            let path = format!("spec.workers[{n}]");
            let own = self.env_files(item, &path, scope, files);
            let extra = usize::from(own.is_some());
            scope.files.splice(0..0, own);
            self.node(item, &path, scope);
            scope.files.drain(0..extra);
        }
    }

    fn vars(&mut self, vars: &mut Node, scope: &mut Scope) {
        self.node(vars, "spec.vars", scope);
        let Value::Map(entries) = &vars.value else {
            if !matches!(vars.value, Value::Unknown | Value::Null) {
                let span = vars.span.clone();
                self.walk
                    .error_in(span, "spec.vars", "vars must be a mapping")
                    .label("must be a mapping of names to texts");
            }
            return;
        };
        for entry in entries {
            let place = At::root(vars).field(entry.shown(), &entry.key_span, &entry.node);
            if !is_variable_name(&entry.key) || entry.key == "version" {
                let message = format!("{} is not allowed as the name of a variable", entry.shown());
                let hint = "letters, digits and _, not starting with a digit; version is taken by spec.version";
                self.walk.error_in(entry.key_span.clone(), "spec.vars", message).label("another name").hint(hint);
            } else if let Value::Scalar(scalar) = &entry.node.value {
                scope.vars.insert(entry.key.clone(), scalar.text.clone());
            } else if entry.node.value != Value::Unknown {
                self.walk
                    .error_in(place.spot(), "spec.vars", format!("variable {} must be a text", entry.shown()))
                    .label("must be one text");
            }
        }
    }

    /// Variables of the env files that a component names; the paths themselves see no env files.
    fn env_files(
        &mut self,
        component: &mut Node,
        path: &str,
        scope: &Scope,
        files: FileVariables,
    ) -> Option<FromFiles> {
        let node = child(component, "envFiles")?;
        self.node(node, &format!("{path}.envFiles"), scope);
        let names: Vec<String> = node.items().iter().filter_map(|n| n.text().map(str::to_owned)).collect();
        (!names.is_empty()).then(|| files(&names).map_or(FromFiles::Unread, FromFiles::Read))
    }

    fn each_field(&mut self, node: &mut Node, mut visit: impl FnMut(&mut Self, &str, &mut Node)) {
        if let Value::Map(entries) = &mut node.value {
            for entry in entries {
                visit(self, &entry.key.clone(), &mut entry.node);
            }
        }
    }

    fn node(&mut self, node: &mut Node, path: &str, scope: &Scope) {
        match &mut node.value {
            Value::Null | Value::Unknown => {}
            Value::Scalar(_) => self.scalar(node, path, scope),
            Value::List(items) => {
                for (n, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{n}]"), scope);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let path = format!("{path}.{}", entry.shown());
                    self.node(&mut entry.node, &path, scope);
                }
            }
        }
    }

    fn scalar(&mut self, node: &mut Node, path: &str, scope: &Scope) {
        let Value::Scalar(scalar) = &mut node.value else { return };
        if scalar.written.is_some() {
            return;
        }
        self.uses_version |= scalar.text.contains("${version");
        if self.budget == 0 && scalar.text.contains("${") {
            node.value = Value::Unknown;
            return;
        }
        match interpolate(&scalar.text, &|name| scope.lookup(name)) {
            Ok(Filled::Unchanged) => {}
            Ok(Filled::Text(text)) if text.len() <= self.budget => {
                self.budget -= text.len();
                scalar.written = Some(std::mem::replace(&mut scalar.text, text));
            }
            Ok(Filled::Text(_) | Filled::TooLong) => {
                self.budget = 0;
                let message = "with its variables this text is too long";
                let (one, all) = (LONGEST_TEXT / 1024, MOST_TEXT / 1024 / 1024);
                let hint = format!("at most {one} KiB a value, {all} MiB a document");
                self.walk.error_in(node.span.clone(), path, message).hint(hint);
                node.value = Value::Unknown;
            }
            Ok(Filled::NotYet) => {
                self.waits = true;
                node.value = Value::Unknown;
            }
            Err(bad) => {
                let message = if scalar.private { bad.message_without_text } else { bad.message };
                let span = self.find(&node.span, &bad.written);
                self.walk.error_in(span, path, message).hint(bad.hint);
                node.value = Value::Unknown;
            }
        }
    }

    /// Where a variable is written; after a dollar the same text is a literal one.
    fn find(&self, span: &Span, written: &str) -> Span {
        let text = self.walk.written(span);
        let mut places = text.match_indices(written).map(|(at, _)| at);
        match places.find(|at| !text[..*at].ends_with('$')) {
            Some(start) => span.start + start..span.start + start + written.len(),
            None => span.clone(),
        }
    }
}

fn child<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.node)
}
