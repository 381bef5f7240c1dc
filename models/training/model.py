"""The model, per quantile: the maximum of the last ten seconds, moved towards other rules of thumb by a convex stack,
plus the shrunk mean of a few small boosted forests, each grown on its own draw of episodes."""

import dataclasses
import itertools

import numpy as np
import xgboost

from data import weights
from scores import pinball, weighted_quantile

SEED = 20
# The calm counts twice in training: life is calmer than a lab.
CALM = 2.0
BAGS = 4
LEAVES, LEAST_ROWS = 8, 250
# What the stack moves towards, each relative to the maximum of the last ten seconds.
STACKED = (
    "rtt_last_over_max10",
    "rtt_mean10_over_max10",
    "rtt_q50_over_max10",
    "rtt_q90_over_max10",
    "rtt_max30_over_max10",
    "rtt_max60_over_max10",
    "rtt_previous_max10_over_max10",
)
# Units whose values mean the same on a fast and on a slow path: a level in µs tells scenarios apart, not futures.
RELATIVE_UNITS = ("×", "×/s", "1/s", "ratio", "s", "σ", "‰")
RTT_GROUPS = ("RttHistory", "Recurrence")
# What validation chooses between, for each quantile by itself.
STACKS = (False, True)
FEATURES = ("relative", "relative, RTT only")
ROUNDS = (20, 50, 90, 150)
SHRINKAGES = (0.3, 0.6, 1.0)


@dataclasses.dataclass(frozen=True)
class Config:
    """One choice."""

    stack: bool
    features: str
    rounds: int
    shrinkage: float


@dataclasses.dataclass
class Model:
    """A trained model. Forests of one quantile are averaged and multiplied by its shrinkage."""

    quantiles: list
    columns: list
    configs: list  # [Q]
    bias: np.ndarray  # [Q]
    coefficients: np.ndarray  # [Q, len(columns)]
    forests: list  # [Q][bag] of xgboost.Booster

    def forecast(self, rows):
        """[N, Q] quantiles of ln(µs), ascending."""
        matrix = xgboost.DMatrix(rows.x, base_margin=np.zeros(len(rows)))
        linear = self.bias + rows.x[:, self.columns].astype(np.float64) @ self.coefficients.T
        trees = [
            config.shrinkage * np.mean([forest.predict(matrix) for forest in bags], axis=0)
            for config, bags in zip(self.configs, self.forests)
        ]
        return np.maximum.accumulate(rows.baseline[:, None] + linear + np.stack(trees, axis=1), axis=1)


def masks(features):
    """Per choice of features, which ones trees may split on."""
    relative = np.array([feature["unit"] in RELATIVE_UNITS for feature in features])
    rtt = np.array([feature["group"] in RTT_GROUPS for feature in features])
    return {"relative": relative, "relative, RTT only": relative & rtt}


def convex_stack(x, residual, weight, quantile, steps=400):
    """Bias and weights, not negative and at most 1 in sum, that minimise the pinball loss of bias + x·weights: by
    exponentiated gradients (Kivinen & Warmuth 1997), what is left of the weight staying with the baseline."""
    weight = weight / weight.sum()
    design = np.column_stack([x, np.zeros(len(x))])
    logits = np.log(np.append(np.full(x.shape[1], 0.5 / x.shape[1]), 0.5))
    for step in range(1, steps + 1):
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        stacked = design @ shares
        bias = weighted_quantile(residual - stacked, weight, quantile)
        above = residual > stacked + bias
        gradient = -design.T @ (weight * np.where(above, quantile, quantile - 1.0))
        gradient -= gradient @ shares
        logits -= gradient / (np.abs(gradient).max() + 1e-9) / np.sqrt(step)
    return bias, shares[:-1]


def linear_part(stack, columns, x, residual, weight, quantile):
    """Bias and coefficients; without a stack the bias alone."""
    if stack:
        return convex_stack(x[:, columns].astype(np.float64), residual, weight, quantile)
    return weighted_quantile(residual, weight, quantile), np.zeros(len(columns))


def grow(usable, quantile, rounds, seed, x, residual, weight, margin):
    """One small forest on what the linear part leaves."""
    parameters = {
        "objective": "reg:quantileerror",
        "quantile_alpha": quantile,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": LEAVES,
        "max_depth": 0,
        "min_child_weight": LEAST_ROWS,
        "eta": 0.08,
        "lambda": 5.0,
        "subsample": 0.7,
        "colsample_bynode": 0.3,
        "seed": seed,
        # One thread: as fast on so few rows, the same on every machine, and it does not spin where others work.
        "nthread": 1,
        "base_score": 0.0,
    }
    # A feature of one value is never split on: that is how the unusable ones are left out without another layout.
    matrix = xgboost.DMatrix(np.where(usable, x, 0.0), residual, weight=weight, base_margin=margin)
    return xgboost.train(parameters, matrix, rounds)


def fit(configs, schema, features, rows, residual=None, bags=BAGS):
    """Trains one configuration per quantile; `residual` replaces the target in controls."""
    weight, usable = weights(rows, CALM), masks(features)
    residual = rows.y - rows.baseline if residual is None else residual
    columns = [schema.features.index(name) for name in STACKED]
    names = np.unique(rows.episode)
    biases, coefficients, forests = [], [], []
    for position, (quantile, config) in enumerate(zip(schema.quantiles, configs)):
        bias, shares = linear_part(config.stack, columns, rows.x, residual, weight, quantile)
        margin = bias + rows.x[:, columns] @ shares
        bagged = []
        for bag in range(bags):
            random = np.random.default_rng(SEED + 100 * position + bag)
            drawn = np.isin(rows.episode, random.choice(names, int(0.8 * len(names)), replace=False))
            part = (rows.x[drawn], residual[drawn], weight[drawn], margin[drawn])
            bagged.append(grow(usable[config.features], quantile, config.rounds, SEED + bag, *part))
        biases.append(bias)
        coefficients.append(shares)
        forests.append(bagged)
    return Model(schema.quantiles, columns, list(configs), np.array(biases), np.array(coefficients), forests)


def choose(schema, features, train, validation, log):
    """Per quantile the configuration with the least loss on unseen seeds (`validation`) and on unseen families (each
    family of `train` left out in turn), both relative to max-10 with its offsets. The test sets stay untouched."""
    usable, columns = masks(features), [schema.features.index(name) for name in STACKED]
    everything = np.ones(len(train), dtype=bool)
    folds = [(everything, validation)]
    folds += [(train.family != family, train[train.family == family]) for family in sorted(set(train.family))]
    chosen, told = [], []
    for quantile in schema.quantiles:
        losses = {}
        for inside, check in folds:
            rows = train[inside]
            weight, residual = weights(rows, CALM), rows.y - rows.baseline
            plain = loss(check, weighted_quantile(residual, weight, quantile), quantile)
            matrix = xgboost.DMatrix(check.x, base_margin=np.zeros(len(check)))
            for stack, name in itertools.product(STACKS, FEATURES):
                bias, shares = linear_part(stack, columns, rows.x, residual, weight, quantile)
                margin = bias + rows.x[:, columns] @ shares
                grown = grow(usable[name], quantile, max(ROUNDS), SEED, rows.x, residual, weight, margin)
                linear = bias + check.x[:, columns] @ shares
                for rounds in ROUNDS:
                    trees = grown.predict(matrix, iteration_range=(0, rounds))
                    for shrinkage in SHRINKAGES:
                        config = Config(stack, name, rounds, shrinkage)
                        relative = loss(check, linear + shrinkage * trees, quantile) / plain
                        losses.setdefault(config, []).append(relative)
        score = {config: (values[0], float(np.mean(values[1:]))) for config, values in losses.items()}
        best = min(score, key=lambda config: sum(score[config]))
        seeds, unseen = score[best]
        log(f"q {quantile}: {best}: {seeds:.3f} on unseen seeds, {unseen:.3f} on unseen families")
        chosen.append(best)
        told.append({"quantile": quantile, **dataclasses.asdict(best), "seeds": seeds, "families": unseen})
    return chosen, told


def loss(rows, residual, quantile):
    """Pinball loss of baseline + residual, families balanced."""
    return float(np.sum(weights(rows, 1.0) * pinball(rows.y, rows.baseline + residual, quantile)))
