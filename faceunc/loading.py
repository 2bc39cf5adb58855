"""The front door: an embedder by the name of its head."""

from __future__ import annotations

from pathlib import Path

from faceunc.backbones.base import Backbone
from faceunc.backbones.registry import load_backbone
from faceunc.detection.sigma import load_detector_sigma
from faceunc.embedder import Embedder
from faceunc.engines.registry import default_engine, find_engine, load_engine, unavailable
from faceunc.epistemic.dropout import DropoutPlan, McDropout
from faceunc.errors import InputError
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head


def load(
    name: str | Path = "dlib-pfe",
    backbone: str | None = None,
    precision: str = "auto",
    select: str = "largest",
    aligned: bool = False,
    min_face_size: int = 40,
    mc_dropout: int = 0,
    dropout: DropoutPlan | None = None,
    detector_sigma: str | Path | None = None,
    detector: str = "mtcnn",
    engine: str | None = None,
    measure: bool = True,
) -> Embedder:
    """Load an embedder: a shipped head by name ("dlib-pfe", "dlib-pfe-scalar"), or a head of your own by path.

    Args:
        name: see above. backbone: name or ONNX spec; None takes the one that the head was trained on.
        precision: "auto", "float32" or "bfloat16". The rest: see :class:`Embedder`.
        mc_dropout: passes of MC dropout (100 is usual), which fill ``epistemic``; 0 for none. dropout: where it stands.
        detector_sigma: "mtcnn-sigma" or a path: uncertainty of the detections, in each photograph's quality.
        detector: "mtcnn", or one of the faster :data:`faceunc.images.detect.DETECTORS`.
        engine: what runs the model, a name of :data:`faceunc.engines.names.ENGINES` (``faceunc bench`` measures them);
            it has its own precision. None: the one of torch that :func:`faceunc.engines.registry.default_engine` takes.

    Raises:
        InputError: unknown name, missing or damaged file. IncompatibleError: head and backbone do not belong together.
    """
    if mc_dropout == 1:
        raise InputError("mc_dropout must be 0 (none) or at least 2 passes: one cannot disagree with itself. Got 1.")
    head = load_head(head_path(name))
    model = _model(head, backbone, precision, mc_dropout, engine)
    sampled = McDropout(model, dropout, mc_dropout) if mc_dropout else None
    places = load_detector_sigma(detector_sigma) if detector_sigma is not None else None
    return Embedder(model, head, select, aligned, min_face_size, sampled, places, detector, measure)


def _model(head: StoredHead, backbone: str | None, precision: str, mc_dropout: int, engine: str | None) -> Backbone:
    own = find_engine(engine).precision if engine else precision
    if precision not in ("auto", own):
        raise InputError(
            f"engine {engine} computes in {own}: expected precision auto or {own}. Got {precision} instead."
        )
    name = backbone or head.backbone
    if mc_dropout:
        if engine not in (None, "torch", "torch-bf16"):
            raise InputError(f"MC dropout is run by engine torch or torch-bf16, or none named. Got {engine} instead.")
        if engine and unavailable(find_engine(engine)):
            raise InputError(f"engine {engine} {unavailable(find_engine(engine))}")
        return load_backbone(name, own)
    model = load_backbone(name, "float32")
    return load_engine(engine or default_engine(model, precision), head, model)
