"""REPORT.md, report.json and the charts, from the figures of `evaluate`."""

import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot

from data import CONTROL, HELD_OUT, NAIVE, PURGE_S

TITLES = {"seeds": "unseen seeds of trained families", "families": "families never seen", "control": "step: no precursor"}
INK, MODEL, RULE = "#333333", "#0b6e99", "#b8b8b8"


def write(out, figures):
    """Writes everything into `out`."""
    (out / "report.json").write_text(json.dumps(figures, indent=1, sort_keys=True, default=float) + "\n")
    (out / "REPORT.md").write_text(markdown(figures))
    skill_chart(figures, out / "skill.png")
    recall_chart(figures, out / "recall.png")


def interval(skill):
    return f"{skill['skill']:+.1f} ({skill['low']:+.1f} … {skill['high']:+.1f})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def number(value, digits=2, unit=""):
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def whole(value, unit=" s"):
    return "–" if value is None else f"{value}{unit}"


def markdown(figures):
    parts = [summary(figures), data(figures), skill_tables(figures), family_tables(figures), moments(figures), warnings(figures)]
    parts += [precision(figures), coverage(figures), controls(figures), label_error(figures), choice(figures), again(figures)]
    return "\n".join(parts)


def summary(figures):
    quantiles = figures["quantiles"]
    lines = []
    for split in ("seeds", "families", "control"):
        result = figures["skill"][split]["quantiles"]
        cells = [f"{interval(result[str(q)]['over_best'])} over {result[str(q)]['best_naive']}" for q in quantiles]
        lines.append([TITLES[split], *cells])
    losing = [
        f"{family} at q {q} ({result['quantiles'][str(q)]['over_best']['skill']:+.1f} %)"
        for split in ("seeds", "families", "control")
        for family, result in figures["family"][split].items()
        for q in quantiles
        if result["quantiles"][str(q)]["over_best"]["skill"] < 0
    ]
    default = figures["default"]
    ahead = figures["regime"]["families"]["onset ahead"]["quantiles"]
    before = ", ".join(f"{ahead[str(q)]['over_best']['skill']:+.1f} % at q {q}" for q in quantiles)
    ranked = figures["average_precision"]["families"]["average_precision"]
    best = max(NAIVE, key=ranked.get)
    return f"""# rtt-xgboost: report

What is forecast: the maximum measured RTT of a target over the next {figures['horizon_s']} s, as quantiles of ln(µs).
Everything below is on episodes that training and tuning never saw. Skill is 1 − pinball loss ÷ pinball loss of the
**best** of the six rules of thumb on the same rows, in %, with a 90 % interval from {figures['bootstraps']} draws of episodes. The
rules have offsets fitted on the training rows, so that they are quantile forecasts as well.

{table(['rows', *(f'q {q}' for q in quantiles)], lines)}
**Best at ranking coming breaches: `{default['builtin']}`.** {default['reason']}

**Where the model loses** to the best rule of thumb of that family and quantile: {', '.join(losing) if losing else 'nowhere in these figures'}.
In the ten seconds before an onset of a family never seen it has {before}: skill comes from how far and how long, not from
whether. There it ranks coming breaches with an average precision of {ranked['model']:.3f}; {best}, the best rule at that, with {ranked[best]:.3f}.

![skill by family](skill.png)
"""


def data(figures):
    rows = [[split, part["episodes"], part["rows"], ", ".join(part["families"])] for split, part in figures["splits"].items()]
    return f"""## Data

{figures['dataset']['episodes']} episodes of emulated bottlenecks, {figures['dataset']['target_hours']:.1f} target-hours, kernel {figures['dataset']['kernel']},
feature schema `{figures['schema_hash'][:12]}`, manifest `{figures['dataset']['manifest_sha256'][:12]}`. Episodes, not rows, are split. {', '.join(HELD_OUT)}
never take part in training, tuning or the fitting of offsets; neither does {', '.join(CONTROL)}, which nothing announces.
Rows count only with a full minute before them, a measured maximum after them, and {PURGE_S} s away from an episode's ends.

{table(['split', 'episodes', 'rows', 'families'], rows)}"""


def skill_tables(figures):
    text = "## Skill over each rule of thumb\n\n"
    for split in ("seeds", "families", "control"):
        result = figures["skill"][split]
        rows = [
            [name, *(interval(result["quantiles"][str(q)]["over"][name]) for q in figures["quantiles"])] for name in NAIVE
        ]
        losses = ["*pinball loss of the model*", *(f"{result['quantiles'][str(q)]['loss']['model']:.4f}" for q in figures["quantiles"])]
        text += f"{TITLES[split].capitalize()} ({result['episodes']} episodes, {result['rows']} rows):\n\n"
        text += table(["over", *(f"q {q}" for q in figures["quantiles"])], [*rows, losses]) + "\n"
    return text


def family_tables(figures):
    rows = []
    for split in ("seeds", "families", "control"):
        for family, result in figures["family"][split].items():
            cells = [
                f"{interval(result['quantiles'][str(q)]['over_best'])} {result['quantiles'][str(q)]['best_naive']}"
                for q in figures["quantiles"]
            ]
            rows.append([family, split, result["episodes"], *cells])
    head = ["family", "split", "episodes", *(f"q {q}" for q in figures["quantiles"])]
    return f"## Skill by family, over the best rule of that family\n\n{table(head, rows)}"


def moments(figures):
    rows = []
    for split in ("seeds", "families", "control"):
        for regime, result in figures["regime"][split].items():
            cells = [
                f"{interval(result['quantiles'][str(q)]['over_best'])} {result['quantiles'][str(q)]['best_naive']}"
                for q in figures["quantiles"]
            ]
            rows.append([TITLES[split], regime, result["rows"], *cells])
    head = ["rows", "moment", "count", *(f"q {q}" for q in figures["quantiles"])]
    return f"""## Skill by moment, over the best rule of that moment

*Onset ahead*: a fault begins within the horizon. For step nothing announces it: what is above zero there says that the
model expects more trouble in general, not that it knows.

{table(head, rows)}"""


def warnings(figures):
    text = """## Warnings

Thresholds are what a user would set after a minute: three times the median, and one and a half times the worst second,
of what was measured in the first minute. Counted by the agent's own gates, decision and judge. A warning
counts when it comes before its incident. The first column is the agent as it ships (it decides by the median, calibrated), the second
the same without calibration, which in a lab full of faults learns to expect them; the others are operating points read off
the sweep of a shift of the forecast on the same episodes, for model and rules alike. Recall is of all incidents
after warm-up, those included that begin under an alert which was out already and so warned of nothing. A 0.9 quantile
above the threshold is a chance of one in ten: at that level most warnings are in vain by construction, whoever forecasts,
and a budget of false alerts is what lowers it. Episodes are short: a target has hardly time for more than one of them.

"""
    for split in ("seeds", "families", "control"):
        rows = []
        for name, result in figures["warnings"][split].items():
            cells = [
                f"{number(fold['recall'])} at {number(fold['false_alarms_per_hour'], 1)}/h, precision {number(fold['precision'])}, "
                f"lead {whole(fold['lead_median_s'])} (p10 {whole(fold['lead_p10_s'])})"
                for fold in (result["agent"], result["uncalibrated"])
            ]
            for budget in result["budgets"].values():
                cells.append(
                    "–" if budget is None else
                    f"{number(budget['recall'])} ({number(budget['recall_low'])} … {number(budget['recall_high'])}), "
                    f"lead {whole(budget['lead_median_s'])} (p10 {whole(budget['lead_p10_s'])})"
                )
            rows.append([name, *cells])
        first = next(iter(figures["warnings"][split].values()))
        hours = first["agent"]["target_hours"]
        budgets = list(first["budgets"])
        text += f"{TITLES[split].capitalize()}: {first['agent']['incidents']} incidents in {hours:.1f} target-hours after warm-up"
        text += f" (so that {budgets[0]} allows {int(hours / 24)} false alarms here):\n\n"
        text += table(["forecaster", "as it ships: recall", "uncalibrated", *(f"recall at ≤ {budget}" for budget in budgets)], rows) + "\n"
    return text + "![recall against false alarms](recall.png)\n"


def precision(figures):
    rows = []
    names = ["model", *NAIVE]
    for split in ("seeds", "families", "control"):
        result = figures["average_precision"][split]
        if result:
            rows.append([TITLES[split], f"{result['base_rate']:.3f}", *(f"{result['average_precision'][name]:.3f}" for name in names)])
    return f"""## PR-AUC

"A breach within ten seconds", among seconds that are not in breach, ranked by the 0.9 quantile over the threshold.

{table(['rows', 'base rate', *names], rows)}"""


def coverage(figures):
    rows = [
        [TITLES[split], regime, result["rows"], *(f"{100 * result[str(q)]:.1f} %" for q in figures["quantiles"])]
        for split in ("seeds", "families", "control")
        for regime, result in figures["coverage"][split].items()
    ]
    head = ["rows", "moment", "count", *(f"q {q}" for q in figures["quantiles"])]
    return f"""## Coverage

Share of truths at or below the forecast quantile, by moment; without the calibration that
the agent adds from its own delayed truth.

{table(head, rows)}"""


def controls(figures):
    rows = [[name, *(interval(result[str(q)]) for q in figures["quantiles"])] for name, result in figures["controls"].items()]
    return f"""## Controls

Trained the same way on what should tell nothing; skill in % over max-10 with its offsets, unseen seeds. What the clock is
worth is the shape of an episode, which begins calm and ends after its faults; no feature holds the episode's age, but one
that grows with what has been seen could come near it, so that this much of the skill above may be the lab's.

{table(['trained on', *(f'q {q}' for q in figures['quantiles'])], rows)}"""


def label_error(figures):
    error = figures["label_error"]
    idle = error["idle_path_us"]
    rows = [[name, error[name]["count"], *(f"{error[name][key]:.2f}" for key in ("p10", "median", "p90"))] for name in ("smallest", "largest")]
    return f"""## How good are the labels

The agent's RTT against an observer's ICMP probes, per second in the calm before the first fault. The smallest RTT is the
path itself; the largest differs because TCP's own bursts queue where a probe each 50 ms does not look. On the idle path
the observer is off the configured delay by {idle['median']:.0f} µs (p10 {idle['p10']:.0f}, p90 {idle['p90']:.0f}), veth and router included.

{table(['agent ÷ observer, RTT of a second', 'seconds', 'p10', 'median', 'p90'], rows)}"""


def choice(figures):
    rows = [
        [c["quantile"], "convex stack" if c["stack"] else "max-10", c["features"], c["rounds"], c["shrinkage"],
         f"{c['seeds']:.3f}", f"{c['families']:.3f}"]
        for c in figures["choice"]
    ]
    head = ["q", "starts from", "features of the trees", "rounds", "shrunk by", "unseen seeds", "unseen families"]
    return f"""## What was chosen on validation

Per quantile; the last two columns are the pinball loss over that of max-10 with its offsets, on unseen seeds and on training
families left out in turn. The model itself then trains on training and validation episodes together.

{table(head, rows)}"""


def again(figures):
    model = figures["model"]
    return f"""## Again

`netprecursor dataset --out DIR` records, `train.py --data DIR --out models/artifacts` trains and writes this report; seeds are
fixed. `rtt-xgboost.onnx`: {model['trees']} trees, {model['bytes']} bytes, sha256 `{model['sha256']}`. The Rust evaluator differs from
onnxruntime by at most {model['largest_difference']:.1e} in ln(µs) on {model['checked_rows']} rows of the test sets.
"""


def skill_chart(figures, path):
    families = [(split, family) for split in ("seeds", "families", "control") for family in figures["family"][split]]
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 0.4 * len(families) + 1.4), sharey=True)
    for axis, quantile in zip(axes, figures["quantiles"]):
        for position, (split, family) in enumerate(reversed(families)):
            skill = figures["family"][split][family]["quantiles"][str(quantile)]["over_best"]
            color = MODEL if split == "seeds" else "#c05a00" if split == "families" else "#777777"
            axis.plot([skill["low"], skill["high"]], [position, position], color=color, linewidth=2)
            axis.plot(skill["skill"], position, "o", color=color, markersize=5)
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set_title(f"q {quantile}", fontsize=10)
        axis.set_xlabel("skill over the best rule, %")
        axis.set_xlim(-60, 60)
        axis.spines[["top", "right"]].set_visible(False)
    labels = [f"{family}{'' if split == 'seeds' else ' (unseen)'}" for split, family in reversed(families)]
    axes[0].set_yticks(range(len(families)), labels)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def recall_chart(figures, path):
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True)
    for axis, split in zip(axes, ("seeds", "families")):
        for name, points in figures["curves"][split].items():
            points = sorted(point for point in points if None not in point)
            color, width = (MODEL, 2.5) if name == "model" else (RULE, 1.2)
            order = 3 if name == "model" else 1
            axis.plot([x for x, _ in points], [y for _, y in points], color=color, linewidth=width, zorder=order)
        axis.set_title(TITLES[split], fontsize=10)
        axis.set_xlabel("false alarms per target-hour")
        axis.set_xlim(0, 30)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("incidents warned of")
    axes[0].plot([], [], color=MODEL, linewidth=2.5, label="model")
    axes[0].plot([], [], color=RULE, linewidth=1.2, label="rules of thumb")
    axes[0].legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
