"""Trains the nets of the release and reports what they are worth beside the trees.

    python train_nets.py --data DIR --import DIR --out ../artifacts

As train.py, which runs this after the trees; the same episodes and series stay out. Sequences come from `netprecursor
extract --sequences`, and the files are checked against onnxruntime and against the agent's own engine.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import pandas

import data
import evaluate
import export
import mixture
import nets
import nets_export
import nets_report
import scores
import sequences
from model import CALM
from scores import weighted_quantile

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ("rtt-lstm", "rtt-transformer")
TESTS = ("seeds", "families", "control")
# One second in so many of an imported series: neighbours say the same.
STRIDE = 3
# Training families left out of the search, so that it also sees what a net makes of what is new.
LEFT_OUT = 2
STEPS = 400
CHECKED_ROWS = 300
TOLERANCE = 1e-5
CHECK_ROWS = 3_000

# What is tried. Every entry differs from the first in one thing.
CHOICES = {
    "rtt-lstm": [
        nets.Config("lstm", 48, 1, 4, False, 0.5),
        nets.Config("lstm", 48, 1, 4, True, 0.5),
    ],
    "rtt-transformer": [
        nets.Config("transformer", 32, 2, 4, False, 0.5),
        nets.Config("transformer", 32, 2, 4, True, 0.5),
    ],
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(arguments)
    run(arguments.parse_args(), lambda text: print(text, flush=True))


def add_arguments(arguments):
    arguments.add_argument("--data", type=pathlib.Path, required=True, nargs="+", help="directories of datasets")
    arguments.add_argument("--out", type=pathlib.Path, required=True, help="directory of the artifacts, with the trees")
    arguments.add_argument("--import", type=pathlib.Path, nargs="+", default=[], dest="imports",
                           help="directories of series: *.csv[.gz] with the columns series, t, rtt_max_ms, rtt_mean_ms, n")
    arguments.add_argument("--netprecursor", default="netprecursor", help="the program, where it is not in PATH")
    arguments.add_argument("--schema", type=pathlib.Path, default=HERE.parent.parent / "core" / "schema.json")


def run(options, log):
    """Everything."""
    began = time.monotonic()
    manifests, episodes = data.episodes(options.data)
    episodes = [episode for episode in episodes if episode.split != "life"]
    schema, sequence_schema = data.Schema.read(options.schema), sequences.Schema.read(options.schema)
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        rows = sequences.lab(options.netprecursor, episodes, schema, sequence_schema, place)
        split_of = {episode.name: episode.split for episode in episodes}
        split = np.array([split_of[name] for name in rows.episode])
        parts = {name: sequences.take(rows, split == name) for name in ("train", "validation", *TESTS)}
        imported = None
        if options.imports:
            found = place / "imported"
            found.mkdir()
            imported = sequences.imported(options.netprecursor, options.imports, schema, sequence_schema, found, STRIDE)
    for name, part in [*parts.items(), *((f"imported, {name}", part) for name, part in (imported or {}).items())]:
        log(f"{name}: {len(set(part.episode))} recordings, {len(part)} rows, {', '.join(sorted(set(part.family)))}")

    tests = {name: parts[name] for name in TESTS}
    if imported:
        held_out = imported["held_out"]
        for name in sorted(set(held_out.family)):
            tests[name] = sequences.take(held_out, held_out.family == name)
    trees = (options.out / "rtt-xgboost.onnx").read_bytes()
    forecasts = {name: {"rtt-xgboost": export.run(trees, part.x).astype(np.float64)} for name, part in tests.items()}
    made = {}
    for name in NAMES:
        chosen, tried = choose(CHOICES[name], sequence_schema, parts, imported, log)
        known = sequences.concatenated([parts["train"], parts["validation"]])
        taught = imported and sequences.concatenated([imported["train"], imported["validation"]])
        net, _ = nets.train(chosen.config, sequence_schema, known, taught, chosen.steps_trained)
        payload = nets_export.export(net, sequence_schema, options.out / f"{name}.onnx")
        for test, part in tests.items():
            forecasts[test][name] = nets_export.run(payload, part.sequence).astype(np.float64)
        made[name] = {
            "config": dataclasses.asdict(net.config),
            "steps_trained": net.steps_trained,
            "tried": tried,
            "bytes": len(payload),
            "sha256": hashlib.sha256(payload).hexdigest(),
            "onnxruntime": against_onnxruntime(name, net, payload, tests),
            "agent": against_the_agent(options, name, sequence_schema, payload, tests),
        }
        log(f"{name}: {len(payload)} bytes, {made[name]['onnxruntime']:.1e} off onnxruntime, {made[name]['agent']:.1e} in the agent")

    offsets = json.loads((options.out / "naive-offsets.json").read_text())["offsets"]
    figures = {
        "quantiles": schema.quantiles,
        "features": len(schema.features),
        "schema_hash": sequence_schema.hash,
        "steps": sequence_schema.steps,
        "channels": len(sequence_schema.channels),
        "manifest_sha256": hashlib.sha256(data.combined(manifests).encode()).hexdigest(),
        "episodes": len(episodes),
        "trees_of_same_data": (options.out / "dataset-manifest.json").read_text() == data.combined(manifests),
        "seconds": None,
        "nets": made,
        "sets": {
            name: judge(part, forecasts[name], offsets_for(name, offsets, imported, schema.quantiles), schema.quantiles)
            for name, part in tests.items()
        },
    }
    figures["seconds"] = round(time.monotonic() - began)
    nets_report.write(options.out, figures)
    log((options.out / "NETS.md").read_text())


def choose(configs, schema, parts, imported, log):
    """The configuration with the least loss on unseen seeds, unseen families and unseen series, each relative to max-10
    with its offsets. The test sets stay untouched."""
    train = parts["train"]
    families = sorted(set(train.family) - {"calm"}, key=lambda name: hashlib.sha256(name.encode()).digest())
    is_left_out = np.isin(train.family, families[:LEFT_OUT])
    inside = sequences.take(train, ~is_left_out)
    checks = {"seeds": thin(parts["validation"]), "families": thin(sequences.take(train, is_left_out))}
    if imported:
        checks["networks"] = thin(imported["validation"])
    weight, residual = data.weights(inside, CALM), inside.y - inside.baseline
    offsets = np.array([weighted_quantile(residual, weight, quantile) for quantile in schema.quantiles])
    plain = {name: nets.loss_by_quantile(rows, rows.baseline[:, None] + offsets, schema.quantiles) for name, rows in checks.items()}

    def losses(net):
        return {name: nets.loss_by_quantile(rows, net.forecast(rows.sequence), schema.quantiles) / plain[name]
                for name, rows in checks.items()}

    best, best_loss, tried = None, np.inf, []
    for config in configs:
        net, loss = nets.train(config, schema, inside, imported and imported["train"], STEPS,
                               lambda net: float(np.mean(list(losses(net).values()))))
        found = {name: float(values.mean()) for name, values in losses(net).items()}
        tried.append({**dataclasses.asdict(config), "steps_trained": net.steps_trained, "loss": float(loss), **found})
        log(f"{config}: {loss:.3f} after {net.steps_trained} steps, {found}")
        if loss < best_loss:
            best, best_loss = net, loss
    return best, tried


def thin(rows):
    """As many rows as tell enough."""
    return sequences.take(rows, np.arange(len(rows)) % max(1, -(-len(rows) // CHECK_ROWS)) == 0)


def offsets_for(name, offsets, imported, quantiles):
    """Of the rules of thumb: on a network that others measured, those of its learned half. With the lab's they would be so
    wide there that whoever knows the network wins."""
    if name in TESTS:
        return offsets
    known = sequences.concatenated([imported["train"], imported["validation"]])
    known = sequences.take(known, known.family == name)
    return scores.offsets(known, data.weights(known, 1.0), data.NAIVE, quantiles)


def judge(rows, forecasts, offsets, quantiles):
    """Each alone over the best rule of thumb on these rows, and what the mixture of rules and trees gains by the nets."""
    alone = {name: evaluate.skills(rows, forecast, offsets, quantiles) for name, forecast in forecasts.items()}
    rules = {name: values for name, values in evaluate.naive_forecasts(rows, offsets).items() if np.isfinite(values).all()}
    trees = {"rtt-xgboost": forecasts["rtt-xgboost"]}
    sets = {"rules": rules, "rules, trees": rules | trees}
    sets |= {f"rules, trees, {name}": rules | trees | {name: forecasts[name]} for name in NAMES}
    sets["all"] = rules | forecasts
    mixed = {name: mixture.losses(rows, mixture.mixed(rows, experts, quantiles), quantiles) for name, experts in sets.items()}
    coverage = {name: [float((rows.y <= forecast[:, q]).mean()) for q in range(len(quantiles))] for name, forecast in forecasts.items()}
    return {"alone": alone, "mixture": mixed, "coverage": coverage}


def against_onnxruntime(name, net, payload, tests):
    """Largest difference between training and file, relative to max(1, |y|)."""
    x = np.concatenate([part.sequence[:CHECKED_ROWS] for part in tests.values()])
    return difference(name, net.forecast(x), nets_export.run(payload, x))


def against_the_agent(options, name, schema, payload, tests):
    """The same between onnxruntime and the agent's engine."""
    x = np.concatenate([part.sequence[:CHECKED_ROWS] for part in tests.values()])
    with tempfile.TemporaryDirectory() as directory:
        lines = pathlib.Path(directory, "seconds.parquet")
        pandas.DataFrame(x.reshape(-1, x.shape[2]), columns=schema.names).to_parquet(lines)
        command = [options.netprecursor, "model", "run", str(options.out / f"{name}.onnx"), "--input", str(lines)]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    [got] = answer["outputs"].values()
    return difference(name, nets_export.run(payload, x), np.array(got))


def difference(name, expected, got):
    found = float((np.abs(got - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not found <= TOLERANCE:
        raise SystemExit(f"{name}: differs by {found:.1e}, expected at most {TOLERANCE:.0e}")
    return found


if __name__ == "__main__":
    main()
