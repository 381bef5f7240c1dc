//! The names under `/run/netns`, by namespace: a symbolic link, a bind mount or a container engine gives one namespace
//! several, and it is one target all the same.

use std::collections::BTreeMap;

use super::selector::Selector;

/// A namespace that is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its names that selectors match, in order; at least one.
    pub names: Vec<String>,
    /// The labels of all selectors that match one of them. Of two values for a label the earlier selector's counts.
    pub labels: BTreeMap<String, String>,
}

/// The namespaces that `selectors` match, by inode. Of the selectors that match a name the first counts.
pub fn group(named: &[(String, u64)], selectors: &[Selector]) -> BTreeMap<u64, Named> {
    let mut found: BTreeMap<u64, Vec<(usize, &str)>> = BTreeMap::new();
    for (name, inode) in named {
        if let Some(first) = selectors.iter().position(|selector| selector.matches(name)) {
            found.entry(*inode).or_default().push((first, name));
        }
    }
    let named = |mut matches: Vec<(usize, &str)>| {
        matches.sort_unstable();
        let mut labels = BTreeMap::new();
        for (selector, _) in &matches {
            for (key, value) in &selectors[*selector].labels {
                labels.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let mut names: Vec<String> = matches.into_iter().map(|(_, name)| name.to_owned()).collect();
        names.sort_unstable();
        Named { names, labels }
    };
    found.into_iter().map(|(inode, matches)| (inode, named(matches))).collect()
}

impl Named {
    /// What the namespace is called, and its other names. The name that it is known by stays as long as it is one.
    pub fn called(&self, known_by: Option<&str>) -> (String, Vec<String>) {
        let mut aliases = self.names.clone();
        let at = known_by.and_then(|known| aliases.iter().position(|name| name == known));
        (aliases.remove(at.unwrap_or(0)), aliases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selectors(of: &[&str]) -> Vec<Selector> {
        of.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn named(of: &[(&str, u64)]) -> Vec<(String, u64)> {
        of.iter().map(|(name, inode)| ((*name).to_owned(), *inode)).collect()
    }

    #[test]
    fn names_of_one_namespace_are_one_target() {
        let found = group(
            &named(&[("web-b", 7), ("web-a", 7), ("db", 8), ("other", 9)]),
            &selectors(&["netns:web*", "netns:db"]),
        );
        let names: Vec<_> = found.iter().map(|(inode, named)| (*inode, named.names.clone())).collect();
        assert_eq!(names, [(7, vec!["web-a".into(), "web-b".into()]), (8, vec!["db".to_owned()])]);
    }

    #[test]
    fn labels_of_all_names_count_and_the_earlier_selector_wins() {
        let selectors = selectors(&["netns:b,app=first,tier=front", "netns:a,app=second,team=x"]);
        let found = group(&named(&[("a", 7), ("b", 7)]), &selectors);
        let labels: Vec<_> = found[&7].labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["app=first", "team=x", "tier=front"]);
    }

    #[test]
    fn a_name_stays_until_it_goes_whatever_comes_beside_it() {
        let of = |names: &[&str]| Named {
            names: names.iter().map(|name| (*name).into()).collect(),
            labels: BTreeMap::new(),
        };
        assert_eq!(of(&["a", "b"]).called(None), ("a".into(), vec!["b".into()]));
        assert_eq!(of(&["a", "b"]).called(Some("b")), ("b".into(), vec!["a".into()]));
        assert_eq!(of(&["a"]).called(Some("b")), ("a".into(), vec![]));
    }
}
