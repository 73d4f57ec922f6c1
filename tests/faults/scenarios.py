"""The scenarios that the example programs run through while something about them fails.

A scenario runs one program beside a healthy peer and returns a Result. The caller decides how to
start the program: under strace, or with a preloaded library. The peers are plain Python, except for
file transfers, where the other program of the pair is the peer.
"""

import collections
import contextlib
import functools
import hashlib
import os
import pathlib
import re
import signal
import smtplib
import socket
import struct
import subprocess
import tempfile
import threading

PATIENCE = 20

Outcome = collections.namedtuple("Outcome", "status output errors")

# `right`: the result is the same as without faults. `in_order`: the program has neither reported
# anything false nor left anything behind, whatever its status is.
Result = collections.namedtuple("Result", "outcome right in_order")


class Program:
    """A running program. `wrapped`: the process is a tool that runs the program as its child."""

    def __init__(self, command, stdin=b"", environment=None, wrapped=False):
        self.wrapped = wrapped
        self.process = subprocess.Popen(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.output, self.errors = [], []
        self.announced = threading.Event()
        self.readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in (
                (self.process.stdout, self.output),
                (self.process.stderr, self.errors),
            )
        ]
        for reader in self.readers:
            reader.start()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def _read(self, pipe, lines):
        for line in pipe:
            lines.append(line.decode(errors="replace"))
            if lines is self.output:
                self.announced.set()
        if lines is self.output:
            self.announced.set()

    def port(self):
        """Returns the port at which a server listens; None if it has ended instead."""
        if not self.announced.wait(PATIENCE):
            return None
        found = re.match(r"listening on \('127\.0\.0\.1', (\d+)\)", "".join(self.output[:1]))
        return int(found.group(1)) if found else None

    def end(self, interrupt=False, failing=False):
        """Returns the outcome. With `interrupt` the program is asked to end first. A program that
        may be `failing` gets time to end by itself, because otherwise the request would end it."""
        if failing:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        if interrupt:
            self._interrupt()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            status = "hang"
        for reader in self.readers:
            reader.join(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
        return Outcome(status, "".join(self.output), "".join(self.errors))

    def _interrupt(self):
        pids = [self.process.pid]
        if self.wrapped:
            path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                pids = map(int, pathlib.Path(path).read_text().split())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def verdict(result):
    """Returns the fault of a result, or None."""
    outcome, right, in_order = result
    if outcome.status == "hang":
        return "hangs"
    if not isinstance(outcome.status, int) or outcome.status not in (0, 1):
        return f"ends with status {outcome.status}"
    if not in_order:
        return f"reports or leaves something wrong, with status {outcome.status}"
    if outcome.status == 0:
        return None if right else "ends with status 0 and a wrong result"
    said = outcome.errors.splitlines()
    return None if len(said) == 1 else f"ends with status 1 and prints {len(said)} lines"


# --- framing, as in any peer ---


def framed(payload):
    return struct.pack(">I", len(payload)) + payload


def read_frame(conn):
    """Returns the next message, without its length; None at the end."""
    head = read_exactly(conn, 4)
    return read_exactly(conn, struct.unpack(">I", head)[0]) if len(head) == 4 else None


def read_exactly(conn, size):
    """Returns `size` bytes; fewer at the end of the stream."""
    data = b""
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return data


# --- healthy servers for one client ---


@contextlib.contextmanager
def serving(handle):
    """Runs a server in a thread. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            with contextlib.suppress(OSError):
                conn, _ = listener.accept()
                conn.settimeout(PATIENCE)
                with conn:
                    handle(conn)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


@contextlib.contextmanager
def answering(answer):
    """Runs a datagram server, which sends `answer` for each datagram. Yields its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        ended = threading.Event()

        def run():
            while True:
                _, sender = sock.recvfrom(65536)
                if ended.is_set():
                    return
                sock.sendto(answer, sender)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        port = sock.getsockname()[1]
        yield port
        ended.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", port))
        thread.join(PATIENCE)


def each_chunk(function):
    def handle(conn):
        while data := conn.recv(65536):
            conn.sendall(function(data))

    return handle


def each_frame(function):
    def handle(conn):
        while (data := read_frame(conn)) is not None:
            conn.sendall(framed(function(data)))

    return handle


def greet(conn):
    conn.sendall(b"Thank you for connecting")


def greet_and_repeat(conn):
    conn.sendall(b"hello")
    each_chunk(bytes)(conn)


# --- clients with faults ---


def client(program, peer, expected, *options, stdin=b"one line\nanother\n"):
    """Tests a client. `expected` are the lines of its output, where PORT stands for the peer's
    port."""

    def scenario(directory, launch):
        with peer as port:
            command = [directory / program, *options, "127.0.0.1", str(port)]
            outcome = launch(command, stdin).end()
        return Result(outcome, outcome.output.splitlines() == [
            line.replace("PORT", str(port)) for line in expected
        ], True)  # fmt: skip

    return scenario


class Peer:
    """Creates a new context manager for each thread that enters it."""

    def __init__(self, make, *arguments):
        self.make, self.arguments = make, arguments
        self.open = threading.local()

    def __enter__(self):
        self.open.manager = self.make(*self.arguments)
        return self.open.manager.__enter__()

    def __exit__(self, *error):
        return self.open.manager.__exit__(*error)


def alone(program, *arguments, expected):
    """Tests a program without a peer. Its whole output must match the expression `expected`."""

    def scenario(directory, launch):
        outcome = launch([directory / program, *arguments], b"").end()
        return Result(outcome, re.fullmatch(expected, outcome.output) is not None, True)

    return scenario


# --- servers with faults ---


def converse(port, message):
    """Sends a message to a server. Returns its answer until the end of the stream; None if the
    server cannot be reached."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(message)
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                got += data
    except OSError:
        return got or None
    return got


def ask_datagram(port, message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(message)
            answer = sock.recv(65536)
        except OSError:
            return None
        name = str(sock.getsockname()).encode()
        return answer.replace(name, b"SENDER")


def survived(outcome):
    """Returns whether a server continued to serve until it was asked to end. At its end it may
    report that it lacks memory, or that it could not wait for its last handlers."""
    told = re.search("out of memory|: waiting for the [a-z]+ of a server$", outcome.errors, re.M)
    return outcome.status == 0 or told is not None or "connected" not in outcome.output


def lacked_memory(outcome):
    """Returns whether a program has reported that it lacks memory."""
    said = outcome.output + outcome.errors
    return "out of memory" in said or "bad_alloc" in said


def server(program, message, expected, *options, refusal=None, talk=converse, survives=False):
    """Tests a server. `expected` is an expression for the answer, `refusal` one for a message that
    it may send instead. A server that `survives` does not end by itself once it serves; but a call
    that fails in each of its threads or processes may lose each client, if the server reports
    it."""

    def is_right(answer):
        return answer is not None and re.fullmatch(expected, answer, re.DOTALL) is not None

    def is_cut(answer):
        """Returns whether only the beginning of the answer has arrived."""
        return not answer or any(is_right(answer + rest) for rest in endings)

    # The parts that are missing if the answer has been cut.
    whole = re.sub(rb"\\(.)", rb"\1", expected)
    endings = [whole[at:] for at in range(1, len(whole))]

    def scenario(directory, launch):
        running = launch([directory / program, *options, "127.0.0.1", "0"], b"")
        port = running.port()
        answer = talk(port, message) if port else None
        true = is_right(answer) or is_cut(answer)
        if not true and refusal:
            true = re.fullmatch(refusal, answer, re.DOTALL) is not None
        # A server that has lost this client must continue and serve the next one.
        again = answer if not port or is_right(answer) else talk(port, message)
        right = is_right(again)
        outcome = running.end(port is not None, failing=not right)
        alive = not survives or survived(outcome)
        came = outcome.output.count(": connected")
        lost = survives and came > 0 and outcome.output.count("[Errno") == came
        lost = lost or (survives and lacked_memory(outcome))
        return Result(outcome, right or lost, true and alive)

    return scenario


def one_request(directory, launch):
    """Serves one client and ends. Reports a client that it could not serve."""
    running = launch([directory / "one_request_server", "127.0.0.1", "0"], b"")
    port = running.port()
    answer = converse(port, b"hello") if port else None
    right = answer == b"hello"
    outcome = running.end(port is not None and not right, failing=True)
    lost = "[Errno" in outcome.output or lacked_memory(outcome)
    return Result(outcome, right or lost, b"hello".startswith(answer or b""))


# --- mail ---

MAIL = b"Subject: hi\r\n\r\n" + b"A line of the message.\r\n" * 20


def send_mail(port):
    """Delivers MAIL. Returns whether the server has accepted it."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            client.sendmail("me@a.example", ["you@b.example"], MAIL)
            return True
    except (OSError, smtplib.SMTPException):
        return False


def mail_server(directory, launch):
    with tempfile.TemporaryDirectory() as folder:
        running = launch([directory / "mail_server", "127.0.0.1", "0", folder], b"")
        port = running.port()
        told = port is not None and send_mail(port)
        again = told or port is None or send_mail(port)
        outcome = running.end(port is not None, failing=not again)
        # The message is complete, even if the client was not told so. Nothing else is left: no
        # part, no temporary file.
        files = [path for path in pathlib.Path(folder).iterdir()]
        whole = all(path.name.endswith(".eml") and path.read_bytes().endswith(MAIL) for path in files)
        # The fault may have hit the thread of each client.
        lost = "[Errno" in outcome.output
        right = bool(files) if again else lost
        return Result(outcome, right, whole and survived(outcome))


def polling_accept(directory, launch):
    """Greets two clients and ends."""
    running = launch([directory / "polling_accept", "127.0.0.1", "0", "--interval", "0.02"], b"")
    port = running.port()
    answers = [converse(port, b"") for _ in range(2)] if port else [b"", b""]
    wanted = [rb"accepted by polling, at try \d+\n", rb"accepted by waiting, with one call\n"]
    right = [re.fullmatch(want, answer or b"") is not None for want, answer in zip(wanted, answers)]
    outcome = running.end(port is not None and not all(right), failing=True)
    # The program has reported each client that it lost.
    lost = re.search(r"\[Errno|out of memory|nobody came", outcome.output) is not None
    return Result(outcome, all(right) or lost, all(r or not a for r, a in zip(right, answers)))


# --- file transfers, with a fault in one of the pair ---


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def transfer_folder():
    """Yields a root for a server, with a directory in it, and a file to send."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "root")
        (root / "sub").mkdir(parents=True)
        source = pathlib.Path(folder, "data.bin")
        source.write_bytes(bytes(range(256)) * 1200)
        yield root, source


def left_behind(root, source):
    """Returns whether the file has arrived, and whether no part and no temporary file is left. A
    client that could not change the directory may have put the file into the root."""
    files = [path for path in root.rglob("*") if path.is_file()]
    places = {root / "sub" / "data.bin", root / "data.bin"}
    tidy = all(path in places and digest(path) == digest(source) for path in files)
    return root / "sub" / "data.bin" in files, tidy


def putting(directory, port, source):
    commands = ["dir", "cd sub", f"put {source}", "dir"]
    return [directory / "management_client", "127.0.0.1", str(port), *commands]


def listed(output, source):
    """Returns whether a client that has put the file has printed the expected output."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    size = source.stat().st_size
    received = f"data.bin: {size} bytes, sha256 {digest(source)}, received"
    return lines[1] == ".:" and "<dir> sub" in lines and lines[-3:] == [received, "./sub:", f"{size} data.bin"]


def management_server(directory, launch, *options):
    with transfer_folder() as (root, source):
        command = [directory / "management_server", "127.0.0.1", "0", root, *options]
        running = launch(command, b"")
        right, claims_true = False, True
        if port := running.port():
            # A server that has lost this client must continue and serve the next one.
            for _ in range(2):
                done = subprocess.run(
                    putting(directory, port, source), capture_output=True, timeout=PATIENCE
                )
                right = done.returncode == 0 and listed(done.stdout.decode(), source)
                claims_true = claims_true and (right or done.returncode != 0)
                if right:
                    break
        outcome = running.end(port is not None, failing=not right)
        whole, tidy = left_behind(root, source)
        # The fault may have hit the thread or process of each client.
        lost = options and re.search(r"\[Errno|refused|failed|broken", outcome.output)
        return Result(outcome, (right and whole) or bool(lost), tidy and claims_true)


def management_client(directory, launch):
    with transfer_folder() as (root, source):
        healthy = Program([directory / "management_server", "127.0.0.1", "0", root])
        outcome = launch(putting(directory, healthy.port(), source), b"").end()
        healthy.end(True)
        whole, tidy = left_behind(root, source)
        right = whole and listed(outcome.output, source)
        return Result(outcome, right, tidy)


STAMP = b"[Thu Sep 15 22:29:12 2016] "
KILLED = rb"not run: [^\n]+\n|hello\n\[killed: [^\n]+\]\n"

SCENARIOS = {
    "echo_client": client(
        "echo_client", Peer(serving, each_chunk(bytes)), ["one line", "another"]
    ),
    "upper_client": client(
        "upper_client", Peer(serving, each_chunk(bytes.upper)), ["ONE LINE", "ANOTHER"]
    ),
    "time_echo_client": client(
        "time_echo_client",
        Peer(serving, each_chunk(lambda data: STAMP + data)),
        [STAMP.decode() + line for line in ("one line", "another")],
    ),
    "greeting_client": client(
        "greeting_client", Peer(serving, greet), ["Thank you for connecting"], stdin=b""
    ),
    "select_client": client(
        "select_client", Peer(serving, greet_and_repeat), ["hello", "one line", "another"]
    ),
    "command_client": client(
        "command_client",
        Peer(serving, each_chunk(bytes.upper)),
        ["ONE LINE", "ANOTHER"],
        "--pause=0.05",
    ),
    "command_client --framed": client(
        "command_client",
        Peer(serving, each_frame(bytes.upper)),
        ["ONE LINE", "ANOTHER"],
        "--framed",
    ),
    "json_echo client": client(
        "json_echo",
        Peer(serving, each_frame(bytes)),
        ["[1, 2]", '{"a": null}'],
        "client",
        stdin=b'[1, 2]\n{"a": null}\n',
    ),
    "udp_client": client(
        "udp_client",
        Peer(answering, b"Hello"),
        ["sendto: Hello from ('127.0.0.1', PORT)", "connected: Hello"] * 2,
    ),
    "my_address": client(
        "my_address",
        Peer(answering, b""),
        ["127.0.0.1 on the way to ('127.0.0.1', PORT)"],
        stdin=b"",
    ),
    "management_client": management_client,
    "echo_server": server("echo_server", b"hello", rb"hello"),
    "upper_server": server("upper_server", "straße".encode(), "STRASSE".encode()),
    "time_echo_server": server("time_echo_server", b"hello", rb"\[.{24}\] hello"),
    "greeting_server": server("greeting_server", b"", rb"Thank you for connecting"),
    "command_server": server(
        "command_server", b"echo hello", rb"hello\n", "--limit=5", refusal=KILLED
    ),
    "command_server --framed": server(
        "command_server",
        framed(b"echo hello"),
        re.escape(framed(b"hello\n")),
        "--framed",
        "--limit=5",
        refusal=rb"....(" + KILLED + rb")",
    ),
    "json_echo server": server(
        "json_echo",
        framed(b"[1, 2]"),
        re.escape(framed(b"[1,2]")),
        "server",
        refusal=rb'....\{"error":[^\n]+\}',
    ),
    "udp_server": server("udp_server", b"hello", rb"Hello SENDER", talk=ask_datagram),
    "select_server": server("select_server", b"data", b"hellodataresponse"),
    "one_request_server": one_request,
    "mail_server": mail_server,
    "polling_accept": polling_accept,
    "management_server": management_server,
    "timeouts": alone(
        "timeouts",
        "127.0.0.1",
        "0",
        "--seconds=0.05",
        expected=r"listening on .*\n"
        r"a new socket: timeout None, blocking\n"
        r"after settimeout\(0.05\): timeout 0.05, blocking\n"
        r"recv: TimeoutError timed out: .* after \d\.\d\d s\n"
        r"recv: 'better late than never' after \d\.\d\d s\n"
        r"after settimeout\(0\): timeout 0(\.0)?, non-blocking\n"
        r"recv: BlockingIOError .* after \d\.\d\d s\n"
        r"after settimeout\(None\): timeout None, blocking\n"
        r"a new socket after setdefaulttimeout\(0.05\): timeout 0.05, blocking\n",
    ),
    "service_table": alone("service_table", "http", "smtp", expected=r"http +80\nsmtp +25\n"),
    "convert_address": alone(
        "convert_address",
        "127.0.0.1",
        "::1",
        expected=r"127.0.0.1 is 127.0.0.1\n  bytes +7f 00 00 01\n  host order +2130706433\n"
        r"  network order +16777343\n::1 is ::1\n  bytes +(00 ){15}01\n",
    ),
}

# Servers with a choice run on each of the server classes.
FORMS = ("tcp", "threading", "forking", "pool", "fiber")


def add_forms(program, message, expected):
    for form in FORMS:
        option = f"--server={form}"
        SCENARIOS[f"{program} {option}"] = server(program, message, expected, option, survives=True)


add_forms("echo_server", b"hello", b"hello")
add_forms("time_echo_server", b"hello", rb"\[.{24}\] hello")
add_forms("greeting_server", b"", b"Thank you for connecting")
for form in FORMS:
    SCENARIOS[f"management_server --server={form}"] = functools.partial(
        lambda option, directory, launch: management_server(directory, launch, option),
        f"--server={form}",
    )
