"""Tests input that the management server refuses: each answer has a status and a reason that names
the value, nothing is written, and both sides stay in step."""

import json
import os
import select
import socket
import unittest

from management import ManagementCase


class BadInput(ManagementCase):
    def setUp(self):
        super().setUp()
        (self.root / "directory").mkdir()
        (self.root / "link").symlink_to("directory")
        (self.root / "dangling").symlink_to("nowhere")
        (self.root / "outside").symlink_to(self.folder)
        os.mkfifo(self.root / "fifo")
        (self.folder / "victim").write_bytes(b"victim")
        (self.root / "victim").symlink_to(self.folder / "victim")
        self.names = sorted(os.listdir(self.root))

    def assert_refused(self, session, request, status, *parts):
        with self.subTest(request=request):
            answer = session.ask_object(request)
            self.assertEqual(set(answer), {"status", "error"}, answer)
            self.assertEqual(answer["status"], status, answer)
            for part in parts:
                self.assertIn(part, answer["error"])
            self.assert_in_step(session)

    def assert_untouched(self):
        self.assertEqual(sorted(os.listdir(self.root)), self.names)
        self.assertEqual(os.listdir(self.root / "directory"), [])
        self.assertEqual((self.folder / "victim").read_bytes(), b"victim")
        self.assertEqual(sorted(os.listdir(self.folder)), ["root", "victim"])

    def test_names_that_are_not_one_component(self):
        with self.server() as server, self.session(server) as session:
            for name, part in (
                ("", "is empty"),
                (".", "'.'"),
                ("..", "'..'"),
                ("../x", "'../x'"),
                ("/etc/x", "'/etc/x'"),
                (str(self.root / "x"), "/root/x'"),
                ("directory/x", "'directory/x'"),
                ("link/x", "'link/x'"),
                ("x/", "'x/'"),
                ("a\0b", r"a\x00b"),
                ("x" * 256, "255 bytes"),
                ("目" * 86, "255 bytes"),
            ):
                request = {"action": "put", "filename": name, "file_size": 3}
                self.assert_refused(session, request, 400, "filename", part)
        self.assert_untouched()

    def test_the_longest_name_that_there_can_be_is_taken(self):
        with self.server() as server, self.session(server) as session:
            self.assertEqual(session.put_with_ack("x" * 255, b"abc")["status"], 226)
            self.assertEqual((self.root / ("x" * 255)).read_bytes(), b"abc")

    def test_targets_that_are_no_plain_file(self):
        with self.server() as server, self.session(server) as session:
            for name, part in (
                ("link", "symbolic link"),
                ("dangling", "symbolic link"),
                ("victim", "symbolic link"),
                ("directory", "is a directory"),
                ("fifo", "not a plain file"),
            ):
                request = {"action": "put", "filename": name, "file_size": 3}
                self.assert_refused(session, request, 403, f"'{name}'", part)
        self.assert_untouched()

    def test_a_link_that_appears_during_the_transfer_is_replaced_and_not_followed(self):
        with self.server() as server, self.session(server) as session:
            session.begin_put("new", 3, ack=True)
            (self.root / "new").symlink_to(self.folder / "victim")
            session.sock.sendall(b"abc")
            self.assertEqual(session.answer()["status"], 226)
            self.assertFalse((self.root / "new").is_symlink())
            self.assertEqual((self.root / "new").read_bytes(), b"abc")
            (self.root / "new").unlink()
        self.assert_untouched()

    def test_a_directory_that_appears_during_the_transfer_is_answered_at_its_end(self):
        with self.server() as server, self.session(server) as session:
            session.begin_put("new", 3, ack=True)
            (self.root / "new").mkdir()
            session.sock.sendall(b"abc")
            answer = session.answer()
            self.assertEqual(answer["status"], 500)
            self.assertIn("Is a directory", answer["error"])
            self.assert_in_step(session)
            (self.root / "new").rmdir()
        self.assert_untouched()

    def test_sizes_that_are_none(self):
        with self.server("--max-size", 1000) as server, self.session(server) as session:
            for text, status, part in (
                ("-1", 400, "'-1' is negative"),
                ("-9223372036854775808", 400, "is negative"),
                ("1001", 413, "'1001' is more than the 1000 bytes"),
                ("9223372036854775808", 413, "9223372036854775808"),
                ("18446744073709551615", 413, "18446744073709551615"),
                ("18446744073709551616", 413, "more than the 1000 bytes"),
                ("1" + "0" * 300, 413, "more than the 1000 bytes"),
                ("1" + "0" * 400, 400, "1000"),
                ("-1" + "0" * 300, 400, "file_size"),
                ('"3"', 400, "is not an integer"),
                ("3.0", 400, "'3.0' is not an integer"),
                ("3e0", 400, "is not an integer"),
                ("true", 400, "'true' is not an integer"),
                ("null", 400, "'null' is not an integer"),
                ("[3]", 400, "'[3]' is not an integer"),
                ("{}", 400, "'{}' is not an integer"),
                ("NaN", 400, "not JSON"),
                ("0x3", 400, "not JSON"),
            ):
                text = '{"action": "put", "filename": "x", "file_size": %s}' % text
                self.assert_refused(session, text, status, part)
            request = {"action": "put", "filename": "x"}
            self.assert_refused(session, request, 400, "'file_size' is missing")
        self.assert_untouched()

    def test_objects_that_are_no_request(self):
        deep = "[" * 5000 + "]" * 5000
        with self.server() as server, self.session(server) as session:
            for text, part in (
                ("{}", "'action' is missing"),
                ('{"action": "rm", "filename": "x"}', "unknown action 'rm'"),
                ('{"action": "PUT", "filename": "x"}', "unknown action 'PUT'"),
                ('{"action": 7}', "action '7' is not a string"),
                ('{"action": null}', "action 'null'"),
                ('{"action": "put", "file_size": 3}', "'filename' is missing"),
                ('{"action": "put", "filename": 7, "file_size": 3}', "filename '7'"),
                ('{"action": "put", "filename": ["x"], "file_size": 3}', "is not a string"),
                ('{"action": "put", "filename": "x", "file_size": 3, "ack": 1}', "ack '1'"),
                ('{"action": "put", "filename": "\\ud800", "file_size": 3}', "not JSON"),
                ('{"action": "cd"}', "'path' is missing"),
                ("{'action': 'put'}", "not JSON"),
                ('{"action": "put",}', "not JSON"),
                ('{"action" "put"}', "not JSON"),
                ("{{}}", "not JSON"),
                ('{"action": %s}' % deep, "deeper than 100 levels"),
            ):
                self.assert_refused(session, text, 400, part)
        self.assert_untouched()

    def test_text_that_is_not_in_the_encoding(self):
        with self.server() as server, self.session(server) as session:
            for data in (b"\xff", b"cd \xc3(", b'{"action": "\xff"}', b"cd \xed\xa0\x80"):
                with self.subTest(data):
                    session.sock.sendall(data)
                    answer = session.answer()
                    self.assertEqual(answer["status"], 400)
                    self.assertIn("utf-8", answer["error"])
                    self.assert_in_step(session)

    def test_directories_that_are_not_within_the_root(self):
        with self.server() as server, self.session(server) as session:
            for name, status in (
                ("..", 403),
                ("../root", 403),
                ("directory/../..", 403),
                ("./..//", 403),
                ("/", 403),
                ("/etc", 403),
                (str(self.root), 403),
                ("outside", 404),
                ("link/../..", 403),
                ("missing", 404),
                ("victim", 404),
                ("fifo", 404),
                ("x" * 5000, 404),
            ):
                self.assert_refused(session, "cd " + name, status, f"'{name[:200]}")
            self.assert_refused(session, "cd ", 400, "needs the name")
            self.assert_refused(session, "cd", 400, "unknown command 'cd'")
            self.assert_refused(session, "cd a\0b", 400, r"a\x00b")
            self.assert_refused(session, {"action": "cd", "path": ".."}, 403, "'..'")
            self.assert_refused(session, {"action": "cd", "path": 7}, 400, "path '7'")
            self.assertEqual(session.ask("dir").splitlines()[0], ".:")
        self.assert_untouched()

    def test_a_link_out_of_the_root_tells_nothing_of_what_is_there(self):
        (self.folder / "there").mkdir()
        with self.server() as server, self.session(server) as session:
            answers = [
                session.ask(f"cd outside/{name}").replace(name, "X") for name in ("there", "gone!")
            ]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(json.loads(answers[0])["status"], 404)

    def test_what_was_refused_may_have_bytes_in_the_same_chunk(self):
        with self.server() as server, self.session(server) as session:
            text = '{"action": "put", "filename": "..", "file_size": 3}abc'
            self.assert_refused(session, text, 400, "'..'")
        self.assert_untouched()

    def test_half_an_object_is_given_up_after_the_timeout(self):
        with self.server("--timeout", 2) as server, self.session(server) as session:
            text = '{"action": "put", "filename": "half'
            self.assert_refused(session, text, 408, "half", "2.0 seconds")
        self.assert_untouched()

    def test_half_an_object_that_drips_is_given_up_all_the_same(self):
        for drop in (b"x", b"{}"):
            with self.subTest(drop), self.server("--timeout", 1) as server:
                with self.session(server) as session:
                    session.sock.sendall(b'{"action": [')
                    while not select.select([session.sock], [], [], 0.1)[0]:
                        session.sock.send(drop)
                    self.assertEqual(session.answer()["status"], 408)

    def test_an_object_that_is_too_long_is_refused_and_its_end_found(self):
        with self.server() as server, self.session(server) as session:
            for filler in ("x", "}", "\\\\", "目"):
                text = '{"action": "put", "filename": "%s"}' % (filler * 1_000_000)
                self.assert_refused(session, text, 413, "65536 bytes")
            text = '{"action": "put", "x": %s "y"}' % ("{}" * 200_000)
            self.assert_refused(session, text, 413, "65536 bytes")
        self.assert_untouched()

    def test_a_command_without_end_is_refused_chunk_by_chunk(self):
        with self.server() as server, self.session(server) as session:
            session.sock.sendall(b"x" * 10_000_000)
            session.sock.shutdown(socket.SHUT_WR)
            data = b""
            while piece := session.sock.recv(65536):
                data += piece
            self.assertIn(b"unknown command 'xxx", data)
        self.assert_untouched()


if __name__ == "__main__":
    unittest.main()
