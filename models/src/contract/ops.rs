//! The operators that a model may use: one table. What of them this build evaluates, the plan decides.

/// The default domain: tensor algebra, and the layers of small nets.
const ONNX: &[&str] = &[
    // element by element
    "Abs",
    "Add",
    "Cast",
    "Ceil",
    "Clip",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Log",
    "And",
    "Or",
    "Not",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "Pow",
    "Reciprocal",
    "Round",
    "Sign",
    "Sqrt",
    "Sub",
    "Sum",
    "Where",
    // activations
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "LogSoftmax",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    // shapes
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Expand",
    "Flatten",
    "Gather",
    "Pad",
    "Range",
    "Reshape",
    "Resize",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    // reductions
    "ArgMax",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    // layers
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "Dropout",
    "Gemm",
    "GlobalAveragePool",
    "GRU",
    "LSTM",
    "LayerNormalization",
    "MatMul",
    "MaxPool",
    "RNN",
];

/// The classical machine-learning domain, as XGBoost, LightGBM and scikit-learn are exported.
const ONNX_ML: &[&str] = &[
    "ArrayFeatureExtractor",
    "Binarizer",
    "FeatureVectorizer",
    "Imputer",
    "LinearRegressor",
    "Normalizer",
    "Scaler",
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    "ZipMap",
];

/// Name of the machine-learning domain.
pub(crate) const ML: &str = "ai.onnx.ml";

/// The known domains with the operator-set versions whose operators mean what this crate takes them to mean.
pub(super) const DOMAINS: &[(&str, std::ops::RangeInclusive<i64>)] = &[("", 1..=26), (ML, 1..=5)];

/// Whether a model may use the operator; the domain is normalised.
pub(super) fn is_allowed(domain: &str, op: &str) -> bool {
    match domain {
        "" => ONNX.contains(&op),
        ML => ONNX_ML.contains(&op),
        _ => false,
    }
}

/// Operators that run a subgraph.
pub(super) fn is_control_flow(op: &str) -> bool {
    matches!(op, "If" | "Loop" | "Scan")
}
