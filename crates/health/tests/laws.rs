//! What holds of every score, whatever was seen.

#![expect(clippy::unwrap_used, reason = "a test tells what went wrong by failing")]

use std::time::Duration;

use chrono::TimeDelta;
use lagan_health::{PartKind, Request, Score, Share, Signals, Targets, Time, Window};
use proptest::prelude::*;

fn start() -> Time {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn targets() -> impl Strategy<Value = Targets> {
    let share = || (0_u16..=10_000).prop_map(|part| Share::hundredths(part).unwrap());
    let latency = (1_u64..100_000).prop_map(Duration::from_millis);
    (1_i64..=31 * 24, share(), latency, share(), share()).prop_map(
        |(hours, success_rate, latency, error_growth, saturation)| Targets {
            window: TimeDelta::hours(hours),
            success_rate,
            latency,
            error_growth,
            saturation,
            ..Targets::default()
        },
    )
}

fn signals() -> impl Strategy<Value = Signals> {
    let latency = prop::option::of((0_u64..1_000_000).prop_map(Duration::from_millis));
    (0.0..=1.0, latency, -1.0..=1.0, 0.0..=1.0).prop_map(|(failing, latency, growth, saturation)| Signals {
        failing,
        latency,
        growth,
        saturation,
    })
}

#[derive(Debug, Clone)]
enum Seen {
    Request(Request),
    Run(bool),
}

/// What is seen, and how many minutes after the start.
fn seen() -> impl Strategy<Value = Vec<(i64, Seen)>> {
    let latency = prop::option::of((0_u64..120_000).prop_map(Duration::from_millis));
    let request = (any::<bool>(), any::<bool>(), latency).prop_map(|(failed, refused, latency)| {
        Seen::Request(Request {
            failed,
            refused,
            latency,
        })
    });
    let one = prop_oneof![4 => request, 1 => any::<bool>().prop_map(Seen::Run)];
    prop::collection::vec((0_i64..3_000, one), 0..60).prop_map(|mut seen| {
        seen.sort_by_key(|(minute, _)| *minute);
        seen
    })
}

fn fill(window: &mut Window, seen: &[(i64, Seen)]) {
    for (minute, seen) in seen {
        let now = start() + TimeDelta::minutes(*minute);
        match seen {
            Seen::Request(request) => window.request(now, *request),
            Seen::Run(succeeded) => window.run(now, *succeeded),
        }
    }
}

proptest! {
    #[test]
    fn a_score_is_from_0_to_100_and_so_is_what_it_is_made_of(signals in signals(), targets in targets()) {
        let score = Score::of(&signals, &targets);
        prop_assert!((0.0..=100.0).contains(&score.value()), "{score}");
        for part in score.parts {
            prop_assert!((0.0..=1.0).contains(&part.value), "{score}");
        }
        let points: f64 = score.parts.iter().map(|part| f64::from(part.kind.weight()) * part.value).sum();
        prop_assert!((points - score.value()).abs() < 1e-9);
    }

    #[test]
    fn no_signal_that_gets_worse_makes_a_score_better(
        signals in signals(), targets in targets(), which in 0..4, more in 0.0..=1.0_f64,
    ) {
        let mut worse = signals;
        match which {
            0 => worse.failing = (signals.failing + more).min(1.0),
            1 => worse.latency = signals.latency.map(|latency| latency + Duration::from_secs_f64(more * 100.0)),
            2 => worse.growth = (signals.growth + more).min(1.0),
            _ => worse.saturation = (signals.saturation + more).min(1.0),
        }
        let (before, after) = (Score::of(&signals, &targets), Score::of(&worse, &targets));
        prop_assert!(after.value() <= before.value(), "{before} {after}");
        let unanswered = Signals { latency: None, ..signals };
        prop_assert!(Score::of(&unanswered, &targets).value() <= before.value());
    }

    #[test]
    fn what_is_within_all_targets_has_all_points(targets in targets()) {
        let signals = Signals {
            failing: targets.success_rate.rest().ratio(),
            latency: Some(targets.latency),
            growth: targets.error_growth.ratio(),
            saturation: targets.saturation.ratio(),
        };
        prop_assert_eq!(Score::of(&signals, &targets).value(), 100.0);
    }

    #[test]
    fn what_was_seen_before_the_window_counts_as_if_it_had_not_been(
        old in seen(), recent in seen(), hours in 1_i64..=48,
    ) {
        let length = TimeDelta::hours(hours);
        let last = 3_000 + hours * 60;
        let later: Vec<_> = recent.into_iter().map(|(minute, seen)| (minute + last, seen)).collect();
        let (mut both, mut alone) = (Window::new(length), Window::new(length));
        fill(&mut both, &old);
        fill(&mut both, &later);
        fill(&mut alone, &later);
        let now = start() + TimeDelta::minutes(last + 3_000);
        prop_assert_eq!(both.signals(now), alone.signals(now));
        // And where nothing else came, nothing is left of it.
        let mut left = Window::new(length);
        fill(&mut left, &old);
        prop_assert_eq!(left.signals(start() + TimeDelta::minutes(last)), None);
    }

    #[test]
    fn what_was_seen_within_the_window_counts(old in seen(), hours in 1_i64..=48) {
        let mut window = Window::new(TimeDelta::hours(hours));
        fill(&mut window, &old);
        if let Some((minute, _)) = old.last() {
            // All but the last slice of it.
            let now = start() + TimeDelta::minutes(*minute) + TimeDelta::hours(hours) * 47 / 48;
            prop_assert!(window.signals(now).is_some());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_of_the_future(old in seen(), hours in 1_i64..=48) {
        let mut window = Window::new(TimeDelta::hours(hours));
        fill(&mut window, &old);
        let before = start() - TimeDelta::hours(hours);
        prop_assert_eq!(window.signals(before), None);
        window.run(before, true);
        let later = window.signals(before + TimeDelta::minutes(1));
        prop_assert_eq!(later.map(|signals| signals.failing), Some(0.0));
    }

    #[test]
    fn a_run_that_fails_is_no_better_than_one_that_does_not(old in seen(), targets in targets()) {
        let score = |succeeded| {
            let mut window = Window::new(targets.window);
            fill(&mut window, &old);
            let now = start() + TimeDelta::minutes(3_000);
            window.run(now, succeeded);
            Score::of(&window.signals(now).unwrap(), &targets).value()
        };
        prop_assert!(score(false) <= score(true));
    }
}

#[test]
fn without_traffic_there_is_no_score() {
    assert_eq!(Window::new(TimeDelta::hours(1)).signals(start()), None);
}

#[test]
fn weights_add_up_to_a_hundred() {
    let sum: u32 = PartKind::ALL.iter().map(|kind| u32::from(kind.weight())).sum();
    assert_eq!(sum, 100);
}

/// The example of docs/metrics.md.
#[test]
fn twice_what_is_allowed_is_half_of_a_part() {
    let signals = Signals {
        failing: 0.02,
        latency: Some(Duration::from_secs(1)),
        growth: 0.0,
        saturation: 0.20,
    };
    let score = Score::of(&signals, &Targets::default());
    assert_eq!(
        score.to_string(),
        "72 (success 0.50, latency 1.00, error_growth 1.00, saturation 0.25)"
    );
    assert!(score.is_low(&Targets::default()));
}

#[test]
fn a_registry_that_answers_nothing_has_next_to_nothing_left() {
    let mut window = Window::new(TimeDelta::days(1));
    for minute in 0..100 {
        let broken = Request {
            failed: true,
            refused: true,
            latency: None,
        };
        window.request(start() + TimeDelta::minutes(minute), broken);
    }
    let signals = window.signals(start() + TimeDelta::minutes(100)).unwrap();
    let score = Score::of(&signals, &Targets::default()).value();
    assert!(score < 25.0, "{score}");
}

#[test]
fn more_failures_in_the_later_half_are_growth() {
    let mut window = Window::new(TimeDelta::hours(48));
    let request = |failed| Request {
        failed,
        refused: false,
        latency: Some(Duration::from_millis(5)),
    };
    for hour in 0..40 {
        let failed = hour >= 30 && hour % 2 == 0;
        window.request(start() + TimeDelta::hours(hour), request(failed));
    }
    // 24 hours back from the 47th: hours 24 to 39 are the later half, 5 of their 16 failed.
    let growth = window.signals(start() + TimeDelta::hours(47)).unwrap().growth;
    assert!((growth - 5.0 / 16.0).abs() < 1e-9, "{growth}");
}

#[test]
fn shares_are_shown_as_they_are_written() {
    for (hundredths, shown) in [(9_900, "99%"), (9_950, "99.5%"), (5, "0.05%"), (10_000, "100%")] {
        assert_eq!(Share::hundredths(hundredths).unwrap().to_string(), shown);
    }
    assert_eq!(Share::hundredths(10_001), None);
    assert_eq!(Share::percent(101), None);
}
