//! A model as a list of steps over columns: trees, and the arithmetic around them. Compiled once, every width known and
//! every shape checked; run on any number of rows.

mod compile;
mod step;

use crate::Refusal;
use crate::contract::{Metadata, Model};
use crate::forest::{Forest, Labels};
use step::{Source, Step};

/// A model that is ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Columns of an input row.
    pub(crate) width: usize,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) forests: Vec<Forest>,
    steps: Vec<Step>,
    /// Where each output stands.
    results: Vec<Source>,
    buffers: Vec<Buffer>,
}

/// A named input or output and its columns.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Port {
    /// Its name in the model.
    pub name: String,
    /// Its columns.
    pub width: usize,
    /// Of a class per row: the names whose positions the numbers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// Of the sequences that a net reads: how many rows of these columns make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
}

/// The rows that a step makes.
#[derive(Debug, Clone)]
struct Buffer {
    width: usize,
    values: Vec<f32>,
}

impl Plan {
    /// Compiles a checked model.
    ///
    /// # Errors
    /// [`Refusal::NotEvaluated`] for what this build does not run, and refusals of shapes and arguments.
    pub fn compile(model: &Model<'_>, metadata: &Metadata) -> Result<Self, Refusal> {
        compile::plan(model, metadata)
    }

    /// Runs `rows.len() / width` rows; the outputs stay readable until the next run. Allocates only when there are more
    /// rows than ever before.
    pub(crate) fn run(&mut self, rows: &[f32]) {
        let count = rows.len() / self.width.max(1);
        for (step, index) in self.steps.iter().zip(0..) {
            let (before, rest) = self.buffers.split_at_mut(index);
            let Some(buffer) = rest.first_mut() else { return };
            buffer.values.resize(count * buffer.width, 0.0);
            let view = step::View { rows, width: self.width, before };
            step.run(&view, &self.forests, &mut buffer.values, buffer.width);
        }
    }

    /// The values of an output after a run over `rows`, row by row.
    pub(crate) fn output<'a>(&'a self, index: usize, rows: &'a [f32]) -> &'a [f32] {
        match self.results.get(index) {
            Some(Source::Input) => rows,
            Some(Source::Step(step)) => &self.buffers[*step].values,
            None => &[],
        }
    }
}
