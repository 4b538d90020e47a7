//! What a manifest would do to its gateway, for `canaryd plan`: connections that the changes of weight cut, and what is
//! fixed until the container is made anew.

use std::time::Duration;

use canaryd_cockpit::{PlanConnections, PlanReplacement};
use canaryd_planner::Course;
use canaryd_rollout::{Gateway, Rollout, Weight, fmt};

use super::bells::lock;
use super::house::Cell;

/// A short answer is under way in one of these looks, a stream in all.
const LOOKS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(200);

/// Which connections the way to this version cuts. `None`: it is the first version, or there is nothing to do.
pub(super) async fn connections(
    cell: Option<&Cell>,
    from: Option<&Rollout>,
    to: &Rollout,
    course: &Course,
) -> Option<PlanConnections> {
    let moves = from.is_some_and(|from| from.revision != to.revision);
    let cell = cell.filter(|_| moves)?;
    let staged = to.stages.iter().filter(|stage| stage.weight > Weight::ZERO).count();
    let weights = if *course == Course::Back { 1 } else { staged };
    Some(PlanConnections {
        open: open(cell).await,
        // After the last weight the new containers become production: one more configuration.
        changes: u32::try_from(weights + 1).unwrap_or(u32::MAX),
        cut_after: to.gateway.limits.stream_timeout.as_secs_f64(),
    })
}

/// Requests that were under way in every look: WebSockets, streams, slow answers.
async fn open(cell: &Cell) -> Option<u64> {
    let ops = cell.gateway.ops()?;
    let mut least = None;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        // The question itself is one of them.
        let open = ops.stub_status().await.ok()?.writing.saturating_sub(1);
        least = Some(least.map_or(open, |least: u64| least.min(open)));
    }
    least
}

/// What is asked of the gateway that was fixed when its container was made.
pub(super) async fn replacement(cell: Option<&Cell>, to: &Rollout) -> Option<PlanReplacement> {
    let cell = cell?;
    let ops = cell.gateway.ops()?;
    let in_force = lock(&cell.wish).rollout.clone()?;
    let mut changes = differences(&in_force.gateway, &to.gateway);
    if changes.is_empty() && in_force.gateway == to.gateway {
        // It may differ from what is in force already: then that was told, and says how it comes about.
        changes =
            lock(&cell.wish).notes.iter().filter_map(|n| n.strip_prefix("gateway: ")).map(str::to_owned).collect();
    }
    if changes.is_empty() {
        return None;
    }
    let connections = ops.stub_status().await.ok().map(|status| status.active.saturating_sub(1));
    Some(PlanReplacement { changes, connections, command: format!("docker rm -f {}-gateway", to.name) })
}

fn differences(from: &Gateway, to: &Gateway) -> Vec<String> {
    let ports = |gateway: &Gateway| {
        let mut ports: Vec<String> =
            gateway.listens().iter().map(|l| std::net::SocketAddr::new(l.address, l.port).to_string()).collect();
        ports.sort();
        ports.join(" ")
    };
    let aliases = |gateway: &Gateway| gateway.aliases.join(" ");
    let fixed = [
        ("image", from.image.clone(), to.image.clone()),
        ("ports", ports(from), ports(to)),
        ("aliases", aliases(from), aliases(to)),
    ];
    let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let changed = fixed.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(what, from, to)| format!("{what} {} → {}", or_none(from), or_none(to))).collect()
}

/// The same for people.
pub(super) fn notes(cut: Option<&PlanConnections>, anew: Option<&PlanReplacement>) -> Vec<String> {
    let cut = cut.map(|cut| {
        let after = fmt::duration(Duration::try_from_secs_f64(cut.cut_after).unwrap_or_default());
        let now = match cut.open {
            Some(0) => "none is open now".to_owned(),
            Some(1) => "1 is open now".to_owned(),
            Some(n) => format!("{n} are open now"),
            None => "how many are open now is not known: the gateway does not answer".to_owned(),
        };
        format!(
            "the gateway's configuration changes {} times (each weight, then the swap into production): WebSockets, \
             streams and answers still open {after} after a change are cut; {now}",
            cut.changes
        )
    });
    let anew = anew.map(|anew| {
        let cut = match anew.connections {
            Some(0) | None => String::new(),
            Some(1) => "its 1 open connection is cut and ".to_owned(),
            Some(n) => format!("its {n} open connections are cut and "),
        };
        format!(
            "gateway: {}; that counts only when its container is made anew: {} (with the daemon running and nothing \
             moving; {cut}nobody is answered for a second or two)",
            anew.changes.join(", "),
            anew.command
        )
    });
    cut.into_iter().chain(anew).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_called_none() {
        let cut = |open| PlanConnections { open, changes: 5, cut_after: 300.0 };
        let said = |open| notes(Some(&cut(open)), None).remove(0);
        assert!(
            said(Some(17)).contains(" 5 times") && said(Some(17)).ends_with("after a change are cut; 17 are open now")
        );
        assert!(said(Some(0)).ends_with("none is open now"));
        assert!(said(None).contains("is not known: the gateway does not answer"));
        assert_eq!(notes(None, None), Vec::<String>::new());
    }

    #[test]
    fn only_what_is_fixed_needs_a_new_container_and_its_gap_is_told() {
        let text = |gateway: &str| {
            let text = format!(
                "apiVersion: canaryd.io/v1\nkind: Rollout\nmetadata: {{ name: shop }}\nspec:\n  version: v1\n  app: {{ image: \"shop:${{version}}\", port: 80, health: {{ http: / }} }}\n  gateway: {gateway}\n"
            );
            let source = canaryd_rollout::SourceText { name: "x".into(), text };
            let draft = canaryd_rollout::parse(&source, &std::collections::BTreeMap::new()).drafts.remove(0);
            canaryd_rollout::resolve(&draft, &canaryd_rollout::Inputs::default()).unwrap().rollout.gateway
        };
        let before = text("{ listen: 80, image: \"nginx:1\" }");
        assert_eq!(differences(&before, &text("{ listen: 80, image: \"nginx:1\", limits: { body: 1Mi } }")), [""; 0]);
        let changes = differences(&before, &text("{ listen: 80, image: \"nginx:2\", expose: { canary: 81 } }"));
        assert_eq!(changes, ["image nginx:1 → nginx:2", "ports 127.0.0.1:80 → 127.0.0.1:80 127.0.0.1:81"]);
        let anew = PlanReplacement { changes, connections: Some(3), command: "docker rm -f shop-gateway".to_owned() };
        let said = notes(None, Some(&anew)).remove(0);
        assert!(
            said.contains("its 3 open connections are cut") && said.contains("docker rm -f shop-gateway"),
            "{said}"
        );
    }
}
