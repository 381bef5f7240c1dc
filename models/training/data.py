"""From a dataset's directory to arrays: rows that Rust extracted, the episodes they belong to, and who may see them."""

import dataclasses
import hashlib
import json
import pathlib
import subprocess

import numpy as np
import pandas
import pyarrow.parquet

# Families that no training, tuning or fitting ever sees. `step` has no precursor: what is forecast there is a leak.
HELD_OUT = ("bursty", "loss-burst", "noisy-neighbour", "retransmit-storm", "small-answers")
CONTROL = ("step",)
# Hours at the fault rate of life. Nothing learns from them: one such episode has as many rows as a hundred others.
LIFE = ("long-calm",)
# Seconds at both ends of an episode that are left out: a label looks ten ahead, and clocks may be off by a few.
PURGE_S = 13
HORIZON_S = 10
# Rows of an imported series of which one trains.
STRIDE = 4
REGIMES = ("calm", "onset ahead", "fault", "after")
# Of the episodes of each scenario: tuning and test; the rest trains.
SHARES = {"validation": 0.15, "seeds": 0.25}

NAIVE = ("last", "max-10", "max-30", "recent-quantile", "ewma", "damped-holt")


@dataclasses.dataclass
class Schema:
    """What the vector means, as the generated schema says."""

    hash: str
    horizon_s: int
    quantiles: list
    features: list
    residual_baseline: str

    @classmethod
    def read(cls, path):
        text = json.loads(pathlib.Path(path).read_text())
        names = [feature["name"] for feature in text["features"]]
        return cls(text["hash"], text["horizon_s"], text["quantiles"], names, text["residual_baseline"])


@dataclasses.dataclass
class Episode:
    """One run of a scenario."""

    name: str
    family: str
    scenario: str
    seed: int
    directory: pathlib.Path
    labels: dict
    split: str = ""

    @property
    def recording(self):
        return self.directory / "signals.parquet"


class Rows:
    """Rows of features with their labels; indexing gives the rows of a mask."""

    def __init__(self, frame, schema):
        self.frame = frame
        self.x = frame[schema.features].to_numpy(np.float32)
        self.baseline = frame[schema.residual_baseline].to_numpy(np.float64)
        self.y = np.log(frame["label_max10_us"].to_numpy(np.float64))
        self.episode = frame["episode"].to_numpy()
        self.family = frame["family"].to_numpy()
        self.regime = frame["regime"].to_numpy()

    def __getitem__(self, mask):
        part = object.__new__(Rows)
        part.frame = self.frame[mask]
        for name in ("x", "baseline", "y", "episode", "family", "regime"):
            setattr(part, name, getattr(self, name)[mask])
        return part

    def __len__(self):
        return len(self.y)

    def naive(self, name):
        """ln of a rule's point forecast, NaN where it has none."""
        return np.log(self.frame[f"naive_{name}_us"].to_numpy(np.float64))


def episodes(directories):
    """The manifests of datasets, and all their finished episodes with their splits."""
    manifests, found = [], []
    for directory in map(pathlib.Path, directories):
        manifest = json.loads((directory / "manifest.json").read_text())
        manifests.append(manifest)
        for entry in manifest["episodes"]:
            place = directory / "episodes" / entry["name"]
            labels = json.loads((place / "labels.json").read_text())
            found.append(Episode(entry["name"], entry["family"], entry["scenario"], entry["seed"], place, labels))
    names = [episode.name for episode in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SystemExit(f"got {twice[0]} in two datasets, expected seeds of their own: record with another --seed-base")
    assign_splits(found)
    return manifests, found


def combined(manifests):
    """The manifests as one text: what a model was made of. That of one dataset is its own."""
    return json.dumps(manifests[0] if len(manifests) == 1 else manifests, indent=2) + "\n"


def assign_splits(episodes):
    """Held-out families, the control and the long calm apart; of every other scenario a share of the seeds, drawn by
    digest, so that adding episodes moves as few as can be."""
    scenarios = {}
    for episode in episodes:
        if episode.family in HELD_OUT:
            episode.split = "families"
        elif episode.family in CONTROL:
            episode.split = "control"
        elif episode.family in LIFE:
            episode.split = "life"
        else:
            scenarios.setdefault(episode.scenario, []).append(episode)
    for members in scenarios.values():
        members.sort(key=lambda episode: hashlib.sha256(episode.name.encode()).digest())
        for position, episode in enumerate(members):
            place = (position + 0.5) / len(members)
            if place < SHARES["seeds"]:
                episode.split = "seeds"
            elif place < SHARES["seeds"] + SHARES["validation"]:
                episode.split = "validation"
            else:
                episode.split = "train"


def extract(binary, episodes, out):
    """Has Rust make the rows."""
    recordings = [str(episode.recording) for episode in episodes]
    subprocess.run([binary, "extract", "--out", str(out), "--recording", *recordings], check=True)


def read(path, what, expected):
    """What Rust extracted, if by the schema of this hash."""
    table = pyarrow.parquet.read_table(path)
    got = (table.schema.metadata or {}).get(b"netprecursor.schema_hash", b"").decode()
    if got != expected:
        raise SystemExit(f"{path}: got {what} schema {got[:12]}, expected {expected[:12]}: extract again")
    return table.to_pandas()


def load(path, episodes, schema):
    """The rows that count: full window (extract gives no others), a label, and away from the episode's edges."""
    frame = read(path, "feature", schema.hash)
    owner = {target["target"]: episode for episode in episodes for target in episode.labels["targets"]}
    frame = frame[frame["target"].isin(owner)].reset_index(drop=True)
    of = frame["target"].map(owner)
    frame["episode"] = [episode.name for episode in of]
    frame["family"] = [episode.family for episode in of]
    now = frame["monotonic_ns"].to_numpy(np.int64)
    started = np.array([episode.labels["started"]["monotonic_ns"] for episode in of])
    ended = np.array([episode.labels["ended"]["monotonic_ns"] for episode in of])
    frame["age_s"] = (now - started) / 1e9
    frame["regime"] = regimes(now, of, ended)
    label = frame["label_max10_us"].to_numpy()
    keep = np.isfinite(label) & (label > 0) & (now > started + PURGE_S * 10**9) & (now < ended - PURGE_S * 10**9)
    return Rows(frame[keep].reset_index(drop=True), schema)


def load_series(path, families, schema):
    """Rows of imported series, whose `families` are the files that they come from, by series. Nothing is known of their faults.
    One row in STRIDE: horizons overlap, and hours of one network would drown the lab."""
    frame = read(path, "feature", schema.hash)
    frame = frame[frame["target"].isin(families)].reset_index(drop=True)
    frame["episode"] = frame["target"]
    frame["family"] = frame["target"].map(families)
    frame["age_s"], frame["regime"] = np.nan, "calm"
    label = frame["label_max10_us"].to_numpy()
    keep = np.isfinite(label) & (label > 0) & (frame.groupby("target").cumcount().to_numpy() % STRIDE == 0)
    return Rows(frame[keep].reset_index(drop=True), schema)


def joined(parts, schema):
    """Rows of several sources as one."""
    return Rows(pandas.concat([part.frame for part in parts if len(part)], ignore_index=True), schema)


def regimes(now, of, ended):
    """`fault` while one is on, `onset ahead` where one begins within the horizon, `after` once there was one, else `calm`."""
    result = np.full(len(now), "calm", dtype=object)
    names = np.array([episode.name for episode in of])
    for name, position in zip(*np.unique(names, return_index=True)):
        mask = names == name
        moments = now[mask]
        regime = np.full(len(moments), "calm", dtype=object)
        for fault in of.iloc[position].labels["faults"]:
            end = fault["end"]["monotonic_ns"] if fault["end"] else ended[position]
            regime[moments >= fault["onset"]["monotonic_ns"]] = "fault"
            regime[moments >= end] = "after"
        for fault in of.iloc[position].labels["faults"]:
            ahead = fault["onset"]["monotonic_ns"] - moments
            regime[(ahead > 0) & (ahead <= HORIZON_S * 10**9) & (regime != "fault")] = "onset ahead"
        result[mask] = regime
    return result


def weights(rows, calm):
    """Every episode counts the same within its family and every family the same, but the calm `calm` times."""
    frame = pandas.DataFrame({"family": rows.family, "episode": rows.episode})
    per_episode = frame.groupby("episode")["family"].transform("size").to_numpy(np.float64)
    per_family = frame.groupby("family")["episode"].transform("nunique").to_numpy(np.float64)
    weight = 1.0 / (per_episode * per_family)
    weight[rows.family == "calm"] *= calm
    return weight / weight.mean()
