//! Documents that are each right and cannot be in force together: one name, or one port of the host.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::draft::Draft;
use crate::ids::RolloutName;
use crate::node::{Node, Span, Value};
use crate::spec::{Gateway, Listen, Rollout};
use crate::walk::Walk;

impl Listen {
    /// Whether the two cannot be listened on at once.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.port == other.port
            && (self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified())
    }
}

impl Gateway {
    /// Every port of the host that it listens on: `listen`, then `expose`.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let exposed = [self.expose.production, self.expose.canary];
        let exposed = exposed.into_iter().flatten().map(|port| Listen { address, port });
        self.listen.iter().copied().chain(exposed).collect()
    }
}

/// The first of these ports that another rollout has.
#[must_use]
pub fn contested(wanted: &[Listen], held: &[Listen]) -> Option<Listen> {
    wanted.iter().copied().find(|one| held.iter().any(|other| one.overlaps(*other)))
}

/// Others that are named where many want one port.
const NAMED: usize = 3;

/// Of documents that are to be in force together: an error at each that cannot be beside those before it, with the place
/// of the first that has what it wants.
#[must_use]
pub fn rivals(documents: &[(&Draft, &Rollout)]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut names: BTreeMap<&RolloutName, &Draft> = BTreeMap::new();
    for (n, (draft, rollout)) in documents.iter().enumerate() {
        if let Some(first) = names.get(draft.name()) {
            problems.push(draft.name_taken(first));
            continue;
        }
        names.insert(draft.name(), draft);
        let wanted = rollout.gateway.listens();
        problems.extend(wanted.into_iter().filter_map(|listen| port_held(documents, n, listen)));
    }
    problems
}

/// That documents before this one have a port that it wants: one error, however many they are.
fn port_held(documents: &[(&Draft, &Rollout)], n: usize, listen: Listen) -> Option<Diagnostic> {
    let (draft, rollout) = documents.get(n)?;
    let holds = |rollout: &Rollout| rollout.gateway.listens().into_iter().find(|one| one.overlaps(listen));
    let others = documents[..n].iter().filter(|(other, _)| other.name() != draft.name());
    let holders: Vec<(&Draft, String)> =
        others.filter_map(|(other, theirs)| Some((*other, other.place_of_port(theirs, holds(theirs)?)))).collect();
    let (first, there) = holders.first()?;
    let mut names: Vec<String> = holders.iter().take(NAMED).map(|(other, _)| other.name().to_string()).collect();
    match holders.len().saturating_sub(NAMED) {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    let last = names.pop()?;
    let holders = if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) };
    let label = format!("{} has it: {there}", first.name());
    Some(draft.port_taken_by(rollout, listen, &holders, &label))
}

impl Draft {
    /// That `holder` has a port of the host which this document asks for, at the place where it does. `there`: where the
    /// holder says so.
    #[must_use]
    pub fn port_taken(&self, rollout: &Rollout, listen: Listen, holder: &RolloutName, there: &str) -> Diagnostic {
        let label = if there.is_empty() { format!("{holder} has it") } else { format!("{holder} has it: {there}") };
        self.port_taken_by(rollout, listen, holder.as_str(), &label)
    }

    fn port_taken_by(&self, rollout: &Rollout, listen: Listen, holders: &str, label: &str) -> Diagnostic {
        let (span, path) = self.spot_of_port(rollout, listen);
        let Listen { address, port } = listen;
        let message = format!("{} wants {address}:{port}, which is the port of {holders}", rollout.name);
        let hint = "give one of them another port (spec.gateway.listen or expose); the one that is in force keeps it";
        self.one_problem(span, &path, message, label, hint)
    }

    /// `file:line:column` of the place where this document asks for a port.
    #[must_use]
    pub fn place_of_port(&self, rollout: &Rollout, listen: Listen) -> String {
        let (span, path) = self.spot_of_port(rollout, listen);
        self.one_problem(span, &path, String::new(), "", "").place()
    }

    fn name_taken(&self, first: &Self) -> Diagnostic {
        let (span, path) = spot(&self.root, &["metadata", "name"], None);
        let (there, _) = spot(&first.root, &["metadata", "name"], None);
        let there = first.one_problem(there, "", String::new(), "", "").place();
        let message = format!("rollout {} is in {} as well; a name has one manifest", self.name(), first.source.name);
        self.one_problem(span, &path, message, &format!("it is named so here, and at {there}"), "rename one of the two")
    }

    fn spot_of_port(&self, rollout: &Rollout, listen: Listen) -> (Span, String) {
        let gateway = &rollout.gateway;
        if let Some(n) = gateway.listen.iter().position(|one| *one == listen) {
            return spot(&self.root, &["spec", "gateway", "listen"], Some(n));
        }
        let lane = if gateway.expose.production == Some(listen.port) { "production" } else { "canary" };
        spot(&self.root, &["spec", "gateway", "expose", lane], None)
    }

    fn one_problem(&self, span: Span, path: &str, message: String, label: &str, hint: &str) -> Diagnostic {
        let mut walk = Walk::new(&self.source);
        walk.hide_private(&self.root);
        walk.rollout = Some(self.name().clone());
        walk.error_in(span, path, message).label(label).hint(hint);
        // One went in, and one comes out.
        walk.finish().swap_remove(0)
    }
}

/// Where a field is, or, where it is not written, the nearest field around it; and its path.
fn spot(root: &Node, path: &[&str], item: Option<usize>) -> (Span, String) {
    let mut node = root;
    let mut span = root.span.start..root.span.start;
    let mut found: Vec<&str> = Vec::new();
    for key in path {
        let Value::Map(entries) = &node.value else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else { break };
        found.push(key);
        span = entry.key_span.clone();
        node = &entry.node;
    }
    if found.len() == path.len() {
        let value = item.and_then(|n| node.items().get(n)).unwrap_or(node);
        if matches!(value.value, Value::Scalar(_) | Value::Unknown) {
            span = value.span.clone();
        }
    }
    (span, found.join("."))
}
