//! What each attempt in a line says about the replica that was asked.

use std::net::SocketAddr;
use std::time::Duration;

use crate::access::{AccessLine, Attempt};

/// What an attempt says about the replica that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered, and not with a 5xx.
    Answered,
    /// 5xx, no connection, a broken connection, or silence until the client gave up after a long wait.
    Failed,
    /// The client went away early, or its request was at fault: nothing can be said.
    Abandoned,
}

/// One attempt with its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedAttempt {
    /// Who was asked; the set that owns the address owns the evidence.
    pub addr: Option<SocketAddr>,
    /// What it says.
    pub outcome: Outcome,
    /// Seconds: the whole attempt, or until the head of the answer for streams; `None` when abandoned or unknown.
    pub latency: Option<f64>,
    /// Whether this was the request's first attempt.
    pub first: bool,
}

impl JudgedAttempt {
    /// Whether it counts against the replica.
    #[must_use]
    pub fn failed(&self) -> bool {
        match self.outcome {
            Outcome::Failed => true,
            Outcome::Answered | Outcome::Abandoned => false,
        }
    }
}

/// What each attempt of `line` says. `slow`: from how long a wait on a client's leaving (499) counts against the
/// replica; the read timeout at most, better the slowest answer that the checks allow.
#[must_use]
pub fn judge_attempts(line: &AccessLine, slow: Duration) -> Vec<JudgedAttempt> {
    let judge = |(i, attempt): (usize, &Attempt)| {
        let outcome = outcome(line.status, attempt, slow);
        let latency = match outcome {
            Outcome::Abandoned => None,
            Outcome::Answered if line.stream => attempt.header,
            Outcome::Answered | Outcome::Failed => attempt.latency,
        };
        JudgedAttempt { addr: attempt.addr, outcome, latency, first: i == 0 }
    };
    line.attempts.iter().enumerate().map(judge).collect()
}

/// Without an answer of the replica it depends on who gave up: a 4xx to the client means that the client did (499), or
/// sent a bad or endless request (400, 408, 413).
fn outcome(to_client: u16, attempt: &Attempt, slow: Duration) -> Outcome {
    let waited = attempt.latency.unwrap_or(0.0);
    match attempt.status {
        Some(status) if status >= 500 => Outcome::Failed,
        Some(_) => Outcome::Answered,
        None if to_client == 499 && waited >= slow.as_secs_f64() => Outcome::Failed,
        None if (400..500).contains(&to_client) => Outcome::Abandoned,
        None => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Route;
    use crate::generation::GenerationId;
    use crate::traffic::Lane;

    fn line(status: u16, attempts: &[(Option<u16>, f64)]) -> AccessLine {
        let attempt = |(status, latency): &(Option<u16>, f64)| Attempt {
            addr: "10.77.0.3:8000".parse().ok(),
            status: *status,
            latency: Some(*latency),
            connect: Some(0.0),
            header: status.map(|_| 0.1),
        };
        AccessLine {
            time: 10.0,
            generation: GenerationId::new(1, 1),
            rollout: "shop".into(),
            route: Route::Drawn(Lane::Canary),
            served_by: Some(Lane::Canary),
            method: "GET".into(),
            path: "/".into(),
            status,
            bytes: 0,
            request_time: 1.0,
            attempts: attempts.iter().map(attempt).collect(),
            mode: None,
            client: "00000000".into(),
            request_id: "1".into(),
            complete: true,
            stream: false,
        }
    }

    fn outcomes(line: &AccessLine) -> Vec<Outcome> {
        judge_attempts(line, Duration::from_secs(2)).iter().map(|j| j.outcome).collect()
    }

    #[test]
    fn what_failover_hides_from_the_user_still_counts() {
        let judged = judge_attempts(&line(200, &[(Some(502), 0.01), (Some(200), 0.2)]), Duration::from_secs(2));
        assert!(judged[0].failed() && judged[0].first);
        assert!(!judged[1].failed() && !judged[1].first);
        assert_eq!(judged[1].latency, Some(0.2));
    }

    #[test]
    fn a_slow_replica_that_the_client_gave_up_on_failed_and_a_quick_client_abort_says_nothing() {
        assert_eq!(outcomes(&line(499, &[(None, 2.0)])), [Outcome::Failed]);
        assert_eq!(outcomes(&line(499, &[(None, 1.99)])), [Outcome::Abandoned]);
        assert_eq!(outcomes(&line(499, &[(Some(504), 1.0), (None, 0.5)])), [Outcome::Failed, Outcome::Abandoned]);
    }

    #[test]
    fn no_answer_is_a_failure_unless_the_request_was_at_fault() {
        assert_eq!(outcomes(&line(502, &[(None, 0.1)])), [Outcome::Failed]);
        assert_eq!(outcomes(&line(413, &[(None, 0.1)])), [Outcome::Abandoned]);
        assert_eq!(outcomes(&line(404, &[(Some(404), 0.1)])), [Outcome::Answered]);
        assert_eq!(outcomes(&line(500, &[(Some(500), 0.1)])), [Outcome::Failed]);
        assert_eq!(outcomes(&line(503, &[])), []);
    }

    #[test]
    fn a_stream_is_as_fast_as_the_head_of_its_answer() {
        let stream = AccessLine { stream: true, ..line(200, &[(Some(200), 600.0)]) };
        assert_eq!(judge_attempts(&stream, Duration::from_secs(2))[0].latency, Some(0.1));
    }
}
