"""Checks that docs/conformance.md names every ported test of CPython's, and every port."""

import ast
import importlib.util
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PORTS = re.compile(r"^(?:TYPED_TEST|TEST|TEST_F)\((\w+),\s*(\w+)\)", re.MULTILINE)


def sections():
    """Returns, for each module of CPython's, the rows of its table: original to port."""
    rows = {}
    for line in (ROOT / "docs/conformance.md").read_text().splitlines():
        if line.startswith("## "):
            module = line[3:]
        elif line.startswith("| `"):
            original, port = (cell.strip() for cell in line.strip("|").split("|"))
            rows.setdefault(module, {})[original.strip("`")] = port
    return rows


def originals(module):
    """Yields Class.method of each test that a module of CPython's tests defines."""
    tree = ast.parse(pathlib.Path(module.origin).read_text())
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and method.name.startswith("test_"):
                    yield f"{owner.name}.{method.name}"


class Table(unittest.TestCase):
    def test_names_the_ports_that_there_are(self):
        listed = [port.strip("`") for rows in sections().values() for port in rows.values()]
        written = []
        for file in sorted((ROOT / "tests/conformance").glob("*_test.cpp")):
            written += [".".join(found) for found in PORTS.findall(file.read_text())]
        self.assertGreater(len(written), 40)
        self.assertEqual(sorted(written), sorted(name for name in listed if re.fullmatch(r"\w+\.test_\w+", name)))

    def test_has_every_original(self):
        for name, rows in sections().items():
            module = importlib.util.find_spec("test") and importlib.util.find_spec(f"test.{name}")
            if not module:
                self.skipTest("this Python has no tests of its own")
            with self.subTest(name):
                self.assertEqual([each for each in originals(module) if each not in rows], [])


if __name__ == "__main__":
    unittest.main()
