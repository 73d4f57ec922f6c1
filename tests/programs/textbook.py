"""The peer of each example program, as a textbook writes it.

A server takes a socket that is bound (and listens), and serves that many clients, one after
another. A client takes an address and messages and returns the answers.
"""

import json
import select
import socket
import struct
import subprocess
from time import ctime

from harness import PATIENCE, connect

BUFSIZ = 1024


def _each_client(sock, clients, converse):
    for _ in range(clients):
        conn, _ = sock.accept()
        with conn:
            converse(conn)


def answer_chunks(sock, clients, answer):
    def converse(conn):
        while data := conn.recv(BUFSIZ):
            conn.sendall(answer(data))

    _each_client(sock, clients, converse)


def _ask(address, messages):
    with connect(address) as sock:
        answers = []
        for message in messages:
            sock.send(message)
            answers.append(sock.recv(BUFSIZ))
        return answers


# --- time_echo, echo ---


def time_echo_server(sock, clients=1):
    answer_chunks(sock, clients, lambda data: b"[%s] %s" % (ctime().encode(), data))


def time_echo_server_of_text(sock, clients=1):
    """Formats a text, as a server in Python 3 may do: "[...] b'data'"."""
    answer_chunks(sock, clients, lambda data: bytes("[%s] %s" % (ctime(), data), "utf-8"))


def echo_server(sock, clients=1):
    answer_chunks(sock, clients, lambda data: data)


time_echo_client = echo_client = _ask


# --- select ---


def select_server(sock, clients=1):
    watched, left = [sock], clients
    while left:
        for ready in select.select(watched, [], [])[0]:
            if ready is sock:
                conn, _ = sock.accept()
                conn.send(b"hello")
                watched.append(conn)
            elif data := ready.recv(BUFSIZ):
                ready.sendall(data + b"response")
            else:
                watched.remove(ready)
                ready.close()
                left -= 1


def select_client(address, messages):
    with connect(address) as sock:
        answers = [receive_exactly(sock, len(b"hello"))]
        for message in messages:
            sock.send(message)
            answers.append(receive_exactly(sock, len(message + b"response")))
        return answers


# --- udp ---


def udp_server(sock, datagrams=2):
    """Returns the senders."""
    senders = []
    for _ in range(datagrams):
        data, address = sock.recvfrom(BUFSIZ)
        senders.append(address)
        sock.sendto(f"Hello {address}".encode(), address)
    return senders


def udp_client(address, messages):
    """Returns the answers, and the address that they should name."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                       socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        answers = []
        for message in messages:
            sock.sendto(message, address)
            answers.append(sock.recvfrom(BUFSIZ)[0])
        # The socket is bound to every interface, because nobody has called bind(): the peer sees
        # the
        # loopback address.
        return answers, (address[0], sock.getsockname()[1], *sock.getsockname()[2:])


# --- upper ---


def upper_server(sock, clients=1):
    def converse(conn):
        while (data := conn.recv(BUFSIZ)) and data != b"exit":
            conn.sendall(data.decode().upper().encode())

    _each_client(sock, clients, converse)


upper_client = _ask


# --- command ---


def command_answer(command):
    """Returns the server's answer to a command."""
    done = subprocess.run(command, shell=True, capture_output=True, timeout=PATIENCE)
    return (done.stderr if done.returncode else done.stdout) or b"return null"


def command_server(sock, clients=1):
    answer_chunks(sock, clients, lambda command: command_answer(command.decode()))


def command_client(address, commands, size=BUFSIZ):
    """Returns the answers, each from one receive."""
    with connect(address) as sock:
        answers = []
        for command in commands:
            sock.send(command.encode())
            answers.append(sock.recv(size).decode())
        return answers


# --- mail ---


def mail_client(address, messages):
    """Returns the code of each answer, which must arrive in one receive."""
    with connect(address) as sock:
        codes = [sock.recv(BUFSIZ)[:3]]

        def ask(data):
            sock.sendall(data)
            codes.append(sock.recv(BUFSIZ)[:3])

        ask(b"HELO client.example\r\n")
        for message in messages:
            ask(b"MAIL FROM:<me@a.example>\r\n")
            ask(b"RCPT TO:<you@b.example>\r\n")
            ask(b"DATA\r\n")
            ask(message + b"\r\n.\r\n")
        ask(b"QUIT\r\n")
        return [int(code) for code in codes]


# --- greeting, polling_accept ---


def greeting_server(sock, clients=1):
    _each_client(sock, clients, lambda conn: conn.send(b"Thank you for connecting"))


def greeting_client(address, messages=()):
    with connect(address) as sock:
        return [sock.recv(BUFSIZ)]


# --- json_echo: a length of four bytes, big-endian, and then the JSON ---


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {size} bytes")
        data += piece
    return data


def frame(message):
    return struct.pack("!I", len(message)) + message


def receive_frame(sock):
    (size,) = struct.unpack("!I", receive_exactly(sock, 4))
    return receive_exactly(sock, size)


def json_server(sock, clients=1):
    def converse(conn):
        try:
            while True:
                value = json.loads(receive_frame(conn))
                conn.sendall(frame(json.dumps(value).encode()))
        except EOFError:
            pass

    _each_client(sock, clients, converse)


def json_client(address, values):
    with connect(address) as sock:
        answers = []
        for value in values:
            sock.sendall(frame(json.dumps(value).encode()))
            answers.append(json.loads(receive_frame(sock)))
        return answers
