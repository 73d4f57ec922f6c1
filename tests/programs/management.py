"""The base class and helpers of the tests of the management programs."""

import hashlib
import os
import pathlib
import tempfile
import time

import harness
from harness import Server
from textbook_management import TextbookClient

GREETING = "欢迎进入管理界面."


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pattern(size):
    """Returns bytes that do not repeat within the size of a buffer."""
    return b"".join(i.to_bytes(4, "big") for i in range(size // 4 + 1))[:size]


def wait_until_read(sock):
    """Waits until the peer, a program on this machine, has read all data (IPv4)."""

    def entry(address):
        host, port = address
        return f"{int.from_bytes(bytes(map(int, host.split('.'))), 'little'):08X}:{port:04X}"

    ends = [entry(sock.getsockname()), entry(sock.getpeername())]
    end = time.monotonic() + harness.PATIENCE
    sent = False
    while time.monotonic() < end:
        with open("/proc/net/tcp") as table:
            rows = [line.split()[1:5] for line in table]
        if sent and any(row[:2] == ends[::-1] and row[3].endswith(":00000000") for row in rows):
            return
        sent = any(row[:2] == ends and row[3].startswith("00000000:") for row in rows)
        os.sched_yield()
    raise AssertionError("the peer has not read what was sent")


class ManagementCase(harness.EachForm):
    """A test with a directory to serve, and a directory around it. Sessions behave the same in
    every form of the server."""

    forms = ("plain", "threading")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "root"
        self.root.mkdir()

    def server(self, *options, host="127.0.0.1", **popen):
        options = (*self.form_options(), *options)
        return Server("management_server", host, 0, self.root, *options, **popen)

    def tree(self):
        """Returns everything in the root: None for directories, the target for links, bytes for
        files."""
        found = {}
        for path in self.root.rglob("*"):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = os.readlink(path)
            else:
                found[name] = path.read_bytes() if path.is_file() else None
        return found

    def assert_in_step(self, session):
        """Checks that the next command gets its own answer and nothing else."""
        self.assertEqual(session.ask("dir").split(":\n")[0][0], ".")
        self.assertEqual(session.ask_object("in step?")["status"], 400)

    def session(self, server, encoding="utf-8"):
        return TextbookClient(server.address, encoding)
