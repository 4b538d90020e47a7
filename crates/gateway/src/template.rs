//! Fills `{{names}}` in a template, once: what a value contains is never read as a name again.

use std::collections::BTreeMap;

/// What replaces a name. Alone on its line, each line of a value gets the indentation of the name, and no lines mean
/// no line.
pub(crate) type Values = BTreeMap<&'static str, Vec<String>>;

/// The template with every name replaced. A name without a value stays visible: a test looks for it.
pub(crate) fn fill(template: &str, values: &Values) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    for line in template.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let alone = bare.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).and_then(|name| values.get(name));
        match alone {
            Some(lines) => lines.iter().for_each(|l| push_line(&mut out, indent, l)),
            None => push_line(&mut out, "", &fill_line(line, values)),
        }
    }
    out
}

fn push_line(out: &mut String, indent: &str, line: &str) {
    out.push_str(indent);
    out.push_str(line);
    out.push('\n');
}

fn fill_line(line: &str, values: &Values) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else { break };
        out.push_str(before);
        match values.get(name) {
            Some(lines) => out.push_str(&lines.join(" ")),
            None => out.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_read_as_names() {
        let values =
            Values::from([("a", vec!["{{b}}".into(), "two".into()]), ("b", vec!["no".into()]), ("none", vec![])]);
        assert_eq!(
            fill("x {{a}} y {{b}}\n  {{a}}\n  {{none}}\nend", &values),
            "x {{b}} two y no\n  {{b}}\n  two\nend\n"
        );
    }
}
