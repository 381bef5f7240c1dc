//! What targets and policies select on one host, so that a selector that matches nothing is noticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use netprecursor_core::policy::{Labels, Policy};
use serde::Serialize;

use crate::targets::{names, selector::Selector};

/// Names, and labels, that are shown at most.
const SHOWN: usize = 5;

/// What one `--target` or policy selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// The target as it was written, or the policy's kind, namespace and name.
    pub name: String,
    /// Of a target: namespaces that match. Of a policy: those of them that it selects.
    pub matches: usize,
    /// What to look at when it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What all of them select.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Selection {
    /// In the order of the flags.
    pub targets: Vec<Selected>,
    /// In the order of the files.
    pub policies: Vec<Selected>,
    /// Why nothing is forecast at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

/// Without a policy.
const NO_POLICY: &str = "no policy: targets are measured, nothing is forecast, and no alert fires; expected a policy that says \
                         what to warn of: give one with --policy FILE";

impl Selection {
    /// Of the namespaces that there are, by name and inode.
    pub fn of<'a>(
        selectors: &[Selector],
        policies: impl IntoIterator<Item = &'a Policy>,
        named: &[(String, u64)],
    ) -> Self {
        let targets = selectors.iter().map(|selector| target(selector, named)).collect();
        let wanted = names::group(named, selectors);
        let watched: Vec<&Labels> = wanted.values().map(|namespace| &namespace.labels).collect();
        let policies: Vec<_> = policies.into_iter().map(|policy| self::policy(policy, &watched)).collect();
        let advice = policies.is_empty().then_some(NO_POLICY);
        Self { targets, policies, advice }
    }

    /// In a cluster: what policies select, without advice, which their conditions have.
    pub fn counted(policies: impl IntoIterator<Item = (String, usize)>) -> Self {
        let selected = |(name, matches)| Selected { name, matches, advice: None };
        Self { policies: policies.into_iter().map(selected).collect(), ..Self::default() }
    }

    /// What changed since `before`: what selects nothing now, and what has begun to select something.
    pub fn news(&self, before: Option<&Self>) -> Vec<News> {
        let mut news: Vec<News> = self
            .advice
            .filter(|_| before.is_none())
            .map(|advice| News::Nothing(advice.to_owned()))
            .into_iter()
            .collect();
        for (kind, now, then) in [
            ("target", &self.targets, before.map(|before| &before.targets)),
            ("policy", &self.policies, before.map(|before| &before.policies)),
        ] {
            for (index, selected) in now.iter().enumerate() {
                let had = then.and_then(|then| then.get(index)).map(|then| then.matches > 0);
                match (had, selected.matches, &selected.advice) {
                    (None | Some(true), 0, Some(advice)) => {
                        news.push(News::Nothing(format!("{kind} {} selects nothing: {advice}", selected.name)));
                    }
                    (Some(false), matches @ 1.., _) => {
                        news.push(News::Found(format!("{kind} {} selects {matches} now", selected.name)));
                    }
                    _ => {}
                }
            }
        }
        news
    }
}

/// Something to log once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Nothing is selected.
    Nothing(String),
    /// Something is, after nothing was.
    Found(String),
}

impl News {
    /// Logs it.
    pub fn log(&self) {
        match self {
            Self::Nothing(text) => tracing::warn!("{text}"),
            Self::Found(text) => tracing::info!("{text}"),
        }
    }
}

fn target(selector: &Selector, named: &[(String, u64)]) -> Selected {
    let matching = named.iter().filter(|(name, _)| selector.matches(name));
    // A namespace may have several names.
    let matches = matching.map(|(_, inode)| inode).collect::<BTreeSet<_>>().len();
    let name = selector.to_string();
    let advice = (matches == 0).then(|| {
        if named.is_empty() {
            return "this machine has no network namespace with a name; expected one as `ip netns list` prints it. It is \
                    watched as soon as it is there"
                .to_owned();
        }
        let pattern = name.trim_start_matches("netns:").split(',').next().unwrap_or_default();
        format!(
            "no network namespace has such a name; expected one of those that there are, such as {}. It is watched as soon \
             as it is there",
            nearest(pattern, named.iter().map(|(name, _)| name.as_str())).join(", ")
        )
    });
    Selected { name, matches, advice }
}

fn policy(policy: &Policy, watched: &[&Labels]) -> Selected {
    let matches = watched.iter().filter(|labels| policy.target.matches(labels)).count();
    let advice = (matches == 0).then(|| {
        let labels: BTreeMap<String, ()> = watched
            .iter()
            .flat_map(|labels| labels.iter())
            .map(|(key, value)| (format!("{key}={value}"), ()))
            .collect();
        let labels: Vec<&str> = labels.keys().map(String::as_str).take(SHOWN).collect();
        match (watched.is_empty(), labels.is_empty()) {
            (true, _) => "no target is there; expected one of --target, or its namespace to come".to_owned(),
            (false, true) => {
                "no target has a label; expected those of its podSelector: give them with the target, as in \
                              --target netns:NAME,KEY=VALUE"
                    .to_owned()
            }
            (false, false) => format!(
                "no target has the labels of its podSelector; targets have {}: change the selector, or the labels that \
                 --target gives",
                labels.join(", ")
            ),
        }
    });
    Selected { name: policy.identity().to_string(), matches, advice }
}

/// Names that are most like a pattern: with the least to change in their length.
fn nearest<'a>(pattern: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let plain: String = pattern.chars().filter(|letter| !matches!(letter, '*' | '?')).collect();
    let unlike = |name: &str| 1_000 * distance(&plain, name) / plain.chars().count().max(name.chars().count()).max(1);
    let mut near: Vec<(usize, &str)> = names.map(|name| (unlike(name), name)).collect();
    near.sort_unstable();
    near.into_iter().take(SHOWN).map(|(_, name)| name).collect()
}

/// Letters to insert, remove, replace or swap with the next one (optimal string alignment,
/// <https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance>).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for row in 1..=one.len() {
        let mut here = vec![row];
        for column in 1..=other.len() {
            let replaced = above[column - 1] + usize::from(one[row - 1] != other[column - 1]);
            let mut least = replaced.min(above[column] + 1).min(here[column - 1] + 1);
            if row > 1 && column > 1 && one[row - 1] == other[column - 2] && one[row - 2] == other[column - 1] {
                least = least.min(before[column - 2] + 1);
            }
            here.push(least);
        }
        before = std::mem::replace(&mut above, here);
    }
    above[other.len()]
}

impl fmt::Display for Selection {
    /// A table, for `doctor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, rows) in [("TARGET", &self.targets), ("POLICY", &self.policies)] {
            if rows.is_empty() {
                continue;
            }
            let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default().max(title.len());
            writeln!(f, "\n{title:<width$}  MATCHES")?;
            for Selected { name, matches, advice } in rows {
                let line = format!("{name:<width$}  {matches:<7}  {}", advice.as_deref().unwrap_or_default());
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        if let Some(advice) = self.advice.filter(|_| !self.targets.is_empty()) {
            writeln!(f, "\n{advice}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(selector: &str) -> Vec<Policy> {
        let yaml = format!(
            "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: web}}\n\
             spec: {{target: {{podSelector: {selector}}}, rules: [{{name: rtt, signal: RttForecast, rttForecast: {{threshold: 200ms}}}}]}}\n"
        );
        netprecursor_crds::policies_from_yaml("test", &yaml).unwrap()
    }

    fn selection(targets: &[&str], selector: &str, names: &[&str]) -> Selection {
        let selectors: Vec<Selector> = targets.iter().map(|target| target.parse().unwrap()).collect();
        Selection::of(&selectors, &policies(selector), &named(names))
    }

    /// A namespace for each name.
    fn named(names: &[&str]) -> Vec<(String, u64)> {
        (1..).zip(names).map(|(inode, name)| ((*name).to_owned(), inode)).collect()
    }

    fn logged(news: &[News]) -> String {
        news.iter().map(|news| format!("{news:?}\n")).collect()
    }

    #[test]
    fn a_target_that_matches_nothing_names_what_there_is() {
        let selection = selection(&["netns:wbe*,app=web", "netns:db"], "{}", &["web1", "web2", "db"]);
        assert_eq!((selection.targets[0].matches, selection.targets[1].matches), (0, 1));
        let advice = selection.targets[0].advice.as_ref().unwrap();
        assert!(advice.contains("web1, web2, db"), "{advice}");
        assert!(selection.targets[1].advice.is_none() && selection.policies[0].advice.is_none(), "{selection:?}");
        assert!(self::selection(&["netns:x"], "{}", &[]).targets[0].advice.as_ref().unwrap().contains("ip netns list"));
    }

    #[test]
    fn a_policy_that_selects_nothing_names_the_labels_that_there_are() {
        let wanted = "{matchLabels: {app: checkout}}";
        let advice = |targets: &[&str], names: &[&str]| selection(targets, wanted, names).policies[0].advice.clone();
        assert!(advice(&["netns:web,app=web"], &["web"]).unwrap().contains("targets have app=web"));
        assert!(advice(&["netns:web"], &["web"]).unwrap().contains("--target netns:NAME,KEY=VALUE"));
        assert!(advice(&["netns:web"], &[]).unwrap().contains("no target is there"));
        assert_eq!(advice(&["netns:web,app=checkout"], &["web"]), None);
        // Another kind, or another namespace, may have a policy of the same name.
        assert_eq!(selection(&[], wanted, &[]).policies[0].name, "PrecursorPolicy web");
    }

    #[test]
    fn a_namespace_with_two_names_is_selected_once_by_the_labels_of_both() {
        let selectors = ["netns:a*,app=checkout".parse().unwrap(), "netns:b,tier=front".parse().unwrap()];
        let named = [("a1".to_owned(), 7), ("a2".to_owned(), 7), ("b".to_owned(), 7)];
        let selection = Selection::of(&selectors, &policies("{matchLabels: {app: checkout, tier: front}}"), &named);
        let matches = |selected: &[Selected]| selected.iter().map(|one| one.matches).collect::<Vec<_>>();
        assert_eq!((matches(&selection.targets), matches(&selection.policies)), (vec![1, 1], vec![1]));
    }

    #[test]
    fn it_is_logged_once_and_again_when_it_changes() {
        let (none, some) =
            (selection(&["netns:web*"], "{}", &["db"]), selection(&["netns:web*"], "{}", &["db", "web1"]));
        let first = none.news(None);
        assert!(logged(&first).contains("target netns:web* selects nothing"), "{first:?}");
        assert!(none.news(Some(&none)).is_empty() && some.news(Some(&some)).is_empty() && some.news(None).is_empty());
        assert_eq!(logged(&some.news(Some(&none))).matches("Found").count(), 2);
        assert_eq!(logged(&none.news(Some(&some))).matches("Nothing").count(), 2);
    }

    #[test]
    fn without_a_policy_it_says_that_nothing_is_forecast() {
        let selection = Selection::of(&["netns:web".parse().unwrap()], [], &named(&["web"]));
        let first = selection.news(None);
        assert!(
            logged(&first).contains("nothing is forecast") && logged(&first).contains("--policy FILE"),
            "{first:?}"
        );
        assert!(selection.to_string().contains("nothing is forecast"), "{selection}");
    }

    #[test]
    fn the_nearest_names_come_first() {
        assert_eq!(nearest("wbe", ["db", "web", "a-very-long-name"].into_iter()), ["web", "db", "a-very-long-name"]);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("wbe", "web")), (3, 3, 1));
    }
}
