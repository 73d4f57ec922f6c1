"""Runs the example programs for their tests, and textbook peers against them.

Nothing here sleeps to wait for a peer: a program is ready when it has said where it listens, and a
textbook server when its socket listens. Every wait has a bound, after which the test fails.

PLUG_EXAMPLES_DIR is the folder of the built programs, and PLUG_HAS_FIBERS is there when they were
built with fibers.
"""

import ast
import collections
import contextlib
import os
import pathlib
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

#: Whether this is the machine of scripts/in_machine, which is some twenty times slower.
IN_MACHINE = "PLUG_MACHINE" in os.environ

#: Seconds that anything may take; far more than it does, for machines that are busy.
PATIENCE = 90 if IN_MACHINE else 30

HOSTS = ("127.0.0.1", "::1")

#: What --server takes, and which of them serve several clients at once.
CONCURRENT = ("threading", "forking", "pool")
if "PLUG_HAS_FIBERS" in os.environ:
    CONCURRENT += ("fiber",)
FORMS = ("plain", "tcp", *CONCURRENT)


def path(name):
    """The program of that name."""
    return str(pathlib.Path(os.environ["PLUG_EXAMPLES_DIR"]) / name)


def sanitized(name):
    """Whether a program was built with a sanitizer."""
    code = pathlib.Path(path(name)).read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


def holds_signals_back(name):
    """Whether a program was built with the thread sanitizer: a signal that comes while a thread is in
    recv() then waits until that returns."""
    return b"__tsan_init" in pathlib.Path(path(name)).read_bytes()


def open_terminal():
    """The two ends of a pseudo-terminal. Skips the test where there is none, as in a container
    without devpts."""
    try:
        return os.openpty()
    except OSError as error:
        raise unittest.SkipTest(f"needs a pseudo-terminal: {error}") from None


class Program:
    """An example program that runs: its lines are read one by one, each wait bounded.

    with Program("echo_server", "127.0.0.1", 0) as server:
        server.line()                      # the next line of standard output
    """

    def __init__(self, name, *arguments, **popen):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([path(name), *map(str, arguments)], **pipes | popen)
        self._queues = {}
        self._threads = []
        for name in ("stdout", "stderr"):
            pipe = getattr(self.process, name)
            if pipe is not None:
                self._follow(name, pipe)

    def _follow(self, name, pipe):
        lines = self._queues[name] = queue.Queue()

        def follow():
            for line in pipe:
                lines.put(line.decode())
            lines.put("")

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self._threads.append(thread)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def pid(self):
        return self.process.pid

    def line(self, stream="stdout"):
        """The next line, without its newline; fails when none comes, or the program ends."""
        try:
            line = self._queues[stream].get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no line on {stream} within {PATIENCE} s") from None
        if not line:
            self._queues[stream].put("")
            raise AssertionError(f"{stream} has ended; status {self.process.poll()}")
        return line.rstrip("\n")

    def line_with(self, part, stream="stdout"):
        """The next line that holds `part`; those before it are dropped."""
        while part not in (line := self.line(stream)):
            pass
        return line

    def rest(self, stream="stdout"):
        """The lines that are left once the program has ended."""
        lines = []
        with contextlib.suppress(AssertionError):
            while True:
                lines.append(self.line(stream))
        return lines

    def send_line(self, text):
        """Types a line."""
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def end_input(self):
        self.process.stdin.close()

    def wait(self):
        """The status of the program, which is ending."""
        return self.process.wait(PATIENCE)

    def stop(self, number=signal.SIGTERM):
        """Sends a signal; the status."""
        self.process.send_signal(number)
        return self.wait()

    def open_files(self):
        """What the program has open, without what a thread keeps to be woken: that comes with its
        first wait."""
        folder = f"/proc/{self.pid}/fd"
        files = collections.Counter()
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                files[os.readlink(f"{folder}/{number}")] += 1
        del files["anon_inode:[eventfd]"]
        return files

    def left_open(self, before):
        """What the program has open that it had not before, once it has had the time to close the
        rest: what it says of a client it says while the connection is still open."""
        end = time.monotonic() + PATIENCE
        while (more := self.open_files() - before) and time.monotonic() < end:
            os.sched_yield()
        return list(more)


class Server(Program):
    """An example server; `address` is where it listens, as Python has it."""

    def __init__(self, name, *arguments, **popen):
        super().__init__(name, *arguments, **popen)
        try:
            self.announcement = self.line()
            self.address = ast.literal_eval(self.announcement.removeprefix("listening on "))
        except BaseException:
            self.__exit__()
            raise

    @property
    def host(self):
        return self.address[0]

    @property
    def port(self):
        return self.address[1]

    def connect(self):
        """A textbook client's socket, connected."""
        return connect(self.address)


def connect(address):
    """A textbook client's socket, connected, that gives up after a while."""
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def reset(sock):
    """Closes a connection with a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def run(name, *arguments, stdin=b""):
    """Runs a program to its end: its status and what it printed, as text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    result = subprocess.run(
        [path(name), *map(str, arguments)], input=stdin, capture_output=True, timeout=PATIENCE
    )
    result.stdout = result.stdout.decode()
    result.stderr = result.stderr.decode()
    return result


class Peer:
    """A textbook server in a thread: `serve` is called with a socket bound to `host`, listening
    when it is a stream. What it throws fails the test at the end of the block.

    with Peer(textbook.echo_server) as peer:
        run("echo_client", *peer.address[:2])
    """

    def __init__(self, serve, host="127.0.0.1", kind=socket.SOCK_STREAM):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, kind)
        self.sock.settimeout(PATIENCE)
        self.sock.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            self.sock.listen()
        self.address = self.sock.getsockname()
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(serve,), daemon=True)

    @property
    def host(self):
        return self.address[0]

    @property
    def port(self):
        return self.address[1]

    def _run(self, serve):
        try:
            serve(self.sock)
        except BaseException as error:  # handed to the test's thread
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            # The test has failed already, and its client may never come.
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self.sock.close()
        if kind is None:
            if self._thread.is_alive():
                raise AssertionError("the textbook server has not ended")
            if self._error is not None:
                raise self._error


def refused_port(host="127.0.0.1", kind=socket.SOCK_STREAM):
    """A port at which nobody listens: it was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


class TestCase(unittest.TestCase):
    """What tests of programs have in common."""

    def assert_succeeds(self, result):
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 0)

    def assert_fails(self, result, *parts):
        """The program ended with status 1 and one line on standard error holding all `parts`."""
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)


class EachForm(TestCase):
    """A TestCase whose tests run once for each form of the server that they start, `self.form`."""

    forms = FORMS
    form = None

    def run(self, result=None):
        for self.form in self.forms:
            super().run(result)
        return result

    def __str__(self):
        return f"{super().__str__()} with --server={self.form}"

    def form_options(self):
        """What tells a server its form: nothing for the one that is its default."""
        return () if self.form == "plain" else (f"--server={self.form}",)
