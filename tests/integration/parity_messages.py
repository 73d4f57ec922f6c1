"""The operations of parity_messages_test.cpp on Python's socket module."""

import os
import socket
import tempfile
import zlib

from parity import make, number


def cmsg(name, length):
    return str(getattr(socket, name)(number(length)))


def buffers(text):
    """Parses hexadecimal pieces, each after an "x"."""
    return [bytes.fromhex(piece[1:]) for piece in text.split()]


def items(text):
    """Parses items "level:type:hexadecimal". The descriptors of SCM_RIGHTS are plain numbers."""
    triples = (item.split(":") for item in text.split())
    return [(number(level), number(kind), bytes.fromhex(data)) for level, kind, data in triples]


def shown(received):
    """Formats a received message without the parts that differ from run to run. Closes its
    descriptors."""
    data, ancdata, flags, address = received
    texts = []
    for level, kind, item in ancdata:
        text = item.hex()
        if (level, kind) == (1, 1):
            for at in range(0, len(item) - len(item) % 4, 4):
                os.close(int.from_bytes(item[at : at + 4], "little"))
            text = f"{len(item)} bytes"
        elif level == 1:
            text = f"{len(item)} bytes"
        texts.append(f"({level}, {kind}, {text})")
    what = data.hex() if isinstance(data, bytes) else data
    return f"{what} [{', '.join(texts)}] {int(flags)} {'no' if address is None else 'an'} address"


def pair(kind):
    first, second = socket.socketpair(socket.AF_UNIX, number(kind))
    first.setblocking(False)
    second.setblocking(False)
    return first, second


def exchange(kind, sent, ancillary, size, ancsize, flags):
    first, second = pair(kind)
    with first, second:
        count = first.sendmsg(buffers(sent), items(ancillary))
        return f"{count} {shown(second.recvmsg(number(size), number(ancsize), number(flags)))}"


def exchange_into(kind, sent, sizes, ancsize, flags):
    first, second = pair(kind)
    with first, second:
        first.sendmsg(buffers(sent))
        room = [bytearray(b"." * number(size)) for size in sizes.split()]
        text = shown(second.recvmsg_into(room, number(ancsize), number(flags)))
        return text + " " + " ".join(part.hex() for part in room)


def datagram(family, options, ancillary, ancsize):
    with make(family, "2") as receiver, make(family, "2") as sender:
        receiver.bind(("127.0.0.1" if family == "2" else "::1", 0))
        receiver.settimeout(20)
        for option in options.split():
            receiver.setsockopt(*map(number, option.split(":")), 1)
        sender.sendmsg([b"abc"], items(ancillary), 0, receiver.getsockname())
        return shown(receiver.recvmsg(2, number(ancsize)))


def bad_send(family, kind, state, ancillary, flags):
    with make(family, kind) as sock:
        sock.setblocking(False)
        if state == "closed":
            sock.close()
        return str(sock.sendmsg([b"x"], items(ancillary), number(flags)))


def bad_receive(family, kind, state, size, ancsize, flags):
    with make(family, kind) as sock:
        sock.setblocking(False)
        if state == "closed":
            sock.close()
        return shown(sock.recvmsg(number(size), number(ancsize), number(flags)))


def fds(kind, sent, count, bufsize, maxfds):
    first, second = pair(kind)
    with first, second:
        first_result = socket.send_fds(first, buffers(sent), [0] * number(count))
        data, received, flags, _ = socket.recv_fds(second, number(bufsize), number(maxfds))
        for fd in received:
            os.close(fd)
        return f"{first_result} {data.hex()} {len(received)} {int(flags)}"


def sendfile(kind, timeout, size, position, offset, count):
    first, second = socket.socketpair(socket.AF_UNIX, number(kind))
    with first, second, tempfile.TemporaryFile(buffering=0) as file:
        first.settimeout(None if timeout == "None" else float(timeout))
        second.setblocking(False)
        file.write(bytes(n % 251 for n in range(number(size))))
        file.seek(number(position))
        text = ""
        try:
            sent = first.sendfile(file, number(offset), None if count == "None" else number(count))
            text = f"{sent} "
        except (OSError, ValueError) as error:
            # plug words the rest differently.
            text = f"{type(error).__name__} {str(error).split(' (')[0]} "
        arrived = b""
        try:
            while piece := second.recv(1 << 20):
                arrived += piece
        except BlockingIOError:
            pass
        return f"{text}{len(arrived)} {zlib.crc32(arrived)} {file.tell()}"


OPERATIONS = {
    function.__name__: function
    for function in (
        cmsg,
        exchange,
        exchange_into,
        datagram,
        bad_send,
        bad_receive,
        fds,
        sendfile,
    )
}
