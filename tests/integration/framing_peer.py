"""The peer of framing_peer_test: implements the framings by hand, as a Python program may.

Connects to PORT and answers each message. WHAT is the framing: a struct format of the length
("!I"), "varint", "lines", or "json" for a JSON header and then raw bytes.
"""

import json
import socket
import struct
import sys


def read_exactly(stream, size):
    data = stream.read(size)
    if len(data) != size:
        raise EOFError(f"{len(data)} of {size} bytes")
    return data


def echo_prefixed(stream, form):
    """Sends each message back, reversed."""
    while head := stream.read(struct.calcsize(form)):
        (size,) = struct.unpack(form, head)
        message = read_exactly(stream, size)[::-1]
        stream.write(struct.pack(form, len(message)) + message)
        stream.flush()


def echo_varint(stream):
    while byte := stream.read(1):
        size, shift = byte[0] & 0x7F, 7
        while byte[0] & 0x80:
            byte = read_exactly(stream, 1)
            size |= (byte[0] & 0x7F) << shift
            shift += 7
        message = read_exactly(stream, size)[::-1]
        size, head = len(message), b""
        while size > 0x7F:
            head += bytes([size & 0x7F | 0x80])
            size >>= 7
        stream.write(head + bytes([size]) + message)
        stream.flush()


def echo_lines(stream):
    for line in stream:
        stream.write(line.rstrip(b"\r\n")[::-1] + b"\n")
        stream.flush()


def exchange_files(stream):
    """A header says how many raw bytes follow. The answer has the same form."""
    for line in stream:
        header = json.loads(line)
        data = read_exactly(stream, header["size"])
        answer = {"name": header["name"] + ".back", "size": len(data), "sum": sum(data)}
        stream.write(json.dumps(answer).encode() + b"\n" + data[::-1])
        stream.flush()


def main():
    what, port = sys.argv[1], int(sys.argv[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        with sock.makefile("rwb") as stream:
            if what == "varint":
                echo_varint(stream)
            elif what == "lines":
                echo_lines(stream)
            elif what == "json":
                exchange_files(stream)
            else:
                echo_prefixed(stream, what)
    print("done")


main()
