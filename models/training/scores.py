"""Losses, skills and their intervals."""

import numpy as np

BOOTSTRAPS = 1000


def pinball(y, forecast, quantile):
    """Loss per row, ln units."""
    error = y - forecast
    return np.maximum(quantile * error, (quantile - 1) * error)


def weighted_quantile(values, weights, quantile):
    """The value below which `quantile` of the weight lies."""
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, quantile * share[-1])])


def offsets(rows, weights, names, quantiles):
    """Per rule of thumb, the quantiles of ln(truth ÷ point)."""
    table = {}
    for name in names:
        error = rows.y - rows.naive(name)
        known = np.isfinite(error)
        table[name] = [weighted_quantile(error[known], weights[known], quantile) for quantile in quantiles]
    return table


class EpisodeSums:
    """Sums of per-row losses by episode: what a bootstrap by episode needs."""

    def __init__(self, episode):
        self.names, self.position = np.unique(episode, return_inverse=True)
        self.rows = np.bincount(self.position, minlength=len(self.names)).astype(np.float64)

    def sums(self, loss):
        return np.bincount(self.position, weights=loss, minlength=len(self.names))

    def draws(self, seed=7):
        """Times that each episode is drawn, one row per bootstrap."""
        random = np.random.default_rng(seed)
        count = len(self.names)
        return random.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS)


def skill(episode, model_loss, other_loss):
    """Skill in % (1 − loss ÷ loss of the other) with its 90 % interval by episode."""
    sums = EpisodeSums(episode)
    model, other = sums.sums(model_loss), sums.sums(other_loss)
    draws = sums.draws()
    values = 100 * (1 - (draws @ model) / (draws @ other))
    low, high = np.quantile(values, [0.05, 0.95])
    return {"skill": 100 * (1 - model.sum() / other.sum()), "low": float(low), "high": float(high)}
