"""Runs the cases that a parity test has written to a file, with Python's socket module.

Usage: parity.py OPERATIONS.py CASES. A case is a line of fields, hexadecimal after an "x", separated
by spaces: the operation and its arguments. OPERATIONS.py has a dictionary OPERATIONS of functions
that take the arguments as str and return str. Each case is answered by one line: "ok TEXT" or
"error CLASS ERRNO TEXT", the text in hexadecimal.
"""

import runpy
import socket
import sys


def number(text):
    return int(text, 0)


def bare(sock, text):
    """Removes from a text all that differs from run to run."""
    try:
        port = sock.getsockname()[1]
        text = text.replace(f", {port}", ", PORT")
    except (OSError, IndexError, TypeError):
        pass
    return text.replace(f"fd={sock.fileno()},", "fd=FD,").replace("<socket.socket", "<plug.Socket")


def make(family, kind, proto="0"):
    return socket.socket(number(family), number(kind), number(proto))


def answer(operations, line):
    operation, *arguments = (bytes.fromhex(field[1:]).decode() for field in line.split())
    try:
        return "ok " + operations[operation](*arguments).encode().hex()
    except (OSError, ValueError, OverflowError, TypeError) as error:
        text = str(error).encode().hex()
        return f"error {type(error).__name__} {getattr(error, 'errno', None) or 0} {text}"


def main():
    operations = runpy.run_path(sys.argv[1])["OPERATIONS"]
    with open(sys.argv[2], encoding="ascii") as cases:
        for case in cases:
            print(answer(operations, case))


if __name__ == "__main__":
    main()
