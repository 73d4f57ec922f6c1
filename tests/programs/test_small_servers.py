"""Tests the small servers: their answers, and the rules that all servers follow."""

import json
import os
import re
import select
import signal
import socket
import time
import unicodedata
import unittest

import harness
import textbook
from harness import CONCURRENT, HOSTS, Server


class ServerRules:
    """The rules for every stream server. `program` names it, and `exchange` talks to it."""

    program = ()
    #: Whether the server waits for data from its client.
    converses = False

    def start(self, host="127.0.0.1", *options):
        return Server(*self.program, host, 0, *options)

    @property
    def concurrent(self):
        """Whether the server serves several clients at once."""
        return False

    def exchange(self, sock):
        """Talks to the server over a connected socket and checks the answer."""
        raise NotImplementedError

    def end(self, sock):
        """Ends the client's part and checks that the server ends its own."""
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(sock.recv(1), b"")

    def converse(self, server):
        with server.connect() as sock:
            self.exchange(sock)
            if self.converses:
                self.end(sock)

    def test_serves_a_textbook_client_over_ipv4_and_ipv6(self):
        for host in HOSTS:
            with self.subTest(host=host), self.start(host) as server:
                self.converse(server)

    def test_says_first_where_it_listens_as_python_prints_it(self):
        for host in HOSTS:
            with self.subTest(host=host), self.start(host) as server:
                with server.connect() as sock:
                    self.assertEqual(server.announcement, f"listening on {sock.getpeername()}")

    def test_listens_where_a_name_or_nothing_says(self):
        for host in ("localhost", ""):
            with self.subTest(host=host), self.start(host) as server:
                with harness.connect(("127.0.0.1", server.port)) as sock:
                    self.exchange(sock)

    def test_serves_one_client_after_another_and_says_who_came_and_went(self):
        with self.start() as server:
            for _ in range(2):
                with server.connect() as sock:
                    name = str(sock.getsockname())
                    self.assertEqual(server.line(), f"{name}: connected")
                    self.exchange(sock)
                self.assertEqual(server.line_with(": left"), f"{name}: left")

    def test_ends_with_status_0_on_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.start() as server:
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest(), [])
                self.assertEqual(server.rest("stderr"), [])

    def test_ends_with_status_0_on_a_signal_while_a_client_is_idle(self):
        if harness.holds_signals_back(self.program[0]):
            self.skipTest("the thread sanitizer holds signals back")
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.start() as server, server.connect() as sock:
                self.exchange(sock)
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])
                self.assertEqual(sock.recv(1), b"")

    def test_once_ends_with_status_0_after_one_client(self):
        with self.start("127.0.0.1", "--once") as server:
            self.converse(server)
            self.assertEqual(server.wait(), 0)

    def test_goes_on_after_a_client_that_resets(self):
        with self.start() as server:
            sock = server.connect()
            name = str(sock.getsockname())
            self.exchange(sock)
            harness.reset(sock)
            end = server.line_with("Connection reset by peer" if self.converses else "left")
            self.assertTrue(end.startswith(f"{name}: "), end)
            self.converse(server)

    def test_twenty_clients_leave_no_descriptor_behind(self):
        with self.start() as server:
            self.converse(server)
            server.line_with(": left")
            before = server.open_files()
            for i in range(20):
                sock = server.connect()
                self.exchange(sock)
                harness.reset(sock) if i % 2 else sock.close()
                server.line_with("left" if i % 2 == 0 or not self.converses else "reset")
            self.assertEqual(server.left_open(before), [])

    def test_a_port_in_use_is_one_line_that_names_the_address(self):
        for host in HOSTS:
            with self.subTest(host=host), self.start(host) as server:
                result = harness.run(*self.program, host, server.port)
                self.assert_fails(result, "Address already in use", str(server.address))

    def test_an_unknown_host_is_one_line_that_names_it(self):
        result = harness.run(*self.program, "no.such.host.invalid", 0)
        self.assert_fails(result, "Name or service not known", "no.such.host.invalid")

    def test_an_address_of_another_machine_is_one_line_that_names_it(self):
        result = harness.run(*self.program, "192.0.2.1", 0)
        self.assert_fails(result, "Cannot assign requested address", "('192.0.2.1', 0)")

    def test_a_bad_port_is_one_line_that_names_it(self):
        for port in (65536, -1, 2**64, "http", "80x"):
            with self.subTest(port=port):
                result = harness.run(*self.program, "127.0.0.1", port)
                self.assert_fails(result, "PORT", str(port))

    def test_arguments_that_are_missing_or_too_many_are_one_line(self):
        self.assert_fails(harness.run(*self.program), "required")
        self.assert_fails(harness.run(*self.program, "127.0.0.1", 0, "more"), "more")


class ConversationRules(ServerRules):
    """The rules for every server that waits for data from its client."""

    converses = True

    def test_a_second_client_waits_for_the_first(self):
        if self.concurrent:
            return
        with self.start() as server, server.connect() as first:
            self.exchange(first)
            with server.connect() as second:
                self.exchange(first)
                first.close()
                self.exchange(second)

    def test_goes_on_after_a_client_that_resets_before_it_is_accepted(self):
        with self.start() as server, server.connect() as first:
            self.exchange(first)
            harness.reset(server.connect())
            first.close()
            self.converse(server)

    def test_a_signal_ends_it_while_clients_are_idle_and_others_wait(self):
        if harness.holds_signals_back(self.program[0]):
            self.skipTest("the thread sanitizer holds signals back")
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.start() as server:
                clients = [server.connect() for _ in range(3)]
                for sock in clients if self.concurrent else clients[:1]:
                    self.exchange(sock)
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])
                for sock in clients:
                    sock.close()


class ServerForms:
    """The rules for servers with a choice of forms; combined with ServerRules and EachForm."""

    def start(self, host="127.0.0.1", *options):
        return Server(*self.program, host, 0, *self.form_options(), *options)

    @property
    def concurrent(self):
        return self.form in CONCURRENT

    def test_a_form_that_is_none_is_one_line_that_names_it(self):
        result = harness.run(*self.program, "127.0.0.1", 0, "--server=fast")
        self.assert_fails(result, "--server", "fast")


class ConversationForms(ServerForms):
    """The same for servers that wait for data from clients; combined with ConversationRules."""

    def test_slow_clients_hold_up_nobody_in_the_concurrent_forms(self):
        if not self.concurrent:
            return
        with self.start() as server:
            slow = [server.connect() for _ in range(8)]
            for sock in slow:
                self.exchange(sock)
            self.converse(server)
            for sock in slow:
                self.exchange(sock)
                self.end(sock)
                sock.close()

    @unittest.skipIf("PLUG_SIGNALS_ARE_HELD_BACK" in os.environ, "no handler runs in recv()")
    def test_once_waits_for_its_client_and_a_signal_ends_that(self):
        with self.start("127.0.0.1", "--once") as server, server.connect() as sock:
            self.exchange(sock)
            self.exchange(sock)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(sock.recv(1), b"")

    def test_drain_lets_clients_go_on_after_a_signal(self):
        if self.form == "plain":
            return
        with self.start("127.0.0.1", "--drain=60") as server:
            clients = [server.connect() for _ in range(3 if self.concurrent else 1)]
            for sock in clients:
                self.exchange(sock)
            server.process.send_signal(signal.SIGTERM)
            self.wait_until_refused(server)
            for sock in clients:
                self.exchange(sock)
                self.end(sock)
                sock.close()
            self.assertEqual(server.wait(), 0)

    def wait_until_refused(self, server):
        if not self.concurrent:
            return  # the one that handles the client listens on meanwhile
        deadline = time.monotonic() + harness.PATIENCE
        while time.monotonic() < deadline:
            try:
                server.connect().close()
            except ConnectionError:
                return
        self.fail("it still takes clients")

    def test_talks_to_our_client(self):
        with self.start() as server:
            client = self.program[0].replace("server", "client")
            result = harness.run(client, "127.0.0.1", server.port, stdin=b"one\ntwo words\n")
            self.assert_succeeds(result)
            self.assertRegex(result.stdout, r"\A(\[.{24}\] )?one\n(\[.{24}\] )?two words\n\Z")


class TimeEchoServer(ConversationForms, ConversationRules, harness.EachForm):
    program = ("time_echo_server",)

    def check(self, answer, data, since):
        found = re.fullmatch(rb"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\] (.*)", answer, re.S)
        self.assertIsNotNone(found, answer)
        self.assertEqual(found[2], data)
        stamp = time.mktime(time.strptime(found[1].decode()))
        self.assertEqual(time.ctime(stamp).encode(), found[1])
        # The clock of whole seconds lags behind the fine one by a tick.
        self.assertTrue(int(since - 0.1) <= stamp <= time.time(), answer)

    def exchange(self, sock):
        since = time.time()
        sock.send(b"data")
        self.check(sock.recv(1024), b"data", since)

    def test_answers_each_chunk_of_a_textbook_client(self):
        since = time.time()
        chunks = [b"one", "grün".encode(), b"\x00\xff", b"x" * 900]
        with self.start() as server:
            for answer, data in zip(textbook.time_echo_client(server.address, chunks), chunks):
                self.check(answer, data, since)


class EchoServer(ConversationForms, ConversationRules, harness.EachForm):
    program = ("echo_server",)

    def exchange(self, sock):
        sock.send(b"hello")
        self.assertEqual(sock.recv(1024), b"hello")

    def test_sends_back_the_same_bytes(self):
        chunks = [b"one", bytes(range(256)), "汉字".encode(), b"\n\n"]
        with self.start() as server:
            self.assertEqual(textbook.echo_client(server.address, chunks), chunks)

    def test_prints_what_comes_as_one_line_an_event(self):
        with self.start() as server:
            sent = "line one\nline two\r\x1b[2J\t\u2028 汉字".encode() + b"\xff"
            textbook.echo_client(server.address, [sent])
            server.line_with("connected")
            text = r"line one\nline two\r\x1b[2J\t\xe2\x80\xa8 汉字\xff"
            self.assertEqual(server.line().split(": ", 1)[1], text)
            self.assertIn(": left", server.line())

    def test_a_signal_ends_it_while_a_client_does_not_read(self):
        with self.start() as server, server.connect() as sock:
            sock.setblocking(False)
            # Sends until the server has stopped reading, because it blocks in sending.
            while select.select([], [sock], [], 0.3)[1]:
                try:
                    sock.send(b"x" * 65536)
                except BlockingIOError:
                    pass
            self.assertEqual(server.stop(), 0)


class UpperServer(ConversationRules, harness.TestCase):
    program = ("upper_server",)

    def exchange(self, sock):
        sock.send("größe".encode())
        self.assertEqual(sock.recv(1024), b"GR\xc3\x96SSE")

    def upper(self, data):
        """Returns the server's answer to `data` followed by the end of the stream."""
        with self.start() as server, server.connect() as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            return answer

    def test_letters_of_three_scripts_become_what_python_makes_of_them(self):
        ranges = [(0x20, 0x250), (0x370, 0x530), (0x1E00, 0x1F00)]
        text = "".join(
            chr(code)
            for first, last in ranges
            for code in range(first, last)
            if unicodedata.category(chr(code)) != "Cn"
        )
        self.assertEqual(self.upper(text.encode()).decode(), text.upper())

    def test_ligatures_become_the_letters_that_python_makes_of_them(self):
        text = "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ և ﬓ ﬔ ﬕ ﬖ ﬗ"
        self.assertEqual(self.upper(text.encode()).decode(), text.upper())

    def test_a_character_cut_by_chunks_is_kept_whole(self):
        for character in ("ä", "ẽ", "𐐨"):
            with self.subTest(character), self.start() as server, server.connect() as sock:
                server.line()
                data = character.encode()
                for i in range(len(data) - 1):
                    sock.send(data[i : i + 1])
                    self.assertTrue(server.line().endswith(rf": \x{data[i]:02x}"))
                sock.send(data[-1:] + b"b")
                self.assertEqual(sock.recv(1024).decode(), character.upper() + "B")

    def test_bytes_that_are_not_utf_8_come_back_as_they_are(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82("):
            with self.subTest(bad):
                self.assertEqual(self.upper(b"a" + bad + b"b"), b"A" + bad + b"B")

    def test_half_a_character_at_the_end_comes_back_as_it_is(self):
        self.assertEqual(self.upper("aä".encode()[:-1]), b"A\xc3")

    def test_exit_ends_the_conversation_but_not_the_server(self):
        with self.start() as server:
            for word in (b"exit", b"exit\n", b"exit\r\n"):
                with server.connect() as sock:
                    self.exchange(sock)
                    sock.send(word)
                    self.assertEqual(sock.recv(1024), b"")

    def test_exit_inside_a_text_is_text(self):
        with self.start() as server:
            answers = textbook.upper_client(server.address, [b"exit now", b"exits", b"Exit"])
            self.assertEqual(answers, [b"EXIT NOW", b"EXITS", b"EXIT"])


class GreetingServer(ServerForms, ServerRules, harness.EachForm):
    program = ("greeting_server",)

    def exchange(self, sock):
        self.assertEqual(sock.recv(1024), b"Thank you for connecting")
        self.assertEqual(sock.recv(1024), b"")

    def test_talks_to_our_client(self):
        with self.start() as server:
            result = harness.run("greeting_client", "127.0.0.1", server.port)
            self.assert_succeeds(result)
            self.assertEqual(result.stdout, "Thank you for connecting\n")


class JsonServer(ConversationRules, harness.TestCase):
    program = ("json_echo", "server")

    def exchange(self, sock):
        sock.sendall(textbook.frame(b'{"a": [1, 2]}'))
        self.assertEqual(json.loads(textbook.receive_frame(sock)), {"a": [1, 2]})

    def assert_refuses(self, sock, message, *parts):
        """Checks that the message gets an error, and that the conversation continues."""
        sock.sendall(textbook.frame(message))
        answer = json.loads(textbook.receive_frame(sock))
        self.assertEqual(list(answer), ["error"])
        for part in parts:
            self.assertIn(part, answer["error"])
        self.exchange(sock)

    def test_lists_and_dictionaries_come_back(self):
        values = [
            [],
            {},
            [1, -2.5, "drei", None, True, [[]]],
            {"ключ": {"값": ["\u0000", "\n", "😀"]}, "b": 2**53, "a": -(2**63)},
            list(range(20000)),
            {str(i): [i] for i in range(2000)},
        ]
        with self.start() as server:
            self.assertEqual(textbook.json_client(server.address, values), values)

    def test_messages_that_arrive_as_one_are_answered_one_by_one(self):
        with self.start() as server, server.connect() as sock:
            sock.sendall(b"".join(textbook.frame(b"[%d]" % i) for i in range(50)))
            self.assertEqual([textbook.receive_frame(sock) for _ in range(50)],
                             [b"[%d]" % i for i in range(50)])

    def test_a_message_that_arrives_byte_by_byte_is_answered_once(self):
        with self.start() as server, server.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in textbook.frame(b'["slow"]'):
                sock.send(bytes([byte]))
            self.assertEqual(textbook.receive_frame(sock), b'["slow"]')

    def test_bad_json_gets_an_error_and_the_conversation_goes_on(self):
        bad = [b"", b"{", b"[1,]", b"nonsense", b'{"a" 1}', b'"\xff"', b"[1] [2]", b"1e999", b"NaN"]
        with self.start() as server, server.connect() as sock:
            for message in bad:
                with self.subTest(message):
                    self.assert_refuses(sock, message)

    def test_a_value_too_deep_gets_an_error_and_the_conversation_goes_on(self):
        with self.start() as server, server.connect() as sock:
            for message in (b"[" * 500_000, b'{"a":' * 100_000, b"[" * 101 + b"]" * 101):
                self.assert_refuses(sock, message, "deeper than 100")

    def test_a_message_too_long_gets_an_error_and_the_conversation_goes_on(self):
        with self.start() as server, server.connect() as sock:
            self.assert_refuses(sock, b"[" + b" " * 2**20 + b"]", str(2**20 + 2), str(2**20))

    def test_a_length_of_a_gibibyte_harms_nobody(self):
        with self.start() as server:
            with server.connect() as sock:
                sock.sendall(b"\x40\x00\x00\x00" + b"[1]")
            server.line_with("connected")
            self.converse(server)

    def test_half_a_message_ends_its_conversation_alone(self):
        with self.start() as server:
            for half in (b"\x00", b"\x00\x00\x00\x05[1"):
                with server.connect() as sock:
                    sock.sendall(half)
                    name = str(sock.getsockname())
                self.assertEqual(server.line(), f"{name}: connected")
                end = server.line()
                self.assertTrue(end.startswith(f"{name}: ") and not end.endswith("left"), end)
            self.converse(server)


class UdpServer(harness.TestCase):
    def test_says_hello_with_the_address_that_python_prints(self):
        for host in HOSTS:
            with self.subTest(host=host), Server("udp_server", host, 0) as server:
                answers, name = textbook.udp_client(server.address, [b"one", b"two", b""])
                self.assertEqual(answers, [f"Hello {name}".encode()] * 3)
                for data in ("one", "two", ""):
                    self.assertEqual(server.line(), f"{name}: {data}")

    def test_says_first_where_it_listens_as_python_prints_it(self):
        with Server("udp_server", "::1", 0) as server:
            self.assertEqual(server.announcement, f"listening on ('::1', {server.port}, 0, 0)")

    def test_takes_the_largest_datagram(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            answers, name = textbook.udp_client(server.address, [b"x" * 65507])
            self.assertEqual(answers, [f"Hello {name}".encode()])

    def test_goes_on_after_a_sender_that_has_gone(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            for _ in range(3):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"gone", server.address)
                server.line()
            self.assertTrue(textbook.udp_client(server.address, [b"here"])[0])

    def test_ends_with_status_0_on_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), Server("udp_server", "127.0.0.1", 0) as server:
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])

    def test_once_ends_with_status_0_after_one_datagram(self):
        with Server("udp_server", "127.0.0.1", 0, "--once") as server:
            textbook.udp_client(server.address, [b"one"])
            self.assertEqual(server.wait(), 0)

    def test_bad_addresses_are_one_line_that_names_them(self):
        with Server("udp_server", "127.0.0.1", 0) as server:
            result = harness.run("udp_server", "127.0.0.1", server.port)
            self.assert_fails(result, "Address already in use", str(server.address))
        self.assert_fails(harness.run("udp_server", "127.0.0.1", 65536), "65536")
        self.assert_fails(harness.run("udp_server", "no.such.host.invalid", 0), "no.such.host")


class OneRequestServer(harness.TestCase):
    def start(self, host="127.0.0.1"):
        return Server("one_request_server", host, 0)

    def test_serves_one_textbook_client_and_ends(self):
        chunks = [b"one", bytes(range(256)), "汉字".encode(), b"\n\n"]
        for host in HOSTS:
            with self.subTest(host=host), self.start(host) as server:
                self.assertEqual(textbook.echo_client(server.address, chunks), chunks)
                self.assertEqual(server.wait(), 0)
                self.assertIn("connected", server.line())
                self.assertIn("left", server.rest()[-1])

    def test_talks_to_our_client(self):
        with self.start() as server:
            result = harness.run("echo_client", "127.0.0.1", server.port, stdin=b"one\ntwo\n")
            self.assert_succeeds(result)
            self.assertEqual(result.stdout, "one\ntwo\n")
            self.assertEqual(server.wait(), 0)

    def test_a_second_client_is_not_served(self):
        with self.start() as server, server.connect() as first:
            first.send(b"one")
            self.assertEqual(first.recv(100), b"one")
            with self.assertRaises(ConnectionError), server.connect() as second:
                second.recv(1)
            first.send(b"two")
            self.assertEqual(first.recv(100), b"two")
            first.close()
            self.assertEqual(server.wait(), 0)

    def test_a_client_that_resets_is_its_only_one(self):
        with self.start() as server:
            sock = server.connect()
            sock.send(b"one")
            self.assertEqual(sock.recv(100), b"one")
            harness.reset(sock)
            server.line_with("Connection reset by peer")
            self.assertEqual(server.wait(), 0)

    def test_a_signal_ends_it_with_status_0_before_its_client_and_during(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), self.start() as server:
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(server.rest("stderr"), [])
            with self.subTest(number), self.start() as server, server.connect() as sock:
                sock.send(b"one")
                self.assertEqual(sock.recv(100), b"one")
                self.assertEqual(server.stop(number), 0)
                self.assertEqual(sock.recv(1), b"")

    def test_what_is_wrong_at_the_start_is_one_line_that_names_it(self):
        with self.start() as server:
            result = harness.run("one_request_server", "127.0.0.1", server.port)
            self.assert_fails(result, "Address already in use", str(server.address))
        self.assert_fails(harness.run("one_request_server", "127.0.0.1", 65536), "65536")
        self.assert_fails(harness.run("one_request_server", "no.such.host.invalid", 0), "no.such")
