"""Puts plug's `_socket` in the place of CPython's, in every process of the interpreter it is in.

run_conformance copies this file into the site-packages of an interpreter made for one suite, with
swap.json beside it: what to load, where to count calls, where to report. A .pth file imports it
before anything imports `socket`, with -I and -E too.
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
    """Before the finder of built-in modules and before the path."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "_socket":
            return None
        loader = _Loader(name, _where["module"])
        return importlib.util.spec_from_file_location(name, _where["module"], loader=loader)


def _check():
    """At the end of the process: what it used was plug's."""
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
