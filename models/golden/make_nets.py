"""Golden nets: small graphs over sequences [N, 12, 3] with every operator that is handed to tract.

    python make_nets.py        # rewrites net-*.onnx and net-*.json; make_golden.py does so as well
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from vectors import HERE, write

STEPS, CHANNELS, HIDDEN = 12, 3, 8
END = np.iinfo(np.int64).max


class Net:
    """Nodes in order, with constants drawn from a fixed seed."""

    def __init__(self, opset=17):
        self.random, self.opset, self.nodes, self.constants = np.random.default_rng(5), opset, [], []

    def keep(self, values, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def ints(self, *values):
        return self.keep(values, np.int64)

    def weights(self, *shape):
        return self.keep(self.random.normal(size=shape) / np.sqrt(shape[-1]))

    def op(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def dense(self, x, inputs, outputs):
        return self.op("Add", self.op("MatMul", x, self.weights(inputs, outputs)), self.weights(outputs))

    def model(self, out, columns):
        self.nodes.append(helper.make_node("Identity", [out], ["y"]))
        shape = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        graph = helper.make_graph(self.nodes, "golden", [shape("x", ["N", STEPS, CHANNELS])],
                                  [shape("y", ["N", columns])], initializer=self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def lstm(layers, bias):
    net = Net()
    x, inputs = net.op("Transpose", "x", perm=[1, 0, 2]), CHANNELS
    for _ in range(layers):
        weights = [net.weights(1, 4 * HIDDEN, inputs), net.weights(1, 4 * HIDDEN, HIDDEN)]
        every, last = net.op("LSTM", x, *weights, *([net.weights(1, 8 * HIDDEN)] if bias else []), outputs=2, hidden_size=HIDDEN)
        x, inputs = net.op("Squeeze", every, net.ints(1)), HIDDEN
    return net.model(net.dense(net.op("Squeeze", last, net.ints(0)), HIDDEN, 2), 2)


def attention():
    net, heads = Net(), 2
    norm = lambda x: net.op("LayerNormalization", x, net.weights(HIDDEN), net.weights(HIDDEN), axis=-1, epsilon=1e-5)
    x = net.dense("x", CHANNELS, HIDDEN)
    qkv = net.op("Reshape", net.dense(norm(x), HIDDEN, 3 * HIDDEN), net.ints(0, STEPS, 3, heads, HIDDEN // heads))
    qkv = net.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
    q, k, v = (net.op("Gather", qkv, net.keep(index, np.int64), axis=0) for index in range(3))
    scores = net.op("Softmax", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    seen = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    x = net.op("Add", x, net.op("Reshape", seen, net.ints(0, STEPS, HIDDEN)))
    return net.model(net.dense(net.op("ReduceMean", norm(x), axes=[1], keepdims=0), HIDDEN, 2), 2)


def elementwise():
    net = Net()
    square = net.op("Add", net.op("Mul", "x", "x"), net.keep(1.0))
    parts = [net.op(op, "x") for op in ("Abs", "Erf", "Exp", "Neg", "Relu", "Sigmoid", "Softplus", "Tanh")]
    parts += [net.op(op, square) for op in ("Log", "Reciprocal", "Sqrt")]
    parts += [net.op("Clip", "x", net.keep(-0.5), net.keep(0.75)), net.op("Clip", "x", "", net.keep(0.25))]
    parts += [net.op("Sub", "x", net.weights(CHANNELS)), net.op("Div", "x", square), net.op("Pow", square, net.keep(1.5))]
    parts += [net.op("Max", "x", net.weights(STEPS, 1)), net.op("Min", "x", net.keep(0.3)), net.op("Sum", "x", square, net.keep(2.0))]
    wide = net.op("Concat", *parts, axis=-1)
    return net.model(net.op("ReduceMean", wide, axes=[1], keepdims=0), CHANNELS * len(parts))


def shapes():
    net = Net()
    last = net.op("Slice", "x", net.ints(-4), net.ints(END), net.ints(1))
    part = net.op("Slice", "x", net.ints(2, 0), net.ints(6, -1), net.ints(1, 2))
    flat = net.op("Flatten", last, axis=1)
    gemm = net.op("Gemm", flat, net.weights(5, 4 * CHANNELS), net.weights(5), transB=1, alpha=0.5)
    one = net.op("Gather", "x", net.keep(-1, np.int64), axis=1)
    some = net.op("Reshape", net.op("Gather", "x", net.ints(0, 7), axis=1), net.ints(0, -1))
    column = net.op("Unsqueeze", net.op("ReduceMax", part, axes=[1], keepdims=0), net.ints(1))
    row = net.op("Squeeze", net.op("Transpose", column, perm=[0, 2, 1]), net.ints(2))
    constant = helper.make_tensor("", TensorProto.FLOAT, [1], [0.25])
    row = net.op("Add", row, net.op("Constant", value=constant))
    return net.model(net.op("Concat", gemm, one, some, row, axis=1), 5 + 3 + 6 + 2)


def reductions(opset):
    net = Net(opset)
    parts = []
    for op in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"):
        if op == "ReduceSum" or opset >= 18:
            parts += [net.op(op, "x", net.ints(1), keepdims=0), net.op(op, "x", net.ints(-1), keepdims=0)]
        else:
            parts += [net.op(op, "x", axes=[1], keepdims=0), net.op(op, "x", axes=[-1], keepdims=0)]
    total = net.op("ReduceSum", "x", net.ints(1, 2), keepdims=1)
    parts.append(net.op("Reshape", total, net.ints(0, 1)))
    return net.model(net.op("Concat", *parts, axis=1), 4 * (CHANNELS + STEPS) + 1)


def nets():
    """Forty rows: more than a batch of the engine, and less than two."""
    rows = np.random.default_rng(6).normal(size=(40, STEPS, CHANNELS)).astype(np.float32)
    write("net-lstm", lstm(1, True), rows)
    write("net-lstm-two", lstm(2, True), rows)
    write("net-lstm-no-bias", lstm(1, False), rows)
    write("net-attention", attention(), rows)
    write("net-elementwise", elementwise(), rows)
    write("net-shapes", shapes(), rows)
    for opset in (13, 17, 18, 21):
        write(f"net-reductions-{opset}", reductions(opset), rows)


if __name__ == "__main__":
    for old in HERE.glob("net-*.onnx"):
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    nets()
