"""Incidents, warnings and lead times, all counted by the agent's own code (`netprecursor backtest`)."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
from sklearn.metrics import average_precision_score

from data import NAIVE
from scores import BOOTSTRAPS

# A user sets a threshold after having watched for a minute: well above what was usual and above the worst that was seen.
WATCHED_S = (5, 60)
OVER_MEDIAN, OVER_WORST = 3.0, 1.5
# Nothing fires in a target's first minute: it does not count as time in which false alarms could have come.
WARM_UP_S = 60
SHIFTS = [round(-2.4 + 0.2 * step, 1) for step in range(25)]
# False alarms per target and hour. The first is one a day.
BUDGETS = {"1 per pod-day": 1 / 24, "1 per target-hour": 1.0, "6 per target-hour": 6.0, "20 per target-hour": 20.0}
POLICY = """\
apiVersion: netprecursor.io/v1alpha1
kind: PrecursorPolicy
metadata: {name: report}
spec:
  target: {podSelector: {}}
  rules:
  - name: rtt
    signal: RttForecast
    rttForecast: {threshold: 100ms}
    holdFor: 2s
    keepFiringFor: 10s
"""
COUNTERS = ("alerts", "confirmed", "late", "unconfirmed", "incidents", "warned", "missed", "ongoing", "gated", "targetSeconds")


def thresholds(episodes):
    """µs by target; targets that measured nothing in their first minute have none."""
    result = {}
    for episode in episodes:
        columns = ["monotonic_ns", "target", "rtt_max_us", "stall_us"]
        frame = pyarrow.parquet.read_table(episode.recording, columns=columns).to_pandas()
        measured = frame["rtt_max_us"].where(frame["rtt_max_us"] >= frame["stall_us"], frame["stall_us"])
        age = (frame["monotonic_ns"] - episode.labels["started"]["monotonic_ns"]) / 1e9
        watched = (age >= WATCHED_S[0]) & (age < WATCHED_S[1]) & (measured > 0)
        for target, values in measured[watched].groupby(frame["target"][watched]):
            level = max(OVER_MEDIAN * values.median(), OVER_WORST * values.max())
            result[target] = int(np.ceil(level))
    return result


def backtest(binary, forecaster, episodes, thresholds, offsets):
    """One row per episode and shift (None: the agent's own fold, with calibration) with the scorecard's counters."""
    with tempfile.TemporaryDirectory() as directory:
        policy, levels = Path(directory, "policy.yaml"), Path(directory, "thresholds.json")
        policy.write_text(POLICY)
        levels.write_text(json.dumps(thresholds))
        command = [
            binary, "backtest", "--json", "--model", forecaster, "--offsets", str(offsets), "--policy", str(policy),
            "--thresholds", str(levels), f"--shift={','.join(map(str, SHIFTS))}",
            "--recording", *[str(episode.recording) for episode in episodes],
        ]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    name = {str(episode.recording): episode for episode in episodes}
    rows = []
    for line in map(json.loads, lines):
        episode, card = name[line["recording"]], line["scorecard"]
        targets = sum(target["target"] in thresholds for target in episode.labels["targets"])
        hours = max(card["targetSeconds"] - WARM_UP_S * targets, 0) / 3600
        counters = {key: card[key] for key in COUNTERS}
        rows.append({"episode": episode.name, "split": episode.split, "shift": line["shift"], "hours": hours,
                     "leads": np.array(card["leadSeconds"]), **counters})
    return pandas.DataFrame(rows)


def totals(frame):
    """Figures of some rows."""
    sums = frame[[*COUNTERS, "hours"]].sum()
    leads = np.sum(np.stack(frame["leads"]), axis=0) if len(frame) else np.zeros(1)
    ratio = lambda part, whole: float(part / whole) if whole else None
    return {
        "incidents": int(sums["incidents"]),
        "warned": int(sums["warned"]),
        # An alert that never ends warns of nothing: incidents that begin under one count as missed here.
        "recall": ratio(sums["warned"], sums["incidents"] - sums["gated"]),
        "precision": ratio(sums["confirmed"], sums["confirmed"] + sums["unconfirmed"]),
        "false_alarms": int(sums["unconfirmed"]),
        "false_alarms_per_hour": ratio(sums["unconfirmed"], sums["hours"]),
        "target_hours": float(sums["hours"]),
        "lead_median_s": lead(leads, 0.5),
        "lead_p10_s": lead(leads, 0.1),
    }


def lead(leads, quantile):
    """Nearest rank, as the scorecard has it."""
    total = leads.sum()
    return int(np.searchsorted(np.cumsum(leads), max(np.ceil(quantile * total), 1))) if total else None


def at_budget(frame, budget, seed=7):
    """The operating point with the most incidents warned of among those within a budget of false alarms, read off the
    same episodes, and the recall's 90 % interval over draws of episodes at that point."""
    swept = frame[frame["shift"].notna()]
    points = []
    for shift, part in swept.groupby("shift"):
        figures = totals(part)
        rate = figures["false_alarms_per_hour"]
        if rate is not None and rate <= budget:
            points.append((figures["warned"], -shift, shift, figures, part))
    if not points:
        return None
    *_, shift, figures, part = max(points, key=lambda point: point[:2])
    warned, open_to = part["warned"].to_numpy(float), (part["incidents"] - part["gated"]).to_numpy(float)
    random = np.random.default_rng(seed)
    draws = random.multinomial(len(part), np.full(len(part), 1 / len(part)), size=BOOTSTRAPS)
    recall = (draws @ warned) / np.maximum(draws @ open_to, 1)
    low, high = np.quantile(recall, [0.05, 0.95])
    return {**figures, "shift": float(shift), "recall_low": float(low), "recall_high": float(high)}


def curve(frame):
    """False alarms per target-hour and recall at every shift."""
    swept = frame[frame["shift"].notna()]
    points = [totals(part) for _, part in swept.groupby("shift")]
    return [(point["false_alarms_per_hour"], point["recall"]) for point in points]


def average_precision(rows, forecasts, thresholds):
    """PR-AUC of "a breach within ten seconds" among seconds without one now, by how far the 0.9 quantile is over the
    threshold; the base rate is what guessing would have."""
    threshold = rows.frame["target"].map(thresholds).to_numpy(np.float64)
    measured = rows.frame["measured_us"].to_numpy(np.float64)
    open_now = np.isfinite(threshold) & ~(measured > threshold)
    truth = np.exp(rows.y[open_now]) > threshold[open_now]
    if truth.all() or not truth.any():
        return None
    scores = {
        name: float(average_precision_score(truth, np.nan_to_num(values[open_now] - np.log(threshold[open_now]), nan=-50)))
        for name, values in forecasts.items()
    }
    return {"base_rate": float(truth.mean()), "seconds": int(open_now.sum()), "average_precision": scores}


def forecasters(model_path):
    """Name and argument of everything that is compared."""
    return {"model": str(model_path), **{name: f"naive:{name}" for name in NAIVE}}
