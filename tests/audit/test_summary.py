"""Figures of an audit on embeddings whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from faceunc.audit.collect import Audit, Degraded
from faceunc.audit.limits import Limit, known_quantiles, reference, refusal_limit
from faceunc.audit.summary import MEASURES, measured, summarise
from faceunc.heads.shipped import head_path, shipped_names
from faceunc.heads.store import load_head
from faceunc.images.degrade import Degradation
from faceunc.photo_batches import Failure

MakeAudit = Callable[..., Audit]


def test_counts_people_and_correlations(make_audit: MakeAudit) -> None:
    sigma = [0.01 * (number + 1) for number in range(21)]
    figures = summarise(make_audit(sigma), Limit(0.165, "by hand"))
    assert figures["refusal"]["beyond"] == 5
    assert [row["photo"] for row in figures["poor"]] == ["20.jpg", "19.jpg", "18.jpg", "17.jpg", "16.jpg"]
    people = {row["person"]: row for row in figures["people"]}
    assert set(people) == {"a", "b"}
    assert (people["a"]["photographs"], people["a"]["beyond"]) == (10, 2)
    assert not people["a"]["refused"]
    found = figures["correlations"]
    assert set(found) == set(MEASURES)
    assert found["sharpness"]["rank correlation"] == pytest.approx(-1)
    assert found["turned"]["rank correlation"] == pytest.approx(1)
    assert found["brightness"] == {"photographs": 0, "rank correlation": None}
    assert found["norm"]["rank correlation"] == 0
    group = figures["groups"]["set"]
    assert group["50%"] == pytest.approx(2 * np.log(0.11), abs=1e-5)
    assert figures["dimensions"] is None
    json.dumps(figures, allow_nan=False)


def test_everybody_beyond_the_limit_is_refused_altogether(make_audit: MakeAudit) -> None:
    figures = summarise(make_audit([0.3, 0.1, 0.4, 0.4, 0.2]), Limit(0.25, "by hand"))
    assert [(row["person"], row["refused"], row["share"]) for row in figures["people"]] == [
        ("a", True, 1.0),
        ("b", False, 0.5),
    ]


def test_one_photograph(make_audit: MakeAudit) -> None:
    figures = summarise(make_audit([0.1]), Limit(0.2, "by hand"))
    assert figures["embedded"] == 1
    assert figures["correlations"]["sharpness"]["rank correlation"] is None
    assert figures["people"] == []
    json.dumps(figures, allow_nan=False)


def test_groups_and_failures_and_degraded(make_audit: MakeAudit) -> None:
    one = make_audit([0.1] * 12, dim=4)
    how = [Degradation("blur", number / 12, 0) for number in range(12)]
    degraded = Degraded(one.photos, how, np.arange(12, dtype=np.float32))
    both = Audit(
        one.embeddings,
        one.quality,
        ["x"] * 4 + ["y"] * 8,
        one.person,
        [Failure("c/bad.jpg", "no_face", "bad.jpg: no face")],
        ["c"],
        degraded,
    )
    figures = summarise(both, Limit(0.2, "by hand"))
    assert [(name, row["photographs"]) for name, row in figures["groups"].items()] == [("all", 12), ("x", 4), ("y", 8)]
    assert figures["failures"] == {"no_face": 1}
    assert figures["photographs"] == 13
    assert figures["people"][0] == {
        "person": "c",
        "photographs": 1,
        "unusable": 1,
        "beyond": 0,
        "share": 1.0,
        "median sigma": None,
        "refused": True,
    }
    assert figures["degraded"]["blur"]["rank correlation"] == pytest.approx(1)
    assert figures["dimensions"]["within a photograph"] == pytest.approx(0)


def test_face_without_landmarks_has_no_pose(make_audit: MakeAudit) -> None:
    assert np.isnan(measured(make_audit([0.1, 0.2]))["brightness"]).all()
    np.testing.assert_allclose(measured(make_audit([0.1, 0.2]))["turned"], [0.1, 0.2])


def test_limits(make_audit: MakeAudit) -> None:
    own = make_audit([0.01 * (number + 1) for number in range(100)]).embeddings
    assert refusal_limit(own, sigma=0.5).sigma == 0.5
    assert (own.sigma > refusal_limit(own).sigma).mean() == pytest.approx(0.05, abs=0.011)
    assert (own.sigma > refusal_limit(own, share=0.3).sigma).mean() == pytest.approx(0.3, abs=0.011)
    assert "these very photographs" in refusal_limit(own).origin
    sha = next(iter(reference()))
    known = make_audit([0.1], meta={"head_sha256": sha}).embeddings
    quantiles = known_quantiles(known)
    assert quantiles is not None
    assert refusal_limit(known).sigma == pytest.approx(quantiles[95])
    assert refusal_limit(known, share=0.1).sigma == pytest.approx(quantiles[90])
    assert "LFW" in refusal_limit(known).origin


def test_every_shipped_head_has_its_reference() -> None:
    """Fails when heads were trained anew and scripts/sigma_reference was not run."""
    assert {load_head(head_path(name)).sha256 for name in shipped_names()} == set(reference())
    for entry in reference().values():
        assert (np.diff(entry["sigma"]) >= 0).all()
        assert len(entry["sigma"]) == 101
        assert entry["cross-fitted sigma"][95] == pytest.approx(entry["sigma"][95], rel=0.05)
