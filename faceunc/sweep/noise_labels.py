"""Wrong identity labels among the people that a head is trained on, and nobody else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def exchange_labels(person: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """``person`` (N,) with the labels of ``rows`` dealt among each other, each to a photograph of somebody else.

    A random permutation, mended by exchanges until nobody got a label of the same person: so every person keeps the
    number of photographs, and no label comes in from elsewhere. When one person has more than half of the rows it
    cannot be mended; those photographs that are left over keep their label.

    Args:
        person: code of the person of every photograph; not changed. rows: positions of those that are to be wrong.
    """
    rng = np.random.default_rng([seed, 8])
    old = person[rows]
    new = old[rng.permutation(len(rows))]
    for here in np.flatnonzero(new == old):
        if new[here] != old[here]:  # mended as the partner of another
            continue
        partners = np.flatnonzero((new != old[here]) & (old != new[here]))
        if len(partners):
            there = rng.choice(partners)
            new[here], new[there] = new[there], new[here]
    wrong = person.copy()
    wrong[rows] = new
    return wrong
