# SPDX-License-Identifier: Apache-2.0
"""Checks `caisson diff` on files of stock torch; ctest runs it.

diff_check.py --caisson PATH [--count N] [--seed N]

Each random state is saved; what torch.load makes of it is saved again, and
`diff` must find no difference. Then one random thing is changed: an element, a
value, a key, a dtype, a shape, a gradient flag, the number of items. `diff`
must find it, name its path as `ls` does, and find nothing else.

Exit status: 0 all hold, 1 one does not, 2 the check could not run.
"""

import argparse
import collections
import ctypes
import itertools
import json
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import warnings

import torch

import torch_states

_GRAD_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
_SPARSE_LAYOUTS = (
    torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr,
    torch.sparse_bsc,
)  # fmt: skip


class Place:
    """A value of a state, and the list or dict that holds it."""

    def __init__(self, path, holder, key, first):
        self.path = path
        self.first = first  # the value did not occur before
        self.holder = holder
        self.key = key

    @property
    def value(self):
        return self.holder[self.key]

    @value.setter
    def value(self, value):
        self.holder[self.key] = value


def is_plain_step(key):
    """Whether JSON and ls show a dict key as it is."""
    if type(key) is int:
        return -(2**63) <= key < 2**63
    if type(key) is not str:
        return False
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def places(value, path=(), seen=None):
    """Yields each Place that can be changed, shared containers where they come
    first; none below a key that JSON does not show as it is."""
    seen = set() if seen is None else seen
    if isinstance(value, (dict, list, tuple, torch.Tensor)):
        if id(value) in seen or type(value) is torch.Size:
            return
        seen.add(id(value))
    if type(value) in (list, tuple):
        steps = range(len(value))
    elif type(value) in (dict, collections.OrderedDict):
        steps = list(value)
    else:
        return
    for step in steps:
        plain = path is not None and is_plain_step(step)
        below = (*path, step) if plain else None
        if plain and type(value) is not tuple:
            yield Place(list(below), value, step, id(value[step]) not in seen)
        yield from places(value[step], below, seen)


def is_strided(value):
    return (
        type(value) in (torch.Tensor, torch.nn.Parameter)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_nested
        and value.device.type == "cpu"
    )


def flip(storage, byte, bit=0):
    address = storage.data_ptr() + byte
    (old,) = ctypes.string_at(address, 1)
    ctypes.memset(address, old ^ 1 << bit, 1)


def change_element(rng, place):
    value = place.value
    if not is_strided(value) or value.numel() == 0:
        return None
    offsets = [
        sum(i * s for i, s in zip(index, value.stride()))
        for index in itertools.product(*map(range, value.shape))
    ]
    chosen = rng.choice(offsets)
    width = value.dtype.itemsize
    byte = (value.storage_offset() + chosen) * width + rng.randrange(width)
    bit = 0 if value.dtype == torch.bool else rng.randrange(8)
    flip(value.untyped_storage(), byte, bit)
    first = next(itertools.islice(
        itertools.product(*map(range, value.shape)),
        offsets.index(chosen), None,
    ))
    return {"kind": "elements", "path": place.path, "index": list(first),
            "differing": offsets.count(chosen), "elems": value.numel()}


def change_part(rng, place):
    """An element of a sparse or a quantised tensor."""
    value = place.value
    if type(value) is not torch.Tensor or not place.first or value.is_nested:
        return None
    if value.layout in _SPARSE_LAYOUTS:
        coo = value.layout == torch.sparse_coo
        part = value._values() if coo else value.values()
        path = [*place.path, "values"]
    elif value.is_quantized:
        part, path = value, place.path
    else:
        return None
    storage = part.untyped_storage()
    flip(storage, rng.randrange(storage.nbytes()))
    return {"kind": "elements", "path": path, "differing": 1}


def change_value(rng, place):
    value = place.value
    if type(value) is bool:
        place.value = not value
    elif type(value) is int:
        place.value = value + 1
    elif type(value) is str:
        place.value = value + "!"
    elif type(value) is float:
        place.value = 0.25 if value != 0.25 else -0.25
    elif type(value) in (bytes, bytearray):
        place.value = value + b"!"
    else:
        return None
    return {"kind": "value", "path": place.path}


def change_type(rng, place):
    value = place.value
    if type(value) not in (bool, int, float, str, bytes, tuple, type(None)):
        return None
    place.value = {0} if value is None else None
    return {"kind": "type", "path": place.path}


def change_key(rng, place):
    holder, key = place.holder, place.key
    if not isinstance(holder, dict):
        return None
    new = "a key that no state has"
    entries = [(new if k is key else k, v) for k, v in holder.items()]
    holder.clear()
    holder.update(entries)
    return {"kind": "only_in_a", "path": place.path,
            "others": [[*place.path[:-1], new]]}


def change_dtype(rng, place):
    if not is_strided(place.value):
        return None
    old = place.value.dtype
    new = torch.int16 if old != torch.int16 else torch.uint8
    place.value = torch.zeros(place.value.shape, dtype=new)
    return {"kind": "dtype", "path": place.path}


def change_shape(rng, place):
    value = place.value
    if not is_strided(value):
        return None
    place.value = torch.empty((*value.shape, 2), dtype=value.dtype)
    return {"kind": "shape", "path": place.path}


def change_flag(rng, place):
    value = place.value
    if not is_strided(value) or value.dtype not in _GRAD_DTYPES:
        return None
    if type(value) is torch.nn.Parameter:
        place.value = torch.nn.Parameter(value.data, not value.requires_grad)
    else:
        place.value = value.detach().requires_grad_(not value.requires_grad)
    return {"kind": "flag", "path": place.path}


def change_length(rng, place):
    if type(place.value) is not list or not place.first:
        return None
    place.value.append("one more")
    return {"kind": "only_in_b",
            "path": [*place.path, len(place.value) - 1]}


_CHANGES = (
    change_element, change_part, change_value, change_type, change_key,
    change_dtype, change_shape, change_flag, change_length,
)  # fmt: skip


def change(rng, state, first):
    """Changes one thing; returns its name and what diff must say, or None if
    nothing can be changed, as in an empty state."""
    found = list(places(state))
    for i in range(len(_CHANGES)):
        make = _CHANGES[(first + i) % len(_CHANGES)]
        for place in rng.sample(found, len(found)):
            expected = make(rng, place)
            if expected is not None:
                return make.__name__, expected
    return None


class Checker:
    def __init__(self, caisson):
        self._caisson = shlex.split(caisson)
        self.checked = 0
        self.failed = 0

    def json(self, *args):
        command = [*self._caisson, *map(str, args), "--json"]
        done = subprocess.run(command, capture_output=True)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {"stderr": done.stderr.decode()}

    def check(self, name, problem):
        self.checked += 1
        if problem is not None:
            self.failed += 1
            print(f"FAILED {name}: {problem[:600]}")

    def same(self, a, b):
        status, answer = self.json("diff", a, b)
        if status != 0 or answer["same"] is not True:
            return f"exit {status}: {answer}"
        return None

    def differ(self, a, b, expected):
        status, answer = self.json("diff", a, b)
        if status != 1 or answer["same"] or answer["errors"]:
            return f"exit {status}, expected {expected}: {answer}"
        others = expected.pop("others", [])
        named = [
            d for d in answer["differences"]
            if all(d.get(key) == value for key, value in expected.items())
        ]
        if len(named) != 1:
            return f"expected {expected}: {answer['differences']}"
        for found in answer["differences"]:
            # An element may be seen through other views, a tensor that is
            # replaced shares no more; a container may stand elsewhere too.
            follows = found["kind"] in ("repeated", "sharing") or (
                found["kind"] == expected["kind"] == "elements"
            )
            if found["path"] not in (expected["path"], *others) and not follows:
                return f"expected {expected} alone: {found}"
        if expected["kind"] in ("elements", "dtype", "shape", "flag"):
            _, listed = self.json("ls", a)
            names = [(t["name"], t["path"]) for t in listed["tensors"]]
            for found in answer["differences"]:
                tensor = found["kind"] == "elements"
                if tensor and (found["name"], found["path"]) not in names:
                    return f"no tensor of ls: {found}"
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--caisson", required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    checker = Checker(options.caisson)
    made = {make.__name__: 0 for make in _CHANGES}
    with tempfile.TemporaryDirectory(prefix="caisson_diff_") as scratch:
        folder = pathlib.Path(scratch)
        a, again, b = (folder / f"{n}.pt" for n in ("a", "again", "b"))
        states = torch_states.random_states(options.count, options.seed)
        for i, (name, state) in enumerate(states):
            torch.save(state, a)
            torch.save(torch.load(a, weights_only=True), again)
            checker.check(f"{name} again", checker.same(a, again))
            rng = random.Random(f"diff:{options.seed}:{i}")
            changed = change(rng, state, i)
            if changed is None:
                continue
            what, expected = changed
            made[what] += 1
            torch.save(state, b)
            checker.check(f"{name} {what}", checker.differ(a, b, expected))
    for name, times in made.items():
        if options.count >= 2 * len(made):
            checker.check(name, None if times else "never tried")
    print(f"{checker.checked - checker.failed} hold, {checker.failed} do not")
    return 1 if checker.failed or not checker.checked else 0


if __name__ == "__main__":
    sys.exit(main())
