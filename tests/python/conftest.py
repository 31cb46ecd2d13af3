# SPDX-License-Identifier: Apache-2.0
"""The states of tests/peers are shared by these tests."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "peers"))


@pytest.fixture
def folder(tmp_path):
    """A directory for files."""
    return tmp_path
