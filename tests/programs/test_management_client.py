"""Tests the management client with textbook servers and with ours, also with both sides in GBK."""

import json
import os
import signal
import threading
import unittest

import harness
from harness import HOSTS, Peer, Program, run
from management import GREETING, ManagementCase, pattern, sha256
from textbook_management import TextbookServer


class ClientCase(ManagementCase):
    forms = ("plain",)

    def local(self, name, data):
        """Creates a file to send, outside of the root."""
        path = self.folder / "local" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def ask(self, address, *commands, options=(), stdin=b""):
        return run("management_client", *address[:2], *commands, *options, stdin=stdin)

    def textbook(self, encoding="utf-8", **more):
        return TextbookServer(str(self.root), encoding, **more)


class AgainstTextbook(ClientCase):
    def test_dir_cd_and_put(self):
        (self.root / "目录").mkdir()
        (self.root / "one").touch()
        data = pattern(1_000_003)
        path = self.local("文件", data)
        for host in HOSTS:
            with self.subTest(host=host), Peer(self.textbook(), host) as peer:
                result = self.ask(peer.address, "dir", "cd 目录", f"put {path}", "dir")
                self.assert_succeeds(result)
                text = "sent; this server does not tell what it has got"
                self.assertEqual(
                    result.stdout.splitlines(),
                    [GREETING, "one", "目录", "目录成功", f"文件: 1000003 bytes, {text}", "文件"],
                )
                self.assertEqual(self.tree(), {"目录": None, "one": b"", "目录/文件": data})

    def test_lines_of_standard_input_are_commands(self):
        (self.root / "x").mkdir()
        with Peer(self.textbook()) as peer:
            result = self.ask(peer.address, stdin="dir\n\ncd x\ndir\n")
        self.assert_succeeds(result)
        self.assertEqual(
            result.stdout.splitlines(),
            [GREETING, "x", "an empty message reaches nobody: say something", "x成功", "nothing"],
        )

    def test_a_listing_that_is_longer_than_one_receive(self):
        names = [f"file-{i:04}" for i in range(5000)]
        for name in names:
            (self.root / name).touch()
        with Peer(self.textbook()) as peer:
            result = self.ask(peer.address, "dir", "cd .")
        self.assert_succeeds(result)
        self.assertEqual(result.stdout.splitlines(), [GREETING, *names, ".成功"])

    def test_gbk(self):
        # The second byte of one of these characters looks like a brace, that of another like a
        # backslash.
        name = b"\x81}\x81\\\xc4\xbf".decode("gbk")
        (self.root / name).mkdir()
        path = self.local(name, b"abc")
        with Peer(self.textbook("gbk")) as peer:
            result = self.ask(
                peer.address, "dir", f"cd {name}", f"put {path}", options=("--encoding", "gbk")
            )
        self.assert_succeeds(result)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[:3], [GREETING, name, name + "成功"])
        self.assertEqual(self.tree(), {name: None, f"{name}/{name}": b"abc"})

    def test_what_gbk_does_not_have_is_a_failure_of_that_command(self):
        with Peer(self.textbook("gbk")) as peer:
            result = self.ask(peer.address, "cd 😀", "dir", options=("--encoding", "gbk"))
        self.assert_fails(result, "'gbk' has no '😀'")
        self.assertEqual(result.stdout.splitlines(), [GREETING, "nothing"])

    def answering(self, *answers, greeting=GREETING):
        """Returns a server that sends one of the answers after each receive, and reads what
        follows."""

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                conn.sendall(greeting.encode())
                for answer in answers:
                    conn.recv(1 << 20)
                    conn.sendall(answer)
                while conn.recv(1 << 16):
                    pass

        return Peer(serve)

    def test_a_put_that_is_refused_sends_nothing_and_the_next_command_is_done(self):
        path = self.local("a", b"abc")
        for answer, parts in (
            (b'{"status": 403, "error": "not you"}', ("refused (403): not you",)),
            (b'{"status": 500}', ("refused (500)",)),
            (b'{"result": 1}', ("without a status",)),
            (b'{"status": 201}', ("does not take it",)),
            (b"no", ("unexpected answer: no",)),
        ):
            with self.subTest(answer), self.answering(answer, b"listing") as peer:
                result = self.ask(peer.address, f"put {path}", "dir")
                self.assert_fails(result, *parts)
                self.assertEqual(result.stdout.splitlines(), [GREETING, "listing"])

    def test_the_ack_is_asked_for_when_the_greeting_names_it_and_is_checked(self):
        path = self.local("a", b"abc")
        good = {"status": 226, "received": 3, "sha256": sha256(b"abc")}
        for change, passes in (
            ({}, True),
            ({"sha256": sha256(b"abd")}, False),
            ({"sha256": None}, False),
            ({"received": 2}, False),
            ({"received": "3"}, False),
            ({"status": 507, "error": "full"}, False),
        ):
            ack = json.dumps(good | change).encode()
            greeting = GREETING + "\nfeatures: ack later-things\n"
            server = self.answering(b'{"status": 200}', ack, b"listing", greeting=greeting)
            with self.subTest(change), server as peer:
                result = self.ask(peer.address, f"put {path}", "dir")
                if passes:
                    self.assert_succeeds(result)
                    self.assertIn(f"a: 3 bytes, sha256 {sha256(b'abc')}, received", result.stdout)
                else:
                    self.assert_fails(result)
                self.assertEqual(result.stdout.splitlines()[-1], "listing")

    def test_a_greeting_that_comes_in_pieces_is_understood(self):
        data = (GREETING + "\nfeatures: whole\n").encode()
        for cut in (1, len(GREETING.encode()), len(data) - 1):

            def serve(sock, cut=cut):
                conn, _ = sock.accept()
                with conn:
                    conn.sendall(data[:cut])
                    conn.sendall(data[cut:])
                    self.assertEqual(conn.recv(1024), b'{"action": "dir"}')
                    conn.sendall(b'{"status": 200, "size": 3}abc')
                    conn.recv(1)

            with self.subTest(cut), Peer(serve) as peer:
                result = self.ask(peer.address, "dir")
                self.assert_succeeds(result)
                self.assertEqual(result.stdout.splitlines(), [GREETING, "abc"])

    def fail_against(self, converse, *commands):
        """Returns the client's result if the server calls `converse` and then closes the
        connection."""

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                converse(conn)

        with Peer(serve) as peer:
            result = self.ask(peer.address, *commands)
            self.assert_fails(result, str(peer.address))
            return result

    def test_a_server_that_goes_is_one_line_that_names_it(self):
        path = self.local("a", pattern(20_000_000))
        greeting = GREETING.encode()

        def silent(conn):
            pass

        def greets(conn):
            conn.sendall(greeting)
            conn.recv(1024)

        def goes_inside_an_answer(conn):
            greets(conn)
            conn.sendall(b'{"status": ')

        def goes_inside_a_put(conn):
            greets(conn)
            conn.sendall(b'{"status": 200}')
            conn.recv(1024)

        def resets_inside_a_put(conn):
            goes_inside_a_put(conn)
            harness.reset(conn)

        for converse, command in (
            (silent, "dir"),
            (greets, "dir"),
            (goes_inside_an_answer, f"put {path}"),
            (goes_inside_a_put, f"put {path}"),
            (resets_inside_a_put, f"put {path}"),
        ):
            with self.subTest(converse.__name__):
                self.fail_against(converse, command)

    def test_a_server_that_never_answers_is_one_line_after_the_timeout(self):
        with self.answering() as peer:
            result = self.ask(peer.address, "dir", options=("--timeout", 0.2))
            self.assert_fails(result, str(peer.address), "timed out")

    def test_answers_of_a_size_that_cannot_be_are_refused(self):
        for size in ("1000000000000", "-1", '"3"', "null"):
            answer = b'{"status": 200, "size": %s}' % size.encode()
            server = self.answering(answer, greeting=GREETING + "\nfeatures: whole\n")
            with self.subTest(size), server as peer:
                self.assert_fails(self.ask(peer.address, "dir"))

    def test_a_signal_ends_it_with_status_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            asked = threading.Event()

            def serve(sock):
                conn, _ = sock.accept()
                with conn:
                    conn.sendall(GREETING.encode())
                    conn.recv(1024)
                    asked.set()
                    conn.recv(1024)

            with self.subTest(number), Peer(serve) as peer:
                with Program("management_client", *peer.address, "dir") as client:
                    self.assertTrue(asked.wait(harness.PATIENCE))
                    self.assertEqual(client.stop(number), 0)
                    self.assertEqual(client.rest("stderr"), [])


class AgainstOurs(ClientCase):
    def test_dir_cd_and_put_with_ack_over_ipv4_and_ipv6(self):
        (self.root / "目录").mkdir()
        data = pattern(10_000_003)
        path = self.local("文件", data)
        for host in HOSTS:
            with self.subTest(host=host), self.server(host=host) as server:
                for _ in range(2):
                    result = self.ask(server.address, "cd 目录", f"put {path}", "dir")
                    self.assert_succeeds(result)
                    self.assertEqual(
                        result.stdout.splitlines(),
                        [
                            GREETING,
                            "目录成功",
                            f"文件: {len(data)} bytes, sha256 {sha256(data)}, received",
                            "./目录:",
                            f"{len(data):15}  文件",
                        ],
                    )
                self.assertEqual(self.tree(), {"目录": None, "目录/文件": data})

    def test_a_listing_of_5000_files_is_whole_however_short_the_pause(self):
        names = [f"file-{i:04}-目录" for i in range(5000)]
        for name in names:
            (self.root / name).touch()
        for encoding in ("utf-8", "gbk"):
            options = ("--encoding", encoding)
            with self.subTest(encoding), self.server(*options) as server:
                result = self.ask(
                    server.address, "dir", "cd .", "dir", options=(*options, "--pause", 0.001)
                )
                self.assert_succeeds(result)
                listing = [".:", *(f"{0:15}  {name}" for name in names)]
                self.assertEqual(
                    result.stdout.splitlines(), [GREETING, *listing, ".成功", *listing]
                )

    def test_gbk(self):
        name = b"\x81}\x81\\\xc4\xbf".decode("gbk")
        (self.root / name).mkdir()
        path = self.local(name, b"abc")
        with self.server("--encoding", "gbk") as server:
            result = self.ask(
                server.address, f"cd {name}", f"put {path}", options=("--encoding", "gbk")
            )
        self.assert_succeeds(result)
        self.assertIn(name + "成功", result.stdout)
        self.assertEqual(self.tree(), {name: None, f"{name}/{name}": b"abc"})

    def test_files_of_many_sizes_one_after_another(self):
        sizes = [0, 1, 2, 1023, 1024, 1025, 65535, 65536, 65537, 262143, 262145, 0, 3]
        files = {f"{i}": pattern(size) for i, size in enumerate(sizes)}
        commands = [f"put {self.local(name, data)}" for name, data in files.items()]
        with self.server() as server:
            self.assert_succeeds(self.ask(server.address, *commands))
        self.assertEqual(self.tree(), files)

    def test_a_file_that_is_not_there_or_none_is_reported_and_the_session_goes_on(self):
        os.mkfifo(self.folder / "fifo")
        path = self.local("a", b"abc")
        with self.server() as server:
            for bad, part in (
                ("missing", "No such file or directory"),
                ("fifo", "not a plain file"),
                ("root", "not a plain file"),
                ("local/", "not a plain file"),
                ("local/a/b", "Not a directory"),
            ):
                with self.subTest(bad):
                    where = f"{self.folder}/{bad}"
                    result = self.ask(server.address, f"put {where}", f"put {path}", "dir")
                    self.assert_fails(result, where, part)
                    self.assertIn("a: 3 bytes", result.stdout)
                    self.assertEqual(result.stdout.splitlines()[-1], f"{3:15}  a")

    def test_what_the_server_refuses_is_reported_and_the_session_goes_on(self):
        (self.root / "a").symlink_to("b")
        path = self.local("a", b"abc")
        with self.server() as server:
            for command, parts in (
                (f"put {path}", ("refused (403)", "'a' is a symbolic link")),
                ("cd ..", ("refused (403)", "'..'")),
                ("cd missing", ("refused (404)", "'missing'")),
                ("what", ("refused (400)", "unknown command 'what'")),
                ("", ("an empty message reaches nobody",)),
            ):
                with self.subTest(command):
                    result = self.ask(server.address, command, "dir")
                    self.assert_fails(result, *parts)
                    self.assertEqual(result.stdout.splitlines()[1:], [".:", f"{'<link>':>15}  a"])

    def test_failures_of_lines_count_too(self):
        with self.server() as server:
            result = self.ask(server.address, stdin="cd missing\ndir\n")
            self.assert_fails(result, "'missing'")
            self.assertEqual(result.stdout.splitlines(), [GREETING, ".:"])

    def test_a_name_that_is_not_utf_8_is_reported(self):
        path = bytes(self.folder) + b"/\xff"
        with open(path, "wb"):
            pass
        with self.server() as server:
            result = self.ask(server.address, "put " + os.fsdecode(path), "dir")
            self.assert_fails(result, r"\xff", "UTF-8")
            self.assertEqual(result.stdout.splitlines(), [GREETING, ".:"])

    def test_a_progress_bar_is_drawn_on_a_terminal_only(self):
        path = self.local("a", pattern(100_000))
        reader, terminal = harness.open_terminal()
        self.addCleanup(os.close, reader)
        with self.server() as server:
            command = ("management_client", *server.address, f"put {path}")
            self.assertEqual(run(*command).stderr, "")
            with Program(*command, stderr=terminal) as client:
                os.close(terminal)
                drawn = b""
                while not drawn.endswith(b"\n"):
                    drawn += os.read(reader, 4096)
                self.assertEqual(client.wait(), 0)
        self.assertTrue(drawn.startswith(b"\ra   0% ["), drawn)
        self.assertIn(b"\ra 100% [", drawn)

    def test_a_refused_connection_is_one_line_that_names_the_address(self):
        for host in HOSTS:
            port = harness.refused_port(host)
            result = self.ask((host, port), "dir")
            self.assert_fails(result, "Connection refused", f"('{host}', {port}")


if __name__ == "__main__":
    unittest.main()
