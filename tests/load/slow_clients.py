#!/usr/bin/env python3
"""Servers with many slow clients, and with healthy ones beside them.

A slow client sends a byte now and then, and never a whole line. A healthy one, in another process,
connects, gets a line sent back and leaves, again and again.

threading()     A thread for each client: no client is refused, the server still serves the healthy
                ones, and threads, descriptors and memory return once the slow ones have left.
fibers()        The same with a fiber for each client, and with many healthy clients that stay.
idle()          As many silent connections as possible: prints their cost.
pool()          Few workers: the slow clients get some of them, and the server closes their
                connections in the end. It serves a healthy client from another address.

The assertions hold however busy the machine is. Times are only printed.
"""

import contextlib
import errno
import json
import os
import pathlib
import resource
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

#: Seconds after which a wait fails.
PATIENCE = 60

#: Mebibytes that a server may keep after its clients have left: memory that the allocator does not
#: return.
KEPT = 16

#: Descriptors of a process that are not for clients.
SPARE = 200

SLOW_ADDRESS = "127.0.0.1"
HEALTHY_ADDRESS = "127.0.0.2"

#: Seconds that a healthy client's second connection stays.
STAY = 2.0

#: Seconds between two bytes of a slow client.
DRIP = 1.0
TICKS = 20  # ticks per drip; each client sends in one of them

#: For clients that stay: seconds between two requests, and the requests in a round.
ASK_TICK = 0.01
ASK_TURNS = 500


def check(claim, text):
    if not claim:
        raise AssertionError(text)


def affordable(clients, threads=True):
    """Returns the number of the clients for which a server can have a descriptor, and a thread."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limits = {"descriptors of a process": hard - SPARE}
    if threads:
        limits |= limits_of_threads()
    what = min(limits, key=limits.get)
    if limits[what] >= clients:
        return clients
    print(f"only {limits[what]} clients instead of {clients}: the limit is that of {what}")
    return limits[what]


def limits_of_threads():
    limits = {}
    with contextlib.suppress(OSError, ValueError):
        limits["threads"] = int(pathlib.Path("/proc/sys/kernel/threads-max").read_text()) // 2
    with contextlib.suppress(OSError, ValueError):
        maps = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
        limits["mappings"] = (maps - SPARE) // 2  # a stack and its guard
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if processes != resource.RLIM_INFINITY:
        limits["processes of a user"] = processes // 2
    return limits


# --- the server ---


class Server:
    """Runs load_server for the duration of the block. The server must end properly."""

    def __init__(self, program, *arguments):
        command = [program, *map(str, arguments)]
        code = pathlib.Path(program).read_bytes()
        self.sanitized = b"__asan_init" in code or b"__tsan_init" in code
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = f"none: it did not end within {PATIENCE} s"
        self.process.stdout.close()
        if kind is None:
            check(status == 0, f"the server's status is {status}")

    def status(self, name):
        path = pathlib.Path(f"/proc/{self.process.pid}/status")
        line = next(l for l in path.read_text().splitlines() if l.startswith(name + ":"))
        return int(line.split()[1])

    def threads(self):
        return self.status("Threads")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def mebibytes(self):
        return self.status("VmRSS") / 1024

    def wait_for_memory(self, before):
        """Waits until the memory has returned, except for the part that the allocator keeps. A
        sanitizer keeps all of it."""

        def has_returned():
            self.process.send_signal(signal.SIGUSR1)
            return self.mebibytes() < before + KEPT

        if not self.sanitized:
            self.wait_until("memory has returned", has_returned)

    def state(self):
        return f"{self.threads()} threads, {self.descriptors()} descriptors, {self.mebibytes():.1f} MiB"

    def wait_until(self, what, claim):
        end = time.monotonic() + PATIENCE
        while not claim():
            check(time.monotonic() < end, f"not within {PATIENCE} s: {what}; {self.state()}")
            time.sleep(0.02)


# --- slow clients ---


class SlowClients:
    """Clients that connect and drip, and that reconnect, if asked to, when they are sent away."""

    def __init__(self, port, count, comes_back=False, source=SLOW_ADDRESS):
        self.address = ("127.0.0.1", port)
        self.source = source
        self.comes_back = comes_back
        self.sent_away = 0
        self.poll = select.epoll()
        self.socks = {}
        for _ in range(count):
            self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.socks.values():
            sock.close()
        self.socks.clear()
        self.poll.close()

    def connect(self):
        sock = socket.create_connection(self.address, PATIENCE, (self.source, 0))
        sock.setblocking(False)
        self.socks[sock.fileno()] = sock
        self.poll.register(sock, select.EPOLLIN)

    def drip_until(self, over):
        """Drips until over() is true."""
        tick = 0
        while not over():
            for sock in list(self.socks.values())[tick % TICKS :: TICKS]:
                with contextlib.suppress(OSError):
                    sock.send(b"x")
            tick += 1
            self.listen(DRIP / TICKS)

    def listen(self, seconds):
        """Waits. Nobody answers a slow client: the server may only send it away."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for fd, _ in self.poll.poll(left):
                try:
                    check(not self.socks[fd].recv(100), "a slow client got an answer")
                except ConnectionError:
                    pass
                self.socks.pop(fd).close()
                self.sent_away += 1
                if self.comes_back:
                    self.connect()


# --- healthy clients ---


def healthy(port, seconds, source):
    """Measures the seconds until a line comes back, on new connections and on one that stays."""
    address = ("127.0.0.1", int(port))
    times = {"connecting": [], "connected": []}

    def ask(sock, text):
        sock.sendall(text)
        got = b""
        while not got.endswith(b"\n"):
            part = sock.recv(100)
            check(part, f"a healthy connection was closed after {got!r}")
            got += part
        check(got == text, f"{got!r} instead of {text!r}")

    end = time.monotonic() + float(seconds)
    number = 0
    stays = renewed = None
    while (begin := time.monotonic()) < end:
        number += 1
        if stays is None or begin > renewed + STAY:
            if stays is not None:
                stays.close()
            stays = socket.create_connection(address, PATIENCE, (source, 0))
            begin = renewed = time.monotonic()
        with socket.create_connection(address, PATIENCE, (source, 0)) as sock:
            ask(sock, b"%d\n" % number)
        times["connecting"].append(time.monotonic() - begin)
        begin = time.monotonic()
        ask(stays, b"again %d\n" % number)
        times["connected"].append(time.monotonic() - begin)
        time.sleep(0.005)
    stays.close()
    print(json.dumps(times))


def asking(port, seconds, source, count):
    """Measures the seconds until a line comes back, for many clients that stay."""
    address = ("127.0.0.1", int(port))
    poll = select.epoll()
    socks = []
    for _ in range(int(count)):
        socks.append(socket.create_connection(address, PATIENCE, (source, 0)))
        poll.register(socks[-1], select.EPOLLIN)
    by_fd = {sock.fileno(): sock for sock in socks}
    asked, times = {}, []

    def take(patience):
        for fd, _ in poll.poll(patience):
            check(by_fd[fd].recv(100) == b"a line\n", "a healthy client got something else")
            times.append(time.monotonic() - asked.pop(fd))

    begin = time.monotonic()
    for tick in range(int(float(seconds) / ASK_TICK)):
        for sock in socks[tick % ASK_TURNS :: ASK_TURNS]:
            if sock.fileno() not in asked:
                asked[sock.fileno()] = time.monotonic()
                sock.send(b"a line\n")
        while (left := begin + (tick + 1) * ASK_TICK - time.monotonic()) > 0:
            take(left)
    end = time.monotonic() + PATIENCE
    while asked:
        check(time.monotonic() < end, f"{len(asked)} healthy clients have no answer")
        take(1)
    for sock in socks:
        sock.close()
    print(json.dumps({"asking": times}))


class Healthy:
    """Runs healthy() or asking() in another process."""

    def __init__(self, port, seconds, source, count=0):
        what = ["asking"] if count else ["healthy"]
        command = [sys.executable, __file__, *what, str(port), str(seconds), source]
        command += [str(count)] if count else []
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.output)
        self.end = time.monotonic() + seconds + PATIENCE

    def over(self):
        check(time.monotonic() < self.end, "a healthy client hangs")
        return self.process.poll() is not None

    def times(self):
        with self.output:
            check(self.process.wait(PATIENCE) == 0, "a healthy client has failed")
            self.output.seek(0)
            return json.load(self.output)


def p99(times):
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def report(text, times):
    parts = (
        f"{how}: {len(each)} times, median {statistics.median(each) * 1e3:.1f} ms, "
        f"99th percentile {p99(each) * 1e3:.1f} ms, longest {max(each) * 1e3:.1f} ms"
        for how, each in times.items()
    )
    print(f"  {text}\n    " + "\n    ".join(parts), flush=True)


# --- scenarios ---

def threading(program, clients, seconds):
    clients = affordable(clients)
    print(f"threading: {clients} slow clients", flush=True)
    with Server(program, "threading") as server:
        client = Healthy(server.port, seconds / 3, HEALTHY_ADDRESS)
        report("healthy clients alone", client.times())
        before = server.threads(), server.descriptors(), server.mebibytes()
        print(f"  before: {server.state()}")
        for _ in range(2):
            with SlowClients(server.port, clients) as slow:
                server.wait_until(
                    "a thread for each slow client", lambda: server.threads() >= before[0] + clients
                )
                client = Healthy(server.port, seconds, HEALTHY_ADDRESS)
                slow.drip_until(client.over)
                report("healthy clients beside the slow ones", client.times())
                print(f"  meanwhile: {server.state()}")
                check(slow.sent_away == 0, f"{slow.sent_away} slow clients were sent away")
            server.wait_until(
                "no thread or descriptor left",
                lambda: (server.threads(), server.descriptors()) == before[:2],
            )
            # The server joins ended threads at its loop's next turn, which comes every half second.
            server.wait_for_memory(before[2])
            print(f"  after: {server.state()}", flush=True)


def fibers(program, slow, asking, seconds):
    affordable(slow + asking, threads=False)
    print(f"fibers: {slow} slow clients, {asking} that stay and ask", flush=True)
    with Server(program, "fiber") as server:
        client = Healthy(server.port, min(seconds, 4) / 2, HEALTHY_ADDRESS)
        report("healthy clients alone", client.times())
        before = server.threads(), server.descriptors(), server.mebibytes()
        print(f"  before: {server.state()}")
        with SlowClients(server.port, slow) as clients:
            staying = Healthy(server.port, seconds, HEALTHY_ADDRESS, asking)
            server.wait_until(
                "a descriptor for each client",
                lambda: server.descriptors() >= before[1] + slow + asking,
            )
            client = Healthy(server.port, seconds, HEALTHY_ADDRESS)
            clients.drip_until(staying.over)
            report("clients that stay", staying.times())
            report("healthy clients beside them", client.times())
            check(clients.sent_away == 0, f"{clients.sent_away} slow clients were sent away")
            print(f"  meanwhile: {server.state()}")
            check(server.threads() == before[0], "there are more threads than before")
        server.wait_until("no descriptor left", lambda: server.descriptors() == before[1])
        server.wait_for_memory(before[2])
        print(f"  after: {server.state()}", flush=True)


def idle(program, clients, seconds):
    clients = affordable(clients, threads=False)
    # Each kind has its own address, which keeps the ports of its clients for a minute.
    for kind, source in (("fiber", "127.0.0.3"), ("first_byte", "127.0.0.4")):
        print(f"{kind}: {clients} idle clients", flush=True)
        with Server(program, kind) as server:
            Healthy(server.port, seconds / 3, HEALTHY_ADDRESS).times()
            descriptors, memory = server.descriptors(), server.mebibytes()
            print(f"  before: {server.state()}")
            with SlowClients(server.port, clients, source=source):
                server.wait_until(
                    "a descriptor for each client",
                    lambda: server.descriptors() >= descriptors + clients,
                )
                each = (server.mebibytes() - memory) * 1024 / clients
                print(f"  meanwhile: {server.state()}, {each:.2f} KiB a connection")
                client = Healthy(server.port, seconds, HEALTHY_ADDRESS)
                report("healthy clients beside them", client.times())
            server.wait_until("no descriptor left", lambda: server.descriptors() == descriptors)
            server.wait_for_memory(memory)
            print(f"  after: {server.state()}", flush=True)


def pool(program, clients, seconds, idle=4.0):
    workers, per_address = 8, 6
    clients = affordable(clients)
    print(
        f"pool: {clients} slow clients, {workers} workers, {per_address} connections an address, "
        f"timeouts of {idle:g} s idle and {2 * idle:g} s in all",
        flush=True,
    )
    with Server(program, "pool", workers, per_address, idle, 2 * idle) as server:
        threads = server.threads()
        client = Healthy(server.port, min(seconds, idle), HEALTHY_ADDRESS)
        report("healthy clients alone", client.times())
        # Each worker has a descriptor that it waits with.
        most = server.descriptors() + workers
        memory = server.mebibytes()
        print(f"  before: {server.state()}")
        for _ in range(2):
            with SlowClients(server.port, clients, comes_back=True) as slow:
                client = Healthy(server.port, seconds, HEALTHY_ADDRESS)
                slow.drip_until(client.over)
                times = client.times()
                report("healthy clients beside the slow ones", times)
                print(f"  meanwhile: {server.state()}; slow clients sent away: {slow.sent_away}")
                longest = max(times["connecting"])
                check(longest < idle, f"a healthy client waited for {longest} s")
                check(slow.sent_away > 0, "no slow client was sent away")
            server.wait_until("no descriptor left", lambda: server.descriptors() <= most)
            check(server.threads() <= threads + workers, "there are more threads than workers")
            server.wait_for_memory(memory)
            print(f"  after: {server.state()}", flush=True)


def main():
    if sys.argv[1:2] in (["healthy"], ["asking"]):
        return globals()[sys.argv[1]](*sys.argv[2:])
    program = pathlib.Path(sys.argv[1]) / "tests/load_server"
    threading(program, clients=5000, seconds=12)
    pool(program, clients=2000, seconds=12)
    if b"FiberMixIn" in program.read_bytes():
        fibers(program, slow=5000, asking=5000, seconds=60)
        idle(program, clients=19000, seconds=6)


if __name__ == "__main__":
    main()
