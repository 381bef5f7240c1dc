//! Why a model is refused. Every message says what was got, what was expected, and what to do (`fix:`).

use crate::contract::limits;

/// A reason not to run a model. Variants before [`Refusal::MetadataMissing`] refuse every use (safety); those from there
/// on refuse only use by a policy (contract).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is larger than any model this build runs.
    #[error("file too large: got {bytes} bytes, expected at most {limit}; fix: train fewer or shallower trees", limit = limits::FILE_BYTES)]
    FileTooLarge {
        /// Bytes in the file.
        bytes: usize,
    },
    /// Another kind of file, which is known.
    #[error("not an ONNX file: got {got}, expected an ONNX model; fix: {fix}")]
    NotAModel {
        /// What it is.
        got: String,
        /// What makes a model of it.
        fix: &'static str,
    },
    /// A length in the file points past the end of what holds it.
    #[error("truncated at byte {offset}: got {have} bytes, expected {need}; fix: copy the file again, whole")]
    Truncated {
        /// Position in the file.
        offset: usize,
        /// Bytes announced.
        need: u64,
        /// Bytes left.
        have: usize,
    },
    /// The bytes are not the protobuf encoding of an ONNX model.
    #[error(
        "not an ONNX model at byte {offset}: got {got}, expected {expected}; fix: copy the file again as binary, or export the model again"
    )]
    Malformed {
        /// Position in the file.
        offset: usize,
        /// What stood there.
        got: String,
        /// What should have.
        expected: &'static str,
    },
    /// More entries than the bound of such a list.
    #[error("too many {what}: got more than {limit}, expected at most {limit}; fix: simplify the model")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its bound.
        limit: usize,
    },
    /// An ONNX feature that this build refuses as a whole.
    #[error("unsupported part of ONNX in {place}: got {got}, expected {expected}; fix: export without it")]
    Unsupported {
        /// Where.
        place: String,
        /// What was found.
        got: String,
        /// What this build takes.
        expected: &'static str,
    },
    /// A tensor dimension below zero.
    #[error("negative dimension in {place}: got {got}, expected 0 or more; fix: export the model again")]
    NegativeDimension {
        /// Which tensor.
        place: String,
        /// The dimension.
        got: i64,
    },
    /// The dimensions multiply to more elements than allowed, or overflow.
    #[error("tensor {place} too large: got dimensions {dims:?}, expected a product of at most {limit}; fix: shrink the model", limit = limits::TENSOR_ELEMENTS)]
    TensorTooLarge {
        /// Which tensor.
        place: String,
        /// Its dimensions.
        dims: Vec<i64>,
    },
    /// The data of a tensor is not as long as its dimensions say.
    #[error(
        "tensor {place} lies about its size: got {got} {unit}, expected {expected} by its dimensions; fix: export the model again"
    )]
    DataLength {
        /// Which tensor.
        place: String,
        /// What there is.
        got: usize,
        /// What dimensions and type announce.
        expected: usize,
        /// "bytes" or "elements".
        unit: &'static str,
    },
    /// Weights outside the file.
    #[error(
        "tensor {place} keeps its data outside the file: got location EXTERNAL, expected the data inside; fix: save with save_as_external_data=False"
    )]
    ExternalData {
        /// Which tensor.
        place: String,
    },
    /// NaN as the threshold of a branch. Infinity is lawful.
    #[error(
        "threshold in attribute {attribute} of node {node}: got NaN at element {index}, expected a number or an infinity; fix: take infinite values out of the training data (halfway between two of them is NaN) and train again"
    )]
    NanThreshold {
        /// The node.
        node: String,
        /// The list.
        attribute: &'static str,
        /// Position in it.
        index: usize,
    },
    /// A target or class that no tree can predict.
    #[error(
        "{what} of node {node} has no leaf: got trees for {got} of {expected}, expected trees for all; fix: export again one model for each target (onnxmltools writes every tree of an XGBoost regressor with several targets or quantiles to target 0), or correct {attribute}"
    )]
    NoLeaf {
        /// The node.
        node: String,
        /// The target, or the class by its label.
        what: String,
        /// How many have a leaf.
        got: usize,
        /// How many there are.
        expected: usize,
        /// The list that says whose a leaf is.
        attribute: &'static str,
    },
    /// NaN or infinity among weights or parameters.
    #[error(
        "non-finite number in {place}: got {got} at element {index}, expected finite numbers; fix: train again and check the data for NaN and infinity"
    )]
    NotFinite {
        /// Which tensor or attribute.
        place: String,
        /// Position in it.
        index: usize,
        /// The number.
        got: f64,
    },
    /// `If`, `Loop` or `Scan`.
    #[error(
        "control flow at node {node}: got operator {op}, expected a graph without If, Loop and Scan; fix: export without control flow"
    )]
    ControlFlow {
        /// The node.
        node: String,
        /// The operator.
        op: String,
    },
    /// An attribute that holds a graph.
    #[error(
        "subgraph in attribute {attribute} of node {node}: got a graph, expected plain values; fix: export without control flow"
    )]
    Subgraph {
        /// The node.
        node: String,
        /// The attribute.
        attribute: String,
    },
    /// Functions defined inside the model.
    #[error("model-local functions: got {got}, expected none; fix: inline the functions before saving (onnx.inliner)")]
    LocalFunctions {
        /// How many.
        got: usize,
    },
    /// An operator domain that is not ONNX's own.
    #[error(
        "custom domain in {place}: got {domain:?}, expected \"\", \"ai.onnx\" or \"ai.onnx.ml\"; fix: export with standard operators only"
    )]
    Domain {
        /// Node or import.
        place: String,
        /// The domain.
        domain: String,
    },
    /// An operator outside the allow-list.
    #[error(
        "operator not allowed at node {node}: got {op} of domain {domain:?}, expected trees and arithmetic on columns; fix: export without it, or use a tree model"
    )]
    Operator {
        /// The node.
        node: String,
        /// The operator.
        op: String,
        /// Its domain.
        domain: String,
    },
    /// An operator set that is not imported, imported twice or newer than this build knows.
    #[error(
        "operator set of domain {domain:?}: got {got}, expected {expected}; fix: export with target_opset inside that range"
    )]
    Opset {
        /// The domain.
        domain: String,
        /// What the file says.
        got: String,
        /// The range known to this build.
        expected: String,
    },
    /// A value that no node, input or initializer produces.
    #[error(
        "undefined value at {place}: got name {name:?}, expected the name of an input, an initializer or a node's output; fix: export the model again"
    )]
    Undefined {
        /// Who reads it.
        place: String,
        /// The name.
        name: String,
    },
    /// Two producers of one value.
    #[error(
        "value defined twice: got {name:?} again at {place}, expected one producer per name; fix: export the model again"
    )]
    Duplicate {
        /// The second producer.
        place: String,
        /// The name.
        name: String,
    },
    /// Nodes that wait for one another.
    #[error(
        "cycle in the graph: got {nodes} nodes that wait for one another ({node} among them), expected an acyclic graph; fix: export the model again"
    )]
    GraphCycle {
        /// How many nodes cannot be ordered.
        nodes: usize,
        /// One of them.
        node: String,
    },
    /// An operator that makes a small file fill memory.
    #[error("expansion bomb at node {node} ({op}): got {got} elements, expected at most {limit}; fix: store the expanded tensor, or drop the node", limit = limits::TENSOR_ELEMENTS)]
    Expansion {
        /// The node.
        node: String,
        /// The operator.
        op: String,
        /// Elements, saturated; "an unknown number of" when computed at run time.
        got: String,
    },
    /// A node lacks an attribute or input, or has one of the wrong kind.
    #[error("{what} of node {node}: got {got}, expected {expected}; fix: export the model again")]
    Argument {
        /// The node.
        node: String,
        /// Attribute or input.
        what: String,
        /// What was found.
        got: String,
        /// What the operator wants.
        expected: String,
    },
    /// Attribute lists that should be parallel are not.
    #[error(
        "attribute lists of node {node} differ in length: got {got} in {attribute}, expected {expected} as in {reference}; fix: export the model again"
    )]
    ListLength {
        /// The node.
        node: String,
        /// The odd list.
        attribute: &'static str,
        /// Its length.
        got: usize,
        /// The list that it must match.
        reference: &'static str,
        /// The length of that.
        expected: usize,
    },
    /// An index in a tree ensemble that points nowhere.
    #[error(
        "index out of range in {attribute} of node {node}: got {got}, expected {expected}; fix: export the model again"
    )]
    TreeIndex {
        /// The node.
        node: String,
        /// The list.
        attribute: &'static str,
        /// The index.
        got: String,
        /// The valid range.
        expected: String,
    },
    /// A tree whose nodes lead back to themselves, or that has no root.
    #[error(
        "tree {tree} of node {node} is not a tree: got a cycle or a shared node at node id {at}, expected every node but one root to have one parent; fix: export the model again"
    )]
    TreeCycle {
        /// The node.
        node: String,
        /// Tree id.
        tree: i64,
        /// Node id.
        at: i64,
    },
    /// A tree, or all of them together, deeper than the bound on time per row.
    #[error(
        "trees of node {node} too deep: got {got} comparisons per row, expected at most {limit}; fix: train fewer or shallower trees"
    )]
    TreeDepth {
        /// The node.
        node: String,
        /// Comparisons.
        got: usize,
        /// The bound.
        limit: usize,
    },
    /// Allowed by the contract, but not evaluated by this build.
    #[error(
        "op {op} at node {node} is not evaluated by this build (nets come later): got {got}, expected {expected}; fix: export it so, or use a tree model"
    )]
    NotEvaluated {
        /// The node.
        node: String,
        /// The operator.
        op: String,
        /// The form of it that was found.
        got: String,
        /// The form that is evaluated.
        expected: &'static str,
    },
    /// Shapes that cannot be combined, or are not known when they must be.
    #[error("shape at {place}: got {got}, expected {expected}; fix: export with [N, F] float inputs and static widths")]
    Shape {
        /// Node, input or output.
        place: String,
        /// The shape.
        got: String,
        /// The shape wanted.
        expected: String,
    },
    /// A metadata entry that cannot be read, or contradicts the model that it describes.
    #[error(
        "metadata {key}: got {got}, expected {expected}; fix: correct the entry in metadata_props and save the model again"
    )]
    MetadataWrong {
        /// The key.
        key: &'static str,
        /// What it says.
        got: String,
        /// What it should say.
        expected: String,
    },
    /// A net that costs more than a tick can give.
    #[error(
        "net too large: got {got} {what}, expected at most {limit}; fix: train a narrower or shallower net, or one with fewer steps"
    )]
    NetTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: usize,
        /// Its bound.
        limit: usize,
    },
    /// A net that passed the checks, and that the engine does not take.
    #[error(
        "net not run: got {got} from tract, expected a graph that it takes; fix: export it again with ONNX operator set 17 and constant shapes"
    )]
    NetEngine {
        /// What the engine says.
        got: String,
    },
    /// A metadata entry that a policy needs is absent.
    #[error("metadata {key}: got none, expected {expected}; fix: set it with metadata_props when exporting")]
    MetadataMissing {
        /// The key.
        key: &'static str,
        /// What it holds.
        expected: String,
    },
    /// A metadata entry that says otherwise than the policy wants.
    #[error("metadata {key}: got {got}, expected {expected}; fix: train for this policy, or give it a model that was")]
    Metadata {
        /// The key.
        key: &'static str,
        /// What it says.
        got: String,
        /// What the policy wants.
        expected: String,
    },
    /// The names of the input columns are not the features of the schema, in their order.
    #[error(
        "metadata feature_names: got {got} at position {position} of {names}, expected {expected} (the schema has {features} features); fix: train on the columns that `netprecursor extract` writes, in their order, and export their names"
    )]
    FeatureName {
        /// Where they first differ, from 1.
        position: usize,
        /// The name there, or that there is none.
        got: String,
        /// The feature of the schema there, or that there is none.
        expected: String,
        /// How many names there are.
        names: usize,
        /// How many features the schema has.
        features: usize,
    },
    /// The model was trained on another feature schema.
    #[error(
        "schema hash: got {got}, expected {expected}; fix: extract the features again with this release and train again"
    )]
    SchemaHash {
        /// The model's.
        got: String,
        /// This build's.
        expected: String,
    },
}

impl Refusal {
    /// The name of the variant: stable for scripts and tests.
    pub fn code(&self) -> String {
        format!("{self:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
    }

    /// Whether only use by a policy is refused; `inspect` and `run` still work.
    pub fn is_contract(&self) -> bool {
        matches!(
            self,
            Self::MetadataMissing { .. } | Self::Metadata { .. } | Self::FeatureName { .. } | Self::SchemaHash { .. }
        )
    }
}

/// Text from the file as it may be shown: escaped, at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.escape_debug().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
