"""The controls on tiny data: `python -m unittest discover -s models/training`."""

import pathlib
import tempfile
import unittest

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet

import controls


def line(losses, rows=100):
    return {"pinball": {"rows": rows, "model": losses}}


def chances(base_rate, average_precision):
    return {"base_rate": base_rate, "average_precision": average_precision}


def series(seed, seconds=600):
    """Rows of a series with a memory of seconds, as extract writes them: ln RTT follows a random walk that returns."""
    random = np.random.default_rng(seed)
    ln, values = 0.0, []
    for _ in range(seconds + 10):
        ln = 0.7 * ln + random.normal(0, 0.3)
        values.append(20_000 * np.exp(ln))
    values = np.array(values)
    label = np.array([values[at + 1:at + 11].max() for at in range(seconds)])
    back = lambda lag: np.log(np.concatenate([np.full(lag, values[0]), values])[:seconds])
    # A clock, as drifting levels are one: with it rows at random are recognised by their neighbours.
    return pandas.DataFrame({"tick": np.arange(seconds), "target": "t", "recording": seed, "rtt_a": back(0),
                             "rtt_b": back(1), "rtt_c": np.arange(seconds) / 10.0, controls.LABEL: label})


class Controls(unittest.TestCase):
    def test_shuffling_keeps_ticks_and_moves_whole_seconds_within_their_target(self):
        with tempfile.TemporaryDirectory() as directory:
            source, out = pathlib.Path(directory, "a.parquet"), pathlib.Path(directory, "b.parquet")
            seconds, uids = list(range(50)) * 2, ["u0"] * 50 + ["u1"] * 50
            schema = pyarrow.schema([
                pyarrow.field("tick", pyarrow.int64(), nullable=False), pyarrow.field("unix_ms", pyarrow.int64(), nullable=False),
                pyarrow.field("monotonic_ns", pyarrow.int64(), nullable=False), pyarrow.field("target", pyarrow.string(), nullable=False),
                pyarrow.field("uid", pyarrow.string(), nullable=False), pyarrow.field("rtt_max_us", pyarrow.float32()),
                pyarrow.field("tx_bytes", pyarrow.float32()),
            ], metadata={"netprecursor.kernel": "6"})
            rtt = [float(s) if u == "u0" else 1_000.0 + s for s, u in zip(seconds, uids)]
            table = pyarrow.table([seconds, seconds, seconds, uids, uids, rtt, [2 * us for us in rtt]], schema=schema)
            pyarrow.parquet.write_table(table, source)
            controls.shuffle(source, out)
            moved = pyarrow.parquet.read_table(out)
            self.assertEqual(moved.schema, table.schema)
            self.assertEqual(moved.schema.metadata[b"netprecursor.kernel"], b"6")
            frame = moved.to_pandas()
            self.assertEqual(frame["tick"].tolist(), seconds)
            self.assertNotEqual(frame["rtt_max_us"].tolist(), rtt)
            self.assertEqual(sorted(frame["rtt_max_us"]), sorted(rtt))
            self.assertTrue((frame["tx_bytes"] == 2 * frame["rtt_max_us"]).all(), "a second stays whole")
            self.assertTrue((frame.loc[frame["uid"] == "u1", "rtt_max_us"] >= 1_000).all(), "targets stay apart")
            again = pathlib.Path(directory, "again", "a.parquet")
            again.parent.mkdir()
            controls.shuffle(source, again)
            self.assertTrue(frame.equals(pandas.read_parquet(again)), "the order is the same each time")

    def test_no_skill_and_the_base_rate_are_no_leak(self):
        constants = {q: 0.1 for q in controls.QUANTILES}
        found = controls.verdict([line(dict.fromkeys(controls.QUANTILES, 0.105))], chances(0.05, 0.06), constants)
        self.assertFalse(found["leaks"])
        self.assertAlmostEqual(found["skill_over_constant"]["0.9"], -5.0)

    def test_skill_where_nothing_announces_anything_is_a_leak(self):
        constants = {q: 0.1 for q in controls.QUANTILES}
        self.assertTrue(controls.verdict([line(dict.fromkeys(controls.QUANTILES, 0.05))], chances(0.05, 0.05), constants)["leaks"])
        # Targets that breach more often than others are told apart without any leak.
        self.assertFalse(controls.verdict([line(dict.fromkeys(controls.QUANTILES, 0.1))], chances(0.05, 0.5), constants)["leaks"])

    def test_recordings_without_rows_have_no_figures_and_do_not_fail(self):
        empty = line(dict.fromkeys(controls.QUANTILES), rows=0)
        found = controls.verdict([empty], chances(None, None), {})
        self.assertEqual((found["rows"], found["skill_over_constant"], found["leaks"]), (0, {}, False))
        self.assertIsNone(controls.flatter(series(1, seconds=50)))

    def test_hindsight_chooses_a_constant_for_each_target(self):
        rows = pandas.DataFrame({"recording": 0, "target": ["a", "b"] * 50, controls.LABEL: [10.0, 1_000.0] * 50})
        self.assertTrue(all(loss < 1e-12 for loss in controls.constant_losses(rows).values()))

    def test_smoothing_and_a_random_split_flatter(self):
        found = controls.flatter(pandas.concat([series(seed) for seed in range(4)], ignore_index=True))
        self.assertGreater(found["smoothed, rows at random"], found["as forecasts are met"] + 0.2)
        self.assertIsNotNone(controls.flatter(series(1))["as forecasts are met"], "a single recording is split in time")

    def test_the_report_prints_both_kinds_side_by_side(self):
        item = {"name": "set", "note": "n", "controls": {
            "shuffled": {"base_rate": 0.05, "average_precision": 0.06, "skill_over_constant": {"0.5": -1.0}, "leaks": False},
            "flattered": {"smoothed, rows at random": 0.97, "as forecasts are met": None}}}
        row = controls.text({"sets": [item, {"name": "without"}]})[-1]
        self.assertEqual(row, "| set (n) | 5.0 % | 0.06 | -1.0 / – / – | no | 0.97 | – |")
        self.assertEqual(controls.text({"sets": [{"name": "without"}]}), [])


if __name__ == "__main__":
    unittest.main()
