//! JSON Schema of the manifest, for editors.

/// JSON Schema, draft 2020-12, of one document; committed as `schema/rollout.schema.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" })
}
