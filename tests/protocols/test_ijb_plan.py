"""The laws of a made protocol, on names alone."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.images.degrade import CLEAN, MIX_KINDS
from faceunc.protocols.ijb_plan import Plan, PlanOptions, plan_ijb

SIZES = [1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 9, 12, 20, 60, 2, 7]
IDS = [f"p{person:02d}/{photo:03d}.jpg" for person, size in enumerate(SIZES) for photo in range(size)]
CAPPED = PlanOptions(pairs=150)
OPTIONS = [
    PlanOptions(),
    PlanOptions(seed=7),
    CAPPED,
    PlanOptions(pairs=2),
    PlanOptions(video_share=0.0),
    PlanOptions(video_share=1.0, frames=(2, 2), media=(3, 3)),
    PlanOptions(max_photos=3),
]
NAMES = ["default", "seed", "capped", "two pairs", "stills", "videos", "three photos"]


def people(ids: list[str]) -> list[str]:
    return [name.split("/")[0] for name in ids]


def plan(options: PlanOptions | None = None, ids: list[str] | None = None) -> Plan:
    ids = IDS if ids is None else ids
    return plan_ijb(people(ids), ids, options)


def content(made: Plan, ids: list[str]) -> tuple[object, ...]:
    """Everything of a plan, photographs by their names."""
    rows = [(r.template, r.medium, ids[r.photo], r.frame, r.degradation, r.seed) for r in made.rows]
    arrays = (made.subject, made.part, made.first, made.second, made.same)
    return rows, made.names, *(array.tolist() for array in arrays)


@pytest.fixture(scope="module", params=OPTIONS, ids=NAMES)
def made(request: pytest.FixtureRequest) -> tuple[Plan, PlanOptions]:
    return plan(request.param), request.param


def test_rows(made: tuple[Plan, PlanOptions]) -> None:
    """Sorted, every number used, every photograph that counts in one medium of one template of its person."""
    found, options = made
    keys = [(row.template, row.medium) for row in found.rows]
    assert keys == sorted(keys)
    assert sorted({template for template, _ in keys}) == list(range(len(found.subject)))
    assert sorted({medium for _, medium in keys}) == list(range(len(set(keys))))
    place = defaultdict(set)
    for row in found.rows:
        place[row.photo].add((row.template, row.medium))
        assert people(IDS)[row.photo] == found.names[found.subject[row.template]]
    assert {len(places) for places in place.values()} == {1}
    used = Counter(people([IDS[photo] for photo in place]))
    assert used == {name: min(size, options.max_photos) for name, size in Counter(people(IDS)).items()}


def test_galleries(made: tuple[Plan, PlanOptions]) -> None:
    """Everyone has one gallery template; half of the people are in each; people with one photograph have no probe."""
    found, options = made
    assert found.names == sorted(set(people(IDS)))
    enrolled = found.subject[found.part >= 0]
    assert enrolled.tolist() == list(range(len(SIZES)))
    assert np.bincount(found.part[found.part >= 0]).tolist() == [len(SIZES) // 2] * 2
    assert set(found.part.tolist()) == {-1, 0, 1}
    probed = {found.names[s] for s in found.subject[found.part < 0]}
    assert probed == {name for name, size in Counter(people(IDS)).items() if min(size, options.max_photos) > 1}
    photos = [len({row.photo for row in found.rows if row.template == t}) for t in np.flatnonzero(found.part >= 0)]
    assert photos == [min(5, max(1, min(size, options.max_photos) // 3)) for size in SIZES]


def test_probes_have_as_many_media_as_allowed(made: tuple[Plan, PlanOptions]) -> None:
    found, options = made
    media = defaultdict(set)
    for row in found.rows:
        media[row.template].add(row.medium)
    sizes = [len(media[template]) for template in np.flatnonzero(found.part < 0).tolist()]
    assert max(sizes) <= options.media[1]
    if options == PlanOptions():
        assert set(sizes) == {1, 2, 3, 4}


def test_videos(made: tuple[Plan, PlanOptions]) -> None:
    """Frames of a video share photograph and kind, have near severities and their own seeds; stills are clean."""
    found, options = made
    media = defaultdict(list)
    for row in found.rows:
        media[row.medium].append(row)
    videos = 0
    for rows in media.values():
        if rows[0].frame < 0:
            assert len(rows) == 1
            assert rows[0].degradation == CLEAN
            continue
        videos += 1
        assert [row.frame for row in rows] == list(range(len(rows)))
        assert options.frames[0] <= len(rows) <= options.frames[1]
        assert len({row.photo for row in rows}) == 1
        assert len({row.degradation.kind for row in rows}) == 1
        assert rows[0].degradation.kind in MIX_KINDS
        assert np.ptp([row.degradation.severity for row in rows]) <= 0.3
        assert len({row.degradation.seed for row in rows}) == len(rows)
        assert [row.seed for row in rows] == [row.degradation.seed for row in rows]
    several = [min(size, options.max_photos) for size in SIZES if size > 1]
    assert videos == sum(several) if options.video_share == 1 else videos < sum(several)
    assert (videos > 0) == (options.video_share > 0)
    single = {row.template for row in found.rows if SIZES[int(IDS[row.photo][1:3])] == 1}
    assert all(row.frame == -1 for row in found.rows if row.template in single)


def test_comparisons(made: tuple[Plan, PlanOptions]) -> None:
    """Gallery against probe, right labels, no pair twice, every genuine one; all pairs where there is room for them."""
    found, options = made
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert (found.part[found.first] >= 0).all()
    assert (found.part[found.second] < 0).all()
    np.testing.assert_array_equal(found.same, found.subject[found.first] == found.subject[found.second])
    own = {int(found.subject[t]): int(t) for t in np.flatnonzero(found.part >= 0)}
    genuine = {(own[int(found.subject[t])], int(t)) for t in np.flatnonzero(found.part < 0)}
    assert {pair for pair, same in zip(pairs, found.same, strict=True) if same} == genuine
    total = len(own) * int((found.part < 0).sum())
    if options.pairs >= total:
        assert len(pairs) == total
    else:
        wanted = max(options.pairs, 2 * len(genuine))
        assert wanted <= len(pairs) <= wanted + len(genuine)


def test_a_cap_takes_impostors_only() -> None:
    """Fewer comparisons of the same templates."""
    whole, capped = plan(), plan(CAPPED)
    assert content(whole, IDS)[:4] == content(capped, IDS)[:4]
    assert len(capped.same) < len(whole.same)
    assert capped.same.sum() == whole.same.sum()
    impostors = np.bincount(capped.first[~capped.same], minlength=len(capped.part))
    assert (impostors[capped.part >= 0] > 0).all()  # spread over the whole gallery


@pytest.mark.parametrize("options", [PlanOptions(), CAPPED, PlanOptions(max_photos=3)], ids=["all", "capped", "three"])
def test_a_function_of_names_and_seed(options: PlanOptions) -> None:
    expected = content(plan(options), IDS)
    assert content(plan(options), IDS) == expected
    for seed in range(3):
        shuffled = [str(name) for name in np.random.default_rng(seed).permutation(IDS)]
        assert content(plan(options, shuffled), shuffled) == expected


def test_other_seeds_differ() -> None:
    plans = [plan(PlanOptions(seed=seed)) for seed in range(4)]
    assert len({tuple(made.part[made.part >= 0].tolist()) for made in plans}) == 4
    assert len({tuple(row.photo for row in made.rows) for made in plans}) == 4
    assert len({tuple(row.degradation for row in made.rows) for made in plans}) == 4


def test_other_people_do_not_change_a_persons_templates() -> None:
    """The photographs in each template of one person, whoever else is there."""

    def templates(ids: list[str]) -> list[list[tuple[str, object]]]:
        found = plan(ids=ids)
        numbers = np.flatnonzero(found.subject == found.names.index("p13"))
        return [[(ids[r.photo], r.degradation) for r in found.rows if r.template == n] for n in numbers]

    assert templates([name for name in IDS if name[:3] in ("p12", "p13")]) == templates(IDS)


@pytest.mark.parametrize(
    ("ids", "options"),
    [
        ([], PlanOptions()),
        (["a/1", "b/1", "c/1"], PlanOptions()),
        (["a/1", "a/2", "a/3", "b/1", "c/1"], PlanOptions()),
        (IDS, PlanOptions(max_photos=1)),
    ],
)
def test_too_few_people(ids: list[str], options: PlanOptions) -> None:
    with pytest.raises(InputError, match="two people with two photographs") as caught:
        plan(options, ids)
    assert "\n" not in str(caught.value)


def test_two_people_with_two_photographs_are_enough() -> None:
    made = plan(ids=["a/1", "a/2", "b/1", "b/2"])
    assert sorted(made.part.tolist()) == [-1, -1, 0, 1]
    assert (len(made.same), int(made.same.sum())) == (4, 2)
