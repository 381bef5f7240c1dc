"""A net as one ONNX file: normalisation, net and baseline in the graph, so that the agent adds nothing."""

import numpy as np
from onnx import TensorProto, helper

from export import OPSET, constant, session, write
from nets import BOUND, HEADS, RECENT_S


class Graph:
    """Nodes and constants, each under a name of its own."""

    def __init__(self):
        self.nodes, self.constants, self.made = [], [], 0

    def keep(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(constant(name, values, dtype))
        return name

    def op(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{self.made}" + ("" if outputs == 1 else f"_{n}") for n in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, f"{op.lower()}{self.made}", **attributes))
        self.made += 1
        return names[0] if outputs == 1 else names

    def part(self, x, axis, start, end):
        ints = (self.keep([value], np.int64) for value in (start, end, axis))
        return self.op("Slice", x, *ints)

    def shape(self, x, dims):
        return self.op("Reshape", x, self.keep(dims, np.int64))

    def pick(self, x, axis, index):
        return self.op("Gather", x, self.keep(index, np.int64), axis=axis)

    def linear(self, x, layer):
        return self.op("Add", self.op("MatMul", x, self.keep(layer["w"])), self.keep(layer["b"]))

    def norm(self, x, layer):
        return self.op("LayerNormalization", x, self.keep(layer["g"]), self.keep(layer["b"]), axis=-1, epsilon=1e-5)

    def relative(self, x, level, channels):
        """As `nets.relative`."""
        measured, rtt, rest = self.part(x, 2, 0, 1), self.part(x, 2, 1, 2), self.part(x, 2, 2, channels)
        top = lambda value: self.op("ReduceMax", value, axes=[1], keepdims=1)
        recent = lambda value: top(self.part(value, 1, -RECENT_S, np.iinfo(np.int64).max))
        unknown = self.op("Sub", self.keep(1.0), recent(measured))
        baseline = self.op("Add", recent(rtt), self.op("Mul", unknown, top(rtt)))
        over = self.op("Mul", self.op("Sub", rtt, baseline), measured)
        mean = self.op("ReduceMean", rest, axes=[1], keepdims=1)
        rest = self.op("Sub", rest, self.op("Mul", mean, self.keep(level[2:])))
        return self.op("Concat", measured, over, rest, axis=2), baseline

    def lstm(self, x, layer):
        """[T, N, width] → every step's output and the last one."""
        width = layer["r"].shape[1]
        bias = np.concatenate([layer["b"], np.zeros(4 * width)])
        weights = (self.keep(values[None]) for values in (layer["w"], layer["r"], bias))
        every, last = self.op("LSTM", x, *weights, outputs=2, hidden_size=width)
        return self.op("Squeeze", every, self.keep([1], np.int64)), self.op("Squeeze", last, self.keep([0], np.int64))

    def attention(self, x, block, groups):
        width = block["merge"]["w"].shape[0]
        qkv = self.shape(self.linear(x, block["qkv"]), [0, groups, 3, HEADS, width // HEADS])
        qkv = self.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (self.pick(qkv, 0, index) for index in range(3))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.keep(1 / np.sqrt(width // HEADS)))
        seen = self.op("Transpose", self.op("MatMul", self.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return self.linear(self.shape(seen, [0, groups, width]), block["merge"])


def graph(net, schema, name):
    """[N, T, F] → [N, Q]."""
    config, weights, made = net.config, net.weights, Graph()
    channels, groups = len(schema.channels), schema.steps // config.patch
    course, baseline = made.relative("sequences", net.inputs.level, channels)
    course = made.op("Mul", course, made.keep(net.inputs.scale))
    course = made.op("Clip", course, made.keep(-BOUND), made.keep(BOUND))
    state = made.linear(made.shape(course, [0, groups, config.patch * channels]), weights["embed"])
    if config.kind == "lstm":
        state = made.op("Transpose", state, perm=[1, 0, 2])
        for layer in weights["lstm"]:
            state, last = made.lstm(state, layer)
        # Nobody reads the last layer's steps.
        made.nodes = [node for node in made.nodes if node.output[0] != state]
        state = last
    else:
        state = made.op("Add", state, made.keep(weights["place"]))
        for block in weights["blocks"]:
            state = made.op("Add", state, made.attention(made.norm(state, block["norm1"]), block, groups))
            up = made.op("Relu", made.linear(made.norm(state, block["norm2"]), block["up"]))
            state = made.op("Add", state, made.linear(up, block["down"]))
        state = made.op("ReduceMean", state, axes=[1], keepdims=0)
    hidden = made.op("Relu", made.linear(state, weights["hidden"]))
    raw = made.op("Add", made.linear(hidden, weights["out"]), made.linear(made.pick(course, 2, 1), weights["skip"]))
    quantiles = len(schema.quantiles)
    steps = made.op("Softplus", made.part(raw, 1, 1, quantiles))
    above = made.op("Concat", made.part(raw, 1, 0, 1), steps, axis=1)
    # Sums from the left, so that quantiles ascend.
    summed = made.op("MatMul", above, made.keep(np.triu(np.ones((quantiles, quantiles)))))
    made.nodes.append(helper.make_node("Add", [summed, made.shape(baseline, [0, 1])], ["quantiles"], "add_baseline"))
    inputs = [helper.make_tensor_value_info("sequences", TensorProto.FLOAT, ["N", schema.steps, channels])]
    outputs = [helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["N", quantiles])]
    return helper.make_graph(made.nodes, name, inputs, outputs, initializer=made.constants)


def export(net, schema, path):
    """Writes the net and gives its bytes back."""
    made = graph(net, schema, path.stem)
    return write(made, [helper.make_opsetid("", OPSET)], schema, schema.names, path)


def run(payload, x):
    """[N, Q] by onnxruntime."""
    opened = session(payload)
    parts = [opened.run(None, {"sequences": x[at : at + 1024]})[0] for at in range(0, len(x), 1024)]
    return np.concatenate(parts)
