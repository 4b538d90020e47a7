//! JSON Schema of the manifest, for editors: made from the tables that bind the decoder.

use serde_json::{Map, Value, json};

use crate::shape::{Field, Kind, Shape};
use crate::shapes;

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
    value
}

fn kind(kind_of: &Kind, definitions: &mut Map<String, Value>) -> Value {
    let text = || json!({ "type": ["string", "number", "boolean"] });
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": format!("{pattern}|\\$\\{{") });
    let or_variable = |value: Value| json!({ "anyOf": [value, { "$ref": "#/$defs/variable" }] });
    match *kind_of {
        Kind::Text => text(),
        Kind::Name => pattern("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"),
        Kind::Exactly("0") => or_variable(json!({ "const": 0 })),
        Kind::Exactly(word) => json!({ "const": word }),
        Kind::Choice(words) => or_variable(json!({ "enum": words })),
        Kind::Flag => or_variable(json!({ "type": "boolean" })),
        Kind::Whole(least, most) => or_variable(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Kind::Number => or_variable(json!({ "type": "number" })),
        Kind::Duration => pattern("^([0-9]+(\\.[0-9]+)?(d|h|ms|us|m|s))+$"),
        Kind::Size => pattern("^[0-9]+(\\.[0-9]+)?([bB]|[kKmMgGtT]([iI]?[bB]?))$"),
        Kind::Percent => pattern("^[0-9]+(\\.[0-9]+)? ?%$"),
        Kind::Weight => {
            json!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 100 }, pattern("^[0-9]+(\\.[0-9]{1,2})?%?$")] })
        }
        Kind::Mode => json!({ "type": ["string", "integer"] }),
        Kind::Texts => json!({ "type": "object", "additionalProperties": text() }),
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
