"""Every protocol from its own files, by the command line, on a few faces of LFW in the real formats."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from faceunc.cli import main
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.fusion_fit import FusionFit, fit_both, halves
from faceunc.evaluation.ijb import evaluate_ijb
from faceunc.evaluation.pairs import CHIP_POINTS, CHIP_SIDE
from faceunc.evaluation.report import averaged
from faceunc.evaluation.setup import protocol_bench
from faceunc.evaluation.template_bench import FAILED, Method, TemplateBench
from faceunc.images.align import align_face
from faceunc.images.annotated import given_landmarks
from faceunc.images.detect import FaceDetector
from faceunc.images.photos import PhotoSet, identity_folder
from faceunc.images.read import read_image
from faceunc.protocols.make_ijb import make_ijb
from faceunc.protocols.megaface import write_feature
from faceunc.protocols.template_set import Search, TemplatePairs, TemplateSet
from faceunc.scoring.pooling import Pooling
from faceunc.training.crossfit import hash_identities
from faceunc.training.loop import TrainOptions

Photos = dict[str, list[Path]]
PEOPLE, EACH = 10, 5


@pytest.fixture(scope="module")
def photos(lfw: Path) -> Photos:
    """Five photographs each of ten people."""
    people = [p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= EACH][:PEOPLE]
    return {person.name: sorted(person.glob("*.jpg"))[:EACH] for person in people}


def evaluate(words: list[str], head: Path, out: Path) -> dict[str, object]:
    """Run ``faceunc eval`` with an untrained head; the result, and its table and picture checked."""
    assert main(["eval", *words, "--head", str(head), "--json", str(out)]) == 0
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "TAR@FAR" in out.with_suffix(".txt").read_text()
    result: dict[str, object] = json.loads(out.read_text())
    return result


def best(result: dict[str, object], figure: str, **labels: str) -> float:
    """The one figure of the row with these labels."""
    rows = [row for row in result["rows"] if all(row[k] == v for k, v in labels.items())]  # type: ignore[attr-defined]
    assert len(rows) == 1
    return float(next(value for key, value in rows[0].items() if key.removesuffix(" (few)") == figure))


def test_cfp(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    """Ten splits of five pairs each way; one image is missing: its pairs stay, as failures."""
    root, lists = tmp_path / "cfp", {"F": [], "P": []}
    for person, (name, paths) in enumerate(photos.items(), 1):
        for kind, folder, chosen in (("F", "frontal", paths[:3]), ("P", "profile", paths[3:])):
            for number, path in enumerate(chosen, 1):
                place = root / "Data" / "Images" / f"{person:03d}" / folder / f"{number:02d}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
                lists[kind].append(f"../{place.relative_to(root)}")
        assert name
    (root / "Data" / "Images" / "001" / "profile" / "01.jpg").unlink()
    protocol = root / "Protocol"
    for fold in range(10):
        folder = protocol / "Split" / "FP" / f"{fold + 1:02d}"
        folder.mkdir(parents=True)
        same = [(3 * p + fold % 3 + 1, 2 * p + fold % 2 + 1) for p in range(5)]
        others = [(p + 1 + fold) % 10 for p in range(5)]
        diff = [(3 * p + 1, 2 * (other if other != p else p + 2) + 1) for p, other in enumerate(others)]
        for file, pairs in (("same.txt", same), ("diff.txt", diff)):
            (folder / file).write_text("".join(f"{a},{b}\n" for a, b in pairs))
    for kind, names in lists.items():
        (protocol / f"Pair_list_{kind}.txt").write_text("".join(f"{i} {n}\n" for i, n in enumerate(names, 1)))
    result = evaluate(["cfp", str(root)], tiny_head, tmp_path / "out.json")
    assert result["protocol"] == {
        "pairs": 100,
        "genuine": 50,
        "failed to enrol": 1,
        "pairs that they are in": 9,
    }  # 5 genuine
    assert result["data"]["unreadable"] == 1  # type: ignore[index]
    # five genuine pairs have no score: no threshold finds them
    assert 0.7 < best(result, "TAR@FAR 0.1", score="cosine") <= 0.9


def test_bin(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    detector, chips, same = FaceDetector("central"), [], []
    names = list(photos)
    for row in range(40):
        name = names[row % PEOPLE]
        other = name if row < 20 else names[(row + 1) % PEOPLE]
        for path in (photos[name][0], photos[other][1 + row // 10 % 2]):
            image = read_image(path)
            found = detector([image])[0]
            assert found is not None
            chips.append(align_face(image, found.landmarks, CHIP_POINTS, CHIP_SIDE))
        same.append(row < 20)
    order = [i for pair in zip(range(0, 20), range(20, 40), strict=True) for i in pair]
    chips = [chips[2 * i + side] for i in order for side in (0, 1)]
    path = tmp_path / "small.bin"
    path.write_bytes(pickle.dumps((chips, [same[i] for i in order]), protocol=2))
    result = evaluate(["bin", str(path), "--flip"], tiny_head, tmp_path / "out.json")
    assert result["evaluation"] == "small"
    assert best(result, "accuracy", score="cosine") > 0.95


def test_pairs_of_one_kind_are_refused_in_one_line(
    photos: Photos, tiny_head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chips = [np.zeros((112, 112, 3), np.uint8)] * 40
    for number, same in enumerate(([True] * 20, [True] * 19 + [False])):
        path = tmp_path / f"{number}.bin"
        own = [chip + np.uint8(i) for i, chip in enumerate(chips)]
        path.write_bytes(pickle.dumps((own, same)))
        assert main(["eval", "bin", str(path), "--head", str(tiny_head)]) == 2
        assert "expected genuine and impostor pairs" in capsys.readouterr().err


def test_without_the_1n_files_nobody_is_named(photos: Photos, tmp_path: Path) -> None:
    """The reader then numbers subjects by itself: the names of subjects.csv must not go to others."""
    people, made = tmp_path / "people", tmp_path / "made"
    for name, paths in list(photos.items())[:4]:
        (people / name).mkdir(parents=True)
        for path in paths:
            (people / name / path.name).symlink_to(path)
    make_ijb(identity_folder(people), made, tmp_path / "cache")
    for path in (made / "meta").glob("ijbc_1N_*"):
        path.unlink()
    train = TrainOptions(steps=20)
    report = evaluate_ijb(EvalOptions(made, train_on=people, train=train, cache=tmp_path / "cache"), "ijbc")
    assert list(report.bench.people.values())[:2] == [0, 0]
    assert "cannot be checked" in report.table()


def test_ytf(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    """Two videos of each person; one of the videos is missing."""
    root, names = tmp_path / "videos", list(photos)
    for name, paths in photos.items():
        for video, frames in ((1, paths[:2]), (2, paths[2:])):
            (root / name / str(video)).mkdir(parents=True)
            for frame, path in enumerate(frames):
                (root / name / str(video) / f"{video}.{frame}.jpg").symlink_to(path)
    for path in (root / names[0] / "2").iterdir():
        path.unlink()
    lines = ["split number, first name, second name, is same"]
    for split in range(1, 11):
        own, other = names[split - 1], names[split % PEOPLE]
        lines += [f"{split}, {own}/1, {own}/2, 1", f"{split}, {own}/1, {other}/2, 0"]
    (root / "splits.txt").write_text("\n".join(lines) + "\n")
    result = evaluate(["ytf", str(root), "--sample", "2"], tiny_head, tmp_path / "out.json")
    assert result["protocol"]["failed to enrol"] == 1  # type: ignore[index]
    assert result["frames of a video"] == "2, evenly spaced"
    assert best(result, "TAR@FAR 0.1", pooling="mean of images", score="cosine") == pytest.approx(0.9)


def test_ijba(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    """Boxes of the whole photograph's middle; two splits."""
    root = tmp_path / "ijba"
    header = "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
    for split in (1, 2):
        (root / f"split{split}").mkdir(parents=True)
        rows, comparisons = [header], []
        for person, (name, paths) in enumerate(photos.items()):
            for number, path in enumerate(paths):
                rows.append(
                    f"{2 * person + number % 2},{person},{name}/{path.name},{10 * person + number},70,60,110,130"
                )
            comparisons += [f"{2 * person},{2 * person + 1}", f"{2 * person},{(2 * person + 3) % (2 * PEOPLE)}"]
        (root / f"split{split}" / f"verify_metadata_{split}.csv").write_text("\n".join(rows) + "\n")
        (root / f"split{split}" / f"verify_comparisons_{split}.csv").write_text("\n".join(comparisons) + "\n")
    images = next(iter(photos.values()))[0].parents[1]
    result = evaluate(["ijba", str(root), "--images", str(images)], tiny_head, tmp_path / "out.json")
    assert result["data"]["found"] >= 48  # type: ignore[index]
    assert best(result, "TAR@FAR 0.01", pooling="mean of media", score="cosine") >= 0.9


def test_made_protocol_from_end_to_end(photos: Photos, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """make-ijb, check, and eval ijbc with heads cross-fitted on the same people."""
    people, made, out = tmp_path / "people", tmp_path / "made", tmp_path / "out.json"
    for name, paths in photos.items():
        (people / name).mkdir(parents=True)
        for path in paths:
            (people / name / path.name).symlink_to(path)
    assert main(["protocol", "make-ijb", str(people), "-o", str(made)]) == 0
    assert main(["protocol", "check", str(made)]) == 0
    words = ["eval", "ijbc", str(made), "--train-on", str(people), "--steps", "20", "--flip", "--json", str(out)]
    assert main(words) == 0
    result = json.loads(out.read_text())
    assert [row["score"] for row in result["rows"]].count("mls fitted") == 2
    assert result["protocol"]["galleries"] == {"G1": 5, "G2": 5}
    assert best(result, "rank-1", pooling="mean of media", score="cosine") > 0.6
    assert best(result, "TAR@FAR 0.1", pooling="mean of media", score="cosine") > 0.6
    assert set(result["fusion fitted (scalar)"]) == {"for part 0", "for part 1"}
    assert result["people of the protocol"]["images of named people, held out"] == result["protocol"]["images"]
    assert result["training"]["on"]["folder"] == "people"
    capsys.readouterr()
    assert main(["eval", "ijbc", str(made)]) == 2  # the shipped head knows LFW's people
    assert "give --train-on PEOPLE" in capsys.readouterr().err
    assert main(["eval", "ijbc", str(made), "--norm"]) == 2
    assert "--norm is for heads that are cross-fitted" in capsys.readouterr().err


def test_nobody_is_embedded_or_fused_by_what_met_them(photos: Photos, tmp_path: Path) -> None:
    """The head of every row, and the halves that its fusion was fitted on, against the person on the row."""
    people = tmp_path / "people"
    for name, paths in photos.items():
        (people / name).mkdir(parents=True)
        for path in paths:
            (people / name / path.name).symlink_to(path)
    names = [name for name in photos for _ in range(2)] + ["Somebody_Else"]
    images = tuple(f"{name}/{photos[name][i % 2].name}" for i, name in enumerate(names[:-1]))
    set_ = PhotoSet(people, (*images, images[0]))
    points = np.tile(np.float32([[105, 113], [147, 112], [126, 137], [108, 159], [145, 158]]), (len(names), 1, 1))
    landmarks, kind = given_landmarks(set_, points, None, tmp_path / "cache")
    train = TrainOptions(steps=20)
    options = EvalOptions(people, precision="float32", train_on=people, train=train, cache=tmp_path / "cache")
    bench = protocol_bench(options, set_, landmarks, kind, names)
    assert bench.training is not None
    assert list(bench.people.values()) == [len(images), 1, 0]
    everybody = set(photos)
    for variance, fit in bench.heads.items():
        for row, name in enumerate(names[:-1]):
            used = fit.heads[fit.part[row]]
            assert not set(hash_identities([name])) & set(used.card["identity_hashes"])
        for part in (0, 1):
            tested = {name for row, name in enumerate(names[:-1]) if fit.part[row] == part}
            train_half, fit_half = halves(bench.training, variance, part)
            assert not tested & (train_half | fit_half)
            assert not train_half & fit_half
            assert tested | train_half | fit_half == everybody
        fits = fit_both(bench.training, variance)
        assert [f.centre for f in fits] == [head.head.config.centre for head in fit.heads]
        assert fit_both(bench.training, variance) == fits  # from the cache
    unnamed = protocol_bench(options, set_, landmarks, kind, [""] * len(names))
    assert "cannot be checked" in unnamed.warnings[0]


def test_each_part_is_pooled_by_its_own_fit(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    names = list(photos)[:2]
    images = tuple(f"{name}/{path.name}" for name in names for path in photos[name][:2])
    set_ = PhotoSet(photos[names[0]][0].parents[1], images)
    points = np.tile(np.float32([[105, 113], [147, 112], [126, 137], [108, 159], [145, 158]]), (4, 1, 1))
    landmarks, kind = given_landmarks(set_, points, None, tmp_path / "cache")
    options = EvalOptions(tmp_path, precision="float32", head=tiny_head, cache=tmp_path / "cache")
    bench = protocol_bench(options, set_, landmarks, kind, [""] * 4)
    variance = bench.head_names[0]
    bench.heads[variance].part[2:] = 1
    template = np.array([0, 0, 1, 1])
    templates = TemplateSet(images, template, np.arange(4), np.arange(2), np.array([0, 1]))
    seen = TemplateBench(bench, templates)
    fits = (FusionFit(1.0, 0.0, -7.0), FusionFit(1.0, 1.0, -7.0))
    both = seen.pool_fitted(variance, fits)
    for part, fit in enumerate(fits):
        alone = seen.pool_fitted(variance, (fit, fit))
        np.testing.assert_array_equal(both.log_var[part], alone.log_var[part])
        assert not np.array_equal(both.log_var[part], seen.pool_fitted(variance, fits[::-1]).log_var[part])


def test_what_fails_to_enrol_stays_in_every_count(photos: Photos, tiny_head: Path, tmp_path: Path) -> None:
    """Templates: two of one person, one of another, one whose only image has no face."""
    names = list(photos)
    root = photos[names[0]][0].parents[1]
    images = [f"{n}/{p.name}" for n, p in ((names[0], photos[names[0]][0]), (names[0], photos[names[0]][1]))]
    images += [f"{names[1]}/{photos[names[1]][0].name}", "nobody/there.jpg"]
    rows = np.arange(4)
    templates = TemplateSet(tuple(images), rows, rows, rows, np.array([7, 7, 8, 8]))
    set_ = PhotoSet(root, tuple(images))
    points = np.tile(np.float32([[105, 113], [147, 112], [126, 137], [108, 159], [145, 158]]), (4, 1, 1))
    landmarks, kind = given_landmarks(set_, points, np.array([1, 1, 1, 0], np.float32), tmp_path / "cache")
    options = EvalOptions(tmp_path, precision="float32", head=tiny_head, cache=tmp_path / "cache")
    bench = protocol_bench(options, set_, landmarks, kind, [""] * 4)
    seen = TemplateBench(bench, templates)
    assert (seen.failed, seen.enrolled.tolist()) == (1, [0, 1, 2])
    method = Method("", "", Pooling("equal"), "", bench.head_names[0], "cosine")
    pooled = seen.pool(method)
    pairs = TemplatePairs(np.array([0, 0, 2]), np.array([1, 2, 3]), np.array([True, False, True]))
    scores = seen.verify(pooled, pairs, "cosine", False)
    assert scores[0] > scores[1] > scores[2] == FAILED
    found = seen.identify(pooled, Search("G1", np.array([0, 3]), np.array([1, 2])), "cosine", False)
    assert found.mated.tolist() == [True, True]
    assert found.rank.tolist() == [1, 2]  # the mate of the second probe is in the gallery, but could not be enrolled


def test_few_in_one_split_is_few_in_the_mean() -> None:
    rows = [{"TAR@FAR 0.001 (few)": 0.5, "far at 0.001": 0.0}, {"TAR@FAR 0.001": 0.7, "far at 0.001": 0.001}]
    for order in (rows, rows[::-1]):
        found = averaged(order, "over splits")
        assert found["TAR@FAR 0.001 (few)"] == pytest.approx(0.6)
        assert found["std TAR@FAR 0.001 over splits"] == pytest.approx(0.1)


def test_megaface(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(4, 16))
    probes = [(f"p{i % 4}/{i}.jpg", f"p{i % 4}", centre[i % 4] + 0.3 * rng.normal(size=16)) for i in range(12)]
    distractors = [(f"d/{i}.jpg", rng.normal(size=16)) for i in range(200)]
    distractors[5] = ("d/5.jpg", centre[0])  # a probe's person among the distractors: the known noise
    for name, feature in [(n, f) for n, _, f in probes] + distractors:
        write_feature(tmp_path / "features" / f"{name}_m.bin", feature.astype(np.float32))
    (tmp_path / "p.json").write_text(json.dumps({"path": [p[0] for p in probes], "id": [p[1] for p in probes]}))
    (tmp_path / "d.json").write_text(json.dumps({"path": [d[0] for d in distractors]}))
    (tmp_path / "noise.txt").write_text("d/5.jpg\n")
    (tmp_path / "none.txt").write_text("p3/11.jpg\n")
    words = ["eval", "megaface", "--probes", str(tmp_path / "p.json"), "--distractors", str(tmp_path / "d.json")]
    words += ["--probe-features", str(tmp_path / "features"), "--distractor-features", str(tmp_path / "features")]
    words += ["--suffix", "_m.bin", "--json", str(tmp_path / "out.json")]
    rank = {}
    for convention in ("raw", "cleaned"):
        noise = ["--probe-noise", str(tmp_path / "none.txt"), "--distractor-noise", str(tmp_path / "noise.txt")]
        assert main([*words, "--convention", convention, *(noise if convention == "cleaned" else [])]) == 0
        assert convention.upper() in capsys.readouterr().out
        result = json.loads((tmp_path / "out.json").read_text())
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
        rank[convention] = result["rank-1 by distractors"]
    unit = np.stack([p[2] / np.linalg.norm(p[2]) for p in probes])
    others = np.stack([d[1] / np.linalg.norm(d[1]) for d in distractors])
    for size in (10, 100, 200):
        top = (unit @ others[:size].T).max(1)
        hits = [unit[i] @ unit[j] > top[j] for i in range(12) for j in range(12) if i != j and i % 4 == j % 4]
        assert rank["raw"][str(size)] == pytest.approx(np.mean(hits))
    assert rank["cleaned"]["199"] > rank["raw"]["200"]
