//! The keys of a screen that is followed. A key never acts: it opens a question that names the effect, and only the
//! typed word yes, with Enter, answers it.

use canaryd_planner::{Expected, Report, Verb, VersionView};

use super::style::{tame, wrap};
use super::words::{canary_version, next_stage, share, told_apart};

/// More is not the word yes.
const LONGEST: usize = 16;

/// What the keyboard has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    question: Option<Question>,
    said: Option<String>,
}

#[derive(Debug)]
struct Question {
    asked: Asked,
    text: String,
    typed: String,
}

/// A command that somebody said yes to, and what they saw when the question was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What to do.
    pub(crate) verb: Verb,
    /// Refused when something else is on trial by now.
    pub(crate) expected: Expected,
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// At most another line below the screen.
    Nothing,
    /// The end of the screen, not of the rollout.
    Leave,
    /// The checks, explained.
    Explain,
    /// The last lines of the version on trial.
    Logs,
    /// The question was answered with yes.
    Send(Asked),
}

impl Desk {
    /// A key was pressed while this was on the screen.
    pub(crate) fn press(&mut self, key: u8, report: &Report) -> Wanted {
        self.said = None;
        if let Some(question) = self.question.take() {
            return self.answer(question, key);
        }
        let pause = if can(report, "resume") { Verb::Resume } else { Verb::Pause };
        match key {
            b'q' => return Wanted::Leave,
            b'e' => return Wanted::Explain,
            b'l' => return Wanted::Logs,
            b'a' => self.ask(Verb::Advance, report),
            b'p' => self.ask(pause, report),
            b'b' => self.ask(Verb::Abort, report),
            _ => {}
        }
        Wanted::Nothing
    }

    /// What became of it.
    pub(crate) fn say(&mut self, text: &str) {
        self.said = Some(tame(text).replace('\n', " "));
    }

    /// The lines below the screen: the question, or what was said last and the keys.
    pub(crate) fn lines(&self, report: &Report, width: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        if let Some(Question { text, typed, .. }) = &self.question {
            lines.extend(wrap("  ", "  ", &format!("{text} Type yes and Enter: {typed}_"), width));
            return lines;
        }
        lines.extend(self.said.iter().flat_map(|said| wrap("  ", "  ", said, width)));
        let keys = [("advance", "[a]dvance"), ("pause", "[p]ause"), ("resume", "[p] resume"), ("abort", "a[b]ort …")];
        let mut shown: Vec<&str> = keys.iter().filter(|(verb, _)| can(report, verb)).map(|(_, key)| *key).collect();
        shown.extend(["[e]xplain", "[l]ogs", "[q]uit: it goes on"]);
        lines.extend(wrap("  ", "  ", &shown.join(" · "), width));
        lines
    }

    fn ask(&mut self, verb: Verb, report: &Report) {
        let Some((name, effect)) = effect(&verb, report) else { return };
        if !can(report, name) {
            return self.say(&format!("{name} makes no sense now"));
        }
        // what protects users is not refused because things moved on
        let mut expected = Expected::of(report);
        if verb != Verb::Advance {
            expected = Expected { revision: expected.revision, ..Expected::default() };
        }
        let text = tame(&format!("{name}: {effect}."));
        self.question = Some(Question { asked: Asked { verb, expected }, text, typed: String::new() });
    }

    fn answer(&mut self, mut question: Question, key: u8) -> Wanted {
        match key {
            b'\r' | b'\n' if question.typed == "yes" => return Wanted::Send(question.asked),
            // Enter with another word, or Escape.
            b'\r' | b'\n' | 0x1b => {
                self.say("nothing was done");
                return Wanted::Nothing;
            }
            0x08 | 0x7f => drop(question.typed.pop()),
            key if (key.is_ascii_graphic() || key == b' ') && question.typed.len() < LONGEST => {
                question.typed.push(char::from(key));
            }
            _ => {}
        }
        self.question = Some(question);
        Wanted::Nothing
    }
}

fn can(report: &Report, verb: &str) -> bool {
    report.can.iter().any(|can| can == verb)
}

/// The verb as it is typed, and what it would do now.
fn effect(verb: &Verb, report: &Report) -> Option<(&'static str, String)> {
    let version = canary_version(report);
    let named = |v: &VersionView| told_apart(report, &v.version, &v.revision);
    let before = report.production.as_ref().map_or_else(|| "nobody".to_owned(), named);
    let now = share(report.live_weight);
    let next = next_stage(report).map_or("production".to_owned(), |stage| share(stage.weight));
    Some(match verb {
        Verb::Advance => {
            let text = format!(
                "{version} goes from {now} on to {next} as soon as it is healthy; a failing check still takes it off"
            );
            ("advance", text)
        }
        Verb::Pause => ("pause", format!("{version} stays at {now} until resume; a failing check still takes it off")),
        Verb::Resume => ("resume", format!("{version} goes on by itself from {now}")),
        Verb::Abort => ("abort", format!("the {now} of {version} go back to {before} now, and it is not tried again")),
        Verb::Promote { .. }
        | Verb::Undo
        | Verb::Rollback
        | Verb::Retry
        | Verb::Restart
        | Verb::Traffic { .. }
        | Verb::Stop { .. }
        | Verb::Start
        | Verb::Delete => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(can: &[&str]) -> Report {
        let version =
            |v: &str, r: &str| serde_json::json!({ "version": v, "revision": r, "since": "2026-11-23T12:00:00Z" });
        let stage = |weight: u32| serde_json::json!({ "weight": weight, "observe": 1.0, "observed": 0.0, "requests": 0, "state": "ahead" });
        serde_json::from_value(serde_json::json!({
            "name": "shop", "phase": "observing", "sentence": "", "liveWeight": 5, "wantedWeight": 5,
            "production": version("v1", "aaaaaaaaaa"), "canary": version("v2", "bbbbbbbbbb"),
            "stages": [stage(5), stage(25)], "stage": 0, "checks": [], "waiting": [], "notes": [], "can": can,
            "undo": { "is": "cold", "version": "v1" }, "replicas": {}
        }))
        .unwrap()
    }

    fn type_in(desk: &mut Desk, keys: &str, report: &Report) -> Wanted {
        keys.bytes().map(|key| desk.press(key, report)).last().unwrap()
    }

    #[test]
    fn a_key_opens_a_question_that_names_the_effect_and_only_yes_and_enter_act() {
        let report = report(&["abort", "pause", "advance"]);
        let mut desk = Desk::default();
        assert_eq!(desk.press(b'b', &report), Wanted::Nothing);
        let shown = desk.lines(&report, 200).join("\n");
        assert!(shown.contains("abort: the 5 % of v2 go back to v1 now") && shown.contains("Type yes"), "{shown}");
        assert_eq!(type_in(&mut desk, "ye", &report), Wanted::Nothing);
        assert_eq!(desk.press(b's', &report), Wanted::Nothing, "not without Enter");
        let Wanted::Send(asked) = desk.press(b'\r', &report) else { panic!("yes was typed") };
        assert_eq!(asked.verb, Verb::Abort);
        assert_eq!(asked.expected.revision, report.canary.as_ref().map(|c| c.revision.clone()), "another is not hit");
        assert_eq!(asked.expected.stage, None);
    }

    #[test]
    fn anything_but_yes_does_nothing_and_says_so() {
        let report = report(&["abort", "pause", "advance"]);
        for keys in ["b\r", "by\r", "bno\r", "byess\r", "b yes\r", "byes\u{1b}", "bb\r", "bYES\r", "bq\r"] {
            let mut desk = Desk::default();
            assert_eq!(type_in(&mut desk, keys, &report), Wanted::Nothing, "{keys:?}");
            assert!(desk.lines(&report, 200).join("\n").contains("nothing was done"), "{keys:?}");
        }
        let mut desk = Desk::default();
        assert!(matches!(type_in(&mut desk, "ayex\u{7f}s\r", &report), Wanted::Send(_)), "a slip can be mended");
    }

    #[test]
    fn an_advance_is_of_the_stage_that_was_seen_and_what_makes_no_sense_asks_nothing() {
        let report = report(&["abort", "resume", "advance"]);
        let mut desk = Desk::default();
        desk.press(b'a', &report);
        assert!(desk.lines(&report, 200).join("\n").contains("v2 goes from 5 % on to 25 %"));
        let Wanted::Send(asked) = type_in(&mut desk, "yes\r", &report) else { panic!("yes was typed") };
        assert_eq!((asked.verb, asked.expected.stage), (Verb::Advance, Some(0)));
        desk.press(b'p', &report);
        assert!(desk.lines(&report, 200).join("\n").contains("resume: v2 goes on by itself"), "it is paused");

        let idle = self::report(&[]);
        let mut desk = Desk::default();
        assert_eq!(type_in(&mut desk, "byes\r", &idle), Wanted::Nothing);
        desk.press(b'a', &idle);
        assert!(desk.lines(&idle, 200).join("\n").contains("advance makes no sense now"));
        assert_eq!(
            [b'q', b'e', b'l'].map(|key| desk.press(key, &idle)),
            [Wanted::Leave, Wanted::Explain, Wanted::Logs]
        );
    }
}
