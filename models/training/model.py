"""The model: per quantile, the maximum of the last ten seconds, plus a linear stack of what rules of thumb look at, plus
the mean of a few small boosted forests, each grown on its own draw of episodes."""

import dataclasses

import numpy as np
import xgboost

from data import weights
from scores import pinball

SEED = 20
# What the linear stack looks at, relative to the maximum of the last ten seconds: other spans, spread, level.
LINEAR = (
    "rtt_last_over_max10",
    "rtt_mean10_over_max10",
    "rtt_q50_over_max10",
    "rtt_q90_over_max10",
    "rtt_max30_over_max10",
    "rtt_max60_over_max10",
    "rtt_previous_max10_over_max10",
    "rtt_measured_spread60",
)
# Units whose values mean the same on a fast and on a slow path.
RELATIVE_UNITS = ("×", "×/s", "1/s", "ratio", "s", "σ", "‰")


@dataclasses.dataclass(frozen=True)
class Config:
    """What validation chooses between."""

    name: str
    leaves: int = 8
    least_rows: int = 200
    linear: bool = True
    relative: bool = False
    calm: float = 1.0
    rounds: int = 400
    bags: int = 4


CONFIGS = (
    Config("plain", linear=False),
    Config("linear"),
    Config("linear, calm x3", calm=3.0),
    Config("linear, relative features", relative=True),
    Config("linear, relative features, calm x3", relative=True, calm=3.0),
    Config("linear, relative features, 4 leaves, 400 rows", relative=True, leaves=4, least_rows=400),
)


@dataclasses.dataclass
class Model:
    """A trained model; the forests of one quantile are averaged."""

    config: Config
    quantiles: list
    columns: list
    bias: np.ndarray  # [Q]
    coefficients: np.ndarray  # [Q, len(columns)]
    forests: list  # [Q][bag] of xgboost.Booster, leaf values in ln units

    def residual(self, rows):
        """[N, Q], to be added to the baseline."""
        linear = self.bias + rows.x[:, self.columns].astype(np.float64) @ self.coefficients.T
        matrix = xgboost.DMatrix(rows.x, base_margin=np.zeros(len(rows)))
        trees = [np.mean([forest.predict(matrix) for forest in bags], axis=0) for bags in self.forests]
        return linear + np.stack(trees, axis=1)

    def forecast(self, rows):
        """[N, Q] quantiles of ln(µs), ascending."""
        return np.maximum.accumulate(rows.baseline[:, None] + self.residual(rows), axis=1)


def relative_features(schema_features):
    """Whether each feature is free of the path's own scale."""
    return [feature["unit"] in RELATIVE_UNITS for feature in schema_features]


def linear_stack(x, residual, weight, quantile, steps=600, rate=0.05):
    """Coefficients of a linear quantile regression (Koenker & Bassett 1978) by Adam (Kingma & Ba 2015) on the pinball
    loss, on standardised columns; bias first."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(x)), (x - mean) / deviation])
    weight = weight / weight.sum()
    beta = np.zeros(design.shape[1])
    beta[0] = np.quantile(residual, quantile)
    first, second = np.zeros_like(beta), np.zeros_like(beta)
    for step in range(1, steps + 1):
        above = residual > design @ beta
        gradient = -design.T @ (weight * np.where(above, quantile, quantile - 1.0))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scale = rate * (1 - step / (steps + 1))
        beta -= scale * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-9)
    coefficients = beta[1:] / deviation
    return beta[0] - coefficients @ mean, coefficients


def fit(config, schema, usable, train, validation, residual=None, bags=None):
    """Trains on `train`, stops on `validation`. `usable` says which features trees may split on; `residual` replaces the
    target in controls."""
    weight, check = weights(train, config.calm), weights(validation, config.calm)
    target = train.y - train.baseline if residual is None else residual
    check_target = validation.y - validation.baseline
    columns = [schema.features.index(name) for name in LINEAR] if config.linear else []
    biases, coefficients, forests = [], [], []
    for position, quantile in enumerate(schema.quantiles):
        bias, slope = linear_stack(train.x[:, columns].astype(np.float64), target, weight, quantile)
        margin = bias + train.x[:, columns] @ slope
        check_margin = bias + validation.x[:, columns] @ slope
        bagged = []
        for bag in range(bags or config.bags):
            random = np.random.default_rng(SEED + 100 * position + bag)
            names = np.unique(train.episode)
            drawn = np.isin(train.episode, random.choice(names, int(0.8 * len(names)), replace=False))
            bagged.append(
                booster(
                    config, usable, quantile, SEED + bag,
                    (train.x[drawn], target[drawn], weight[drawn], margin[drawn]),
                    (validation.x, check_target, check, check_margin),
                )
            )
        biases.append(bias)
        coefficients.append(slope)
        forests.append(bagged)
    return Model(config, schema.quantiles, columns, np.array(biases), np.array(coefficients).reshape(len(biases), -1), forests)


def booster(config, usable, quantile, seed, train, check):
    """One small forest on what the linear stack leaves, cut where validation is best."""
    parameters = {
        "objective": "reg:quantileerror",
        "quantile_alpha": quantile,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": config.leaves,
        "max_depth": 0,
        "min_child_weight": config.least_rows,
        "eta": 0.05,
        "lambda": 5.0,
        "subsample": 0.7,
        "colsample_bynode": 0.3,
        "seed": seed,
        "nthread": 2,
        "base_score": 0.0,
    }
    # A feature of one value is never split on: that is how the unusable ones are taken out without another layout.
    def matrix(part):
        x, target, weight, margin = part
        return xgboost.DMatrix(np.where(usable, x, 0.0), target, weight=weight, base_margin=margin)

    history = {}
    grown = xgboost.train(
        parameters, matrix(train), config.rounds, evals=[(matrix(check), "check")], early_stopping_rounds=40,
        evals_result=history, verbose_eval=False,
    )
    return grown[: grown.best_iteration + 1]


def choose(schema, features, train, validation, log):
    """The configuration with the least loss on unseen seeds and on unseen families, both taken from what trains: the
    test sets stay untouched. Loss is relative to the plain baseline, averaged over quantiles."""
    families = sorted(set(train.family))
    folds = [families[start::3] for start in range(3)]
    relative = np.array(relative_features(features))
    results = []
    for config in CONFIGS:
        usable = relative if config.relative else np.ones(len(relative), dtype=bool)
        seen = relative_loss(fit(config, schema, usable, train, validation, bags=1), validation)
        unseen = []
        for fold in folds:
            inside, check = ~np.isin(train.family, fold), ~np.isin(validation.family, fold)
            model = fit(config, schema, usable, train[inside], validation[check], bags=1)
            unseen.append(relative_loss(model, train[~inside]))
        result = {"config": config.name, "seeds": seen, "families": float(np.mean(unseen))}
        results.append(result)
        log(f"{config.name}: {result['seeds']:.4f} on unseen seeds, {result['families']:.4f} on unseen families")
    best = min(results, key=lambda result: result["seeds"] + result["families"])
    config = next(config for config in CONFIGS if config.name == best["config"])
    return config, relative if config.relative else np.ones(len(relative), dtype=bool), results


def relative_loss(model, rows):
    """Mean over quantiles of the pinball loss over that of the maximum of ten seconds with constant offsets."""
    forecast = model.forecast(rows)
    weight = weights(rows, calm=1.0)
    ratios = []
    for position, quantile in enumerate(model.quantiles):
        plain = rows.baseline + np.quantile(rows.y - rows.baseline, quantile)
        loss, other = pinball(rows.y, forecast[:, position], quantile), pinball(rows.y, plain, quantile)
        ratios.append(np.sum(weight * loss) / np.sum(weight * other))
    return float(np.mean(ratios))
