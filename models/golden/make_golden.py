"""Golden vectors for the evaluator: small models as their own exporters write them, models by hand for every node mode,
aggregate and post-transform, ONNX's backend test cases of tree ensembles, and nets (make_nets.py); outputs by onnxruntime on one thread.

    python make_golden.py        # rewrites *.onnx and *.json beside this file; requirements.txt pins the versions

Each NAME.json is {"rows": [[x, null for missing, …]…], "outputs": {OUTPUT: [[y…]…]}}; infinities are written as strings,
and so are the names of classes. refused/NAME.json says by which refusal, and with which words, a model of an exporter
is refused.
"""

import json
import math
import tempfile
import warnings

import numpy as np
import onnx
import pandas
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from skl2onnx.common import _container as container

import make_nets
from vectors import HERE, write

warnings.filterwarnings("ignore")
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


def refuse(name, model, code, words):
    """Writes a model as an exporter makes it, which must be refused."""
    model.doc_string = ""
    model.graph.name = "golden"
    (HERE / "refused").mkdir(exist_ok=True)
    (HERE / "refused" / f"{name}.onnx").write_bytes(model.SerializeToString())
    (HERE / "refused" / f"{name}.json").write_text(json.dumps({"code": code, "words": words}) + "\n")


def attributes(model):
    """The node of the tree ensemble and its attributes by name."""
    [node] = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    return node, {attribute.name: attribute for attribute in node.attribute}


def on_thresholds(model, rows):
    """The rows, and some with values on and right beside thresholds of the model: in single precision, as they are compared."""
    _, found = attributes(model)
    splits = list(zip(found["nodes_modes"].strings, found["nodes_featureids"].ints, found["nodes_values"].floats))
    more = []
    for _, feature, value in [split for split in splits if split[0] != b"LEAF"][::3][:20]:
        value = np.float32(value)
        for beside in (value, np.nextafter(value, np.float32(-np.inf)), np.nextafter(value, np.float32(np.inf))):
            row = rows[len(more) % len(rows)].copy()
            row[feature] = beside
            more.append(row)
    return np.concatenate([rows, np.array(more, dtype=np.float32)])


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
        xgboost_model(name, fitted, rows)
    fitted = xgboost.XGBRegressor(**common).fit(x, np.column_stack([y, -y, np.abs(y)]).astype(np.float32))
    xgboost_model("xgboost-targets", fitted, rows)


def xgboost_model(name, fitted, rows):
    """onnxmltools writes every tree of a regressor with several targets to target 0. As exported it is to be refused; with
    each tree's target as XGBoost says, it scores as XGBoost does."""
    model = convert_xgboost(fitted, initial_types=input_type())
    _, found = attributes(model)
    if found["n_targets"].i > 1:
        refuse(name, model, "NoLeaf", "target 1 of node")
        groups = json.loads(bytes(fitted.get_booster().save_raw("json")))["learner"]["gradient_booster"]["model"]["tree_info"]
        found["target_ids"].ints[:] = [groups[tree] for tree in found["target_treeids"].ints]
        del model.graph.output[0].type.tensor_type.shape.dim[:]
        for value in ("N", found["n_targets"].i):
            model.graph.output[0].type.tensor_type.shape.dim.add(**{"dim_param" if value == "N" else "dim_value": value})
    rows = on_thresholds(model, rows)
    write(name, model, rows)
    [written] = json.loads((HERE / f"{name}.json").read_text())["outputs"].values()
    expected = fitted.predict(rows).reshape(len(rows), -1)
    assert np.allclose(np.array(written, dtype=float), expected, atol=1e-4), f"{name}: the export is not the model"


def documented_model():
    """The example of docs/models.md as it stands there: a policy of this release takes what it makes."""
    text = (HERE / "../../docs/models.md").read_text()
    [example] = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    schema = json.loads((HERE / "../../core/schema.json").read_text())
    names = [feature["name"] for feature in schema["features"]]
    random = np.random.default_rng(31)
    rows = pandas.DataFrame(random.normal(size=(400, len(names))).astype(np.float32), columns=names)
    rows["label_max10_us"] = np.exp(9 + rows[names[0]] + random.normal(size=400))
    with tempfile.TemporaryDirectory() as folder:
        told = {"schema": schema, "rows": rows, "path": f"{folder}/model.onnx"}
        exec(example, told)
        model = onnx.load(told["path"])
        write("documented", model, told["x"][:8])
        [written] = json.loads((HERE / "documented.json").read_text())["outputs"].values()
        assert np.allclose(np.array(written), told["fitted"].predict(told["x"][:8]), atol=1e-4), "the example is not the model"


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
        model = convert_lightgbm(fitted, initial_types=input_type(), zipmap=False)
        write(name, model, on_thresholds(model, rows))
    # Where that a value is missing says something, it is split off at infinity.
    x, y, rows = telling_gaps()
    fitted = lightgbm.train({**common, "objective": "regression"}, lightgbm.Dataset(x, y), 10)
    model = convert_lightgbm(fitted, initial_types=input_type(), zipmap=False)
    write("lightgbm-missing", with_infinities(model), on_thresholds(model, rows))


def telling_gaps():
    """Rows whose target depends on which values are missing, and rows to score, with infinities among them."""
    x, y = data(21, 800, missing=0.25)
    y = y + np.where(np.isnan(x[:, 1]), 4.0, 0.0) - np.where(np.isnan(x[:, 4]), 2.0, 0.0)
    y = np.where(np.isnan(y), np.where(np.isnan(x[:, 0]), -3.0, 1.0), y)
    rows, _ = data(22, 40, missing=0.25)
    rows[::7, 1] = np.inf
    rows[::9, 4] = -np.inf
    return x, y, rows


def with_infinities(model):
    _, found = attributes(model)
    assert np.isinf(found["nodes_values"].floats).any(), "no threshold is infinite"
    return model


def sklearn_models():
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
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
        write(name, exported, on_thresholds(exported, rows))
    x, y, rows = telling_gaps()
    for name, model, target in [
        ("sklearn-hist-boosting", HistGradientBoostingRegressor(max_iter=10, max_leaf_nodes=8, random_state=7), y),
        ("sklearn-hist-classifier", HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=8, random_state=7), classes(y, 3)),
    ]:
        fitted = model.fit(x, target)
        options = {id(fitted): {"zipmap": False}} if hasattr(fitted, "classes_") else None
        exported = histogram_to_onnx(fitted, x, options)
        write(name, with_infinities(exported), on_thresholds(exported, rows))


def whole_numbers(value):
    """skl2onnx writes flags of histogram boosting as numpy's booleans, which protobuf no longer takes for integers."""
    has_flags = isinstance(value, (list, np.ndarray)) and any(isinstance(each, (bool, np.bool_)) for each in value)
    return [int(each) for each in value] if has_flags else value


def histogram_to_onnx(fitted, x, options):
    make_node = container.make_node
    container.make_node = lambda *places, **attributes: make_node(
        *places, **{name: whole_numbers(value) for name, value in attributes.items()}
    )
    try:
        return to_onnx(fitted, x[:1], target_opset={"": 17, "ai.onnx.ml": 3}, options=options)
    finally:
        container.make_node = make_node


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
    sparse = [("LEQ", 0, 1.5, 0, {0: -1.0}, {1: -2.0}), ("LEQ", 0, 0.0, 0, {0: 0.5}, {1: -2.5, 2: -0.25})]
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


def tensors(trees):
    """A TreeEnsemble of opset 5 from the same tuples as `ensemble`; leaves have one weight, of target 0."""
    names = ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"]
    lists = {key: [] for key in ("nodes_featureids nodes_modes nodes_splits nodes_missing_value_tracks_true "
                                 "nodes_truenodeids nodes_trueleafs nodes_falsenodeids nodes_falseleafs").split()}
    weights, roots = [], []

    def add(node):
        """Its place, and whether it is a leaf."""
        if isinstance(node, dict):
            weights.append(node[0])
            return len(weights) - 1, 1
        mode, feature, value, missing, yes, no = node
        place = len(lists["nodes_modes"])
        row = (feature, names.index(mode), value, missing, 0, 0, 0, 0)
        for values, entry in zip(lists.values(), row):
            values.append(entry)
        for side, child in (("true", yes), ("false", no)):
            lists[f"nodes_{side}nodeids"][place], lists[f"nodes_{side}leafs"][place] = add(child)
        return place, 0

    for tree in trees:
        roots.append(add(tree)[0])
    as_tensor = lambda name, kind: numpy_helper.from_array(np.array(lists.pop(name), dtype=kind))
    return helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, aggregate_function=1, post_transform=0,
        tree_roots=roots, leaf_targetids=[0] * len(weights),
        leaf_weights=numpy_helper.from_array(np.array(weights, dtype=np.float32)),
        nodes_modes=as_tensor("nodes_modes", np.uint8), nodes_splits=as_tensor("nodes_splits", np.float32), **lists,
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

    # Every mode at the ends of the numbers; each tree has a bit of the sum to itself.
    largest = float(np.finfo(np.float32).max)
    ends = [(value, missing) for value in (math.inf, -math.inf, largest, -largest) for missing in (0, 1)]
    for mode in modes:
        trees = [(mode, 0, value, missing, {0: 2.0 ** i}, {0: 0.0}) for i, (value, missing) in enumerate(ends)]
        write(f"infinite-{mode.lower()}", model_of([ensemble(trees)], [("y", 1)]), edge_rows()[::14])
    # Modes that differ within a tree are another path through onnxruntime, and equality one through ours.
    trees = [
        (mode, 0, value, missing, ("EQ", 0, -value, 1, {0: 2.0 ** i}, {0: 3.0 ** i}), {0: 0.0})
        for i, (mode, (value, missing)) in enumerate(zip(modes, ends))
    ]
    write("infinite-mixed", model_of([ensemble(trees)], [("y", 1)]), edge_rows()[::14])
    trees = [(mode, 0, value, missing, {0: 2.0 ** i}, {0: 0.0}) for i, (mode, (value, missing)) in enumerate(
        (mode, end) for end in ends[:4] for mode in modes)]
    write("infinite-tensors", model_of([tensors(trees)], [("y", 1)], ml=5), edge_rows()[::14])
    # What is never read may be anything: the value of a leaf's row, hit rates. A flag that is neither 0 nor 1 is no 1.
    node = ensemble([("LEQ", 0, 1.5, 2, {0: 1.0}, {0: 2.0})], nodes_hitrates=[math.nan, math.inf, 1.0])
    [values] = [attribute for attribute in node.attribute if attribute.name == "nodes_values"]
    values.floats[1:] = [math.nan, math.inf]
    write("unread-numbers", model_of([node], [("y", 1)]), edge_rows()[::14])

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
        sparse = [("LEQ", 0, 1.5, 0, {0: 1.0}, {1: 2.0}), ("LEQ", 0, 0.0, 0, {0: 1.5}, {1: 2.5, 2: 0.75})]
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


    bound = lambda name, value: constant(name, np.float32(value))
    nodes = [
        helper.make_node("Clip", ["x", "none_below", "one"], ["a"]),
        helper.make_node("Max", ["a", "none_below"], ["b"]),
        helper.make_node("Constant", [], ["none_above"], value_float=math.inf),
        helper.make_node("Min", ["b", "none_above"], ["y"]),
    ]
    initializers = [bound("none_below", -math.inf), bound("one", 1.0)]
    write("graph-unbounded", model_of(nodes, [("y", 2)], initializers), edge_rows()[::5])


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
    for old in [*HERE.glob("*.onnx"), *HERE.glob("refused/*.onnx")]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    xgboost_models()
    documented_model()
    lightgbm_models()
    sklearn_models()
    classifier_models()
    handmade_models()
    handmade_classifiers()
    graph_models()
    backend_models()
    make_nets.nets()
