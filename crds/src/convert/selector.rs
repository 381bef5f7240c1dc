//! Label selectors.

use netprecursor_core::policy as core;

use crate::{
    Fault, label,
    policy::{LabelSelector, LabelSelectorRequirement, MAX_REQUIREMENTS, MAX_VALUES, SelectorOperator},
    problem::Problems,
};

/// The domain's selector; `None` when a problem was added.
pub(crate) fn selector(selector: &LabelSelector, path: &str, problems: &mut Problems) -> Option<core::Selector> {
    let LabelSelector { match_labels, match_expressions } = selector;
    let mut requirements = Vec::with_capacity(match_labels.len() + match_expressions.len());
    let at = format!("{path}.matchLabels");
    let mut sound = few(match_labels.len(), MAX_REQUIREMENTS, &at, problems);
    for (name, wanted) in match_labels {
        sound &= key(name, &at, problems) & value(wanted, &at, problems);
        let operator = core::Operator::In(vec![wanted.clone()]);
        requirements.push(core::Requirement { key: name.clone(), operator });
    }
    let at = format!("{path}.matchExpressions");
    sound &= few(match_expressions.len(), MAX_REQUIREMENTS, &at, problems);
    for (index, expression) in match_expressions.iter().enumerate() {
        sound &= key(&expression.key, &format!("{at}[{index}].key"), problems);
        let at = format!("{at}[{index}].values");
        sound &= few(expression.values.len(), MAX_VALUES, &at, problems);
        for wanted in &expression.values {
            sound &= value(wanted, &at, problems);
        }
        match problems.keep(at, operator(expression)) {
            Some(operator) => requirements.push(core::Requirement { key: expression.key.clone(), operator }),
            None => sound = false,
        }
    }
    sound.then(|| core::Selector::new(requirements))
}

fn few(got: usize, max: usize, path: &str, problems: &mut Problems) -> bool {
    if got > max {
        problems.add(path, Fault::TooMany { got, max, hint: "give the pods a label of their own" });
    }
    got <= max
}

fn key(text: &str, path: &str, problems: &mut Problems) -> bool {
    let good = label::is_key(text);
    if !good {
        problems.add(path, Fault::LabelKey { got: text.chars().take(80).collect() });
    }
    good
}

fn value(text: &str, path: &str, problems: &mut Problems) -> bool {
    let good = label::is_value(text);
    if !good {
        problems.add(path, Fault::LabelValue { got: text.chars().take(80).collect() });
    }
    good
}

fn operator(
    LabelSelectorRequirement { operator, values, .. }: &LabelSelectorRequirement,
) -> Result<core::Operator, Fault> {
    use SelectorOperator::{DoesNotExist, Exists, In, NotIn};
    match (operator, values.is_empty()) {
        (In, false) => Ok(core::Operator::In(values.clone())),
        (NotIn, false) => Ok(core::Operator::NotIn(values.clone())),
        (Exists, true) => Ok(core::Operator::Exists),
        (DoesNotExist, true) => Ok(core::Operator::DoesNotExist),
        (In, true) => Err(Fault::ValuesMissing { operator: "In" }),
        (NotIn, true) => Err(Fault::ValuesMissing { operator: "NotIn" }),
        (Exists, false) => Err(Fault::ValuesUnwanted { operator: "Exists" }),
        (DoesNotExist, false) => Err(Fault::ValuesUnwanted { operator: "DoesNotExist" }),
    }
}
