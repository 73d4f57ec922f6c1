"""Tests the interpreters and network namespaces that run_conformance creates.

An interpreter must have plug's _socket, and must report a different one. In the network namespace
no other program may take the ports of the tests.

Usage: test_swap.py _socket.so
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULE = os.path.realpath(sys.argv.pop(1))

USE_A_SOCKET = "import socket; socket.socket().close()"
# Removes the finder, so that CPython's own module is imported.
USE_ANOTHER = "import sys; del sys.meta_path[0]; " + USE_A_SOCKET


def run_conformance():
    loader = importlib.machinery.SourceFileLoader("run_conformance", str(ROOT / "run_conformance"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_conformance", loader))
    sys.modules["run_conformance"] = module
    loader.exec_module(module)
    return module


class SwapTest(unittest.TestCase):
    def setUp(self):
        conformance = run_conformance()
        folder = tempfile.TemporaryDirectory(prefix="plug-")
        self.addCleanup(folder.cleanup)
        self.counter = pathlib.Path(folder.name, "counter")
        self.problems = pathlib.Path(folder.name, "problems")
        self.counter.write_bytes(bytes(8))
        self.python = conformance.make_interpreter(
            pathlib.Path(folder.name, "python"), conformance.interpreter_of(MODULE), MODULE, self.counter, self.problems
        )

    def calls(self):
        return int.from_bytes(self.counter.read_bytes(), sys.byteorder)

    def test_calls_are_counted_and_nothing_is_reported(self):
        for flags in ([], ["-I"], ["-E"]):
            before = self.calls()
            subprocess.run([self.python, *flags, "-c", USE_A_SOCKET], check=True)
            self.assertGreater(self.calls(), before, flags)
        self.assertEqual(self.problems.read_text() if self.problems.exists() else "", "")

    def test_calls_of_a_child_are_counted(self):
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {USE_A_SOCKET!r}], check=True)"
        subprocess.run([self.python, "-c", code], check=True)
        self.assertGreater(self.calls(), 0)

    def test_another_module_is_reported(self):
        subprocess.run([self.python, "-c", USE_ANOTHER], check=True, cwd="/")
        self.assertEqual(self.calls(), 0)
        self.assertIn("another _socket", self.problems.read_text())


class NetworkTest(unittest.TestCase):
    def test_a_port_that_another_program_has_is_free(self):
        command, refused = run_conformance().own_network()
        if refused:
            self.skipTest(refused)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            bind = f"import socket; socket.create_server(('127.0.0.1', {taken.getsockname()[1]}))"
            shared = subprocess.run([sys.executable, "-c", bind], stderr=subprocess.DEVNULL)
            self.assertNotEqual(shared.returncode, 0)
            subprocess.run([*command, sys.executable, "-c", bind], check=True)

    def test_the_user_is_who_they_were(self):
        command, refused = run_conformance().own_network()
        if refused:
            self.skipTest(refused)
        printed = subprocess.run([*command, "id", "-u"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(int(printed), os.geteuid())


unittest.main()
