//! The plots of a page: what chances mean, other confidences, and a moment as it was measured and forecast.

use maud::{Markup, html};
use netprecursor_core::tick::Tick;

use super::{
    super::{
        chances::{Chances, Tenth},
        moments::{Kind, Moment, REACH, Second},
        sweep::Level,
    },
    chart::{self, Axis, LEFT, RIGHT},
    number, percent,
};
use crate::quantity;

const HALVES: [f64; 3] = [0.0, 0.5, 1.0];
const QUARTERS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A reliability diagram: the share of chances that came true, by chance; below it, how many there were of each.
pub(super) fn reliability(id: &str, chances: &Chances) -> Markup {
    let tenths = chances.tenths();
    let (seconds, came_true) = sums(&tenths);
    let base_rate = came_true as f64 / seconds.max(1) as f64;
    let (x, y) = (Axis::across(0.0, 1.0), Axis::up(0.0, 1.0, 180.0, 12.0));
    let most = tenths.iter().map(|tenth| tenth.count).max().unwrap_or_default().max(1);
    // Most seconds are calm: counts span decades.
    let count = Axis::up(0.0, (most as f64 + 1.0).log10(), 244.0, 208.0);
    let points: Vec<(f64, f64)> = tenths.iter().filter_map(Tenth::point).collect();
    let drawing = html! {
        (chart::levels(&y, &chart::percents(&QUARTERS)))
        path.needed d=(chart::line([Some((x.at(0.0), y.at(0.0))), Some((x.at(1.0), y.at(1.0)))])) {}
        (chart::level("limit", y.at(base_rate)))
        text.end.breach-text x=(RIGHT) y=(format!("{:.1}", y.at(base_rate) - 4.0)) { "base rate " (percent(Some(base_rate), 1)) }
        path.measured d=(chart::line(points.iter().map(|(mean, share)| Some((x.at(*mean), y.at(*share)))))) {}
        @for (mean, share) in &points {
            circle.dot cx=(format!("{:.1}", x.at(*mean))) cy=(format!("{:.1}", y.at(*share))) r="3.5" {}
        }
        text x=(LEFT) y="203" { "seconds (log scale)" }
        @for (place, tenth) in tenths.iter().enumerate().filter(|(_, tenth)| tenth.count > 0) {
            (bar("bar", x.at(place as f64 / 10.0), x.at((place + 1) as f64 / 10.0), &count, (tenth.count as f64 + 1.0).log10()))
        }
        (chart::level("grid-line", 244.0))
        (chart::names(&x, &chart::percents(&QUARTERS), 258.0))
        text.middle x="195" y="272" { "forecast chance" }
    };
    let description = format!(
        "Share of seconds that a breach followed, by the forecast chance, in {} of ten bins. A dotted diagonal stands for \
         chances that mean what they say. {seconds} seconds, base rate {}. The table has the figures.",
        points.len(),
        percent(Some(base_rate), 1)
    );
    chart::figure(id, "What a chance means", &description, 278.0, &drawing)
}

/// Precision and recall, and under them false warnings, by the confidence that a rule asks for.
pub(super) fn sweep(id: &str, levels: &[Level]) -> Markup {
    let (x, y) = (Axis::across(0.0, 1.0), Axis::up(0.0, 1.0, 160.0, 12.0));
    let most = levels.iter().filter_map(|level| level.false_per_hour()).fold(0.0, f64::max);
    let falses = Axis::up(0.0, if most > 0.0 { most } else { 1.0 }, 244.0, 192.0);
    let share = |level: &Level| level.confidence.share();
    let curve = |figure: fn(&Level) -> Option<f64>| -> Vec<Option<(f64, f64)>> {
        levels.iter().map(|level| figure(level).map(|value| (x.at(share(level)), y.at(value)))).collect()
    };
    let curves = [
        ("measured", "dot", curve(|level| level.card.precision())),
        ("good", "good-dot", curve(|level| level.card.recall())),
    ];
    let drawing = html! {
        (chart::levels(&y, &chart::percents(&QUARTERS)))
        @for (class, dot, points) in &curves {
            path class=(class) d=(chart::line(points.iter().copied())) {}
            @for (x, y) in points.iter().flatten() {
                circle class=(dot) cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" {}
            }
        }
        text x=(LEFT) y="184" { "false warnings per target-hour" }
        (chart::levels(&falses, &[0.0, falses.high].map(|value| (value, number(value)))))
        @for level in levels {
            (bar("bad-bar", x.at(share(level)) - 7.0, x.at(share(level)) + 7.0, &falses, level.false_per_hour().unwrap_or_default()))
        }
        (chart::names(&x, &chart::percents(&QUARTERS), 258.0))
        text.middle x="195" y="272" { "confidence that the rule asks for" }
    };
    let description = format!(
        "Precision and recall of warnings at {} confidences, and bars of false warnings per target-hour, {} at most. The table has \
         the figures.",
        levels.len(),
        number(most)
    );
    let drawn = chart::figure(id, "Other confidences", &description, 278.0, &drawing);
    html! { (drawn) (key(&[("measured", "precision"), ("good", "recall")])) }
}

/// Measured and forecast RTT, with the chance below.
pub(super) fn moment(id: &str, moment: &Moment) -> Markup {
    let reach = REACH as f64;
    let x = Axis::across(-reach, reach);
    let place = |tick: Tick| x.at(tick.0 as f64 - moment.at.0 as f64);
    let threshold = moment.threshold_us as f64;
    let known = moment.seconds.iter().flat_map(|second| {
        second.measured_us.into_iter().chain(second.forecast_us.into_iter().flatten()).map(f64::from)
    });
    let (low, high) = known
        .filter(|us| us.is_finite() && *us > 0.0)
        .fold((threshold, threshold), |(low, high), us| (low.min(us), high.max(us)));
    let (low, high) = (low * 0.93, high * 1.07);
    let rtt = Axis::up(low.ln(), high.ln(), 160.0, 26.0);
    let chance = Axis::up(0.0, 1.0, 232.0, 186.0);
    let us = |us: f32| rtt.at(f64::from(us).ln());
    let seconds = with_gaps(&moment.seconds);
    let ticks: Vec<(f64, String)> =
        chart::log_ticks(low, high).into_iter().map(|us| (us.ln(), quantity::time(us as f32))).collect();
    let along = |value: &dyn Fn(&Second) -> Option<f64>| {
        chart::line(seconds.iter().map(|second| {
            let second = second.as_ref()?;
            Some((place(second.tick), value(second)?))
        }))
    };
    let band = chart::area(seconds.iter().map(|second| {
        let second = second.as_ref()?;
        second.forecast_us.map(|[middle, _, high]| (place(second.tick), us(middle), us(high)))
    }));
    let breach = (moment.kind != Kind::FalseAlarm).then_some(moment.at);
    let warning = moment.warning.map(|warning| warning.at).filter(|at| moment.at.since(*at) <= REACH);
    let drawing = html! {
        (chart::levels(&rtt, &ticks))
        path.band d=(band) {}
        path.forecast d=(along(&|second| second.forecast_us.map(|[_, upper, _]| us(upper)))) {}
        path.measured d=(along(&|second| second.measured_us.map(us))) {}
        (chart::level("limit", rtt.at(threshold.ln())))
        (chart::levels(&chance, &chart::percents(&HALVES)))
        text x=(LEFT) y="179" { "chance of a breach within 10 s" }
        path.needed d=(along(&|second| Some(chance.at(second.needed.into())))) {}
        path.forecast d=(along(&|second| second.chance.map(|share| chance.at(share.into())))) {}
        @if let Some(at) = warning {
            (chart::mark("warning", place(at), 16.0, 232.0))
            text.end.warning-text x=(format!("{:.1}", place(at) - 3.0)) y="14" { "warning" }
        }
        @if let Some(at) = breach {
            (chart::mark("breach", place(at), 16.0, 232.0))
            text.breach-text x=(format!("{:.1}", place(at) + 3.0)) y="14" { "breach" }
        }
        (chart::names(&x, &[-reach, -reach / 2.0, 0.0, reach / 2.0, reach].map(|at| (at, format!("{at:+.0} s").replace("+0 s", "0 s"))), 248.0))
    };
    let what = match moment.kind {
        Kind::Warned { lead } => format!("A warning {lead} s before the breach at 0 s."),
        Kind::Missed => "A breach at 0 s without a warning.".to_owned(),
        Kind::FalseAlarm => "A warning at 0 s that no breach followed in time.".to_owned(),
    };
    let highest = moment.seconds.iter().filter_map(|second| second.chance).reduce(f32::max);
    let description = format!(
        "{what} RTT of {} on a logarithmic scale, its threshold {}, its forecast at each second for the ten seconds after it, \
         and the chance of a breach, {} at most. The table has values.",
        super::cut(&moment.target),
        quantity::time(moment.threshold_us as f32),
        percent(highest.map(f64::from), 0)
    );
    chart::figure(id, "Measured against forecast", &description, 254.0, &drawing)
}

/// The key to the plots of moments.
pub(super) fn moment_key() -> Markup {
    key(&[
        ("measured", "measured: highest RTT of a second"),
        ("forecast", "forecast of the next 10 s, 0.9 quantile; below it the chance"),
        ("band", "from the median to the 0.99 quantile"),
        ("limit", "threshold"),
        ("needed", "chance that a warning needs"),
        ("warning", "warning"),
        ("breach", "breach"),
    ])
}

fn key(lines: &[(&str, &str)]) -> Markup {
    html! {
        p.key {
            @for (class, name) in lines {
                span {
                    svg viewBox="0 0 22 8" aria-hidden="true" {
                        @if *class == "band" { path class="band" d="M0 0H22V8H0Z" {} } @else { path class=(class) d="M0 4H22" {} }
                    }
                    (name)
                }
            }
        }
    }
}

fn bar(class: &str, left: f64, right: f64, axis: &Axis, value: f64) -> Markup {
    let (top, bottom) = (axis.at(value), axis.from);
    let (width, height) = ((right - left - 2.0).max(0.0), bottom - top);
    html! {
        rect class=(class) x=(format!("{:.1}", left + 1.0)) y=(format!("{top:.1}")) width=(format!("{width:.1}")) height=(format!("{height:.1}")) {}
    }
}

/// How many chances there were, and how many came true.
pub(super) fn sums(tenths: &[Tenth]) -> (u64, u64) {
    tenths.iter().fold((0, 0), |(count, came_true), tenth| (count + tenth.count, came_true + tenth.came_true))
}

/// The seconds with a gap wherever ticks are missing.
fn with_gaps(seconds: &[Second]) -> Vec<Option<Second>> {
    let mut result = Vec::with_capacity(seconds.len());
    for (place, second) in seconds.iter().enumerate() {
        if place > 0 && second.tick.since(seconds[place - 1].tick) > 1 {
            result.push(None);
        }
        result.push(Some(*second));
    }
    result
}
