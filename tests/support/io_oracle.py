"""Prints the results of Python's io module for random streams, to compare File with them.

    io_oracle.py read|write SEED COUNT

prints COUNT cases, a line each step, fields separated by spaces, data in hex ("-" when empty):

    case MODE BUFFERING NEWLINE ERRORS ENCODING    MODE r, rb or w; NEWLINE "none" or hex
    chunk DATA                                     read: what one receive brings
    call NAME ARGUMENT RESULT                      RESULT: hex items separated by ",",
                                                   or "nothing"
    fail NAME ARGUMENT MESSAGE                     the call raises; its message in hex
    write DATA COUNT                               write: text in UTF-8 and what write() returns
    refuse DATA MESSAGE                            write() raises
    wire DATA                                      all that the file has written
    end

Under errors="strict" a malformed byte ends the case, and the chunks are single bytes, since Python
drops the rest of the chunk that the malformed byte is in.
"""

import io
import random
import sys

NEWLINES = [None, "", "\n", "\r", "\r\n"]
CALM = ["a", "bc", "some words ", "\r", "\n", "\r\n", "\n\n", "\r\r\n", "x\r"]
WIDE = ["é", "ß\n", "€", "中文", "😀", "\u0085", "\ufeff", "\r中\n"]
MALFORMED = [b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80",
             b"\xf0\x9f\x98", b"\xe0\x80", b"\xc3", b"\xf5"]  # fmt: skip


def field(data):
    return data.hex() if data else "-"


class Chunks(io.RawIOBase):
    """A stream whose receives return the given chunks."""

    def __init__(self, chunks):
        self.chunks = list(chunks)
        self.delivered = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.chunks:
            return 0
        head = self.chunks[0]
        size = min(len(buffer), len(head))
        buffer[:size] = head[:size]
        self.delivered += head[:size]
        self.chunks[:1] = [head[size:]] if size < len(head) else []
        return size


class Kept(io.BytesIO):
    """Keeps the written data beyond its closing."""

    def close(self):
        self.wire = self.getvalue()
        super().close()


def cut(rng, data, most):
    chunks = []
    while data:
        size = rng.randint(1, most)
        chunks.append(data[:size])
        data = data[size:]
    return chunks


def text_data(rng, encoding, errors, pieces):
    """Returns a random stream in an encoding; sometimes a malformed one, where Python and plug
    agree on it."""
    data = b""
    if encoding == "utf-16":
        data = b"\xff\xfe"
        encoding = "utf-16-le"
    # The tables of the other encodings differ in rare characters.
    malformed = encoding in ("utf-8", "ascii") and rng.random() < 0.6
    for _ in range(pieces):
        if malformed and rng.random() < (0.05 if errors == "strict" else 0.25):
            data += rng.choice(MALFORMED)
        else:
            piece = rng.choice(CALM) if rng.random() < 0.6 else rng.choice(WIDE)
            data += piece.encode(encoding, "ignore")
    return data


def random_size(rng):
    return rng.choice([0, 1, 1, 2, 3, 5, 8, 20, 100])


def random_call(rng, binary, exact_chunks):
    kinds = ["read", "readline", "readline", "readline", "limited", "readlines"]
    if binary:
        kinds += ["readinto"] + (["read1"] if exact_chunks else [])
    kind = rng.choice(kinds)
    if kind == "readline":
        return "readline", -1
    if kind == "limited":
        # Python waits for text even if none of it is requested; a File does not.
        return "readline", max(random_size(rng), 0 if binary else 1)
    if kind == "readlines":
        return "readlines", random_size(rng) + 1
    if kind == "readinto":
        return "readinto", random_size(rng)
    if kind == "read1":
        return "read1", rng.choice([-1, random_size(rng)])
    return "read", random_size(rng)


def perform(file, name, argument):
    """Returns the result as a list of bytes."""
    if name == "readinto":
        buffer = bytearray(argument)
        return [bytes(buffer[: file.readinto(buffer)])]
    result = getattr(file, name)(argument)
    items = result if isinstance(result, list) else [result]
    return [item.encode() if isinstance(item, str) else item for item in items]


def report_calls(rng, raw, file, binary, exact_chunks):
    calls = [random_call(rng, binary, exact_chunks) for _ in range(rng.randint(1, 25))]
    calls += [rng.choice([("readlines", -1), ("read", -1)]), ("readline", -1)]
    for name, argument in calls:
        try:
            result = perform(file, name, argument)
        except UnicodeDecodeError as error:
            before = len(raw.delivered) - len(error.object)
            told = UnicodeDecodeError(
                error.encoding, raw.delivered, before + error.start, before + error.end, error.reason
            )
            print("fail", name, argument, field(str(told).encode()))
            return
        print("call", name, argument, ",".join(field(item) for item in result) or "nothing")


def read_case(rng):
    binary = rng.random() < 0.3
    large = rng.random() < 0.1
    pieces = 6000 if large else rng.randint(0, 60)
    newline = rng.choice(NEWLINES)
    errors = rng.choice(["strict", "replace", "ignore"])
    encoding = "utf-8"
    if not binary and rng.random() < 0.4:
        encoding = rng.choice(["ascii", "latin-1", "gbk", "utf-16", "utf-16-le", "shift_jis"])
    data = text_data(rng, encoding, errors, pieces)
    buffering = rng.choice([-1, -1, 0, 1, 3, 100]) if binary else -1

    # A receive returns a whole chunk only if the buffer does not limit it.
    exact_chunks = buffering < 0
    one_by_one = not binary and errors == "strict"
    if not exact_chunks:
        chunks = [data] if data else []
    elif one_by_one:
        chunks = [data[i : i + 1] for i in range(len(data))]
    else:
        chunks = cut(rng, data, 5000 if large else rng.choice([1, 3, 40]))

    told = "none" if newline is None else field(newline.encode())
    print("case", "rb" if binary else "r", buffering, told, errors, encoding)
    for chunk in [data] if one_by_one and data else chunks:
        print("chunk", chunk.hex())
    raw = Chunks(chunks)
    file = raw if buffering == 0 else io.BufferedReader(raw, 8192 if buffering < 0 else buffering)
    if not binary:
        file = io.TextIOWrapper(file, encoding, errors, newline)
    report_calls(rng, raw, file, binary, exact_chunks and not one_by_one)
    print("end")


def write_case(rng):
    newline = rng.choice(NEWLINES)
    errors = rng.choice(["strict", "replace", "ignore"])
    encoding = rng.choice(["utf-8", "ascii", "latin-1", "gb2312", "utf-16", "utf-16-le", "shift_jis"])
    told = "none" if newline is None else field(newline.encode())
    print("case", "w", -1, told, errors, encoding)
    wire = Kept()
    file = io.TextIOWrapper(wire, encoding, errors, newline)
    for _ in range(rng.randint(0, 8)):
        pieces = rng.choice([0, 1, 4, 4, 4, 5000])
        calm = rng.random()
        if encoding == "utf-16":
            pieces = max(pieces, 1)  # for an empty text Python writes a byte order mark
        text = "".join(rng.choice(CALM if rng.random() < calm else WIDE) for _ in range(pieces))
        try:
            print("write", field(text.encode()), file.write(text))
        except UnicodeEncodeError as error:
            print("refuse", field(text.encode()), field(str(error).encode()))
    file.close()
    print("wire", field(wire.wire))
    print("end")


def main():
    what, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    for _ in range(count):
        read_case(rng) if what == "read" else write_case(rng)


if __name__ == "__main__":
    main()
