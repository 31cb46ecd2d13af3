# SPDX-License-Identifier: Apache-2.0
"""Compares `caisson convert --rename` and `--cast` with Python and torch.

edit.py rename --convert-tool "PATH convert" [--count N] [--seed N]
  One key of each of N random states, and some of training states, is renamed
  on the way. The file must be what torch.save makes of the state with that key
  renamed in place.
edit.py cast   --convert-tool "PATH convert" [--count N] [--seed N]
  Random states and training states are cast. The file must be what torch.save
  makes of the state whose storages went through torch's own .to(); where it
  holds NaNs, whose payloads are nobody's business, the loaded states must
  agree apart from those.

Every fourth file is replaced in place. Exit status: as run.py.
"""

import argparse
import collections
import os
import pathlib
import random
import shlex
import sys
import tempfile
import warnings

import torch

import canonical
import torch_states
from run import Report, byte_difference, execute, first_difference, tail

_DICTS = (dict, collections.OrderedDict)

# What the kernels convert between; the rest is refused by name.
_CONVERTIBLE = {
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.float8_e4m3fn, torch.float8_e5m2,
}  # fmt: skip
_TARGETS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("rename", "cast"):
        command = commands.add_parser(name)
        command.add_argument("--convert-tool", required=True)
        command.add_argument("--count", type=int, default=50)
        command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run = {"rename": run_rename, "cast": run_cast}[options.command]
    with tempfile.TemporaryDirectory(prefix="caisson_edits_") as folder:
        return run(options, Files(pathlib.Path(folder), options.convert_tool))


class Files:
    """Saves a state, has it converted, and takes both files away again."""

    def __init__(self, folder, tool):
        self._tool = shlex.split(tool)
        self._count = 0
        # One stem for all: torch.save names the archive's folder after it.
        self._source = folder / "source" / "state.pt"
        self._target = folder / "target" / "state.pt"
        self._wanted = folder / "wanted" / "state.pt"
        for path in (self._source, self._target, self._wanted):
            path.parent.mkdir()

    def convert(self, state, *arguments):
        """(the finished process, the file's bytes or None)."""
        torch.save(state, self._source)
        before = self._source.read_bytes()
        self._count += 1
        in_place = self._count % 4 == 0
        target = self._source if in_place else self._target
        self._target.unlink(missing_ok=True)
        command = [*self._tool, str(self._source), str(target), *arguments]
        done = execute(command)
        for path in (self._source, self._target):
            names = set(os.listdir(path.parent)) - {path.name}
            assert not names, f"left behind: {names}"
        if done.returncode != 0:
            assert self._source.read_bytes() == before, "the source changed"
            assert not self._target.exists(), "a failure wrote a file"
            return done, None
        return done, target.read_bytes()

    def wanted(self, state):
        """What torch.save makes of `state`."""
        torch.save(state, self._wanted)
        return self._wanted.read_bytes()

    def load(self, data):
        self._wanted.write_bytes(data)
        return torch.load(self._wanted, weights_only=True)


def entries_of(value, path=()):
    """Yields (path, dict, key) for the entries of dicts below `value`."""
    if type(value) in _DICTS:
        for key, item in value.items():
            # Keys of other types never read like one of these.
            if type(key) in (str, int):
                yield (*path, str(key)), value, key
                yield from entries_of(item, (*path, str(key)))
    elif type(value) in (list, tuple):
        for i, item in enumerate(value):
            yield from entries_of(item, (*path, str(i)))


def renamable(state):
    """[(joined name, joined name of the dict, dict, key)], in order."""
    entries = list(entries_of(state))
    counts = collections.Counter(".".join(path) for path, _, _ in entries)
    found = []
    for path, holder, key in entries:
        name = ".".join(path)
        # What a command line cannot say, or says differently.
        sayable = name and not set(name) & set("=\x00\ud800\udfff")
        if type(key) is str and sayable and counts[name] == 1:
            found.append((name, path[:-1], holder, key))
    return found


def rename_in_place(holder, key, new):
    """As {new if k == key else k: v}, in the same object."""
    items = list(holder.items())
    holder.clear()
    for old, value in items:
        holder[new if old is key else old] = value


def run_rename(options, files):
    report = Report()
    kinds = collections.Counter()
    cases = [
        ("module", torch_states.module_state()),
        ("adamw", torch_states.adamw_state()),
        ("adamw_again", torch_states.adamw_state()),
        *torch_states.random_states(4 * options.count, options.seed),
    ]
    for name, state in cases:
        entries = renamable(state)
        if not entries or report.compared == options.count + 3:
            continue
        rng = random.Random(f"rename:{name}")
        old, parent, holder, key = rng.choice(entries)
        # Made anew, so that no other str in the state is the same object.
        new = f"renamed.{rng.randrange(10**6)}"
        renamed = ".".join([*parent, new])
        kinds[type(holder).__name__, type(holder[key]).__name__] += 1
        done, data = files.convert(state, "--rename", f"{old}={renamed}")
        if data is None:
            report.check(name, f"{old!r}: {tail(done.stderr)}")
            continue
        rename_in_place(holder, key, new)
        report.check(name, difference(files.wanted(state), data))
    for (holder, value), count in sorted(kinds.items()):
        print(f"{count} of {value} in {holder}")
    if report.compared != options.count + 3:
        report.check("states", f"only {report.compared} have a key to rename")
    return report.status()


def difference(expected, found):
    return None if expected == found else byte_difference(expected, found)


class Caster:
    """Casts a tree: every storage as a whole, sharing what it shares."""

    def __init__(self, dtype):
        self._dtype = dtype
        self._done = {}  # id: (original, so that it lives; result)
        self._storages = {}
        self.sources = []  # what was converted, each storage flat

    def cast(self, value):
        known = self._done.get(id(value))
        if known is None:
            known = self._done[id(value)] = (value, self._make(value))
        return known[1]

    def _make(self, value):
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if type(value) in _DICTS:
            result = type(value)()
            for key, item in value.items():
                result[key] = self.cast(item)
            if type(value) is not dict:
                vars(result).update(vars(value))
            return result
        if type(value) in (list, tuple):
            items = [self.cast(item) for item in value]
            if all(a is b for a, b in zip(items, value, strict=True)):
                return value
            return type(value)(items)
        return value

    def _tensor(self, tensor):
        if not castable(tensor) or tensor.dtype == self._dtype:
            return tensor
        if strange(tensor, self._dtype):
            return tensor
        if tensor.layout != torch.strided:
            return with_values(tensor, self._strided(sparse_values(tensor)))
        result = self._strided(tensor)
        if tensor.is_neg():
            result = torch._neg_view(result)
        if isinstance(tensor, torch.nn.Parameter):
            result = torch.nn.Parameter(result, tensor.requires_grad)
        elif tensor.requires_grad:
            result.requires_grad_()
        vars(result).update(vars(tensor))
        return result

    def _strided(self, tensor):
        storage = tensor.untyped_storage()
        known = self._storages.get(storage._cdata)
        if known is None:
            flat = torch.empty(0, dtype=tensor.dtype).set_(storage)
            self.sources.append(flat)
            known = (storage, flat.to(self._dtype))
            self._storages[storage._cdata] = known
        return known[1].as_strided(
            tensor.size(), tensor.stride(), tensor.storage_offset()
        )


def sparse_values(tensor):
    if tensor.layout == torch.sparse_coo:
        return tensor._values()  # also where it is not coalesced
    return tensor.values()


def with_values(tensor, values):
    """A sparse tensor over the same indices; .to() copies those."""
    if tensor.layout == torch.sparse_coo:
        return torch.sparse_coo_tensor(
            tensor._indices(), values, tensor.size(),
            is_coalesced=tensor.is_coalesced(),
        )  # fmt: skip
    by_row = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
    return torch.sparse_compressed_tensor(
        tensor.crow_indices() if by_row else tensor.ccol_indices(),
        tensor.col_indices() if by_row else tensor.row_indices(),
        values, tensor.size(), layout=tensor.layout,
    )  # fmt: skip


def castable(tensor):
    """Whether --cast '*=...' converts it."""
    return (
        tensor.is_floating_point()
        and not tensor.is_quantized
        and tensor.device.type == "cpu"
    )


def named_tensors_of(value, path=()):
    """Yields (path, tensor) for every place below `value`."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif type(value) in _DICTS:
        for key, item in value.items():
            yield from named_tensors_of(item, (*path, key))
    elif type(value) in (list, tuple):
        for i, item in enumerate(value):
            yield from named_tensors_of(item, (*path, i))


def tensors_of(value):
    return [tensor for _, tensor in named_tensors_of(value)]


def glob_of(path):
    """A glob that covers the tensor's name; bytes that are hard to say are
    left open. None where a key's text is a matter of taste."""
    for key in path:
        if type(key) not in (str, int, bool, float, type(None)):
            return None
    raw = ".".join(map(str, path)).encode("utf-8", "surrogatepass")
    return "".join(chr(b) if 32 <= b < 127 else "?" for b in raw)


def quieten(state):
    """Gives all NaNs one payload, in place."""
    for tensor in tensors_of(state):
        if tensor.dtype not in _CONVERTIBLE or tensor.device.type != "cpu":
            continue
        if tensor.layout != torch.strided:
            flat = sparse_values(tensor)
        else:
            flat = torch.empty(0, dtype=tensor.dtype)
            flat = flat.set_(tensor.untyped_storage())
        flat.masked_fill_(flat.isnan(), float("nan"))
    return state


def cast_cases(options):
    """Yields (name, state, target)."""
    for target in (*_TARGETS, torch.float8_e4m3fn, torch.float8_e5m2):
        yield "module", torch_states.module_state(), target
        yield "adamw", torch_states.adamw_state(), target
    # Around the largest numbers of both 8-bit types, and past them.
    edges = [448.0, 464.0, 464.5, 480.0, 57344.0, 61440.0, 65536.0, 1e9, 1e-3]
    edges += [float("inf"), 2.0**-9, 2.0**-10, 3 * 2.0**-11, 2.0**-16]
    edges = torch.tensor(edges + [-edge for edge in edges])
    for target in (torch.float8_e4m3fn, torch.float8_e5m2, torch.float16):
        yield "edges", {"x": edges, "y": edges.double()}, target
    special = dict(torch_states.special_states())
    for name in ("attributes", "meta"):
        yield name, {"x": torch.ones(1), "y": special[name]}, torch.bfloat16
    states = torch_states.random_states(options.count, options.seed)
    for i, (name, state) in enumerate(states):
        yield name, state, _TARGETS[i % len(_TARGETS)]


def run_cast(options, files):
    report = Report()
    ends = collections.Counter()
    for name, state, target in cast_cases(options):
        dtype = str(target).removeprefix("torch.")
        name = f"{name} to {dtype}"
        # An earlier cast to the dtype that a tensor has keeps it.
        kept = [
            (glob_of(path), str(t.dtype).removeprefix("torch."))
            for path, t in named_tensors_of(state) if strange(t, target)
        ]  # fmt: skip
        runs = [[]]
        if kept and all(glob for glob, _ in kept):
            runs.append([f"--cast={glob}={own}" for glob, own in kept])
        for casts in runs:
            done, data = files.convert(state, *casts, f"--cast=*={dtype}")
            end, problem = cast_problem(
                files, state, target, done, data, bool(casts)
            )
            ends[end] += 1
            report.check(name, problem)
    for end, count in sorted(ends.items()):
        print(f"{count} {end}")
    for end in ("identical", "same values but NaN payloads", "refused"):
        if not ends[end]:
            report.check("cases", f"none of them was {end}")
    return report.status()


def strange(tensor, target):
    """Whether no kernel converts it."""
    convertible = tensor.dtype == target or tensor.dtype in _CONVERTIBLE
    return castable(tensor) and not convertible


def cast_problem(files, state, target, done, data, kept):
    """(how it ended, what is wrong or None)."""
    floating = [t for t in tensors_of(state) if castable(t)]
    unable = not kept and any(strange(t, target) for t in floating)
    if not floating or unable:
        reason = b"no kernel converts" if unable else b"has such a name"
        if done.returncode == 2 and reason in done.stderr:
            return "refused", None
        return "failed", f"exit {done.returncode}: {tail(done.stderr)}"
    if data is None:
        return "failed", f"exit {done.returncode}: {tail(done.stderr)}"
    caster = Caster(target)
    expected = files.wanted(caster.cast(state))
    if expected == data:
        return "identical", None
    if not any(source.isnan().any() for source in caster.sources):
        return "failed", byte_difference(expected, data)
    texts = [
        canonical.dump(quieten(files.load(file))) for file in (expected, data)
    ]
    problem = first_difference(*texts)
    return "same values but NaN payloads", problem


if __name__ == "__main__":
    sys.exit(main())
