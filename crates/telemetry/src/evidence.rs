//! Who is judged by a line of the access log: each attempt belongs to the set that owns its address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use canaryd_gateway::{AccessLine, GenerationId, JudgedAttempt, Lane, Outcome, Route, judge_attempts};
use canaryd_rollout::SetId;
use serde::{Deserialize, Serialize};

/// Who owns an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The set.
    pub set: SetId,
    /// The replica of it.
    pub ordinal: u32,
}

/// One attempt at one replica, about which something can be said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix time at which the request ended.
    pub second: i64,
    /// Generation of the gateway's configuration that routed it.
    pub generation: GenerationId,
    /// Whose.
    pub set: SetId,
    /// Which replica.
    pub ordinal: u32,
    /// The split sent it there. Otherwise a rule or a forced lane did, and it is no evidence.
    pub by_split: bool,
    /// It failed.
    pub failed: bool,
    /// Status of the replica's answer, or the 502 or 504 that NGINX made for it; `None` when there was none.
    pub status: Option<u16>,
    /// Seconds that the replica took; `None` when it never answered.
    pub latency: Option<f64>,
    /// Mode of the request.
    pub mode: Option<String>,
    /// Salted hash of the client or of the sticky key.
    pub client: u64,
}

/// What `line` says about the sets that own the addresses asked. Addresses that nobody owns (any more) are left out,
/// and so are attempts that the client abandoned early.
///
/// After a canary attempt an attempt at production is failover: it counts for the canary (which failed) only, and is
/// no request of production's. `slow` is as in [`judge_attempts`].
#[must_use]
pub fn evidence(line: &AccessLine, owners: &BTreeMap<IpAddr, Owner>, slow: Duration) -> Vec<Attempt> {
    attribute(line, &judge_attempts(line, slow), owners)
}

fn attribute(line: &AccessLine, judged: &[JudgedAttempt], owners: &BTreeMap<IpAddr, Owner>) -> Vec<Attempt> {
    let (chosen, by_split) = match line.route {
        Route::Drawn(chosen) => (chosen, true),
        Route::Ruled(chosen) => (chosen, false),
        Route::Nobody | Route::Ops => return Vec::new(),
    };
    let owner = |attempt: &JudgedAttempt| attempt.addr.and_then(|addr| owners.get(&addr.ip()));
    let asked_first = judged.first().and_then(owner).map(|owner| &owner.set);
    let counts = |owner: &Owner| match chosen {
        Lane::Canary => asked_first == Some(&owner.set),
        Lane::Production => true,
    };
    let tries = judged.iter().enumerate();
    tries
        .filter_map(|(index, attempt)| Some((index, attempt, owner(attempt).filter(|owner| counts(owner))?)))
        .filter(|(_, attempt, _)| is_telling(attempt.outcome))
        .map(|(index, attempt, owner)| Attempt {
            second: second(line.time),
            generation: line.generation,
            set: owner.set.clone(),
            ordinal: owner.ordinal,
            by_split,
            failed: attempt.failed(),
            status: line.attempts.get(index).and_then(|attempt| attempt.status),
            latency: attempt.latency,
            mode: line.mode.clone(),
            client: client(&line.client),
        })
        .collect()
}

fn is_telling(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Answered | Outcome::Failed => true,
        Outcome::Abandoned => false,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Unix time in seconds fits; a cast saturates")]
fn second(time: f64) -> i64 {
    time.floor() as i64
}

/// The log writes the hash in hexadecimal. Anything else is hashed here (FNV-1a), so that it stays one client.
fn client(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|_| crate::hash::fnv1a(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use canaryd_gateway::Attempt as Asked;

    const CANARY: &str = "10.0.0.5:80";
    const CANARY_TOO: &str = "10.0.0.6:80";
    const PRODUCTION: &str = "10.0.0.2:80";
    const PRODUCTION_TOO: &str = "10.0.0.3:80";
    const STRANGER: &str = "10.0.0.9:80";

    fn owners() -> BTreeMap<IpAddr, Owner> {
        let owner = |addr: &str, n: u64, ordinal: u32| {
            (addr.parse::<std::net::SocketAddr>().unwrap().ip(), Owner { set: SetId::nth(n), ordinal })
        };
        BTreeMap::from([
            owner(PRODUCTION, 1, 1),
            owner(PRODUCTION_TOO, 1, 2),
            owner(CANARY, 2, 3),
            owner(CANARY_TOO, 2, 4),
        ])
    }

    fn told(route: Route, tries: &[(&str, Outcome)]) -> Vec<Attempt> {
        let judged = tries.iter().enumerate().map(|(index, (addr, outcome))| JudgedAttempt {
            addr: Some(addr.parse().unwrap()),
            outcome: *outcome,
            latency: Some(0.25),
            first: index == 0,
        });
        let asked = tries.iter().map(|(addr, _)| Asked {
            addr: Some(addr.parse().unwrap()),
            status: Some(200),
            latency: Some(0.25),
            connect: Some(0.0),
            header: Some(0.2),
        });
        let line = AccessLine {
            time: 1_000.75,
            generation: "3.7".parse().unwrap(),
            rollout: "shop".to_owned(),
            route,
            served_by: None,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            status: 200,
            bytes: 2,
            request_time: 0.3,
            attempts: asked.collect(),
            mode: Some("fast".to_owned()),
            client: "0000002a".to_owned(),
            request_id: String::new(),
            complete: true,
            stream: false,
        };
        attribute(&line, &judged.collect::<Vec<_>>(), &owners())
    }

    fn short(attempts: &[Attempt]) -> Vec<(&str, u32, bool)> {
        attempts.iter().map(|a| (a.set.as_str(), a.ordinal, a.failed)).collect()
    }

    #[test]
    fn an_attempt_belongs_to_the_set_that_owns_the_address() {
        let attempts = told(Route::Drawn(Lane::Production), &[(PRODUCTION_TOO, Outcome::Answered)]);
        let expected = Attempt {
            second: 1_000,
            generation: "3.7".parse().unwrap(),
            set: SetId::nth(1),
            ordinal: 2,
            by_split: true,
            failed: false,
            status: Some(200),
            latency: Some(0.25),
            mode: Some("fast".to_owned()),
            client: 42,
        };
        assert_eq!(attempts, [expected]);
    }

    #[test]
    fn failover_from_the_canary_is_a_canary_failure_and_no_request_of_production() {
        let tries = [(CANARY, Outcome::Failed), (CANARY_TOO, Outcome::Failed), (PRODUCTION, Outcome::Answered)];
        assert_eq!(short(&told(Route::Drawn(Lane::Canary), &tries)), [("s2", 3, true), ("s2", 4, true)]);
    }

    #[test]
    fn a_failover_from_a_canary_that_nobody_owns_any_more_blames_nobody() {
        let tries = [(STRANGER, Outcome::Failed), (PRODUCTION, Outcome::Failed)];
        assert!(told(Route::Drawn(Lane::Canary), &tries).is_empty());
    }

    #[test]
    fn retries_within_production_count_each() {
        let tries = [(PRODUCTION, Outcome::Failed), (PRODUCTION_TOO, Outcome::Answered)];
        assert_eq!(short(&told(Route::Drawn(Lane::Production), &tries)), [("s1", 1, true), ("s1", 2, false)]);
    }

    #[test]
    fn what_a_rule_sent_there_is_marked_as_no_evidence() {
        let attempts = told(Route::Ruled(Lane::Canary), &[(CANARY, Outcome::Answered)]);
        assert!(attempts.iter().all(|attempt| !attempt.by_split));
        assert_eq!(attempts.len(), 1);
    }

    #[test]
    fn nothing_is_said_by_ops_requests_refusals_and_clients_that_left() {
        assert!(told(Route::Ops, &[]).is_empty());
        assert!(told(Route::Nobody, &[]).is_empty());
        assert!(told(Route::Drawn(Lane::Canary), &[(CANARY, Outcome::Abandoned)]).is_empty());
    }

    #[test]
    fn a_client_that_is_no_hash_still_is_one_client() {
        assert_eq!(client("ff"), 255);
        assert_eq!(client("somebody"), client("somebody"));
        assert_ne!(client("somebody"), client("nobody"));
    }
}
