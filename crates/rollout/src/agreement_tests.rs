//! The schema and the decoder say the same of every field and every kind of value.
//!
//! Each field of each table gets each of many values, in a document that is right otherwise. What the decoder takes, the schema
//! takes; what the schema takes and the decoder does not, is refused for a reason that no schema can know.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::schema::json_of;
use crate::shape::{Field, Kind, Shape};
use crate::{Diagnostic, SourceText, parse, schema, shapes, tree};

/// Values as YAML on one line.
const VALUES: &[&str] = &[
    "0",
    "1",
    "5",
    "-1",
    "1.5",
    "0.95",
    "99999999",
    "true",
    "yes",
    "~",
    "\"\"",
    "x",
    "X",
    "\"x y\"",
    "x-y",
    "a=b",
    "/x",
    "\"/x:/y\"",
    "\"/x:/y:ro\"",
    "\"v:/y:ro\"",
    "\"v:/y\"",
    "\"/x:size=1m\"",
    "15m",
    "\"15m\"",
    "1h30m",
    "1m1h",
    "0s",
    "512m",
    "1GiB",
    "0.5%",
    "50%",
    "\"5 %\"",
    "200%",
    "[]",
    "[x]",
    "[5]",
    "[x, x]",
    "[\"a=b\"]",
    "[[x]]",
    "{}",
    "{ x: y }",
    "{ x: 5 }",
    "{ x: ~ }",
    "{ x: [y] }",
    "\"${version}\"",
    "\"a${version}\"",
    "10.0.0.1",
    "10.0.0.0/8",
    "\"db:10.0.0.1\"",
    "\"8080\"",
    "\"0.0.0.0:80\"",
    "all",
    "full",
    "0400",
    "\"0400\"",
    "\"0o644\"",
    "999",
    "linux/amd64",
    "SIGTERM",
    "\"shop:v1\"",
    "Shop",
    "\"ghcr.io/a/b:v1\"",
    "shop",
    "a.b_c",
    "\"a:b\"",
    "1g",
];

/// Why a decoder may refuse what a schema takes: it depends on other fields, on files, on a range that is no range of JSON.
const BEYOND_A_SCHEMA: &[&str] = &[
    "is written twice",
    "must say sharing",
    "is mounted twice",
    "is taken by another one",
    "is not set",
    "stage weights must rise",
    "the last stage must be 100",
    "maxDuration is shorter",
    "timeout is longer",
    "stages is empty",
    "checks is empty",
    "listen names no port",
    "is used twice",
    "aliases need a network",
    "two checks are called",
    "two workers are called",
    "a worker cannot be called app",
    "canaryReplicas",
    "a singleton",
    "health over http needs a port",
    "health takes one way only",
    "health does not say how",
    "mode takes exactly one",
    "gpus takes either",
    "nothing says where the mode",
    "the check names two modes",
    "a check asks one question only",
    "the check asks no question",
    "must be more than 0s",
    "is not more than 0%",
    "is less than an engine takes",
    "memoryReservation is more",
    "is not allowed as the name of a variable",
    "label ",
    "the path of a tmpfs must be absolute",
    "999 is not a file mode",
];

/// What a schema says of a value: the words of JSON Schema that ours uses, by draft 2020-12.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let of = |name: &str| schema.get(name);
    of("$ref").is_none_or(|r| {
        let name = r.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
        accepts(root, &root["$defs"][name], value)
    }) && of("anyOf").is_none_or(|any| any.as_array().unwrap().iter().any(|one| accepts(root, one, value)))
        && of("const").is_none_or(|constant| constant == value)
        && of("enum").is_none_or(|words| words.as_array().unwrap().contains(value))
        && of("type").is_none_or(|kind| match kind {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, kind.as_str().unwrap())),
            kind => is_of(value, kind.as_str().unwrap()),
        })
        && text_fits(schema, value)
        && number_fits(schema, value)
        && parts_fit(root, schema, value)
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        other => panic!("{other} is no type that the schema uses"),
    }
}

fn text_fits(schema: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    let fits = |pattern: &Value| {
        REGEXES.with_borrow_mut(|known| {
            let pattern = pattern.as_str().unwrap();
            known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
        })
    };
    schema.get("pattern").is_none_or(fits)
        && schema.get("minLength").is_none_or(|least| text.chars().count() as u64 >= least.as_u64().unwrap())
}

fn number_fits(schema: &Value, value: &Value) -> bool {
    let Some(number) = value.as_f64() else { return true };
    let bound = |name: &str| schema.get(name).map(|bound| bound.as_f64().unwrap());
    bound("minimum").is_none_or(|least| number >= least)
        && bound("maximum").is_none_or(|most| number <= most)
        && bound("exclusiveMinimum").is_none_or(|above| number > above)
        && bound("exclusiveMaximum").is_none_or(|below| number < below)
}

fn parts_fit(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Value::Array(items) = value {
        return schema.get("items").is_none_or(|item| items.iter().all(|i| accepts(root, item, i)));
    }
    let Value::Object(object) = value else { return true };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required.into_iter().all(|name| object.contains_key(name.as_str().unwrap()))
        && object.iter().all(|(name, value)| match schema.get("properties").and_then(|p| p.get(name)) {
            Some(of_field) => accepts(root, of_field, value),
            None => match schema.get("additionalProperties") {
                None => true,
                Some(Value::Bool(any)) => *any,
                Some(of_all) => accepts(root, of_all, value),
            },
        })
}

/// An object of that shape that is right, as small as it can be.
fn smallest(shape: &Shape) -> Value {
    let more = match shape.name {
        "health" => json!({ "http": "/h", "port": 80 }),
        "check" => json!({ "errorRate": { "max": "1%" } }),
        "mount" | "volume" => json!({ "readOnly": true }),
        "mode" => json!({ "header": "X-Mode" }),
        "gpus" => json!({ "count": 1 }),
        "stage" => json!({ "weight": 100 }),
        "app" => json!({ "health": "none", "image": "shop:v1", "port": 80 }),
        "worker" => json!({ "health": "none" }),
        _ => json!({}),
    };
    let mut object = serde_json::Map::new();
    for field in shape.fields().filter(|f| f.required) {
        object.insert(field.name.to_owned(), example(field.example));
    }
    object.extend(more.as_object().unwrap().clone());
    Value::Object(object)
}

fn example(yaml: &str) -> Value {
    json_of(tree::documents(yaml)[0].root.as_ref().unwrap())
}

thread_local! {
    /// Each is made once: to make one takes longer than to use it.
    static REGEXES: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
}

/// Where the value under test goes.
const HOLE: &str = "@@";

/// Every field, with a whole document that has a hole in its place.
fn places() -> Vec<(String, &'static Field, String)> {
    let mut found = Vec::new();
    visit(&shapes::DOCUMENT, &|inner| inner, "", &mut found);
    found
}

fn visit(
    shape: &'static Shape,
    document: &dyn Fn(Value) -> Value,
    path: &str,
    found: &mut Vec<(String, &'static Field, String)>,
) {
    // What a worker has of the app was looked at there.
    let own = if shape.name == "worker" { &shape.groups[..1] } else { shape.groups };
    for field in own.iter().flat_map(|group| group.iter()) {
        let path = format!("{path}.{}", field.name);
        let at = |value: Value| {
            let mut object = smallest(shape);
            // Fields of which one alone may be written.
            for other in
                [("health", ["http", "exec", "image", "none"]), ("mode", ["header", "responseHeader", "path", "query"])]
            {
                if other.0 == shape.name && other.1.contains(&field.name) {
                    object = if other.0 == "health" { json!({ "port": 80 }) } else { json!({}) };
                }
            }
            if shape.name == "check" && field.name == "latency" || shape.name == "gpus" {
                object.as_object_mut().unwrap().retain(|name, _| name == "name");
            }
            object[field.name] = value;
            document(object)
        };
        let whole = serde_json::to_string(&at(json!(HOLE))).unwrap();
        found.push((path.clone(), field, whole));
        let mut objects = Vec::new();
        field.kind.objects(&mut objects);
        for inner in objects {
            let listed = is_listed(&field.kind);
            let named = matches!(field.kind, Kind::MapOf(_));
            let wrap = |value: Value| {
                at(if listed {
                    json!([value])
                } else if named {
                    json!({ "x": value })
                } else {
                    value
                })
            };
            visit(inner, &wrap, &path, found);
        }
    }
}

fn is_listed(kind: &Kind) -> bool {
    match kind {
        Kind::List(_) => true,
        Kind::Any(kinds) => kinds.iter().any(is_listed),
        _ => false,
    }
}

fn errors(text: &str) -> Vec<Diagnostic> {
    let source = SourceText { name: "shop.yaml".to_owned(), text: text.to_owned() };
    let mut problems = parse(&source, &BTreeMap::new()).problems;
    problems.retain(Diagnostic::is_error);
    problems
}

/// What differs between schema and decoder for one document; `None`: they agree.
fn disagreement(schema: &Value, text: &str) -> Option<String> {
    let documents = tree::documents(text);
    let value = json_of(documents.first()?.root.as_ref()?);
    let errors = errors(text);
    // What stands for a variable is typed once it is filled in.
    let filled = text.contains("${version}");
    let unknowable = |e: &Diagnostic| filled || BEYOND_A_SCHEMA.iter().any(|why| e.message.contains(why));
    match (accepts(schema, schema, &value), errors.iter().find(|e| !unknowable(e))) {
        (true, Some(error)) => Some(format!("only the decoder refuses: {}", error.message)),
        (false, _) if errors.is_empty() => Some("only the schema refuses".to_owned()),
        (true, None) | (false, _) => None,
    }
}

#[test]
fn schema_and_decoder_agree_on_every_value_in_every_field() {
    let schema = schema();
    let mut differences = Vec::new();
    let places = places();
    assert!(places.len() > 120, "{} places", places.len());
    for (path, field, document) in &places {
        let own = [field.example, field.default].into_iter().filter(|v| !v.is_empty());
        for value in VALUES.iter().copied().chain(own) {
            let text = document.replace(&format!("\"{HOLE}\""), value);
            differences.extend(disagreement(&schema, &text).map(|why| format!("{path}: {value}: {why}")));
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_example_and_every_default_is_legal_where_it_stands() {
    for (path, field, document) in places() {
        for value in [field.example, field.default].into_iter().filter(|v| !v.is_empty()) {
            let text = document.replace(&format!("\"{HOLE}\""), value);
            let wrong = errors(&text).into_iter().find(|e| {
                ![
                    "canaryReplicas",
                    "nothing says where",
                    "must say sharing",
                    "needs a port here",
                    "aliases need",
                    "the last stage",
                ]
                .iter()
                .any(|w| e.message.contains(w))
            });
            assert!(wrong.is_none(), "{path}: {value}: {wrong:?}\n{text}");
        }
    }
}

#[test]
fn a_field_that_is_missing_or_unknown_is_refused_by_both() {
    let schema = schema();
    for (path, field, document) in places() {
        for text in [
            document.replace(&format!("\"{}\":\"{HOLE}\"", field.name), "\"bananaSplit\":1"),
            document
                .replace(&format!("\"{}\":\"{HOLE}\"", field.name), "\"x\":~")
                .replace("\"x\":~,", "")
                .replace(",\"x\":~", ""),
        ] {
            let difference = disagreement(&schema, &text);
            assert!(difference.is_none(), "{path}: {difference:?}\n{text}");
        }
    }
}

#[test]
fn what_editors_show_is_there_for_every_field() {
    let schema = schema();
    let objects =
        schema["$defs"].as_object().unwrap().values().chain([&schema]).filter(|o| o.get("properties").is_some());
    let mut count = 0;
    for (name, field) in objects.flat_map(|o| o["properties"].as_object().unwrap()) {
        assert!(field["description"].as_str().is_some_and(|d| d.contains(". ")), "{name}");
        assert!(field["examples"].as_array().is_some_and(|e| !e.is_empty() && !e[0].is_null()), "{name}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}
