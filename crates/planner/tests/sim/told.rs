//! What a reader of a story is told.

use canaryd_gateway::{Lane, Traffic};
use canaryd_planner::{Action, Live, Plan, Severity, StageState, UndoView, Waiting};
use canaryd_rollout::Weight;

use super::Sim;

impl Sim {
    /// One line with the time since the story began.
    pub fn told(&mut self, line: &str) {
        if !self.strict && !super::LOUD.get() {
            return;
        }
        let began: jiff::Timestamp = super::DAWN.parse().unwrap();
        let seconds = self.now.duration_since(began).as_secs();
        let line = format!("  {:>2}:{:02}  {line}", seconds / 60, seconds % 60);
        if super::LOUD.get() {
            println!("{line}");
        }
        self.told.push(line);
    }

    pub fn tell(&mut self, plan: &Plan) {
        for answer in &plan.answers {
            let word = if answer.accepted { "told" } else { "refused" };
            self.told(&format!("mina is {word}: {}", answer.message));
        }
        for event in &plan.events {
            let loud = match event.severity {
                Severity::Info => "",
                Severity::Warning => "! ",
                Severity::Notify => "!! ",
            };
            self.told(&format!("{loud}{}: {}", event.kind, event.message));
        }
        let forgotten: Vec<String> = plan.actions.iter().filter_map(|a| self.forgotten(a)).collect();
        for version in forgotten {
            self.told(&format!("files and images of {version} go"));
        }
    }

    fn forgotten(&self, action: &Action) -> Option<String> {
        match action {
            Action::ForgetRevision { revision } if self.docker.kept.contains(revision) => {
                Some(self.docker.version(revision))
            }
            Action::ForgetRevision { .. }
            | Action::Route(_)
            | Action::EnsureSet(_)
            | Action::RemoveSet { .. }
            | Action::SaveFailure { .. }
            | Action::KeepImages { .. }
            | Action::RemoveGateway
            | Action::ResolveAgain => None,
        }
    }

    pub fn tell_traffic(&mut self, before: Option<&Live>) {
        let now = self.nginx.live.clone();
        let words = |live: Option<&Live>| live.map_or("no gateway".to_owned(), |l| self.split(l));
        let (was, is) = (words(before), words(now.as_ref()));
        if was != is && !(self.waking && now.is_none()) {
            self.told(&format!("users get {is}"));
        }
    }

    fn split(&self, live: &Live) -> String {
        let canary = match live.intent.traffic {
            Traffic::Nobody => return "503".to_owned(),
            Traffic::Stopped { page: None, .. } => return "the page".to_owned(),
            Traffic::Stopped { page: Some(page), .. } => return format!("the page {page}"),
            Traffic::Split { canary } => canary,
        };
        let version = |lane| {
            let set = live.intent.lane(lane).first().and_then(|e| self.docker.set(&e.set));
            set.map_or("what is gone".to_owned(), |s| self.docker.version(&s.revision))
        };
        match canary {
            Weight::ZERO => version(Lane::Production),
            Weight::FULL => format!("{} as canary", version(Lane::Canary)),
            _ => {
                format!("{canary} % {}, {} % {}", version(Lane::Canary), canary.complement(), version(Lane::Production))
            }
        }
    }

    /// What `canaryd status` would be made of.
    pub fn show(&self) -> Vec<String> {
        let Some(report) = self.last.as_ref().and_then(|p| p.report.as_ref()) else {
            return vec!["  | nothing is known of it".to_owned()];
        };
        let mut lines = vec![report.sentence.clone()];
        let stages: Vec<String> = report.stages.iter().map(|s| format!("{}{}", s.weight, mark(s.state))).collect();
        let weight = format!("live {} %, wanted {} %", report.live_weight, report.wanted_weight);
        lines.push(format!("{} [{}] {weight}", report.phase, stages.join(" ")));
        if let Some(outcome) = &report.outcome {
            lines.push(format!("last: {} {:?}: {}", outcome.version, outcome.outcome, outcome.reason));
        }
        lines.extend(report.waiting.iter().map(|w| format!("waits for {}", waits(w))));
        lines.extend(report.notes.iter().map(|n| format!("note: {n}")));
        lines.extend(report.paused.iter().map(|p| format!("paused {p}")));
        lines.extend(report.manual.iter().map(|m| format!("by hand {m}")));
        for set in &self.docker.sets {
            let replicas: Vec<String> =
                set.replicas.iter().map(|r| format!("{} {}", r.ordinal, word(&format!("{:?}", r.state)))).collect();
            let version = self.docker.version(&set.revision);
            lines.push(format!("{} {version} ({}): {}", set.component, set.id, replicas.join(", ")));
        }
        lines.push(match &report.undo {
            UndoView::Warm { version, .. } => format!("undo: warm, to {version}"),
            UndoView::Cold { version } => format!("undo: cold, to {version}"),
            UndoView::Impossible { why } => format!("undo: impossible, {why}"),
        });
        lines.push(format!("can: {}", report.can.join(", ")));
        lines.into_iter().map(|l| format!("  | {l}")).collect()
    }
}

fn word(name: &str) -> String {
    name.to_lowercase()
}

fn mark(state: StageState) -> &'static str {
    match state {
        StageState::Ahead => "",
        StageState::Current => "<",
        StageState::Passed => "+",
        StageState::Skipped => "~",
        StageState::Failed => "!",
    }
}

fn waits(waiting: &Waiting) -> String {
    match waiting {
        Waiting::ImagePull { image, progress } => format!("image {image} {}", progress.clone().unwrap_or_default()),
        Waiting::Healthy { component, ordinal, last } => {
            format!("{component} {ordinal} to be healthy ({})", last.clone().unwrap_or_default())
        }
        Waiting::GatewayLive { problem } => format!("the gateway ({})", problem.clone().unwrap_or_default()),
        Waiting::Time { seconds } => format!("{seconds} s of time"),
        Waiting::Samples { check, have, need, .. } => format!("{need} requests more than {have} for {check}"),
        Waiting::Evidence { why } => format!("evidence: {why}"),
        Waiting::Sight { why, seconds } => format!("{seconds} s of sight: {why}"),
        Waiting::Settings { why } => format!("settings that NGINX takes: {why}"),
        Waiting::Environment { why } => format!("its environment: {why}"),
        Waiting::Drain { workers, seconds } => format!("the drain: {workers} old workers, at most {seconds} s"),
        Waiting::Slot { ahead } => {
            format!("the turn of {}", ahead.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Waiting::Resume { why, verb, .. } => format!("{verb}: {why}"),
        Waiting::Manual { why } => format!("control: {why}"),
        Waiting::Workers { component, done, of } => format!("{component}: {done} of {of}"),
        Waiting::Ending { containers } => format!("{containers} containers to end"),
        Waiting::Start { why } => format!("a start: stopped {why}"),
        Waiting::Trouble { why } => format!("trouble: {why}"),
        Waiting::Deletion { seconds, .. } => format!("deletion in {seconds} s"),
    }
}
