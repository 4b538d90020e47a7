//! The sentences about a check.

use crate::bounds::{lower_bound, real};
use crate::check::Proof;
use crate::question::{Bad, Question};

/// The question in words: "do more than 0.5 % of the canary's requests fail?".
pub(crate) fn question(question: &Question) -> String {
    let limit = exact(question.bad.limit() * 100.0);
    let requests = format!("of the canary's requests{}", of_mode(question));
    match question.bad {
        Bad::Failed { .. } => format!("do more than {limit} % {requests} fail?"),
        Bad::Slower { quantile, max } => format!(
            "do more than {limit} % {requests} take longer than {} s (p{})?",
            exact(max),
            exact(quantile * 100.0),
        ),
    }
}

/// Why a check failed, in one sentence with its numbers.
pub(crate) fn reason(question: &Question, proof: &Proof, alpha: f64) -> String {
    // The fast rule proves it with the same certainty as the evidence does: who reads it at night needs no second wording.
    let Proof { canary, .. } = proof;
    let (n, bad) = (canary.requests, canary.bad);
    let requests = format!("{bad} of {n} canary requests{}", of_mode(question));
    let rate = percent(real(bad) / real(n.max(1)));
    let p0 = question.bad.limit();
    let limit = exact(p0 * 100.0);
    let certain = certainty(n, bad, p0, alpha);
    match question.bad {
        Bad::Failed { .. } => format!("{requests} failed ({rate} %, {certain}); limit {limit} %"),
        Bad::Slower { quantile, max } => {
            format!(
                "p{} is above {} s: {requests} were slower ({rate} %, {certain}); at most {limit} % may be",
                exact(quantile * 100.0),
                exact(max),
            )
        }
    }
}

/// "at least 4.9 % with 95 % certainty". Evidence may pass its bar while the whole rollout's rate is not above the limit for certain: a
/// little before it is, or when failures began late.
fn certainty(n: u64, bad: u64, p0: f64, alpha: f64) -> String {
    let certain = exact((1.0 - alpha) * 100.0);
    let lower = lower_bound(n, bad, alpha);
    if lower > p0 {
        format!("at least {} % with {certain} % certainty", percent_at_least(lower))
    } else {
        format!("more than the limit explains, with {certain} % certainty")
    }
}

fn of_mode(question: &Question) -> String {
    question.mode.as_ref().map(|mode| format!(" of mode {mode}")).unwrap_or_default()
}

/// A measured share in percent, with two or three figures that mean something: 13.5, 4.9, 0.37, 0.062.
fn percent(share: f64) -> String {
    let scale = scale(share * 100.0);
    exact((share * 100.0 * scale).round() / scale)
}

/// The same, never more than it is: for a lower bound.
fn percent_at_least(share: f64) -> String {
    let scale = scale(share * 100.0);
    exact((share * 100.0 * scale).floor() / scale)
}

/// 10 to the number of decimals worth telling.
fn scale(percent: f64) -> f64 {
    match percent {
        p if p >= 1.0 => 10.0,
        p if p >= 0.1 => 100.0,
        _ => 1000.0,
    }
}

/// A number that somebody chose, as it was written: 0.5, 2.5, 99.9.
fn exact(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::By;
    use crate::verdict::LaneNumbers;

    fn errors() -> Question {
        let bad = Bad::Failed { max: 0.005 };
        Question { name: "errors".into(), mode: None, weight: 1.0, observe_only: false, bad }
    }

    fn latency() -> Question {
        let bad = Bad::Slower { quantile: 0.95, max: 2.5 };
        Question { mode: Some("fast".into()), bad, ..errors() }
    }

    fn proof(requests: u64, bad: u64, by: By) -> Proof {
        Proof { second: 0, by, canary: LaneNumbers { requests, bad } }
    }

    #[test]
    fn questions_are_asked_in_words() {
        assert_eq!(question(&errors()), "do more than 0.5 % of the canary's requests fail?");
        assert_eq!(
            question(&latency()),
            "do more than 5 % of the canary's requests of mode fast take longer than 2.5 s (p95)?"
        );
    }

    #[test]
    fn a_failure_tells_its_numbers_and_how_sure_they_are() {
        assert_eq!(
            reason(&errors(), &proof(52, 7, By::Weight), 0.05),
            "7 of 52 canary requests failed (13.5 %, at least 3 % with 95 % certainty); limit 0.5 %"
        );
        assert_eq!(
            reason(&latency(), &proof(40, 9, By::Weight), 0.05),
            "p95 is above 2.5 s: 9 of 40 canary requests of mode fast were slower (22.5 %, at least 6.7 % with 95 % certainty); \
             at most 5 % may be"
        );
    }

    #[test]
    fn failures_that_came_too_early_are_told_as_any_other() {
        assert_eq!(
            reason(&errors(), &proof(9, 2, By::Early { bad: 2 }), 0.05),
            "2 of 9 canary requests failed (22.2 %, at least 1 % with 95 % certainty); limit 0.5 %"
        );
    }

    #[test]
    fn a_bound_below_the_limit_is_not_told() {
        let text = reason(&errors(), &proof(300, 5, By::Weight), 0.01);
        assert_eq!(
            text,
            "5 of 300 canary requests failed (1.7 %, more than the limit explains, with 99 % certainty); limit 0.5 %"
        );
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!([13.46, 5.0, 0.372, 0.0619, 0.0].map(|p| percent(p / 100.0)), ["13.5", "5", "0.37", "0.062", "0"]);
        assert_eq!([4.89, 0.379].map(|p| percent_at_least(p / 100.0)), ["4.8", "0.37"]);
        assert_eq!([0.5, 2.5, 99.9, 30.0, 3.0].map(exact), ["0.5", "2.5", "99.9", "30", "3"]);
    }
}
