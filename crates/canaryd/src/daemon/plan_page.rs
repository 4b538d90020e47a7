//! What `canaryd plan FILE` shows: what would be done about a manifest now and why. Nothing is changed by asking.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use canaryd_cockpit::{PlanChange, PlanMemory, PlanPage, PlanStep, plan_table};
use canaryd_gateway::Traffic;
use canaryd_planner::{Action, Course, Desired, Memory, Slots, plan};
use canaryd_rollout::{
    CheckKind, Class, Draft, ImageState, Rollout, RolloutName, SourceText, Weight, diff, fmt, parse, peak_memory,
};
use jiff::Timestamp;

use super::bells::lock;
use super::book::Standing;
use super::house::House;
use super::manifests::port_conflict;
use super::plan_gateway;
use super::resolver::{Pulling, resolve_draft};
use super::world::world_of;

/// One page for each manifest of the text.
pub(crate) async fn pages(house: &Arc<House>, source: String, text: String) -> Result<Vec<PlanPage>, String> {
    let file = PathBuf::from(&source);
    let vars = lock(&house.book).vars().clone();
    let parsed = parse(&SourceText { name: source, text }, &vars);
    if parsed.problems.iter().any(canaryd_rollout::Diagnostic::is_error) {
        return Err(parsed.problems.iter().map(|p| p.render(false)).collect::<Vec<_>>().join("\n"));
    }
    let mut pages = Vec::new();
    for draft in &parsed.drafts {
        let mut page = page(house, draft, &file).await?;
        let said = parsed.problems.iter().filter(|said| said.rollout.as_ref() == Some(draft.name()));
        page.warnings.extend(said.map(|said| format!("line {}: {}", said.line, said.message)));
        pages.push(page);
    }
    Ok(pages)
}

async fn page(house: &Arc<House>, draft: &Draft, file: &Path) -> Result<PlanPage, String> {
    let known = house.cell(draft.name());
    let resolution = resolve_draft(house, known.as_deref(), draft, file, Pulling::Never).await;
    let rollout = resolution.map_err(|problems| problems.join("\n"))?.rollout;
    let memory = match &known {
        Some(cell) => cell.memory.lock().await.clone(),
        None => Memory::default(),
    };
    let in_force = known.as_ref().and_then(|cell| lock(&cell.wish).rollout.clone());
    let kept = memory.production_revision().and_then(|r| house.store.revision(&rollout.name, &r));
    let kept = kept.map(|kept| as_it_runs(&kept, in_force.as_deref()));
    let production = kept.as_ref();
    let rate = known.as_ref().map(|cell| super::evidence::view(cell).requests_per_second);
    let decided = decide(house, &rollout, &memory);
    let course = memory.course(&rollout, Timestamp::now());
    let stopped = memory.is_stopped().then(|| {
        let name = &rollout.name;
        format!("{name} is stopped for maintenance: nothing of this begins before canaryd start {name}")
    });
    let mut notes: Vec<String> = stopped.into_iter().collect();
    notes.extend(standstill(&course, &rollout.name, &rollout.version));
    let moves = known.as_deref().filter(|_| matches!(course, Course::Stages | Course::Back));
    let connections = plan_gateway::connections(moves, production, &rollout, &course).await;
    let replacement = plan_gateway::replacement(known.as_deref(), &rollout).await;
    notes.extend(plan_gateway::notes(connections.as_ref(), replacement.as_ref()));
    let strictest = rollout.checks.iter().map(allowed).fold(1.0, f64::min);
    Ok(PlanPage {
        host: house.config.host.clone(),
        name: rollout.name.clone(),
        from: production.map(|p| p.version.clone()),
        to: rollout.version.clone(),
        now: decided.0,
        actions: decided.1,
        warnings: warnings(&rollout).into_iter().chain(conflicts(house, draft, &rollout, file)).collect(),
        changes: production.map(|p| changes(p, in_force.as_deref(), &rollout)).unwrap_or_default(),
        memory: Some(PlanMemory {
            from: production.and_then(|p| p.app.container.resources.memory),
            to: rollout.app.container.resources.memory,
            together: peak_memory(production, &rollout),
            free: house.engine.free_memory().await,
        }),
        steps: steps(&course, &memory, production, &rollout),
        notes,
        connections,
        replacement,
        requests_per_second: rate,
        stages: plan_table(&rollout.stages, rate.unwrap_or(0.0), strictest, rollout.analysis.beta),
    })
}

fn allowed(check: &canaryd_rollout::Check) -> f64 {
    match check.kind {
        CheckKind::ErrorRate { max } => max,
        CheckKind::Latency { quantile, .. } => 1.0 - quantile,
    }
}

/// How things stand at this moment, and what the planner itself says to this manifest: the first actions, in words, if it
/// were saved.
fn decide(house: &Arc<House>, rollout: &Rollout, memory: &Memory) -> (String, Vec<String>) {
    let cell = house.cell(&rollout.name).unwrap_or_else(|| house.detached_cell(&rollout.name, memory.clone()));
    let slots = Slots { may_move: true, may_start: true, ahead: Vec::new() };
    let mut world = world_of(house, &cell, memory, slots);
    // As `status` says it: its turn may be another one than is assumed here.
    let published = lock(&cell.report).as_ref().map(|report| report.sentence.clone());
    let present = published.unwrap_or_else(|| format!("nothing of {} runs yet", rollout.name));
    world.desired = Desired::Ready(Box::new(rollout.clone()));
    let decided = plan(memory, &world, Timestamp::now());
    (present, decided.actions.iter().map(in_words).collect())
}

/// One action as a person would say it.
pub(crate) fn in_words(action: &Action) -> String {
    match action {
        Action::Route(intent) => match intent.traffic {
            Traffic::Stopped { .. } => "let the gateway show the maintenance page (503)".to_owned(),
            Traffic::Nobody => "let the gateway answer 503 until a replica is healthy".to_owned(),
            Traffic::Split { canary } => format!("ask the gateway for {canary} % to the canary"),
        },
        Action::EnsureSet(goal) => {
            let (running, stopped, removed) = (goal.running.len(), goal.stopped.len(), goal.removed.len());
            let mut text = format!("ensure {} of {}: {running} running", goal.component, goal.revision);
            if stopped > 0 {
                text.push_str(&format!(", {stopped} kept stopped"));
            }
            if removed > 0 {
                text.push_str(&format!(", {removed} removed"));
            }
            text
        }
        Action::RemoveSet { set, grace } => format!("stop set {set} (grace {}) and remove it", fmt::duration(*grace)),
        Action::SaveFailure { set, .. } => format!("save logs and facts of set {set}"),
        Action::KeepImages { revision } => format!("keep the images of revision {revision} from being pruned"),
        Action::ForgetRevision { revision } => format!("forget revision {revision}"),
        Action::RemoveGateway => "stop and remove the gateway".to_owned(),
        Action::ResolveAgain => "look the images up again".to_owned(),
    }
}

fn warnings(rollout: &Rollout) -> Vec<String> {
    let mut warnings = Vec::new();
    for (reference, state) in &rollout.images {
        match state {
            ImageState::Present { .. } => {}
            ImageState::Pending => warnings.push(format!("image {reference} is not looked up yet")),
            ImageState::Missing { reason } => warnings.push(reason.clone()),
        }
    }
    warnings
}

/// What would keep it from being taken over beside what is in force.
fn conflicts(house: &House, draft: &Draft, rollout: &Rollout, file: &Path) -> Vec<String> {
    let known = house.cell(&rollout.name);
    let port = port_conflict(house, draft, rollout, known.as_deref());
    let port = port.map(|problem| format!("it would not be taken over: {}", problem.message));
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let holder = match lock(&house.book).entries().get(&rollout.name) {
        Some(entry) if entry.standing == Standing::Present && real(&entry.file) != real(file) => {
            Some(entry.file.clone())
        }
        Some(_) | None => None,
    };
    let name = holder.map(|holder| {
        format!("{} is described by {}: this file counts only in its place", rollout.name, holder.display())
    });
    port.into_iter().chain(name).collect()
}

/// Production with the numbers of its replicas that the manifest in force asks for, whatever that has on trial.
fn as_it_runs(kept: &Rollout, in_force: Option<&Rollout>) -> Rollout {
    let mut production = kept.clone();
    let components = std::iter::once(&mut production.app).chain(&mut production.workers);
    for component in components {
        component.replicas =
            in_force.and_then(|now| now.component(&component.name)).map_or(component.replicas, |now| now.replicas);
    }
    production
}

/// What a revision is made of differs from production; how it is run, from the manifest in force.
fn changes(production: &Rollout, in_force: Option<&Rollout>, to: &Rollout) -> Vec<PlanChange> {
    let made_of = diff(production, to).into_iter().filter(|change| change.class == Class::Revision);
    let run_by = diff(in_force.unwrap_or(production), to).into_iter().filter(|change| change.class != Class::Revision);
    made_of
        .chain(run_by)
        .map(|change| PlanChange {
            component: change.component.filter(|c| !c.is_app()).map(|c| c.to_string()),
            what: change.field,
            text: change.text,
        })
        .collect()
}

fn step(title: &str, text: String) -> PlanStep {
    PlanStep { title: title.to_owned(), text }
}

/// What would happen one after the other, if this manifest begins anything.
fn steps(course: &Course, memory: &Memory, production: Option<&Rollout>, rollout: &Rollout) -> Vec<PlanStep> {
    let version = &rollout.version;
    let install = format!(
        "{} of app, then all traffic as soon as one of them is healthy: there is no version to compare with",
        rollout.app.replicas
    );
    let mut steps = match (course, production) {
        (Course::Serves | Course::OnTrial | Course::Blocked { .. }, _) => Vec::new(),
        (Course::Install, _) | (Course::Stages, None) => vec![step("install", install)],
        (Course::Back, _) => {
            let text = format!("{version} is the version before: all traffic at once when it is healthy, no stages");
            vec![step("undo", text)]
        }
        (Course::Stages, Some(production)) => stages(production, rollout),
    };
    // What is on trial goes first, and when the manifest goes back to production that is all.
    let aside = memory.on_trial().filter(|_| matches!(course, Course::Serves | Course::Back | Course::Stages));
    if let Some(trial) = aside {
        steps.insert(0, step("aside", format!("{trial}, which is on trial, to 0 %, drained and stopped")));
    }
    steps
}

/// Where nothing begins: why.
fn standstill(course: &Course, name: &RolloutName, version: &str) -> Option<String> {
    match course {
        Course::Serves => Some(format!("{version} is in production: no new version would begin")),
        Course::OnTrial => Some(format!("{version} is on trial already: canaryd follow {name} shows it")),
        Course::Blocked { why } => {
            Some(format!("{version} was taken off ({why}) and is tried again only after: canaryd retry {name}"))
        }
        Course::Install | Course::Back | Course::Stages => None,
    }
}

fn stages(production: &Rollout, rollout: &Rollout) -> Vec<PlanStep> {
    let replicas = rollout.app.replicas;
    let first = rollout.stages.iter().find(|s| s.weight > Weight::ZERO).map_or(1, |s| capacity(s.weight, replicas));
    let stages: Vec<String> =
        rollout.stages.iter().map(|s| format!("{} % {}", s.weight, fmt::duration(s.observe))).collect();
    vec![
        step(
            "start",
            format!(
                "{first} at first, {replicas} before 100 %, beside the {} of {}",
                production.app.replicas, production.version
            ),
        ),
        step("traffic", stages.join(" → ")),
        step(
            "finish",
            format!(
                "the containers of {} become production; nothing is restarted; {} kept for {}",
                rollout.version,
                production.version,
                fmt::duration(rollout.promotion.keep_previous)
            ),
        ),
    ]
}

/// Replicas that a weight needs: `ceil(weight × replicas)`.
fn capacity(weight: Weight, replicas: u32) -> u32 {
    (u32::from(weight.basis_points()) * replicas).div_ceil(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::book::Look;
    use crate::daemon::fake::Site;

    fn manifest(name: &str, port: u16) -> String {
        format!(
            "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: {name} }}\nspec:\n  version: v1\n  app: {{ image: \"{name}:v1\", port: 80, health: {{ http: / }} }}\n  gateway: {{ listen: {port} }}\n"
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_tells_of_a_port_and_of_a_name_that_another_file_has() {
        let site = Site::new().await;
        let file = PathBuf::from("/manifests/blog.yaml");
        let files = [(file.clone(), Ok(manifest("blog", 80)))].into();
        lock(&site.house.book).update(&Look { files, troubles: Vec::new() }, Timestamp::now());
        let source = SourceText { name: "blog.yaml".to_owned(), text: manifest("blog", 80) };
        let draft = parse(&source, &std::collections::BTreeMap::new()).drafts.remove(0);
        let resolved = canaryd_rollout::resolve(&draft, &canaryd_rollout::Inputs::default()).unwrap().rollout;
        lock(&site.cell("blog").wish).rollout = Some(Arc::new(resolved));
        let warned = async |at: &str, text: String| {
            let pages = pages(&site.house, at.to_owned(), text).await.unwrap();
            let others = |w: &&String| !w.contains("image") && !w.contains("version is used nowhere");
            pages[0].warnings.iter().filter(others).cloned().collect::<Vec<_>>()
        };
        let port = warned("/manifests/shop.yaml", manifest("shop", 80)).await;
        assert_eq!(port, ["it would not be taken over: shop wants 127.0.0.1:80, which is the port of blog"]);
        let name = warned("/manifests/copy.yaml", manifest("blog", 81)).await;
        assert_eq!(name, ["blog is described by /manifests/blog.yaml: this file counts only in its place"]);
        assert_eq!(warned("/manifests/blog.yaml", manifest("blog", 80)).await, [""; 0]);
        assert_eq!(warned("/manifests/shop.yaml", manifest("shop", 81)).await, [""; 0]);
        let latency = "  observe: 6s\n  checks: [{ name: lat, latency: { quantile: 0.95, max: 1s } }]\n";
        let cold = warned("/manifests/shop.yaml", manifest("shop", 81) + latency).await;
        let said = "line 9: stage 1 (6s) is not longer than analysis.warmup (1m): lat counts no request of it";
        assert_eq!(cold, [said], "what validate warns of");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn how_it_stands_is_what_status_says_whatever_is_assumed_of_its_turn() {
        let site = Site::new().await;
        let now = async || {
            let pages = pages(&site.house, "/manifests/shop.yaml".to_owned(), manifest("shop", 80)).await.unwrap();
            pages[0].now.clone()
        };
        assert_eq!(now().await, "nothing of shop runs yet");
        let report = serde_json::json!({
            "name": "shop", "phase": "preflight", "sentence": "v1 serves all. v2 waits for its turn.", "liveWeight": 0,
            "wantedWeight": 0, "stages": [], "checks": [], "waiting": [], "notes": [], "can": [],
            "undo": { "is": "cold", "version": "v1" }, "replicas": {}
        });
        *lock(&site.cell("shop").report) = serde_json::from_value(report).unwrap();
        assert_eq!(now().await, "v1 serves all. v2 waits for its turn.");
    }

    fn resolved(version: &str, replicas: u32, observe: &str) -> Rollout {
        let text = format!(
            "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: shop }}\nspec:\n  version: {version}\n  app: {{ image: \"shop:{version}\", port: 80, replicas: {replicas}, health: {{ http: / }} }}\n  gateway: {{ listen: 80 }}\n  stages: [{{ weight: 5, observe: {observe} }}, {{ weight: 100, observe: {observe} }}]\n"
        );
        let parsed = parse(&SourceText { name: "shop.yaml".to_owned(), text }, &std::collections::BTreeMap::new());
        canaryd_rollout::resolve(&parsed.drafts[0], &canaryd_rollout::Inputs::default()).unwrap().rollout
    }

    #[test]
    fn what_was_scaled_or_set_while_a_version_is_on_trial_is_no_change_of_the_plan() {
        let (kept, in_force) = (resolved("v1", 1, "1m"), resolved("v2", 4, "2m"));
        let production = as_it_runs(&kept, Some(&in_force));
        let changed = |to: &Rollout| {
            let changes = changes(&production, Some(&in_force), to);
            changes.into_iter().map(|change| change.what).collect::<Vec<_>>()
        };
        assert_eq!(changed(&in_force), ["image"], "it has 4 replicas and its stages already");
        assert_eq!(changed(&resolved("v2", 5, "3m")), ["image", "replicas", "stages"]);
        let start = stages(&production, &in_force).remove(0).text;
        assert_eq!(start, "1 at first, 4 before 100 %, beside the 4 of v1");
    }
}
