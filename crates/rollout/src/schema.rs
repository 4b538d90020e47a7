//! JSON Schema of the manifest, for editors: made from the tables that bind the decoder.

use serde_json::{Map, Value, json};

use crate::shape::{Field, Kind, Shape};
use crate::shapes;
use crate::tree::{self, Node};

/// JSON Schema, draft 2020-12, of one document; committed as `schema/rollout.schema.json`.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let variable = json!({ "type": "string", "pattern": "\\$\\{", "description": "A text with a variable." });
    definitions.insert("variable".to_owned(), variable);
    let mut root = object(&shapes::DOCUMENT, &mut definitions);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["$id"] = json!("https://canaryd.io/schema/rollout.schema.json");
    root["title"] = json!("Rollout");
    definitions.sort_keys();
    root["$defs"] = Value::Object(definitions);
    root.sort_all_objects();
    root
}

fn object(shape: &'static Shape, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<_, _> = shape.fields().map(|f| (f.name.to_owned(), field(f, definitions))).collect();
    let required: Vec<_> = shape.fields().filter(|f| f.required).map(|f| f.name).collect();
    json!({
        "type": "object",
        "description": shape.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn field(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut value = kind(&field.kind, definitions);
    let default = if field.default.is_empty() { String::new() } else { format!(" Default: {}.", field.default) };
    value["description"] = json!(format!("{}{default} Example: {}", field.doc, field.example));
    value["examples"] = json!([value_of(field.example)]);
    if !field.default.is_empty() {
        value["default"] = value_of(field.default);
    }
    value
}

/// YAML on one line as an editor reads it.
fn value_of(yaml: &str) -> Value {
    tree::documents(yaml).first().and_then(|d| d.root.as_ref()).map_or(Value::Null, json_of)
}

/// A tree as JSON: plain scalars by the core schema of YAML 1.2.
pub(crate) fn json_of(node: &Node) -> Value {
    match &node.value {
        tree::Value::Null | tree::Value::Unknown => Value::Null,
        tree::Value::Scalar(scalar) if scalar.plain => plain(&scalar.text),
        tree::Value::Scalar(scalar) => json!(scalar.text),
        tree::Value::List(items) => items.iter().map(json_of).collect(),
        tree::Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), json_of(&e.node))).collect(),
    }
}

fn plain(text: &str) -> Value {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match text {
        "true" | "True" | "TRUE" => json!(true),
        "false" | "False" | "FALSE" => json!(false),
        _ if numeric => {
            let whole = text.parse::<i64>().ok().map(|n| json!(n));
            whole.or_else(|| text.parse::<f64>().ok().map(|n| json!(n))).unwrap_or_else(|| json!(text))
        }
        _ => json!(text),
    }
}

fn kind(kind_of: &Kind, definitions: &mut Map<String, Value>) -> Value {
    const SCALAR: [&str; 3] = ["string", "number", "boolean"];
    let or_filled = |pattern: &str| format!("({pattern})|\\$\\{{");
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": or_filled(pattern) });
    let or_variable = |value: Value| json!({ "anyOf": [value, { "$ref": "#/$defs/variable" }] });
    match *kind_of {
        Kind::Text => json!({ "type": SCALAR }),
        Kind::Like(like) => json!({ "type": SCALAR, "minimum": 0, "pattern": or_filled(like) }),
        Kind::TextLike(like) => pattern(like),
        Kind::Name => {
            let name = or_filled("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$");
            json!({ "type": ["string", "boolean"], "pattern": name })
        }
        Kind::Exactly("0") => or_variable(json!({ "const": 0 })),
        Kind::Exactly(word) => json!({ "const": word }),
        Kind::Choice(words) => or_variable(json!({ "enum": words })),
        Kind::Flag => or_variable(json!({ "type": "boolean" })),
        Kind::Whole(least, most) => or_variable(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Kind::Number(above, below) => {
            or_variable(json!({ "type": "number", "exclusiveMinimum": above, "exclusiveMaximum": below }))
        }
        Kind::Duration => {
            let part = |unit: &str| format!("([0-9]+(\\.[0-9]+)?{unit})?");
            let mut value = pattern(&format!("^{}$", ["d", "h", "m", "s", "ms", "us"].map(part).concat()));
            value["minLength"] = json!(2);
            value
        }
        Kind::Size => pattern("^[0-9]+(\\.[0-9]+)?([bB]|[kKmMgGtT][iI]?[bB]?)$"),
        Kind::Percent => pattern("^[0-9]+(\\.[0-9]+)? *%$"),
        Kind::Weight => {
            let text = pattern("^(100(\\.0{1,2})?|0?[0-9]{1,2}(\\.[0-9]{1,2})?) *%?$");
            json!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 100 }, text] })
        }
        Kind::Mode => {
            json!({ "type": ["string", "integer"], "minimum": 0, "maximum": 7_777, "pattern": or_filled("^(0o)?[0-7]{1,5}$") })
        }
        Kind::Texts => json!({ "type": "object", "additionalProperties": { "type": SCALAR } }),
        Kind::List(item) => json!({ "type": "array", "items": kind(item, definitions) }),
        Kind::OneOrMany(item) => {
            let item = kind(item, definitions);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Kind::MapOf(item) => json!({ "type": "object", "additionalProperties": kind(item, definitions) }),
        Kind::Object(shape) => {
            if !definitions.contains_key(shape.name) {
                definitions.insert(shape.name.to_owned(), Value::Null);
                let made = object(shape, definitions);
                definitions.insert(shape.name.to_owned(), made);
            }
            json!({ "$ref": format!("#/$defs/{}", shape.name) })
        }
        Kind::Any(kinds) => json!({ "anyOf": kinds.iter().map(|k| kind(k, definitions)).collect::<Vec<_>>() }),
    }
}
