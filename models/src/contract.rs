//! The loading contract: what a file must be before anything evaluates it.
//!
//! [`foreign`] recognises what is no ONNX file, [`wire`] reads protobuf, [`proto`] turns it into a typed [`Graph`],
//! [`safety`] refuses what could hurt the host, [`metadata`] reads what the model says of itself, and [`policy`] says
//! whether a policy may use it. Field numbers and meanings are those of `onnx.proto`, IR
//! version 13 (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).

pub mod foreign;
mod metadata;
pub(crate) mod ops;
mod policy;
mod proto;
mod safety;
mod tensor;
mod wire;

pub use metadata::{KIND_RTT, Metadata};
pub use policy::{PolicyContract, SequenceContract};
pub use proto::{Attribute, AttributeValue, Dim, Graph, Model, Node, Opset, ValueInfo};
pub use tensor::{ElementType, Tensor};

use crate::Refusal;

/// The bounds of a model. All are checked before memory is taken.
pub mod limits {
    /// Bytes in a file.
    pub const FILE_BYTES: usize = 8 << 20;
    /// Nodes in a graph.
    pub const NODES: usize = 2_000;
    /// Elements of a tensor or of an attribute's list.
    pub const TENSOR_ELEMENTS: usize = 1_000_000;
    /// Initializers, inputs, outputs, metadata entries, attributes of a node.
    pub const ENTRIES: usize = 4_096;
    /// Dimensions of a tensor.
    pub const RANK: usize = 8;
    /// Comparisons on the longest path through one tree. Chains of equality tests are as long as a categorical
    /// feature has values.
    pub const TREE_DEPTH: usize = 1_024;
    /// Comparisons per row over all trees of a model, its longest paths added: about 0.2 ms.
    pub const COMPARISONS_PER_ROW: usize = 100_000;
    /// Columns of all intermediate results together: 256 kB per row.
    pub const COLUMNS: usize = 65_536;
    /// Steps of a sequence.
    pub const STEPS: usize = 1_024;
    /// Hidden units of a recurrent layer.
    pub const HIDDEN: usize = 1_024;
    /// Multiplications of a net per row: about a millisecond.
    pub const MULTIPLY_ADDS_PER_ROW: usize = 5_000_000;
    /// Elements of all intermediate results of a net per row, 2 MB, of which tract holds a few at a time.
    pub const ELEMENTS_PER_ROW: usize = 500_000;
}

/// Walks the file once and checks everything that holds for any use of it. Nodes come back in an order in which they
/// can be evaluated.
///
/// # Errors
/// Any safety refusal.
pub fn read(bytes: &[u8]) -> Result<Model<'_>, Refusal> {
    admit(bytes)?;
    let mut model = proto::model(bytes)?;
    safety::check(&mut model)?;
    Ok(model)
}

/// Refuses what need not be walked: another kind of file, and one that is too large. Of a file that is too large a little
/// more than [`limits::FILE_BYTES`] is enough.
///
/// # Errors
/// [`Refusal::NotAModel`] or [`Refusal::FileTooLarge`].
pub fn admit(bytes: &[u8]) -> Result<(), Refusal> {
    match foreign::recognise(bytes) {
        Some(foreign) => Err(foreign.into()),
        None if bytes.len() > limits::FILE_BYTES => Err(Refusal::FileTooLarge { bytes: bytes.len() }),
        None => Ok(()),
    }
}
