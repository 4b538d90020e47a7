//! How alpha is divided: each process of each check has its own bar, and all bars together cost alpha (a union bound).

use crate::question::{Bad, Question};

/// Share of the fast rule of an error check, before normalisation.
const FAST_ERRORS: f64 = 0.05;
/// Share of P1 of an error check.
const ERRORS: f64 = 0.08;
/// Share of P1 of a latency check.
const LATENCY: f64 = 0.03;

/// What one check may spend of alpha; all shares of the checks that act sum to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shares {
    /// For P1.
    pub(crate) p1: f64,
    /// For the fast rule; `None` where there is none.
    pub(crate) fast: Option<f64>,
}

/// The shares of all checks, in their order. Members of a kind divide its share by weight; the kinds that are present divide the
/// whole. A check that only observes takes nothing; it is shown what it would have if all that only observe acted.
pub(crate) fn shares(questions: &[Question]) -> Vec<Shares> {
    let acting = Division::among(questions.iter().filter(|question| !question.observe_only));
    let all = Division::among(questions.iter());
    questions
        .iter()
        .map(|question| {
            let division = if question.observe_only { &all } else { &acting };
            division.of(question)
        })
        .collect()
}

/// The e-value at which a process fails: `k / (share * alpha)`.
///
/// k is the overshoot: counts jump over their bar, so that a lower bar keeps the promise. It depends on the largest probability of a
/// bad request within tolerance (exact by change of measure; the largest k found were 0.643 and 0.822).
pub(crate) fn bar(alpha: f64, share: f64, p0: f64) -> f64 {
    let k = if p0 <= 0.08 {
        0.7
    } else if p0 <= 0.4 {
        0.85
    } else {
        1.0
    };
    k / (share * alpha)
}

/// Sum of weights of each kind, and the shares of the kinds that are present.
struct Division {
    errors: f64,
    latency: f64,
    whole: f64,
}

impl Division {
    fn among<'a>(questions: impl Iterator<Item = &'a Question>) -> Self {
        let (mut errors, mut latency) = (0.0, 0.0);
        for question in questions {
            match question.bad {
                Bad::Failed { .. } => errors += weight(question),
                Bad::Slower { .. } => latency += weight(question),
            }
        }
        let present = |weights: f64, share: f64| if weights > 0.0 { share } else { 0.0 };
        let whole = present(errors, FAST_ERRORS + ERRORS) + present(latency, LATENCY);
        Self { errors, latency, whole }
    }

    fn of(&self, question: &Question) -> Shares {
        match question.bad {
            Bad::Failed { .. } => {
                let part = weight(question) / self.errors / self.whole;
                Shares { p1: ERRORS * part, fast: Some(FAST_ERRORS * part) }
            }
            Bad::Slower { .. } => Shares { p1: LATENCY * weight(question) / self.latency / self.whole, fast: None },
        }
    }
}

/// A weight that divides: a check of weight 0 would have no bar at all.
fn weight(question: &Question) -> f64 {
    question.weight.clamp(1e-3, 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(weight: f64, observe_only: bool) -> Question {
        let bad = Bad::Failed { max: 0.005 };
        Question { name: "errors".into(), mode: None, weight, observe_only, bad }
    }

    fn latency(weight: f64, observe_only: bool) -> Question {
        let bad = Bad::Slower { quantile: 0.95, max: 2.5 };
        Question { bad, ..errors(weight, observe_only) }
    }

    fn total(shares: &[Shares]) -> f64 {
        shares.iter().map(|shares| shares.p1 + shares.fast.unwrap_or(0.0)).sum()
    }

    #[test]
    fn the_shares_of_what_is_present_sum_to_one() {
        for questions in [
            vec![errors(1.0, false)],
            vec![latency(1.0, false)],
            vec![errors(1.0, false), latency(3.0, false)],
            vec![errors(1.0, false), errors(2.0, false), latency(1.0, false), latency(0.5, false)],
        ] {
            assert!((total(&shares(&questions)) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_weight_divides_the_share_of_its_kind_only() {
        let shares = shares(&[errors(1.0, false), latency(3.0, false), latency(1.0, false)]);
        assert!((shares[0].p1 - 0.5).abs() < 1e-12);
        assert!((shares[0].fast.unwrap() - 0.3125).abs() < 1e-12);
        assert!((shares[1].p1 - 3.0 * shares[2].p1).abs() < 1e-12);
    }

    #[test]
    fn a_check_that_only_observes_takes_nothing_from_the_others() {
        let alone = shares(&[errors(1.0, false)]);
        let watched = shares(&[errors(1.0, false), errors(1.0, true), latency(1.0, true)]);
        assert_eq!(alone[0], watched[0]);
        assert!(watched[2].p1 > 0.0, "it is shown a bar all the same");
    }

    #[test]
    fn bars_equal_the_vectors() {
        for (alpha, share, p0, expected) in [
            (0.05, 0.08, 0.005, 175.0),
            (0.05, 0.03, 0.05, 466.666_666_666_666_6),
            (0.01, 0.08, 0.005, 875.0),
            (0.01, 0.03, 0.05, 2_333.333_333_333_333_5),
            (0.05, 0.24, 0.3, 70.833_333_333_333_33),
            (0.05, 0.40, 0.9, 50.0),
        ] {
            assert!((bar(alpha, share, p0) - expected).abs() < 1e-9);
        }
    }
}
