//! The alerts that fire, as the watch has shown them, and the values of metrics over them. Pure: now is a parameter.

use std::time::{Duration, Instant};

use kube::core::{Selector, SelectorExt as _};
use netprecursor_kit::{Mirror, Sight};

use super::{firing::Firing, metric::Metric};

/// What is known of alerts that fire.
#[derive(Debug, Default)]
pub(super) struct Known {
    alerts: Mirror<Firing>,
    /// The first and the last error of the watch since it last showed something.
    outage: Option<[Instant; 2]>,
}

/// Errors further apart belong to two outages: in between it worked, and nothing changed.
const APART: Duration = Duration::from_secs(180);

/// While the watch fails, what is known counts for so long.
const STALE: Duration = Duration::from_secs(60);

impl Known {
    /// Takes in what the watch shows.
    pub(super) fn take(&mut self, sight: Sight<Firing>) {
        if !matches!(sight, Sight::Listing) {
            self.outage = None;
        }
        self.alerts.take(sight);
    }

    /// The watch failed.
    pub(super) fn failed(&mut self, now: Instant) {
        let first = self.outage.filter(|[_, last]| now.duration_since(*last) < APART).map_or(now, |[first, _]| first);
        self.outage = Some([first, now]);
    }

    /// The value of a metric over the alerts of a namespace that `selector` selects; `None` before all alerts were listed, when
    /// 0 would be a lie, and while they have not been watched for a minute.
    pub(super) fn value(&self, metric: Metric, namespace: &str, selector: &Selector, now: Instant) -> Option<u64> {
        let is_stale = self
            .outage
            .is_some_and(|[first, last]| now.duration_since(last) < APART && last.duration_since(first) >= STALE);
        let alerts = self.alerts.iter().filter(|(key, _)| key.namespace == namespace).map(|(_, alert)| alert);
        let is_known = self.alerts.is_synced() && !is_stale;
        is_known.then(|| metric.over(alerts.filter(|alert| selector.matches(&alert.labels))))
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_kit::Key;
    use serde_json::json;

    use super::{
        super::{
            firing::{firing, tests::alert},
            selector::parse,
        },
        *,
    };

    fn shown(namespace: &str, workload: &str, predicted: &str) -> Sight<Firing> {
        let status = json!({"predicted": predicted, "chancePercent": 60});
        Sight::Listed(Key::new(namespace, workload), firing(alert(workload, status)).unwrap())
    }

    fn value(known: &Known, namespace: &str, selector: &str) -> Option<u64> {
        known.value(Metric::RttForecast, namespace, &parse(selector).unwrap(), Instant::now())
    }

    #[test]
    fn alerts_that_could_not_be_watched_for_a_minute_are_not_known() {
        let (mut known, begun) = (Known::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let value = |known: &Known, now| known.value(Metric::RttForecast, "shop", &parse("").unwrap(), now);
        for sight in [Sight::Listing, shown("shop", "checkout", "240ms"), Sight::Complete] {
            known.take(sight);
        }
        known.failed(at(0));
        known.failed(at(30));
        assert_eq!(value(&known, at(40)), Some(120), "a short outage changes nothing");
        known.failed(at(61));
        assert_eq!(value(&known, at(62)), None);
        assert_eq!(value(&known, at(61 + 180)), Some(120), "no error for so long: it is watched, and nothing changed");
        known.failed(at(300));
        assert_eq!(value(&known, at(301)), Some(120), "another outage begins");
        known.failed(at(370));
        known.take(shown("shop", "cart", "1s"));
        assert!(value(&known, at(371)).is_some(), "something came");
    }

    #[test]
    fn a_value_is_over_the_namespace_and_the_workload_that_are_asked_for() {
        let mut known = Known::default();
        for sight in [
            Sight::Listing,
            shown("shop", "checkout", "240ms"),
            shown("shop", "cart", "400ms"),
            shown("bank", "checkout", "1s"),
        ] {
            known.take(sight);
        }
        assert_eq!(value(&known, "shop", ""), None, "the list is not complete");
        known.take(Sight::Complete);
        assert_eq!(value(&known, "shop", "workload=checkout"), Some(120));
        assert_eq!(value(&known, "shop", "workload_kind=Deployment"), Some(200));
        assert_eq!(value(&known, "shop", "workload=basket"), Some(0));
        assert_eq!(value(&known, "elsewhere", ""), Some(0));
        known.take(Sight::Deleted(Key::new("shop", "checkout")));
        assert_eq!(value(&known, "shop", "workload=checkout"), Some(0));
    }
}
