//! The tables of `docs/manifest.md`, made from the JSON Schema of a manifest.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

/// Before the tables.
pub(crate) const BEGIN: &str = "<!-- fields: made from schema/rollout.schema.json by tests/docs.rs -->\n";
/// After them.
pub(crate) const END: &str = "<!-- end of fields -->\n";

/// What the patterns of texts mean, by a part that only this one has.
const PATTERNS: [(&str, &str); 5] =
    [("us)?$", "duration"), ("[kKmMgGtT]", "size"), (" *%$", "percent"), (" *%?$", "percent"), ("{0,38}", "name")];

/// One table for each object, in the order in which a reader meets them.
pub(crate) fn tables(schema: &Value) -> String {
    let mut text = table("The document", schema, None);
    let mut met = BTreeSet::new();
    visit(schema, schema, "", &mut met, &mut text);
    text
}

/// The objects that the fields of `object` lead to: first all of them, then what these lead to.
fn visit(schema: &Value, object: &Value, path: &str, met: &mut BTreeSet<String>, text: &mut String) {
    let mut below = Vec::new();
    for (name, field) in fields(object) {
        for definition in definitions(field) {
            if met.insert(definition.clone()) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let inner = &schema["$defs"][&definition];
                let like = (definition == "worker").then(|| &schema["$defs"]["app"]);
                text.push_str(&table(&format!("`{path}`"), inner, like));
                below.push((inner, path));
            }
        }
    }
    for (inner, path) in below {
        visit(schema, inner, &path, met, text);
    }
}

/// Fields, the required ones first.
fn fields(object: &Value) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = object["properties"].as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| (!is_required(object, name), *name));
    fields
}

fn is_required(object: &Value, name: &str) -> bool {
    object["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
}

/// A table; fields that `like` has as well, with the same meaning, are only named.
fn table(title: &str, object: &Value, like: Option<&Value>) -> String {
    let mut text =
        format!("\n### {title}\n\n{}\n\n| field | is | default | meaning |\n|---|---|---|---|\n", described(object));
    let mut same = Vec::new();
    for (name, field) in fields(object) {
        if like.is_some_and(|like| &like["properties"][name] == field) {
            same.push(format!("`{name}`"));
        } else {
            text.push_str(&row(name, field, is_required(object, name)));
        }
    }
    if !same.is_empty() {
        let _ = writeln!(text, "\nAs in [`spec.app`](#specapp): {}.", same.join(", "));
    }
    text
}

fn described(value: &Value) -> &str {
    value["description"].as_str().expect("everything in the schema has a description")
}

fn row(name: &str, field: &Value, required: bool) -> String {
    let (rest, example) = described(field).rsplit_once(" Example: ").expect("every field has an example");
    let (meaning, default) = match rest.rsplit_once(" Default: ") {
        Some((meaning, default)) => (meaning, format!("`{}`", default.trim_end_matches('.'))),
        None if required => (rest, "required".to_owned()),
        None => (rest, "–".to_owned()),
    };
    let cells = [format!("`{name}`"), kind(field), default, format!("{meaning} `{example}`")];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// What a value may be, in words.
fn kind(value: &Value) -> String {
    if let Some(kinds) = value["anyOf"].as_array() {
        let mut words: Vec<String> = Vec::new();
        for word in kinds.iter().filter(|k| k["$ref"] != "#/$defs/variable").map(kind) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        // What any scalar may be is one text; a number that may be quoted is a number.
        match words.first().map(String::as_str) {
            Some("text") => words.retain(|w| !["number", "whole number", "`true` or `false`"].contains(&w.as_str())),
            Some("number") => words.retain(|w| w != "text"),
            Some(_) | None => {}
        }
        return words.join(" or ");
    }
    if value["$ref"].is_string() {
        return "mapping, see below".to_owned();
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(|w| format!("`{}`", plain(w))).collect::<Vec<_>>().join(" or ");
    }
    if !value["const"].is_null() {
        return format!("`{}`", plain(&value["const"]));
    }
    typed(value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn typed(value: &Value) -> String {
    let most = |value: &Value| value["maximum"].as_i64().filter(|most| *most < i64::MAX);
    let known = value["pattern"].as_str().and_then(|pattern| PATTERNS.iter().find(|(part, _)| pattern.contains(part)));
    match (value["type"].as_str(), known) {
        (_, Some((_, word))) => (*word).to_owned(),
        (Some("array"), _) => format!("list of {}", kind(&value["items"])),
        (Some("object"), _) => format!("mapping of names to {}", kind(&value["additionalProperties"])),
        (Some("boolean"), _) => "`true` or `false`".to_owned(),
        (Some("integer"), _) => match (value["minimum"].as_i64(), most(value)) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(i64::MIN), None) | (None, _) => "whole number".to_owned(),
            (Some(least), None) => format!("whole number from {least}"),
        },
        (Some("number"), _) if value["maximum"] == 100 => "number of percent".to_owned(),
        (Some("number"), _) => "number".to_owned(),
        // without a type of its own: a list of types, so any scalar, or an octal mode
        (Some(_) | None, _) => "text".to_owned(),
    }
}

/// The definitions that a field leads to.
fn definitions(field: &Value) -> Vec<String> {
    match field {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
            let own = own.filter(|name| *name != "variable").map(str::to_owned);
            own.into_iter().chain(map.values().flat_map(definitions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(definitions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
