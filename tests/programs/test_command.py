"""Tests the command server and client, with textbook peers and with each other."""

import contextlib
import os
import signal
import socket
import threading
import time
import unittest

import harness
import textbook
from harness import Peer, Server, run
from test_small_clients import LineClientRules
from test_small_servers import ConversationRules


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid):
    """Waits for a killed process, which ends soon after the signal, but not immediately."""
    end = time.monotonic() + harness.PATIENCE
    while is_running(pid):
        if time.monotonic() > end:
            raise AssertionError(f"process {pid} is still there")
        os.sched_yield()


class CommandServer(ConversationRules, harness.TestCase):
    # The rules start servers on every kind of address.
    program = ("command_server", "--i-know")

    def start(self, host="127.0.0.1", *options):
        server = super().start(host, *options)
        self.assertIn("runs whatever it is sent", server.line())
        return server

    def exchange(self, sock):
        sock.send(b"echo hello")
        self.assertEqual(sock.recv(1024), b"hello\n")

    def answer(self, command, *options):
        """Returns the whole answer to a command, with framing."""
        with self.start("127.0.0.1", "--framed", *options) as server, server.connect() as sock:
            sock.sendall(textbook.frame(command.encode()))
            return textbook.receive_frame(sock).decode()

    def test_answers_output_or_errors_or_return_null(self):
        commands = {
            "echo out": "out\n",
            "printf 汉字": "汉字",
            "echo out; echo err >&2": "out\n",
            "echo out; echo err >&2; exit 1": "err\n",
            "true": "return null",
            "false": "return null",
            "echo err >&2": "return null",
            "echo out; false": "out\n",
            "no-such-command-here": "sh: 1: no-such-command-here: not found\n",
        }
        with self.start() as server:
            answers = textbook.command_client(server.address, commands)
        self.assertEqual(dict(zip(commands, answers)), commands)

    def test_a_command_reads_nothing(self):
        self.assertEqual(self.answer("cat; echo end"), "end\n")

    def test_a_command_gets_no_descriptor_of_the_server(self):
        held, other = os.pipe()
        os.set_inheritable(other, True)
        try:
            with Server(*self.program, "127.0.0.1", 0, pass_fds=[other]) as server:
                self.assertIn(str(other), os.listdir(f"/proc/{server.pid}/fd"))
                (answer,) = textbook.command_client(server.address, ["ls /proc/$$/fd; :"])
            self.assertEqual(answer.split(), ["0", "1", "2"])
        finally:
            os.close(held)
            os.close(other)

    def test_a_command_has_no_signal_blocked_or_ignored(self):
        answer = self.answer("grep -E '^Sig(Blk|Ign)' /proc/self/status")
        # The C library keeps the two signals after the 31st for itself.
        signals = [int(line.split()[1], 16) & 0x7FFFFFFF for line in answer.splitlines()]
        self.assertEqual(signals, [0, 0])

    def test_a_command_that_never_ends_is_killed_and_the_answer_says_so(self):
        began = time.monotonic()
        answer = self.answer("echo begun; sleep 1000", "--limit", 0.3)
        self.assertEqual(answer, "begun\n[killed: it ran longer than 0.3 seconds]\n")
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_the_limit_kills_children_and_grandchildren_too(self):
        command = "sleep 1000 & echo $!; sh -c 'sleep 1000 & echo $!; wait'"
        answer = self.answer(command, "--limit", 0.3)
        child, grandchild, end = answer.splitlines()
        self.assertIn("killed", end)
        for pid in (child, grandchild):
            wait_until_gone(int(pid))

    def test_the_limit_kills_what_ignores_signals_and_has_closed_its_output(self):
        answer = self.answer(
            "trap '' TERM INT HUP; echo $$; exec >&- 2>&-; sleep 1000", "--limit", 0.3
        )
        pid, end = answer.splitlines()
        self.assertIn("killed", end)
        wait_until_gone(int(pid))

    def test_what_a_command_leaves_in_the_background_ends_with_it(self):
        answer = self.answer("sleep 1000 >/dev/null 2>&1 & echo $!")
        wait_until_gone(int(answer))

    def test_a_command_that_writes_without_end_is_killed_and_the_answer_says_so(self):
        answer = self.answer("exec yes")
        self.assertEqual(len(answer.removesuffix("[killed: it wrote 16777216 bytes]\n")), 16 << 20)

    def test_a_command_that_cannot_be_run_is_answered_with_why(self):
        self.assertEqual(self.answer("echo a\0b"), "not run: a command cannot hold a NUL byte\n")

    def test_framed_a_command_that_is_too_long_is_refused_and_the_next_one_runs(self):
        with self.start("127.0.0.1", "--framed") as server, server.connect() as sock:
            sock.sendall(textbook.frame(b"#" * 1_000_000) + textbook.frame(b"echo next"))
            self.assertRegex(textbook.receive_frame(sock), rb"^not run: .*1000000.*\n$")
            self.assertEqual(textbook.receive_frame(sock), b"next\n")

    def test_framed_a_length_of_a_gibibyte_is_refused(self):
        with self.start("127.0.0.1", "--framed") as server, server.connect() as sock:
            sock.sendall((1 << 30).to_bytes(4, "big"))
            self.assertIn("65536", server.line_with("1073741824"))
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(sock.recv(1024), b"")

    def test_framed_commands_sent_at_once_are_answered_one_by_one(self):
        with self.start("127.0.0.1", "--framed") as server, server.connect() as sock:
            sock.sendall(b"".join(textbook.frame(b"echo %d" % i) for i in range(20)))
            answers = [textbook.receive_frame(sock) for _ in range(20)]
        self.assertEqual(answers, [b"%d\n" % i for i in range(20)])

    def test_a_signal_ends_it_and_the_command_that_runs(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), contextlib.ExitStack() as stack:
                reading, writing = os.pipe()
                stack.callback(os.close, reading)
                server = stack.enter_context(self.start())
                sock = stack.enter_context(server.connect())
                path = f"/proc/{os.getpid()}/fd/{writing}"
                sock.send(f"sleep 1000 & echo $! $$ >{path}; wait".encode())
                pids = os.read(reading, 100).split()
                os.close(writing)
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])
                for pid in pids:
                    wait_until_gone(int(pid))


class CommandServerAddress(harness.TestCase):
    def test_refuses_any_address_but_loopback(self):
        for host in ("0.0.0.0", "::", "", "192.0.2.1", "255.255.255.255"):
            with self.subTest(host=host):
                result = run("command_server", host, 0)
                self.assert_fails(result, host, "not a loopback address", "--i-know")
                self.assertEqual(result.stdout, "")

    def test_listens_on_loopback_and_elsewhere_when_told_that_it_is_known(self):
        for arguments in (("127.8.9.10", 0), ("::1", 0), ("localhost", 0), ("0.0.0.0", 0, "--i-know")):
            with self.subTest(arguments), Server("command_server", *arguments) as server:
                self.assertIn("runs whatever it is sent", server.line())


class CommandClient(LineClientRules, harness.TestCase):
    program = ("command_client",)
    server = ("command_server",)
    peer = staticmethod(textbook.command_server)
    lines = ("echo hello", "true", "printf 'two\\nlines\\n'")
    answers = ("^hello$", "^return null$", "^two$", "^lines$")

    def test_prints_a_long_answer_whole_with_and_without_frames(self):
        expected = "".join(f"{i}\n" for i in range(1, 200_001))
        for options in ((), ("--framed",)):
            with self.subTest(options), Server("command_server", "127.0.0.1", 0, *options) as server:
                command = "seq 200000\necho next\n"
                result = run("command_client", *server.address, *options, stdin=command)
                self.assert_succeeds(result)
                self.assertEqual(result.stdout, expected + "next\n")

    def test_prints_a_long_answer_of_a_textbook_server_whole(self):
        with Peer(textbook.command_server) as peer:
            result = run("command_client", *peer.address, stdin="seq 100000\n")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout, "".join(f"{i}\n" for i in range(1, 100_001)))

    def paused_answer(self, *options):
        """Returns the client's output for an answer that pauses until the client asks again or
        leaves."""
        framed = "--framed" in options
        asked = threading.Event()

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                whole = textbook.frame(b"first half, second half\n")
                first, second = (whole[:15], whole[15:]) if framed else (b"first half, ", b"second\n")
                conn.recv(1024)
                conn.sendall(first)
                if not framed:
                    # The client has given up waiting, because this is its next command.
                    conn.recv(1024)
                asked.set()
                conn.sendall(second)
                while conn.recv(1024):
                    pass

        with Peer(serve) as peer:
            stdin = "one\n" if framed else "one\ntwo\n"
            result = run("command_client", *peer.address, "--pause", 0.05, *options, stdin=stdin)
        self.assertTrue(asked.is_set())
        self.assert_succeeds(result)
        return result.stdout

    def test_without_frames_an_answer_that_pauses_is_cut(self):
        self.assertEqual(self.paused_answer(), "first half, \nsecond\n")

    def test_framed_an_answer_that_pauses_is_whole(self):
        self.assertEqual(self.paused_answer("--framed"), "first half, second half\n")

    def test_a_server_that_never_answers_is_one_line_after_the_timeout(self):
        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                while conn.recv(1024):
                    pass

        with Peer(serve) as peer:
            result = run("command_client", *peer.address, "--timeout", 0.1, stdin="echo\n")
            self.assert_fails(result, str(peer.address), "timed out")


if __name__ == "__main__":
    unittest.main()
