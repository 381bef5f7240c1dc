"""The same rows as in `data`, with the minute before each as [STEPS, channels]: what nets read. Rust computed every step."""

import dataclasses
import json
import pathlib
import subprocess

import numpy as np
import pandas

import adapt
from data import Rows, load, read


@dataclasses.dataclass
class Schema:
    """What a sequence means, as the generated schema says."""

    hash: str
    horizon_s: int
    quantiles: list
    steps: int
    channels: list  # of objects with name, is_rtt, is_level

    @classmethod
    def read(cls, path):
        text = json.loads(pathlib.Path(path).read_text())
        sequence = text["sequence"]
        return cls(sequence["hash"], text["horizon_s"], text["quantiles"], sequence["steps"], sequence["channels"])

    @property
    def names(self):
        return [channel["name"] for channel in self.channels]

    def at(self, name):
        return self.names.index(name)


class Steps:
    """Every recorded second by target."""

    def __init__(self, path, schema):
        frame = read(path, "sequence", schema.hash)
        numbers = frame[schema.names].to_numpy(np.float32)
        self.length = schema.steps
        self.targets = {}
        for key, rows in frame.groupby(["target", "uid"]).indices.items():
            ticks = frame["tick"].to_numpy(np.int64)[rows]
            if (np.diff(ticks) <= 0).any():
                raise SystemExit(f"{path}: got target {key[0]} in two recordings, expected names of their own")
            # Seconds left out are zeros, as are those before the first.
            dense = np.zeros((schema.steps - 1 + ticks[-1] - ticks[0] + 1, numbers.shape[1]), np.float32)
            dense[schema.steps - 1 + ticks - ticks[0]] = numbers[rows]
            self.targets[key] = (ticks[0], dense)

    def before(self, frame):
        """[N, STEPS, channels]: for each row its second and those before."""
        result = np.empty((len(frame), self.length, next(iter(self.targets.values()))[1].shape[1]), np.float32)
        for position, (target, uid, tick) in enumerate(zip(frame["target"], frame["uid"], frame["tick"])):
            first, dense = self.targets[target, uid]
            result[position] = dense[tick - first : tick - first + self.length]
        return result


def extract(binary, recordings, directory):
    """Has Rust make features and steps."""
    features, steps = directory / "features.parquet", directory / "steps.parquet"
    command = [binary, "extract", "--out", str(features), "--sequences", str(steps), "--recording", *map(str, recordings)]
    subprocess.run(command, check=True)
    return features, steps


def with_sequences(rows, steps):
    """The rows with `rows.sequence` beside the features."""
    rows.sequence = steps.before(rows.frame)
    return rows


def lab(binary, episodes, schema, sequence_schema, directory):
    """Rows of the lab's episodes."""
    features, steps = extract(binary, [episode.recording for episode in episodes], directory)
    return with_sequences(load(features, episodes, schema), Steps(steps, sequence_schema))


def imported(binary, directories, schema, sequence_schema, directory, stride):
    """Rows of imported series, by what they are for: `train`, `validation`, `held_out`. A quarter of what may be learned
    from validates. Neighbouring seconds say the same, so that one in `stride` is enough."""
    parts = {"train": [], "validation": [], "held_out": []}
    for name, recordings in adapt.imported(binary, directories, directory).items():
        learned, held_out = adapt.halves(recordings)
        quarter = max(1, len(learned) // 4)
        place = directory / f"{name}-rows"
        place.mkdir()
        features, steps = extract(binary, recordings, place)
        frame = read(features, "feature", schema.hash)
        label = frame["label_max10_us"].to_numpy()
        frame = frame[np.isfinite(label) & (label > 0) & (frame["tick"] % stride == 0)].reset_index(drop=True)
        frame["episode"], frame["family"], frame["regime"] = frame["target"], name, "life"
        rows = with_sequences(Rows(frame, schema), Steps(steps, sequence_schema))
        series = lambda paths: {path.stem for path in paths}
        members = {"held_out": series(held_out), "validation": series(learned[:quarter]), "train": series(learned[quarter:])}
        for part, names in members.items():
            parts[part].append(take(rows, np.isin(rows.episode, sorted(names))))
    return {part: concatenated(found) for part, found in parts.items()} if parts["train"] else None


def take(rows, mask):
    part = rows[mask]
    part.sequence = rows.sequence[mask]
    return part


def concatenated(parts):
    """Rows of several sources as one."""
    whole = object.__new__(Rows)
    whole.frame = pandas.concat([part.frame for part in parts], ignore_index=True)
    for name in ("x", "baseline", "y", "episode", "family", "regime", "sequence"):
        setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    return whole
