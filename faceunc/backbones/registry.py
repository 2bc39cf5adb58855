"""Backbones by name. To add one: write its loader, and name it here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from faceunc.backbones.base import Backbone
from faceunc.errors import InputError


def _dlib(precision: str) -> Backbone:
    from faceunc.backbones.dlib_resnet import load_dlib_resnet

    return load_dlib_resnet(precision=precision)


def _facenet(trained_on: str, precision: str) -> Backbone:
    from faceunc.backbones.facenet import load_facenet

    return load_facenet(trained_on, precision=precision)


BACKBONES: dict[str, Callable[[str], Backbone]] = {
    "dlib": _dlib,
    "facenet-vggface2": partial(_facenet, "vggface2"),
    "facenet-casia-webface": partial(_facenet, "casia-webface"),
}


def load_backbone(name: str = "dlib", precision: str = "auto") -> Backbone:
    """Load a frozen backbone: a name of :data:`BACKBONES`, ``dlib@K`` (:func:`cut_backbone`), or an ONNX spec file.

    Raises:
        InputError: an unknown name, or weights that cannot be loaded.
    """
    if name.endswith(".json"):
        from faceunc.backbones.onnx import load_onnx

        return load_onnx(name)
    if name.startswith("dlib@") and name[5:].isdecimal():
        from faceunc.backbones.cut import cut_backbone
        from faceunc.backbones.dlib_resnet import load_dlib_resnet

        return cut_backbone(load_dlib_resnet(precision=precision), int(name[5:]))
    if name not in BACKBONES:
        raise InputError(
            f"backbone must be one of {', '.join(BACKBONES)}, or an ONNX spec *.json. Got {name!r} instead."
        )
    return BACKBONES[name](precision)
