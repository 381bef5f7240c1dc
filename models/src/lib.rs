//! Loading contract for ONNX models and the evaluator of tree ensembles.
