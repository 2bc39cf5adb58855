"""``faceunc report`` on real photographs: the page, its JSON and the contact sheet; odd names; too few photographs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceunc.cli import main
from faceunc.embeddings import Embeddings


def report(photos: list[Path], out: Path, head: Path, *more: str) -> int:
    options = ["--head", str(head), "--precision", "float32", "--threads", "2", "--min-face-size", "60"]
    return main(["report", *map(str, photos), "-o", str(out), *options, *more])


@pytest.fixture
def folder(tmp_path: Path, bush: list[Path]) -> Path:
    """Two people, one with an odd name, and photographs that cannot be used."""
    people = tmp_path / "people"
    odd = people / '<i> & "odd" $x_1$'
    (people / "bush").mkdir(parents=True)
    odd.mkdir()
    for number, path in enumerate(bush[:12]):
        shutil.copy(path, (odd if number % 3 == 0 else people / "bush") / path.name)
    shutil.copy(bush[12], os.fsdecode(os.fsencode(odd) + b"/bytes\xff\xfe.jpg"))
    (odd / "text.jpg").write_text("no image")
    Image.fromarray(np.full((90, 90, 3), 128, np.uint8)).save(people / "bush" / "grey.png")
    return people


def test_report(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit.html"
    assert report([folder], out, Path("dlib-pfe"), "--degrade", "1", "--refuse-sigma", "0.001") == 0
    printed = capsys.readouterr().out
    assert (
        "13 of 15 photographs embedded (1 no_face, 1 not_an_image)" in printed or "1 not_an_image, 1 no_face" in printed
    )
    figures = json.loads(out.with_suffix(".json").read_text())
    assert (figures["photographs"], figures["embedded"]) == (15, 13)
    assert {row["person"] for row in figures["people"]} == {"bush", '<i> & "odd" $x_1$'}
    assert sum(row["photographs"] for row in figures["people"]) == 15
    assert sum(row["unusable"] for row in figures["people"]) == 2
    sigma = Embeddings.load(tmp_path / "audit.embeddings" / "embeddings.safetensors").sigma
    assert figures["refusal"]["beyond"] == len(figures["poor"]) == len(sigma)
    assert figures["poor"][0]["sigma"] == pytest.approx(float(sigma.max()), abs=1e-6)
    assert figures["degraded"]["all kinds"]["photographs"] == 13
    text = out.read_text("utf-8")
    assert "&lt;i&gt; &amp; &quot;odd&quot;" in text
    assert "<i>" not in text
    assert "bytes\ufffd\ufffd.jpg" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<script" not in text
    assert text.count("data:image/png") == 4  # log_var, its dimensions, sigma against measures, severity
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.width > 500


def test_embeddings_of_faceunc_embed_are_used(
    tmp_path: Path, tiny_head: Path, bush: list[Path], count_reads: list[str]
) -> None:
    options = ["--head", str(tiny_head), "--precision", "float32", "--min-face-size", "60"]
    assert main(["embed", *map(str, bush[:3]), "-o", str(tmp_path / "out"), *options]) == 0
    count_reads.clear()
    assert report(bush[:2], tmp_path / "a.html", tiny_head, "--embedded", str(tmp_path / "out")) == 0
    assert sorted(count_reads) == sorted(map(str, bush[:2]))  # once, for the faces that are shown
    assert not (tmp_path / "a.embeddings").exists()
    assert json.loads((tmp_path / "a.json").read_text())["embedded"] == 2


def test_one_photograph(tmp_path: Path, tiny_head: Path, bush: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert report(bush[:1], tmp_path / "one.html", tiny_head, "--degrade", "0") == 0
    assert "Only 1 photograph could be used" in capsys.readouterr().out
    text = (tmp_path / "one.html").read_text("utf-8")
    assert "too few" in text
    assert "Only 1 photograph could be used" in text


def test_no_usable_photograph(tmp_path: Path, tiny_head: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    assert report([tmp_path / "a.jpg"], tmp_path / "none.html", tiny_head) == 2
    assert "nothing to report" in capsys.readouterr().err
    assert not (tmp_path / "none.html").exists()


def test_a_page_ends_in_html(tmp_path: Path, tiny_head: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([tmp_path], tmp_path / "page.pdf", tiny_head) == 2
    assert ".html" in capsys.readouterr().err


def test_the_head_knows_these_people(
    tmp_path: Path, tiny_head: Path, bush: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([bush[0].parent / bush[0].name, bush[1]], tmp_path / "a.html", tiny_head) == 0
    assert "trained on 1 people" in capsys.readouterr().out
    assert "trained on 1 people" in (tmp_path / "a.html").read_text("utf-8")
