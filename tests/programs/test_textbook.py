"""Every pair of example programs, one side at a time, with a textbook's program for the other.

Each input is given to each client beside a textbook server, and each server gets it from a textbook
client: lines at once, line by line beside a server that takes its time, none at all, long ones, those that are
not ASCII, and one that ends without a newline.
"""

import functools
import json
import re
import socket
import threading
import time

import harness
import textbook
from harness import Peer, Server, run
from test_small_clients import STAMP

INPUTS = {
    "at once": "one\ntwo\nthree\nfour\nfive\n",
    "quotes": "it's\n\"so\"\nb\nb'\nb'b'\n\\n\n",
    "empty": "",
    "long": "x" * 1000 + "\nshort\n" + "y" * 1024 + "\n",
    "not ASCII": "Grüße\nпривет\n日本語 汉字\n",
    "no newline": "one\nlast",
}


class SlowSocket:
    """A connection that takes its time before it sends."""

    def __init__(self, sock):
        self.sock = sock

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def sendall(self, data):
        time.sleep(0.4)
        self.sock.sendall(data)


class SlowListener:
    """A listener whose connections do so."""

    def __init__(self, sock):
        self.sock = sock

    def accept(self):
        conn, address = self.sock.accept()
        return SlowSocket(conn), address


def slowly(serve):
    return lambda sock: serve(SlowListener(sock))


def stamped(text):
    return re.sub(STAMP, "[] ", text)


class Clients(harness.TestCase):
    """Of our clients, what they print; `answer` is what to expect for a line."""

    def check(self, program, serve, answer, inputs=INPUTS):
        for name, text in inputs.items():
            with self.subTest(name, program=program), Peer(serve) as peer:
                result = run(program, "127.0.0.1", peer.port, stdin=text)
                self.assert_succeeds(result)
                expected = [answer(line) for line in text.splitlines()]
                self.assertEqual(stamped(result.stdout).splitlines(), expected)

    def test_echo_client(self):
        self.check("echo_client", textbook.echo_server, str)
        self.check("echo_client", slowly(textbook.echo_server), str, {"slow": "one\ntwo\n"})

    def test_time_echo_client(self):
        self.check("time_echo_client", textbook.time_echo_server, lambda line: f"[] {line}")
        slow = slowly(textbook.time_echo_server)
        self.check("time_echo_client", slow, lambda line: f"[] {line}", {"slow": "one\ntwo\n"})

    def test_time_echo_client_beside_a_server_that_formats_a_text(self):
        serve = textbook.time_echo_server_of_text
        answer = lambda line: f"[] {line.encode()}"
        self.check("time_echo_client", serve, answer)
        self.check("time_echo_client", slowly(serve), answer, {"slow": "one\ntwo\n"})

    def test_time_echo_client_beside_a_server_that_answers_otherwise(self):
        greet = lambda data: b"at your service, since 2016: " + data.upper()
        serve = lambda sock: textbook.answer_chunks(sock, 1, greet)
        with Peer(serve) as peer:
            result = run("time_echo_client", "127.0.0.1", peer.port, stdin="one\ntwo\n")
        self.assert_succeeds(result)
        answers = [f"at your service, since 2016: {word}" for word in ("ONE", "TWO")]
        self.assertEqual(result.stdout.splitlines(), answers)

    def test_upper_client(self):
        self.check("upper_client", textbook.upper_server, str.upper)
        slow = {"slow": "one\ntwo\n" + "x" * 3000 + "\n"}
        self.check("upper_client", slowly(textbook.upper_server), str.upper, slow)

    def test_json_client(self):
        lines = {"values": '[1]\n{"a": "ü"}\n[]\n' + json.dumps(["x" * 5000]) + "\n", "empty": ""}
        for serve in (textbook.json_server, slowly(textbook.json_server)):
            for name, text in lines.items():
                with self.subTest(name), Peer(serve) as peer:
                    result = run("json_echo", "client", "127.0.0.1", peer.port, stdin=text)
                    self.assert_succeeds(result)
                    answers = list(map(json.loads, result.stdout.splitlines()))
                    self.assertEqual(answers, list(map(json.loads, text.splitlines())))

    def test_greeting_client(self):
        def slow(sock):
            conn, _ = sock.accept()
            with conn:
                for word in (b"Thank you ", b"for ", b"connecting"):
                    time.sleep(0.2)
                    conn.send(word)

        for serve in (textbook.greeting_server, slow):
            with Peer(serve) as peer:
                result = run("greeting_client", "127.0.0.1", peer.port)
                self.assert_succeeds(result)
                self.assertEqual(result.stdout, "Thank you for connecting\n")

    def test_select_client(self):
        for serve in (textbook.select_server, self.select_server(0.4)):
            for name, text in INPUTS.items():
                with self.subTest(name), Peer(serve) as peer:
                    result = run("select_client", "127.0.0.1", peer.port, stdin=text)
                    self.assert_succeeds(result)
                    answers = [f"{line}response" for line in text.splitlines()]
                    self.assertEqual(result.stdout.splitlines(), ["hello", *answers])

    @staticmethod
    def select_server(delay):
        """One that takes its time and does not close until its client has."""

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                time.sleep(delay)
                conn.send(b"hello")
                while data := conn.recv(textbook.BUFSIZ):
                    time.sleep(delay)
                    conn.sendall(data + b"response")

        return serve

    def test_select_client_ends_after_its_input_though_the_server_does_not_close(self):
        for text in ("", "one\ntwo\n"):
            ended = threading.Event()
            serve = functools.partial(textbook.select_server_that_never_closes, ended=ended)
            with self.subTest(text), Peer(serve) as peer:
                result = run("select_client", "127.0.0.1", peer.port, stdin=text)
                ended.set()
                self.assert_succeeds(result)
                answers = [f"{line}response" for line in text.splitlines()]
                self.assertEqual(result.stdout.splitlines(), ["hello", *answers])


class Servers(harness.TestCase):
    """What a textbook client gets from our servers."""

    def check(self, program, ask, answer, *options, inputs=INPUTS):
        with Server(program, "127.0.0.1", 0, *options) as server:
            for name, text in inputs.items():
                with self.subTest(name, program=program, options=options):
                    lines = [line.encode() for line in text.splitlines()]
                    answers = [stamped(each.decode()) for each in ask(server.address, lines)]
                    self.assertEqual(answers, [answer(line) for line in text.splitlines()])

    def test_echo_server(self):
        for form in harness.FORMS:
            options = () if form == "plain" else (f"--server={form}",)
            self.check("echo_server", textbook.echo_client, str, *options)

    def test_time_echo_server(self):
        for form in harness.FORMS:
            options = () if form == "plain" else (f"--server={form}",)
            inputs = INPUTS | {"long": "x" * 900 + "\nshort\n"}
            self.check("time_echo_server", textbook.time_echo_client, lambda line: f"[] {line}", *options,
                       inputs=inputs)  # fmt: skip

    def test_upper_server(self):
        self.check("upper_server", textbook.upper_client, str.upper)

    def test_select_server(self):
        def ask(address, messages):
            return textbook.select_client(address, messages)[1:]

        self.check("select_server", ask, lambda line: f"{line}response")

    def test_json_server(self):
        with Server("json_echo", "server", "127.0.0.1", 0) as server:
            for values in ([], [[1], {"a": "ü"}, []], [["x" * 5000]]):
                self.assertEqual(textbook.json_client(server.address, values), values)

    def test_greeting_server_beside_a_client_that_reads_late(self):
        with Server("greeting_server", "127.0.0.1", 0) as server, server.connect() as sock:
            time.sleep(0.2)
            self.assertEqual(sock.recv(1024), b"Thank you for connecting")
            self.assertEqual(sock.recv(1024), b"")

    def test_udp_server(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            for text in ("one", "Grüße", "x" * 9000, ""):
                answers, address = textbook.udp_client(server.address, [text.encode()])
                self.assertEqual(answers, [f"Hello {address}".encode()])

    def test_one_request_server(self):
        for text in ("one", "Grüße", "x" * 900):
            with Server("one_request_server", "127.0.0.1", 0) as server:
                self.assertEqual(textbook.echo_client(server.address, [text.encode()]), [text.encode()])

    def test_servers_survive_a_client_that_says_nothing_and_ends(self):
        for program in ("echo_server", "time_echo_server", "upper_server", "select_server"):
            with self.subTest(program), Server(program, "127.0.0.1", 0) as server:
                with server.connect() as sock:
                    sock.shutdown(socket.SHUT_WR)
                    said = b"".join(iter(lambda: sock.recv(1024), b""))
                    self.assertEqual(said, b"hello" if program == "select_server" else b"")
                self.assertEqual(server.stop(), 0)
