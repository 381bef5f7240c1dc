//! `/api/v1/window` and `/api/v1/history`: the last minutes.

use std::collections::BTreeMap;

use netprecursor_core::signal::Signal;
use serde::Serialize;

use crate::tick::snapshot::{Point, Snapshot};

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Window"))]
pub(in crate::serve) struct WindowView {
    target: String,
    /// The last five minutes.
    points: Vec<PointView>,
    /// The last minute of every signal, oldest first.
    signals: BTreeMap<&'static str, Vec<Option<f32>>>,
}

/// A point with its second.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Second"))]
struct PointView {
    /// Unix time, s.
    unix: u64,
    #[serde(flatten)]
    point: Point,
}

/// The points of a target that came after `since`, oldest first.
fn points(snapshot: &Snapshot, uid: &str, since: u64) -> Vec<PointView> {
    let newest = snapshot.recent.points.newest_of(uid).take_while(|(unix, _)| *unix > since);
    let mut points: Vec<_> = newest.map(|(unix, point)| PointView { unix, point: *point }).collect();
    points.reverse();
    points
}

/// The last minutes of the target that has this name; `None` when none has.
pub(in crate::serve) fn window(snapshot: &Snapshot, name: &str) -> Option<WindowView> {
    let about = &snapshot.targets.iter().find(|target| target.about.is_named(name))?.about;
    let mut minute: Vec<_> = snapshot.recent.signals.newest_of(&about.uid).map(|(_, signals)| signals).collect();
    minute.reverse();
    let finite = |value: f32| value.is_finite().then_some(value);
    let signals = Signal::ALL
        .iter()
        .map(|signal| (signal.name(), minute.iter().map(|signals| finite(signals.get(*signal))).collect()))
        .collect();
    let points = points(snapshot, &about.uid, 0);
    Some(WindowView { target: about.name.clone(), points, signals })
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "History"))]
pub(in crate::serve) struct HistoryView<'a> {
    target: &'a str,
    points: Vec<PointView>,
}

/// Of every target the last five minutes, or what came after `since`.
pub(in crate::serve) fn history(snapshot: &Snapshot, since: u64) -> Vec<HistoryView<'_>> {
    let targets = snapshot.targets.iter().map(|target| &target.about);
    targets.map(|about| HistoryView { target: &about.name, points: points(snapshot, &about.uid, since) }).collect()
}
