"""``extract``: parts on disk, and what a run that died at an awkward moment leaves."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import faceunc
import faceunc.extract
from faceunc.backbones.precision import has_fast_bfloat16
from faceunc.errors import IncompatibleError, InputError
from faceunc.extract import extract
from faceunc.images.measures import Measures


@pytest.fixture(scope="module")
def embedder(tiny_head: Path) -> faceunc.Embedder:
    return faceunc.load(tiny_head, precision="float32", min_face_size=60)


def test_small_parts_equal_one_part(
    tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = extract(embedder, bush[:7], tmp_path / "one", show=False)
    monkeypatch.setattr(faceunc.extract, "_PART", 3)
    many = extract(embedder, bush[:7], tmp_path / "many", show=False)
    assert list(one.embeddings.ids) == list(many.embeddings.ids)
    # Landmarks depend on the batch by about 1e-5 px (float32 sums), and alignment rounds them to 1/32 px.
    np.testing.assert_allclose(one.embeddings.mean, many.embeddings.mean, rtol=0, atol=1e-4)
    assert len(many.quality) == 7
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == [
        "embeddings.json",
        "embeddings.safetensors",
        "failures.csv",
        "photos.csv",
        "report.json",
    ]


def test_parts_that_are_in_the_result_already_count_once(
    tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(faceunc.extract, "_finish", lambda *_: None)
        extract(embedder, bush[:3], tmp_path, show=False)
    shutil.copytree(tmp_path / "parts", tmp_path / "kept")
    extract(embedder, bush[:3], tmp_path, show=False)
    (tmp_path / "kept").rename(tmp_path / "parts")
    found = extract(embedder, bush[:4], tmp_path, show=False)
    assert list(found.embeddings.ids) == [str(path) for path in bush[:4]]
    assert len(found.quality) == 4


def test_facts_without_embeddings_are_an_unfinished_part(
    tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path]
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "000001.json").write_text("{")
    assert len(extract(embedder, bush[:2], tmp_path, show=False).embeddings) == 2


def test_fewer_facts_than_embeddings(tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path]) -> None:
    extract(embedder, bush[:2], tmp_path, show=False)
    facts = json.loads((tmp_path / "embeddings.json").read_text())
    (tmp_path / "embeddings.json").write_text(json.dumps({**facts, "quality": facts["quality"][:1]}))
    with pytest.raises(InputError, match="1 rows for 2 embeddings"):
        extract(embedder, bush[:2], tmp_path, show=False)


def test_measurements_are_kept(tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path]) -> None:
    found = extract(embedder, bush[:2], tmp_path, show=False)
    with (tmp_path / "photos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, quality in zip(rows, found.quality, strict=True):
        assert row["face_size"] == f"{quality.measures.face_size:.4f}"
        for name in ("blur", "brightness", "noise", "yaw", "roll", "outside"):
            assert row[name] == f"{getattr(quality.measures, name):.4f}"
    again = extract(embedder, bush[:2], tmp_path, show=False)
    assert [quality.measures for quality in again.quality] == [quality.measures for quality in found.quality]


def test_results_of_an_earlier_version_have_no_measurements(
    tmp_path: Path, embedder: faceunc.Embedder, bush: list[Path]
) -> None:
    extract(embedder, bush[:2], tmp_path, show=False)
    facts = json.loads((tmp_path / "embeddings.json").read_text())
    for row in facts["quality"]:
        del row["measures"]
    (tmp_path / "embeddings.json").write_text(json.dumps(facts))
    found = extract(embedder, bush[:3], tmp_path, show=False)
    assert [np.isnan(quality.measures.blur) for quality in found.quality] == [True, True, False]
    assert json.loads((tmp_path / "report.json").read_text())["photographs measured"] == 1


def test_a_batch_holds_the_chips_that_were_embedded(
    embedder: faceunc.Embedder, bush: list[Path], tmp_path: Path
) -> None:
    (batch,) = embedder.batches([bush[0], tmp_path / "none.jpg", bush[1]])
    assert len(batch.chips) == len(batch.embeddings) == 2
    again = embedder.embed_chips(np.stack(batch.chips), batch.embeddings.ids)
    np.testing.assert_allclose(again.mean, batch.embeddings.mean, atol=1e-6)


def test_nothing_given(tmp_path: Path, embedder: faceunc.Embedder) -> None:
    with pytest.raises(InputError, match="got none"):
        extract(embedder, [], tmp_path, show=False)


def test_only_failures(tmp_path: Path, embedder: faceunc.Embedder) -> None:
    found = extract(embedder, [tmp_path / "none.jpg"], tmp_path / "out", show=False)
    assert len(found.embeddings) == 0
    assert [failure.kind for failure in found.failures] == ["missing"]
    again = extract(embedder, [tmp_path / "none.jpg"], tmp_path / "out", show=False)
    assert again.failures == found.failures


def test_other_detection_settings_are_refused(tmp_path: Path, tiny_head: Path, bush: list[Path]) -> None:
    extract(faceunc.load(tiny_head), bush[:1], tmp_path / "out")
    with pytest.raises(IncompatibleError, match="detector"):
        extract(faceunc.load(tiny_head, aligned=True), bush[:2], tmp_path / "out")


def test_a_batch_closes_at_so_many_pixels(
    embedder: faceunc.Embedder, bush: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = faceunc.concatenate([batch.embeddings for batch in embedder.batches(bush[:3])])
    monkeypatch.setattr("faceunc.photo_batches._BATCH_PIXELS", 250 * 250)
    batches = list(embedder.batches(bush[:3]))
    assert [len(batch.embeddings) for batch in batches] == [1, 1, 1]
    assert [name for batch in batches for name in batch.embeddings.ids] == list(whole.ids)


def test_batches_side_by_side_equal_one_batch(embedder: faceunc.Embedder, bush: list[Path], tmp_path: Path) -> None:
    """Order, failures and figures do not depend on how photographs are shared out among threads."""
    bad = tmp_path / "bad.jpg"
    bad.write_text("a text")
    photos = [*bush[:5], bad, tmp_path / "none.jpg", *bush[5:11]]
    (whole,) = embedder.batches(photos)
    parts = list(embedder.batches(photos, batch_size=2))
    assert [len(part.embeddings) + len(part.failures) for part in parts] == [2] * 6 + [1]
    assert [name for part in parts for name in part.embeddings.ids] == list(whole.embeddings.ids)
    assert [failure for part in parts for failure in part.failures] == whole.failures
    mean = np.concatenate([part.embeddings.mean for part in parts])
    np.testing.assert_allclose(mean, whole.embeddings.mean, rtol=0, atol=1e-4)
    for one, two in zip((q for part in parts for q in part.quality), whole.quality, strict=True):
        assert (one.faces, one.measures.clipped) == (two.faces, pytest.approx(two.measures.clipped, abs=1e-3))
        assert one.measures.roll == pytest.approx(two.measures.roll, abs=1e-3)


def test_parts_that_keep_a_state_take_turns(tiny_head: Path, bush: list[Path]) -> None:
    """MC dropout, a detector's sigma and a backbone that is no torch module, in threads: as one after the other."""
    stateful = faceunc.load(tiny_head, precision="float32", min_face_size=60, mc_dropout=3)
    module = stateful.backbone
    inside: list[int] = []

    class Engine:
        spec, precision = module.spec, "float32"

        def __call__(self, chips: np.ndarray) -> object:
            inside.append(1)
            assert len(inside) == 1  # nobody else is in here
            output = module(chips)
            inside.pop()
            return output

    engine = faceunc.Embedder(Engine(), stateful.head, min_face_size=60, dropout=stateful.dropout)  # type: ignore[arg-type]
    (whole,) = stateful.batches(bush[:12])
    parts = list(engine.batches(bush[:12], batch_size=2))
    assert whole.embeddings.epistemic is not None
    epistemic = np.concatenate([part.embeddings.epistemic for part in parts])  # type: ignore[arg-type]
    np.testing.assert_allclose(epistemic, whole.embeddings.epistemic, rtol=0.02)


def test_the_fast_detector_is_told_apart(tmp_path: Path, tiny_head: Path, bush: list[Path]) -> None:
    fast = faceunc.load(tiny_head, precision="float32", detector="mtcnn-fast")
    found = extract(fast, bush[:3], tmp_path / "out", show=False)
    assert len(found.embeddings) == 3
    assert found.embeddings.meta["detector"] == "mtcnn-fast-largest-40-1280"
    with pytest.raises(IncompatibleError, match="detector"):
        extract(faceunc.load(tiny_head, precision="float32"), bush[:4], tmp_path / "out", show=False)
    with pytest.raises(InputError, match="mtcnn, mtcnn-fast"):
        faceunc.load(tiny_head, detector="yolo")


def test_a_result_goes_on_with_another_engine_of_its_precision(
    tmp_path: Path, tiny_head: Path, bush: list[Path]
) -> None:
    out = tmp_path / "out"
    extract(faceunc.load(tiny_head, engine="torch-fused", min_face_size=60), bush[:2], out, show=False)
    plain = faceunc.load(tiny_head, engine="torch", precision="float32", min_face_size=60)
    found = extract(plain, bush[:4], out, show=False)
    assert found.embeddings.meta["engine"] == "torch-fused + torch"
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["embedder"] == dict(found.embeddings.meta)
    if not has_fast_bfloat16():
        pytest.skip("this processor has no bfloat16")
    with pytest.raises(IncompatibleError, match="precision is 'float32' on one side, 'bfloat16'"):
        extract(faceunc.load(tiny_head, engine="torch-bf16", min_face_size=60), bush[:4], out, show=False)


def test_without_measures_everything_else_is_the_same(
    tmp_path: Path, embedder: faceunc.Embedder, tiny_head: Path, bush: list[Path]
) -> None:
    quick = faceunc.load(tiny_head, precision="float32", min_face_size=60, measure=False)
    (whole,), (less,) = embedder.batches(bush[:3]), quick.batches(bush[:3])
    np.testing.assert_array_equal(less.embeddings.mean, whole.embeddings.mean)
    for one, other in zip(less.quality, whole.quality, strict=True):
        assert (
            replace(one, measures=Measures())
            == replace(other, measures=Measures())
            == replace(one, measures=Measures())
        )
        assert not math.isnan(other.measures.blur)
        assert math.isnan(one.measures.blur)
        assert one.measures.face_size == other.face_size
    extract(quick, bush[:3], tmp_path, show=False)
    rows = list(csv.DictReader((tmp_path / "photos.csv").open()))
    assert [row["blur"] for row in rows] == [""] * 3
    assert all(float(row["face_size"]) > 60 for row in rows)
