//! A loaded model: what it is, and its outputs for rows of features.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Refusal;
use crate::contract::{self, Metadata, PolicyContract};
use crate::forest::{Aggregate, PostTransform};
use crate::plan::{Plan, Port};

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
    plan: Plan,
    info: ModelInfo,
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
    "rows of another width: got {values} values, expected a multiple of {width}; fix: give {width} features per row"
)]
pub struct ScoreError {
    /// Values given.
    pub values: usize,
    /// Features per row.
    pub width: usize,
}

impl ModelInfo {
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
        let plan = Plan::compile(&model, &metadata)?;
        if let Use::Policy(wanted) = purpose {
            wanted.check(&metadata, &plan.inputs, &plan.outputs)?;
        }
        let digest = Sha256::digest(bytes);
        let info = ModelInfo {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.len(),
            producer: model.producer.to_owned(),
            inputs: plan.inputs.clone(),
            outputs: plan.outputs.clone(),
            graph_nodes: model.graph.nodes.len(),
            forests: plan
                .forests
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
        Ok(Self { plan, info })
    }

    /// What the model is.
    pub const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Features per row, F.
    pub const fn width(&self) -> usize {
        self.plan.width
    }

    /// Scores N rows of F features, missing ones NaN, into `out`: N rows of the first output's columns (for a policy, Q
    /// quantiles of ln(maximum clean RTT in µs)). Allocates only when there are more rows than ever before.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of F.
    pub fn score(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), ScoreError> {
        self.run(rows)?;
        out.clear();
        out.extend_from_slice(self.plan.output(0, rows));
        Ok(())
    }

    /// Scores N rows of F features; gives every output's port and values, N rows of its columns.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of F.
    pub fn score_all<'a>(&'a mut self, rows: &'a [f32]) -> Result<Vec<(&'a Port, &'a [f32])>, ScoreError> {
        self.run(rows)?;
        let plan = &self.plan;
        Ok(plan.outputs.iter().enumerate().map(|(index, port)| (port, plan.output(index, rows))).collect())
    }

    fn run(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        let width = self.plan.width;
        if !rows.len().is_multiple_of(width) {
            return Err(ScoreError { values: rows.len(), width });
        }
        self.plan.run(rows);
        Ok(())
    }
}
