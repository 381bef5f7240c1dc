"""A golden model and its vectors as files; outputs by onnxruntime on one thread."""

import json
import math
import pathlib

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent


def number(value):
    if isinstance(value, str):
        return f"class {value}"
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def write(name, model, rows):
    """Evaluates and writes one golden model. A row of a sequence is its steps one after the other."""
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
    golden = {"rows": [[number(v) for v in row] for row in rows.reshape(len(rows), -1)], "outputs": outputs}
    (HERE / f"{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{name}: {len(payload)} bytes, {len(rows)} rows")
