"""The operations of parity_families_test.cpp on Python's socket module.

The kernel may lack the families. The sockets are therefore UDP sockets that claim to be of another
family, and given_names.cpp, which is preloaded, replaces the kernel's calls. The test uses the
system's Python, because it supports Bluetooth.
"""

import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

FOLDER = "PLUG_GIVEN_NAMES"
PYTHON = next(path for path in ("/usr/bin/python3", sys.executable) if os.path.exists(path))


def start_again_with_names():
    folder = tempfile.mkdtemp()
    library = f"{folder}/given_names.so"
    source = pathlib.Path(__file__).with_name("given_names.cpp")
    subprocess.run(["g++", "-std=c++20", "-shared", "-fPIC", "-o", library, source], check=True)
    environment = {**os.environ, "LD_PRELOAD": library, FOLDER: folder}
    os.execve(PYTHON, [PYTHON, *sys.orig_argv[1:]], environment)


if FOLDER not in os.environ:
    start_again_with_names()
shutil.rmtree(os.environ[FOLDER])
names = ctypes.CDLL(None)
names.give_name.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

# Family, protocol and the kinds of the fields: text, number, hexadecimal bytes, text as bytes.
KINDS = {
    "can": (socket.AF_CAN, socket.CAN_RAW, "t"),
    "bcm": (socket.AF_CAN, socket.CAN_BCM, "t"),
    "isotp": (socket.AF_CAN, socket.CAN_ISOTP, "tnn"),
    "j1939": (socket.AF_CAN, socket.CAN_J1939, "tnnn"),
    "packet": (socket.AF_PACKET, 0, "tnnnh"),
    "netlink": (socket.AF_NETLINK, 0, "nn"),
    "vsock": (socket.AF_VSOCK, 0, "nn"),
    "tipc": (socket.AF_TIPC, 0, "nnnnn"),
    "alg": (socket.AF_ALG, 0, "ttnn"),
    "qrtr": (socket.AF_QIPCRTR, 0, "nn"),
    "l2cap": (getattr(socket, "AF_BLUETOOTH", 31), 0, "tn"),
    "hci": (getattr(socket, "AF_BLUETOOTH", 31), 1, "n"),
    "sco": (getattr(socket, "AF_BLUETOOTH", 31), 2, "b"),
    "rfcomm": (getattr(socket, "AF_BLUETOOTH", 31), 3, "tn"),
}
READ = {"t": str, "n": lambda text: int(text, 0), "h": bytes.fromhex, "b": str.encode}


def named(kind):
    """Returns a socket that claims to be of this kind."""
    family, proto, _ = KINDS[kind]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        return socket.socket(family, socket.SOCK_DGRAM, proto, fileno=udp.detach())


def that_count(kind, raw):
    """Returns the bytes of a structure that contain its fields; Python does not set the others."""
    end = {"can": 8, "bcm": 8, "isotp": 16, "j1939": 21, "netlink": 12, "vsock": 12, "qrtr": 12}
    if kind == "packet":
        return raw[: 12 + raw[11]]
    if kind == "tipc":
        return raw[: 16 if raw[2] == socket.TIPC_ADDR_NAMESEQ else 12]
    # Two bytes of padding follow the family.
    return raw[:2] + b"\0\0" + raw[4 : end[kind]] if kind in end else raw


def take(kind, *fields):
    """Returns the kernel's form of an address, without the zeros at its end."""
    values = tuple(READ[form](field) for form, field in zip(KINDS[kind][2], fields))
    with named(kind) as sock:
        sock.bind(values[0] if kind == "sco" else values)
    taken = ctypes.create_string_buffer(128)
    size = names.taken_name(taken)
    return that_count(kind, taken.raw[:size]).rstrip(b"\0").hex()


def show(kind, form):
    raw = bytes.fromhex(form)
    with named(kind) as sock:
        names.give_name(raw, len(raw))
        try:
            return str(sock.getsockname())
        finally:
            names.give_name(b"", 0)


OPERATIONS = {"take": take, "show": show}
