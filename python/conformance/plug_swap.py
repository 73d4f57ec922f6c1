"""Puts plug's `_socket` in the place of CPython's, in every process of this interpreter.

run_conformance creates an interpreter for each suite and copies this file into its site-packages.
Beside it lies swap.json, which names the module to load, the file that counts the calls, and the
file for problems. A .pth file imports this module before anything can import `socket`, also with -I
and -E.
"""

import importlib.machinery
import importlib.util
import json
import os
import sys

with open(os.path.join(os.path.dirname(__file__), "swap.json")) as _file:
    _where = json.load(_file)


def _report(problem):
    with open(_where["problems"], "a") as file:
        file.write(f"{problem}: {sys.argv!r}\n")


class _Loader(importlib.machinery.ExtensionFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        import mmap

        with open(_where["counter"], "r+b") as file:
            module.count_plug_calls_in(mmap.mmap(file.fileno(), 8))


class _Finder:
    """Finds _socket before the finder of built-in modules and the search path do."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "_socket":
            return None
        loader = _Loader(name, _where["module"])
        return importlib.util.spec_from_file_location(name, _where["module"], loader=loader)


def _check():
    """Checks, at the end of the process, that it used plug's module."""
    module = sys.modules.get("_socket")
    if module is not None and getattr(module, "__file__", None) != _where["module"]:
        _report("another _socket was imported")
    with open("/proc/self/maps") as maps:
        mapped = {line.split()[-1] for line in maps if "/_socket." in line}
    if mapped - {os.path.realpath(_where["module"])}:
        _report("another _socket was loaded")


if "_socket" in sys.modules:
    _report("_socket was imported too early")
sys.meta_path.insert(0, _Finder)
import atexit  # noqa: E402  (the finder has to be first)

atexit.register(_check)
