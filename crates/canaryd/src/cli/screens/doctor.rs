//! What the doctor found: one line for each thing, and below a bad one what it means and what mends it.

use crate::cli::style::{Sign, Style, pad, tame, width_of, wrap};
use crate::doctor::{Diagnosis, Finding, Level};

/// Room for the word that says how bad it is.
const WORD: usize = 7;
/// Names of rollouts may be longer than the screen is wide.
const LONGEST_ITEM: usize = 22;

/// The screen of `canaryd doctor`.
pub(crate) fn render_doctor(found: &Diagnosis, width: usize, style: Style) -> String {
    let items = found.findings.iter().map(|f| f.item.chars().count());
    let column = items.max().unwrap_or(0).min(LONGEST_ITEM);
    let mut lines = wrap("", "  ", &sentence(found), width);
    lines[0] = style.bold(&lines[0]);
    lines.push(String::new());
    for finding in &found.findings {
        lines.extend(render_finding(finding, column, width, style));
    }
    style.finish(lines.join("\n") + "\n")
}

/// Findings alone, one below the other.
pub(crate) fn render_findings(findings: &[Finding], width: usize, style: Style) -> String {
    let column = findings.iter().map(|f| f.item.chars().count()).max().unwrap_or(0).min(LONGEST_ITEM);
    let lines: Vec<String> = findings.iter().flat_map(|f| render_finding(f, column, width, style)).collect();
    style.finish(lines.join("\n") + "\n")
}

fn sentence(found: &Diagnosis) -> String {
    let count = |level| found.findings.iter().filter(|f| f.level == level).count();
    let things = |n: usize| if n == 1 { "1 thing is".to_owned() } else { format!("{n} things are") };
    let warnings = match count(Level::Warning) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    };
    let verdict = match count(Level::Wrong) {
        0 => format!("nothing is wrong{warnings}"),
        n => format!("{} wrong{warnings}", things(n)),
    };
    let daemon = if found.daemon { "the daemon answers" } else { "no daemon answers" };
    format!("canaryd {} on {}: {verdict}; {daemon}.", found.version, found.host)
}

fn render_finding(finding: &Finding, column: usize, width: usize, style: Style) -> Vec<String> {
    let (sign, word) = match finding.level {
        Level::Ok => (Sign::Done, "ok".to_owned()),
        Level::Warning => (Sign::Warning, style.yellow("warning")),
        Level::Wrong => (Sign::Wrong, style.red("wrong")),
    };
    let indent = " ".repeat(2 + WORD + 2);
    let first = format!("{} {}  {}", style.sign(sign), pad(&word, WORD), pad(&tame(&finding.item), column + 2));
    // Where the columns leave no room for words, these begin a line below.
    let rest = " ".repeat((2 + WORD + 2 + column + 2).min(width / 2));
    let longest = finding.said.split_whitespace().map(width_of).max().unwrap_or(0);
    let fits = rest.len() + longest <= width;
    let mut lines = if finding.item.chars().count() > column || !fits {
        let rest = if fits { &rest } else { &indent };
        let said = wrap(rest, rest, &tame(&finding.said), width);
        [vec![first.trim_end().to_owned()], said].concat()
    } else {
        wrap(&first, &rest, &tame(&finding.said), width)
    };
    for (name, text) in [("means", &finding.means), ("mend", &finding.mend)] {
        let Some(text) = text else { continue };
        lines.extend(wrap(&format!("{indent}{}", pad(name, 6)), &format!("{indent}      "), &tame(text), width));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis() -> Diagnosis {
        let finding = |item: &str, level, means: Option<&str>| Finding {
            item: item.into(),
            level,
            said: "what is so, in words that are long enough to need more than one line of a screen".into(),
            means: means.map(str::to_owned),
            mend: means.map(|_| "sudo systemctl restart canaryd".into()),
        };
        Diagnosis {
            host: "vm".into(),
            version: "0.1.0".into(),
            at: "2026-11-27T12:00:00Z".parse().unwrap(),
            daemon: true,
            engine: true,
            verdict: Level::Wrong,
            findings: vec![
                finding("daemon", Level::Ok, None),
                finding("disk", Level::Warning, Some("a log may fill it")),
                finding("gateway fragrance-ai", Level::Wrong, Some("its users get no answer")),
            ],
        }
    }

    #[test]
    fn words_carry_the_meaning_and_no_line_is_too_long() {
        for width in [40, 80] {
            let text = render_doctor(&diagnosis(), width, Style::PLAIN);
            assert!(text.lines().all(|line| width_of(line) <= width), "{text}");
            for words in ["1 thing is wrong, 1 warning", "✔ ok", "! warning", "✘ wrong", "means", "mend"] {
                assert!(text.replace("\n  ", " ").contains(words), "{words}: {text}");
            }
        }
    }

    #[test]
    fn a_name_that_is_longer_than_its_column_has_a_line_of_its_own() {
        let mut diagnosis = diagnosis();
        let name = format!("gateway {}", "n".repeat(40));
        diagnosis.findings[2].item.clone_from(&name);
        diagnosis.findings[0].said = format!("canaryd-{} has a subnet", "n".repeat(40));
        let text = render_doctor(&diagnosis, 80, Style::PLAIN);
        assert!(text.lines().any(|line| line.ends_with(&name)), "{text}");
        assert!(text.lines().all(|line| width_of(line) <= 80), "{text}");
    }

    #[test]
    fn ascii_is_ascii_and_the_same_words() {
        let text = render_doctor(&diagnosis(), 80, Style { colour: false, ascii: true });
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("+ ok") && text.contains("x wrong") && text.contains("! warning"), "{text}");
    }
}
