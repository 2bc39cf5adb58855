"""Scores into bins: compiled, for counting must not be slower than scoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceunc.scoring.compiled import compiled


@compiled()
def count_scores(
    scores: NDArray[np.float32],
    person1: NDArray[np.int64],
    person2: NDArray[np.int64],
    edges: NDArray[np.float32],
    first_row: int,
    counts: NDArray[np.int64],
) -> int:
    """Add the scores of a block to ``counts`` (2, B + 2): row 0 impostors, row 1 genuine pairs.

    The bin is guessed from the spacing of the edges, then corrected against them: it is exact. Row i counts only the
    columns j > ``first_row`` + i. Returns how many scores were NaN, which are not counted.
    """
    bins = len(edges) - 1
    low, high = np.float64(edges[0]), np.float64(edges[bins])
    per_bin = bins / (high - low)
    bad = 0
    for i in range(scores.shape[0]):
        for j in range(max(0, first_row + i + 1), scores.shape[1]):
            score = scores[i, j]
            if np.isnan(score):
                bad += 1
                continue
            if score < edges[0]:
                place = 0
            elif score >= edges[bins]:
                place = bins + 1
            else:
                place = min(max(int((np.float64(score) - low) * per_bin), 0), bins - 1)
                while score < edges[place]:
                    place -= 1
                while score >= edges[place + 1]:
                    place += 1
                place += 1
            counts[int(person1[i] == person2[j]), place] += 1
    return bad
