"""Tests select_server and select_client: several clients at once, none of which delays the
others."""

import os
import pathlib
import resource
import select
import signal
import socket

import harness
import textbook
from harness import HOSTS, Peer, Program, Server, run
from test_small_servers import ServerRules


def fill(sock):
    """Sends until the peer has not read for a while. Returns the number of bytes."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.3)[1]:
        try:
            sent += sock.send(b"x" * 65536)
        except BlockingIOError:
            pass
    return sent


def memory(pid):
    """Returns the resident memory of a process, in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


class SelectServer(ServerRules, harness.TestCase):
    program = ("select_server",)
    converses = True

    def exchange(self, sock, first=True):
        if first:
            self.assertEqual(textbook.receive_exactly(sock, 5), b"hello")
        sock.send(b"data")
        self.assertEqual(textbook.receive_exactly(sock, 12), b"dataresponse")

    def test_answers_each_chunk_of_a_textbook_client(self):
        chunks = [b"one", bytes(range(256)), "汉字".encode(), b"\n"]
        for host in HOSTS:
            with self.subTest(host=host), self.start(host) as server:
                answers = textbook.select_client(server.address, chunks)
                self.assertEqual(answers, [b"hello", *(chunk + b"response" for chunk in chunks)])

    def test_serves_many_clients_at_once(self):
        with self.start() as server:
            clients = [server.connect() for _ in range(50)]
            for first in (True, False):
                for sock in reversed(clients):
                    self.exchange(sock, first)
            for sock in clients:
                self.end(sock)
                sock.close()

    def test_a_client_that_does_not_read_holds_up_nobody_and_costs_no_memory(self):
        with self.start() as server, server.connect() as other:
            self.exchange(other)
            before = memory(server.pid)
            with server.connect() as slow:
                sent = fill(slow)
                self.exchange(other, False)
                if not harness.sanitized("select_server"):  # a sanitizer keeps freed memory
                    self.assertLess(memory(server.pid) - before, 4096)
                # The server answers this data once the client reads.
                slow.settimeout(harness.PATIENCE)
                slow.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: slow.recv(65536), b""))
                self.assertTrue(answer.startswith(b"hello"))
                self.assertEqual(answer.count(b"x"), sent)

    def test_a_signal_ends_it_while_a_client_does_not_read(self):
        with self.start() as server, server.connect() as sock:
            fill(sock)
            self.assertEqual(server.stop(), 0)

    def test_goes_on_after_it_had_no_descriptor_to_spare(self):
        with self.start() as server:
            clients = [server.connect()]
            self.exchange(clients[0])
            highest = max(map(int, os.listdir(f"/proc/{server.pid}/fd")))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
            clients += [server.connect() for _ in range(3)]
            server.line_with("accept: Too many open files")
            self.exchange(clients[0], False)
            clients.pop(0).close()
            self.exchange(clients[0])
            for sock in clients:
                sock.close()


class SelectClient(harness.TestCase):
    def test_prints_what_comes_when_it_comes(self):
        for host in HOSTS:
            with self.subTest(host=host), Peer(textbook.select_server, host) as peer:
                with Program("select_client", *peer.address[:2]) as client:
                    self.assertEqual(client.line(), "hello")
                    for text in ("one", "汉字"):
                        client.send_line(text)
                        self.assertEqual(client.line(), f"{text}response")
                    client.end_input()
                    self.assertEqual(client.wait(), 0)

    def test_hears_a_server_that_speaks_unasked(self):
        with Peer(lambda sock: self.speak_twice(sock)) as peer:
            with Program("select_client", *peer.address[:2]) as client:
                self.assertEqual(client.line(), "first")
                client.send_line("go on")
                self.assertEqual(client.line(), "second")
                self.assertEqual(client.wait(), 0)

    @staticmethod
    def speak_twice(sock):
        conn, _ = sock.accept()
        with conn:
            conn.sendall(b"first")
            conn.recv(100)
            conn.sendall(b"second")

    def test_talks_to_our_server(self):
        with Server("select_server", "127.0.0.1", 0) as server:
            with Program("select_client", "127.0.0.1", server.port) as client:
                self.assertEqual(client.line(), "hello")
                client.send_line("one")
                self.assertEqual(client.line(), "oneresponse")

    def test_gets_much_input_through_a_server_that_reads_as_it_is_read(self):
        sent = b"x" * 3_000_000
        with Server("select_server", "127.0.0.1", 0) as server:
            result = run("select_client", "127.0.0.1", server.port, stdin=sent)
            self.assert_succeeds(result)
            self.assertEqual(result.stdout.count("x"), len(sent))

    def test_a_signal_ends_it_with_status_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), Server("select_server", "127.0.0.1", 0) as server:
                with Program("select_client", "127.0.0.1", server.port) as client:
                    self.assertEqual(client.line(), "hello")
                    self.assertEqual(client.stop(number), 0)

    def test_what_fails_is_one_line_that_names_the_address(self):
        port = harness.refused_port()
        self.assert_fails(run("select_client", "127.0.0.1", port), "Connection refused", str(port))
        self.assert_fails(run("select_client", "127.0.0.1", 65536), "65536")
