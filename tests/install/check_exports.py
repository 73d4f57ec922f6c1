"""Checks that a shared library exports only names of plug's public headers and names for its
fibers.

usage: check_exports.py HEADERS_DIR LIBRARY OTHER...   names of plug::detail that are in no public
                                                      header are for the OTHER libraries of plug
"""

import pathlib
import re
import subprocess
import sys


def symbols(library, which):
    """Returns the kind and the mangled name of each dynamic symbol of a library."""
    printed = subprocess.run(
        ["nm", "-D", which, library], check=True, capture_output=True, text=True
    ).stdout
    return [tuple(line.split()[-2:]) for line in printed.splitlines()]


def path_of(mangled):
    """Returns the path of a name: ("plug", "detail", "sys", "close"), for example. Members of a
    type have the path of the type."""
    rest = re.sub(r"^_Z(T[VTIS]|Thn?\d+_|GV)?", "", mangled)
    rest = re.sub(r"^N[KVrRO]*", "", rest)
    path = []
    while number := re.match(r"(\d+)", rest):
        end = number.end() + int(number[1])
        path.append(rest[number.end() : end])
        rest = rest[end:]
    return tuple(path)


def owner(path):
    """Returns the path that is exported as a unit: a class, or a function, of plug::detail
    or of the namespace of a folder."""
    return path[:4] if in_folder(path) else path[:3]


def in_folder(path):
    """Namespaces have names in lower case, and members; so have functions, without members."""
    return len(path) > 3 and path[2].islower()


def main(headers, library, *others):
    declared = set()
    for header in pathlib.Path(headers).rglob("*.hpp"):
        declared.update(re.findall(r"\w+", header.read_text()))
    known = ("--undefined-only", "--defined-only")
    used = {owner(path_of(name)) for other in others for which in known for _, name in symbols(other, which)}
    wrong, public = [], 0
    for kind, name in symbols(library, "--defined-only"):
        path = path_of(name)
        # An instance of a template for a public type is as visible as that type.
        instance = re.search(r"6detail\d+[a-z_]+\d+\w+?IN?S_", name)
        if instance:
            continue
        if path[:2] == ("plug", "detail"):
            if owner(path) not in used and (in_folder(path) or path[2] not in declared):
                wrong.append(name)
        elif path[:1] == ("plug",):
            public += 1
            if not declared.issuperset(path[1:2]):
                wrong.append(name)
        elif kind not in "VWu":  # instances of the standard library's templates
            wrong.append(name)
    if not public:
        sys.exit(f"{library} exports nothing of plug")
    if wrong:
        names = subprocess.run(["c++filt"], input="\n".join(wrong), capture_output=True, text=True)
        sys.exit(f"{library} exports names that are in no public header:\n{names.stdout}")
    print(f"{library}: {public} names of plug, and no others")


main(*sys.argv[1:])
