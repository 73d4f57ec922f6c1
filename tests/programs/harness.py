"""Runs the example programs for their tests, and textbook peers against them.

Nothing here sleeps to wait for a peer: a program is ready when it has printed where it listens, and
a textbook server when its socket listens. Every wait has a timeout, after which the test fails.

PLUG_EXAMPLES_DIR is the folder of the built programs. PLUG_HAS_FIBERS is set if they were built
with fibers.
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

#: True in the machine of scripts/in_machine, which is about twenty times slower.
IN_MACHINE = "PLUG_MACHINE" in os.environ

#: Seconds after which a wait fails; far more than it needs, because machines may be busy.
PATIENCE = 90 if IN_MACHINE else 30

HOSTS = ("127.0.0.1", "::1")

#: The values of --server that serve several clients at once, and all its values.
CONCURRENT = ("threading", "forking", "pool")
if "PLUG_HAS_FIBERS" in os.environ:
    CONCURRENT += ("fiber",)
FORMS = ("plain", "tcp", *CONCURRENT)


def path(name):
    """Returns the path of a program."""
    return str(pathlib.Path(os.environ["PLUG_EXAMPLES_DIR"]) / name)


def sanitized(name):
    """Returns whether a program was built with a sanitizer."""
    code = pathlib.Path(path(name)).read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


def holds_signals_back(name):
    """Returns whether a program was built with the thread sanitizer: a signal that arrives while a
    thread is in recv() is then delayed until recv() returns."""
    return b"__tsan_init" in pathlib.Path(path(name)).read_bytes()


def open_terminal():
    """Returns the two ends of a pseudo-terminal. Skips the test if the system has none, like a
    container without devpts."""
    try:
        return os.openpty()
    except OSError as error:
        raise unittest.SkipTest(f"needs a pseudo-terminal: {error}") from None


class Program:
    """A running example program. Its lines are read one by one, each with a timeout.

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
        """Returns the next line, without its newline. Fails if none arrives, or if the program
        ends."""
        try:
            line = self._queues[stream].get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no line on {stream} within {PATIENCE} s") from None
        if not line:
            self._queues[stream].put("")
            raise AssertionError(f"{stream} has ended; status {self.process.poll()}")
        return line.rstrip("\n")

    def line_with(self, part, stream="stdout"):
        """Returns the next line that contains `part`, and drops the lines before it."""
        while part not in (line := self.line(stream)):
            pass
        return line

    def rest(self, stream="stdout"):
        """Returns the remaining lines once the program has ended."""
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
        """Waits for the program to end. Returns its status."""
        return self.process.wait(PATIENCE)

    def stop(self, number=signal.SIGTERM):
        """Sends a signal. Returns the status of the program."""
        self.process.send_signal(number)
        return self.wait()

    def open_files(self):
        """Returns the open files of the program, without eventfds: a thread creates one at its
        first wait."""
        folder = f"/proc/{self.pid}/fd"
        files = collections.Counter()
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                files[os.readlink(f"{folder}/{number}")] += 1
        del files["anon_inode:[eventfd]"]
        return files

    def left_open(self, before):
        """Returns the files that are open in addition to those of `before`. Gives the program time
        to close the others, because it prints its lines about a client while the connection is
        still open."""
        end = time.monotonic() + PATIENCE
        while (more := self.open_files() - before) and time.monotonic() < end:
            os.sched_yield()
        return list(more)


class Server(Program):
    """A running example server. `address` is the address that it listens on, as in Python."""

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
        """Returns a textbook client's socket that is connected to the server."""
        return connect(self.address)


def connect(address):
    """Returns a textbook client's connected socket, which has a timeout."""
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def reset(sock):
    """Resets a connection instead of ending it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def run(name, *arguments, stdin=b""):
    """Runs a program to its end. Returns its status, and its output as text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    result = subprocess.run(
        [path(name), *map(str, arguments)], input=stdin, capture_output=True, timeout=PATIENCE
    )
    result.stdout = result.stdout.decode()
    result.stderr = result.stderr.decode()
    return result


class Peer:
    """A textbook server in a thread, which calls `serve` with a socket that is bound to `host`, and
    that listens if it is a stream. An exception from `serve` fails the test at the end of the
    block.

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
            # The test has failed already, and its client may never connect.
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
    """Returns a port at which nobody listens: it was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


class TestCase(unittest.TestCase):
    """The base class of the tests of programs."""

    def assert_succeeds(self, result):
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 0)

    def assert_fails(self, result, *parts):
        """Checks that the program ended with status 1 and one line on standard error with all
        `parts`."""
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)


class EachForm(TestCase):
    """A TestCase that runs its tests once for each form of the server, `self.form`."""

    forms = FORMS
    form = None

    def run(self, result=None):
        for self.form in self.forms:
            super().run(result)
        return result

    def __str__(self):
        return f"{super().__str__()} with --server={self.form}"

    def form_options(self):
        """Returns the options that select the form of a server; none for its default form."""
        return () if self.form == "plain" else (f"--server={self.form}",)
