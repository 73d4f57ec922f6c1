"""Tests mail_server: mail from common clients, the rules of the protocol, and refusals."""

import email
import resource
import shutil
import signal
import smtplib
import socket
import subprocess
import unittest

import harness
from harness import HOSTS, run
from mail import MailCase
from management import wait_until_read

MESSAGE = b"From: me@a.example\r\nTo: you@b.example\r\nSubject: hi\r\n\r\nHello.\r\n"


class Session:
    """A conversation in SMTP, command by command."""

    def __init__(self, server, greet=True):
        self.sock = server.connect()
        self.lines = self.sock.makefile("rb")
        self.greeting = self.answer()
        if greet:
            self.ask("EHLO client.example")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self):
        """Returns the code of the next answer. Stores its lines in `text`."""
        self.text = []
        while line := self.lines.readline().decode():
            self.text.append(line[4:].rstrip("\r\n"))
            if line[3] == " ":
                return int(line[:3])
        return None

    def ask(self, command):
        self.send(command + "\r\n")
        return self.answer()

    def begin(self):
        """Sends the commands that come before a message."""
        codes = [self.ask(c) for c in ("MAIL FROM:<me@a.example>", "RCPT TO:<you@b.example>", "DATA")]
        if codes != [250, 250, 354]:
            raise AssertionError(codes)

    def deliver(self, data=MESSAGE):
        self.begin()
        self.send(data + b".\r\n")
        return self.answer()


class MailServer(MailCase):
    def assert_still_delivers(self, server):
        before = len(self.messages())
        with Session(server) as session:
            self.assertEqual(session.deliver(), 250)
            self.assertEqual(session.ask("QUIT"), 221)
        self.assertEqual(len(self.messages()), before + 1)

    # --- common clients ---

    def curl(self, server, data, *options):
        (self.folder / "message").write_bytes(data)
        host = f"[{server.host}]" if ":" in server.host else server.host
        return subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--url", f"smtp://{host}:{server.port}/client.example",
             "--mail-from", "me@a.example", "--mail-rcpt", "you@b.example",
             "--mail-rcpt", "they@b.example", "--upload-file", self.folder / "message", *options],
            capture_output=True, text=True, timeout=harness.PATIENCE,
        )  # fmt: skip

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_delivers_a_message(self):
        for host in HOSTS:
            with self.subTest(host=host), self.server(host=host) as server:
                self.assert_succeeds(self.curl(server, MESSAGE))
                server.line_with("message from <me@a.example> to 2 recipients")
        self.assertEqual(self.messages(), [MESSAGE] * 2)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_delivers_dots_and_lines_with_bare_newlines_as_they_are(self):
        data = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nend\r\n"
        with self.server() as server:
            self.assert_succeeds(self.curl(server, data))
            self.assert_succeeds(self.curl(server, b"Subject: bare\n\n.\n.x\n"))
        self.assertEqual(sorted(self.messages()), [b"Subject: bare\n\n.\n.x\n\r\n", data])

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_is_told_that_a_message_is_too_large(self):
        with self.server("--max-size", 1000) as server:
            result = self.curl(server, MESSAGE + b"x" * 1000 + b"\r\n")
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("552", result.stderr)
        self.assertEqual(self.messages(), [])

    def test_smtplib_delivers_a_message(self):
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = "me@a.example", "you@b.example", "Grüße"
        message.set_content("Zeile\n.\n..dots\n汉字\n" * 3)
        for host in HOSTS:
            with self.subTest(host=host), self.server(host=host) as server:
                with smtplib.SMTP(*server.address[:2], timeout=harness.PATIENCE) as client:
                    self.assertEqual(client.send_message(message), {})
                    self.assertEqual(client.send_message(message), {})
        for data in self.messages():
            got = email.message_from_bytes(data, policy=email.policy.default)
            self.assertEqual(got["Subject"], "Grüße")
            self.assertEqual(got.get_content().replace("\r\n", "\n"), message.get_content())
        self.assertEqual(len(self.messages()), 4)

    def test_smtplib_is_told_which_recipients_are_refused(self):
        with self.server() as server:
            with smtplib.SMTP(*server.address, timeout=harness.PATIENCE) as client:
                refused = client.sendmail("me@a.example", ["you@b.example", "nobody"], MESSAGE)
                self.assertEqual(list(refused), ["nobody"])
                with self.assertRaises(smtplib.SMTPRecipientsRefused):
                    client.sendmail("me@a.example", ["nobody"], MESSAGE)
                self.assertEqual(client.sendmail("", ["you@b.example"], MESSAGE), {})
        self.assertEqual(self.messages(), [MESSAGE] * 2)

    # --- the protocol ---

    def test_greets_and_names_its_extensions(self):
        with self.server("--max-size", 5000) as server, Session(server, greet=False) as session:
            self.assertEqual(session.greeting, 220)
            self.assertEqual(session.ask("ehlo client.example"), 250)
            self.assertEqual(session.text[1:], ["SIZE 5000", "8BITMIME", "PIPELINING"])
            self.assertEqual(session.ask("HELO client.example"), 250)
            self.assertEqual(len(session.text), 1)
            self.assertEqual(session.ask("QUIT"), 221)
            self.assertIsNone(session.answer())

    def test_writes_the_envelope_before_the_message(self):
        with self.server() as server, Session(server) as session:
            self.assertEqual(session.ask("mail from:<me@a.example> size=10 BODY=8BITMIME"), 250)
            self.assertEqual(session.ask("Rcpt To: <@route.example:you@b.example>"), 250)
            self.assertEqual(session.ask('RCPT TO:<"a > b"@b.example>'), 250)
            self.assertEqual(session.ask("RCPT TO:<Postmaster>"), 250)
            self.assertEqual(session.ask("DATA"), 354)
            session.send(MESSAGE + b".\r\n")
            self.assertEqual(session.answer(), 250)
            name = session.text[0].split()[-1]
        lines = (self.inbox / name).read_text().splitlines()
        self.assertEqual(lines[0], "Return-Path: <me@a.example>")
        to = ["you@b.example", '"a > b"@b.example', "Postmaster"]
        self.assertEqual(lines[1:4], [f"Delivered-To: {name}" for name in to])
        self.assertEqual(lines[4], "Received: from client.example ([127.0.0.1])")
        self.assertEqual(self.messages(), [MESSAGE])

    def test_takes_commands_in_one_piece_and_in_many(self):
        commands = (
            b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n",
            MESSAGE + b".\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nDATA\r\nQUIT\r\n",
        )
        codes = [250, 250, 250, 250, 354, 250, 250, 250, 250, 503, 221, None]
        with self.server() as server:
            with Session(server, greet=False) as session:
                session.send(commands[0] + commands[1])
                self.assertEqual([session.answer() for _ in codes], codes)
            with Session(server, greet=False) as session:
                for byte in commands[0] + commands[1]:
                    session.send(bytes([byte]))
                self.assertEqual([session.answer() for _ in codes], codes)
        self.assertEqual(self.messages(), [MESSAGE] * 2)

    def test_a_message_is_there_whole_or_not_at_all(self):
        with self.server() as server, Session(server) as session:
            session.begin()
            session.send(MESSAGE * 1000)
            wait_until_read(session.sock)
            self.assertEqual(list(self.inbox.iterdir()), [])
            session.send(b".\r\n")
            self.assertEqual(session.answer(), 250)
        self.assertEqual(self.messages(), [MESSAGE * 1000])

    def test_only_a_dot_between_two_whole_line_ends_ends_a_message(self):
        data = b"a\n.\nb\n.\r\nc\r.\r\nd\r\n.\n\r\n"
        with self.server() as server, Session(server) as session:
            self.assertEqual(session.deliver(data), 250)
            self.assertEqual(session.ask("NOOP"), 250)
            self.assertEqual(session.deliver(b""), 250)
        self.assertEqual(sorted(self.messages()), [b"", data.replace(b"\r\n.\n", b"\r\n\n")])

    def test_commands_out_of_order_get_503(self):
        with self.server() as server, Session(server, greet=False) as session:
            for command, code in (
                ("MAIL FROM:<a@b>", 503),
                ("EHLO c", 250),
                ("RCPT TO:<a@b>", 503),
                ("DATA", 503),
                ("MAIL FROM:<a@b>", 250),
                ("DATA", 503),
                ("MAIL FROM:<a@b>", 503),
                ("RCPT TO:<a@b>", 250),
                ("EHLO c", 250),
                ("RCPT TO:<a@b>", 503),
            ):
                self.assertEqual(session.ask(command), code, command)
            self.assertEqual(session.deliver(), 250)

    def test_commands_that_are_malformed_get_500_501_or_555(self):
        wrong = {
            500: ["", "FOO", "MAILFROM:<a@b>", "\x00\xff", "STARTTLS", "x" * 3000],
            501: ["EHLO", "HELO two words", "EHLO \x01", "MAIL", "MAIL a@b", "MAIL FROM:a@b",
                  "MAIL FROM:<a@b", "MAIL FROM:<a>", "MAIL FROM:<@b>", "MAIL FROM:<a@>",
                  "MAIL FROM:<a b@c>", "MAIL FROM:<é@b>", "MAIL FROM:<a\t@b>", "MAIL TO:<a@b>",
                  'MAIL FROM:<"a@b>', "MAIL FROM:<@x>", "MAIL FROM:<@x:>", "MAIL FROM:<" + "a" * 300 + "@b>",
                  "MAIL FROM:<a@b> SIZE=", "MAIL FROM:<a@b> SIZE=1x", "MAIL FROM:<a@b> SIZE=-1",
                  "RSET now", "QUIT now"],
            552: ["MAIL FROM:<a@b> SIZE=99999999999", "MAIL FROM:<a@b> SIZE=" + "9" * 30],
            555: ["MAIL FROM:<a@b> AUTH=<>", "MAIL FROM:<a@b>x"],
        }  # fmt: skip
        with self.server() as server:
            for code, commands in wrong.items():
                for command in commands:
                    with self.subTest(command[:40]), Session(server) as session:
                        self.assertEqual(session.ask(command), code)
                        self.assertEqual(session.deliver(), 250)
            with Session(server) as session:
                self.assertEqual(session.ask("MAIL FROM:<a@b>"), 250)
                for command in ("RCPT TO:<>", "RCPT TO:<a>", "RCPT FROM:<a@b>", "DATA x"):
                    self.assertEqual(session.ask(command), 501, command)
                self.assertEqual(session.ask("RCPT TO:<a@b> NOTIFY=NEVER"), 555)

    def test_a_client_with_twenty_errors_is_left(self):
        with self.server() as server, Session(server) as session:
            self.assertEqual([session.ask("FOO") for _ in range(20)], [500] * 20)
            self.assertEqual(session.answer(), 421)
            self.assertIsNone(session.answer())
            self.assert_still_delivers(server)

    def test_more_than_a_hundred_recipients_get_452(self):
        with self.server() as server, Session(server) as session:
            self.assertEqual(session.ask("MAIL FROM:<a@b>"), 250)
            codes = [session.ask(f"RCPT TO:<{i}@b>") for i in range(102)]
            self.assertEqual(codes, [250] * 100 + [452] * 2)
            self.assertEqual(session.ask("DATA"), 354)

    def test_a_message_too_large_gets_552_and_the_next_one_is_taken(self):
        with self.server("--max-size", 1000) as server, Session(server) as session:
            self.assertEqual(session.deliver(b"x" * 900 + b"\r\n" + b"x" * 96 + b"\r\n"), 250)
            self.assertEqual(session.deliver(b"x" * 900 + b"\r\n" + b"x" * 97 + b"\r\n"), 552)
            self.assertEqual(session.deliver(b"x" * 78 + b"\r\n" * 100_000), 552)
            self.assertEqual(session.deliver(), 250)
        self.assertEqual(len(self.messages()), 2)

    def test_a_line_too_long_gets_500_and_the_next_message_is_taken(self):
        with self.server() as server, Session(server) as session:
            self.assertEqual(session.deliver(b"x" * 998 + b"\r\n"), 250)
            for line in (b"x" * 999 + b"\r\n", b"x" * 999 + b"\r\n.x\r\n", b"x" * 5_000_000 + b"\r\n"):
                self.assertEqual(session.deliver(line), 500)
            self.assertEqual(session.deliver(), 250)
        self.assertEqual(len(self.messages()), 2)

    # --- misbehaving clients and adverse conditions ---

    def test_a_client_that_vanishes_inside_a_message_leaves_no_file(self):
        with self.server() as server:
            for i, end in enumerate((socket.socket.close, harness.reset) * 3):
                session = Session(server)
                session.begin()
                session.send(MESSAGE * (1 + 500 * i))
                wait_until_read(session.sock)
                session.lines.close()
                end(session.sock)
                server.line_with("inside a message" if i % 2 == 0 else "reset")
                self.assertEqual(list(self.inbox.iterdir()), [])
            self.assert_still_delivers(server)

    def test_a_client_that_falls_silent_is_left_after_the_timeout(self):
        with self.server("--timeout", 0.3) as server:
            for begun in (False, True):
                with Session(server) as session:
                    if begun:
                        session.begin()
                        session.send(MESSAGE)
                    self.assertEqual(session.answer(), 421)
                    self.assertIsNone(session.answer())
                    server.line_with("timed out")
        self.assertEqual(list(self.inbox.iterdir()), [])

    def test_slow_clients_hold_up_nobody(self):
        with self.server() as server:
            slow = [Session(server) for _ in range(10)]
            for session in slow:
                session.begin()
                session.send(MESSAGE)
            self.assert_still_delivers(server)
            for session in slow:
                session.send(b".\r\n")
                self.assertEqual(session.answer(), 250)
                session.__exit__()
        self.assertEqual(self.messages(), [MESSAGE] * 11)

    def test_a_disk_that_is_full_is_answered_and_the_session_goes_on(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        with self.server(preexec_fn=limit) as server, Session(server) as session:
            self.assertEqual(session.deliver(MESSAGE * 10_000), 451)
            self.assertEqual(list(self.inbox.iterdir()), [])
            self.assertEqual(session.deliver(), 250)

    def test_a_directory_that_is_gone_is_answered_and_the_session_goes_on(self):
        with self.server() as server, Session(server) as session:
            self.inbox.rmdir()
            self.assertEqual(session.ask("MAIL FROM:<a@b>"), 250)
            self.assertEqual(session.ask("RCPT TO:<a@b>"), 250)
            self.assertEqual(session.ask("DATA"), 451)
            self.assertEqual(session.ask("NOOP"), 250)

    def test_clients_leave_no_descriptor_behind(self):
        with self.server() as server:
            for i in range(20):
                with Session(server) as session:
                    session.deliver()
                    session.begin()
                    session.send(MESSAGE)
                server.line_with("inside a message")
                if i == 0:
                    before = server.open_files()
            self.assertEqual(server.left_open(before), [])

    def test_a_signal_ends_it_with_status_0_and_leaves_no_half_message(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.server() as server:
                with Session(server), Session(server) as session:
                    session.begin()
                    session.send(MESSAGE)
                    self.assertEqual(server.stop(number), 0)
                    self.assertEqual(server.rest("stderr"), [])
                    self.assertEqual(list(self.inbox.iterdir()), [])

    def test_once_ends_with_status_0_after_one_client(self):
        with self.server("--once") as server:
            with Session(server) as session:
                self.assertEqual(session.deliver(), 250)
                self.assertEqual(session.ask("QUIT"), 221)
            self.assertEqual(server.wait(), 0)

    def test_what_is_wrong_at_the_start_is_one_line_that_names_it(self):
        file = self.folder / "file"
        file.touch()
        with self.server() as server:
            for arguments, parts in (
                (("127.0.0.1", 0, self.folder / "missing"), ("missing", "No such file")),
                (("127.0.0.1", 0, file), ("file", "Not a directory")),
                (("127.0.0.1", server.port, self.inbox), (str(server.address), "in use")),
                (("127.0.0.1", 65536, self.inbox), ("PORT", "65536")),
                (("192.0.2.1", 0, self.inbox), ("192.0.2.1", "not a loopback address", "--i-know")),
                (("127.0.0.1", 0, self.inbox, "--max-size", "-1"), ("max-size", "-1")),
                (("127.0.0.1", 0), ("DIRECTORY",)),
            ):
                with self.subTest(arguments):
                    self.assert_fails(run("mail_server", *arguments), *parts)


if __name__ == "__main__":
    unittest.main()
