# SPDX-License-Identifier: Apache-2.0
"""python -m caisson ls | verify | convert: of files, and of the directories of
distributed checkpoints; what the program `caisson` does with them, where only
the package is installed. Exit status: 0 fine, 1 damage was found, 2 it could not
be done."""

import argparse
import json
import sys

import caisson


def _ls(options: argparse.Namespace) -> int:
    found = caisson.ls(options.path)
    if options.json:
        print(json.dumps({"tensors": found}))
        return 0
    for tensor in found:
        print(tensor["name"], tensor["dtype"], list(tensor["shape"]))
    return 0


def _verify(options: argparse.Namespace) -> int:
    report = caisson.verify(options.path)
    if options.json:
        print(json.dumps(report))
    else:
        for one in report["damage"]:
            print(f"{one['file']}: {one['problem']}")
        verdict = "OK" if report["ok"] else "DAMAGED"
        print(f"{options.path}: {verdict}, {report['checked']} records")
    return 0 if report["ok"] else 1


def _convert(options: argparse.Namespace) -> int:
    caisson.convert(options.path, options.out, drop=options.drop)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m caisson",
                                     description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, function in (("ls", _ls), ("verify", _verify),
                           ("convert", _convert)):
        command = commands.add_parser(name)
        command.add_argument("path")
        if name == "convert":
            command.add_argument("out")
            command.add_argument("--drop", action="store_true")
        else:
            command.add_argument("--json", action="store_true")
        command.set_defaults(function=function)
    options = parser.parse_args()
    try:
        return options.function(options)
    except (caisson.CaissonError, OSError) as error:
        print(f"caisson: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
