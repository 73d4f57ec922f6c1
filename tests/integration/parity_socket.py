"""The operations of parity_socket_test.cpp on Python's socket module."""

import os
import socket

from parity import bare, make, number


def unix_name(name):
    """Returns bytes for an abstract name, text for a path."""
    return name if name.startswith("\0") else os.fsencode(name).decode()


def bind_pair(family, kind, host, port, *rest):
    with make(family, kind) as sock:
        sock.bind((host, number(port), *map(number, rest)))
        return bare(sock, str(sock.getsockname()))


def bind_unix(kind, name):
    with make("1", kind) as sock:
        try:
            sock.bind(unix_name(name))
            return str(sock.getsockname())
        finally:
            if name and name[0] != "\0" and os.path.exists(name):
                os.unlink(name)


def unix_sender(name):
    with make("1", "2") as sender, make("1", "2") as receiver:
        receiver.bind("")
        if name:
            sender.bind(unix_name(name))
        sender.sendto(b"x", receiver.getsockname())
        text = str(receiver.recvfrom(10)[1])
    if name and name[0] != "\0":
        os.unlink(name)
    return text


def text_of(family, kind, state, host):
    with make(family, kind) as sock:
        if state != "fresh":
            sock.bind((host, 0) if family != "1" else "\0" + host)
        if state == "listening":
            sock.listen()
        if state == "closed":
            sock.close()
        return bare(sock, repr(sock))


def timeout(value):
    with socket.socket() as sock:
        sock.settimeout(float(value))
        return f"{sock.gettimeout()} {sock.getblocking()}"


def default_timeout(value):
    try:
        socket.setdefaulttimeout(float(value))
        with socket.socket() as sock:
            return f"{socket.getdefaulttimeout()} {sock.gettimeout()}"
    finally:
        socket.setdefaulttimeout(None)


def os_error(value):
    raise OSError(number(value), os.strerror(number(value)))


def addresses(host, port, family, kind, proto, flags):
    answers = socket.getaddrinfo(
        None if host == "None" else host,
        None if port == "None" else number(port[1:]) if port[0] == "#" else port,
        *map(number, (family, kind, proto, flags)),
    )
    return " ".join(f"({int(a)}, {int(b)}, {c}, '{d}', {e})" for a, b, c, d, e in answers)


def get_int(family, kind, level, name):
    with make(family, kind) as sock:
        return str(sock.getsockopt(number(level), number(name)))


def get_bytes(family, kind, level, name, length):
    with make(family, kind) as sock:
        return sock.getsockopt(number(level), number(name), number(length)).hex()


def set_int(family, kind, level, name, value):
    with make(family, kind) as sock:
        sock.setsockopt(number(level), number(name), number(value))
        return str(sock.getsockopt(number(level), number(name)))


def set_bytes(family, kind, level, name, value):
    with make(family, kind) as sock:
        sock.setsockopt(number(level), number(name), bytes.fromhex(value))
        return sock.getsockopt(number(level), number(name), 64).hex()


def set_none(family, kind, level, name, length):
    with make(family, kind) as sock:
        sock.setsockopt(number(level), number(name), None, number(length))
        return sock.getsockopt(number(level), number(name), 64).hex()


CALLS = {
    "listen": lambda s: s.listen(),
    "accept": lambda s: s.accept(),
    "recv": lambda s: s.recv(1),
    "recvfrom": lambda s: s.recvfrom(1),
    "recv negative": lambda s: s.recv(-1),
    "send": lambda s: s.send(b"x"),
    "send empty": lambda s: s.send(b""),
    "sendall": lambda s: s.sendall(b"x"),
    "sendall empty": lambda s: s.sendall(b""),
    "getsockname": lambda s: s.getsockname(),
    "getpeername": lambda s: s.getpeername(),
    "shutdown": lambda s: s.shutdown(socket.SHUT_RDWR),
    "shutdown 9": lambda s: s.shutdown(9),
    "settimeout": lambda s: s.settimeout(1),
    "dup": lambda s: s.dup().close(),
    "detach": lambda s: s.detach() == -1 or os.close(s.detach()),
    "close": lambda s: s.close(),
}


def call(family, kind, state, name):
    """Makes one call on an unconnected non-blocking socket, or on a closed one."""
    with make(family, kind) as sock:
        sock.setblocking(False)
        if state == "closed":
            sock.close()
        result = CALLS[name](sock) if name != "detach" else None
        return str(result) if isinstance(result, (bytes, int)) else "done"


def connect_ex(family, what):
    with make(family, "1") as sock, make(family, "1") as other:
        loopback = ("127.0.0.1" if family == "2" else "::1", 0)
        if family == "1":
            return str(sock.connect_ex(what))
        other.bind(loopback)
        if what == "listening":
            other.listen()
        return str(sock.connect_ex(other.getsockname()))


def fileno(family, kind):
    with make(family, kind) as sock:
        with socket.socket(fileno=sock.detach()) as adopted:
            return f"{int(adopted.family)} {int(adopted.type)} {adopted.proto}"


def bad_fileno(value):
    return str(socket.socket(fileno=number(value)))


OPERATIONS = {
    "bind": bind_pair,
    "bind_unix": bind_unix,
    "unix_sender": unix_sender,
    "text": text_of,
    "timeout": timeout,
    "default_timeout": default_timeout,
    "os_error": os_error,
    "inet_aton": lambda text: socket.inet_aton(text).hex(),
    "inet_ntoa": lambda packed: socket.inet_ntoa(bytes.fromhex(packed)),
    "inet_pton": lambda family, text: socket.inet_pton(number(family), text).hex(),
    "inet_ntop": lambda family, packed: socket.inet_ntop(number(family), bytes.fromhex(packed)),
    "htons": lambda value: str(socket.htons(number(value))),
    "ntohs": lambda value: str(socket.ntohs(number(value))),
    "htonl": lambda value: str(socket.htonl(number(value))),
    "ntohl": lambda value: str(socket.ntohl(number(value))),
    "getaddrinfo": addresses,
    "gethostbyname": socket.gethostbyname,
    "gethostname": socket.gethostname,
    "getservbyname": lambda name, *protocol: str(socket.getservbyname(name, *protocol)),
    "get_int": get_int,
    "get_bytes": get_bytes,
    "set_int": set_int,
    "set_bytes": set_bytes,
    "set_none": set_none,
    "socket": lambda *kind: str(make(*kind).proto),
    "call": call,
    "connect_ex": connect_ex,
    "fileno": fileno,
    "bad_fileno": bad_fileno,
}
