//! Turns among those who wait, so that nobody's storm holds up others: namespaces share what may be written, and within
//! each its rules do.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng 1996) with requests of equal cost, on two levels: who was served has
//! to wait for one request of each other one, and who comes new starts with those that are next.

use std::collections::BTreeMap;

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    /// The namespace.
    pub(super) namespace: String,
    /// UID of the policy, and the rule.
    pub(super) rule: (String, String),
}

/// What was served of late.
#[derive(Debug, Default)]
pub(super) struct Fair {
    namespaces: Shares<String>,
    rules: BTreeMap<String, Shares<(String, String)>>,
}

impl Fair {
    /// The turn of a flow: of two that wait the one with the lesser turn is next.
    pub(super) fn turn(&self, flow: &Flow) -> (u64, u64) {
        let rule = self.rules.get(&flow.namespace).map_or(0, |rules| rules.start(&flow.rule));
        (self.namespaces.start(&flow.namespace), rule)
    }

    /// A request of `flow` is made.
    pub(super) fn serve(&mut self, flow: &Flow) {
        self.namespaces.serve(&flow.namespace);
        self.rules.entry(flow.namespace.clone()).or_default().serve(&flow.rule);
        // Who is not ahead of the others any more is as if never served: what is remembered stays small.
        let namespaces = &self.namespaces;
        self.rules.retain(|namespace, _| namespaces.finish.contains_key(namespace));
    }
}

/// One level.
#[derive(Debug)]
struct Shares<K> {
    /// The turn that is being served.
    now: u64,
    /// The next turn of those that are ahead of it.
    finish: BTreeMap<K, u64>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { now: 0, finish: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Shares<K> {
    fn start(&self, key: &K) -> u64 {
        self.finish.get(key).copied().unwrap_or(0).max(self.now)
    }

    fn serve(&mut self, key: &K) {
        self.now = self.start(key);
        self.finish.insert(key.clone(), self.now + 1);
        let now = self.now;
        self.finish.retain(|_, finish| *finish > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(namespace: &str, rule: &str) -> Flow {
        Flow { namespace: namespace.to_owned(), rule: ("policy".to_owned(), rule.to_owned()) }
    }

    /// Serves `turns` requests of these, of which each always has one more.
    fn served(fair: &mut Fair, flows: &[Flow], turns: usize) -> Vec<Flow> {
        let mut order = Vec::new();
        for _ in 0..turns {
            let next = flows.iter().min_by_key(|flow| fair.turn(flow)).unwrap();
            fair.serve(next);
            order.push(next.clone());
        }
        order
    }

    #[test]
    fn namespaces_share_evenly_however_many_rules_each_has() {
        let flows = [flow("a", "1"), flow("a", "2"), flow("a", "3"), flow("b", "1")];
        let order = served(&mut Fair::default(), &flows, 60);
        let count = |wanted: &Flow| order.iter().filter(|flow| *flow == wanted).count();
        assert_eq!(flows.each_ref().map(count), [10, 10, 10, 30]);
    }

    #[test]
    fn who_comes_in_the_middle_of_a_storm_is_next_and_gets_no_credit_for_having_been_quiet() {
        let mut fair = Fair::default();
        served(&mut fair, &[flow("storm", "r")], 1000);
        let order = served(&mut fair, &[flow("storm", "r"), flow("calm", "r")], 10);
        assert!(order[..2].contains(&flow("calm", "r")), "{order:?}");
        // One turn more than every other one: the storm was served last.
        assert_eq!(order.iter().filter(|flow| flow.namespace == "calm").count(), 6);
    }

    #[test]
    fn what_is_remembered_is_no_more_than_who_was_served_in_the_last_turn() {
        let mut fair = Fair::default();
        for number in 0..10_000 {
            fair.serve(&flow(&format!("ns{number}"), "r"));
            served(&mut fair, &[flow("busy", "r")], 1);
        }
        assert!(fair.namespaces.finish.len() <= 2 && fair.rules.len() <= 2, "{fair:?}");
    }
}
