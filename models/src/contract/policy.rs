//! Whether a policy may use a model: what it says of itself is compared with what the agent feeds and expects, entry by
//! entry and name by name. The agent, the operator's check and the command line ask here and nowhere else.

use netprecursor_core::tick::HORIZON;
use netprecursor_core::{features, schema, sequence};

use super::metadata::{KIND_RTT, Metadata};
use crate::Refusal;
use crate::plan::Port;
use crate::refusal::shown;

/// What a policy needs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyContract {
    /// The kind, [`KIND_RTT`].
    pub kind: String,
    /// Hash of this build's feature schema.
    pub schema_hash: String,
    /// Seconds ahead.
    pub horizon_s: u64,
    /// The features of a row, by name, in the order in which they are fed.
    pub feature_names: Vec<String>,
    /// What a net reads instead of a row.
    pub sequence: SequenceContract,
    /// Output columns, Q of them, ascending.
    pub quantiles: Vec<f32>,
}

/// What a policy needs of a net's input.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceContract {
    /// Hash of this build's sequence schema.
    pub schema_hash: String,
    /// Seconds in a sequence.
    pub steps: usize,
    /// The channels of a second, by name, in order.
    pub channel_names: Vec<String>,
}

/// What of a contract goes for an input: rows of features, or sequences.
struct Wanted<'a> {
    schema_hash: &'a String,
    names: &'a [String],
    steps: Option<usize>,
}

impl PolicyContract {
    /// What this build's policies need of a model for the RTT forecast.
    pub fn rtt() -> Self {
        Self {
            kind: KIND_RTT.into(),
            schema_hash: schema::hash().into(),
            horizon_s: HORIZON,
            feature_names: features::all().iter().map(|feature| feature.name.clone()).collect(),
            sequence: SequenceContract {
                schema_hash: sequence::hash().into(),
                steps: sequence::STEPS,
                channel_names: sequence::CHANNELS.iter().map(|channel| channel.name.to_owned()).collect(),
            },
            quantiles: schema::QUANTILES.to_vec(),
        }
    }

    /// Whether a policy may use a model with this metadata, these inputs and these outputs.
    ///
    /// # Errors
    /// The first contract refusal, most telling first.
    pub fn check(&self, metadata: &Metadata, inputs: &[Port], outputs: &[Port]) -> Result<(), Refusal> {
        let missing = |key, expected| Refusal::MetadataMissing { key, expected };
        let kind = metadata.kind.as_ref().ok_or_else(|| missing("kind", self.kind.clone()))?;
        equal("kind", kind, &self.kind)?;
        let wanted = self.wanted(inputs);
        match &metadata.schema_hash {
            None => return Err(missing("schema_hash", wanted.schema_hash.clone())),
            Some(got) if got != wanted.schema_hash => {
                return Err(Refusal::SchemaHash { got: shown(got), expected: wanted.schema_hash.clone() });
            }
            Some(_) => {}
        }
        let horizon = metadata.horizon_s.ok_or_else(|| missing("horizon_s", self.horizon_s.to_string()))?;
        equal("horizon_s", &horizon, &self.horizon_s)?;
        let quantiles = format!("{:?}", self.quantiles);
        let got = metadata.quantiles.as_ref().ok_or_else(|| missing("quantiles", quantiles.clone()))?;
        equal("quantiles", &format!("{got:?}"), &quantiles)?;
        let names = metadata.feature_names.as_ref();
        let count = wanted.names.len();
        let names = names.ok_or_else(|| missing("feature_names", format!("the {count} names of the schema")))?;
        wanted.check_names(names)?;
        let shape = |place: &str, got, expected| Refusal::Shape { place: place.into(), got, expected };
        let width: usize = inputs.iter().map(|port| port.width).sum();
        let steps = inputs.iter().find_map(|port| port.steps);
        if width != count || steps != wanted.steps {
            let text = |steps: Option<usize>, width| match steps {
                Some(steps) => format!("[N, {steps}, {width}]"),
                None => format!("[N, {width}]"),
            };
            return Err(shape("the input", text(steps, width), text(wanted.steps, count)));
        }
        let [Port { width, labels: None, .. }] = outputs else {
            let widths: Vec<usize> = outputs.iter().map(|port| port.width).collect();
            let classes = if outputs.iter().any(|port| port.labels.is_some()) { ", classes among them" } else { "" };
            let expected = format!("one output [N, {}] of numbers", self.quantiles.len());
            return Err(shape(
                "the outputs",
                format!("{} outputs of width {widths:?}{classes}", outputs.len()),
                expected,
            ));
        };
        if *width != self.quantiles.len() {
            return Err(shape("the output", format!("[N, {width}]"), format!("[N, {}]", self.quantiles.len())));
        }
        Ok(())
    }

    /// Compares the names of a model's columns with the features, one by one.
    ///
    /// # Errors
    /// [`Refusal::FeatureName`] for the first that differs.
    pub fn check_names(&self, names: &[String]) -> Result<(), Refusal> {
        self.wanted(&[]).check_names(names)
    }

    fn wanted(&self, inputs: &[Port]) -> Wanted<'_> {
        if inputs.iter().any(|port| port.steps.is_some()) {
            let SequenceContract { schema_hash, steps, channel_names } = &self.sequence;
            Wanted { schema_hash, names: channel_names, steps: Some(*steps) }
        } else {
            Wanted { schema_hash: &self.schema_hash, names: &self.feature_names, steps: None }
        }
    }

    /// The names of the columns of a row, where a model has them: its own; else those of the schema that it says it was
    /// trained on; else those of its inputs, where there are several of one column each. `None` when only their order is
    /// known.
    ///
    /// # Errors
    /// [`Refusal::FeatureName`] when its own names are not those of the schema that it says it was trained on: the agent
    /// would feed it other columns than its author has named.
    pub fn columns(&self, metadata: &Metadata, inputs: &[Port]) -> Result<Option<Vec<String>>, Refusal> {
        let wanted = self.wanted(inputs);
        let is_ours = metadata.schema_hash.as_ref() == Some(wanted.schema_hash);
        match &metadata.feature_names {
            Some(names) => {
                if is_ours {
                    wanted.check_names(names)?;
                }
                Ok(Some(names.clone()))
            }
            None if is_ours => Ok(Some(wanted.names.to_vec())),
            None if inputs.len() > 1 && inputs.iter().all(|port| port.width == 1) => {
                Ok(Some(inputs.iter().map(|port| port.name.clone()).collect()))
            }
            None => Ok(None),
        }
    }
}

impl Wanted<'_> {
    /// Compares the names of a model's columns with the features, one by one.
    fn check_names(&self, names: &[String]) -> Result<(), Refusal> {
        let features = self.names;
        let Some(at) = (0..names.len().max(features.len())).find(|at| names.get(*at) != features.get(*at)) else {
            return Ok(());
        };
        let quoted = |list: &[String]| list.get(at).map(|name| format!("\"{}\"", shown(name)));
        let elsewhere = features.get(at).and_then(|wanted| names.iter().position(|name| name == wanted));
        let elsewhere = elsewhere.map(|place| format!(", which it has at position {}", place + 1)).unwrap_or_default();
        Err(Refusal::FeatureName {
            position: at + 1,
            got: quoted(names).unwrap_or_else(|| "no name".into()),
            expected: quoted(features).map_or_else(|| "no more names".into(), |name| name + &elsewhere),
            names: names.len(),
            features: features.len(),
        })
    }
}

fn equal<T: PartialEq + ToString>(key: &'static str, got: &T, expected: &T) -> Result<(), Refusal> {
    if got == expected {
        return Ok(());
    }
    Err(Refusal::Metadata { key, got: shown(&got.to_string()), expected: expected.to_string() })
}
