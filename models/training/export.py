"""The model as one ONNX file: trees, stack and baseline in the graph, so that the agent adds nothing."""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8


def trees(model):
    """Attributes of one TreeEnsembleRegressor with a target per quantile; averaging and shrinking are in the leaves' weights."""
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    tree_id = 0
    for target, (config, bags) in enumerate(zip(model.configs, model.forests)):
        for forest in bags:
            for tree in structure(forest):
                for node, (left, right, feature, value, default_left) in enumerate(tree):
                    leaf = left < 0
                    nodes["treeids"].append(tree_id)
                    nodes["nodeids"].append(node)
                    nodes["featureids"].append(0 if leaf else feature)
                    nodes["values"].append(0.0 if leaf else value)
                    nodes["modes"].append("LEAF" if leaf else "BRANCH_LT")
                    nodes["truenodeids"].append(0 if leaf else left)
                    nodes["falsenodeids"].append(0 if leaf else right)
                    nodes["missing"].append(0 if leaf else default_left)
                    if leaf:
                        leaves["treeids"].append(tree_id)
                        leaves["nodeids"].append(node)
                        leaves["ids"].append(target)
                        leaves["weights"].append(config.shrinkage * value / len(bags))
                tree_id += 1
    return {
        "n_targets": len(model.forests),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        **{f"nodes_{key}": values for key, values in nodes.items() if key != "missing"},
        "nodes_missing_value_tracks_true": nodes["missing"],
        **{f"target_{key}": values for key, values in leaves.items()},
    }


def structure(forest):
    """Per tree the list of (left, right, feature, threshold or leaf value, whether missing goes left)."""
    raw = json.loads(bytes(forest.save_raw("json")))
    for tree in raw["learner"]["gradient_booster"]["model"]["trees"]:
        columns = (tree[key] for key in ("left_children", "right_children", "split_indices", "split_conditions", "default_left"))
        yield [(left, right, feature, float(value), int(missing)) for left, right, feature, value, missing in zip(*columns)]


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def graph(model, schema):
    """[N, F] → [N, Q]: trees + bias + Σ column × coefficients + baseline, then ascending."""
    nodes = [helper.make_node("TreeEnsembleRegressor", ["features"], ["trees"], "trees", domain="ai.onnx.ml", **trees(model))]
    constants = [constant("bias", model.bias)]
    terms = ["trees", "bias"]

    def gather(source, column, out):
        constants.append(constant(f"{out}_index", [column], np.int64))
        nodes.append(helper.make_node("Gather", [source, f"{out}_index"], [out], axis=1))
        return out

    for position, column in enumerate(model.columns):
        picked = gather("features", column, f"column{position}")
        constants.append(constant(f"coefficients{position}", model.coefficients[:, position]))
        nodes.append(helper.make_node("Mul", [picked, f"coefficients{position}"], [f"term{position}"]))
        terms.append(f"term{position}")
    terms.append(gather("features", schema.features.index(schema.residual_baseline), "baseline"))
    total = terms[0]
    for position, term in enumerate(terms[1:]):
        nodes.append(helper.make_node("Add", [total, term], [f"sum{position}"]))
        total = f"sum{position}"
    ascending = [gather(total, 0, "quantile0")]
    for position in range(1, len(model.quantiles)):
        picked = gather(total, position, f"raw{position}")
        nodes.append(helper.make_node("Max", [ascending[-1], picked], [f"quantile{position}"]))
        ascending.append(f"quantile{position}")
    nodes.append(helper.make_node("Concat", ascending, ["quantiles"], axis=1))
    shape = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
    inputs, outputs = [shape("features", len(schema.features))], [shape("quantiles", len(model.quantiles))]
    return helper.make_graph(nodes, "rtt-xgboost", inputs, outputs, initializer=constants)


def export(model, schema, path):
    """Writes the model and gives its bytes back."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return write(graph(model, schema), opsets, schema, schema.features, path)


def write(graph, opsets, schema, names, path):
    """Writes a graph with what a policy asks of a model beside it: the loading contract of docs/models.md."""
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="netprecursor")
    properties = {
        "schema_hash": schema.hash,
        "kind": "RttForecast",
        "horizon_s": str(schema.horizon_s),
        "quantiles": json.dumps(schema.quantiles),
        "feature_names": json.dumps(names),
    }
    helper.set_model_props(proto, {f"netprecursor.{key}": value for key, value in properties.items()})
    onnx.checker.check_model(proto, full_check=True)
    payload = proto.SerializeToString(deterministic=True)
    path.write_bytes(payload)
    return payload


def run(payload, x):
    """[N, Q] by onnxruntime."""
    return session(payload).run(None, {"features": x})[0]


def session(payload):
    """onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
