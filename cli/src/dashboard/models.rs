//! What is known of the models that come with the release: cards that the page puts beside the scores of those who use them.

use std::sync::LazyLock;

use netprecursor_core::tick::HORIZON;
use netprecursor_models::{
    Scorer, Use,
    builtin::{self, ADAPTIVE},
    contract::PolicyContract,
};
use serde::Serialize;

/// A model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Card {
    name: &'static str,
    /// How it forecasts, in words.
    words: &'static str,
    sha256: Option<String>,
    bytes: Option<usize>,
    /// What it reads, in words.
    inputs: String,
    horizon_seconds: u64,
    /// How large it is, in words.
    size: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Cards {
    pub(super) models: &'static [Card],
}

/// Loading them takes a moment, so it is done once, when somebody asks.
static CARDS: LazyLock<Vec<Card>> = LazyLock::new(|| builtin::names().map(card).collect());

/// The cards, and the first time the wait for them.
pub(super) fn cards() -> Cards {
    Cards { models: &CARDS }
}

fn card(name: &'static str) -> Card {
    let scorer = builtin::model(name).and_then(|bytes| Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).ok());
    let Some(scorer) = scorer else { return without_file(name) };
    let info = scorer.info();
    let inputs: Vec<String> =
        info.inputs.iter().map(|port| format!("{} ({} values a row)", port.name, port.width)).collect();
    let trees: usize = info.forests.iter().map(|forest| forest.trees).sum();
    let size = if trees > 0 { format!("{trees} trees") } else { format!("{} operations", info.graph_nodes) };
    Card {
        name,
        words: if trees > 0 { "Trained trees, the same everywhere" } else { "A trained net, the same everywhere" },
        sha256: Some(info.sha256.clone()),
        bytes: Some(info.bytes),
        inputs: inputs.join(", "),
        horizon_seconds: HORIZON,
        size: Some(size),
    }
}

/// Of what is no file.
fn without_file(name: &'static str) -> Card {
    let words = if name == ADAPTIVE {
        "Learns where it runs: weighs rules of thumb, a trained model and a regression by how well each has forecast here"
    } else {
        "A rule of thumb: nothing to train"
    };
    Card {
        name,
        words,
        sha256: None,
        bytes: None,
        inputs: "RTT and the signals of the last hour".to_owned(),
        horizon_seconds: HORIZON,
        size: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_that_a_policy_may_name_has_a_card_and_a_file_its_digest() {
        let cards = cards().models;
        assert_eq!(cards.iter().map(|card| card.name).collect::<Vec<_>>(), builtin::names().collect::<Vec<_>>());
        let with_file = cards.iter().filter(|card| builtin::model(card.name).is_some());
        assert!(with_file.clone().count() > 0);
        assert!(with_file.into_iter().all(|card| card.sha256.as_ref().is_some_and(|digest| digest.len() == 64)));
    }
}
