//! What each stage can prove at the present traffic: the table of `canaryd plan`.

use canaryd_rollout::{Stage, Weight};

use canaryd_verdict::{needed_requests, upper_bound};

use crate::page::StageForecast;

/// Forecast of every stage that is still to come. `rps`: the gateway's requests per second; `p0`: the allowed bad rate
/// of the strictest check; `beta`: the chance, per advance, that an unacceptable version gets more.
#[must_use]
pub fn plan_table(stages: &[Stage], rps: f64, p0: f64, beta: f64) -> Vec<StageForecast> {
    let mut sum = 0.0;
    let nexts = stages.iter().skip(1).map(|s| Some(s.weight)).chain(std::iter::once(None));
    stages
        .iter()
        .zip(nexts)
        .map(|(stage, next)| {
            let pace = rps.max(0.0) * stage.weight.share();
            let enough_from = next.and_then(|next| enough(next, p0, beta));
            let row = forecast(stage, enough_from, sum, pace, beta);
            sum += pace * stage.observe.as_secs_f64();
            row
        })
        .collect()
}

/// `before`: canary requests of earlier stages; `pace`: canary requests per second in this one.
fn forecast(stage: &Stage, enough_from: Option<u64>, before: f64, pace: f64, beta: f64) -> StageForecast {
    let requests = whole(before + pace * stage.observe.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
    let too_short = enough_from.filter(|n| requests < *n && pace > 0.0).map(|n| (n as f64 - before) / pace);
    StageForecast {
        weight: stage.weight,
        observe: stage.observe.as_secs_f64(),
        requests,
        enough_from,
        below: upper_bound(requests, 0, beta),
        too_short,
    }
}

fn enough(next: Weight, p0: f64, beta: f64) -> Option<u64> {
    Some(needed_requests(p0, next.share(), beta, 0)).filter(|n| *n > 0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is never negative")]
fn whole(requests: f64) -> u64 {
    requests.floor() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stage(percent: f64, minutes: u64) -> Stage {
        let observe = Duration::from_secs(60 * minutes);
        Stage { weight: Weight::try_from(percent).unwrap(), observe, max_duration: observe * 4 }
    }

    #[test]
    fn the_ladder_of_the_default_stages_is_known() {
        let stages = [stage(1.0, 15), stage(5.0, 15), stage(25.0, 15), stage(100.0, 30)];
        let table = plan_table(&stages, 3.2, 0.005, 0.05);
        let requests: Vec<u64> = table.iter().map(|row| row.requests).collect();
        assert_eq!(requests, [28, 172, 892, 6_652]);
        let enough: Vec<Option<u64>> = table.iter().map(|row| row.enough_from).collect();
        assert_eq!(enough, [Some(10), Some(54), Some(219), None]);
        assert!(table.iter().all(|row| row.too_short.is_none()));
        assert!(table[1].below < 0.021 && table[1].below > 0.018, "{}", table[1].below);
    }

    #[test]
    fn a_stage_that_cannot_pass_says_how_long_it_would_need() {
        let table = plan_table(&[stage(1.0, 15), stage(5.0, 15)], 0.2, 0.005, 0.05);
        assert_eq!(table[0].requests, 1);
        let needs = table[0].too_short.unwrap();
        assert!((needs - 5_000.0).abs() < 1.0, "10 requests at 0.002 a second: {needs}");
        assert_eq!(plan_table(&[stage(1.0, 15), stage(5.0, 15)], 0.0, 0.005, 0.05)[0].too_short, None);
    }
}
