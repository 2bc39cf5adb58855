"""The gallery evaluation: who is a probe, what is chosen, and that it runs on a few people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_small import mini  # noqa: F401

from faceunc.errors import InputError
from faceunc.evaluation import recipes_gallery
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.recipes_gallery import ALL, CHOICES, KEEPS, gallery_rows, make_galleries
from faceunc.evaluation.setup import folder_bench
from faceunc.plots.recipes import save_gallery
from faceunc.protocols.lfw import read_pairs
from faceunc.training.loop import TrainOptions


def test_probes_are_never_candidates_and_sizes_are_kept() -> None:
    identities = ["a"] * 6 + ["b"] * 5 + ["c"] * 40 + ["d"] * 9
    usable = np.ones(len(identities), bool)
    usable[1] = False  # leaves "a" five photographs: too few
    made = make_galleries(identities, usable, seed=3)
    assert len(made.rows) == 2
    assert [len(rows) for rows in made.rows] == [15, 5]
    owners = np.array(identities)
    for number, name in enumerate("cd"):
        mine = made.probes[made.owner == number]
        assert set(owners[made.rows[number]]) == set(owners[mine]) == {name}
        assert not set(mine.tolist()) & set(made.rows[number].tolist())
        assert len(mine) == (5 if name == "c" else 4)
    again, other = make_galleries(identities, usable, seed=3), make_galleries(identities, usable, seed=4)
    np.testing.assert_array_equal(made.probes, again.probes)
    assert made.probes.tolist() != other.probes.tolist()
    with pytest.raises(InputError, match="two people with at least 50"):
        make_galleries(identities, usable, 3, least=50)


def test_clean_share() -> None:
    identities = [f"p{k // 20}" for k in range(4000)]
    made = make_galleries(identities, np.ones(4000, bool), seed=0)
    assert np.concatenate(made.degraded).mean() == pytest.approx(0.75, abs=0.03)


def test_every_rule_has_its_rows(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    original = make_galleries
    monkeypatch.setattr(recipes_gallery, "make_galleries", lambda *args: original(*args, least=3))
    options = EvalOptions(mini, variances=("scalar",), train=TrainOptions(steps=20))
    rows = gallery_rows(folder_bench(options, read_pairs(mini / "pairs.txt")), "scalar", 101)
    assert len(rows) == 4 * (len(CHOICES) * len(KEEPS) + 1)
    found = {tuple(row.labels.values()): row.figures for row in rows}
    for rule in CHOICES:  # nobody has more than three to choose from: five kept are all of them
        for pooling in recipes_gallery.POOLINGS:
            for probes in ("clean", "degraded"):
                assert found[probes, pooling, rule, 5] == pytest.approx(found[probes, pooling, ALL, "all"])
    flat = [{**row.labels, **row.figures, **{f"std {k}": 0.0 for k in row.figures}} for row in rows]
    save_gallery(flat, tmp_path / "g.png", "test")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
