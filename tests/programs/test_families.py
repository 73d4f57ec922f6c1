"""Tests the programs of single address families with the tools that Debian has for them.

A test is skipped if this kernel lacks the family, or this process the right. In the machine of
scripts/in_machine no test is skipped.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import harness
from harness import IN_MACHINE, PATIENCE, Program, run


def works(*arguments):
    """Returns whether the system has sockets of that kind."""
    with contextlib.suppress(OSError), socket.socket(*arguments):
        return True
    return False


def needs(there, what):
    """Skips a test if `there` is false; scripts/test --families has everything."""
    return unittest.skipUnless(there or IN_MACHINE, f"no {what} here: scripts/test --families runs it")


def tool(*command):
    """Runs a tool to its end. Returns its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def await_true(condition, what):
    """Waits until the condition is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.01)


BUS = "vcan0"
has_can = needs(works(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW), "CAN")


def listeners():
    """Returns the number of filters on the bus."""
    count = 0
    for name in ("all", "fil", "inv", "sff", "eff"):
        with contextlib.suppress(FileNotFoundError):
            text = pathlib.Path(f"/proc/net/can/rcvlist_{name}").read_text()
            count += sum(line.split()[:1] == [BUS] for line in text.splitlines())
    return count


@has_can
class Can(harness.TestCase):
    @contextlib.contextmanager
    def dumping(self, *command, plug=True):
        """Runs a program that dumps the bus. Yields it once it listens."""
        before = listeners()
        if plug:
            with Program("can_dump", BUS, *command) as program:
                await_true(lambda: listeners() > before, "can_dump listens")
                yield program
        else:
            process = subprocess.Popen(["candump", *command, BUS], stdout=subprocess.PIPE, text=True)
            try:
                await_true(lambda: listeners() > before, "candump listens")
                yield process
            finally:
                process.kill()
                process.communicate()

    def test_dumps_what_cansend_sends_as_candump_does(self):
        frames = ["123#DEADBEEF", "12345678#00.11.22", "5A1#R4", "7FF#", "123##1112233"]
        with self.dumping("--count", len(frames)) as ours, \
                self.dumping("-n", str(len(frames)), plug=False) as theirs:
            for frame in frames:
                tool("cansend", BUS, frame)
            self.assertEqual(ours.wait(), 0)
            theirs.wait(PATIENCE)
            words = lambda lines: [line.split() for line in lines]
            self.assertEqual(words(ours.rest()), words(theirs.stdout.read().splitlines()))

    def test_sends_what_candump_reads(self):
        with self.dumping("-L", "-n", "3", plug=False) as theirs:
            self.assert_succeeds(run("can_send", BUS, "123#DEADBEEF", "1F334455#1122", "5A1#R2"))
            theirs.wait(PATIENCE)
            said = [line.split()[-1] for line in theirs.stdout.read().splitlines()]
        self.assertEqual(said, ["123#DEADBEEF", "1F334455#1122", "5A1#R2"])

    def test_a_log_can_be_sent_again(self):
        with self.dumping("--log", "--count", 2) as ours:
            tool("cansend", BUS, "123#01")
            tool("cansend", BUS, "124#0203")
            ours.wait()
            log = ours.rest()
        for line in log:
            self.assertRegex(line, r"^\(\d+\.\d{6}\) vcan0 12[34]#\d+$")
        with self.dumping("--count", 2) as again:
            self.assert_succeeds(run("can_send", BUS, stdin="\n".join(log) + "\n"))
            again.wait()
            self.assertEqual([line.split()[1] for line in again.rest()], ["123", "124"])

    def test_filters_choose(self):
        with self.dumping("--count", 1, "--filter", "200:700") as ours:
            run("can_send", BUS, "123#00", "2AB#11")
            self.assertEqual(ours.line().split(), [BUS, "2AB", "[1]", "11"])

    def test_what_is_no_frame_or_no_bus_is_named(self):
        self.assert_fails(run("can_send", BUS, "123#GG"), "'123#GG'")
        self.assert_fails(run("can_send", "no-such-bus", "123#00"), "no-such-bus", "No such device")
        self.assert_fails(run("can_dump", BUS, "--filter", "x"), "'x'")


@unittest.skipIf(works(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW), "this kernel has CAN")
class WithoutCan(harness.TestCase):
    def test_the_module_is_named(self):
        self.assert_fails(run("can_send", BUS, "123#00"), "CAN_RAW", "can-raw")


@needs(works(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
       or works(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP), "right to ICMP")
class Ping(harness.TestCase):
    def test_this_host_answers_over_both_protocols(self):
        for host in harness.HOSTS:
            with self.subTest(host):
                result = run("ping", host, "--count", 3, "--interval", 0, "--timeout", PATIENCE)
                self.assert_succeeds(result)
                lines = result.stdout.splitlines()
                for number, line in enumerate(lines[:3], 1):
                    self.assertRegex(line, rf"^64 bytes from {re.escape(host)}: sequence {number}, [\d.]+ ms$")
                self.assertEqual(lines[3], "3 of 3 answered")

    def test_a_name_that_is_none_is_named(self):
        self.assert_fails(run("ping", "no-such-host.invalid"), "no-such-host.invalid")

    @unittest.skipUnless(IN_MACHINE and shutil.which("ping"), "beside ping in the machine")
    def test_large_ones_are_answered_as_pings_are(self):
        self.assertIn("65008 bytes", tool("ping", "-c", "1", "-s", "65000", "127.0.0.1"))
        result = run("ping", "127.0.0.1", "--count", 1, "--size", 65000, "--timeout", PATIENCE)
        self.assertIn("65008 bytes", result.stdout)


def hears_packets(program):
    """Returns whether a packet socket of the program is bound: it then has a 1 in the column R."""
    lines = pathlib.Path("/proc/net/packet").read_text().splitlines()[1:]
    bound = [line.split()[-1] for line in lines if line.split()[5] == "1"]
    return any(f"socket:[{inode}]" in program.open_files() for inode in bound)


@needs(works(socket.AF_PACKET, socket.SOCK_DGRAM), "right to packet sockets")
class PacketDump(harness.TestCase):
    def test_names_what_passes_the_loopback_interface(self):
        with Program("packet_dump", "lo") as dump:
            await_true(lambda: hears_packets(dump), "packet_dump listens")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four, \
                    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
                four.bind(("127.0.0.1", 0))
                six.bind(("::1", 0))
                seen = set()
                end = time.monotonic() + PATIENCE
                while len(seen) < 2 and time.monotonic() < end:
                    four.sendto(b"x" * 972, four.getsockname())
                    six.sendto(b"x" * 972, six.getsockname())
                    line = dump.line()
                    for name, pattern in (("four", "IPv4 UDP 127.0.0.1 -> 127.0.0.1, 1000 bytes"),
                                          ("six", "IPv6 UDP ::1 -> ::1, 1020 bytes")):
                        if pattern in line:
                            self.assertTrue(line.startswith("lo "), line)
                            seen.add(name)
            self.assertEqual(seen, {"four", "six"})
            self.assertEqual(dump.stop(), 0)

    def test_an_interface_that_is_not_there_is_named(self):
        self.assert_fails(run("packet_dump", "no-such-if"), "no-such-if", "No such device")


class MulticastChat(harness.TestCase):
    def test_members_read_what_is_said(self):
        port = str(harness.refused_port(kind=socket.SOCK_DGRAM))
        arguments = ("239.255.7.9", port, "--interface", "lo")
        with Program("multicast_chat", *arguments) as one, Program("multicast_chat", *arguments) as other:
            for chat in (one, other):
                self.assertEqual(chat.line(), f"listening on ('239.255.7.9', {port})")
            one.send_line("hello")
            for chat in (one, other):
                self.assertRegex(chat.line(), r"^\('127.0.0.1', \d+\): hello$|^\('[\d.]+', \d+\): hello$")
            other.end_input()
            self.assertEqual(other.wait(), 0)
            self.assertEqual(one.stop(), 0)

    def test_what_is_no_group_is_named(self):
        self.assert_fails(run("multicast_chat", "127.0.0.1", 5007), "'127.0.0.1'")


class UnixPassFd(harness.TestCase):
    def test_the_receiver_reads_files_that_it_did_not_open(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for file in ("a", "b"):
                (folder / file).write_text(f"this is {file}\nand more")
            path = folder / "socket"
            with Program("unix_pass_fd", "receive", path) as receiver:
                self.assertEqual(receiver.line(), f"listening on {path}")
                sent = run("unix_pass_fd", "send", path, folder / "a", folder / "b")
                self.assert_succeeds(sent)
                self.assertEqual(sent.stdout, "received\n")
                self.assertRegex(receiver.line(), rf"^2 files from process \d+ of user {os.getuid()}: ")
                for file in ("a", "b"):
                    self.assertRegex(receiver.line(), rf"^descriptor \d+: this is {file}$")
                self.assertEqual(receiver.wait(), 0)
            self.assertFalse(path.exists())

    def test_what_is_not_there_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            self.assert_fails(run("unix_pass_fd", "send", f"{name}/none", "/no/such/file"), "/no/such/file")
            self.assert_fails(run("unix_pass_fd", "send", f"{name}/none"), f"{name}/none")


@needs(works(socket.AF_VSOCK, socket.SOCK_STREAM) and pathlib.Path("/sys/module/vsock_loopback").exists(),
       "VSOCK within the machine")
class VsockEcho(harness.TestCase):
    def test_lines_come_back(self):
        with Program("vsock_echo", "server", 4294967295, "--once") as server:
            port = int(re.fullmatch(r"listening on \(\d+, (\d+)\)", server.line())[1])
            result = run("vsock_echo", "client", port, stdin="one\ntwo\n")
            self.assert_succeeds(result)
            self.assertEqual(result.stdout, "one\ntwo\n")
            self.assertEqual(server.wait(), 0)

    def test_pythons_own_client_is_answered(self):
        with Program("vsock_echo", "server", 4294967295) as server:
            port = int(re.fullmatch(r"listening on \(\d+, (\d+)\)", server.line())[1])
            with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
                sock.settimeout(PATIENCE)
                sock.connect((1, port))
                sock.sendall(b"hello")
                self.assertEqual(sock.recv(100), b"hello")
            server.line_with("left")
            self.assertEqual(server.stop(), 0)


@needs(works(socket.AF_ALG, socket.SOCK_SEQPACKET), "AF_ALG")
class KernelHash(harness.TestCase):
    def test_checksums_are_those_of_the_usual_tools(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(300_000))
            file.flush()
            data = pathlib.Path(file.name).read_bytes()
            for name in ("sha256", "sha1", "md5"):
                result = run("kernel_hash", file.name, "--algorithm", name)
                self.assert_succeeds(result)
                self.assertEqual(result.stdout, f"{hashlib.new(name, data).hexdigest()}  {file.name}\n")
            self.assertEqual(run("kernel_hash", file.name).stdout, tool("sha256sum", file.name))

    def test_an_empty_file_has_one_too(self):
        self.assertIn(hashlib.sha256().hexdigest(), run("kernel_hash", "/dev/null").stdout)

    def test_what_is_not_there_is_named(self):
        self.assert_fails(run("kernel_hash", "/no/such/file"), "/no/such/file")
        self.assert_fails(run("kernel_hash", "/dev/null", "--algorithm", "no-such"), "no-such")


@needs(works(socket.AF_RDS, socket.SOCK_SEQPACKET), "RDS")
class RdsChat(harness.TestCase):
    def test_two_read_what_the_other_says(self):
        with Program("rds_chat", "127.0.0.1", 18650, "127.0.0.1", 18651) as one, \
                Program("rds_chat", "127.0.0.1", 18651, "127.0.0.1", 18650) as other:
            for chat in (one, other):
                chat.line_with("listening on")
            one.send_line("hello")
            self.assertEqual(other.line(), "('127.0.0.1', 18650): hello")
            other.send_line("and you?")
            self.assertEqual(one.line(), "('127.0.0.1', 18651): and you?")
            other.end_input()
            self.assertEqual(other.wait(), 0)
            self.assertEqual(one.stop(), 0)

    def test_pythons_own_socket_is_answered(self):
        with socket.socket(socket.AF_RDS, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(PATIENCE)
            sock.bind(("127.0.0.1", 18653))
            with Program("rds_chat", "127.0.0.1", 18652, "127.0.0.1", 18653) as chat:
                chat.line()
                chat.send_line("of plug")
                self.assertEqual(sock.recvfrom(100), (b"of plug", ("127.0.0.1", 18652)))
                sock.sendto(b"of Python", ("127.0.0.1", 18652))
                self.assertEqual(chat.line(), "('127.0.0.1', 18653): of Python")
