"""The evaluation of strange inputs on a few people of LFW."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_small import mini  # noqa: F401

from faceunc.evaluation import recipes_strange
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.recipes_strange import CLEAN, DETECTOR, MEASURES, POOR, STRANGE, strange_bench, strange_rows
from faceunc.plots.recipes import save_strange
from faceunc.protocols.lfw import read_pairs
from faceunc.recipes import face_reference
from faceunc.training.crossfit import hash_identities
from faceunc.training.loop import TrainOptions


def test_everything_is_told_apart_from_faces(
    mini: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes_strange, "MEMBERS", 2)
    monkeypatch.setattr(face_reference, "LEAST_RATIO", 0)
    pairs = read_pairs(mini / "pairs.txt")
    made = strange_bench(EvalOptions(mini, train=TrainOptions(steps=20)), pairs, 101)
    names = np.array(made.bench.source.photos.identities)
    tested, known = set(names[made.test]), set(names[made.reference])
    assert len(tested) == len(made.test) == 12
    assert not tested & known
    for bench in made.members:  # no head has met anybody who is tested
        for fit in bench.heads.values():
            assert not set(fit.heads[0].card["identity_hashes"]) & set(hash_identities(tested))
    everybody = replace(made, reference=np.flatnonzero(np.isin(names, sorted(known))))  # 48 chips to fit on
    rows, values = strange_rows(everybody, 101)
    assert len(rows) == len(MEASURES) * (2 + len(STRANGE))
    assert set(values) == set(MEASURES)
    found = {(row.labels["measure"], row.labels["set"]): row.figures for row in rows}
    assert set(found["distance", CLEAN]) == {"flagged"}
    assert "AUROC from clean faces" in found["distance", POOR]
    assert "AUROC from degraded faces" not in found["distance", POOR]
    assert all(0.0 <= value <= 1.0 for figures in found.values() for value in figures.values())
    assert found[DETECTOR, "textures"]["AUROC from clean faces"] > 0.95
    assert found[DETECTOR, "textures"]["FPR95 from clean faces"] < 0.1
    flat = [{**row.labels, **row.figures, **{f"std {k}": 0.0 for k in row.figures}} for row in rows]
    save_strange(flat, tmp_path / "s.png", "test", POOR)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
