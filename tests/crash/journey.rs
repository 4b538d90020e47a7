//! The journeys that are interrupted: where each begins, what is asked, when it has arrived, and what is to be found then.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use canaryd_cockpit::CommandRequest;
use canaryd_e2e::{
    EngineProxy, Host, Manifest, Traffic, containers, demo_image, docker, free_port, good_images, http, inspect,
    remove_leftovers, weights,
};
use canaryd_planner::{Outcome, Report, Verb};

/// A way from one state of rest to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journey {
    /// From nothing to v1 in production.
    Install,
    /// From v1 in production through the stages to v2.
    Promote,
    /// From v1 in production to v2 on trial, which answers 500, and back.
    Revert,
    /// From v2 in production back to v1.
    Undo,
    /// From v1 in production, and v2 before it, to nothing.
    Delete,
}

impl Journey {
    fn is_command(self) -> Option<Verb> {
        match self {
            Self::Undo => Some(Verb::Undo),
            Self::Delete => Some(Verb::Delete),
            Self::Install | Self::Promote | Self::Revert => None,
        }
    }

    /// Whether users are to notice nothing of it.
    pub(crate) fn loses_nothing(self) -> bool {
        matches!(self, Self::Promote | Self::Undo)
    }

    /// Stages that it goes through.
    pub(crate) fn stages(self) -> usize {
        match self {
            Self::Promote => 2,
            Self::Revert => 1,
            Self::Install | Self::Undo | Self::Delete => 0,
        }
    }
}

/// Good v1 and v2; one repository for all.
fn good() -> &'static str {
    static MADE: OnceLock<String> = OnceLock::new();
    MADE.get_or_init(|| good_images("crash", &["v1", "v2"]))
}

/// v1 is good, v2 answers 500 and says that it is well.
fn bad() -> &'static str {
    static MADE: OnceLock<String> = OnceLock::new();
    MADE.get_or_init(|| {
        demo_image("crash-bad", "v1", &[]);
        demo_image("crash-bad", "v2", &[("FAULT", "errors"), ("HEALTH_LIES", "well")])
    })
}

/// Tags of ours that keep a rollout's images; they are removed.
fn take_tags(name: &str) -> Vec<String> {
    let repository = format!("canaryd/{name}-app");
    let tags = docker(&["image", "ls", "--format", "{{.Tag}}", &repository]);
    let mut tags: Vec<String> = tags.lines().map(str::to_owned).collect();
    tags.sort();
    for tag in &tags {
        docker(&["image", "rm", &format!("{repository}:{tag}")]);
    }
    tags
}

/// A host at the beginning of a journey.
pub(crate) struct Bench {
    pub(crate) journey: Journey,
    pub(crate) host: Host,
    pub(crate) proxy: EngineProxy,
    pub(crate) name: String,
    /// Users, from when v1 serves.
    pub(crate) traffic: Option<Traffic>,
    manifest: Manifest,
    command: Option<CommandRequest>,
}

impl Bench {
    /// Up to where the journey begins; nothing is interrupted.
    pub(crate) async fn begin(journey: Journey, name: &str) -> Self {
        remove_leftovers(name);
        let _ = take_tags(name);
        let port = free_port();
        let repository = if journey == Journey::Revert { bad() } else { good() };
        let manifest = Manifest::new(name, repository, "v1", port).stages(&[(25.0, 1), (100.0, 1)]);
        let proxy = EngineProxy::start();
        let host = Host::start_in(&[], &[("DOCKER_HOST", &proxy.docker_host())]).await;
        let mut traffic = None;
        if journey != Journey::Install {
            host.set(&manifest);
            host.until_serving(name, "v1").await;
            http::until_steady(port).await;
            traffic = Some(Traffic::gentle(port));
        }
        let manifest = if journey == Journey::Install { manifest } else { manifest.version("v2") };
        if journey.is_command().is_some() {
            host.set(&manifest);
            host.until_serving(name, "v2").await;
        }
        let bench = Self { journey, host, proxy, name: name.to_owned(), traffic, manifest, command: None };
        if journey != Journey::Install {
            bench.host.until(name, "it is at rest", |r| r.waiting.is_empty()).await;
            bench.until_quiet().await;
        }
        bench
    }

    /// Nothing was changed for a while.
    async fn until_quiet(&self) {
        let mut before = self.proxy.changes().len();
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = self.proxy.changes().len();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Asks for the journey; a command is given until it is acknowledged, always as the same one.
    pub(crate) fn ask(&mut self) {
        match self.journey.is_command() {
            None => self.host.set(&self.manifest),
            Some(verb) => {
                let id = Some(format!("{}-command", self.name));
                self.command = Some(CommandRequest { id, comment: None, expected: None, verb });
            }
        }
    }

    /// Gives the command that is not acknowledged yet.
    pub(crate) async fn press_on(&mut self) {
        let Some(request) = &self.command else { return };
        let Ok(client) = canaryd_cockpit::Client::connect(self.host.socket()).await else { return };
        let Ok(answer) = client.command(&self.name.parse().expect("a name"), request).await else { return };
        if answer.accepted {
            self.command = None;
        } else {
            // A disk that has too much to do: it is to be said again.
            assert!(answer.message.contains("journal"), "{}: {answer:?}\n{}", self.name, self.host.log());
            let id = format!("{}-again", answer.id);
            self.command = Some(CommandRequest { id: Some(id), ..request.clone() });
        }
    }

    /// What the daemon says, if it does.
    pub(crate) async fn report(&self) -> Option<Report> {
        let client = canaryd_cockpit::Client::connect(self.host.socket()).await.ok()?;
        client.report(&self.name.parse().ok()?).await.ok()
    }

    /// Whether it is where the journey leads, and at rest.
    pub(crate) async fn has_arrived(&self) -> bool {
        if self.command.is_some() {
            return false;
        }
        if self.journey == Journey::Delete {
            return self.is_deleted();
        }
        let Some(report) = self.report().await else { return false };
        let ended = |version: &str, how: Outcome| {
            report.outcome.as_ref().is_some_and(|o| o.version == version && o.outcome == how)
        };
        let serves = |version: &str| report.production.as_ref().is_some_and(|p| p.version == version);
        let there = match self.journey {
            Journey::Install => serves("v1") && ended("v1", Outcome::Promoted),
            Journey::Promote => serves("v2") && ended("v2", Outcome::Promoted),
            Journey::Revert => serves("v1") && ended("v2", Outcome::Reverted) && self.is_saved(),
            Journey::Undo => serves("v1") && ended("v2", Outcome::Undone),
            Journey::Delete => false,
        };
        there && report.phase == "idle" && report.canary.is_none() && report.waiting.is_empty() && self.is_stopped()
    }

    /// What was taken off runs no more.
    fn is_stopped(&self) -> bool {
        let off = matches!(self.journey, Journey::Revert | Journey::Undo);
        !off || self.host.of_version(&self.name, "app", "v2").iter().all(|c| !c.running)
    }

    fn is_saved(&self) -> bool {
        let bundles = fs::read_dir(self.host.state().join("failures")).into_iter().flatten().flatten();
        let mut whole = bundles.map(|b| b.path().join("report.md").exists());
        whole.next() == Some(true)
    }

    fn is_deleted(&self) -> bool {
        let label = format!("label=io.canaryd.instance={}", self.host.instance());
        docker(&["ps", "-aq", "--filter", &label]).is_empty()
            && docker(&["network", "ls", "-q", "--filter", &label]).is_empty()
            && !self.host.state().join("gateways").join(&self.name).exists()
    }

    /// What is to be found at the end, whatever happened on the way.
    pub(crate) async fn end(&self) -> End {
        self.until_quiet().await;
        let instance = self.host.instance();
        let report = self.report().await;
        let mut found: Vec<String> = containers(&instance, &self.name, "app")
            .iter()
            .map(|c| {
                let policy = inspect(&c.id, "{{.HostConfig.RestartPolicy.Name}}");
                // Not by its number: that it has the next one is no promise.
                format!("{} {} {} {policy}", c.version, c.set, if c.running { "runs" } else { "stopped" })
            })
            .collect();
        let label = format!("label=io.canaryd.instance={instance}");
        found.push(format!("{} containers", docker(&["ps", "-aq", "--filter", &label]).lines().count()));
        found.push(format!("{} networks", docker(&["network", "ls", "-q", "--filter", &label]).lines().count()));
        let tags = take_tags(&self.name);
        let version = |v: &Option<canaryd_planner::VersionView>| v.as_ref().map(|v| v.version.clone());
        let events = self.host.events(&self.name).await;
        End {
            phase: report.as_ref().map(|r| r.phase.clone()).unwrap_or_default(),
            production: report.as_ref().and_then(|r| version(&r.production)),
            previous: report.as_ref().and_then(|r| version(&r.previous)),
            ended: report
                .as_ref()
                .and_then(|r| Some((r.outcome.as_ref()?.version.clone(), r.outcome.as_ref()?.outcome))),
            containers: found,
            tags,
            weights: weights(&self.host.generations(&self.name)),
            history: events.iter().filter_map(told).collect(),
            bundles: fs::read_dir(self.host.state().join("failures")).into_iter().flatten().count(),
        }
    }
}

/// What counts of an event. That an engine with much to do took its time is no matter of kills; nor is it that who is to blame
/// was decided a look later, since a daemon that has just started has not asked the engine yet.
fn told(event: &canaryd_cockpit::EventLine) -> Option<String> {
    match event.kind.as_str() {
        "trouble" | "trouble-over" | "suspected" => None,
        "stage-entered" => Some(event.message.clone()),
        kind => Some(kind.to_owned()),
    }
}

/// Everything that must be the same, however often the daemon was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) phase: String,
    pub(crate) production: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) ended: Option<(String, Outcome)>,
    /// Every container, and how many there are of the instance; how many networks.
    pub(crate) containers: Vec<String>,
    /// Revisions whose image is kept from being pruned.
    pub(crate) tags: Vec<String>,
    /// The weights that the gateway went through.
    pub(crate) weights: Vec<String>,
    /// Kinds of the events; for a stage, its message.
    pub(crate) history: Vec<String>,
    /// Failures that were saved.
    pub(crate) bundles: usize,
}
