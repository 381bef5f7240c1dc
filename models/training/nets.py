"""The nets, in JAX: what they compute, and how they are trained. `nets_export` writes the same computation as ONNX.

Both see the course of the last minute, not its level: RTTs relative to the maximum of the last ten seconds, levels
relative to their mean over the minute. What is forecast is added to that maximum again, inside the graph.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from data import weights
from model import CALM
from scores import pinball, weighted_quantile

SEED = 20
RECENT_S = 10  # of the baseline
BOUND = 8.0  # of a normalised input: what training never saw must not run away
BATCH = 128
CHECK_EVERY = 80  # steps between looks at validation
PATIENCE = 4  # looks without a gain
AVERAGE = 0.99  # decay of the weights' moving average, which is what ships
HEADS = 4
RATE, DECAY = 4e-3, 1e-2
FORECAST = 1024  # rows at a time
BLIND = 0.3  # share of rows without other signals than RTT, so that it also forecasts where only RTTs are known


@dataclasses.dataclass(frozen=True)
class Config:
    """One choice. Seconds are read in groups of `patch`: a quarter of the steps, at nearly the same loss."""

    kind: str  # lstm or transformer
    width: int
    depth: int
    patch: int
    rtt_only: bool
    imported: float  # share of batches from imported series

    @property
    def shape(self):
        """Without what changes no shape."""
        return dataclasses.replace(self, rtt_only=False, imported=0.0)


@dataclasses.dataclass
class Inputs:
    """How channels are normalised."""

    scale: np.ndarray  # [F], 0 for a channel that is not used
    level: np.ndarray  # [F], 1 where the mean of the minute is taken away

    @classmethod
    def of(cls, schema, rows, rtt_only):
        level = np.array([channel["is_level"] for channel in schema.channels], np.float32)
        used = np.array([channel["is_rtt"] or not rtt_only for channel in schema.channels], np.float32)
        course = np.asarray(relative(jnp.asarray(rows.sequence[:: max(1, len(rows) // 20_000)]), level)[0])
        deviation = course.std(axis=(0, 1))
        return cls((used / np.maximum(deviation, 0.05)).astype(np.float32), level)


def relative(x, level):
    """([N, T, F] without levels, [N, 1, 1] the baseline). Channel 0 says whether an RTT was measured, 1 its ln."""
    measured, rtt = x[:, :, 0:1], x[:, :, 1:2]
    recent = jnp.max(rtt[:, -RECENT_S:], axis=1, keepdims=True)
    minute = jnp.max(rtt, axis=1, keepdims=True)
    is_known = jnp.max(measured[:, -RECENT_S:], axis=1, keepdims=True)
    baseline = recent + (1 - is_known) * minute
    rest = x[:, :, 2:]
    rest = rest - jnp.mean(rest, axis=1, keepdims=True) * level[2:]
    return jnp.concatenate([measured, (rtt - baseline) * measured, rest], axis=2), baseline


def dense(key, inputs, outputs, gain=1.0):
    return {"w": gain * jax.random.normal(key, (inputs, outputs)) / np.sqrt(inputs), "b": jnp.zeros(outputs)}


def initial(config, steps, channels, quantiles, key):
    """Weights before training."""
    keys = iter(jax.random.split(key, 8 + 6 * config.depth))
    width, groups = config.width, steps // config.patch
    weights = {
        "embed": dense(next(keys), config.patch * channels, width),
        "hidden": dense(next(keys), width, width),
        "out": dense(next(keys), width, quantiles, 0.1),
        # The course of the RTT, second by second, straight to the outputs: what rules of thumb see.
        "skip": {"w": jnp.zeros((steps, quantiles)), "b": jnp.zeros(quantiles)},
    }
    if config.kind == "lstm":
        weights["lstm"] = [
            {
                "w": jax.random.normal(next(keys), (4 * width, width)) / np.sqrt(width),
                "r": jax.random.normal(next(keys), (4 * width, width)) / np.sqrt(width),
                # Gates i, o, f, c, as ONNX has them; what is remembered is forgotten late at first.
                "b": jnp.zeros(4 * width).at[2 * width : 3 * width].set(1.0),
            }
            for _ in range(config.depth)
        ]
    else:
        weights["place"] = 0.1 * jax.random.normal(next(keys), (groups, width))
        weights["blocks"] = [
            {
                "norm1": {"g": jnp.ones(width), "b": jnp.zeros(width)},
                "qkv": dense(next(keys), width, 3 * width),
                "merge": dense(next(keys), width, width, 0.5),
                "norm2": {"g": jnp.ones(width), "b": jnp.zeros(width)},
                "up": dense(next(keys), width, 2 * width),
                "down": dense(next(keys), 2 * width, width, 0.5),
            }
            for _ in range(config.depth)
        ]
    return weights


def linear(x, layer):
    return x @ layer["w"] + layer["b"]


def norm(x, layer):
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * layer["g"] + layer["b"]


def lstm(x, layer):
    """[N, T, width] → the same, every step's output."""
    width = layer["r"].shape[1]
    outside = x @ layer["w"].T + layer["b"]

    def step(state, gates):
        h, c = state
        gates = gates + h @ layer["r"].T
        i, o, f = (jax.nn.sigmoid(gates[:, k * width : (k + 1) * width]) for k in range(3))
        c = f * c + i * jnp.tanh(gates[:, 3 * width :])
        h = o * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((x.shape[0], width))
    return jax.lax.scan(step, (start, start), outside.transpose(1, 0, 2))[1].transpose(1, 0, 2)


def attention(x, block):
    """Every group looks at every other one."""
    rows, groups, width = x.shape
    qkv = linear(x, block["qkv"]).reshape(rows, groups, 3, HEADS, width // HEADS).transpose(2, 0, 3, 1, 4)
    scores = qkv[0] @ qkv[1].transpose(0, 1, 3, 2) / np.sqrt(width // HEADS)
    seen = jax.nn.softmax(scores, axis=-1) @ qkv[2]
    return linear(seen.transpose(0, 2, 1, 3).reshape(rows, groups, width), block["merge"])


def forward(config, weights, scale, level, x):
    """[N, T, F] → [N, Q], quantiles of ln(µs), ascending."""
    rows, steps, channels = x.shape
    course, baseline = relative(x, level)
    course = jnp.clip(course * scale, -BOUND, BOUND)
    state = linear(course.reshape(rows, steps // config.patch, config.patch * channels), weights["embed"])
    if config.kind == "lstm":
        for layer in weights["lstm"]:
            state = lstm(state, layer)
        state = state[:, -1]
    else:
        state = state + weights["place"]
        for block in weights["blocks"]:
            state = state + attention(norm(state, block["norm1"]), block)
            state = state + linear(jax.nn.relu(linear(norm(state, block["norm2"]), block["up"])), block["down"])
        state = jnp.mean(state, axis=1)
    raw = linear(jax.nn.relu(linear(state, weights["hidden"])), weights["out"]) + linear(course[:, :, 1], weights["skip"])
    above = jnp.concatenate([raw[:, :1], jax.nn.softplus(raw[:, 1:])], axis=1)
    return baseline[:, :, 0] + jnp.cumsum(above, axis=1)


def inverse_softplus(value):
    return float(np.log(np.expm1(max(value, 0.02))))


class Draw:
    """Batches in which every family of the lab and every imported network has its share."""

    def __init__(self, schema, lab, imported, share):
        self.parts = [(lab, weights(lab, CALM), 1.0 - share if imported is not None else 1.0)]
        if imported is not None:
            self.parts.append((imported, weights(imported, 1.0), share))
        self.other = np.array([not channel["is_rtt"] for channel in schema.channels])
        self.random = np.random.default_rng(SEED)

    def offsets(self, quantiles):
        """Biases with which a net begins as the maximum of the last ten seconds with its offsets."""
        residual = np.concatenate([rows.y - rows.baseline for rows, _, _ in self.parts])
        weight = np.concatenate([share * weight / weight.sum() for _, weight, share in self.parts])
        levels = [weighted_quantile(residual, weight, quantile) for quantile in quantiles]
        return [levels[0], *(inverse_softplus(step) for step in np.diff(levels))]

    def batch(self):
        x, y = [], []
        for rows, weight, share in self.parts:
            picked = self.random.choice(len(rows), round(BATCH * share), p=weight / weight.sum())
            x.append(rows.sequence[picked])
            y.append(rows.y[picked])
        x = np.concatenate(x)
        blinded = self.random.random(len(x)) < BLIND
        x[np.ix_(blinded, np.arange(x.shape[1]), self.other)] = 0.0
        return x, np.concatenate(y).astype(np.float32)


@dataclasses.dataclass
class Net:
    """A trained net."""

    config: Config
    inputs: Inputs
    weights: dict
    quantiles: list
    steps_trained: int = 0

    def forecast(self, x):
        parts = []
        for at in range(0, len(x), FORECAST):
            part = x[at : at + FORECAST]
            # Always as many rows: every other number would be compiled anew.
            whole = np.concatenate([part, np.zeros((FORECAST - len(part), *x.shape[1:]), np.float32)])
            found = run(self.config.shape, self.weights, self.inputs.scale, self.inputs.level, whole)
            parts.append(np.asarray(found)[: len(part)])
        return np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=0)
def run(shape, weights, scale, level, x):
    return forward(shape, weights, scale, level, x)


# Adam with decoupled decay, but for the rate, which `step` is given: so that one compilation does for all of training.
OPTIMISER = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.add_decayed_weights(DECAY))


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(shape, quantiles, weights, average, state, scale, level, rate, x, y):
    """One batch: weights, their moving average, and the optimiser's state."""
    q = jnp.asarray(quantiles)

    def loss(weights):
        error = y[:, None] - forward(shape, weights, scale, level, x)
        # Losses of outer quantiles are small by nature; so that each counts.
        return jnp.mean(jnp.sum(jnp.maximum(q * error, (q - 1) * error) / jnp.sqrt(q * (1 - q)), axis=1))

    updates, state = OPTIMISER.update(jax.grad(loss)(weights), state, weights)
    weights = jax.tree.map(lambda w, update: w - rate * update, weights, updates)
    return weights, jax.tree.map(lambda a, w: AVERAGE * a + (1 - AVERAGE) * w, average, weights), state


def train(config, schema, lab, imported, steps, checks=None):
    """Trains for `steps`; with `checks` (forecast → loss) it stops when they stop getting better, and the best moment is
    what comes back. Gives the net and its loss."""
    inputs = Inputs.of(schema, lab, config.rtt_only)
    draw = Draw(schema, lab, imported, config.imported)
    start = initial(config, schema.steps, len(schema.channels), len(schema.quantiles), jax.random.PRNGKey(SEED))
    start["out"]["b"] = jnp.asarray(draw.offsets(schema.quantiles), jnp.float32)
    schedule = optax.warmup_cosine_decay_schedule(0.0, RATE, steps // 20, steps, RATE / 20)
    rates = np.asarray(jax.vmap(schedule)(jnp.arange(steps + 1)))
    state, trained, average = OPTIMISER.init(start), start, start
    best, best_loss, stale = Net(config, inputs, start, schema.quantiles), np.inf, 0
    for number in range(1, steps + 1):
        trained, average, state = step(config.shape, tuple(schema.quantiles), trained, average, state, inputs.scale,
                                       inputs.level, rates[number], *draw.batch())
        if checks is not None and (number % CHECK_EVERY == 0 or number == steps):
            net = Net(config, inputs, average, schema.quantiles, number)
            found = checks(net)
            stale = 0 if found < best_loss else stale + 1
            if found < best_loss:
                best, best_loss = net, found
            if stale >= PATIENCE:
                break
    return (best, best_loss) if checks is not None else (Net(config, inputs, average, schema.quantiles, steps), np.nan)


def loss_by_quantile(rows, forecast, quantiles):
    """Pinball losses with families balanced, [Q]."""
    weight = weights(rows, 1.0)
    return np.array([np.mean(weight * pinball(rows.y, forecast[:, q], quantile)) for q, quantile in enumerate(quantiles)])
