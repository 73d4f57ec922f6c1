"""docs/python-to-plug.md has every name of Python's socket module, and plug every name that it says.

Usage: python_names.py ROOT COMPILER. Prints what is missing; the status is 1 then.
"""

import pathlib
import re
import socket
import subprocess
import sys
import types

ROOT, COMPILER = pathlib.Path(sys.argv[1]), sys.argv[2]
OF_CPYTHON_ALONE = {"CAPI"}


def public(names, owner):
    """Without modules and what is imported from them, and without constants."""
    for name in names:
        value = getattr(owner, name)
        imported = getattr(value, "__module__", None) in ("enum",)
        constant = isinstance(value, (int, str)) and name[:2].isupper()
        if not (name.startswith("_") or isinstance(value, types.ModuleType) or imported or constant):
            yield name


def python_names():
    names = set(public(dir(socket), socket)) | set(public(dir(socket.socket), socket.socket))
    names -= {"array"}  # the module's, imported by send_fds()
    return names - OF_CPYTHON_ALONE


def table():
    """The names of the first column, and those of the second."""
    python, plug = set(), set()
    for line in (ROOT / "docs/python-to-plug.md").read_text().splitlines():
        cells = line.split("|")
        if len(cells) == 5:
            python |= set(re.findall(r"`(\w+)`", cells[1]))
            plug |= set(re.findall(r"`([\w:]+)`", cells[2]))
    return python, plug


def source(names):
    """A program that names each; a using-declaration takes functions with their overloads, and types."""
    members = [name for name in names if name.startswith("Socket::")]
    others = [name for name in names if "::" not in name]
    lines = ["#include <plug/plug.hpp>", "struct Member : plug::Socket {"]
    lines += [f"  using plug::{name};" for name in sorted(members)]
    lines += ["};", "namespace names {"]
    lines += [f"using plug::{name};" for name in sorted(others)]
    return "\n".join([*lines, "}", ""]), len(members) + len(others)


def main():
    python, plug = table()
    problems = [f"no row for socket.{name}" for name in sorted(python_names() - python)]
    problems += [f"Python has no {name}" for name in sorted(python - python_names())]
    text, count = source(plug)
    if count != len(plug):
        problems.append(f"names that this script cannot compile: {plug}")
    command = [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{ROOT}/include", "-x", "c++", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    if result.returncode != 0:
        problems.append(result.stderr)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
