//! Variables and durations as they are typed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::args::VarFlags;
use super::exit::Failure;

/// All variables: files first, in their order, then `--var`, the later one winning.
pub(crate) fn read(flags: &VarFlags) -> Result<BTreeMap<String, String>, Failure> {
    let mut vars = BTreeMap::new();
    for path in &flags.var_file {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let place = format!("{}:{number}", path.display());
            let (name, value) = pair(line.trim(), &place)?;
            vars.insert(name, unquoted(&value).to_owned());
        }
    }
    for typed in &flags.var {
        let (name, value) = pair(typed, "--var")?;
        vars.insert(name, value);
    }
    Ok(vars)
}

/// A message never repeats the value: it may be a secret.
fn pair(text: &str, place: &str) -> Result<(String, String), Failure> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Failure::usage(format!("{place}: a variable is written NAME=VALUE")));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(legal) {
        let allowed = "letters, digits and _, not starting with a digit";
        return Err(Failure::usage(format!("{place}: {name:?} is no name of a variable: {allowed}")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// `90s`, `15m`, `2h30m`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no duration: write 90s, 15m or 2h30m");
    let mut total = 0_u64;
    let mut digits = String::new();
    for sign in text.chars() {
        if sign.is_ascii_digit() {
            digits.push(sign);
            continue;
        }
        let unit = match sign {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(bad()),
        };
        let n: u64 = digits.parse().map_err(|_| bad())?;
        total = n.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        digits.clear();
    }
    if text.is_empty() || !digits.is_empty() { Err(bad()) } else { Ok(Duration::from_secs(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nonsense_is_not() {
        assert_eq!(duration("2h30m"), Ok(Duration::from_secs(9_000)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "5", "m", "5x", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn what_is_typed_wins_over_files_and_no_value_is_ever_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vars");
        std::fs::write(&file, "# comment\nA=1\n\nB='two words'\n").unwrap();
        let flags = VarFlags { var: vec!["A=x=y".into()], var_file: vec![file.clone()] };
        let vars = read(&flags).unwrap();
        assert_eq!(vars["A"], "x=y");
        assert_eq!(vars["B"], "two words");
        std::fs::write(&file, "A=1\n9x=hunter2\n").unwrap();
        let failure = read(&flags).unwrap_err();
        assert!(failure.message.contains("vars:2") && !failure.message.contains("hunter2"), "{}", failure.message);
    }
}
