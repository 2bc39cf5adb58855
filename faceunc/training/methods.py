"""The family: every method that can be trained, under one contract, with its paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from faceunc.backbones.base import Backbone
from faceunc.errors import InputError
from faceunc.heads.moving import MovingConfig
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.quality import QualityConfig
from faceunc.heads.tuned import TunedConfig
from faceunc.training.objectives.base import Objective
from faceunc.training.objectives.dul_cls import DULClassificationObjective
from faceunc.training.objectives.dul_mls import DULMutualObjective
from faceunc.training.objectives.dul_reg import DULRegressionObjective
from faceunc.training.objectives.pfe import PFEObjective
from faceunc.training.objectives.probface import ProbFaceObjective
from faceunc.training.objectives.scaleface import ScaleFaceObjective
from faceunc.training.objectives.softmax import SoftmaxObjective
from faceunc.training.objectives.vmf import VMFObjective
from faceunc.training.recipe import EnsembleOptions, Recipe, Settings

MARGINS = {"softmax": 0.0, "cosface": 0.2, "arcface": 0.3}


Make = Callable[[Backbone, Settings], tuple[PFEConfig, Callable[[], Objective]]]


@dataclass(frozen=True)
class Method:
    """One member of the family.

    Attributes:
        title, paper: what it is called and where it comes from. mean, variance: what it makes of an embedding.
        score: the score that its paper compares with; every method can be compared by cosine and MLS as well.
        when, cost: one line each, for the tables of the README.
        settings: fields of :class:`Settings` that it reads. defaults: those whose default is its own.
    """

    name: str
    title: str
    paper: str
    mean: str
    variance: str
    score: str
    when: str
    cost: str
    settings: tuple[str, ...]
    make: Make
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def recipe(self, backbone: Backbone, settings: Settings | None = None) -> Recipe:
        """The method with ``settings`` (its own defaults when None) for this backbone."""
        settings = settings or self.default_settings()
        return Recipe(self.name, *self.make(backbone, settings), backbone)

    def default_settings(self) -> Settings:
        """Settings as this method wants them."""
        return replace(Settings(), **self.defaults)


def _shape(backbone: Backbone, settings: Settings) -> dict[str, Any]:
    return {
        "feature_shape": backbone.spec.feature_shape,
        "dim": backbone.spec.dim,
        "variance": settings.variance,
        "norm": settings.norm,
    }


def _pfe(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    config = PFEConfig(**_shape(backbone, settings), architecture=settings.architecture)
    return config, PFEObjective


def _moving(backbone: Backbone, settings: Settings) -> MovingConfig:
    """Where the mean begins decides the head: "tuned" has its own copy of the backbone's last blocks."""
    shape = _shape(backbone, settings)
    if settings.start != "tuned":
        return MovingConfig(**shape, start=settings.start)
    _, _, cut = backbone.spec.name.partition("@")
    if not cut:
        raise ValueError(f"start=tuned needs a backbone cut below its last blocks (dlib@13). Got {backbone.spec.name}")
    return TunedConfig(**shape, cut=int(cut))


def _dul_cls(kind: type[DULClassificationObjective]) -> Make:
    def make(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
        config = _moving(backbone, settings)
        margin = MARGINS[settings.classifier] if settings.margin is None else settings.margin

        def objective() -> Objective:
            return kind(settings.classifier, margin, settings.scale, settings.kl_weight, settings.kl_reduction)

        return config, objective

    return make


def _softmax(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    config = _moving(backbone, replace(settings, variance="scalar"))
    margin = MARGINS[settings.classifier] if settings.margin is None else settings.margin
    return config, lambda: SoftmaxObjective(settings.classifier, margin, settings.scale)


def _dul_reg(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    shape = _shape(backbone, settings)
    config = _moving(backbone, settings) if settings.mean == "moving" else PFEConfig(**shape)
    return config, lambda: DULRegressionObjective(settings.centres)


def _probface(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    config = PFEConfig(**_shape(backbone, replace(settings, variance="scalar")))
    return config, lambda: ProbFaceObjective(settings.regulariser, settings.triplet)


def _vmf(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    return PFEConfig(**_shape(backbone, replace(settings, variance="scalar"))), lambda: VMFObjective(settings.centres)


def _scaleface(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
    return PFEConfig(**_shape(backbone, replace(settings, variance="scalar"))), lambda: ScaleFaceObjective(
        settings.centres
    )


def _quality(measure: str) -> Make:
    def make(backbone: Backbone, settings: Settings) -> tuple[PFEConfig, Callable[[], Objective]]:
        spec = backbone.spec
        return QualityConfig(spec.feature_shape, spec.dim, measure=measure), lambda: PFEObjective(lr_factor=20.0)

    return make


_SCALAR = {"variance": "scalar"}
_DUL_SETTINGS = ("variance", "norm", "start", "classifier", "margin", "scale", "kl_weight", "kl_reduction")
_ALL = (
    Method(
        "pfe", "PFE, probabilistic face embeddings", "Shi & Jain, ICCV 2019", "frozen", "per dimension or scalar",
        "mls",
        "the default: nothing about the accuracy of the mean changes", "under 1% of the backbone",
        ("variance", "architecture", "norm"), _pfe,
    ),
    Method(
        "dul-cls", "DUL, classification", "Chang et al., CVPR 2020", "moved", "per dimension or scalar", "cosine",
        "many training people, and embeddings that may change", "under 1%, and all embeddings made anew",
        _DUL_SETTINGS, _dul_cls(DULClassificationObjective),
    ),
    Method(
        "dul-mls", "DUL's mean, PFE's variance", "Chang et al., CVPR 2020; Shi & Jain, ICCV 2019 (our combination)",
        "moved", "per dimension or scalar", "mls", "most accurate on poor photographs; embeddings may change",
        "under 1%, and all embeddings made anew", _DUL_SETTINGS, _dul_cls(DULMutualObjective),
    ),
    Method(
        "dul-reg", "DUL, regression to the class centre", "Chang et al., CVPR 2020", "moved, or frozen",
        "per dimension or scalar", "mls", "poor photographs should move towards their person's centre",
        "under 1%, and all embeddings made anew", ("variance", "norm", "mean", "start", "centres"), _dul_reg,
    ),
    Method(
        "softmax", "margin softmax, deterministic", "Wang et al., CVPR 2018 (CosFace); the counterpart of dul-cls",
        "moved", "one constant", "cosine", "to compare: what dul-cls is without uncertainty",
        "under 1%, and all embeddings made anew", ("norm", "start", "classifier", "margin", "scale"), _softmax, _SCALAR,
    ),
    Method(
        "probface", "ProbFace", "Chen et al., 2021", "frozen", "scalar", "mls",
        "all-pairs comparison as one matrix product", "under 1%",
        ("norm", "regulariser", "triplet"), _probface, _SCALAR,
    ),
    Method(
        "vmf", "SCF, von Mises-Fisher concentration", "Li et al., CVPR 2021", "frozen", "scalar: 1 / kappa", "vmf",
        "a density on the sphere itself", "under 1%", ("norm", "centres"), _vmf, _SCALAR,
    ),
    Method(
        "scaleface", "ScaleFace, learned softmax scale", "Kail et al., 2022", "frozen", "scalar: 1 / scale", "mls",
        "a confidence learned from identification", "under 1%", ("norm", "centres"), _scaleface, _SCALAR,
    ),
    Method(
        "norm", "length of the embedding", "Meng et al., CVPR 2021 (MagFace)", "frozen", "scalar, two numbers learned",
        "mls", "margin-trained backbones; no head, two numbers learned", "nothing", (), _quality("norm"), _SCALAR,
    ),
    Method(
        "serfiq", "SER-FIQ, stability under dropout", "Terhoerst et al., CVPR 2020", "frozen",
        "scalar, two numbers learned", "mls", "as a baseline; no head, two numbers learned",
        "100 passes of the last layer", (), _quality("serfiq"), _SCALAR,
    ),
)  # fmt: skip
METHODS = {method.name: method for method in _ALL}


def find_method(name: str) -> Method:
    """A method by name. Raises InputError for an unknown one."""
    if name not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}. Got {name!r} instead.")
    return METHODS[name]


def named_recipe(text: str, backbone: Backbone) -> Recipe:
    """A recipe from ``METHOD[:SETTING=VALUE,...][*M]``, M heads of other seeds: ``vmf``, ``dul-reg:mean=frozen*5``.

    Raises:
        InputError: an unknown method, setting or value, or M that is no whole number of at least 2.
    """
    base, star, size = text.partition("*")
    name, _, given = base.partition(":")
    method = find_method(name)
    values = dict(_setting(method, part, text) for part in given.split(",") if part)
    try:
        recipe = method.recipe(backbone, replace(method.default_settings(), **values))
    except ValueError as error:
        raise InputError(f"{text}: {error}") from None
    if star and not size.isdecimal():
        raise InputError(f"an ensemble is written METHOD*M, such as dul-reg*5. Got {text!r} instead.")
    return replace(recipe, ensemble=EnsembleOptions(int(size))) if star else recipe


def _setting(method: Method, part: str, text: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if not equals or name not in method.settings:
        known = ", ".join(method.settings) or "none"
        raise InputError(
            f"{text}: a setting of {method.name} is NAME=VALUE with NAME one of {known}. Got {part!r} instead."
        )
    kind = type(getattr(Settings(), name))
    if kind is bool:
        if value not in ("true", "false"):
            raise InputError(f"{text}: {name} must be true or false. Got {value!r} instead.")
        return name, value == "true"
    if kind is str:
        return name, value
    try:
        return name, float(value)
    except ValueError:
        raise InputError(f"{text}: {name} must be a number. Got {value!r} instead.") from None
