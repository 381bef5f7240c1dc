"""Golden vectors for the evaluator: small models as their own exporters write them, models by hand for every node mode,
aggregate and post-transform, and ONNX's backend test cases of tree ensembles; outputs by onnxruntime on one thread.

    python make_golden.py        # rewrites *.onnx and *.json beside this file; requirements.txt pins the versions

Each NAME.json is {"rows": [[x, null for missing, …]…], "outputs": {OUTPUT: [[y…]…]}}; infinities are written as strings,
and so are the names of classes.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
FEATURES = 6
CATEGORY = 4  # a column of small whole numbers


def data(seed, rows, missing=0.0):
    """Rows whose target bends, interacts and depends on a category; whole numbers make ties with thresholds likely."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, FEATURES)).astype(np.float32)
    x[:, 3] = np.round(x[:, 3] * 3)
    x[:, CATEGORY] = random.integers(0, 8, rows)
    y = x[:, 0] + x[:, 1] ** 2 + np.where(x[:, CATEGORY] % 3 == 1, 2.0, 0.0) + 0.3 * x[:, 2] * x[:, 3]
    y += random.normal(size=rows) * 0.2
    if missing:
        x[random.random(x.shape) < missing] = np.nan
    return x, y


def number(value):
    if isinstance(value, str):
        return f"class {value}"
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def write(name, model, rows):
    """Evaluates and writes one golden model."""
    model.doc_string = ""
    model.graph.name = "golden"  # exporters draw one at random
    payload = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    [feed] = session.get_inputs()
    values = session.run(None, {feed.name: rows})
    outputs = {}
    for info, value in zip(session.get_outputs(), values):
        outputs[info.name] = [[number(v) for v in row] for row in np.asarray(value).reshape(len(rows), -1).tolist()]
    (HERE / f"{name}.onnx").write_bytes(payload)
    golden = {"rows": [[number(v) for v in row] for row in rows], "outputs": outputs}
    (HERE / f"{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{name}: {len(payload)} bytes, {len(rows)} rows")


def input_type():
    return [("x", FloatTensorType([None, FEATURES]))]


def xgboost_models():
    import xgboost

    x, y = data(1, 600, missing=0.1)
    rows, _ = data(2, 40, missing=0.15)
    common = {"n_estimators": 20, "max_depth": 4, "n_jobs": 1, "random_state": 7}
    cases = {
        "xgboost-squared": {},
        "xgboost-base-score": {"base_score": 12.5},
        "xgboost-quantile": {"objective": "reg:quantileerror", "quantile_alpha": 0.9},
        "xgboost-quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.5, 0.9, 0.99]},
        "xgboost-lossguide": {"tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 8, "max_depth": 0},
        "xgboost-stumps": {"max_depth": 1, "n_estimators": 3},
    }
    for name, parameters in cases.items():
        fitted = xgboost.XGBRegressor(**{**common, **parameters}).fit(x, y)
        write(name, convert_xgboost(fitted, initial_types=input_type()), rows)
    fitted = xgboost.XGBRegressor(**common).fit(x, np.column_stack([y, -y, np.abs(y)]).astype(np.float32))
    write("xgboost-targets", convert_xgboost(fitted, initial_types=input_type()), rows)


def lightgbm_models():
    import lightgbm

    x, y = data(3, 800, missing=0.05)
    rows, _ = data(4, 40, missing=0.1)
    common = {"verbose": -1, "num_threads": 1, "seed": 7, "min_data_in_leaf": 5, "num_leaves": 8, "deterministic": True}
    cases = {
        "lightgbm-quantile": ({"objective": "quantile", "alpha": 0.9}, []),
        "lightgbm-categorical": ({"objective": "regression", "cat_smooth": 1, "max_cat_to_onehot": 1}, [CATEGORY]),
        "lightgbm-forest": ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, []),
    }
    for name, (parameters, categories) in cases.items():
        clean = np.where(np.isnan(x[:, CATEGORY]), 0, x[:, CATEGORY])
        train = x.copy()
        train[:, CATEGORY] = clean
        dataset = lightgbm.Dataset(train, y, categorical_feature=categories)
        fitted = lightgbm.train({**common, **parameters}, dataset, 20)
        write(name, convert_lightgbm(fitted, initial_types=input_type(), zipmap=False), rows)


def sklearn_models():
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    x, y = data(5, 500)
    rows, _ = data(6, 40)
    several = np.column_stack([y, x[:, 0], -y])
    cases = {
        "sklearn-gradient-boosting": (GradientBoostingRegressor(n_estimators=15, random_state=7), y),
        "sklearn-random-forest": (RandomForestRegressor(n_estimators=10, max_depth=5, random_state=7), y),
        "sklearn-extra-trees": (
            make_pipeline(StandardScaler(), ExtraTreesRegressor(n_estimators=10, max_depth=5, random_state=7)),
            y,
        ),
        "sklearn-decision-tree": (DecisionTreeRegressor(max_depth=5, random_state=7), several),
        "sklearn-forest-targets": (RandomForestRegressor(n_estimators=5, max_depth=4, random_state=7), several),
    }
    for name, (model, target) in cases.items():
        fitted = model.fit(x, target)
        exported = to_onnx(fitted, x[:1], target_opset={"": 17, "ai.onnx.ml": 3})
        write(name, exported, rows)


def classes(y, count, names=None):
    """The target cut into classes of about equal size."""
    cut = np.searchsorted(np.quantile(y, np.arange(1, count) / count), y)
    return cut if names is None else np.array(names)[cut]


def classifier_models():
    """Two and three classes, by number and by name, as their exporters write them (scores as a matrix, no dictionaries)."""
    import lightgbm
    import xgboost
    from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    x, y = data(11, 600, missing=0.1)
    rows, _ = data(12, 40, missing=0.15)
    for name, count in {"xgboost-classifier-two": 2, "xgboost-classifier-three": 3}.items():
        fitted = xgboost.XGBClassifier(n_estimators=15, max_depth=4, n_jobs=1, random_state=7).fit(x, classes(y, count))
        write(name, convert_xgboost(fitted, initial_types=input_type()), rows)
    for name, count in {"lightgbm-classifier-two": 2, "lightgbm-classifier-three": 3}.items():
        fitted = lightgbm.LGBMClassifier(n_estimators=15, num_leaves=8, n_jobs=1, random_state=7, verbose=-1, deterministic=True)
        fitted.fit(x, classes(y, count))
        write(name, convert_lightgbm(fitted, initial_types=input_type(), zipmap=False), rows)
    x, y = data(13, 500)
    rows, _ = data(14, 40)
    names = ["high", "low", "middle"]
    for name, model, target in [
        ("sklearn-classifier-tree", DecisionTreeClassifier(max_depth=4, random_state=7), classes(y, 2)),
        ("sklearn-classifier-forest-two", RandomForestClassifier(10, max_depth=4, random_state=7), classes(y, 2, names)),
        ("sklearn-classifier-forest-three", RandomForestClassifier(10, max_depth=4, random_state=7), classes(y, 3, names)),
        ("sklearn-classifier-extra-trees", ExtraTreesClassifier(10, max_depth=4, random_state=7), 5 * classes(y, 3) - 3),
        ("sklearn-classifier-boosting-two", GradientBoostingClassifier(n_estimators=10, random_state=7), classes(y, 2)),
        ("sklearn-classifier-boosting-three", GradientBoostingClassifier(n_estimators=10, random_state=7), classes(y, 3)),
    ]:
        fitted = model.fit(x, target)
        write(name, to_onnx(fitted, x[:1], target_opset={"": 17, "ai.onnx.ml": 3}, options={id(fitted): {"zipmap": False}}), rows)


def classifier(trees, labels, transform="NONE", **attributes):
    """A TreeEnsembleClassifier from the same tuples as `ensemble`: outputs `label` and `scores`."""
    node = ensemble(trees, inputs=("x",), outputs=("label", "scores"), post_transform=transform, **attributes)
    node.op_type = "TreeEnsembleClassifier"
    kept = [attribute for attribute in node.attribute if attribute.name != "n_targets"]
    for attribute in kept:
        attribute.name = {"target_treeids": "class_treeids", "target_nodeids": "class_nodeids",
                          "target_ids": "class_ids", "target_weights": "class_weights"}.get(attribute.name, attribute.name)
    del node.attribute[:]
    node.attribute.extend(kept)
    kind = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
    node.attribute.append(helper.make_attribute(kind, labels))
    return node


def classifier_of(node):
    model = model_of([node], [("label", 1), ("scores", 1)])
    strings = any(attribute.name == "classlabels_strings" for attribute in node.attribute)
    del model.graph.output[:]
    model.graph.output.extend([
        helper.make_tensor_value_info("label", TensorProto.STRING if strings else TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", None]),
    ])
    return model


def handmade_classifiers():
    """What the standard leaves open about two classes, and every transform of two and of three."""
    chances = [("LEQ", 0, 1.5, 0, {0: 0.25}, {0: 0.4}), ("LT", 1, 0.0, 1, {0: 0.1}, {0: 0.3})]
    odds = [("LEQ", 0, 1.5, 0, {0: 0.75}, {0: -0.5}), ("LT", 1, 0.0, 1, {0: -0.5}, {0: 0.25})]
    other = lambda tree: (*tree[:4], *[{1: leaf[0]} for leaf in tree[4:]])
    both = [("LEQ", 0, 1.5, 0, {0: 0.25, 1: -0.5}, {0: 0.75}), ("GT", 1, 0.0, 1, {1: 0.5}, {0: -0.25, 1: 1.5})]
    three = [
        ("LEQ", 0, 1.5, 0, {0: 0.25, 1: -0.5, 2: 0.125}, {0: 0.75, 2: 0.0}),
        ("GT", 1, 0.0, 1, {1: 0.5, 2: -0.125}, {0: -0.25, 1: 1.5}),
    ]
    sparse = [("LEQ", 0, 1.5, 0, {0: -1.0}, {1: -2.0}), ("LEQ", 0, 0.0, 0, {0: 0.5}, {1: -2.5})]
    for transform in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]:
        name = transform.lower().replace("_", "-")
        for case, trees, labels, more in [
            ("chances", chances, [0, 1], {}),
            ("odds", odds, [3, 7], {}),
            ("odds-base", odds, [0, 1], {"base_values": [0.25]}),
            ("chances-base", chances, [0, 1], {"base_values": [0.25]}),
            ("either", [("LEQ", 0, 1.5, 0, {0: 0.25}, {1: -0.75})], [0, 1], {}),
            ("other-chances", [other(tree) for tree in chances], [0, 1], {}),
            ("other-odds", [other(tree) for tree in odds], ["no", "yes"], {}),
            ("both", both, [0, 1], {}),
            ("both-names", both, ["no", "yes"], {}),
            ("three", three, [10, 20, 30], {"base_values": [0.5, -1.0, 0.25]}),
            ("three-sparse", sparse, ["a", "b", "c"], {}),
        ]:
            write(f"classifier-{case}-{name}", classifier_of(classifier(trees, labels, transform, **more)), edge_rows()[::4])
    # With PROBIT only three: of two it leaves a score unset.
    likely = [{0: 0.2, 1: 0.3, 2: 0.4}, ("LEQ", 0, 1.5, 0, {0: 0.1, 1: 0.5}, {2: 0.05, 1: 0.25})]
    write("classifier-three-probit", classifier_of(classifier(likely, [1, 2, 3], "PROBIT")), edge_rows()[::4])


def model_of(nodes, outputs, initializers=(), features=2, ml=3, opset=17):
    """A model by hand over x [N, features]; `outputs` are (name, width)."""
    graph = helper.make_graph(
        nodes,
        "golden",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in outputs],
        list(initializers),
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def ensemble(trees, targets=1, inputs=("x",), outputs=("y",), **attributes):
    """A TreeEnsembleRegressor from nested tuples: (mode, feature, value, missing_is_true, yes, no) or {target: weight}."""
    lists = {key: [] for key in (
        "nodes_treeids nodes_nodeids nodes_featureids nodes_values nodes_modes nodes_truenodeids nodes_falsenodeids "
        "nodes_missing_value_tracks_true target_treeids target_nodeids target_ids target_weights"
    ).split()}

    def add(tree, node):
        index = counts[tree]
        counts[tree] += 1
        position = len(lists["nodes_treeids"])
        for key in lists:
            if key.startswith("nodes"):
                lists[key].append(0)
        lists["nodes_treeids"][position] = tree
        lists["nodes_nodeids"][position] = index
        if isinstance(node, dict):
            lists["nodes_modes"][position] = "LEAF"
            lists["nodes_values"][position] = 0.0
            for target, weight in node.items():
                for key, value in zip(("treeids", "nodeids", "ids", "weights"), (tree, index, target, weight)):
                    lists[f"target_{key}"].append(value)
            return index
        mode, feature, value, missing, yes, no = node
        lists["nodes_modes"][position] = f"BRANCH_{mode}"
        lists["nodes_featureids"][position] = feature
        lists["nodes_values"][position] = value
        lists["nodes_missing_value_tracks_true"][position] = missing
        lists["nodes_truenodeids"][position] = add(tree, yes)
        lists["nodes_falsenodeids"][position] = add(tree, no)
        return index

    counts = [0] * len(trees)
    for tree, root in enumerate(trees):
        add(tree, root)
    return helper.make_node(
        "TreeEnsembleRegressor", list(inputs), list(outputs), domain="ai.onnx.ml", n_targets=targets, **lists, **attributes
    )


def edge_rows():
    """Values on, beside and far from the thresholds 0 and 1.5, missing and infinite ones."""
    below, above = np.nextafter(np.float32(1.5), np.float32(0)), np.nextafter(np.float32(1.5), np.float32(2))
    points = [0.0, -0.0, 1.5, below, above, 1e-45, -1e-45, 3.0, -3.0, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan]
    return np.array([[a, b] for a in points for b in points], dtype=np.float32)


def handmade_models():
    modes = ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"]
    for mode in modes:
        for missing in (0, 1):
            inner = (mode, 1, 0.0, missing, {0: 1.0}, {0: 2.0})
            tree = (mode, 0, 1.5, missing, inner, {0: 4.0})
            write(f"mode-{mode.lower()}-{missing}", model_of([ensemble([tree])], [("y", 1)]), edge_rows())
    mixed = [(mode, i % 2, 1.5, i % 2, {0: 2.0 ** i}, ("LEQ", 1, 0.0, 0, {0: -1.0}, {0: 0.5})) for i, mode in enumerate(modes)]
    write("mode-mixed", model_of([ensemble(mixed)], [("y", 1)]), edge_rows())

    single = [("LEQ", 0, 1.5, 0, {0: 0.25}, {0: 0.4}), ("LT", 1, 0.0, 1, {0: 0.1}, {0: 0.3})]
    several = [
        ("LEQ", 0, 1.5, 0, {0: 0.25, 1: -0.5, 2: 0.125}, {0: 0.75, 2: 0.0}),
        ("GT", 1, 0.0, 1, {1: 0.5, 2: -0.125}, {0: -0.25, 1: 1.5}),
        {0: 0.125, 1: 0.0625, 2: 0.0},
    ]
    for aggregate in ["SUM", "AVERAGE", "MIN", "MAX"]:
        name = aggregate.lower()
        plain = ensemble(single, aggregate_function=aggregate, base_values=[0.05])
        write(f"aggregate-{name}", model_of([plain], [("y", 1)]), edge_rows())
        wide = ensemble(several, targets=3, aggregate_function=aggregate, base_values=[0.5, -1.0, 2.0])
        write(f"aggregate-{name}-targets", model_of([wide], [("y", 3)]), edge_rows())
        bare = ensemble(several, targets=3, aggregate_function=aggregate)
        write(f"aggregate-{name}-no-base", model_of([bare], [("y", 3)]), edge_rows())
        sparse = [("LEQ", 0, 1.5, 0, {0: 1.0}, {1: 2.0}), ("LEQ", 0, 0.0, 0, {0: 1.5}, {1: 2.5})]
        sparse = ensemble(sparse, targets=3, aggregate_function=aggregate, base_values=[10.0, 20.0, 30.0])
        write(f"aggregate-{name}-sparse", model_of([sparse], [("y", 3)]), edge_rows())
    for transform in ["SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]:
        name = transform.lower().replace("_", "-")
        plain = ensemble(single, post_transform=transform)
        write(f"transform-{name}", model_of([plain], [("y", 1)]), edge_rows())
        if transform != "PROBIT":  # of values outside (0, 1) it is NaN
            wide = ensemble(several, targets=3, post_transform=transform)
            write(f"transform-{name}-targets", model_of([wide], [("y", 3)]), edge_rows())
    chances = [("LEQ", 0, 1.5, 0, {0: 0.2, 1: 0.9}, {0: 0.5, 1: 0.01}), {0: 0.25, 1: 0.05}]
    wide = ensemble(chances, targets=2, post_transform="PROBIT")
    write("transform-probit-targets", model_of([wide], [("y", 2)]), edge_rows())


def graph_models():
    """What surrounds a residual model: a column picked out, one ensemble per quantile, sums, monotone by maxima."""
    constant = lambda name, value: numpy_helper.from_array(np.asarray(value), name)
    trees = [
        [("LEQ", 2, 0.5, 1, {0: 0.25 * (q + 1)}, ("GT", 0, 0.0, 0, {0: -0.5 + q}, {0: 0.75}))] for q in range(3)
    ]
    nodes = [
        helper.make_node("Gather", ["x", "baseline"], ["b"], axis=1),
        helper.make_node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.5, 0.0, 1.0, -1.0, 0.0, 2.0], scale=[2.0] * 6),
        *[ensemble(trees[q], inputs=("s",), outputs=(f"r{q}",)) for q in range(3)],
        helper.make_node("Add", ["r0", "b"], ["q0"]),
        helper.make_node("Add", ["r1", "b"], ["a1"]),
        helper.make_node("Max", ["q0", "a1"], ["q1"]),
        helper.make_node("Add", ["r2", "b"], ["a2"]),
        helper.make_node("Max", ["q1", "a2"], ["q2"]),
        helper.make_node("Concat", ["q0", "q1", "q2"], ["q"], axis=1),
        helper.make_node("Clip", ["q", "low", "high"], ["y"]),
    ]
    initializers = [
        constant("baseline", np.array([1], dtype=np.int64)),
        constant("low", np.float32(-2.0)),
        constant("high", np.float32(2.5)),
    ]
    rows, _ = data(8, 60, missing=0.1)
    write("graph-residual", model_of(nodes, [("y", 3)], initializers, features=6), rows)

    nodes = [
        helper.make_node("Slice", ["x", "start", "end", "axis"], ["window"]),
        helper.make_node("Abs", ["window"], ["w"]),
        helper.make_node("Add", ["w", "one"], ["w1"]),
        helper.make_node("Log", ["w1"], ["l"]),
        helper.make_node("Gather", ["x", "last"], ["column"], axis=1),
        helper.make_node("Unsqueeze", ["column", "axis"], ["c"]),
        helper.make_node("Mul", ["l", "c"], ["m"]),
        helper.make_node("Div", ["m", "weights"], ["d"]),
        helper.make_node("Sub", ["d", "c"], ["e"]),
        helper.make_node("Min", ["e", "weights"], ["f"]),
        helper.make_node("Tanh", ["f"], ["t"]),
        helper.make_node("Sigmoid", ["e"], ["g"]),
        helper.make_node("Concat", ["t", "g"], ["y"], axis=-1),
        helper.make_node("Exp", ["t"], ["t2"]),
        helper.make_node("Neg", ["t2"], ["t3"]),
        helper.make_node("Relu", ["e"], ["t4"]),
        helper.make_node("Sqrt", ["t4"], ["t5"]),
        helper.make_node("Pow", ["t5", "two"], ["t6"]),
        helper.make_node("Sum", ["t3", "t6", "one"], ["z"]),
    ]
    initializers = [
        constant("start", np.array([1], dtype=np.int64)),
        constant("end", np.array([4], dtype=np.int64)),
        constant("axis", np.array([1], dtype=np.int64)),
        constant("one", np.float32(1.0)),
        constant("two", np.float32(2.0)),
        constant("last", np.array(-1, dtype=np.int64)),
        constant("weights", np.array([[0.5, 2.0, -4.0]], dtype=np.float32)),
    ]
    write("graph-arithmetic", model_of(nodes, [("y", 6), ("z", 3)], initializers, features=6), rows)


def backend_models():
    """ONNX's own cases. The one in double precision is rewritten in single: its numbers are exact in both."""
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        if "tree_ensemble" not in case.name:
            continue
        model = case.model
        [node] = model.graph.node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.DOUBLE:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        [[inputs, outputs]] = case.data_sets
        rows = inputs[0].astype(np.float32)
        name = case.name.removeprefix("test_ai_onnx_ml_").replace("_", "-")
        write(f"onnx-{name}", model, rows)
        written = json.loads((HERE / f"onnx-{name}.json").read_text())["outputs"]["Y"]
        assert np.allclose(np.array(written, dtype=float), outputs[0]), f"{name}: onnxruntime differs from the standard"


if __name__ == "__main__":
    for old in HERE.glob("*.onnx"):
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    xgboost_models()
    lightgbm_models()
    sklearn_models()
    classifier_models()
    handmade_models()
    handmade_classifiers()
    graph_models()
    backend_models()
