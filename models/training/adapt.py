"""What the forecaster `adaptive` begins with, and what it is worth where it was never trained.

Everything is computed by the agent's own code: `netprecursor import` turns series into recordings, `netprecursor learn`
learns the beginning from them, `netprecursor backtest` judges it. Half of the series of every imported file and some
families of the lab never take part in learning.
"""

import collections
import dataclasses
import hashlib
import json
import pathlib
import random
import subprocess
import tempfile

import numpy as np
import pyarrow.parquet

import controls
import events
from data import NAIVE

PRIOR = "adaptive-prior.json"
QUANTILES = ("0.5", "0.9", "0.99")
CONFIDENCES = (30, 50, 70, 90)
# Of an imported series: what it exceeds in 0.5 % of its seconds is trouble.
THRESHOLD_QUANTILE = 0.995
BOOTSTRAPS = 1000
# Columns of the files that are imported; other files are imported by hand, and their recordings given.
COLUMNS = ("--series-column", "series", "--time-column", "t", "--rtt-max-column", "rtt_max_ms",
           "--rtt-mean-column", "rtt_mean_ms", "--count-column", "n", "--unit", "ms")
POLICY = """\
apiVersion: netprecursor.io/v1alpha1
kind: PrecursorPolicy
metadata: {{name: evaluation}}
spec:
  target: {{podSelector: {{}}}}
  rules:
  - name: rtt
    signal: RttForecast
    rttForecast: {{threshold: 100ms}}
    minConfidencePercent: {confidence}
"""


@dataclasses.dataclass
class Set:
    """Recordings that are judged together, in this order: what is learned in one goes on in the next."""

    name: str
    kind: str
    recordings: list
    thresholds: dict  # µs by target
    note: str = ""


def imported(binary, directories, into):
    """Recordings by the name of the file that they come from."""
    found = {}
    for directory in map(pathlib.Path, directories):
        files = sorted(path for path in directory.iterdir() if path.name.endswith((".csv", ".csv.gz")))
        if not files:
            raise SystemExit(f"got no *.csv or *.csv.gz in {directory}, expected files with the columns {COLUMNS[1::2]}")
        for path in files:
            name = path.name.split(".csv")[0]
            out = into / name
            subprocess.run([binary, "import", str(path), *COLUMNS, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
            found[name] = sorted(out.glob("*.parquet"))
    return found


def halves(recordings):
    """What is learned from and what is held out: by digest of the name, so that more series move few of them."""
    ordered = sorted(recordings, key=lambda path: hashlib.sha256(path.stem.encode()).digest())
    held_out = set(ordered[: len(ordered) // 2])
    return [path for path in recordings if path not in held_out], [path for path in recordings if path in held_out]


def series_thresholds(recordings):
    """The threshold of each series, µs."""
    result = {}
    for path in recordings:
        table = pyarrow.parquet.read_table(path, columns=["target", "rtt_max_us"]).to_pandas().dropna()
        for target, values in table.groupby("target")["rtt_max_us"]:
            ordered = values.sort_values().to_numpy()
            result[target] = int(ordered[min(len(ordered) - 1, int(len(ordered) * THRESHOLD_QUANTILE))])
    return result


def learn(binary, lab, series, expert, out):
    """Writes the prior. Breaches are learned apart in the lab and in life, whose base rates differ."""
    shuffle = lambda paths: sorted(paths, key=lambda path: hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest())
    command = [binary, "learn", "--expert", str(expert), "--out", str(out)]
    command += ["--recording", *map(str, shuffle(series))] if series else []
    command += ["--lab", *map(str, shuffle(lab))] if lab else []
    subprocess.run(command, check=True)


def backtest(binary, model, recordings, thresholds, confidence=50, prior=None, expert=None):
    """The lines of a backtest, one per recording."""
    with tempfile.TemporaryDirectory() as directory:
        policy, levels = pathlib.Path(directory, "policy.yaml"), pathlib.Path(directory, "thresholds.json")
        policy.write_text(POLICY.format(confidence=confidence))
        levels.write_text(json.dumps(thresholds))
        command = [binary, "backtest", "--json", "--model", model, "--policy", str(policy), "--thresholds", str(levels)]
        command += ["--prior", str(prior)] if prior else []
        command += ["--expert", str(expert)] if expert else []
        command += ["--recording", *map(str, recordings)]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def skill(lines):
    """Skill in % over the best rule of thumb on these very seconds with its 90 % interval over draws of recordings, by
    quantile, and coverage."""
    weight = lambda line: line["pinball"]["rows"]
    lines = [line for line in lines if weight(line)]
    rows = sum(map(weight, lines))
    result = {"rows": rows, "recordings": len(lines)}
    if not rows:
        return result
    draw = random.Random(7)
    drawn = [draw.choices(lines, k=len(lines)) for _ in range(BOOTSTRAPS)]
    for quantile in QUANTILES:
        def total(lines, losses):
            return sum(losses(line)[quantile] * weight(line) for line in lines)

        rules = {name: total(lines, lambda line: line["pinball"]["rules"][name]) for name in NAIVE}
        best = min(rules, key=rules.get)
        over = lambda lines: 100 * (1 - total(lines, lambda line: line["pinball"]["model"])
                                    / total(lines, lambda line: line["pinball"]["rules"][best]))
        values = sorted(over(lines) for lines in drawn)
        result[quantile] = {
            "best_rule": best,
            "skill": over(lines),
            "low": values[len(values) // 20],
            "high": values[-1 - len(values) // 20],
            "coverage": sum(line["coverage"][quantile] * weight(line) for line in lines) / rows,
            # How far each rule is behind the best one.
            "rules": {name: 100 * (1 - loss / rules[best]) for name, loss in rules.items()},
        }
    return result


def warnings(lines):
    """Counts of warnings and incidents."""
    sums = collections.Counter()
    leads = [0] * len(lines[0]["scorecard"]["leadSeconds"]) if lines else []
    for line in lines:
        sums.update({key: value for key, value in line["scorecard"].items() if isinstance(value, int)})
        leads = [a + b for a, b in zip(leads, line["scorecard"]["leadSeconds"])]
    ratio = lambda part, whole: part / whole if whole else None
    hours = sums["targetSeconds"] / 3600
    judged = sums["confirmed"] + sums["unconfirmed"]
    return {
        "incidents": sums["incidents"],
        "warned": sums["warned"],
        "recall": ratio(sums["warned"], sums["warned"] + sums["missed"]),
        "warnings": judged,
        "precision": ratio(sums["confirmed"], judged),
        "false_per_hour": ratio(sums["unconfirmed"], hours),
        "false_per_day": ratio(24 * sums["unconfirmed"], hours),
        "lead_median_s": events.lead(np.array(leads), 0.5) if leads else None,
        "target_hours": hours,
    }


def chances(lines):
    """Reliability in ten bins, base rate and average precision of the chance."""
    counts = collections.defaultdict(lambda: [0, 0])
    bins = 1
    for line in lines:
        bins = line["chances"]["bins"]
        for position, said, came_true in line["chances"]["said"]:
            counts[position][0] += said
            counts[position][1] += came_true
    said = sum(count for count, _ in counts.values())
    true = sum(count for _, count in counts.values())
    reliability = []
    for tenth in range(10):
        inside = [(p, n, k) for p, (n, k) in counts.items() if p * 10 // bins == tenth]
        total = sum(n for _, n, _ in inside)
        mean = sum((p + 0.5) / bins * n for p, n, _ in inside) / total if total else None
        reliability.append({"said": total, "mean": mean, "came_true": sum(k for *_, k in inside) / total if total else None})
    precision, seen, found = 0.0, 0, 0
    # From the surest down: each bin adds its share of what came true at the precision reached with it.
    for position in sorted(counts, reverse=True):
        n, k = counts[position]
        seen, found = seen + n, found + k
        precision += k / true * found / seen if true else 0.0
    return {"seconds": said, "base_rate": true / said if said else None,
            "average_precision": precision if true else None, "reliability": reliability}


def judge(binary, prior, expert, subject):
    """All figures of one set."""
    backtests = {confidence: backtest(binary, "adaptive", subject.recordings, subject.thresholds, confidence, prior, expert)
                 for confidence in CONFIDENCES}
    anew = [line for recording in subject.recordings
            for line in backtest(binary, "adaptive", [recording], subject.thresholds, 50, prior, expert)]
    rules = {name: warnings(backtest(binary, f"naive:{name}", subject.recordings, subject.thresholds)) for name in NAIVE}
    return {
        "name": subject.name,
        "kind": subject.kind,
        "note": subject.note,
        "skill": skill(backtests[50]),
        "skill_each_anew": skill(anew),
        "warnings": {str(confidence): warnings(lines) for confidence, lines in backtests.items()},
        "warnings_each_anew": warnings(anew),
        "rules": rules,
        "chances": chances(backtests[50]),
        "controls": controls.run(
            binary, subject.recordings, lambda drawn: backtest(binary, "adaptive", drawn, subject.thresholds, 50, prior), chances
        ),
    }


def sets(episodes, series):
    """What is judged: each family of the lab on seeds and families that nothing was learned from, and each imported file's
    half that was held out."""
    judged = []
    tests = [episode for episode in episodes if episode.split in ("seeds", "families", "control", "life")]
    for family in sorted({episode.family for episode in tests}):
        members = [episode for episode in tests if episode.family == family]
        notes = {"families": "never learned from", "control": "nothing announces it", "life": "hours, faults are rare"}
        note = notes.get(members[0].split, "unseen seeds")
        judged.append(Set(family, "lab", [episode.recording for episode in members], events.thresholds(members), note))
    for name, recordings in series.items():
        _, held_out = halves(recordings)
        if held_out:
            judged.append(Set(name, "imported", held_out, series_thresholds(held_out), "series held out"))
    return judged


def run(binary, episodes, series, experts, out, report, log):
    """Learns the prior and judges it. `experts` are models by the network that they never saw; that of None ships."""
    with tempfile.TemporaryDirectory() as directory:
        lab = [episode.recording for episode in episodes if episode.split in ("train", "validation")]
        taught = [path for recordings in series.values() for path in halves(recordings)[0]]
        prior = out / PRIOR
        learn(binary, lab, taught, experts[None], prior)
        # What each network is worth without having been learned from.
        across = []
        for name, recordings in series.items():
            others = [path for path in taught if path not in set(recordings)]
            foreign = pathlib.Path(directory, f"without-{name}.json")
            learn(binary, lab, others, experts[name], foreign)
            subject = Set(name, "imported", recordings, series_thresholds(recordings), "nothing was trained on this network")
            across.append(judge(binary, foreign, experts[name], subject))
            log(f"{name}: judged without anything that was trained on it")
        figures = {
            "prior": {"sha256": hashlib.sha256(prior.read_bytes()).hexdigest(),
                      "recordings": len(lab) + len(taught),
                      "episodes": len(lab),
                      "series": {name: len(halves(recordings)[0]) for name, recordings in series.items()}},
            "sets": [],
        }
        for subject in sets(episodes, series):
            figures["sets"].append(judge(binary, prior, experts[None], subject))
            log(f"{subject.name}: judged")
        figures["sets"] += across
    figures["default"] = default(figures)
    (out / "adaptive.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "default.json").write_text(json.dumps(figures["default"], indent=1) + "\n")
    report.write_text(text(figures))


def default(figures):
    """What forecasts when a policy names nothing: `adaptive`, unless one rule of thumb, the same for all sets, does better in
    the mean. Where the best rule of a single set is ahead beyond what drawing other recordings would explain, it says so."""
    known = [item for item in figures["sets"] if item["skill"]["rows"]]
    mean = lambda values: sum(values) / len(known)
    skills = {q: mean(item["skill"][q]["skill"] for item in known) for q in QUANTILES}
    rules = {name: {q: mean(item["skill"][q]["rules"][name] for item in known) for q in QUANTILES} for name in NAIVE}
    rival = max(rules, key=lambda name: sum(rules[name].values()))
    percent = lambda by_quantile: " / ".join(f"{by_quantile[q]:+.0f}" for q in QUANTILES) + " %"
    behind = [f"{title(item)} at q {q} ({item['skill'][q]['best_rule']}; {item['skill'][q]['skill']:+.1f} %)"
              for item in known for q in QUANTILES if item["skill"][q]["high"] < 0]
    chosen = "damped-holt" if any(rules[rival][q] > skills[q] for q in QUANTILES) else "adaptive"
    return {"builtin": chosen,
            "reason": f"Skill over the best rule of each set at q {' / '.join(QUANTILES)}, mean of {len(known)} sets: adaptive "
                      f"{percent(skills)}; {rival}, the best single rule, {percent(rules[rival])}. Sets whose best rule is ahead "
                      f"of adaptive beyond noise: {'; '.join(behind) or 'none'}."}


def text(figures):
    """EVALUATION.md."""
    prior = figures["prior"]
    lines = [
        "# What the forecaster `adaptive` is worth",
        "",
        "Written by `make train`. Every figure is computed by the agent's own code (`netprecursor backtest`), on recordings that",
        "the prior was not learned from. Skill is 1 − pinball loss ÷ pinball loss of the **best** of six rules of thumb with the",
        f"release's offsets on the same seconds, in %, with a 90 % interval from {BOOTSTRAPS} draws of recordings.",
        "",
        f"The prior was learned from {prior['episodes']} episodes of the lab and "
        + (", ".join(f"{count} series of {name}" for name, count in prior["series"].items()) or "no imported series") + ".",
        "",
        f"**Default: `{figures['default']['builtin']}`.** {figures['default']['reason']}",
        "",
        "## Forecast",
        "",
        "*Pooled*: what is learned in one recording goes on in the next. *Each anew*: every recording starts from the prior.",
        "",
        "| set | seconds | q 0.5 | q 0.9 | q 0.99 | coverage of 0.9 | each anew: q 0.5 / 0.9 / 0.99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in figures["sets"]:
        pooled, anew = item["skill"], item["skill_each_anew"]
        if not pooled["rows"]:
            continue
        cell = lambda q: f"{pooled[q]['skill']:+.1f} ({pooled[q]['low']:+.1f} … {pooled[q]['high']:+.1f}) over {pooled[q]['best_rule']}"
        lines.append(
            f"| {title(item)} | {pooled['rows']} | {cell('0.5')} | {cell('0.9')} | {cell('0.99')} | "
            f"{pooled['0.9']['coverage']:.3f} | " + " / ".join(f"{anew[q]['skill']:+.1f}" for q in QUANTILES) + " |"
        )
    lines += ["", "## Warnings", "",
              "Thresholds: of an imported series what it exceeds in 0.5 % of its seconds; in the lab three times the median of the",
              "first minute and 1.5 times its maximum. A rule of thumb warns by its own calibrated chance.", "",
              "| set | confidence | incidents | recall | warnings | precision | false per target-hour | per target-day | lead |",
              "|---|---|---|---|---|---|---|---|---|"]
    for item in figures["sets"]:
        rows = [(f"{confidence} %", item["warnings"][confidence]) for confidence in item["warnings"]]
        rows.append(("50 %, each anew", item["warnings_each_anew"]))
        best = max(item["rules"], key=lambda name: (item["rules"][name]["recall"] or 0) * (item["rules"][name]["precision"] or 0))
        rows.append((f"{best}, 50 %", item["rules"][best]))
        for label, counts in rows:
            lines.append(
                f"| {title(item)} | {label} | {counts['incidents']} | {share(counts['recall'])} | {counts['warnings']} | "
                f"{share(counts['precision'])} | {number(counts['false_per_hour'], 2)} | {number(counts['false_per_day'], 1)} | "
                f"{number(counts['lead_median_s'], 0)} s |"
            )
    lines += ["", "## What a chance means", "",
              "How often a breach followed within ten seconds, by the chance that was said; in brackets how many seconds.", "",
              "| set | base rate | average precision | " + " | ".join(f"{t * 10}–{t * 10 + 10} %" for t in range(10)) + " |",
              "|---|---|---|" + "---|" * 10]
    for item in figures["sets"]:
        found = item["chances"]
        cells = [f"{100 * b['came_true']:.0f} % ({b['said']})" if b["said"] else "" for b in found["reliability"]]
        lines.append(f"| {title(item)} | {share(found['base_rate'], 1)} | {number(found['average_precision'], 2)} | " + " | ".join(cells) + " |")
    lines += controls.text(figures)
    return "\n".join(lines) + "\n"


def title(item):
    return f"{item['name']} ({item['note']})"


def share(value, digits=0):
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"
