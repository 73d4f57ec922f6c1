"""Tests each pair of example programs, with a textbook's program in place of one side.

Each client gets each input with a textbook server, and each server gets it from a textbook client:
lines at once, line by line with a slow server, no lines, long lines, lines that are not ASCII, and
a last line without a newline.
"""

import functools
import json
import re
import socket
import threading
import time

import harness
import mail
import management
import textbook
from harness import Peer, Server, run
from management import wait_until_read
from test_small_clients import STAMP
from textbook_management import TextbookServer

INPUTS = {
    "at once": "one\ntwo\nthree\nfour\nfive\n",
    "quotes": "it's\n\"so\"\nb\nb'\nb'b'\n\\n\n",
    "empty": "",
    "long": "x" * 1000 + "\nshort\n" + "y" * 1024 + "\n",
    "not ASCII": "Grüße\nпривет\n日本語 汉字\n",
    "no newline": "one\nlast",
}

COMMANDS = {
    "at once": "echo one\ntrue\nprintf 'two\\nlines'\nls /no/such/file\nfalse\n",
    "quotes": "echo \"it's\"\necho '\"so\"'\n",
    "empty": "",
    "long": "echo " + "x" * 1000 + "\necho short\n",
    "not ASCII": "echo Grüße привет\nprintf 日本語\n",
    "no newline": "echo one\nprintf last",
}


class PeerSocket:
    """A textbook server's socket. Subclasses change its behaviour."""

    def __init__(self, sock):
        self.sock = sock

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


class SlowSocket(PeerSocket):
    """Waits before it sends for longer than a guessing client waits for data."""

    def sendall(self, data):
        time.sleep(0.4)
        self.sock.sendall(data)


class SocketInPieces(PeerSocket):
    """Sends in pieces, each once the client has read the one before."""

    def sendall(self, data):
        send_in_pieces(self.sock, data)


def send_in_pieces(sock, data):
    first, *others = (data[:1], data[1 : len(data) // 2], data[len(data) // 2 :])
    sock.sendall(first)
    for piece in filter(None, others):
        wait_until_read(sock)
        sock.sendall(piece)


def behaving(kind, serve):
    """Returns the server `serve` with connections of that kind."""

    class Listener(PeerSocket):
        def accept(self):
            conn, address = self.sock.accept()
            return kind(conn), address

    return lambda sock: serve(Listener(sock))


slowly = functools.partial(behaving, SlowSocket)
in_pieces = functools.partial(behaving, SocketInPieces)


def not_closing_before(ended, serve):
    """Returns the server `serve`, which closes its connections once `ended` is set."""

    class HeldSocket(PeerSocket):
        def __exit__(self, *_):
            ended.wait(harness.PATIENCE)
            self.sock.close()

    return behaving(HeldSocket, serve)


def closing_after(chunks, answer):
    """Returns a server that closes after it has answered that many chunks."""

    def serve(sock):
        conn, _ = sock.accept()
        with conn:
            for _ in range(chunks):
                conn.sendall(answer(conn.recv(textbook.BUFSIZ)))

    return serve


def closing_without_an_answer(sock):
    conn, _ = sock.accept()
    with conn:
        conn.recv(textbook.BUFSIZ)


def stamped(text):
    return re.sub(STAMP, "[] ", text)


class Clients(harness.TestCase):
    """Tests the output of our clients. `answer` returns the expected output for a line."""

    def check(self, program, serve, answer, inputs=INPUTS):
        for name, text in inputs.items():
            with self.subTest(name, program=program), Peer(serve) as peer:
                result = run(program, "127.0.0.1", peer.port, stdin=text)
                self.assert_succeeds(result)
                expected = [answer(line) for line in text.splitlines()]
                self.assertEqual(stamped(result.stdout).splitlines(), expected)

    def test_echo_client(self):
        self.check("echo_client", textbook.echo_server, str)
        self.check("echo_client", slowly(textbook.echo_server), str, {"slow": "one\ntwo\n"})

    def test_time_echo_client(self):
        self.check("time_echo_client", textbook.time_echo_server, lambda line: f"[] {line}")
        slow = slowly(textbook.time_echo_server)
        self.check("time_echo_client", slow, lambda line: f"[] {line}", {"slow": "one\ntwo\n"})

    def test_time_echo_client_beside_a_server_that_formats_a_text(self):
        serve = textbook.time_echo_server_of_text
        answer = lambda line: f"[] {line.encode()}"
        self.check("time_echo_client", serve, answer)
        self.check("time_echo_client", slowly(serve), answer, {"slow": "one\ntwo\n"})

    def test_time_echo_client_beside_a_server_that_answers_otherwise(self):
        greet = lambda data: b"at your service, since 2016: " + data.upper()
        serve = lambda sock: textbook.answer_chunks(sock, 1, greet)
        with Peer(serve) as peer:
            result = run("time_echo_client", "127.0.0.1", peer.port, stdin="one\ntwo\n")
        self.assert_succeeds(result)
        answers = [f"at your service, since 2016: {word}" for word in ("ONE", "TWO")]
        self.assertEqual(result.stdout.splitlines(), answers)

    def test_upper_client(self):
        self.check("upper_client", textbook.upper_server, str.upper)
        slow = {"slow": "one\ntwo\n" + "x" * 3000 + "\n"}
        self.check("upper_client", slowly(textbook.upper_server), str.upper, slow)

    def test_json_client(self):
        lines = {"values": '[1]\n{"a": "ü"}\n[]\n' + json.dumps(["x" * 5000]) + "\n", "empty": ""}
        for serve in (textbook.json_server, slowly(textbook.json_server)):
            for name, text in lines.items():
                with self.subTest(name), Peer(serve) as peer:
                    result = run("json_echo", "client", "127.0.0.1", peer.port, stdin=text)
                    self.assert_succeeds(result)
                    answers = list(map(json.loads, result.stdout.splitlines()))
                    self.assertEqual(answers, list(map(json.loads, text.splitlines())))

    def test_greeting_client(self):
        def pieces(sock):
            conn, _ = sock.accept()
            with conn:
                send_in_pieces(conn, b"Thank you for connecting")

        for serve in (textbook.greeting_server, pieces):
            with Peer(serve) as peer:
                result = run("greeting_client", "127.0.0.1", peer.port)
                self.assert_succeeds(result)
                self.assertEqual(result.stdout, "Thank you for connecting\n")

    def test_select_client(self):
        for serve in (textbook.select_server, self.select_server(0.4)):
            for name, text in INPUTS.items():
                with self.subTest(name), Peer(serve) as peer:
                    result = run("select_client", "127.0.0.1", peer.port, stdin=text)
                    self.assert_succeeds(result)
                    answers = [f"{line}response" for line in text.splitlines()]
                    self.assertEqual(result.stdout.splitlines(), ["hello", *answers])

    @staticmethod
    def select_server(delay):
        """Returns a slow server that does not close before its client has."""

        def serve(sock):
            conn, _ = sock.accept()
            with conn:
                time.sleep(delay)
                conn.send(b"hello")
                while data := conn.recv(textbook.BUFSIZ):
                    time.sleep(delay)
                    conn.sendall(data + b"response")

        return serve

    def test_select_client_ends_after_its_input_though_the_server_does_not_close(self):
        for text in ("", "one\ntwo\n"):
            ended = threading.Event()
            serve = not_closing_before(ended, self.select_server(0))
            with self.subTest(text), Peer(serve) as peer:
                result = run("select_client", "127.0.0.1", peer.port, stdin=text)
                ended.set()
                self.assert_succeeds(result)
                answers = [f"{line}response" for line in text.splitlines()]
                self.assertEqual(result.stdout.splitlines(), ["hello", *answers])

    # --- udp ---

    def test_udp_client(self):
        for name, text in INPUTS.items():
            lines = text.splitlines()
            serve = lambda sock: senders.extend(textbook.udp_server(sock, 2 * len(lines)))
            senders = []
            with self.subTest(name), Peer(serve, kind=socket.SOCK_DGRAM) as peer:
                result = run("udp_client", "127.0.0.1", peer.port, stdin=text)
            self.assert_succeeds(result)
            answers = [
                f"sendto: Hello {sender} from {peer.address}" if i % 2 == 0 else f"connected: Hello {sender}"
                for i, sender in enumerate(senders)
            ]
            self.assertEqual(result.stdout.splitlines(), answers)

    def test_udp_client_beside_a_server_that_answers_otherwise(self):
        for answer in (b"", "Grüße, привет".encode(), b"x" * 9000):

            def serve(sock):
                for _ in range(4):
                    sock.sendto(answer, sock.recvfrom(textbook.BUFSIZ)[1])

            with self.subTest(answer[:10]), Peer(serve, kind=socket.SOCK_DGRAM) as peer:
                result = run("udp_client", "127.0.0.1", peer.port, stdin="one\nlast")
            self.assert_succeeds(result)
            said = answer.decode()
            answers = [f"sendto: {said} from {peer.address}", f"connected: {said}"]
            self.assertEqual(result.stdout.splitlines(), answers * 2)

    def test_udp_client_beside_a_server_that_ends_without_answering(self):
        def serve(sock):
            sock.sendto(b"Hello", sock.recvfrom(textbook.BUFSIZ)[1])
            sock.recvfrom(textbook.BUFSIZ)
            sock.close()

        with Peer(serve, kind=socket.SOCK_DGRAM) as peer:
            result = run("udp_client", "127.0.0.1", peer.port, "--timeout", 1, stdin="one\ntwo\n")
            self.assert_fails(result, "no answer within", str(peer.address))
            self.assertEqual(result.stdout, f"sendto: Hello from {peer.address}\n")

    # --- command ---

    def check_commands(self, serve, text, *options):
        with Peer(serve) as peer:
            result = run("command_client", "127.0.0.1", peer.port, *options, stdin=text)
        self.assert_succeeds(result)
        answers = [textbook.command_answer(line).decode() for line in text.splitlines()]
        expected = [answer if answer.endswith("\n") else answer + "\n" for answer in answers]
        self.assertEqual(result.stdout, "".join(expected))

    def test_command_client(self):
        for name, text in COMMANDS.items():
            with self.subTest(name):
                self.check_commands(textbook.command_server, text)
        self.check_commands(slowly(textbook.command_server), "echo one\nprintf two\ntrue\n")

    def test_command_client_beside_a_server_that_answers_in_pieces(self):
        serve = in_pieces(textbook.command_server)
        self.check_commands(serve, "echo Grüße 日本語\nprintf 'two\nlines'", "--pause", 5)

    def test_command_client_ends_after_its_input_though_the_server_does_not_close(self):
        for text in ("", "echo one\ntrue\n"):
            ended = threading.Event()
            self.addCleanup(ended.set)
            with Peer(not_closing_before(ended, textbook.command_server)) as peer:
                result = run("command_client", "127.0.0.1", peer.port, stdin=text)
                ended.set()
            self.assert_succeeds(result)
            self.assertEqual(result.stdout, "one\nreturn null\n" if text else "")

    def test_command_client_beside_a_server_that_closes_after_its_answer(self):
        answer = lambda command: textbook.command_answer(command.decode())
        for text in ("echo one\n", "echo one"):
            self.check_commands(closing_after(1, answer), text)
        with Peer(closing_after(1, answer)) as peer:
            result = run("command_client", "127.0.0.1", peer.port, stdin="echo one\necho two\n")
            self.assert_fails(result, str(peer.address))
            self.assertEqual(result.stdout, "one\n")

    def test_command_client_beside_a_server_that_closes_without_answering(self):
        with Peer(closing_without_an_answer) as peer:
            result = run("command_client", "127.0.0.1", peer.port, stdin="echo one")
            self.assert_fails(result, str(peer.address), "has ended the conversation")
            self.assertEqual(result.stdout, "")


class ManagementClient(management.ManagementCase):
    """Tests the management client with a textbook server."""

    forms = ("plain",)

    def setUp(self):
        super().setUp()
        self.file = self.folder / "Grüße"
        self.file.write_bytes(management.pattern(3000))
        (self.root / "目录").mkdir()

    def check(self, serve, text, *answers, options=()):
        with Peer(serve) as peer:
            result = run("management_client", "127.0.0.1", peer.port, *options, stdin=text)
        self.assert_succeeds(result)
        self.assertEqual(result.stdout.splitlines(), [management.GREETING, *answers])

    def textbook_server(self):
        return TextbookServer(str(self.root))

    put = "Grüße: 3000 bytes, sent; this server does not tell what it has got"

    def test_management_client(self):
        lines = f"dir\ncd 目录\nput {self.file}\ndir"
        for behave in (lambda serve: serve, slowly):
            self.check(behave(self.textbook_server()), "")
            for text in (lines, lines + "\n"):
                serve = behave(self.textbook_server())
                self.check(serve, text, "目录", "目录成功", self.put, "Grüße")
                self.assertEqual(self.tree(), {"目录": None, "目录/Grüße": self.file.read_bytes()})
                (self.root / "目录" / "Grüße").unlink()

    def test_management_client_beside_a_server_that_answers_in_pieces(self):
        serve = in_pieces(self.textbook_server())
        text = f"cd 目录\nput {self.file}\ndir"
        self.check(serve, text, "目录成功", self.put, "Grüße", options=("--pause", 5))

    def test_management_client_ends_after_its_input_though_the_server_does_not_close(self):
        for text, answers in (("", []), ("dir\n", ["目录"]), (f"put {self.file}", [self.put])):
            ended = threading.Event()
            self.addCleanup(ended.set)
            serve = not_closing_before(ended, self.textbook_server())
            with self.subTest(text), Peer(serve) as peer:
                result = run("management_client", "127.0.0.1", peer.port, stdin=text)
                ended.set()
            self.assert_succeeds(result)
            self.assertEqual(result.stdout.splitlines(), [management.GREETING, *answers])

    def test_management_client_prints_names_that_look_like_an_answer(self):
        for name in ("{a", "{}", '{"status": "x"}', '{"status": 200}'):
            with self.subTest(name):
                (self.root / name).touch()
                self.check(self.textbook_server(), "dir\ncd 目录", *sorted([name, "目录"]), "目录成功")
                (self.root / name).unlink()

    def closing_after_a_put(self, sock):
        """A server that receives one file of 3000 bytes and closes."""
        conn, _ = sock.accept()
        with conn:
            conn.sendall(management.GREETING.encode())
            conn.recv(textbook.BUFSIZ)
            conn.sendall(b'{"status": 200}')
            textbook.receive_exactly(conn, 3000)

    def test_management_client_beside_a_server_that_closes_after_a_put(self):
        self.check(self.closing_after_a_put, f"put {self.file}", self.put)
        with Peer(self.closing_after_a_put) as peer:
            text = f"put {self.file}\ndir\n"
            result = run("management_client", "127.0.0.1", peer.port, stdin=text)
            self.assert_fails(result, str(peer.address))
            self.assertEqual(result.stdout.splitlines(), [management.GREETING, self.put])

    def test_management_client_beside_a_server_that_closes_without_answering(self):
        def closes_after_its_greeting(sock):
            conn, _ = sock.accept()
            with conn:
                conn.sendall(management.GREETING.encode())
                conn.recv(textbook.BUFSIZ)

        with Peer(lambda sock: sock.accept()[0].close()) as peer:
            result = run("management_client", "127.0.0.1", peer.port, stdin="dir")
            self.assert_fails(result, str(peer.address))
        for text in ("dir", "cd x\ndir\n", f"put {self.file}"):
            with self.subTest(text), Peer(closes_after_its_greeting) as peer:
                result = run("management_client", "127.0.0.1", peer.port, stdin=text)
                self.assert_fails(result, str(peer.address))
                self.assertEqual(result.stdout.splitlines(), [management.GREETING])


class Servers(harness.TestCase):
    """Tests the answers of our servers to textbook clients."""

    def check(self, program, ask, answer, *options, inputs=INPUTS):
        with Server(program, "127.0.0.1", 0, *options) as server:
            for name, text in inputs.items():
                with self.subTest(name, program=program, options=options):
                    lines = [line.encode() for line in text.splitlines()]
                    answers = [stamped(each.decode()) for each in ask(server.address, lines)]
                    self.assertEqual(answers, [answer(line) for line in text.splitlines()])

    def test_echo_server(self):
        for form in harness.FORMS:
            options = () if form == "plain" else (f"--server={form}",)
            self.check("echo_server", textbook.echo_client, str, *options)

    def test_time_echo_server(self):
        for form in harness.FORMS:
            options = () if form == "plain" else (f"--server={form}",)
            inputs = INPUTS | {"long": "x" * 900 + "\nshort\n"}
            self.check("time_echo_server", textbook.time_echo_client, lambda line: f"[] {line}", *options,
                       inputs=inputs)  # fmt: skip

    def test_upper_server(self):
        self.check("upper_server", textbook.upper_client, str.upper)

    def test_select_server(self):
        def ask(address, messages):
            return textbook.select_client(address, messages)[1:]

        self.check("select_server", ask, lambda line: f"{line}response")

    def test_json_server(self):
        with Server("json_echo", "server", "127.0.0.1", 0) as server:
            for values in ([], [[1], {"a": "ü"}, []], [["x" * 5000]]):
                self.assertEqual(textbook.json_client(server.address, values), values)

    def test_greeting_server_beside_a_client_that_reads_late(self):
        with Server("greeting_server", "127.0.0.1", 0) as server, server.connect() as sock:
            server.line_with(": left")
            self.assertEqual(sock.recv(1024), b"Thank you for connecting")
            self.assertEqual(sock.recv(1024), b"")

    def test_udp_server(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            for text in ("one", "Grüße", "x" * 9000, ""):
                answers, address = textbook.udp_client(server.address, [text.encode()])
                self.assertEqual(answers, [f"Hello {address}".encode()])

    def test_one_request_server(self):
        for text in ("one", "Grüße", "x" * 900):
            with Server("one_request_server", "127.0.0.1", 0) as server:
                self.assertEqual(textbook.echo_client(server.address, [text.encode()]), [text.encode()])

    def test_servers_survive_a_client_that_says_nothing_and_ends(self):
        for program in ("echo_server", "time_echo_server", "upper_server", "select_server"):
            with self.subTest(program), Server(program, "127.0.0.1", 0) as server:
                with server.connect() as sock:
                    sock.shutdown(socket.SHUT_WR)
                    said = b"".join(iter(lambda: sock.recv(1024), b""))
                    self.assertEqual(said, b"hello" if program == "select_server" else b"")
                self.assertEqual(server.stop(), 0)

    # --- command ---

    def test_command_server(self):
        with Server("command_server", "127.0.0.1", 0) as server:
            for name, text in COMMANDS.items():
                with self.subTest(name):
                    commands = text.splitlines()
                    answers = textbook.command_client(server.address, commands)
                    expected = [textbook.command_answer(each).decode() for each in commands]
                    self.assertEqual(answers, expected)

    def test_command_server_runs_lines_that_come_at_once(self):
        commands = ["echo one\necho two\n", "cat\necho Grüße", "printf last"]
        with Server("command_server", "127.0.0.1", 0) as server:
            answers = textbook.command_client(server.address, commands)
        self.assertEqual(answers, ["one\ntwo\n", "Grüße\n", "last"])

    def test_command_server_answers_in_full_a_client_that_has_ended_its_input(self):
        with Server("command_server", "127.0.0.1", 0) as server, server.connect() as sock:
            sock.sendall(b"seq 100000")
            sock.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: sock.recv(textbook.BUFSIZ), b""))
        self.assertEqual(answer, textbook.command_answer("seq 100000"))

    def test_command_server_survives_a_client_that_does_not_read_its_answer(self):
        with Server("command_server", "127.0.0.1", 0) as server:
            for end in (socket.socket.close, harness.reset):
                with server.connect() as sock:
                    sock.sendall(b"seq 1000000")
                    server.line_with("seq 1000000")
                    end(sock)
            self.assertEqual(textbook.command_client(server.address, ["echo one"]), ["one\n"])

    # --- polling_accept ---

    def polling_accept(self):
        return Server("polling_accept", "127.0.0.1", 0, "--interval", 0.02, "--tries", 1500)

    def check_polling_accept(self, converse):
        """Checks that both clients get their greeting while `converse` uses their sockets."""
        with self.polling_accept() as server:
            for how in (b"accepted by polling, at try", b"accepted by waiting, with one call\n"):
                with server.connect() as sock:
                    self.assertIn(how, converse(server, sock))
            self.assertEqual(server.wait(), 0)
            self.assertEqual(server.rest("stderr"), [])

    def test_polling_accept(self):
        with self.polling_accept() as server:
            for how in (b"polling", b"waiting"):
                (answer,) = textbook.greeting_client(server.address)
                self.assertIn(b"accepted by " + how, answer)
            self.assertEqual(server.wait(), 0)

    def test_polling_accept_beside_clients_that_read_late(self):
        def converse(server, sock):
            server.line_with(": left")
            return b"".join(iter(lambda: sock.recv(textbook.BUFSIZ), b""))

        self.check_polling_accept(converse)

    def test_polling_accept_beside_clients_that_have_typed_something(self):
        def converse(server, sock):
            sock.sendall("Grüße\ntwo\nlast".encode())
            return sock.recv(textbook.BUFSIZ)

        self.check_polling_accept(converse)

    def test_polling_accept_beside_clients_that_have_ended_their_input(self):
        def converse(server, sock):
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(textbook.BUFSIZ), b""))

        self.check_polling_accept(converse)

    def test_polling_accept_beside_two_clients_at_once(self):
        with self.polling_accept() as server, server.connect() as first, server.connect() as second:
            self.assertIn(b"accepted by polling", first.recv(textbook.BUFSIZ))
            self.assertIn(b"accepted by waiting", second.recv(textbook.BUFSIZ))
            self.assertEqual(server.wait(), 0)

    def test_polling_accept_beside_a_client_that_is_gone_at_once(self):
        for end in (socket.socket.close, harness.reset):
            with self.subTest(end), self.polling_accept() as server:
                end(server.connect())
                server.line_with("accepted by polling")
                self.assertIn(b"accepted by waiting", textbook.greeting_client(server.address)[0])
                self.assertEqual(server.wait(), 0)


class ManagementServer(management.ManagementCase):
    """Tests the management server with a textbook client."""

    forms = harness.FORMS

    def test_management_server(self):
        (self.root / "目录").mkdir()
        data = management.pattern(3000)
        with self.server() as server:
            for ending in ("", "\n"):
                with self.session(server) as session:
                    self.assertEqual(session.greeting.splitlines()[0], management.GREETING)
                    self.assertEqual(session.ask("cd 目录" + ending), "目录成功")
                    self.assertEqual(session.put("Grüße", data), {"status": 200})
                    self.assert_in_step(session)
                    self.assertEqual(session.ask("dir" + ending), f"./目录:\n{3000:15}  Grüße\n")
                self.assertEqual(self.tree(), {"目录": None, "目录/Grüße": data})

    def test_management_server_beside_a_client_that_sends_in_pieces(self):
        data = management.pattern(3000)
        header = json.dumps({"action": "put", "filename": "Grüße", "file_size": len(data)})
        with self.server() as server, self.session(server) as session:
            send_in_pieces(session.sock, header.encode())
            self.assertEqual(session.answer(), {"status": 200})
            send_in_pieces(session.sock, data)
            self.assert_in_step(session)
        self.assertEqual(self.tree(), {"Grüße": data})

    def test_management_server_answers_a_client_that_has_ended_its_input(self):
        with self.server() as server, self.session(server) as session:
            session.sock.sendall(b"dir")
            session.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(session.sock.recv(textbook.BUFSIZ), b".:\n")
            self.assertEqual(session.sock.recv(textbook.BUFSIZ), b"")

    def test_management_server_survives_a_client_that_does_not_read_its_answer(self):
        with self.server() as server:
            for end in (socket.socket.close, harness.reset):
                with self.session(server) as session:
                    session.sock.sendall(b"dir")
                    end(session.sock)
            with self.session(server) as session:
                self.assert_in_step(session)


class MailServer(mail.MailCase):
    """Tests the mail server with a textbook client; plug has none."""

    message = "Subject: Grüße\r\n\r\nпривет\r\nlast"
    #: The codes of the answers to HELO, MAIL, RCPT, DATA and the message, after the greeting.
    codes = [220, 250, 250, 250, 354, 250]

    def codes_until_the_end(self, sock):
        answers = b"".join(iter(lambda: sock.recv(textbook.BUFSIZ), b""))
        return [int(line[:3]) for line in answers.splitlines()]

    def conversation(self):
        commands = "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
        return (commands + self.message + "\r\n.\r\n").encode()

    def test_mail_server(self):
        for name, text in (INPUTS | {"long": "x" * 998 + "\nshort\n"}).items():
            message = text.replace("\n", "\r\n").encode()
            with self.subTest(name), self.server() as server:
                answers = textbook.mail_client(server.address, [message, message])
                self.assertEqual(answers, [*self.codes, *self.codes[2:], 221])
                self.assertEqual(self.messages(), [message + b"\r\n"] * 2)
                for file in self.inbox.iterdir():
                    file.unlink()

    def test_mail_server_takes_commands_that_come_at_once(self):
        for end, codes in ((b"", []), (b"QUIT\r\n", [221]), (b"NOOP", [])):
            with self.subTest(end), self.server() as server, server.connect() as sock:
                sock.sendall(self.conversation() + end)
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(self.codes_until_the_end(sock), self.codes + codes)
        self.assertEqual(self.messages(), [(self.message + "\r\n").encode()] * 3)

    def test_mail_server_takes_commands_in_pieces(self):
        with self.server() as server, server.connect() as sock:
            send_in_pieces(sock, self.conversation())
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(self.codes_until_the_end(sock), self.codes)
        self.assertEqual(self.messages(), [(self.message + "\r\n").encode()])

    def test_mail_server_takes_commands_that_end_with_a_bare_newline(self):
        with self.server() as server, server.connect() as sock:
            sock.sendall("HELO c\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nRCPT TO:<Grüße>\nQUIT\n".encode())
            self.assertEqual(self.codes_until_the_end(sock), [220, 250, 250, 250, 501, 221])

    def test_mail_server_survives_a_client_that_does_not_read_its_answers(self):
        with self.server() as server:
            for end in (socket.socket.close, harness.reset):
                with server.connect() as sock:
                    sock.sendall(b"HELO c\r\n" * 1000)
                    end(sock)
            answers = textbook.mail_client(server.address, [b"one"])
            self.assertEqual(answers, [*self.codes, 221])
