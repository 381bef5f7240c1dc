"""What forecasters are worth together: Bernstein online aggregation (Wintenberger 2017) of their quantiles, as the agent
mixes its experts, but with nothing else: neither offsets that are tracked nor a regression that is learned in place."""

import numpy as np

from data import HORIZON_S
from scores import pinball


def mixed(rows, forecasts, quantiles):
    """[N, Q] of experts' forecasts `{name: [N, Q]}`. Weights begin equal, go on from one recording to the next, and learn
    of a forecast when its ten seconds are over."""
    experts = np.stack(list(forecasts.values()), axis=1)  # [N, K, Q]
    count, quantiles = experts.shape[1], np.asarray(quantiles)
    order = np.lexsort((rows.frame["tick"].to_numpy(), rows.episode))
    result = np.empty((len(rows), len(quantiles)))
    regret, squares, largest = (np.zeros((count, len(quantiles))) for _ in range(3))
    weights = np.full((count, len(quantiles)), 1 / count)
    waiting = []
    for row in order:
        said = (weights * experts[row]).sum(axis=0)
        result[row] = said
        waiting.append((row, said, weights))
        if len(waiting) <= HORIZON_S:
            continue
        due, said, weights_then = waiting.pop(0)
        slope = np.where(rows.y[due] > said, -quantiles, 1 - quantiles)
        linear = slope * experts[due]
        gain = (weights_then * linear).sum(axis=0) - linear
        largest = np.maximum(largest, np.abs(gain))
        squares += gain**2
        rate = np.minimum(1 / (2 * np.maximum(largest, 1e-9)), np.sqrt(np.log(count) / np.maximum(squares, 1e-9)))
        regret += gain - rate * gain**2
        scaled = np.log(rate) + rate * regret
        weights = np.exp(scaled - scaled.max(axis=0))
        weights /= weights.sum(axis=0)
    return np.maximum.accumulate(result, axis=1)


def losses(rows, forecast, quantiles):
    """Mean pinball loss by quantile."""
    return [float(pinball(rows.y, forecast[:, q], quantile).mean()) for q, quantile in enumerate(quantiles)]
