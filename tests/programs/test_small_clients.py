"""Tests the small clients with textbook servers and ours, and the rules that all clients follow."""

import contextlib
import json
import os
import re
import signal
import socket
import threading

import harness
import textbook
from harness import HOSTS, Peer, Program, Server, run


class ClientRules:
    """The rules for every client that holds a conversation over a stream."""

    #: The client, our server for it, and a textbook server for it.
    program = ()
    server = ()
    peer = staticmethod(lambda sock: None)
    #: The lines to type, and a pattern for each line of output.
    lines = ()
    answers = ()
    #: Whether an empty line ends the client.
    empty_line_ends = False

    def check(self, result):
        self.assert_succeeds(result)
        lines = result.stdout.split("\n")
        self.assertEqual(lines.pop(), "")
        self.assertEqual(len(lines), len(self.answers), lines)
        for line, pattern in zip(lines, self.answers):
            self.assertRegex(line, pattern)

    def input(self):
        return "".join(line + "\n" for line in self.lines)

    def test_talks_to_a_textbook_server_over_ipv4_and_ipv6(self):
        for host in HOSTS:
            with self.subTest(host=host), Peer(self.peer, host) as peer:
                self.check(run(*self.program, host, peer.port, stdin=self.input()))

    def test_talks_to_our_server_over_ipv4_and_ipv6_one_client_after_another(self):
        for host in HOSTS:
            with self.subTest(host=host), Server(*self.server, host, 0) as server:
                for _ in range(2):
                    self.check(run(*self.program, host, server.port, stdin=self.input()))

    def test_finds_its_server_by_name(self):
        with Peer(self.peer) as peer:
            self.check(run(*self.program, "localhost", peer.port, stdin=self.input()))

    def test_a_refused_connection_is_one_line_that_names_the_address(self):
        for host in HOSTS:
            with self.subTest(host=host):
                port = harness.refused_port(host)
                result = run(*self.program, host, port, stdin=self.input())
                self.assert_fails(result, "Connection refused", f"('{host}', {port}")

    def test_an_unknown_host_is_one_line_that_names_it(self):
        self.assert_fails(run(*self.program, "no.such.host.invalid", 1), "no.such.host.invalid")

    def test_a_bad_port_is_one_line_that_names_it(self):
        for port in (65536, -1, "http"):
            with self.subTest(port=port):
                self.assert_fails(run(*self.program, "127.0.0.1", port), "PORT", str(port))


class LineClientRules(ClientRules):
    """The rules for every client that reads lines."""

    def test_the_end_of_the_input_ends_it_with_status_0(self):
        with Peer(self.peer) as peer:
            result = run(*self.program, "127.0.0.1", peer.port)
            self.assert_succeeds(result)
            self.assertEqual(result.stdout, "")

    def test_an_empty_line_ends_it_or_is_asked_for_again(self):
        with Peer(self.peer) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin="\n" + self.input())
            self.assert_succeeds(result)
            lines = result.stdout.splitlines()
            if self.empty_line_ends:
                self.assertEqual(lines, [])
            else:
                self.assertIn("an empty message reaches nobody", lines[0])
                self.assertEqual(len(lines), 1 + len(self.answers))

    def silent_peer(self, conversing, text):
        """Returns a server that receives and never answers, until the client leaves."""

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                if text:
                    conn.recv(1024)
                conversing.set()
                with contextlib.suppress(ConnectionResetError):
                    while conn.recv(1024):
                        pass

        return Peer(serve)

    def test_a_signal_ends_it_with_status_0_while_it_waits(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            for text in ("", self.lines[0]):
                conversing = threading.Event()
                with self.subTest(number, text=text), self.silent_peer(conversing, text) as peer:
                    with Program(*self.program, "127.0.0.1", peer.port) as client:
                        if text:
                            client.send_line(text)
                        self.assertTrue(conversing.wait(harness.PATIENCE))
                        self.assertEqual(client.stop(number), 0)
                        self.assertEqual(client.rest("stderr"), [])

    def fail_against(self, end):
        """Returns the client's result if the server ends the connection instead of answering."""

        def serve(sock):
            conn, _ = sock.accept()
            conn.recv(1024)
            end(conn)

        with Peer(serve) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin=self.input())
            self.assert_fails(result, str(peer.address))
            return result

    def test_a_server_that_resets_is_one_line_that_names_it(self):
        self.assertIn("Connection reset", self.fail_against(harness.reset).stderr)

    def test_a_server_that_ends_without_an_answer_is_one_line_that_names_it(self):
        self.fail_against(lambda conn: conn.close())

    def test_a_server_that_ends_inside_an_answer_is_one_line_that_names_it(self):
        def end(conn):
            conn.sendall(b"\x00")
            conn.close()

        self.fail_against(end)

    def test_prompts_on_a_terminal_only(self):
        ours, theirs = harness.open_terminal()
        try:
            with Peer(self.peer) as peer:
                with Program(*self.program, "127.0.0.1", peer.port, stdin=theirs) as client:
                    os.write(ours, self.lines[0].encode() + b"\n\x04")
                    self.assertEqual(client.wait(), 0)
                    line = client.line()
                    self.assertTrue(line.startswith("> "), line)
                    self.assertRegex(line[2:], self.answers[0])
                    self.assertEqual(client.line(), "> ")
        finally:
            os.close(ours)
            os.close(theirs)


STAMP = r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] "


class TimeEchoClient(LineClientRules, harness.TestCase):
    program = ("time_echo_client",)
    server = ("time_echo_server",)
    peer = staticmethod(textbook.time_echo_server)
    lines = ("hello", "Grüße, 汉字", "x" * 1024)
    answers = (f"^{STAMP}hello$", f"^{STAMP}Grüße, 汉字$", f"^{STAMP}{'x' * 1024}$")
    empty_line_ends = True

    def test_a_line_longer_than_a_chunk_is_answered_in_pieces(self):
        with Peer(textbook.time_echo_server) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin="y" * 5000 + "\n")
        self.assert_succeeds(result)
        self.assertEqual(re.sub(STAMP, "", result.stdout).replace("\n", ""), "y" * 5000)
        self.assertEqual(len(result.stdout.splitlines()), 5)


def drip(sock):
    """An echo server that answers byte by byte."""
    conn, _ = sock.accept()
    with conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := conn.recv(1024):
            for i in range(len(data)):
                conn.send(data[i : i + 1])


class EchoClient(LineClientRules, harness.TestCase):
    program = ("echo_client",)
    server = ("echo_server",)
    peer = staticmethod(textbook.echo_server)
    lines = ("hello", "Grüße, 汉字")
    answers = ("^hello$", "^Grüße, 汉字$")
    empty_line_ends = True

    def test_prints_an_answer_in_pieces_as_one(self):
        with Peer(drip) as peer:
            self.check(run(*self.program, "127.0.0.1", peer.port, stdin=self.input()))

    def test_a_line_of_a_megabyte_comes_back_whole(self):
        line = "z" * 2**20 + "\n"
        with Peer(textbook.echo_server) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin=line)
            self.assert_succeeds(result)
            self.assertTrue(result.stdout == line)
        with Server(*self.server, "127.0.0.1", 0) as server:
            result = run(*self.program, "127.0.0.1", server.port, stdin=line)
            self.assertTrue(result.stdout == line)

    def test_prints_control_characters_as_escapes(self):
        with Peer(textbook.echo_server) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin=b"a\x1b[2J\xff\n")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout, "a\\x1b[2J\\xff\n")

    def test_a_last_line_without_a_newline_is_sent(self):
        with Peer(textbook.echo_server) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin="last")
        self.assertEqual(result.stdout, "last\n")


class UpperClient(LineClientRules, harness.TestCase):
    program = ("upper_client",)
    server = ("upper_server",)
    peer = staticmethod(textbook.upper_server)
    lines = ("hello", "Grüße, 汉字 ŉ", "привет")
    answers = ("^HELLO$", "^GRÜSSE, 汉字 ʼN$", "^ПРИВЕТ$")

    def test_exit_ends_the_conversation_on_both_sides(self):
        with Peer(textbook.upper_server) as peer:
            result = run(*self.program, "127.0.0.1", peer.port, stdin="one\nexit\nnever sent\n")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout, "ONE\n")
        with Server(*self.server, "127.0.0.1", 0, "--once") as server:
            run(*self.program, "127.0.0.1", server.port, stdin="exit\n")
            self.assertEqual(server.wait(), 0)

    def test_a_long_line_comes_back_whole_and_one_too_long_is_asked_for_again(self):
        with Server(*self.server, "127.0.0.1", 0) as server:
            lines = "ä" * 16384 + "\n" + "x" * 32769 + "\nshort\n"
            result = run(*self.program, "127.0.0.1", server.port, stdin=lines)
        self.assert_succeeds(result)
        first, second, third = result.stdout.splitlines()
        self.assertEqual(first, "Ä" * 16384)
        self.assertIn("too long", second)
        self.assertEqual(third, "SHORT")


class GreetingClient(ClientRules, harness.TestCase):
    program = ("greeting_client",)
    server = ("greeting_server",)
    peer = staticmethod(textbook.greeting_server)
    answers = ("^Thank you for connecting$",)

    def test_prints_a_greeting_in_pieces_as_one(self):
        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in b"Thank you for connecting":
                    conn.send(bytes([byte]))

        with Peer(serve) as peer:
            self.check(run(*self.program, "127.0.0.1", peer.port))

    def test_a_greeting_without_an_end_is_one_line_that_names_the_server(self):
        def serve(sock):
            conn, _ = sock.accept()
            with conn, contextlib.suppress(ConnectionError):
                while True:
                    conn.sendall(b"blah " * 1000)

        with Peer(serve) as peer:
            self.assert_fails(run(*self.program, "127.0.0.1", peer.port), str(peer.address))

    def test_a_server_that_resets_is_one_line_that_names_it(self):
        with Peer(lambda sock: harness.reset(sock.accept()[0])) as peer:
            self.assert_fails(run(*self.program, "127.0.0.1", peer.port), str(peer.address))


class JsonClient(LineClientRules, harness.TestCase):
    program = ("json_echo", "client")
    server = ("json_echo", "server")
    peer = staticmethod(textbook.json_server)
    lines = ("[1,2.5,null]", '{"a":["ü",{}]}')
    answers = (r"^\[1, ?2\.5, ?null\]$", r'^\{"a": ?\["(ü|\\u00fc)", ?\{\}\]\}$')

    def test_prints_the_error_that_bad_json_gets_and_goes_on(self):
        with Server(*self.server, "127.0.0.1", 0) as server:
            result = run(*self.program, "127.0.0.1", server.port, stdin="{oops\n[1]\n")
        self.assert_succeeds(result)
        first, second = result.stdout.splitlines()
        self.assertEqual(list(json.loads(first)), ["error"])
        self.assertEqual(second, "[1]")


class UdpClient(harness.TestCase):
    def test_gets_two_answers_from_a_textbook_server(self):
        for host in HOSTS:
            senders = []
            serve = lambda sock: senders.extend(textbook.udp_server(sock, 4))
            with self.subTest(host=host), Peer(serve, host, socket.SOCK_DGRAM) as peer:
                result = run("udp_client", host, peer.port, stdin="one\nGrüße\n")
            self.assert_succeeds(result)
            sendto, connected = senders[:2]
            self.assertNotEqual(sendto, connected)
            self.assertEqual(senders, [sendto, connected] * 2)
            answers = [f"sendto: Hello {sendto} from {peer.address}",
                       f"connected: Hello {connected}"]
            self.assertEqual(result.stdout.splitlines(), answers * 2)

    def test_talks_to_our_server(self):
        for host in (*HOSTS, "localhost"):
            with self.subTest(host=host), Server("udp_server", host, 0) as server:
                result = run("udp_client", host, server.port, stdin="one\n")
                self.assert_succeeds(result)
                numeric = re.escape(server.host)
                self.assertRegex(
                    result.stdout,
                    rf"^sendto: Hello \('{numeric}', \d+.*\) from {re.escape(str(server.address))}\n"
                    rf"connected: Hello \('{numeric}', \d+.*\)\n$",
                )

    def test_no_answer_is_one_line_that_names_the_address_and_the_time(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            name = silent.getsockname()
            result = run("udp_client", *name, "--timeout", "0.1", stdin="hello\n")
        self.assert_fails(result, str(name), "no answer within 0.1 s")

    def test_an_empty_line_is_asked_for_again(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            result = run("udp_client", "127.0.0.1", server.port, stdin="\none\n")
        self.assert_succeeds(result)
        self.assertIn("an empty message reaches nobody", result.stdout.splitlines()[0])
        self.assertEqual(len(result.stdout.splitlines()), 3)

    def test_a_line_longer_than_a_datagram_is_one_line_that_names_the_address(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            result = run("udp_client", "127.0.0.1", server.port, stdin="x" * 65508 + "\n")
            self.assert_fails(result, "Message too long", str(server.address))

    def test_a_signal_ends_it_with_status_0_while_it_waits(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
                silent.settimeout(harness.PATIENCE)
                silent.bind(("127.0.0.1", 0))
                with Program("udp_client", *silent.getsockname()) as client:
                    client.send_line("hello")
                    silent.recv(1024)
                    self.assertEqual(client.stop(number), 0)

    def test_bad_arguments_are_one_line_that_names_them(self):
        self.assert_fails(run("udp_client", "127.0.0.1", 65536), "65536")
        self.assert_fails(run("udp_client", "127.0.0.1", 9, "--timeout", "-1"), "-1")
        self.assert_fails(run("udp_client", "no.such.host.invalid", 9), "no.such.host.invalid")
