//! `canaryd exec`: the daemon says which container, Docker's command line does the rest.

use canaryd_cockpit::{ContainerView, ContainersPage};
use canaryd_gateway::Lane;

use super::daemon;
use crate::cli::args::{Common, ExecArgs};
use crate::cli::docker::{at_a_terminal, become_it, exec as docker_exec};
use crate::cli::exit::{Exit, Failure};
use crate::cli::words::several;

/// `canaryd exec`. Comes back only with a reason why nothing was run.
pub(crate) async fn exec(args: ExecArgs, common: &Common) -> Result<Exit, Failure> {
    named(&args.inside.command)?;
    let page = daemon(common).await?.containers(&args.inside.name).await?;
    let chosen = choose(&page, &args)?;
    let command = docker_exec(&page.engine, &chosen.id, at_a_terminal(), &args.inside.command);
    Err(become_it(command))
}

/// A command has a first word.
pub(super) fn named(command: &[String]) -> Result<(), Failure> {
    if command.first().is_none_or(String::is_empty) {
        return Err(Failure::usage("the command is empty").hint("after -- comes a program, then its arguments"));
    }
    Ok(())
}

fn choose<'a>(page: &'a ContainersPage, args: &ExecArgs) -> Result<&'a ContainerView, Failure> {
    let (name, lane) = (&args.inside.name, Lane::from(args.inside.lane));
    let component = &args.inside.component;
    if !page.containers.iter().any(|c| &c.component == component) && !page.containers.is_empty() {
        return Err(Failure::usage(format!("{name} has no container of {component}")).hint(there_are(page)));
    }
    let here = |c: &&ContainerView| c.running && c.lane == Some(lane) && &c.component == component;
    let running: Vec<&ContainerView> = page.containers.iter().filter(here).collect();
    let wanted = usize::try_from(args.replica).unwrap_or(usize::MAX);
    match (running.get(wanted.saturating_sub(1)), running.len()) {
        (Some(chosen), _) => Ok(chosen),
        (None, 0) => {
            let what = format!("no container of {component} runs in {name}'s lane {lane}");
            Err(Failure::new(Exit::No, what).hint(there_are(page)))
        }
        (None, n) => {
            let n = several(n as u64, "running container");
            let what = format!("{name} has no replica {wanted} of {component} in {lane}: {n} there");
            Err(Failure::usage(what).hint(there_are(page)))
        }
    }
}

/// Every container that a command can run in, with the words that choose it.
fn there_are(page: &ContainersPage) -> String {
    let mut lines = Vec::new();
    let mut last = None;
    let mut replica = 0;
    for container in page.containers.iter().filter(|c| c.running) {
        let Some(lane) = container.lane else { continue };
        let place = Some((lane, &container.component));
        replica = if last == place { replica + 1 } else { 1 };
        last = place;
        let ContainerView { name, version, component, .. } = container;
        lines.push(format!("  --lane {lane} --component {component} --replica {replica}: {name} ({version})"));
    }
    if lines.is_empty() {
        "none of its containers runs".to_owned()
    } else {
        format!("these run:\n{}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn asked(line: &str) -> ExecArgs {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Some(Command::Exec(args)) = cli.command else { panic!("{line} is no exec") };
        args
    }

    fn page() -> ContainersPage {
        let view = |id: &str, lane: Option<Lane>, ordinal: u32, running: bool| ContainerView {
            id: id.to_owned(),
            name: format!("shop-app-{id}"),
            component: "app".parse().unwrap(),
            lane,
            version: "v1".to_owned(),
            revision: "0123456789".parse().unwrap(),
            ordinal,
            running,
        };
        let production = Some(Lane::Production);
        let containers = vec![
            view("kept", None, 1, true),
            view("one", production, 4, true),
            view("dead", production, 5, false),
            view("two", production, 7, true),
        ];
        ContainersPage { engine: "unix:///x".to_owned(), containers }
    }

    #[test]
    fn a_replica_is_the_nth_that_runs_in_the_lane_and_one_that_is_kept_is_none() {
        let id = |line: &str| choose(&page(), &asked(line)).unwrap().id.clone();
        assert_eq!(id("canaryd exec shop -- sh"), "one");
        assert_eq!(id("canaryd exec shop --replica 2 -- sh"), "two");
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let refused = |line: &str| choose(&page(), &asked(line)).unwrap_err();
        let beyond = refused("canaryd exec shop --replica 3 -- sh");
        assert_eq!(beyond.exit, Exit::Usage);
        assert!(beyond.message.contains("no replica 3") && beyond.message.contains("2 running containers"));
        let lane = refused("canaryd exec shop --lane canary -- sh");
        assert_eq!(lane.exit, Exit::No);
        let hint = lane.hint.unwrap();
        assert!(hint.contains("--lane production --component app --replica 2: shop-app-two"), "{hint}");
        assert!(!hint.contains("kept") && !hint.contains("dead"), "{hint}");
        assert_eq!(refused("canaryd exec shop --component ap -- sh").exit, Exit::Usage);
    }

    #[test]
    fn an_empty_command_is_wrong_usage() {
        for line in ["canaryd exec shop", "canaryd exec shop --", "canaryd exec shop sh"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert_eq!(named(&[String::new()]).unwrap_err().exit, Exit::Usage);
    }
}
