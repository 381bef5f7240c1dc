"""NETS.md and nets.json, from the figures of `train_nets`."""

import json

from report import interval, table

TITLES = {"seeds": "unseen seeds of trained families", "families": "families never seen", "control": "step: no precursor"}
NAMES = ("rtt-xgboost", "rtt-lstm", "rtt-transformer")


def write(out, figures):
    (out / "nets.json").write_text(json.dumps(figures, indent=1, sort_keys=True, default=float) + "\n")
    (out / "NETS.md").write_text(markdown(figures))


def title(name):
    return TITLES.get(name, f"{name}: series held out")


def markdown(figures):
    return "\n".join([summary(figures), card(figures), alone(figures), together(figures), coverage(figures), choice(figures), again(figures)])


def quantiles(figures):
    return [f"q {quantile}" for quantile in figures["quantiles"]]


def summary(figures):
    return f"""# Nets: report

`rtt-lstm` and `rtt-transformer` read the last {figures['steps']} s of a target as {figures['channels']} numbers per second, `rtt-xgboost`
the {figures['features']} features of the same minute. All three forecast quantiles of ln(maximum measured RTT in µs) over the next 10 s. What
is judged here no training and no search ever saw: the same test episodes as in [REPORT.md](REPORT.md), and half of the series
of every network that others measured. The nets also learned from the other half; the trees know the lab alone, so that on
these networks the comparison is one of what each was taught, not of trees with nets.{trees(figures)}

{verdict(figures)}
"""


def trees(figures):
    if figures["trees_of_same_data"]:
        return ""
    return """
The trees are those of an older dataset: they may have met scenarios and seeds of the *unseen seeds* in other recordings."""


def card(figures):
    """What they are for, in short."""
    rows = [[f"`{name}`", f"{net['config']['depth']} × {net['config']['width']}", f"{net['bytes']:,}", net["steps_trained"]] for name, net in figures["nets"].items()]
    return f"""## Model card

*For*: forecasting the round-trip time of a pod or namespace ten seconds ahead from what the agent measures, in `model: {{builtin:
NAME}}`. *Not for*: naming causes (what a net rests on is not told; causes then come from the signals alone), paths whose
minute holds no measured second, other horizons. *Learned from*: emulated bottlenecks of the lab, and round-trip times that
others measured, where there are no other signals. Both nets see only the course of the minute: its RTTs relative to the
maximum of the last ten seconds, levels relative to their mean. *Known limits*: the lab's families are few, and the networks
fewer; below is where they lose. One that is asked for by itself learns nothing in place, unlike `adaptive`.

{table(['net', 'layers × width', 'bytes', 'batches of training'], rows)}"""


def verdict(figures):
    """Who is ahead on each set, quantile by quantile, and what a net adds to the mixture."""
    lines = []
    for name in ("rtt-lstm", "rtt-transformer"):
        better, worse, behind_rules, cells = 0, 0, [], 0
        for test, item in figures["sets"].items():
            for quantile in map(str, figures["quantiles"]):
                cells += 1
                mine = item["alone"][name]["quantiles"][quantile]
                trees = item["alone"]["rtt-xgboost"]["quantiles"][quantile]
                better += mine["loss"]["model"] < trees["loss"]["model"]
                worse += mine["loss"]["model"] >= trees["loss"]["model"]
                if mine["over_best"]["skill"] < 0:
                    behind_rules.append(f"{title(test)} at q {quantile} ({mine['over_best']['skill']:+.1f} %)")
        lines.append(f"**`{name}`** has less loss than the trees in {better} of {cells} cells below. It loses to the best rule of thumb on "
                     f"{', '.join(behind_rules) if behind_rules else 'no set'}. Added to the mixture of rules and trees it takes "
                     f"{gain(figures, name, True)} off the loss in the lab and {gain(figures, name, False)} on other networks.")
    return "\n\n".join(lines)


def gain(figures, name, in_lab):
    """Mean over cells, with the least and the most."""
    gains = [100 * (1 - with_net / without) for test, item in figures["sets"].items() if (test in TITLES) == in_lab
             for with_net, without in zip(item["mixture"][f"rules, trees, {name}"], item["mixture"]["rules, trees"])]
    return f"{sum(gains) / len(gains):+.1f} % ({min(gains):+.1f} … {max(gains):+.1f})" if gains else "nothing known"


def alone(figures):
    rows = []
    for test, item in figures["sets"].items():
        for name in NAMES:
            found = item["alone"][name]
            cells = [f"{interval(found['quantiles'][str(q)]['over_best'])} {found['quantiles'][str(q)]['best_naive']}" for q in figures["quantiles"]]
            rows.append([title(test), f"`{name}`", found["rows"], found["episodes"], *cells])
    return f"""## Alone

Skill is 1 − pinball loss ÷ that of the **best** of six rules of thumb with their offsets on the same rows, in %, with a 90 %
interval from draws of recordings. On other networks the rules have offsets of the network's learned half, so that they know of
it what the nets were taught; the trees do not.

{table(['rows', 'forecaster', 'count', 'recordings', *quantiles(figures)], rows)}"""


def together(figures):
    rows = []
    for test, item in figures["sets"].items():
        reference = item["mixture"]["rules"]
        for name, losses in item["mixture"].items():
            rows.append([title(test), name, *(f"{100 * (1 - loss / other):+.1f}" for loss, other in zip(losses, reference))])
    return f"""## In a mixture

Bernstein online aggregation from equal weights, as the agent mixes its experts, here with nothing else: no offsets tracked in
place, no regression learned in place, no prior. Skill in % over the mixture of the rules of thumb. It does not say what a net
would gain beside all of the agent's experts, some of which learn in place what a net was taught before.

{table(['rows', 'experts', *quantiles(figures)], rows)}"""


def coverage(figures):
    rows = [
        [title(test), f"`{name}`", *(f"{100 * share:.1f} %" for share in item["coverage"][name])]
        for test, item in figures["sets"].items() for name in NAMES
    ]
    return f"""## Coverage

Share of truths at or below the forecast quantile.

{table(['rows', 'forecaster', *quantiles(figures)], rows)}"""


def choice(figures):
    text = """## What was tried

Loss over that of max-10 with its offsets on unseen seeds, on training families left out of the search, and on series of other
networks left out of it: never on the rows above. The least mean is chosen, and then trained on all that is known for as many
steps as were best. *Imported*: share of a batch that comes from other networks.

"""
    for name, net in figures["nets"].items():
        rows = [[t["width"], t["depth"], "RTT" if t["rtt_only"] else "all", f"{100 * t['imported']:.0f} %", t["steps_trained"],
                 f"{t['seeds']:.3f}", f"{t['families']:.3f}", f"{t['networks']:.3f}" if "networks" in t else "–", f"{t['loss']:.3f}"] for t in net["tried"]]
        head = ["width", "layers", "channels", "imported", "steps", "seeds", "families", "networks", "mean"]
        text += f"`{name}`:\n\n{table(head, rows)}\n"
    return text


def again(figures):
    lines = [
        f"`{name}.onnx`: {net['bytes']} bytes, sha256 `{net['sha256']}`; at most {net['onnxruntime']:.1e} between training and onnxruntime, "
        f"{net['agent']:.1e} between onnxruntime and the agent, relative to max(1, |ln µs|)."
        for name, net in figures["nets"].items()
    ]
    return f"""## Again

`make train` runs this after the trees: {figures['episodes']} episodes, manifest `{figures['manifest_sha256'][:12]}`, sequence schema
`{figures['schema_hash'][:12]}`, {figures['seconds']} s for both nets on this machine. Seeds are fixed; the last digits depend on the processor.

""" + "\n".join(lines) + "\n"
