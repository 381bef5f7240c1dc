"""What onnxruntime and XGBoost take for the forest that benches/forest.rs scores, on one thread, printed as JSON.

    NETPRECURSOR_BENCH_MODEL=forest.onnx cargo bench -p netprecursor-models --bench forest
    python bench_peers.py forest.onnx

XGBoost cannot read ONNX: it scores a forest of its own of the same shape (as many trees, as deep, every leaf there).
"""

import json
import sys
import time

import numpy as np
import onnx
import onnxruntime
import xgboost

ROWS = (1, 30, 110)


def time_us(run, seconds=1.0):
    """Median and least time of one run after a warm-up, in microseconds; the least is what a busy machine disturbs least."""
    for _ in range(20):
        run()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return float(np.median(times)) / 1000, min(times) / 1000


def shape(model):
    attributes = {a.name: a for node in model.graph.node for a in node.attribute}
    trees = len(set(attributes["nodes_treeids"].ints))
    nodes = len(attributes["nodes_treeids"].ints) // trees
    features = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return trees, int(np.log2(nodes + 1)) - 1, features


def main(path):
    trees, depth, features = shape(onnx.load(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [feed] = session.get_inputs()
    random = np.random.default_rng(1)
    x = random.random((60_000, features), dtype=np.float32)
    y = random.normal(size=len(x)).astype(np.float32)
    booster = xgboost.train(
        {"max_depth": depth, "nthread": 1, "min_child_weight": 0, "eta": 0.1, "seed": 1},
        xgboost.DMatrix(x, y, nthread=1),
        trees,
    )
    booster.set_param({"nthread": 1})
    results = []
    for rows in ROWS:
        batch = np.ascontiguousarray(random.random((rows, features), dtype=np.float32))
        peers = {
            "onnxruntime": lambda: session.run(None, {feed.name: batch}),
            "xgboost": lambda: booster.inplace_predict(batch),
        }
        for name, run in peers.items():
            total, least = time_us(run)
            row = {"peer": name, "rows": rows, "us": round(total, 2), "us_per_row": round(total / rows, 3)}
            results.append(row | {"least_us": round(least, 2), "least_us_per_row": round(least / rows, 3)})
    versions = {"onnxruntime": onnxruntime.__version__, "xgboost": xgboost.__version__}
    print(json.dumps({"trees": trees, "depth": depth, "features": features, "versions": versions, "results": results}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python bench_peers.py FOREST.onnx (see the top of this file)")
    main(sys.argv[1])
