"""Tests the management server with textbook clients: its answers, and that it stays in step."""

import json
import os
import resource
import signal
import socket
import unittest

import harness
from harness import HOSTS, run
from management import (
    GREETING,
    ManagementCase,
    pattern,
    sha256,
    wait_until_read,
)


class Commands(ManagementCase):
    def test_greets_a_textbook_client_over_ipv4_and_ipv6(self):
        for host in HOSTS:
            with self.subTest(host=host), self.server(host=host) as server:
                with self.session(server) as session:
                    self.assertEqual(session.greeting, GREETING + "\nfeatures: ack whole\n")

    def test_dir_lists_the_directory(self):
        (self.root / "one").write_bytes(b"12345")
        (self.root / "目录").mkdir()
        (self.root / "link").symlink_to("one")
        with self.server() as server, self.session(server) as session:
            lines = session.ask("dir").splitlines()
        self.assertEqual(lines[0], ".:")
        entries = [tuple(line.split(maxsplit=1)) for line in lines[1:]]
        self.assertEqual(entries, [("<link>", "link"), ("5", "one"), ("<dir>", "目录")])

    def test_dir_of_an_empty_directory_answers_something(self):
        with self.server() as server, self.session(server) as session:
            self.assertEqual(session.ask("dir"), ".:\n")

    def test_dir_shows_a_name_with_a_newline_as_one_line(self):
        (self.root / "a\nb").touch()
        os.close(os.open(bytes(self.root) + b"/\xff", os.O_CREAT))
        with self.server() as server, self.session(server) as session:
            names = [line.split()[1] for line in session.ask("dir").splitlines()[1:]]
        self.assertEqual(names, [r"a\nb", r"\xff"])

    def test_cd_goes_down_and_up_within_the_root(self):
        (self.root / "目录" / "sub dir").mkdir(parents=True)
        with self.server() as server, self.session(server) as session:
            for command, path in (
                ("cd 目录", "./目录"),
                ("cd sub dir", "./目录/sub dir"),
                ("cd ../..", "."),
                ("cd 目录/../目录/sub dir/.", "./目录/sub dir"),
                ("cd ..", "./目录"),
            ):
                self.assertEqual(session.ask(command), command[3:] + "成功")
                self.assertEqual(session.ask("dir").splitlines()[0], path + ":")

    def test_cd_follows_links_that_stay_within_the_root(self):
        (self.root / "a" / "b").mkdir(parents=True)
        (self.root / "relative").symlink_to("a/b")
        (self.root / "absolute").symlink_to(self.root / "a")
        with self.server() as server, self.session(server) as session:
            for name, path in (("relative", "./a/b"), ("..", "./a"), ("../absolute", "./a")):
                self.assertEqual(session.ask("cd " + name), name + "成功")
                self.assertEqual(session.ask("dir").splitlines()[0], path + ":")

    def test_commands_are_told_apart_by_their_form(self):
        names = ("dir", "cd x", '{"action"')
        for name in names:
            (self.root / name).mkdir()
        with self.server() as server, self.session(server) as session:
            for name in names:
                self.assertEqual(session.ask("cd " + name), name + "成功")
                self.assertEqual(session.ask("dir").splitlines(), [f"./{name}:"])
                self.assertEqual(session.ask("cd .."), "..成功")
            for text in ("directory", "xdir", "dir x", "DIR", "cdx", "put x", " dir", '["dir"]'):
                answer = session.ask_object(text)
                self.assertEqual(answer["status"], 400)
                self.assertIn(repr(text), answer["error"])

    def test_a_command_may_end_with_a_newline(self):
        (self.root / "x").mkdir()
        with self.server() as server, self.session(server) as session:
            self.assertEqual(session.ask("cd x\r\n"), "x成功")
            self.assertEqual(session.ask("dir\n"), "./x:\n")

    def test_a_command_that_is_cut_inside_a_character_is_waited_for(self):
        (self.root / "目").mkdir()
        with self.server() as server, self.session(server) as session:
            data = "cd 目".encode()
            for cut in (4, 5):
                session.sock.sendall(data[:cut])
                wait_until_read(session.sock)
                session.sock.sendall(data[cut:])
                self.assertEqual(session.sock.recv(1024).decode(), "目成功")
                self.assertEqual(session.ask("cd .."), "..成功")

    def test_a_long_listing_reaches_a_textbook_client_as_it_is(self):
        for i in range(5000):
            (self.root / f"file-{i:04}").touch()
        with self.server() as server, self.session(server) as session:
            session.sock.sendall(b"dir")
            data = b""
            while not data.endswith(b"file-4999\n"):
                data += session.sock.recv(1024)
            self.assertEqual(data.count(b"\n"), 5001)
            self.assertTrue(data.startswith(b".:\n"))
            self.assertEqual(session.ask("cd ."), ".成功")

    def test_the_whole_forms_announce_how_long_their_answer_is(self):
        (self.root / "x").mkdir()
        with self.server() as server, self.session(server) as session:
            for request, text in (
                ({"action": "cd", "path": "x"}, "x成功"),
                ({"action": "dir"}, "./x:\n"),
            ):
                answer = session.ask(json.dumps(request))
                header = json.dumps({"status": 200, "size": len(text.encode())})
                self.assertEqual(answer, header + text)


class Put(ManagementCase):
    def test_takes_exactly_the_bytes_that_were_announced(self):
        for size in (0, 1, 65536, 1_000_003):
            with self.subTest(size), self.server() as server, self.session(server) as session:
                self.assertEqual(session.put("文件 x", pattern(size)), {"status": 200})
                self.assert_in_step(session)
                self.assertEqual(self.tree(), {"文件 x": pattern(size)})

    def test_the_answer_is_what_the_table_says(self):
        with self.server() as server, self.session(server) as session:
            text = '{"action":"put","filename":"a","file_size":0,"ack":true}'
            session.sock.sendall(text.encode())
            digest = sha256(b"")
            expected = '{"status": 200}{"status": 226, "received": 0, "sha256": "%s"}' % digest
            data = b""
            while len(data) < len(expected):
                data += session.sock.recv(1024)
            self.assertEqual(data.decode(), expected)

    def test_an_ack_says_what_has_come(self):
        data = pattern(3_000_000)
        with self.server() as server, self.session(server) as session:
            answer = session.put_with_ack("a", data)
            self.assertEqual(
                answer, {"status": 226, "received": len(data), "sha256": sha256(data)}
            )
            self.assertEqual(self.tree(), {"a": data})
            self.assert_in_step(session)

    def test_without_ack_nothing_follows_the_bytes(self):
        for more in ({}, {"ack": False}):
            with self.subTest(more), self.server() as server, self.session(server) as session:
                session.begin_put("a", 3, **more)
                session.sock.sendall(b"abc")
                self.assert_in_step(session)

    def test_a_put_goes_to_the_directory_of_the_session(self):
        (self.root / "sub").mkdir()
        with self.server() as server, self.session(server) as session:
            session.ask("cd sub")
            session.put_with_ack("a", b"abc")
        self.assertEqual(self.tree(), {"sub": None, "sub/a": b"abc"})

    def test_a_put_replaces_a_file_at_once_and_whole(self):
        (self.root / "a").write_bytes(b"old")
        with self.server() as server, self.session(server) as session:
            session.begin_put("a", 6, ack=True)
            session.sock.sendall(b"new")
            wait_until_read(session.sock)
            self.assertEqual(self.tree()["a"], b"old")
            session.sock.sendall(b"est")
            self.assertEqual(session.answer()["status"], 226)
            self.assertEqual(self.tree(), {"a": b"newest"})

    def test_the_first_bytes_may_come_in_the_same_chunk_as_the_header(self):
        data = b'{"}{dir' + pattern(100)
        header = json.dumps({"action": "put", "filename": "a", "file_size": len(data)}).encode()
        for cut in (0, 1, len(data)):
            with self.subTest(cut), self.server() as server, self.session(server) as session:
                session.sock.sendall(header + data[:cut])
                self.assertEqual(session.answer(), {"status": 200})
                session.sock.sendall(data[cut:])
                self.assert_in_step(session)
                self.assertEqual(self.tree(), {"a": data})

    def test_a_command_in_the_same_chunk_as_the_last_bytes_is_answered(self):
        with self.server() as server, self.session(server) as session:
            session.begin_put("a", 3)
            self.assertEqual(session.ask("abcdir").splitlines()[0], ".:")
            session.begin_put("b", 3)
            answer = session.ask_object('abc{"action": "nothing"}')
            self.assertEqual(answer["status"], 400)
        self.assertEqual(self.tree(), {"a": b"abc", "b": b"abc"})

    def test_a_header_may_be_cut_anywhere(self):
        value = {"action": "put", "filename": 'a"}{\\目', "file_size": 3, "x": {"y": [{}]}}
        header = json.dumps(value, ensure_ascii=False).encode()
        with self.server() as server, self.session(server) as session:
            for cut in range(1, len(header), 7):
                session.sock.sendall(header[:cut])
                wait_until_read(session.sock)
                session.sock.sendall(header[cut:])
                self.assertEqual(session.answer(), {"status": 200})
                session.sock.sendall(b"abc")
                self.assert_in_step(session)
        self.assertEqual(self.tree(), {value["filename"]: b"abc"})

    def test_a_disk_that_is_full_is_answered_and_the_session_goes_on(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        with self.server(preexec_fn=limit) as server, self.session(server) as session:
            answer = session.put_with_ack("big", pattern(3_000_000))
            self.assertEqual(answer["status"], 507)
            self.assertEqual(answer["error"], "[Errno 27] File too large: big")
            self.assert_in_step(session)
            self.assertEqual(session.put_with_ack("small", b"abc")["status"], 226)
            self.assertEqual(self.tree(), {"small": b"abc"})

    def test_without_ack_a_full_disk_is_told_in_place_of_the_next_answer(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        with self.server(preexec_fn=limit) as server, self.session(server) as session:
            for command in ("dir", "cd .", '{"action": "put", "filename": "b", "file_size": 3}'):
                session.put("big", pattern(5000))
                answer = session.ask_object(command)
                self.assertEqual(answer["status"], 507)
                self.assertIn("this command was not done", answer["error"])
                self.assert_in_step(session)
        self.assertEqual(self.tree(), {})

    def test_a_progress_bar_is_drawn_on_a_terminal_only(self):
        with self.server() as server, self.session(server) as session:
            session.put_with_ack("a", pattern(100_000))
            self.assertEqual(server.stop(), 0)
            self.assertEqual(server.rest("stderr"), [])
        reader, terminal = harness.open_terminal()
        self.addCleanup(os.close, reader)
        with self.server(stderr=terminal) as server, self.session(server) as session:
            os.close(terminal)
            session.put_with_ack("a", pattern(100_000))
            drawn = b""
            while not drawn.endswith(b"\n"):
                drawn += os.read(reader, 4096)
        self.assertTrue(drawn.startswith(b"\ra   0% ["), drawn)
        self.assertIn(b"\ra 100% [", drawn)
        self.assertIn(b"97.7 KiB of 97.7 KiB", drawn)


class BrokenTransfers(ManagementCase):
    """A transfer that ends early leaves no file, and does not change the file that was there
    before."""

    forms = harness.FORMS

    def setUp(self):
        super().setUp()
        (self.root / "old").write_bytes(b"old")

    def break_transfer(self, server, name="old"):
        session = self.session(server)
        self.assertEqual(session.begin_put(name, 1_000_000, ack=True), {"status": 200})
        session.sock.sendall(pattern(300_000))
        wait_until_read(session.sock)
        return session

    def assert_nothing_left(self):
        self.assertEqual(self.tree(), {"old": b"old"})

    def test_a_client_that_closes_leaves_no_file(self):
        with self.server() as server:
            for name in ("old", "new"):
                self.break_transfer(server, name).sock.close()
                server.line_with(f"put '{name}', 1000000 bytes, broken after 300000")
                self.assertIn("('127.0.0.1'", server.line())
                self.assert_nothing_left()

    def test_a_client_that_resets_leaves_no_file_and_no_descriptor(self):
        with self.server() as server:
            for i in range(10):
                harness.reset(self.break_transfer(server, "new").sock)
                server.line_with("Connection reset")
                self.assert_nothing_left()
                if i == 0:
                    before = server.open_files()
            self.assertEqual(server.left_open(before), [])

    def test_a_client_that_falls_silent_is_left_after_the_timeout(self):
        with self.server("--timeout", 0.3) as server, self.break_transfer(server) as session:
            server.line_with("timed out")
            self.assert_nothing_left()
            self.assertEqual(session.sock.recv(1024), b"")

    def test_a_signal_ends_the_server_with_status_0_and_leaves_no_file(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), self.server() as server:
                with self.break_transfer(server):
                    self.assertEqual(server.stop(number), 0)
                    self.assertEqual(server.rest("stderr"), [])
                    self.assert_nothing_left()

    def test_even_a_server_that_is_killed_leaves_no_file(self):
        try:
            os.close(os.open(self.root, os.O_TMPFILE | os.O_WRONLY))
        except OSError as error:
            self.skipTest(f"this file system has no files without a name: {error}")
        with self.server() as server, self.break_transfer(server):
            server.stop(signal.SIGKILL)
            self.assert_nothing_left()

    def test_a_client_that_ends_inside_a_header_ends_its_session_only(self):
        for end in (socket.socket.close, harness.reset):
            with self.subTest(end), self.server() as server:
                session = self.session(server)
                session.sock.sendall(b'{"action": "put", "filename": {}')
                wait_until_read(session.sock)
                end(session.sock)
                with self.session(server) as session:
                    self.assert_in_step(session)
        self.assert_nothing_left()


class Program(ManagementCase):
    forms = harness.FORMS

    def test_serves_one_client_after_another_and_once_only_one(self):
        with self.server() as server:
            for i in range(3):
                with self.session(server) as session:
                    session.put_with_ack(f"{i}", b"abc")
                    name = str(session.sock.getsockname())
                self.assertEqual(server.line(), f"{name}: connected")
                self.assertEqual(server.line(), f"{name}: put '{i}', 3 bytes")
                self.assertEqual(server.line(), f"{name}: left")
        with self.server("--once") as server:
            with self.session(server) as session:
                self.assert_in_step(session)
            self.assertEqual(server.wait(), 0)

    def test_sessions_leave_no_descriptor_behind(self):
        (self.root / "sub").mkdir()
        with self.server() as server:
            for i in range(10):
                with self.session(server) as session:
                    session.ask("cd sub")
                    session.ask("cd ..")
                    session.ask("cd ../..")
                    session.ask("dir")
                    session.put_with_ack("a", b"abc")
                    session.begin_put("sub", 3)
                server.line_with(": left")
                if i == 0:
                    before = server.open_files()
            self.assertEqual(server.left_open(before), [])

    def test_sessions_at_once_are_each_where_they_went(self):
        if self.form not in harness.CONCURRENT:
            return
        for name in ("a", "b"):
            (self.root / name / name).mkdir(parents=True)
        with self.server() as server:
            where = os.readlink(f"/proc/{server.pid}/cwd")
            with self.session(server) as a, self.session(server) as b, self.session(server) as c:
                self.assertEqual(a.ask("cd a"), "a成功")
                self.assertEqual(b.ask("cd b"), "b成功")
                self.assertEqual(a.ask("cd a"), "a成功")
                self.assertEqual(b.ask("dir").splitlines(), ["./b:", "<dir>  b".rjust(18)])
                self.assertEqual(a.ask("dir"), "./a/a:\n")
                self.assertEqual(len(c.ask("dir").splitlines()), 3)
                self.assertEqual(a.begin_put("file", 3), {"status": 200})
                self.assertEqual(b.put_with_ack("file", b"b")["status"], 226)
                a.sock.sendall(b"aaa")
                self.assertEqual(a.ask("cd ."), ".成功")
            self.assertEqual(os.readlink(f"/proc/{server.pid}/cwd"), where)
        files = {name: data for name, data in self.tree().items() if data is not None}
        self.assertEqual(files, {"a/a/file": b"aaa", "b/file": b"b"})

    def test_each_session_begins_at_the_root(self):
        (self.root / "sub").mkdir()
        with self.server() as server:
            for _ in range(2):
                with self.session(server) as session:
                    self.assertEqual(session.ask("cd sub"), "sub成功")

    def test_an_idle_client_is_left_after_the_timeout(self):
        with self.server("--timeout", 0.2) as server, self.session(server) as session:
            self.assertEqual(session.sock.recv(1024), b"")
            server.line_with("timed out")

    def test_a_signal_ends_it_with_status_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.server() as server:
                self.assertEqual(server.stop(number), 0)
            with self.subTest(number), self.server() as server, self.session(server):
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])

    def test_refuses_any_address_but_loopback(self):
        for host in ("0.0.0.0", "::", "", "192.0.2.1"):
            with self.subTest(host=host):
                result = run("management_server", host, 0, self.root)
                self.assert_fails(result, host, "not a loopback address", "--i-know")
        with self.server("--i-know", host="0.0.0.0") as server:
            with harness.connect(("127.0.0.1", server.port)) as sock:
                self.assertEqual(sock.recv(1024).decode().splitlines()[0], GREETING)

    def test_what_is_wrong_at_the_start_is_one_line_that_names_it(self):
        file = self.folder / "file"
        file.touch()
        with self.server() as server:
            for arguments, parts in (
                (("127.0.0.1", 0, self.folder / "missing"), ("missing", "No such file")),
                (("127.0.0.1", 0, file), ("file", "Not a directory")),
                (("127.0.0.1", server.port, self.root), (str(server.address), "in use")),
                (("127.0.0.1", 65536, self.root), ("PORT", "65536")),
                (("127.0.0.1", -1, self.root), ("PORT", "-1")),
                (("127.0.0.1", 0, self.root, "--encoding", "utf-99"), ("utf-99",)),
                (("127.0.0.1", 0, self.root, "--max-size", "-1"), ("max-size", "-1")),
                (("127.0.0.1", 0), ("ROOT",)),
            ):
                with self.subTest(arguments):
                    self.assert_fails(run("management_server", *arguments), *parts)


if __name__ == "__main__":
    unittest.main()
