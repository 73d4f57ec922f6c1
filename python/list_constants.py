"""Prints a line for each constant of plug's headers: its name in Python and its value in C++.

Usage: list_constants.py HEADER...
"""

import pathlib
import re
import sys


def constants(text):
    """Yields the name in Python and the name in C++ of each constant."""
    text = re.sub(r"//[^\n]*", "", text)
    for enum, body in re.findall(r"(?:enum class|struct) (\w+)(?: : [\w:]+)? \{(.*?)\n\};", text, re.S):
        for name in re.findall(r"(\w+) = [^=]", body):
            yield f"{enum.rstrip('_')}_{name.rstrip('_')}", f"{enum}::{name}"
    for name in re.findall(r"inline constexpr \w+ (SOMAXCONN_|has_ipv6) =", text):
        yield name.rstrip("_"), name


def main(headers):
    found = {}
    for header in headers:
        text = pathlib.Path(header).read_text()
        found.update(constants(text))
        for alias, enum in re.findall(r"using (\w+) = (\w+);", text):
            prefix = enum + "_"
            found.update(
                {f"{alias}_{name[len(prefix):]}": value for name, value in found.items() if name.startswith(prefix)}
            )
    for name, value in sorted(found.items()):
        print(f'PLUG_CONSTANT("{name}", plug::{value})')


main(sys.argv[1:])
