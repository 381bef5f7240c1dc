//! A loaded model: what it is, and its outputs for rows of features.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Refusal;
use crate::contract::{self, Metadata, PolicyContract};
use crate::forest::{Aggregate, Forest, PostTransform};
use crate::net::{self, Net, NetInfo};
use crate::plan::{Plan, Port};
use netprecursor_core::hex;

/// What a model is loaded for.
#[derive(Debug, Clone, Copy)]
pub enum Use<'a> {
    /// To be looked at, or run by hand: it only has to be safe.
    Inspect,
    /// To forecast for a policy: it has to fit as well.
    Policy(&'a PolicyContract),
}

/// A model that has passed the contract. One per thread; scoring reuses its buffers.
#[derive(Debug, Clone)]
pub struct Scorer {
    engine: Engine,
    info: ModelInfo,
}

/// What runs a model: our own evaluator of trees and columns, or tract.
#[derive(Debug, Clone)]
enum Engine {
    Plan(Plan),
    Net(Box<Net>),
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Digest of the file, hex.
    pub sha256: String,
    /// Size of the file.
    pub bytes: usize,
    /// The tool that wrote it.
    pub producer: String,
    /// Inputs in the order in which their columns stand in a row.
    pub inputs: Vec<Port>,
    /// Outputs, in the order of the file.
    pub outputs: Vec<Port>,
    /// Operations in the graph.
    pub graph_nodes: usize,
    /// Its tree ensembles.
    pub forests: Vec<ForestInfo>,
    /// Of a net: its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<NetInfo>,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// A tree ensemble of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForestInfo {
    /// Trees.
    pub trees: usize,
    /// Nodes of all trees, leaves included.
    pub nodes: usize,
    /// Comparisons on the longest path.
    pub depth: usize,
    /// Outputs per row.
    pub targets: usize,
    /// How trees combine.
    pub aggregate: Aggregate,
    /// What happens to the combined value.
    pub post_transform: PostTransform,
}

/// Rows that do not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rows of another width: got {values} values, expected a multiple of {width}; fix: give {width} features per row, or \
     whole sequences"
)]
pub struct ScoreError {
    /// Values given.
    pub values: usize,
    /// Features per row, or numbers per sequence.
    pub width: usize,
}

impl ModelInfo {
    /// Whether it reads sequences instead of rows of features.
    pub fn reads_sequences(&self) -> bool {
        self.inputs.iter().any(|input| input.steps.is_some())
    }

    /// Columns of a line of input: features, or the channels of a step.
    pub fn columns_per_line(&self) -> usize {
        self.inputs.iter().map(|input| input.width).sum()
    }

    /// Whether a policy may use the model, as [`Scorer::load`] with [`Use::Policy`] says.
    ///
    /// # Errors
    /// The contract refusal.
    pub fn check(&self, wanted: &PolicyContract) -> Result<(), Refusal> {
        wanted.check(&self.metadata, &self.inputs, &self.outputs)
    }

    /// The names of the columns of a row, in order; see [`PolicyContract::columns`].
    ///
    /// # Errors
    /// [`Refusal::FeatureName`] when the model contradicts itself about them.
    pub fn columns(&self, contract: &PolicyContract) -> Result<Option<Vec<String>>, Refusal> {
        contract.columns(&self.metadata, &self.inputs)
    }
}

impl Scorer {
    /// Checks and compiles a model. A file from somebody else goes through [`crate::child::check`] first.
    ///
    /// # Errors
    /// The reason why it is refused; contract refusals only for [`Use::Policy`].
    pub fn load(bytes: &[u8], purpose: Use<'_>) -> Result<Self, Refusal> {
        let model = contract::read(bytes)?;
        let metadata = Metadata::read(&model)?;
        let engine = if net::is_net(&model.graph) {
            Engine::Net(Box::new(Net::compile(&model, &metadata)?))
        } else {
            Engine::Plan(Plan::compile(&model, &metadata)?)
        };
        let (inputs, outputs) = engine.ports();
        if let Use::Policy(wanted) = purpose {
            wanted.check(&metadata, inputs, outputs)?;
        }
        let digest = Sha256::digest(bytes);
        let info = ModelInfo {
            sha256: hex(&digest),
            bytes: bytes.len(),
            producer: model.producer.to_owned(),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            graph_nodes: model.graph.nodes.len(),
            net: if let Engine::Net(net) = &engine { Some(net.info) } else { None },
            forests: engine
                .forests()
                .iter()
                .map(|forest| ForestInfo {
                    trees: forest.trees(),
                    nodes: forest.nodes(),
                    depth: forest.depths().max().unwrap_or_default(),
                    targets: forest.targets(),
                    aggregate: forest.aggregate(),
                    post_transform: forest.post_transform(),
                })
                .collect(),
            metadata,
        };
        Ok(Self { engine, info })
    }

    /// What the model is.
    pub const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Numbers per row: F features, or T × F of a sequence.
    pub fn width(&self) -> usize {
        match &self.engine {
            Engine::Plan(plan) => plan.width,
            Engine::Net(net) => net.width(),
        }
    }

    /// Scores N rows of F features, missing ones NaN, or N sequences, into `out`: N rows of the first output's columns (for
    /// a policy, Q quantiles of ln(maximum clean RTT in µs)). Trees allocate only when there are more rows than ever
    /// before; tract allocates its own tensors.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of F.
    pub fn score(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), ScoreError> {
        self.run(rows)?;
        out.clear();
        out.extend_from_slice(self.engine.output(0, rows));
        Ok(())
    }

    /// Scores N rows of F features or sequences; gives every output's port and values, N rows of its columns.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of F.
    pub fn score_all<'a>(&'a mut self, rows: &'a [f32]) -> Result<Vec<(&'a Port, &'a [f32])>, ScoreError> {
        self.run(rows)?;
        let engine = &self.engine;
        Ok(engine.ports().1.iter().enumerate().map(|(index, port)| (port, engine.output(index, rows))).collect())
    }

    fn run(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        let width = self.width();
        if !rows.len().is_multiple_of(width) {
            return Err(ScoreError { values: rows.len(), width });
        }
        match &mut self.engine {
            Engine::Plan(plan) => plan.run(rows),
            Engine::Net(net) => net.run(rows),
        }
        Ok(())
    }
}

impl Engine {
    /// Inputs and outputs.
    fn ports(&self) -> (&[Port], &[Port]) {
        match self {
            Self::Plan(plan) => (&plan.inputs, &plan.outputs),
            Self::Net(net) => (&net.inputs, &net.outputs),
        }
    }

    fn forests(&self) -> &[Forest] {
        if let Self::Plan(plan) = self { &plan.forests } else { &[] }
    }

    fn output<'a>(&'a self, index: usize, rows: &'a [f32]) -> &'a [f32] {
        match self {
            Self::Plan(plan) => plan.output(index, rows),
            Self::Net(net) => net.output(),
        }
    }
}
