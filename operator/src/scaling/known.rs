//! The alerts that fire, as the watch has shown them, and the values of metrics over them. Pure.

use kube::core::{Selector, SelectorExt as _};
use netprecursor_kit::{Mirror, Sight};

use super::{firing::Firing, metric::Metric};

/// What is known of alerts that fire.
#[derive(Debug, Default)]
pub(super) struct Known(Mirror<Firing>);

impl Known {
    /// Takes in what the watch shows.
    pub(super) fn take(&mut self, sight: Sight<Firing>) {
        self.0.take(sight);
    }

    /// The value of a metric over the alerts of a namespace that `selector` selects; `None` before all alerts were listed, when
    /// 0 would be a lie.
    pub(super) fn value(&self, metric: Metric, namespace: &str, selector: &Selector) -> Option<u64> {
        let alerts = self.0.iter().filter(|(key, _)| key.namespace == namespace).map(|(_, alert)| alert);
        self.0.is_synced().then(|| metric.over(alerts.filter(|alert| selector.matches(&alert.labels))))
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
        known.value(Metric::RttForecast, namespace, &parse(selector).unwrap())
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
