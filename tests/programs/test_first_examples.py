"""Tests the first examples: each is short, uses only plug, and works as its first line says."""

import os
import pathlib
import re
import signal
import unittest

import textbook
from harness import FORMS, Peer, Server, TestCase, connect, run

SOURCES = sorted(pathlib.Path(__file__).parents[2].glob("examples/first/*.cpp"))


class Sources(TestCase):
    def test_are_short_and_self_contained(self):
        self.assertEqual(len(SOURCES), 6)
        for source in SOURCES:
            text = source.read_text()
            self.assertLessEqual(text.count("\n"), 40, source)
            for header in re.findall(r'#include (\S+)', text):
                self.assertRegex(header, r"^<(plug/[\w/]+\.hpp|[a-z_]+)>$", source)

    def test_are_linked_from_the_first_page(self):
        page = pathlib.Path(__file__).parents[2].joinpath("README.md").read_text()
        for source in SOURCES:
            self.assertIn(f"(examples/first/{source.name})", page)


class Servers(TestCase):
    """Tests the servers with textbook clients."""

    def check(self, *command):
        with Server(*command) as server:
            with connect(server.address) as one, connect(server.address) as other:
                for sock in (one, other) if "plain" not in command else (one,):
                    sock.sendall(b"a line\n")
                    self.assertEqual(sock.recv(100), b"a line\n")
            return server.stop()

    def test_echo_server(self):
        for how in ("plain", "threads", "pool", "processes", "fibers"):
            if how == "fibers" and "fiber" not in FORMS:
                continue
            with self.subTest(how):
                self.assertEqual(self.check("first_echo_server", how, 0), 0)

    def test_selectors(self):
        # The program ends only by a signal.
        self.assertEqual(self.check("first_selectors", 0), -signal.SIGTERM)


class Others(TestCase):
    def test_client(self):
        with Peer(textbook.echo_server) as peer:
            result = run("first_client", *peer.address, stdin="one\ntwo\n")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout, "one\ntwo\n")

    def test_udp(self):
        result = run("first_udp")
        self.assert_succeeds(result)
        self.assertRegex(result.stdout, r"^A DATAGRAM from \('127\.0\.0\.1', \d+\)\n$")

    def test_framing(self):
        result = run("first_framing")
        self.assert_succeeds(result)
        self.assertEqual(
            result.stdout,
            "17 bytes: the first message\n0 bytes: \n25 bytes: the third,\nwith two lines\n",
        )

    @unittest.skipUnless("PLUG_HAS_FIBERS" in os.environ, "built without fibers")
    def test_fibers(self):
        result = run("first_fibers")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout, "100 answers\n")


if __name__ == "__main__":
    unittest.main()
