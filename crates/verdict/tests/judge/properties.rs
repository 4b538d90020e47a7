//! What holds for every sequence of seconds.

use canaryd_verdict::{Arm, Judge, Question, Sample, Settings, Verdict};
use proptest::prelude::*;

use crate::{Dice, errors, good, p95, settings};

/// Any request of few clients, replicas and modes.
fn sample() -> impl Strategy<Value = Sample> {
    let latency = prop_oneof![8 => (0.001..9.0).prop_map(Some), 1 => Just(None)];
    let mode = prop_oneof![Just(None), Just(Some("fast".to_owned()))];
    (any::<bool>(), 0..3u32, 0..10u8, latency, mode, 0..6u64).prop_map(
        |(canary, ordinal, luck, latency, mode, client)| Sample {
            arm: if canary { Arm::Canary } else { Arm::Production },
            ordinal,
            failed: luck == 0,
            latency,
            mode,
            client,
        },
    )
}

/// Seconds, some left out, with their requests.
fn seconds() -> impl Strategy<Value = Vec<(i64, Vec<Sample>)>> {
    let second = (1..40i64, prop::collection::vec(sample(), 0..6));
    prop::collection::vec(second, 1..25).prop_map(|mut seconds| {
        let mut now = 1_700_000_000;
        for (second, _) in &mut seconds {
            now += *second;
            *second = now;
        }
        seconds
    })
}

fn two_checks() -> Settings {
    let fast = Question { mode: Some("fast".into()), ..p95(2.5) };
    Settings { warmup: 20.0, ..settings(vec![errors(0.01), fast]) }
}

fn resumed(judge: &Judge) -> Judge {
    serde_json::from_str(&serde_json::to_string(judge).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn resuming_after_every_second_changes_no_bit(seconds in seconds()) {
        let mut straight = Judge::new(two_checks());
        let mut broken = Judge::new(two_checks());
        for (second, samples) in &seconds {
            straight.tick(*second, samples);
            broken.tick(*second, samples);
            broken = resumed(&broken);
            prop_assert_eq!(&broken, &straight);
            let bits = |judge: &Judge| judge.reports(Some(0.25)).iter().map(|report| report.ln_e.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&broken), bits(&straight));
            let text = |judge: &Judge| serde_json::to_string(judge).unwrap();
            prop_assert_eq!(text(&broken), text(&straight));
        }
    }

    #[test]
    fn one_canary_request_made_worse_never_lowers_the_evidence(
        seconds in seconds(), at in any::<prop::sample::Index>(), slower in any::<bool>(),
    ) {
        let mut worse = seconds.clone();
        let mut all: Vec<&mut Sample> = worse.iter_mut().flat_map(|(_, samples)| samples).collect();
        prop_assume!(!all.is_empty());
        let index = at.index(all.len());
        let sample = &mut *all[index];
        if slower { sample.latency = None } else { sample.failed = true }
        sample.arm = Arm::Canary;
        let worsened = sample.clone();
        let judge = |seconds: &[(i64, Vec<Sample>)]| {
            let mut judge = Judge::new(two_checks());
            for (second, samples) in seconds {
                judge.tick(*second, samples);
            }
            judge
        };
        // the same requests, this one on the canary and good
        let mut better = worse.clone();
        for (_, samples) in &mut better {
            for sample in samples.iter_mut().filter(|sample| **sample == worsened) {
                if slower { sample.latency = Some(0.1) } else { sample.failed = false }
            }
        }
        for (better, worse) in judge(&better).reports(None).iter().zip(judge(&worse).reports(None)) {
            prop_assert!(worse.ln_e >= better.ln_e - 1e-9, "{} after {}", worse.ln_e, better.ln_e);
        }
    }

    #[test]
    fn verdicts_and_reports_agree(seconds in seconds(), next in prop::option::of(0.01..1.0)) {
        let mut judge = Judge::new(two_checks());
        for (second, samples) in &seconds {
            judge.tick(*second, samples);
        }
        let reports = judge.reports(next);
        let failed = reports.iter().any(|report| report.failed);
        prop_assert_eq!(failed, matches!(judge.verdict(next), Verdict::Fail { .. }));
        for report in &reports {
            prop_assert!(report.lower <= report.upper);
            prop_assert!(report.canary.bad <= report.canary.requests);
            prop_assert!(report.suspicion.is_finite() && report.ln_e.is_finite() && report.bar.is_finite());
        }
        prop_assert!(!failed || judge.suspicion() >= 20.0);
    }
}

#[test]
fn the_state_of_five_checks_is_small() {
    let of_mode =
        |mode: &str, max| Question { name: format!("latency-{mode}"), mode: Some(mode.to_owned()), ..p95(max) };
    let checks =
        vec![of_mode("fast", 2.5), of_mode("balanced", 3.2), of_mode("creative", 4.5), p95(4.0), errors(0.005)];
    let mut judge = Judge::new(settings(checks));
    let mut dice = Dice(3);
    for second in 0..400 {
        let samples: Vec<Sample> = (0..200).map(|i| lognormal(&mut dice, i)).collect();
        judge.tick(second, &samples);
    }
    let size = serde_json::to_string(&judge).unwrap().len();
    assert!(size < 16 * 1024, "{size} bytes");
}

/// A request of one of three modes, median 0.8 s, sigma 0.5, one in ten of them the canary's.
fn lognormal(dice: &mut Dice, i: u64) -> Sample {
    let mode = ["fast", "balanced", "creative"][usize::try_from(i % 3).unwrap()];
    let normal: f64 = (0..12).map(|_| dice.unit()).sum::<f64>() - 6.0;
    Sample {
        arm: if i.is_multiple_of(10) { Arm::Canary } else { Arm::Production },
        latency: Some(0.8 * libm::exp(0.5 * normal)),
        mode: Some(mode.to_owned()),
        ..good(dice.next())
    }
}
