"""Trains the models of the release on a dataset and reports what it is worth.

    python train.py --data DIR --import DIR --out ../artifacts

The first DIR is what `netprecursor dataset` made, the second has series of round trips for the forecaster that learns in
place (see adapt.py). Features come from `netprecursor extract`, event scores from `netprecursor
backtest`: what is trained and judged is what the agent computes. Versions are pinned in requirements.txt; seeds are
fixed, so that the same data give the same report.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pandas

import adapt
import data
import evaluate
import events
import export
import model
import report
import scores
import train_nets

HERE = pathlib.Path(__file__).resolve().parent
NAME = "rtt-xgboost"
TESTS = ("seeds", "families", "control")
CHECKED_ROWS = 2_000
# Of the evaluator against onnxruntime, relative to max(1, |y|).
TOLERANCE = 1e-5


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True, nargs="+", help="directories of datasets")
    arguments.add_argument("--out", type=pathlib.Path, required=True, help="directory of the artifacts")
    arguments.add_argument("--import", type=pathlib.Path, nargs="+", default=[], dest="imports",
                           help="directories of series: *.csv[.gz] with the columns series, t, rtt_max_ms, rtt_mean_ms, n")
    part = arguments.add_mutually_exclusive_group()
    part.add_argument("--adaptive-only", action="store_true", help="leave the models as they are")
    part.add_argument("--model-only", action="store_true",
                      help="train the models and the rules' offsets; they are compiled in before the rest rests on them")
    part.add_argument("--nets-only", action="store_true", help="train the nets, and leave the rest as it is")
    arguments.add_argument("--netprecursor", default="netprecursor", help="the program, where it is not in PATH")
    arguments.add_argument("--schema", type=pathlib.Path, default=HERE.parent.parent / "core" / "schema.json")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.nets_only:
        return train_nets.run(options, log)
    manifests, episodes = data.episodes(options.data)
    schema, features = data.Schema.read(options.schema), json.loads(options.schema.read_text())["features"]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        series = adapt.imported(options.netprecursor, options.imports, directory)
        # The long calm teaches nothing.
        parts = load(options, schema, [episode for episode in episodes if episode.split != "life"], series, directory)
        if options.adaptive_only:
            chosen = json.loads((options.out / "report.json").read_text())["choice"]
            fields = [field.name for field in dataclasses.fields(model.Config)]
            configs = [model.Config(**{name: one[name] for name in fields}) for one in chosen]
        else:
            configs = train_model(options, manifests, episodes, schema, features, parts)
            train_nets.run(options, log)
        if options.model_only:
            return
        # What a model is worth on a network can only be said of one that was not trained there.
        experts = {None: options.out / f"{NAME}.onnx"}
        for network in series:
            experts[network] = directory / f"without-{network}.onnx"
            known = data.joined([parts["train"], parts["validation"]], schema)
            export.export(model.fit(configs, schema, features, known[known.family != network]), schema, experts[network])
        # The prior is compiled in: what it was before takes no part in what it will be.
        evaluation = options.out.parent / "EVALUATION.md"
        adapt.run(options.netprecursor, episodes, series, experts, options.out, evaluation, log)
    log(evaluation.read_text())


def load(options, schema, episodes, series, directory):
    """Rows by split. Of an imported file half of the series are held out; of the other half, half validate."""
    extracted = options.data[0] / "features.parquet"
    data.extract(options.netprecursor, episodes, extracted)
    rows = data.load(extracted, episodes, schema)
    split_of = {episode.name: episode.split for episode in episodes}
    split = np.array([split_of[name] for name in rows.episode])
    parts = {name: rows[split == name] for name in ("train", "validation", *TESTS)}
    for network, recordings in series.items():
        taught, _ = adapt.halves(recordings)
        _, validating = adapt.halves(taught)
        path = directory / f"{network}.parquet"
        subprocess.run([options.netprecursor, "extract", "--out", str(path), "--recording", *map(str, taught)], check=True)
        for name, members in (("train", set(taught) - set(validating)), ("validation", validating)):
            own = data.load_series(path, {member.stem: network for member in members}, schema)
            parts[name] = data.joined([parts[name], own], schema)
    for name, part in parts.items():
        log(f"{name}: {len(set(part.episode))} episodes, {len(part)} rows, {', '.join(sorted(set(part.family)))}")
    return parts


def train_model(options, manifests, episodes, schema, features, parts):
    """The model, the offsets of the rules of thumb, and their report. Returns what was chosen."""
    configs, choice = model.choose(schema, features, parts["train"], parts["validation"], log)
    # Nothing is left to be chosen: validation trains as well.
    known = data.joined([parts["train"], parts["validation"]], schema)
    trained = model.fit(configs, schema, features, known)
    path, offsets_path = options.out / f"{NAME}.onnx", options.out / "naive-offsets.json"
    payload = export.export(trained, schema, path)
    # Of the lab alone: a user's network is another one.
    lab = {episode.family for episode in episodes}
    offsets = evaluate.training_offsets(known[np.isin(known.family, list(lab))], schema.quantiles)
    combined = data.combined(manifests)
    digest = hashlib.sha256(combined.encode()).hexdigest()
    source = f"quantiles of training residuals, dataset {digest[:12]}"
    offsets_path.write_text(json.dumps({"source": source, "offsets": offsets}, indent=1) + "\n")

    tests = {name: parts[name] for name in TESTS}
    forecasts = {name: export.run(payload, part.x).astype(np.float64) for name, part in tests.items()}
    difference, checked = compare(options.netprecursor, path, schema, tests, forecasts)
    log(f"evaluator against onnxruntime: {difference:.1e} on {checked} rows")

    members = {name: [episode for episode in episodes if episode.split == name] for name in TESTS}
    thresholds = events.thresholds([episode for group in members.values() for episode in group])
    warned, curves = evaluate.warnings(options.netprecursor, path, offsets_path, members, thresholds)
    quantiles = schema.quantiles
    figures = {
        "quantiles": quantiles,
        "horizon_s": schema.horizon_s,
        "schema_hash": schema.hash,
        "bootstraps": scores.BOOTSTRAPS,
        "dataset": {
            "episodes": len(episodes),
            "target_hours": sum(manifest["target_seconds"] for manifest in manifests) / 3600,
            "kernel": ", ".join(sorted({manifest["kernel"] for manifest in manifests})),
            "manifest_sha256": digest,
        },
        "splits": {
            name: {"episodes": len(set(part.episode)), "rows": len(part), "families": sorted(set(part.family))}
            for name, part in parts.items()
        },
        "choice": choice,
        "skill": {name: evaluate.skills(part, forecasts[name], offsets, quantiles) for name, part in tests.items()},
        "family": {name: evaluate.families(part, forecasts[name], offsets, quantiles) for name, part in tests.items()},
        "regime": {name: evaluate.regimes(part, forecasts[name], offsets, quantiles) for name, part in tests.items()},
        "coverage": {name: evaluate.coverage(part, forecasts[name], quantiles) for name, part in tests.items()},
        "average_precision": {
            name: evaluate.average_precision(part, forecasts[name], offsets, thresholds) for name, part in tests.items()
        },
        "warnings": warned,
        "curves": curves,
        "controls": evaluate.controls(configs, schema, features, known, parts["seeds"], offsets),
        "label_error": evaluate.label_error(episodes),
        "model": {
            "trees": len(set(export.trees(trained)["nodes_treeids"])),
            "bytes": len(payload),
            "sha256": hashlib.sha256(payload).hexdigest(),
            "largest_difference": difference,
            "checked_rows": checked,
        },
    }
    figures["default"] = default(figures)
    (options.out / "dataset-manifest.json").write_text(combined)
    report.write(options.out, figures)
    log((options.out / "REPORT.md").read_text().split("## Data")[0])
    return configs


def compare(binary, path, schema, tests, forecasts):
    """Largest difference between the agent's evaluator and onnxruntime on real rows.

    A difference beyond the tolerance ends the training: such a model must not ship.
    """
    x = np.concatenate([part.x for part in tests.values()])
    expected = np.concatenate(list(forecasts.values()))
    picked = np.random.default_rng(3).choice(len(x), min(CHECKED_ROWS, len(x)), replace=False)
    with tempfile.TemporaryDirectory() as directory:
        rows = pathlib.Path(directory, "rows.parquet")
        pandas.DataFrame(x[picked], columns=schema.features).to_parquet(rows)
        command = [binary, "model", "run", str(path), "--input", str(rows), "--output", "json"]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    [got] = answer["outputs"].values()
    expected = expected[picked]
    difference = np.abs(np.array(got) - expected) / np.maximum(1.0, np.abs(expected))
    if not difference.max() <= TOLERANCE:
        raise SystemExit(f"{path}: the evaluator differs by {difference.max():.1e}, expected at most {TOLERANCE:.0e}")
    return float(difference.max()), len(picked)


def default(figures):
    """What would forecast if nothing learned in place: what ranks coming breaches best on families never seen, because
    ranking them is what a warning is. Better quantiles during a fault warn of nothing."""
    ranked = figures["average_precision"]["families"]["average_precision"]
    winner = max(ranked, key=ranked.get)
    rules = {name: value for name, value in ranked.items() if name != "model"}
    best = max(rules, key=rules.get)
    reason = (
        f"On families never seen, it ranks coming breaches with an average precision of {ranked[winner]:.3f}; "
        f"the model has {ranked['model']:.3f}, {best}, the best rule of thumb, {rules[best]:.3f}."
    )
    return {"builtin": NAME if winner == "model" else winner, "reason": reason}


def log(text):
    print(text, flush=True)


if __name__ == "__main__":
    main()
