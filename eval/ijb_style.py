"""The whole IJB path on LFW: make the protocol, evaluate it with both backbones, say what uncertainty gains.

``python eval/ijb_style.py "$FACEUNC_DATA/lfw" --work FOLDER --out eval/results`` makes an IJB-C-format protocol of LFW
in FOLDER (two minutes; kept there), and writes ``ijb-style-dlib`` and, where an ONNX spec is given with --backbone,
``ijb-style-NAME`` as JSON, table and picture. Heads and the two numbers of fusion are cross-fitted on LFW: nobody is
embedded or fused by what met them. It does what these two commands do:

    faceunc protocol make-ijb LFW -o FOLDER
    faceunc eval ijbc FOLDER --train-on LFW --flip --json eval/results/ijb-style-dlib.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from faceunc.backbones.registry import load_backbone
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.ijb import evaluate_ijb
from faceunc.images.photos import identity_folder
from faceunc.protocols.make_ijb import make_ijb
from faceunc.storage import cache_dir


def main() -> None:
    """Make, evaluate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="LFW, or another folder of identities")
    parser.add_argument("--work", type=Path, required=True, help="folder for the protocol")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--backbone", action="append", default=[], help="an ONNX spec, beside dlib's")
    args = parser.parse_args()
    manifest = make_ijb(identity_folder(args.data), args.work, cache_dir())
    for backbone in ["dlib", *args.backbone]:
        name = load_backbone(backbone).spec.name
        report = evaluate_ijb(EvalOptions(args.work, backbone, train_on=args.data), "ijbc", flip=True)
        report.extra["manifest"] = manifest
        others = "".join(f" --backbone {other}" for other in args.backbone)
        report.command = f"python eval/ijb_style.py {args.data.name} --work FOLDER --out {args.out}{others}"
        print(report.table())
        print("written: " + ", ".join(map(str, report.write(args.out / f"ijb-style-{name.split('-')[-1]}.json"))))


if __name__ == "__main__":
    main()
