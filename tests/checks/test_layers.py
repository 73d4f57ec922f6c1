"""Checks that scripts/check_layers refuses everything that it claims to refuse."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]


class Tree(unittest.TestCase):
    """A copy of the files that the check reads, to which a test adds a file."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for part in ("src", "include"):
            shutil.copytree(ROOT / part, self.root / part)
        (self.root / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/check_layers", self.root / "scripts")
        for part in ("examples", "bench", "python", "tests/install"):
            (self.root / part).mkdir(parents=True)

    def add(self, path, text):
        self.root.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        self.root.joinpath(path).write_text(text)

    def check(self, *options):
        """Returns what the check prints; empty if it passes."""
        result = subprocess.run(
            [self.root / "scripts/check_layers", *options], capture_output=True, text=True
        )
        self.assertEqual(result.returncode, 1 if result.stderr else 0)
        return result.stderr

    def test_passes_as_it_is(self):
        self.assertEqual(self.check(), "")

    def test_refuses_an_include_upwards(self):
        self.add("src/wait/upward.cpp", '#include "socket/state.hpp"\n')
        self.assertIn("src/wait/upward.cpp: includes socket/state.hpp", self.check())

    def test_refuses_an_include_without_its_folder(self):
        self.add("src/wait/bare.cpp", '#include "deadline.hpp"\n')
        self.assertIn("an include names the folder", self.check())

    def test_refuses_a_file_in_no_folder(self):
        self.add("src/loose.cpp", "\n")
        self.add("src/unknown/some.cpp", "\n")
        printed = self.check()
        self.assertIn("src/loose.cpp: lies in no folder", printed)
        self.assertIn("src/unknown/some.cpp: its folder is not in the table", printed)

    def test_refuses_internal_names_in_a_header_that_users_read(self):
        for opening in ("namespace plug::detail {", "namespace plug {\nnamespace detail {"):
            self.add("include/plug/some.hpp", opening + "\nstruct Inner;\n")
            self.assertIn("include/plug/some.hpp: declares internal names", self.check())

    def test_refuses_headers_of_the_system_above_them(self):
        self.add("src/server/system.cpp", "#include <sys/socket.h>\n")
        self.assertIn("include headers of the system", self.check())

    def test_refuses_what_is_internal_in_public_headers_and_programs(self):
        self.add("include/plug/public.hpp", '#include "base/deadline.hpp"\n')
        self.add("examples/program.cpp", '#include "base/deadline.hpp"\n')
        printed = self.check()
        self.assertIn("a public header includes an internal one", printed)
        self.assertIn("programs include public headers only", printed)

    def test_refuses_to_ask_for_the_driver_above_the_waits(self):
        for folder in ("socket", "wait"):
            self.add(f"src/{folder}/asking.cpp", "bool f() { return current_driver() != nullptr; }\n")
        self.assertEqual(
            self.check(),
            "src/socket/asking.cpp: uses current_driver: only wait, fiber, fiber_server do\n",
        )

    def test_refuses_symbols_of_a_folder_above(self):
        objects = self.root / "build/src/CMakeFiles/plug.dir"
        sources = {
            "base/low.cpp": "void high(); void low() { high(); }",
            "socket/high.cpp": "void low(); void high() { low(); }",
        }
        for name, text in sources.items():
            source = objects / name
            source.parent.mkdir(parents=True)
            source.write_text(text)
            subprocess.run(
                [os.environ.get("CXX", "g++"), "-c", source, "-o", f"{source}.o"], check=True
            )
        printed = self.check("--objects", str(self.root / "build"))
        self.assertEqual(printed, "base uses high(), which socket defines\n")

    def test_refuses_symbols_in_the_namespace_of_another_folder(self):
        source = self.root / "build/src/CMakeFiles/plug.dir/wait/other.cpp"
        source.parent.mkdir(parents=True)
        source.write_text(
            "namespace plug::detail::wait { void right() {} }"
            "namespace plug::detail::stream { int wrong() { return 0; } }"
            "namespace plug::detail { int wrong_too() { return 0; } }"
        )
        subprocess.run(
            [os.environ.get("CXX", "g++"), "-c", source, "-o", f"{source}.o"], check=True
        )
        self.assertEqual(
            self.check("--objects", str(self.root / "build")),
            "wait defines plug::detail::stream::wrong() outside of plug::detail::wait\n"
            "wait defines plug::detail::wrong_too() outside of plug::detail::wait\n",
        )

    def test_refuses_a_build_without_objects(self):
        self.assertIn("no object files", self.check("--objects", str(self.root)))


@unittest.skipUnless("PLUG_BUILD" in os.environ, "needs a build of the library")
class Objects(unittest.TestCase):
    def test_of_the_library_use_what_the_table_allows(self):
        command = [ROOT / "scripts/check_layers", "--objects", os.environ["PLUG_BUILD"]]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
