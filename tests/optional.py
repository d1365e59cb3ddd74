"""Packages of extras: a test that needs an absent one is skipped, with its name."""

from importlib import import_module
from types import ModuleType
from typing import NoReturn

import pytest


class _Absent:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        pytest.skip(f"needs {self._name}", allow_module_level=True)


def optional(name: str) -> ModuleType | _Absent:
    """Import a module, or return one that skips the test by which it is used."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return _Absent(name.partition(".")[0])
