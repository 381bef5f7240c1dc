use super::*;
use crate::{
    features,
    signal::{Signal, Signals},
    tick::Tick,
};

/// A minute of a target, of which the last four seconds are `now`.
fn lived(now: &[(Signal, f32)]) -> Window {
    let usual = [
        (Signal::RttMax, 20_000.0),
        (Signal::RttP50, 10_000.0),
        (Signal::TxBytes, 1e6),
        (Signal::Opens, 20.0),
        (Signal::RunQueueP99, 400.0),
    ];
    let mut window = Window::new();
    for tick in 0..60 {
        let mut signals = Signals::ABSENT;
        let wobble = 1.0 + (tick * 7 % 13) as f32 / 100.0;
        usual.iter().for_each(|(signal, value)| signals.set(*signal, value * wobble));
        if tick >= 56 {
            now.iter().for_each(|(signal, value)| signals.set(*signal, *value));
        }
        window.push(Tick(tick), &signals).unwrap();
    }
    window
}

fn causes_of(now: &[(Signal, f32)]) -> Vec<Cause> {
    causes(&lived(now), &[0.0; COUNT], &RestsOn::NOTHING)
}

fn groups(now: &[(Signal, f32)]) -> Vec<Group> {
    causes_of(now).iter().map(|cause| cause.group).collect()
}

#[test]
fn a_cause_is_reported_with_its_value_what_is_usual_and_its_share() {
    let causes = causes_of(&[(Signal::RttMax, 90_000.0), (Signal::RttP50, 60_000.0)]);
    let [Cause { group, feature, unit, value, baseline, share_percent }] = &causes[..] else {
        panic!("{causes:?}");
    };
    assert_eq!(
        (*group, &**feature, &**unit, *value, *share_percent),
        (Group::Queue, "rtt_p50_us", "µs", 60_000.0, 100)
    );
    assert!((10_000.0..11_200.0).contains(baseline), "{baseline}");
}

#[test]
fn more_load_explains_the_queue_and_the_queue_its_losses() {
    let surge =
        [(Signal::TxBytes, 2e6), (Signal::RttP50, 60_000.0), (Signal::Retransmits, 50.0), (Signal::RttMax, 2e5)];
    assert_eq!(groups(&surge)[..2], [Group::Rates, Group::Queue]);
    assert_eq!(groups(&surge[1..])[..2], [Group::Queue, Group::Retransmits], "less capacity: the load is as usual");
    assert_eq!(groups(&surge[2..]), [Group::Retransmits], "loss: the median waits no longer");
}

#[test]
fn rtt_alone_is_named_only_when_nothing_else_is_out_of_its_usual() {
    assert_eq!(groups(&[(Signal::RttMax, 90_000.0)]), [Group::RttHistory]);
    assert_eq!(groups(&[(Signal::RttMax, 90_000.0), (Signal::RunQueueP99, 9_000.0)]), [Group::Scheduling]);
    assert!(groups(&[]).is_empty(), "nothing is");
}

#[test]
fn what_falls_is_no_cause() {
    assert_eq!(groups(&[(Signal::TxBytes, 1e3), (Signal::Opens, 0.0), (Signal::RttP50, 60_000.0)]), [Group::Queue]);
}

#[test]
fn what_the_forecast_rests_on_counts_up_to_twice() {
    let window = lived(&[(Signal::TxBytes, 2e6), (Signal::Opens, 42.0)]);
    let first = |score: fn(&[f32; COUNT]) -> f32| {
        let rests_on = RestsOn::of(score, &[1.0; COUNT], &[0.0; COUNT]);
        causes(&window, &[0.0; COUNT], &rests_on)[0].group
    };
    assert_eq!(first(|vector| vector[features::index("opens_mean4").unwrap()]), Group::Connections);
    assert_eq!(first(|vector| vector[features::index("tx_bytes_mean4").unwrap()]), Group::Rates);
}

#[test]
fn the_list_is_bounded_sorted_and_its_shares_are_of_all() {
    let mut excess = [1.0; Group::ALL.len()];
    excess[Group::RttHistory as usize] = 9.0;
    let weights = weigh(&excess, &RestsOn::NOTHING);
    let of = |group: Group| weights[group as usize];
    assert_eq!((of(Group::Rates), of(Group::Recurrence), of(Group::RttHistory)), (1.0, 1.0, 0.0));
    assert_eq!((of(Group::Queue), of(Group::Pressure)), (0.25, 0.0625));
    let causes = causes_of(&[
        (Signal::TxBytes, 9e6),
        (Signal::Opens, 300.0),
        (Signal::RttP50, 9e5),
        (Signal::Retransmits, 9e3),
        (Signal::RunQueueP99, 9e5),
        (Signal::SoftnetDropped, 9e5),
    ]);
    assert_eq!(causes.len(), MAX_CAUSES);
    assert!(causes.is_sorted_by(|a, b| a.share_percent >= b.share_percent));
}
