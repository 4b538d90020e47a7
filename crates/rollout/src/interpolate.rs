//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` in one text; `$${` stands for `${`.

use crate::tree::LONGEST_TEXT;

/// What is known of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup<'a> {
    /// Its value.
    Found(&'a str),
    /// It is set nowhere.
    Unset,
    /// It may be set in a file that was not read yet, or its own value is wrong.
    NotYet,
}

/// A text after interpolation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Nothing to do.
    Unchanged,
    /// The text with values in place of variables.
    Text(String),
    /// It cannot be known yet.
    NotYet,
    /// It would be longer than any value may be.
    TooLong,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadVariable {
    /// The whole `${…}`, for finding it in the source.
    pub(crate) written: String,
    pub(crate) message: String,
    /// The message without what is written in the braces beside the name.
    pub(crate) message_without_text: String,
    pub(crate) hint: String,
}

/// Replaces the variables of a text.
pub(crate) fn interpolate<'a>(text: &str, lookup: &dyn Fn(&str) -> Lookup<'a>) -> Result<Filled, BadVariable> {
    if !text.contains("${") {
        return Ok(Filled::Unchanged);
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    let mut waits = false;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        if let Some(literal) = before.strip_suffix('$') {
            filled.push_str(literal);
            filled.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        filled.push_str(before);
        let end = rest[start..].find('}').ok_or_else(|| unclosed(&rest[start..]))? + start;
        let variable = Variable::read(&rest[start..=end])?;
        match variable.value(lookup(variable.name))? {
            Some(value) => filled.push_str(value),
            None => waits = true,
        }
        if filled.len() > LONGEST_TEXT {
            return Ok(Filled::TooLong);
        }
        rest = &rest[end + 1..];
    }
    filled.push_str(rest);
    Ok(if waits { Filled::NotYet } else { Filled::Text(filled) })
}

/// Whether a text is a legal name of a variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

struct Variable<'t> {
    written: &'t str,
    name: &'t str,
    otherwise: Otherwise<'t>,
}

enum Otherwise<'t> {
    Nothing,
    Default(&'t str),
    Complain(&'t str),
}

impl<'t> Variable<'t> {
    /// Reads `${…}`, braces included.
    fn read(written: &'t str) -> Result<Self, BadVariable> {
        let inner = &written[2..written.len() - 1];
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let otherwise = match rest.get(..2) {
            None if rest.is_empty() => Some(Otherwise::Nothing),
            Some(":-") => Some(Otherwise::Default(&rest[2..])),
            Some(":?") => Some(Otherwise::Complain(&rest[2..])),
            None | Some(_) => None,
        };
        match otherwise {
            Some(otherwise) if is_variable_name(name) && !inner.contains("${") => Ok(Self { written, name, otherwise }),
            Some(_) | None => Err(BadVariable {
                written: written.to_owned(),
                message: format!("{written} is not a variable that can be read"),
                message_without_text: "this is not a variable that can be read".to_owned(),
                hint: "the forms are ${NAME}, ${NAME:-default} and ${NAME:?message}; $${ stands for a literal ${"
                    .to_owned(),
            }),
        }
    }

    /// Its value; `None`: not known yet. As in Compose, `:-` and `:?` treat empty as unset.
    fn value<'v>(&self, lookup: Lookup<'v>) -> Result<Option<&'v str>, BadVariable>
    where
        't: 'v,
    {
        match (lookup, &self.otherwise) {
            (Lookup::NotYet, _) => Ok(None),
            (Lookup::Found(value), Otherwise::Nothing) => Ok(Some(value)),
            (Lookup::Found(value), _) if !value.is_empty() => Ok(Some(value)),
            (_, Otherwise::Default(default)) => Ok(Some(default)),
            (_, Otherwise::Complain(message)) => Err(self.unset(&format!("{} is not set: {message}", self.name))),
            (Lookup::Unset, Otherwise::Nothing) => Err(self.unset(&format!("variable {} is not set", self.name))),
        }
    }

    fn unset(&self, message: &str) -> BadVariable {
        let name = self.name;
        BadVariable {
            written: self.written.to_owned(),
            message: message.trim_end_matches([' ', ':']).to_owned(),
            message_without_text: format!("variable {name} is not set"),
            hint: format!(
                "set it in spec.vars, in one of the envFiles, or start the daemon with --var {name}=…\n\
                 a default is written ${{{name}:-default}}, a literal dollar and brace $${{"
            ),
        }
    }
}

fn unclosed(rest: &str) -> BadVariable {
    BadVariable {
        written: rest.chars().take(40).collect(),
        message: "a variable without its closing brace".to_owned(),
        message_without_text: "a variable without its closing brace".to_owned(),
        hint: "write ${NAME}; $${ stands for a literal ${".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Lookup<'static> {
        match name {
            "A" => Lookup::Found("1"),
            "EMPTY" => Lookup::Found(""),
            "LATER" => Lookup::NotYet,
            _ => Lookup::Unset,
        }
    }

    fn text(input: &str) -> String {
        match interpolate(input, &lookup).expect("legal") {
            Filled::Unchanged => input.to_owned(),
            Filled::Text(text) => text,
            Filled::NotYet | Filled::TooLong => "(not yet)".to_owned(),
        }
    }

    #[test]
    fn variables_are_replaced_as_in_compose() {
        for (input, output) in [
            ("a${A}b", "a1b"),
            ("${A}${A}", "11"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-a b:c}", "a b:c"),
            ("${A:?must be set}", "1"),
            ("$${A}", "${A}"),
            ("$A and $$ stay", "$A and $$ stay"),
            ("x${LATER}", "(not yet)"),
        ] {
            assert_eq!(text(input), output, "{input}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (input, message) in [
            ("${NONE}", "variable NONE is not set"),
            ("${NONE:?ask the ops team}", "NONE is not set: ask the ops team"),
            ("${EMPTY:?}", "EMPTY is not set"),
            ("${A-b}", "${A-b} is not a variable that can be read"),
            ("${}", "${} is not a variable that can be read"),
            ("${1A}", "${1A} is not a variable that can be read"),
            ("${A", "a variable without its closing brace"),
        ] {
            assert_eq!(interpolate(input, &lookup).expect_err("illegal").message, message);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_interpolated_or_refused_without_panic(input in "[a-zA:$?{}é -]{0,40}") {
            let _ = interpolate(&input, &lookup);
        }

        #[test]
        fn text_without_braces_never_changes(input in "[^{]{0,40}") {
            prop_assert_eq!(interpolate(&input, &lookup), Ok(Filled::Unchanged));
        }

        #[test]
        fn an_escaped_variable_comes_out_as_written(name in "[A-Z_][A-Z0-9_]{0,8}") {
            let escaped = format!("$${{{name}}}");
            prop_assert_eq!(text(&escaped), format!("${{{name}}}"));
        }
    }
}
