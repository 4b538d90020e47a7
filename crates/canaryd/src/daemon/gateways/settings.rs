//! What a manifest chooses for its gateway, and what NGINX says to it. What is refused is replaced by what was accepted last, so
//! that addresses and weights still reach the gateway; it is tried again when it changes, and from time to time, since a
//! name that NGINX could not look up may be there later.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use canaryd_rollout::{Gateway as Spec, ModeFrom, Rollout};
use serde::{Deserialize, Serialize};

use super::attempts::same_problem;
use crate::daemon::store::write_atomically;

/// The file of it, beside the gateway's tokens.
const FILE: &str = "settings.json";
/// Until settings that were refused are tried once more; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// The part of a configuration that a person chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Choices {
    pub(super) spec: Spec,
    pub(super) app_port: u16,
    pub(super) mode: Option<ModeFrom>,
}

impl Choices {
    pub(super) fn of(rollout: &Rollout) -> Self {
        Self {
            spec: rollout.gateway.clone(),
            app_port: rollout.app.port.unwrap_or(80),
            mode: rollout.analysis.mode.clone(),
        }
    }
}

/// What became of the choices so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    accepted: Option<Choices>,
    refused: Option<Refusal>,
}

/// Choices that NGINX refuses.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    choices: Choices,
    /// In NGINX's words.
    why: String,
    /// When they are tried once more, and how long was waited before.
    #[serde(skip)]
    next: Option<(Instant, Duration)>,
}

impl Standing {
    /// As an earlier run left it. What cannot be read is found out again.
    pub(super) fn read(dir: &Path) -> Self {
        let found = fs::read(dir.join(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut standing: Self = found.unwrap_or_default();
        if let Some(refusal) = &mut standing.refused {
            refusal.next = Some((Instant::now() + FIRST_PAUSE, FIRST_PAUSE));
        }
        standing
    }

    /// What to render now: the newest choices, or those accepted last while the newest are refused.
    pub(super) fn choose(&self, newest: &Choices) -> Choices {
        let waits = |refusal: &&Refusal| refusal.next.is_none_or(|(at, _)| Instant::now() < at);
        let refused = self.refusal_of(newest).filter(waits);
        refused.and(self.stand_in_for(newest)).unwrap_or_else(|| newest.clone())
    }

    /// What was accepted last, if that is something else than these choices.
    pub(super) fn other_than(&self, choices: &Choices) -> Option<Choices> {
        self.stand_in_for(choices).filter(|accepted| accepted != choices)
    }

    /// What was accepted last, without the trust that the newest choices take back: a secret header that they do not name,
    /// proxies that they do not believe. That must not wait until a mistake beside it is mended.
    fn stand_in_for(&self, newest: &Choices) -> Option<Choices> {
        let mut accepted = self.accepted.clone()?;
        let Spec { force, trusted_proxies, .. } = &mut accepted.spec;
        *force = force.take().filter(|force| newest.spec.force.as_ref() == Some(force));
        trusted_proxies.retain(|proxy| newest.spec.trusted_proxies.contains(proxy));
        Some(accepted)
    }

    /// Why the newest choices are not in force.
    pub(super) fn why_refused(&self, newest: &Choices) -> Option<&str> {
        self.refusal_of(newest).map(|refusal| refusal.why.as_str())
    }

    /// Whether these are the choices that were live last.
    pub(super) fn has_accepted(&self, choices: &Choices) -> bool {
        self.accepted.as_ref() == Some(choices)
    }

    /// Whether NGINX said something to these choices.
    pub(super) fn knows(&self, choices: &Choices) -> bool {
        self.has_accepted(choices) || self.refusal_of(choices).is_some()
    }

    /// A configuration that was rendered from these is live. Whether that is news.
    pub(super) fn accept(&mut self, dir: &Path, choices: &Choices) -> bool {
        let was_refused = self.refusal_of(choices).is_some();
        if self.accepted.as_ref() == Some(choices) && !was_refused {
            return false;
        }
        self.refused = self.refused.take().filter(|_| !was_refused);
        self.accepted = Some(choices.clone());
        self.write(dir);
        true
    }

    /// NGINX refuses these. Whether that is news.
    pub(super) fn refuse(&mut self, dir: &Path, choices: &Choices, why: String) -> bool {
        let before = self.refusal_of(choices).and_then(|refusal| refusal.next);
        let pause = before.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        // The number of the generation is another one each time.
        let is_news = !same_problem(self.why_refused(choices), Some(&why));
        let why = if is_news { why } else { self.why_refused(choices).unwrap_or(&why).to_owned() };
        let next = Some((Instant::now() + pause, pause));
        self.refused = Some(Refusal { choices: choices.clone(), why, next });
        if is_news {
            tracing::warn!(why = self.why_refused(choices), "NGINX refuses the newest settings; those before stay");
            self.write(dir);
        }
        is_news
    }

    /// The next turn tries what was refused: another NGINX may have another word for it.
    pub(super) fn try_again(&mut self) {
        if let Some(refusal) = &mut self.refused {
            refusal.next = Some((Instant::now(), FIRST_PAUSE));
        }
    }

    /// Until these choices, which are refused, are tried once more.
    pub(super) fn next_try(&self, newest: &Choices) -> Option<Duration> {
        let (at, _) = self.refusal_of(newest)?.next?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn refusal_of(&self, choices: &Choices) -> Option<&Refusal> {
        self.refused.as_ref().filter(|refusal| refusal.choices == *choices)
    }

    /// Not written, it is found out again after a restart.
    fn write(&self, dir: &Path) {
        let written = serde_json::to_vec(self).map_err(anyhow::Error::from);
        if let Err(error) = written.and_then(|text| write_atomically(&dir.join(FILE), &text, 0o600)) {
            tracing::warn!(error = format!("{error:#}"), "what NGINX accepted last is not kept");
        }
    }
}

/// What NGINX says of a configuration, with the line that it means instead of its number.
pub(super) fn in_words(output: &str, conf: &str) -> String {
    let line = output.lines().find(|line| line.contains("[emerg]")).unwrap_or(output).trim();
    let said = line.split_once("[emerg] ").map_or(line, |(_, said)| said);
    let is_process = |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == '#');
    let said = said.split_once(": ").filter(|(word, _)| is_process(word)).map_or(said, |(_, said)| said);
    let place = said.rsplit_once(" in ").filter(|(_, place)| place.contains("/generations/"));
    let Some((what, place)) = place else { return said.to_owned() };
    let number = place.rsplit_once(':').and_then(|(_, number)| number.parse::<usize>().ok());
    let meant = number.and_then(|number| conf.lines().nth(number.checked_sub(1)?)).map(str::trim);
    meant.map_or_else(|| what.to_owned(), |meant| format!("\"{meant}\": {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(location: &str) -> Choices {
        let gateway = format!("  gateway:\n    listen: 8080\n    snippets: {{ location: \"{location}\" }}\n");
        Choices::of(&crate::daemon::fake::rollout("v1", "", &gateway))
    }

    #[test]
    fn what_nginx_says_names_the_line_and_no_number() {
        let output = "2026/11/27 15:29:04 [emerg] 44#44: unknown directive \"x\" in /etc/canaryd/generations/1.4t/nginx.conf:2\nnginx: configuration file /etc/canaryd/generations/1.4t/nginx.conf test failed\n";
        assert_eq!(in_words(output, "events {}\n    x on;\n"), "\"x on;\": unknown directive \"x\"");
        let elsewhere = "nginx: [emerg] unknown directive \"x\" in /etc/nginx/mine.conf:3";
        assert_eq!(in_words(elsewhere, ""), "unknown directive \"x\" in /etc/nginx/mine.conf:3");
        let unresolved = "nginx: [emerg] host not found in upstream \"auth\" in /c/generations/1.4/nginx.conf:7";
        assert_eq!(in_words(unresolved, ""), "host not found in upstream \"auth\"");
        assert_eq!(in_words("no words", ""), "no words");
    }

    #[test]
    fn the_choices_before_stand_in_for_refused_ones_until_those_change_or_are_tried_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let (good, bad, mended) = (choices("add_header A b;"), choices("x;"), choices("add_header A c;"));
        let mut standing = Standing::read(dir.path());
        assert_eq!(standing.choose(&good), good);
        assert!(!standing.knows(&good) && standing.other_than(&good).is_none());
        assert!(standing.accept(dir.path(), &good) && !standing.accept(dir.path(), &good));
        assert_eq!(standing.other_than(&bad).as_ref(), Some(&good));
        assert!(standing.refuse(dir.path(), &bad, "\"x;\": unknown".to_owned()));
        assert_eq!((standing.choose(&bad), standing.why_refused(&bad)), (good.clone(), Some("\"x;\": unknown")));
        assert!(!standing.accept(dir.path(), &good), "that what stands in is live is no news");
        let mut standing = Standing::read(dir.path());
        assert_eq!(standing.choose(&bad), good, "an earlier run found it out");
        assert!(standing.next_try(&bad).is_some_and(|wait| wait > Duration::from_secs(20)));
        standing.try_again();
        assert_eq!(standing.choose(&bad), bad);
        assert_eq!(standing.choose(&mended), mended);
        assert!(standing.accept(dir.path(), &mended) && standing.knows(&mended));
        assert!(standing.refuse(dir.path(), &mended, "a name is gone".to_owned()));
        assert_eq!(standing.choose(&mended), mended, "there is nothing else that NGINX ever took");
    }

    #[test]
    fn what_stands_in_for_refused_choices_believes_nobody_whom_those_do_not_believe() {
        let chosen = |rest: &str| {
            Choices::of(&crate::daemon::fake::rollout("v1", "", &format!("  gateway:\n    listen: 8080\n{rest}")))
        };
        let dir = tempfile::tempdir().unwrap();
        let trusting = chosen("    force: { header: X-Lane }\n    trustedProxies: [10.0.0.0/8, 192.168.0.0/16]\n");
        let broken = "    snippets: { location: \"x;\" }\n";
        let warier = chosen(&format!("    trustedProxies: [10.0.0.0/8]\n{broken}"));
        let as_before = Choices {
            spec: Spec { snippets: warier.spec.snippets.clone(), ..trusting.spec.clone() },
            ..trusting.clone()
        };
        let mut standing = Standing::read(dir.path());
        standing.accept(dir.path(), &trusting);
        standing.refuse(dir.path(), &as_before, "no".to_owned());
        assert_eq!(standing.choose(&as_before), trusting, "nothing was taken back");
        standing.refuse(dir.path(), &warier, "no".to_owned());
        let chosen = standing.choose(&warier);
        assert_eq!((chosen.spec.force.is_none(), chosen.spec.trusted_proxies.len()), (true, 1));
        assert_eq!(chosen.spec.snippets, trusting.spec.snippets);
        assert_eq!(standing.other_than(&warier), Some(chosen));
    }
}
