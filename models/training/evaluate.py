"""All figures of the report, as plain data."""

import dataclasses

import numpy as np
import pandas
import pyarrow.parquet

import events
from data import NAIVE, REGIMES, weights
from model import CALM, fit, masks
from scores import offsets as fit_offsets
from scores import pinball, skill

REFERENCE = "max-10"


def naive_forecasts(rows, offsets):
    """Per rule of thumb [N, Q] in ln(µs)."""
    return {name: rows.naive(name)[:, None] + np.array(offsets[name]) for name in NAIVE}


def losses(rows, forecasts, quantiles):
    """Per forecaster [N, Q] pinball losses; a row that a rule cannot forecast is left out for all."""
    return {
        name: np.stack([pinball(rows.y, values[:, q], quantile) for q, quantile in enumerate(quantiles)], axis=1)
        for name, values in forecasts.items()
    }


def skills(rows, forecast, offsets, quantiles):
    """Skill over each rule and over the best one on these very rows, per quantile, with intervals by episode."""
    naive = naive_forecasts(rows, offsets)
    known = np.all([np.isfinite(values[:, 0]) for values in naive.values()], axis=0)
    rows, forecast = rows[known], forecast[known]
    loss = losses(rows, {"model": forecast, **{name: values[known] for name, values in naive.items()}}, quantiles)
    result = {"rows": len(rows), "episodes": len(set(rows.episode)), "quantiles": {}}
    for q, quantile in enumerate(quantiles):
        best = min(NAIVE, key=lambda name: loss[name][:, q].sum())
        over = {name: skill(rows.episode, loss["model"][:, q], loss[name][:, q]) for name in NAIVE}
        result["quantiles"][str(quantile)] = {
            "best_naive": best,
            "over_best": over[best],
            "over": over,
            "loss": {name: float(values[:, q].mean()) for name, values in loss.items()},
        }
    return result


def families(rows, forecast, offsets, quantiles):
    """The same for each family by itself."""
    return {
        family: skills(rows[rows.family == family], forecast[rows.family == family], offsets, quantiles)
        for family in sorted(set(rows.family))
    }


def regimes(rows, forecast, offsets, quantiles):
    """The same for each moment of an episode: before an onset there is only what announces it."""
    return {
        regime: skills(rows[rows.regime == regime], forecast[rows.regime == regime], offsets, quantiles)
        for regime in REGIMES
        if (rows.regime == regime).any()
    }


def coverage(rows, forecast, quantiles):
    """Share of labels at or below each quantile, by regime."""
    result = {}
    for regime in REGIMES:
        mask = rows.regime == regime
        if mask.any():
            share = (rows.y[mask, None] <= forecast[mask]).mean(axis=0)
            result[regime] = {"rows": int(mask.sum()), **{str(q): float(s) for q, s in zip(quantiles, share)}}
    return result


def controls(configs, schema, features, train, test, offsets):
    """Two models that must not work: one trained on labels shuffled between rows, one that sees only the clock. Skill
    is over max-10 with its offsets, which is what both fall back to; neither has the stack, which needs no training to
    be of use."""
    bare = [dataclasses.replace(config, stack=False) for config in configs]
    random = np.random.default_rng(5)
    shuffled = fit(bare, schema, features, train, residual=random.permutation(train.y - train.baseline), bags=1)
    clock = fit(bare, schema, features, only_clock(train, features), bags=1)
    reference = test.naive(REFERENCE)[:, None] + np.array(offsets[REFERENCE])
    forecasts = {
        "reference": reference,
        "shuffled labels": shuffled.forecast(test),
        "clock only": clock.forecast(only_clock(test, features)),
    }
    loss = losses(test, forecasts, schema.quantiles)
    return {
        name: {
            str(quantile): skill(test.episode, loss[name][:, q], loss["reference"][:, q])
            for q, quantile in enumerate(schema.quantiles)
        }
        for name in ("shuffled labels", "clock only")
    }


def only_clock(rows, features):
    """The rows with nothing in them but the episode's age and the time of day, in two columns that trees may use."""
    clock = rows[np.ones(len(rows), dtype=bool)]
    clock.x = np.zeros_like(rows.x)
    first, second = np.flatnonzero(masks(features)["relative, RTT only"])[:2]
    clock.x[:, first] = rows.frame["age_s"]
    clock.x[:, second] = rows.frame["unix_ms"] / 1000 % 86_400
    return clock


def label_error(episodes):
    """The agent against the observer, which shares no code with it, second by second in the calm before the first
    fault: ratio of the smallest RTT of a second (what the path is) and of the largest (what is forecast)."""
    ratios = {"smallest": [], "largest": []}
    idle = []
    for episode in episodes:
        idle.append(episode.labels["observer"]["error_us"])
        agent = pyarrow.parquet.read_table(
            episode.recording, columns=["unix_ms", "monotonic_ns", "target", "rtt_min_us", "rtt_max_us"]
        ).to_pandas()
        onsets = [fault["onset"]["monotonic_ns"] for fault in episode.labels["faults"]]
        until = min(onsets, default=episode.labels["ended"]["monotonic_ns"])
        agent = agent[(agent["monotonic_ns"] > episode.labels["started"]["monotonic_ns"]) & (agent["monotonic_ns"] <= until)]
        seen = pandas.read_csv(episode.directory / "observer.csv")
        seen = seen[seen["lost"] == 0]
        for target, ticks in agent.groupby("target"):
            probes = seen[seen["target"] == target]
            position = np.searchsorted(ticks["monotonic_ns"], probes["monotonic_ns"])
            inside = position < len(ticks)
            per_tick = probes["rtt_us"].astype(float)[inside].groupby(position[inside]).agg(["min", "max"])
            ticks = ticks.iloc[per_tick.index]
            ratios["smallest"].append(ticks["rtt_min_us"].to_numpy() / per_tick["min"].to_numpy())
            ratios["largest"].append(ticks["rtt_max_us"].to_numpy() / per_tick["max"].to_numpy())
    result = {"idle_path_us": quantiles_of(np.array(idle))}
    for name, parts in ratios.items():
        values = np.concatenate(parts)
        result[name] = quantiles_of(values[np.isfinite(values) & (values > 0)])
    return result


def quantiles_of(values):
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"count": len(values), "p10": float(low), "median": float(median), "p90": float(high)}


def warnings(binary, model_path, offsets_path, splits, thresholds):
    """Event scores of everything on every test split: the agent's fold as it is, and the sweep of operating points."""
    episodes = [episode for members in splits.values() for episode in members]
    result, curves = {split: {} for split in splits}, {split: {} for split in splits}
    for name, argument in events.forecasters(model_path).items():
        counted = events.backtest(binary, argument, episodes, thresholds, offsets_path)
        for split in splits:
            part = counted[counted["split"] == split]
            as_said = events.totals(part[part["shift"] == 0.0])
            budgets = {label: events.at_budget(part, budget) for label, budget in events.BUDGETS.items()}
            result[split][name] = {
                "agent": events.totals(part[part["shift"].isna()]), "uncalibrated": as_said, "budgets": budgets
            }
            curves[split][name] = events.curve(part)
    return result, curves


def average_precision(rows, forecast, offsets, thresholds):
    """PR-AUC of the model and of every rule by their 0.9 quantile."""
    values = {"model": forecast[:, 1], **{name: naive[:, 1] for name, naive in naive_forecasts(rows, offsets).items()}}
    return events.average_precision(rows, values, thresholds)


def training_offsets(train, quantiles):
    """Offsets of the rules, fitted as the model is: on training rows, with its weights."""
    return fit_offsets(train, weights(train, CALM), NAIVE, quantiles)
