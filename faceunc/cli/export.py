"""``faceunc export``: backbone and head as one ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_DESCRIPTION = """Write backbone and head as one ONNX file, for onnxruntime, OpenVINO or anything else that runs ONNX;
neither torch nor faceunc is needed there.

  input    chips        uint8 (N, S, S, 3), aligned RGB faces of S x S pixels; N may be anything
  outputs  mean         float32 (N, D), length 1
           log_var      float32 (N, D) or (N, 1), natural log of the variance
           norm         float32 (N,), length of the embedding before normalisation
           feature_map, embedding: what the head reads

Colour order, mean and scale of the pixels are inside the graph; finding faces and aligning them are not: where eyes,
nose and mouth have to lie in the chip stands in the file's metadata (spec), with names and hashes of backbone and head
and, as its last entry, the sha256 of all bytes before it: faceunc refuses a file that was changed on its way.

Every head can be exported but one of method serfiq, which draws random numbers. Of an ensemble the total variance is
written, not its epistemic part; MC dropout (--mc-dropout of faceunc embed) is no part of a head and stays behind.

The file is then run once by onnxruntime, or by OpenVINO where only that is installed, and compared with torch. In
Python: faceunc.engines.registry.open_engine(FILE, "openvino").embed(chips)."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    from faceunc.cli.bench import add_head

    parser = commands.add_parser(
        "export",
        help="backbone and head as one ONNX file",
        description=_DESCRIPTION,
        epilog="example:\n  faceunc export --head dlib-pfe -o dlib-pfe.onnx\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="ONNX", help="file to write")
    add_head(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, compare with torch, print; exit code 0, or 1 when the written file says something else than torch."""
    from faceunc.cli.bench import load_pair
    from faceunc.engines.export import export_onnx
    from faceunc.engines.parity import face_chips, parity, with_degraded
    from faceunc.engines.registry import load_engine, open_engine
    from faceunc.errors import InputError
    from faceunc.storage import check_writable

    if args.out.suffix.lower() != ".onnx":
        raise InputError(f"{args.out}: expected the name of a file *.onnx to write")
    runtime = _runtime()
    check_writable(args.out)
    head, backbone = load_pair(args)
    export_onnx(backbone, head, args.out)
    engine = open_engine(args.out, runtime)
    chips = with_degraded(face_chips(backbone.spec))
    found = parity(engine.embed(chips), load_engine("torch", head, backbone).embed(chips), engine.precision)
    size = args.out.stat().st_size / 1e6
    print(f"{backbone.spec.name} with head {head.name} -> {args.out} ({size:.1f} MB)")
    print(f"by {runtime}: cosine distance to torch {found.cosine_distance:.1e}, log_var {found.log_var:.1e}, at worst")
    return 0 if found.passes else 1


def _runtime() -> str:
    """The first installed engine that runs exported files in float32. Raises InputError when none is."""
    from faceunc.engines.names import ENGINES
    from faceunc.errors import InputError

    reasons = {name: ENGINES[name].not_installed for name in ("onnxruntime", "openvino")}
    found = next((name for name, reason in reasons.items() if not reason), None)
    if found is None:
        raise InputError(f"export runs what it writes, and {reasons['onnxruntime']} (or 'faceunc[openvino]')")
    return found
