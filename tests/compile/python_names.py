"""Checks that docs/python-to-plug.md has every name of Python's network modules, and that plug has
every name in it.

Usage: python_names.py ROOT COMPILER. Prints each missing name; the status is then 1.
"""

import collections
import inspect
import pathlib
import re
import select
import selectors
import socket
import socketserver
import subprocess
import sys
import types

ROOT, COMPILER = pathlib.Path(sys.argv[1]), sys.argv[2]
CLASSES = {
    "socket": [socket.socket],
    "select": [type(select.poll()), select.epoll],
    "selectors": [selectors.EpollSelector],
    "socketserver": [
        socketserver.ForkingTCPServer,
        socketserver.ThreadingUDPServer,
        socketserver.StreamRequestHandler,
        socketserver.DatagramRequestHandler,
    ],
}
NOT_NAMES = {
    "socket": {"CAPI", "array"},  # CPython's own; imported by send_fds()
    "socketserver": {"time"},  # imported
}


def public(owner):
    """Yields the public names, without modules, imported names and constants."""
    for name in dir(owner):
        value = getattr(owner, name)
        imported = getattr(value, "__module__", None) in ("abc", "collections", "collections.abc", "enum", "io")
        constant = isinstance(value, (int, str)) and name[:2].isupper()
        if not (name.startswith("_") or isinstance(value, types.ModuleType) or imported or constant):
            yield name


def python_names(module):
    names = set(public(module))
    for owner in CLASSES[module.__name__]:
        names |= set(public(owner))
    if module is socketserver:  # attributes that the constructor sets
        names |= set(re.findall(r"self\.([a-zA-Z]\w*)(?:, self\.\w+)? = ", inspect.getsource(module)))
    if module is selectors:
        names |= set(selectors.SelectorKey._fields)
    return names - NOT_NAMES.get(module.__name__, set())


def table():
    """Returns the names of the first column by module, and the names of the second column."""
    python, plug = collections.defaultdict(set), set()
    for line in (ROOT / "docs/python-to-plug.md").read_text().splitlines():
        if line.startswith("## "):
            module = line[3:]
        cells = line.split("|")
        if len(cells) == 5:
            python[module] |= set(re.findall(r"`(\w+)`", cells[1]))
            plug |= set(re.findall(r"`([\w:]+)`", cells[2]))
    return python, plug


def source(names):
    """Returns a program that uses each name. A using-declaration covers types, and functions with
    all overloads."""
    members = sorted(name for name in names if "::" in name)
    lines = ["#include <plug/plug.hpp>", "namespace members {"]
    for number, name in enumerate(members):
        lines.append(f"struct M{number} : plug::{name.partition('::')[0]} {{ using plug::{name}; }};")
    lines += ["}", "namespace names {"]
    lines += [f"using plug::{name};" for name in sorted(names.difference(members))]
    return "\n".join([*lines, "}", ""])


def main():
    python, plug = table()
    problems = []
    for module in (socket, select, selectors, socketserver):
        name, wanted = module.__name__, python_names(module)
        problems += [f"no row for {name}.{missing}" for missing in sorted(wanted - python[name])]
        problems += [f"{name} has no {extra}" for extra in sorted(python[name] - wanted)]
    command = [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{ROOT}/include", "-x", "c++", "-"]
    result = subprocess.run(command, input=source(plug), capture_output=True, text=True)
    if result.returncode != 0:
        problems.append(result.stderr)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
