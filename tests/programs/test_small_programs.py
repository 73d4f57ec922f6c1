"""Tests the programs that are neither client nor server: polling, timeouts, tables, addresses."""

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import unittest

import harness
from harness import HOSTS, Server, run


class PollingAccept(harness.TestCase):
    def start(self, host="127.0.0.1", *options):
        return Server("polling_accept", host, 0, "--interval", "0.02", *options)

    def test_accepts_one_client_by_polling_and_one_by_waiting_then_ends(self):
        for host in HOSTS:
            with self.subTest(host=host), self.start(host, "--tries", 1000) as server:
                self.assertIn("nobody yet, try 1 of 1000: Resource temporarily unavailable",
                              server.line())
                for how in ("polling", "waiting"):
                    with server.connect() as sock:
                        name = str(sock.getsockname())
                        self.assertIn(f"accepted by {how}".encode(), sock.recv(1024))
                        self.assertEqual(sock.recv(1024), b"")
                    self.assertEqual(server.line_with("connected"), f"{name}: connected")
                    self.assertIn(f"accepted by {how}", server.line())
                    self.assertEqual(server.line(), f"{name}: left")
                self.assertEqual(server.wait(), 0)

    def test_ends_after_the_given_tries_when_nobody_comes(self):
        result = run("polling_accept", "127.0.0.1", 0, "--tries", 3, "--interval", 0.02)
        self.assert_succeeds(result)
        lines = result.stdout.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines[1:]],
                         [f"nobody yet, try {i} of 3" for i in (1, 2, 3)] + ["nobody came"])

    def test_ends_when_only_one_client_comes(self):
        with self.start("127.0.0.1", "--tries", 150) as server:
            with server.connect() as sock:
                self.assertIn(b"accepted by polling", sock.recv(1024))
            self.assertEqual(server.wait(), 0)
            self.assertEqual(server.rest()[-1], "nobody came")

    def test_a_signal_ends_it_with_status_0_in_either_part(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                options = ("127.0.0.1", 0, "--interval", 3600)
                with Server("polling_accept", *options) as server:
                    server.line_with("nobody yet")
                    self.assertEqual(server.stop(number), 0)
                with self.start("127.0.0.1", "--tries", 1000000) as server:
                    with server.connect() as sock:
                        sock.recv(1024)
                    server.line_with(": left")
                    self.assertEqual(server.stop(number), 0)
                    self.assertEqual(server.rest("stderr"), [])

    def test_bad_arguments_are_one_line_that_names_them(self):
        self.assert_fails(run("polling_accept", "127.0.0.1", 65536), "65536")
        self.assert_fails(run("polling_accept", "127.0.0.1", 0, "--tries", 0), "--tries", "0")
        with self.start() as server:
            result = run("polling_accept", "127.0.0.1", server.port)
            self.assert_fails(result, "Address already in use", str(server.address))


class Timeouts(harness.TestCase):
    def test_shows_the_timeout_before_and_after_and_what_running_out_looks_like(self):
        patterns = [
            r"a new socket: timeout None, blocking",
            r"after settimeout\(0\.05\): timeout 0\.05, blocking",
            r"recv: TimeoutError timed out.* after (?P<seconds>\d+\.\d\d) s",
            r"recv: 'better late than never' after \d+\.\d\d s",
            r"after settimeout\(0\): timeout 0\.0, non-blocking",
            r"recv: BlockingIOError \[Errno 11\] Resource temporarily unavailable.* after \S+ s",
            r"after settimeout\(None\): timeout None, blocking",
            r"a new socket after setdefaulttimeout\(0\.05\): timeout 0\.05, blocking",
        ]
        for host in HOSTS:
            with self.subTest(host=host):
                result = run("timeouts", host, 0, "--seconds", 0.05)
                self.assert_succeeds(result)
                first, *lines = result.stdout.splitlines()
                self.assertRegex(first, rf"^listening on \('{host}', \d+(, 0, 0)?\)$")
                self.assertEqual(len(lines), len(patterns))
                for line, pattern in zip(lines, patterns):
                    self.assertRegex(line, f"^{pattern}$")
                took = re.fullmatch(patterns[2], lines[2])["seconds"]
                self.assertGreaterEqual(float(took), 0.05)

    def test_bad_arguments_are_one_line_that_names_them(self):
        self.assert_fails(run("timeouts", "127.0.0.1", -1), "-1")
        self.assert_fails(run("timeouts", "127.0.0.1", 0, "--seconds", -2), "-2")


class ServiceTable(harness.TestCase):
    def test_shows_the_ports_that_python_finds(self):
        services = {"HTTP": "http", "NNTP": "nntp", "FTP": "ftp", "SMTP": "smtp", "POP3": "pop3",
                    "IMAP4": "imap", "Telnet": "telnet", "Gopher": "gopher"}
        result = run("service_table")
        self.assert_succeeds(result)
        self.assertEqual([line.split() for line in result.stdout.splitlines()],
                         [[title, str(socket.getservbyname(name, "tcp"))]
                          for title, name in services.items()])

    def test_looks_up_the_names_that_it_is_given(self):
        result = run("service_table", "ssh", "https")
        self.assertEqual(result.stdout.split(), ["ssh", "22", "https", "443"])

    def test_an_unknown_service_is_one_line_that_names_it(self):
        self.assert_fails(run("service_table", "no-such-service"), "no-such-service")


class MyAddress(harness.TestCase):
    def test_is_what_python_finds_for_the_peer(self):
        for host in (*HOSTS, "127.1.2.3"):
            with self.subTest(host=host):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    sock.connect((host, 9))
                    result = run("my_address", host, 9)
                    self.assert_succeeds(result)
                    mine, peer = sock.getsockname()[0], sock.getpeername()
                    self.assertEqual(result.stdout, f"{mine} on the way to {peer}\n")

    def test_sends_nothing(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            self.assert_succeeds(run("my_address", *peer.getsockname()))
            peer.setblocking(False)
            self.assertRaises(BlockingIOError, peer.recv, 1)

    def test_bad_arguments_are_one_line_that_names_them(self):
        self.assert_fails(run("my_address", "127.0.0.1", 65536), "65536")
        self.assert_fails(run("my_address", "no.such.host.invalid", 9), "no.such.host.invalid")


class ConvertAddress(harness.TestCase):
    def convert(self, *addresses):
        result = run("convert_address", *addresses)
        self.assert_succeeds(result)
        return result.stdout.splitlines()

    def test_converts_quads_and_numbers_as_python_does(self):
        for text in ("127.0.0.1", "0.0.0.0", "255.255.255.255", "1.2.3.4", "127.1",
                     "2130706433", "0x7f000001", "16909060"):
            with self.subTest(text):
                packed = socket.inet_aton(text)
                (host,) = struct.unpack("!I", packed)
                self.assertEqual(self.convert(text), [
                    f"{text} is {socket.inet_ntoa(packed)}",
                    f"  bytes         {packed.hex(' ')}",
                    f"  host order    {host}",
                    f"  network order {socket.htonl(host)}",
                ])

    def test_converts_ipv6_as_python_does(self):
        for text in ("::1", "2001:DB8:0:0::1", "::ffff:1.2.3.4"):
            packed = socket.inet_pton(socket.AF_INET6, text)
            self.assertEqual(self.convert(text), [
                f"{text} is {socket.inet_ntop(socket.AF_INET6, packed)}",
                f"  bytes         {packed.hex(' ')}",
            ])

    def test_has_examples_of_its_own(self):
        self.assertIn("127.0.0.1 is 127.0.0.1", self.convert())

    def test_what_is_no_address_is_one_line_that_names_it(self):
        for text in ("256.0.0.1", "1.2.3.4.5", "4294967296", "nonsense", "1::2::3", ":"):
            with self.subTest(text):
                self.assert_fails(run("convert_address", text), text)


class Help(harness.TestCase):
    def test_every_program_says_what_it_does(self):
        names = """time_echo_server time_echo_client echo_server echo_client udp_server udp_client
            upper_server upper_client greeting_server greeting_client json_echo polling_accept
            timeouts select_server select_client service_table my_address convert_address"""
        for name in names.split():
            with self.subTest(name):
                result = run(name, "--help")
                self.assert_succeeds(result)
                self.assertRegex(result.stdout, re.compile(r"^.+\.\n", re.M))


@unittest.skipUnless("PLUG_HAS_FIBERS" in os.environ, "built without fibers")
class GreetAll(harness.TestCase):
    def serve(self, stack, before=lambda: None):
        """Returns the port of a server that greets one client."""

        def greet(sock):
            conn, _ = sock.accept()
            with conn:
                before()
                conn.sendall(b"hello")

        return stack.enter_context(harness.Peer(greet)).port

    def listener(self, stack):
        """Returns the port of a server that sends nothing."""
        return stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]

    def refusing(self, stack):
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]

    def test_prints_the_greetings_in_order(self):
        for at_once in (1, 2, 5):
            with self.subTest(at_once), contextlib.ExitStack() as stack:
                ports = [self.serve(stack) for _ in range(5)]
                result = run("greet_all", "127.0.0.1", *ports, "--at-once", at_once)
                self.assert_succeeds(result)
                self.assertEqual(result.stdout.splitlines(), [f"{port}: hello" for port in ports])

    def test_asks_as_many_at_once_as_it_is_told(self):
        meeting = threading.Barrier(4)
        with contextlib.ExitStack() as stack:
            ports = [self.serve(stack, lambda: meeting.wait(harness.PATIENCE)) for _ in range(4)]
            self.assert_succeeds(run("greet_all", "localhost", *ports, "--at-once", 4, "--timeout", 20))

    def test_who_does_not_answer_in_time_is_left_and_who_refuses_is_named(self):
        with contextlib.ExitStack() as stack:
            silent, refusing = self.listener(stack), self.refusing(stack)
            good = self.serve(stack)
            result = run("greet_all", "127.0.0.1", refusing, good, silent, "--timeout", 3)
            self.assert_fails(result, "2 of 3 servers on '127.0.0.1' have not greeted")
            lines = result.stdout.splitlines()
            self.assertIn("Connection refused", lines[0])
            self.assertEqual(lines[1:], [f"{good}: hello", f"{silent}: no answer in time"])

    def test_bad_arguments_are_one_line_that_names_them(self):
        self.assert_fails(run("greet_all", "127.0.0.1", 65536), "65536")
        self.assert_fails(run("greet_all", "127.0.0.1", 1, "--at-once", 0), "--at-once", "0")
