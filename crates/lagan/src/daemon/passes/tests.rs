use lagan_model::RepositoryName;
use proptest::prelude::*;

use super::*;

const R: &str = "r";

fn at(minute: i64) -> Time {
    let noon: Time = "2026-11-21T12:00:00Z".parse().unwrap();
    noon + TimeDelta::minutes(minute)
}

fn names(numbers: &[u8]) -> BTreeSet<RepositoryName> {
    numbers
        .iter()
        .map(|number| format!("team/app{number}").parse().unwrap())
        .collect()
}

/// A policy that is due every hour, and looks at everything every six.
fn due(policy: &str, minute: i64) -> Due<'_> {
    Due {
        policy,
        registry: R,
        full_pass: TimeDelta::hours(6),
        now: at(minute),
        next: Some(at(minute + 60)),
    }
}

struct Scene {
    passes: Passes,
    heard: Heard,
}

impl Scene {
    /// A policy with a full pass at noon, on a registry that tells what changes.
    fn new() -> Self {
        let mut scene = Self {
            passes: Passes::default(),
            heard: Heard::default(),
        };
        scene.heard.add(R, BTreeSet::new());
        assert_eq!(scene.pass("p", 0), None);
        scene
    }

    /// The repositories that a policy's pass looks at, `None` where it is all of them; it does all it is to do.
    fn pass(&mut self, policy: &str, minute: i64) -> Option<BTreeSet<RepositoryName>> {
        let begun = self.passes.begin(&due(policy, minute), &self.heard);
        self.ended(policy, &begun, true);
        begun.pass.only()
    }

    fn ended(&mut self, policy: &str, begun: &Begun, well: bool) {
        let made = well.then_some((&begun.pass, 340));
        self.passes.ended(policy, R, begun, made, &self.heard);
    }
}

#[test]
fn a_pass_looks_at_what_changed_until_everything_is_due_again() {
    let mut scene = Scene::new();
    scene.heard.add(R, names(&[1, 2]));
    let begun = scene.passes.begin(&due("p", 60), &scene.heard);
    assert_eq!(begun.pass.full, at(0));
    assert_eq!(begun.pass.changed.as_ref().map(|changed| changed.of), Some(340));
    assert_eq!(begun.pass.only(), Some(names(&[1, 2])));
    // What is told while it looks is looked at the next time.
    scene.heard.add(R, names(&[2]));
    scene.ended("p", &begun, true);
    assert_eq!(scene.pass("p", 120), Some(names(&[2])));
    assert_eq!(scene.pass("p", 180), Some(names(&[])));
    // At the next time it would be too late.
    assert_eq!(scene.pass("p", 300), Some(names(&[])));
    assert_eq!(scene.pass("p", 301), None);
    assert_eq!(scene.pass("p", 361), Some(names(&[])));
}

#[test]
fn what_is_in_doubt_is_a_reason_to_look_at_everything() {
    let story = |doubt: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new();
        doubt(&mut scene);
        scene.pass("p", 60)
    };
    assert_eq!(story(&|_| {}), Some(names(&[])));
    assert_eq!(story(&|scene| scene.heard.lose(R)), None);
    assert_eq!(story(&|scene| scene.heard = Heard::default()), None);
    assert_eq!(story(&|scene| scene.passes = Passes::default()), None);
    let config = Config::read("lagan.yaml", "registries: {r: {url: 'http://r'}}\n").unwrap();
    assert_eq!(
        story(&|scene| scene.passes.configured(&config, &scene.heard)),
        None
    );
    assert_eq!(
        story(&|scene| {
            let begun = scene.passes.begin(&due("p", 30), &scene.heard);
            scene.ended("p", &begun, false);
        }),
        None
    );
    // It was about another configuration.
    assert_eq!(
        story(&|scene| {
            let begun = scene.passes.begin(&due("p", 30), &scene.heard);
            scene.passes.configured(&config, &scene.heard);
            scene.ended("p", &begun, true);
        }),
        None
    );
    let mut scene = Scene::new();
    assert_eq!(scene.pass("p", -1), None, "the clock was set back");
    let never_again = Due {
        next: None,
        ..due("p", 60)
    };
    assert_eq!(scene.passes.begin(&never_again, &scene.heard).pass.only(), None);
    let elsewhere = Due {
        registry: "s",
        ..due("p", 60)
    };
    assert_eq!(scene.passes.begin(&elsewhere, &scene.heard).pass.only(), None);
}

#[test]
fn a_registry_that_never_told_anything_is_not_taken_to_be_silent() {
    let mut passes = Passes::default();
    let heard = Heard::default();
    let begun = passes.begin(&due("p", 0), &heard);
    // It begins to tell after that was looked at: what changed between was not told.
    heard.add(R, names(&[1]));
    passes.ended("p", R, &begun, Some((&begun.pass, 340)), &heard);
    let begun = passes.begin(&due("p", 60), &heard);
    assert_eq!(begun.pass, Pass::full(at(60)));
    passes.ended("p", R, &begun, Some((&begun.pass, 340)), &heard);
    assert_eq!(passes.begin(&due("p", 120), &heard).pass.only(), Some(names(&[])));
}

#[test]
fn a_full_pass_that_was_made_in_the_place_of_another_is_what_the_next_ones_go_on_with() {
    let mut scene = Scene::new();
    scene.heard.add(R, names(&[1]));
    let begun = scene.passes.begin(&due("p", 60), &scene.heard);
    let made = Pass::full(at(60));
    scene
        .passes
        .ended("p", R, &begun, Some((&made, 341)), &scene.heard);
    let next = scene.passes.begin(&due("p", 120), &scene.heard).pass;
    let changed = Changed {
        repositories: names(&[]),
        of: 341,
    };
    assert_eq!((next.full, next.changed), (at(60), Some(changed)));
}

#[derive(Debug, Clone)]
enum Step {
    Told(Vec<u8>),
    Lost,
    Pass {
        policy: usize,
        well: bool,
        meanwhile: Vec<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0_u8..5, 0..3);
    prop_oneof![
        4 => some().prop_map(Step::Told),
        1 => Just(Step::Lost),
        6 => (0_usize..2, prop::bool::weighted(0.8), some())
            .prop_map(|(policy, well, meanwhile)| Step::Pass { policy, well, meanwhile }),
    ]
}

proptest! {
    /// Whatever happens in between: what was told is looked at in the next pass, and so it goes on until one did all it
    /// was to do.
    #[test]
    fn what_was_told_is_looked_at_by_every_policy(steps in prop::collection::vec(step(), 0..60)) {
        let mut scene = Scene { passes: Passes::default(), heard: Heard::default() };
        // What may have changed since a policy looked at it; `None`: anything.
        let mut may_have: [Option<BTreeSet<RepositoryName>>; 2] = [None, None];
        let told = |may_have: &mut [Option<BTreeSet<RepositoryName>>; 2], numbers: &[u8]| {
            may_have.iter_mut().flatten().for_each(|of| of.extend(names(numbers)));
        };
        for (minute, step) in (0..).zip(steps) {
            match step {
                Step::Told(numbers) => {
                    scene.heard.add(R, names(&numbers));
                    told(&mut may_have, &numbers);
                }
                Step::Lost => {
                    scene.heard.lose(R);
                    may_have = [None, None];
                }
                Step::Pass { policy, well, meanwhile } => {
                    let name = ["p", "q"][policy];
                    let began_telling = scene.heard.now(R).is_some();
                    let begun = scene.passes.begin(&due(name, minute), &scene.heard);
                    match (begun.pass.only(), &may_have[policy]) {
                        (None, _) => {}
                        (Some(looked), Some(may_have)) => prop_assert_eq!(&looked, may_have),
                        (Some(_), None) => prop_assert!(false, "anything may have changed"),
                    }
                    if well {
                        may_have[policy] = began_telling.then(BTreeSet::new);
                    }
                    if !meanwhile.is_empty() {
                        scene.heard.add(R, names(&meanwhile));
                        told(&mut may_have, &meanwhile);
                    }
                    scene.ended(name, &begun, well);
                }
            }
        }
    }
}
