"""What the figures of `adaptive` would look like if the truth leaked, and what they look like where flattered.

Two controls, both on the recordings of a set:

- *Shuffled seconds.* The seconds of each target are put in a drawn order, and the agent's own fold runs over them. Then
  nothing announces anything: no forecast beats the constant that hindsight chooses. Whatever does better saw the truth
  beforehand. The average precision of chances falls to the base rate only where all targets breach as often: one that breaches
  more than another is rightly given higher chances, whatever the order of its seconds. It is shown, and decides nothing.
- *The flatterer.* What is usually reported for forecasts of round-trip times: the share of variance explained (R²) of a
  smoothed series, with rows split at random, so that seconds of the test have neighbours in training that share their
  windows. Beside it the same learner on the same inputs, judged as forecasts are met: unsmoothed maxima of the next ten
  seconds, on recordings (of a single one: on the part) that it did not learn from.
"""

import pathlib
import subprocess
import tempfile
import zlib

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
from sklearn.ensemble import ExtraTreesRegressor

QUANTILES = ("0.5", "0.9", "0.99")
KEYS = ("tick", "unix_ms", "monotonic_ns", "target", "uid")
LABEL = "label_max10_us"
# A control of no skill may show this much by chance: seconds of a window share their maxima.
LUCK_PERCENT = 2.0
# What is smoothed, and the half of the learner's inputs that describe round trips.
SMOOTHED_S = 30
INPUTS = "rtt_"
# Rows that the learner of the flatterer gets at most.
ROWS = 20_000


def shuffle(recording, out, seed=5):
    """Writes the recording with the seconds of each target in a drawn order; ticks stay where they are."""
    table = pyarrow.parquet.read_table(recording)
    order = np.arange(len(table))
    random = np.random.default_rng([seed, zlib.crc32(pathlib.Path(recording).name.encode())])
    uids = np.asarray(table["uid"])
    for uid in np.unique(uids):
        at = np.flatnonzero(uids == uid)
        order[at] = random.permutation(at)
    moved = table.take(pyarrow.array(order))
    columns = [table[name] if name in KEYS else moved[name] for name in table.column_names]
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=table.schema), out)


def extract(binary, recordings):
    """The rows of recordings, one frame, with the position of the recording."""
    frames = []
    with tempfile.TemporaryDirectory() as directory:
        for position, recording in enumerate(recordings):
            out = pathlib.Path(directory, f"{position}.parquet")
            subprocess.run([binary, "extract", "--recording", str(recording), "--out", str(out)], check=True,
                           stdout=subprocess.DEVNULL)
            wanted = [name for name in pyarrow.parquet.read_schema(out).names
                      if name in ("tick", "target", "measured_us", LABEL) or name.startswith(INPUTS)]
            frames.append(pandas.read_parquet(out, columns=wanted).assign(recording=position))
    return pandas.concat(frames, ignore_index=True)


def pinball(quantile, said, came):
    """Mean loss."""
    excess = came - said
    return float(np.mean(np.where(excess >= 0, quantile * excess, (quantile - 1) * excess)))


def constant_losses(rows):
    """By quantile: the loss of the constant, one per target and recording, that hindsight chooses."""
    known = rows[rows[LABEL] > 0]
    groups = [np.log(group.to_numpy()) for _, group in known.groupby(["recording", "target"])[LABEL]]
    count = sum(map(len, groups))
    return {q: sum(len(group) * pinball(float(q), np.quantile(group, float(q)), group) for group in groups) / count
            for q in QUANTILES} if count else {}


def verdict(lines, chances, constants):
    """What the fold made of shuffled seconds: `lines` of its backtest, `chances` as adapt sums them up."""
    rows = sum(line["pinball"]["rows"] for line in lines)
    result = {"rows": rows, "base_rate": chances["base_rate"], "average_precision": chances["average_precision"],
              "skill_over_constant": {}}
    for quantile in QUANTILES:
        total = sum(line["pinball"]["model"][quantile] * line["pinball"]["rows"] for line in lines if line["pinball"]["rows"])
        if rows and constants.get(quantile):
            result["skill_over_constant"][quantile] = 100 * (1 - total / rows / constants[quantile])
    # The outer quantiles rest on few seconds: what leaks shows in the middle first.
    result["leaks"] = result["skill_over_constant"].get("0.5", 0.0) > LUCK_PERCENT
    return result


def explained(said, came):
    """R²: 1 − squared error ÷ that of the mean."""
    around = float(np.sum((came - came.mean()) ** 2))
    return 1 - float(np.sum((came - said) ** 2)) / around if around > 0 else None


def flatter(rows):
    """R² as it is usually reported, and as forecasts are met; None where there are too few rows."""
    rows = rows[rows[LABEL] > 0]
    if len(rows) > ROWS:
        # A part in one piece of each recording: neighbours stay neighbours.
        share = ROWS / len(rows)
        rows = pandas.concat([group.iloc[: int(len(group) * share)] for _, group in rows.groupby("recording")])
    if len(rows) < 200:
        return None
    x = rows[[name for name in rows.columns if name.startswith(INPUTS)]].to_numpy(np.float32)
    honest = np.log(rows[LABEL].to_numpy())
    smooth = np.log(rows.groupby(["recording", "target"])[LABEL].transform(
        lambda us: us.rolling(SMOOTHED_S, center=True, min_periods=1).mean()).to_numpy())
    random = np.random.default_rng(7).random(len(rows)) < 0.5
    recordings = rows["recording"].to_numpy()
    names = np.unique(recordings)
    if len(names) > 1:
        apart = np.isin(recordings, names[::2])
    else:
        # The second half, and nothing that overlaps with the first.
        ticks = rows["tick"].to_numpy()
        apart = ticks <= np.median(ticks)
    return {"smoothed, rows at random": learnt(x, smooth, random, ~random),
            "as forecasts are met": learnt(x, honest, apart, ~apart)}


def learnt(x, y, train, test):
    """R² on the test of a learner that saw the training part."""
    if train.sum() < 100 or test.sum() < 100:
        return None
    # One thread: others' threads would wait for it on a busy machine.
    model = ExtraTreesRegressor(n_estimators=30, min_samples_leaf=2, random_state=3, n_jobs=1)
    model.fit(x[train], y[train])
    return explained(model.predict(x[test]), y[test])


def run(binary, recordings, backtest, chances):
    """Both controls on recordings; `backtest(recordings)` gives lines, `chances(lines)` sums them up."""
    with tempfile.TemporaryDirectory() as directory:
        drawn = []
        for position, recording in enumerate(recordings):
            # The name of the file tells series apart; that of its directory tells episodes apart.
            out = pathlib.Path(directory, str(position), pathlib.Path(recording).name)
            out.parent.mkdir()
            shuffle(recording, out)
            drawn.append(out)
        lines = backtest(drawn)
        constants = constant_losses(extract(binary, drawn))
    return {"shuffled": verdict(lines, chances(lines), constants), "flattered": flatter(extract(binary, recordings))}


def text(figures):
    """The section of EVALUATION.md."""
    known = [item for item in figures["sets"] if item.get("controls")]
    if not known:
        return []
    percent = lambda value: "–" if value is None else f"{100 * value:.1f} %"
    ratio = lambda value: "–" if value is None else f"{value:.2f}"
    lines = [
        "", "## Controls", "",
        "*Shuffled*: the agent's own fold over the same recordings with the seconds of each target in a drawn order. Nothing announces",
        "anything then, so that skill over the constant that hindsight chooses has to be 0 or less",
        f"(a leak: more than {LUCK_PERCENT:.0f} % at q 0.5). Average precision is above the base rate where some targets breach more often than others.",
        f"*Flattered*: R² as it is usually reported, of maxima smoothed over {SMOOTHED_S} s with rows split at random. Beside it the same",
        "learner on the same inputs as forecasts are met: not smoothed, on recordings that it did not learn from. No figure above is of",
        "the former kind.", "",
        "| set | shuffled: base rate | average precision | skill over a constant: q 0.5 / 0.9 / 0.99 | leaks | flattered R² | R² as met |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in known:
        shuffled, flattered = item["controls"]["shuffled"], item["controls"]["flattered"] or {}
        skill = " / ".join(f"{shuffled['skill_over_constant'][q]:+.1f}" if q in shuffled["skill_over_constant"] else "–" for q in QUANTILES)
        lines.append(
            f"| {item['name']} ({item['note']}) | {percent(shuffled['base_rate'])} | {ratio(shuffled['average_precision'])} | {skill} | "
            f"{'**yes**' if shuffled['leaks'] else 'no'} | {ratio(flattered.get('smoothed, rows at random'))} | "
            f"{ratio(flattered.get('as forecasts are met'))} |"
        )
    return lines
