//! What differs between two rollouts, field by field, for people: values of variables are never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::{self, Fact};
use crate::ids::ComponentName;
use crate::spec::Rollout;

/// What a change of a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Part of the revision: new containers.
    Revision,
    /// Applied to what runs: replicas.
    Live,
    /// Applied to how it is run: stages, checks, health, the gateway.
    Policy,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The component; `None`: the rollout as a whole.
    pub component: Option<ComponentName>,
    /// Name of the field: `image`, `env`, `memory`.
    pub field: String,
    /// What changed: `shop:v1 → shop:v2`, `+ FEATURE_X  ~ POOL_SIZE  - OLD_FLAG`.
    pub text: String,
    /// What it means.
    pub class: Class,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.text)
    }
}

/// Every field that differs, in the order of the manifest.
#[must_use]
pub fn diff(from: &Rollout, to: &Rollout) -> Vec<Change> {
    let (before, after) = (facts::of(from), facts::of(to));
    let mut fields: Vec<Field> = Vec::new();
    for fact in after.iter().chain(&before) {
        let field = (fact.component.as_ref(), fact.field);
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields.into_iter().filter_map(|field| change(field, &before, &after)).collect()
}

type Field<'a> = (Option<&'a ComponentName>, &'static str);

fn change((component, field): Field, before: &[Fact], after: &[Fact]) -> Option<Change> {
    let of = |facts: &[Fact]| -> Vec<Fact> {
        facts.iter().filter(|f| f.component.as_ref() == component && f.field == field).cloned().collect()
    };
    let (old, new) = (of(before), of(after));
    if old == new {
        return None;
    }
    let class = new.first().or(old.first())?.class;
    let single = |facts: &[Fact]| match facts.first() {
        None => "not set".to_owned(),
        Some(fact) => fact.shown.clone().unwrap_or_default(),
    };
    let keyed = old.iter().chain(&new).any(|f| f.key.is_some());
    let text = if keyed { entries(&old, &new) } else { format!("{} → {}", single(&old), single(&new)) };
    Some(Change { component: component.cloned(), field: field.to_owned(), text, class })
}

/// `+ FEATURE_X  ~ POOL_SIZE  - OLD_FLAG`: names, never values.
fn entries(old: &[Fact], new: &[Fact]) -> String {
    let find = |facts: &[Fact], key: &Option<String>| facts.iter().find(|f| f.key == *key).map(|f| f.value.clone());
    let mut parts = Vec::new();
    for (sign, facts) in [('+', new), ('~', new), ('-', old)] {
        for fact in facts {
            let (was, is) = (find(old, &fact.key), find(new, &fact.key));
            let applies = match sign {
                '+' => was.is_none(),
                '-' => is.is_none(),
                _ => was.is_some() && is.is_some() && was != is,
            };
            if applies {
                parts.push(format!("{sign} {}", fact.key.as_deref().unwrap_or("")));
            }
        }
    }
    parts.join("  ")
}
