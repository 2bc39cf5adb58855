"""Templates of mixed quality."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.protocols.templates import MixedTemplates, make_templates

COUNTS = {"Ann": 4, "Bob": 5, "Cy": 3, "Dee": 12, "Eve": 40, "Fay": 1}
IDENTITIES = [name for name, count in COUNTS.items() for _ in range(count)]
IDS = [f"{name}/{name}_{number:04d}.jpg" for name, count in COUNTS.items() for number in range(1, count + 1)]

Content = list[tuple[str, list[tuple[str, bool]]]]


def content(templates: MixedTemplates, ids: list[str]) -> Content:
    """Who and which images are in each template, by name."""
    return [
        (templates.names[who], [(ids[row], bool(poor)) for row, poor in zip(rows, degraded, strict=True)])
        for who, rows, degraded in zip(templates.identity, templates.members, templates.degraded, strict=True)
    ]


def test_two_disjoint_templates_a_person() -> None:
    for seed in range(20):
        templates = make_templates(IDENTITIES, IDS, seed)
        assert templates.names == ["Ann", "Bob", "Dee", "Eve"]
        assert templates.identity.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert len(templates) == 8
        for who, rows in zip(templates.identity, templates.members, strict=True):
            assert 2 <= len(rows) <= 5
            assert {IDENTITIES[row] for row in rows} == {templates.names[who]}
        every = np.concatenate(templates.members)
        assert len(every) == len(set(every.tolist()))


def test_all_sizes_come_up() -> None:
    sizes = {len(rows) for seed in range(40) for rows in make_templates(IDENTITIES, IDS, seed).members[-2:]}
    assert sizes == {2, 3, 4, 5}


def test_a_function_of_the_seed() -> None:
    assert content(make_templates(IDENTITIES, IDS, 3), IDS) == content(make_templates(IDENTITIES, IDS, 3), IDS)
    assert content(make_templates(IDENTITIES, IDS, 3), IDS) != content(make_templates(IDENTITIES, IDS, 4), IDS)


def test_the_order_of_the_list_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(IDS))
    shuffled = [IDS[row] for row in order]
    found = make_templates([IDENTITIES[row] for row in order], shuffled, 5)
    assert content(found, shuffled) == content(make_templates(IDENTITIES, IDS, 5), IDS)


def test_other_people_do_not_matter() -> None:
    kept = [row for row, name in enumerate(IDENTITIES) if name != "Bob"]
    ids = [IDS[row] for row in kept]
    found = content(make_templates([IDENTITIES[row] for row in kept], ids, 5), ids)
    assert found == [item for item in content(make_templates(IDENTITIES, IDS, 5), IDS) if item[0] != "Bob"]


@pytest.mark.parametrize(("clean_share", "low", "high"), [(0.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.25, 0.65, 0.85)])
def test_share_of_clean_members(clean_share: float, low: float, high: float) -> None:
    drawn = [make_templates(IDENTITIES, IDS, seed, clean_share=clean_share).degraded for seed in range(30)]
    assert low <= np.concatenate([part for parts in drawn for part in parts]).mean() <= high


def test_too_few_people() -> None:
    with pytest.raises(InputError, match="at least 4 images each, found 1"):
        make_templates(IDENTITIES[:4], IDS[:4], 0)
    with pytest.raises(InputError, match="found 0"):
        make_templates([], [], 0)
