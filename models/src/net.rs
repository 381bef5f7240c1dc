//! Nets over sequences, run by tract: `[N, T, F]` to `[N, Q]`.
//!
//! Before tract sees a net, every shape and every bit of work in it is known ([`shapes`]), and the graph is written anew
//! from what the walk has read ([`rebuild`]). Batches have one of two sizes, fixed when the net is loaded: what tract plans
//! is what was checked, and nothing is planned while the agent runs.

mod rebuild;
mod shapes;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Datum as _, DatumExt as _, Framework as _, InferenceModelExt as _, IntoRunnable as _, IntoTensor as _, Tensor,
    TypedRunnableModel, onnx, tvec,
};

use crate::Refusal;
use crate::contract::{Dim, ElementType, Graph, Metadata, Model, ValueInfo, limits};
use crate::plan::Port;
use crate::refusal::shown;
use shapes::{Shapes, Work};

/// Rows of a batch. More gain nothing in the kernels of a small net; fewer cost less where there are few targets.
const BATCH: usize = 32;

type Plan = Arc<TypedRunnableModel>;

/// A net that is ready to run.
#[derive(Clone)]
pub struct Net {
    /// Steps of a sequence, T.
    steps: usize,
    /// Numbers per step, F.
    channels: usize,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) info: NetInfo,
    many: Plan,
    one: Plan,
    out: Vec<f32>,
}

/// A net's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NetInfo {
    /// Numbers that were learned.
    pub weights: usize,
    /// Multiplications per row.
    pub multiply_adds: usize,
}

fn numbers(tensor: &Tensor) -> Option<&[f32]> {
    tensor.as_plain_ram()?.as_slice::<f32>().ok()
}

impl fmt::Debug for Net {
    /// Without tract's plan, which is long.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, channels, outputs, info, .. } = self;
        write!(formatter, "Net([N, {steps}, {channels}] -> {outputs:?}, {info:?})")
    }
}

/// Whether a model reads sequences: one input of three dimensions.
pub(crate) fn is_net(graph: &Graph<'_>) -> bool {
    graph.open_inputs().any(|input| input.shape.as_ref().is_some_and(|shape| shape.len() == 3))
}

fn wrong(place: &str, got: String, expected: &str) -> Refusal {
    Refusal::Shape { place: place.into(), got, expected: expected.into() }
}

/// The only input, with its steps and channels.
fn input<'a, 'b>(graph: &'b Graph<'a>) -> Result<(&'b ValueInfo<'a>, [usize; 2]), Refusal> {
    let mut all = graph.open_inputs();
    let (Some(input), None) = (all.next(), all.next()) else {
        return Err(wrong("the inputs", graph.open_inputs().count().to_string(), "one input [N, T, F]"));
    };
    let place = || format!("input {}", shown(input.name));
    let &[Dim::Symbol(_) | Dim::Unknown, Dim::Size(steps), Dim::Size(channels)] =
        input.shape.as_deref().unwrap_or_default()
    else {
        return Err(wrong(&place(), format!("{:?}", input.shape), "[N, T, F] with N open, T and F fixed"));
    };
    if input.element != Some(ElementType::Float) || !(1..=limits::STEPS).contains(&steps) || channels == 0 {
        return Err(wrong(&place(), format!("{:?} {:?}", input.element, input.shape), "1 to 1,024 steps of floats"));
    }
    Ok((input, [steps, channels]))
}

/// The width of the output and the work for a batch, from the shapes for both sizes of a batch.
fn walked(
    graph: &Graph<'_>,
    opset: i64,
    input: &str,
    output: &str,
    [steps, channels]: [usize; 2],
) -> Result<(usize, Work), Refusal> {
    let (mut width, mut work) = (0, Work::default());
    for batch in [1, BATCH] {
        let shapes = Shapes::of(graph, opset, input, [batch, steps, channels])?;
        let dims = shapes.get(output).map(|value| value.dims.clone()).unwrap_or_default();
        let &[rows, columns] = dims.as_slice() else {
            return Err(wrong("the output", format!("{dims:?}"), "[N, Q]"));
        };
        if rows != batch || columns == 0 {
            return Err(wrong("the output", format!("{dims:?} for {batch} rows"), "[N, Q]"));
        }
        (width, work) = (columns, shapes.work());
    }
    Ok((width, work))
}

/// Has tract plan a net for batches of one size.
fn plan(model: &ModelProto, [steps, channels]: [usize; 2], batch: usize, width: usize) -> Result<Plan, Refusal> {
    let refuse = |got: String| Refusal::NetEngine { got: shown(&got) };
    // A panic where an error belongs must not take the agent with it.
    let planned = catch_unwind(AssertUnwindSafe(|| {
        onnx()
            .model_for_proto_model(model)?
            .with_input_fact(0, f32::fact([batch, steps, channels]).into())?
            .into_optimized()?
            .into_runnable()
    }));
    let planned = planned.map_err(|_| refuse("a panic".into()))?.map_err(|error| refuse(format!("{error:#}")))?;
    let fact = planned.model().output_fact(0).map_err(|error| refuse(error.to_string()))?;
    if fact.shape.as_concrete() != Some([batch, width].as_slice()) || fact.datum_type != f32::datum_type() {
        return Err(refuse(format!("an output {fact:?}")));
    }
    Ok(planned)
}

impl Net {
    /// Compiles a checked model.
    ///
    /// # Errors
    /// Operators and forms that are not run, shapes that do not fit, more work than allowed, and what tract refuses.
    pub(crate) fn compile(model: &Model<'_>, metadata: &Metadata) -> Result<Self, Refusal> {
        let graph = &model.graph;
        let (input, dims @ [steps, channels]) = input(graph)?;
        if let Some(names) = metadata.feature_names.as_ref().filter(|names| names.len() != channels) {
            let (got, expected) = (format!("{} names", names.len()), format!("{channels} names, one for each channel"));
            return Err(Refusal::MetadataWrong { key: "feature_names", got, expected });
        }
        let opset = model.opset();
        let [output] = graph.outputs.as_slice() else {
            return Err(wrong("the outputs", format!("{}", graph.outputs.len()), "one output [N, Q]"));
        };
        let (width, work) = walked(graph, opset, input.name, output.name, dims)?;
        let rebuilt = rebuild::model(graph, opset, input.name);
        let floats = graph.initializers.iter().filter(|tensor| tensor.element == ElementType::Float);
        let port = |name: &str, width, steps| Port { name: name.to_owned(), width, labels: None, steps };
        Ok(Self {
            steps,
            channels,
            inputs: vec![port(input.name, channels, Some(steps))],
            outputs: vec![port(output.name, width, None)],
            info: NetInfo {
                weights: floats.map(crate::contract::Tensor::elements).sum(),
                multiply_adds: work.multiply_adds / BATCH,
            },
            many: plan(&rebuilt, dims, BATCH, width)?,
            one: plan(&rebuilt, dims, 1, width)?,
            out: Vec::new(),
        })
    }

    /// Numbers of a sequence, T × F.
    pub(crate) const fn width(&self) -> usize {
        self.steps * self.channels
    }

    /// Runs `rows.len() / width` sequences; the output stays readable until the next run. A batch that fails has NaN.
    pub(crate) fn run(&mut self, rows: &[f32]) {
        let (width, columns) = (self.width(), self.outputs.first().map_or(0, |port| port.width));
        self.out.clear();
        for chunk in rows.chunks(BATCH * width) {
            let count = chunk.len() / width;
            // A few rows cost less one by one than as a batch that is filled up.
            let parts = if count * 4 > BATCH { (&self.many, BATCH) } else { (&self.one, 1) };
            let (plan, batch) = parts;
            for part in chunk.chunks(batch * width) {
                let rows = part.len() / width;
                let answer = self.answer(plan, batch, part);
                let known = answer.as_ref().and_then(|tensor| numbers(tensor)?.get(..rows * columns));
                match known {
                    Some(values) => self.out.extend_from_slice(values),
                    None => self.out.resize(self.out.len() + rows * columns, f32::NAN),
                }
            }
        }
    }

    fn answer(&self, plan: &Plan, batch: usize, rows: &[f32]) -> Option<Tensor> {
        let mut input = vec![0.0; batch * self.width()];
        input[..rows.len()].copy_from_slice(rows);
        let input = Tensor::from_shape(&[batch, self.steps, self.channels], &input).ok()?;
        let mut answers = catch_unwind(AssertUnwindSafe(|| plan.run(tvec!(input.into())))).ok()?.ok()?;
        Some(answers.pop()?.into_tensor())
    }

    /// The output after a run, row by row.
    pub(crate) fn output(&self) -> &[f32] {
        &self.out
    }
}
