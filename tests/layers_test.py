# SPDX-License-Identifier: Apache-2.0
"""Holds the layer rule: which directory may include what.

layers_test.py [ROOT] first checks itself on small trees that break the rule,
then reads every #include of the sources below ROOT (default: the repository).
Violations are printed as `file:line: message`. Exit status 1 on any.
"""

import pathlib
import posixpath
import re
import sys
import tempfile

# What each layer may include besides itself. None: anything.
LAYERS = {
    "include": (),
    "core/base": ("include",),
    "kernels": ("include",),
    "core/device": ("include", "core/base"),
    "core/io": ("include", "core/base"),
    "core/formats": ("include", "core/base"),
    "core/engine": (
        "include",
        "core/base",
        "kernels",
        "core/device",
        "core/io",
        "core/formats",
    ),
    "cli": ("include",),
    "python": ("include",),
    "examples": ("include",),
    "tests": None,
    "bench": None,
}
TOPS = ("include", "core", "kernels", "cli", "python", "examples", "tests",
        "bench")
SUFFIXES = (".h", ".cc", ".cu", ".cuh")

# Native handles for CUDA code on both sides of the layer rule.
CUDA_NATIVE = "core/device/cuda_native.h"
CUDA_FILES = re.compile(
    r"core/device/(cuda_native\.h|\w+_cuda\.cc)$|kernels/cuda/"
)

# Libraries that only some files may include: name, header, the files.
LIBRARIES = (
    ("CUDA",
     re.compile(r"(cuda[\w.]*\.h|.*\.cuh|device_launch_parameters\.h"
                r"|(cub|thrust|cuda|cooperative_groups)/.*"
                r"|cooperative_groups\.h|core/device/cuda_native\.h)$"),
     CUDA_FILES),
    ("Highway", re.compile(r"hwy/"), re.compile(r"kernels/cpu/")),
    ("libdeflate", re.compile(r"libdeflate\.h$"), re.compile(r"kernels/cpu/")),
    ("ISA-L", re.compile(r"isa-l(\.h$|/)|igzip_lib\.h$"),
     re.compile(r"kernels/cpu/")),
    ("liburing", re.compile(r"liburing(\.h$|/)|linux/io_uring\.h$"),
     re.compile(r"core/io/")),
    ("protobuf", re.compile(r"google/protobuf/|.*\.pb\.h$"),
     re.compile(r"core/formats/")),
)

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"[a-z0-9_]+$")  # <vector>, <cstdint>


def layer_of(path):
    """The layer that holds `path`, relative to the root, or None."""
    for layer in LAYERS:
        if path.startswith(layer + "/"):
            return layer
    return None


def sources(root):
    """The source files of the layers, relative to `root`, sorted."""
    found = []
    for top in TOPS:
        for path in (root / top).rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                found.append(path.relative_to(root).as_posix())
    return sorted(found)


def includes(root, path):
    """Yields (line number, opening quote, name)."""
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def target_of(root, path, name):
    """The file of ours that `name` means, relative to the root, or None."""
    if name.startswith("caisson/"):
        return "include/" + name
    if name.startswith("include/") or layer_of(name):
        return posixpath.normpath(name)
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    if name.startswith(".") or (root / beside).is_file():
        return beside
    return None


def problem_of(root, path, quote, name):
    """(target or None, what is wrong with this include or None)."""
    layer = layer_of(path)
    target = target_of(root, path, name)
    public = name.startswith("caisson/")
    if target and not public and target != name:
        return target, f'write "{target}" from the root, found "{name}"'
    if target and not public and target.startswith("include/"):
        return target, f'write "{target[8:]}", found "{name}"'
    if LAYERS[layer] is None:
        return target, None
    for library, header, files in LIBRARIES:
        if header.match(name) and not files.match(path):
            return target, f"{layer} may not include {name} ({library})"
    if target is None:
        if layer == "include" and not (quote == "<" and STANDARD.match(name)):
            return None, f"include may not include {name}"
        return None, None
    if target == CUDA_NATIVE and CUDA_FILES.match(path):
        return target, None
    other = layer_of(target)
    if other != layer and other not in LAYERS[layer]:
        return target, f"{layer} may not include {target}"
    return target, None


def violations(root):
    """Every violation below `root` as `file:line: message`."""
    found = []
    edges = {}
    for path in sources(root):
        if layer_of(path) is None:
            found.append(f"{path}:1: no layer holds this directory")
            continue
        edges[path] = []
        for number, quote, name in includes(root, path):
            target, problem = problem_of(root, path, quote, name)
            if problem:
                found.append(f"{path}:{number}: {problem}")
            if target:
                edges[path].append((number, target))
    return found + cycles(edges)


def cycles(edges):
    """One violation for each include that closes a cycle between files."""
    found = []
    done = set()

    def visit(path, trail):
        for number, target in edges.get(path, ()):
            if target in trail:
                loop = [*trail[trail.index(target):], target]
                found.append(
                    f"{path}:{number}: include cycle " + " -> ".join(loop)
                )
            elif target not in done:
                visit(target, [*trail, target])
        done.add(path)

    for path in sorted(edges):
        if path not in done:
            visit(path, [path])
    return found


CLEAN = {
    "include/caisson/status.h": "#include <cstdint>\n#include <string>\n",
    "include/caisson/state.h": '#include "caisson/status.h"\n',
    "core/base/checked_math.h": '#include "caisson/status.h"\n',
    "core/device/cuda_native.h": "#include <cuda_runtime_api.h>\n",
    "core/device/device_cuda.cc": '#include "core/device/cuda_native.h"\n'
                                  '#include "core/base/checked_math.h"\n',
    "core/io/queue_uring.cc": "#include <liburing.h>\n",
    "core/formats/zip.h": '#include "core/base/checked_math.h"\n'
                          '#include "nlohmann/json.hpp"\n',
    "core/engine/read/reader.cc": '#include "kernels/kernel_table.h"\n'
                             '#include "core/formats/zip.h"\n'
                             "#include <caisson/state.h>\n",
    "kernels/kernel_table.h": '#include "caisson/status.h"\n',
    "kernels/cpu/crc32.cc": '#include "hwy/highway.h"\n'
                            "#include <libdeflate.h>\n"
                            '#include "kernels/kernel_table.h"\n',
    "kernels/cuda/table.cu": '#include "core/device/cuda_native.h"\n'
                             '#include "kernels/cuda/tiles.cuh"\n',
    "kernels/cuda/tiles.cuh": "#include <cuda_runtime.h>\n",
    "cli/main.cc": '#include "cli/list.h"\n#include "caisson/state.h"\n',
    "cli/list.h": "#include <fmt/core.h>\n",
    "tests/io/zip_test.cc": '#include "core/formats/zip.h"\n'
                            '#include "hwy/highway.h"\n',
}

# A file that breaks the rule, and the start of the one report it must cause.
BROKEN = (
    ("core/base/up.h", '\n#include "core/engine/reader.h"\n',
     "core/base/up.h:2: core/base may not include core/engine/reader.h"),
    ("core/formats/up.cc", '#include "kernels/kernel_table.h"\n',
     "core/formats/up.cc:1: core/formats may not include kernels/"),
    ("cli/up.cc", '#include "core/base/checked_math.h"\n',
     "cli/up.cc:1: cli may not include core/base/"),
    ("python/up.cc", '#include "kernels/kernel_table.h"\n',
     "python/up.cc:1: python may not include kernels/"),
    ("kernels/up.cc", '#include "core/base/checked_math.h"\n',
     "kernels/up.cc:1: kernels may not include core/base/"),
    ("core/device/up.cc", '#include "kernels/kernel_table.h"\n',
     "core/device/up.cc:1: core/device may not include kernels/"),
    ("core/io/up.cc", '#include "core/device/device.h"\n',
     "core/io/up.cc:1: core/io may not include core/device/"),
    ("core/formats/io.cc", '#include "core/io/file.h"\n',
     "core/formats/io.cc:1: core/formats may not include core/io/"),
    ("include/caisson/up.h", '#include "core/base/checked_math.h"\n',
     "include/caisson/up.h:1: include may not include core/base/"),
    ("include/caisson/json.h", "#include <nlohmann/json.hpp>\n",
     "include/caisson/json.h:1: include may not include nlohmann/"),
    ("include/caisson/cuda.h", "  # include <cuda_runtime.h>\n",
     "include/caisson/cuda.h:1: include may not include cuda_runtime.h (CUDA)"),
    ("core/engine/cuda.cc", '#include "core/device/cuda_native.h"\n',
     "core/engine/cuda.cc:1: core/engine may not include core/device/cuda_"),
    ("core/engine/tiles.cc", '#include "kernels/cuda/tiles.cuh"\n',
     "core/engine/tiles.cc:1: core/engine may not include kernels/cuda/"),
    ("core/device/device_absent.cc", "#include <cuda_runtime.h>\n",
     "core/device/device_absent.cc:1: core/device may not include cuda_"),
    ("kernels/table.cc", '#include "hwy/targets.h"\n',
     "kernels/table.cc:1: kernels may not include hwy/targets.h (Highway)"),
    ("core/formats/deflate.cc", "#include <libdeflate.h>\n",
     "core/formats/deflate.cc:1: core/formats may not include libdeflate.h"),
    ("core/engine/deflate.cc", "#include <isa-l/igzip_lib.h>\n",
     "core/engine/deflate.cc:1: core/engine may not include isa-l/"),
    ("core/engine/uring.cc", "#include <liburing.h>\n",
     "core/engine/uring.cc:1: core/engine may not include liburing.h"),
    ("core/io/proto.cc", "#include <google/protobuf/message.h>\n",
     "core/io/proto.cc:1: core/io may not include google/protobuf/"),
    ("core/engine/proto.cc", '#include "core/formats/caffe2.pb.h"\n',
     "core/engine/proto.cc:1: core/engine may not include core/formats/"),
    ("core/base/sibling.cc", '#include "checked_math.h"\n',
     'core/base/sibling.cc:1: write "core/base/checked_math.h" from the root'),
    ("core/formats/dots.cc", '#include "../engine/reader.h"\n',
     'core/formats/dots.cc:1: write "core/engine/reader.h" from the root'),
    ("core/base/public.cc", '#include "include/caisson/status.h"\n',
     'core/base/public.cc:1: write "caisson/status.h"'),
    ("core/misc/odd.cc", "#include <vector>\n",
     "core/misc/odd.cc:1: no layer holds this directory"),
    ("core/base/self.h", '#include "core/base/self.h"\n',
     "core/base/self.h:1: include cycle core/base/self.h -> core/base/self.h"),
)


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def self_check():
    """What this test fails to see, as a list of messages."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_tree(root, CLEAN)
        for line in violations(root):
            missed.append(f"self-check: the clean tree gave {line}")
        for name, text, expected in BROKEN:
            write_tree(root, {name: text})
            found = violations(root)
            if len(found) != 1 or not found[0].startswith(expected):
                missed.append(f"self-check: {expected}: gave {found}")
            (root / name).unlink()
        write_tree(root, {
            "core/base/a.h": '#include "core/base/b.h"\n',
            "core/base/b.h": '\n#include "core/base/a.h"\n',
        })
        found = violations(root)
        if found != ["core/base/b.h:2: include cycle "
                     "core/base/a.h -> core/base/b.h -> core/base/a.h"]:
            missed.append(f"self-check: a cycle of two gave {found}")
    return missed


def main():
    default = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    problems = self_check() + violations(root)
    for line in problems:
        print(line)
    if not problems:
        print(f"{len(sources(root))} files keep the layer rule")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
