"""Embed many photographs into a folder: resumable, every failure accounted for.

``OUT/embeddings.safetensors`` holds the result, ``OUT/photos.csv`` one line a photograph, ``OUT/failures.csv`` one line
a failure, ``OUT/report.json`` the counts. While a run is under way its finished parts lie in ``OUT/parts/``.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Never

from tqdm import tqdm

from faceunc.embedder import Embedder
from faceunc.embeddings import VARIANCE_KEYS, Embeddings, check_compatible, concatenate
from faceunc.errors import IncompatibleError, InputError, OutputError
from faceunc.images.measures import Measures
from faceunc.photo_batches import BATCH, Batch, Failure, Quality
from faceunc.progress import bar
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, check_writable

_PART = 256
_SETTINGS = (*VARIANCE_KEYS, "detector", "precision", "detector_sigma", "epistemic")
_PLACE_SIGMA = ("box_sigma", "landmark_sigma")  # columns of photos.csv that only ``--detector-sigma`` fills
_MEASURES = [field.name for field in fields(Measures) if field.name != "face_size"]
_FACTS = [field.name for field in fields(Quality) if field.name != "measures"]


@dataclass
class Extraction:
    """What stands in an output folder after a run: embeddings, quality of each, failures; and how many photographs were
    new to this run."""

    embeddings: Embeddings
    quality: list[Quality]
    failures: list[Failure]
    new: int


def extract(
    embedder: Embedder, photos: Sequence[Path], out: Path, retry_failed: bool = False, show: bool | None = None
) -> Extraction:
    """Embed ``photos`` into the folder ``out``; photographs that are there already are not embedded again.

    Args:
        retry_failed: try again what failed in an earlier run.

    Raises:
        InputError: nothing could be embedded, or ``out`` holds a damaged result.
        IncompatibleError: ``out`` holds embeddings of another backbone or head.
        OutputError: ``out`` cannot be written; finished parts are kept.
    """
    _check_writable(out)
    photos = list(dict.fromkeys(photos))
    done = _seen(_load_parts(out, embedder), retry_failed)
    todo = [photo for photo in photos if str(photo) not in done]
    del done
    with bar("embed", len(photos), initial=len(photos) - len(todo), show=show) as progress:
        for number, part in enumerate(_parts(embedder, todo, progress), _next_number(out)):
            _write_part(out / "parts", number, part)
    return _finish(out, _join(_load_parts(out, embedder)), len(todo))


def _seen(parts: Sequence[Batch], without_failures: bool) -> set[str]:
    """Photographs that earlier runs embedded or, unless ``without_failures``, could not embed."""
    done = {photo for part in parts for photo in part.embeddings.ids}
    return done if without_failures else done | {failure.photo for part in parts for failure in part.failures}


def _parts(embedder: Embedder, photos: Sequence[Path], progress: tqdm[Never]) -> Iterator[Batch]:
    """The photographs embedded, in parts that are worth a file each. Nothing is kept of a part that was given."""
    batches: list[Batch] = []
    for batch in embedder.batches(photos, min(BATCH, _PART)):
        batches.append(batch)
        progress.update(len(batch.embeddings) + len(batch.failures))
        if sum(len(each.embeddings) + len(each.failures) for each in batches) >= _PART:
            yield _join(batches)
            batches = []
    if batches:
        yield _join(batches)


def _check_writable(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for the results, this is a file")
    check_writable(out / "parts" / "part")


def _join(parts: Sequence[Batch]) -> Batch:
    return Batch(
        concatenate([part.embeddings for part in parts]) if parts else _nothing(),
        [quality for part in parts for quality in part.quality],
        [failure for part in parts for failure in part.failures],
    )


def _nothing() -> Embeddings:
    raise InputError("expected photographs to embed, got none")


def _write_part(folder: Path, number: int, part: Batch) -> None:
    """The facts first, the embeddings second: a part counts when its embeddings are there."""
    atomic_write(folder / f"{number:06d}.json", _facts(part))
    part.embeddings.save(folder / f"{number:06d}.safetensors")


def _facts(part: Batch) -> bytes:
    """Row by row, so that a large result is not held a second time."""
    quality, failures = (",".join(map(_row, rows)) for rows in (part.quality, part.failures))
    return f'{{"quality": [{quality}], "failures": [{failures}]}}'.encode()


def _row(fact: Quality | Failure) -> str:
    return json.dumps(fact, default=vars)  # as ``asdict`` would have it, without its deep copies


def _next_number(out: Path) -> int:
    return max((int(path.stem) for path in (out / "parts").glob("*.safetensors")), default=0) + 1


def _load_parts(out: Path, embedder: Embedder) -> list[Batch]:
    """Whatever earlier runs left: a finished result, and parts of an unfinished one."""
    reference = embedder.embed_chips(_no_chips(embedder), [])
    parts: list[Batch] = []
    seen: set[str] = set()
    for path in [out / "embeddings.safetensors", *sorted((out / "parts").glob("*.safetensors"))]:
        facts = path.with_suffix(".json")
        if path.is_file():
            embeddings = Embeddings.load(path)
            try:
                check_compatible(embeddings, reference, _SETTINGS)
            except IncompatibleError as error:
                raise IncompatibleError(
                    f"{out} holds a result of other settings, and is continued in its own only: {error}; give the same "
                    "--head, --precision, --detector and the like, or choose another OUT"
                ) from None
            part = _unseen(_read_facts(facts, embeddings), seen)
            seen.update(part.embeddings.ids)
            parts.append(part)
    return parts


def _unseen(part: Batch, seen: set[str]) -> Batch:
    """The part without photographs in ``seen``: a run that dies after its result is written leaves its parts behind."""
    keep = [row for row, photo in enumerate(part.embeddings.ids) if photo not in seen]
    if len(keep) == len(part.embeddings):
        return part
    return Batch(part.embeddings[keep], [part.quality[row] for row in keep], part.failures)


def _no_chips(embedder: Embedder) -> Any:
    import numpy as np

    side = embedder.backbone.spec.input_size
    return np.empty((0, side, side, 3), np.uint8)


def _read_facts(path: Path, embeddings: Embeddings) -> Batch:
    try:
        facts = json.loads(path.read_text("utf-8"))
        quality = [Quality(**{**row, "measures": Measures(**row.get("measures", {}))}) for row in facts["quality"]]
        failures = [Failure(**row) for row in facts["failures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged part of an earlier run ({error}); remove it to start anew") from None
    if len(quality) < len(embeddings):
        raise InputError(f"{path}: {len(quality)} rows for {len(embeddings)} embeddings; remove it to start anew")
    # More rows than embeddings: a run died between writing both, and rows are only ever appended.
    return Batch(embeddings, quality[: len(embeddings)], failures)


def _finish(out: Path, whole: Batch, new: int) -> Extraction:
    """Write the result of all parts, then drop the parts."""
    solved = set(whole.embeddings.ids)
    latest = {failure.photo: failure for failure in whole.failures if failure.photo not in solved}
    whole = Batch(whole.embeddings, whole.quality, list(latest.values()))
    counts = {
        "photographs": len(whole.embeddings) + len(whole.failures),
        "embedded": len(whole.embeddings),
        "failed": dict(Counter(failure.kind for failure in whole.failures)),
        "several faces": sum(quality.faces > 1 for quality in whole.quality),
        "photographs measured": sum(quality.measures.taken for quality in whole.quality),
    }
    report = {**counts, "embedder": dict(whole.embeddings.meta), "provenance": provenance()}
    atomic_write(out / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    atomic_write(out / "failures.csv", _csv(["photo", "kind", "message"], [asdict(f) for f in whole.failures]))
    atomic_write(out / "photos.csv", _photos_csv(whole))
    atomic_write(out / "embeddings.json", _facts(whole))
    whole.embeddings.save(out / "embeddings.safetensors")
    try:
        for path in (out / "parts").glob("*.safetensors"):  # first: a part without its facts would count as damaged
            path.unlink()
        shutil.rmtree(out / "parts")
    except OSError as error:
        raise OutputError(f"{out / 'parts'}: cannot remove ({error.strerror})") from error
    return Extraction(whole.embeddings, whole.quality, whole.failures, new)


def _photos_csv(whole: Batch) -> bytes:
    shown = [*_FACTS, *_MEASURES]
    if not whole.embeddings.meta.get("detector_sigma"):
        shown = [name for name in shown if name not in _PLACE_SIGMA]
    epistemic = whole.embeddings.epistemic
    names = ["photo", "sigma", *(["epistemic"] if epistemic is not None else []), *shown]
    rows = zip(whole.embeddings.ids, whole.embeddings.sigma, whole.quality, strict=True)
    table = ({"photo": photo, "sigma": f"{sigma:.6f}", **_shown(quality, shown)} for photo, sigma, quality in rows)
    if epistemic is not None:
        table = ({**row, "epistemic": f"{value:.3e}"} for row, value in zip(table, epistemic, strict=True))
    return _csv(names, table)


def _shown(quality: Quality, names: Sequence[str]) -> dict[str, str]:
    """These facts and measurements of one photograph as text."""
    return {name: _number(getattr(quality.measures if name in _MEASURES else quality, name)) for name in names}


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.4f}"


def _csv(names: list[str], rows: Iterable[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
