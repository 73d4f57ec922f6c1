"""Prints the results of io.TextIOWrapper for every encoding of Python's, for encodings_test.cpp.

    encodings.py PART PARTS

Handles one of PARTS parts of the encodings and prints lines of fields, separated by spaces; data is
in hex, "-" if it is empty:

    encoding NAME                       the following lines are for this encoding
    alias NAME                          another name of it
    read ABOUT ERRORS PIECE DATA CALLS RESULTS
        a stream of DATA that arrives in pieces of PIECE bytes (0: at once); CALLS are like
        "readline:-1", RESULTS their results; both are separated by commas. The last result is
        "!" and a message if a call raises.
    write ABOUT ERRORS TEXTS WIRE RESULTS
        TEXTS, in UTF-8, written one after the other; WIRE is the content of the file then,
        RESULTS are the results of write(), or "!" and a message.

ABOUT names the difference if plug's answer differs: "reading", "malformed" or "writing".
"""

import codecs
import encodings
import encodings.aliases
import io
import pathlib
import pkgutil
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from io_oracle import Chunks, Kept, field  # noqa: E402

# Encodings that do not encode a stream of text.
OTHERS = {"charmap", "idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined",
          "unicode_escape"}  # fmt: skip
ERRORS = ("strict", "replace", "ignore")
PIECES = (1, 2, 3, 0)
SAMPLE = "Plain text, ~\\|\n\r\nGrüße\rשלום\u05b8 ñ Ελληνικά\r\nпривет, 日本語 ｶﾅ 한국어 中文 ไทย\n\n∞ “x” – € 😀 end"
PAIRED = {"big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jis_2004", "euc_jisx0213", "euc_jp",
          "euc_kr", "gb18030", "gb2312", "gbk", "johab", "shift_jis", "shift_jis_2004",
          "shift_jisx0213"}  # fmt: skip


def text_encodings():
    for module in sorted(entry.name for entry in pkgutil.iter_modules(encodings.__path__)):
        try:
            codec = codecs.lookup(module)
        except LookupError:
            continue
        if module not in OTHERS and codec._is_text_encoding:
            yield module


def characters(name):
    """Yields the characters of the encoding; every seventh for encodings of Unicode."""
    if not name.startswith(("utf", "gb18030", "iso2022", "hz", *PAIRED)):
        yield from sorted(set(bytes(range(256)).decode(name, "ignore")))
        return
    step = 7 if name.startswith(("utf", "gb18030")) else 1
    for plane in (range(0, 0xD800, step), range(0xE000, 0x10000, step), range(0x10000, 0x30000, 7)):
        for number in plane:
            try:
                chr(number).encode(name)
            except UnicodeEncodeError:
                continue
            yield chr(number)


def perform(file, call):
    name, argument = call.split(":")
    result = getattr(file, name)(int(argument))
    return field("".join(result).encode())


def read_case(name, about, errors, piece, data, calls, newline=None):
    chunks = [data[at : at + piece] for at in range(0, len(data), piece)] if piece else [data]
    file = io.TextIOWrapper(io.BufferedReader(Chunks(filter(None, chunks))), name, errors, newline)
    results = []
    for call in calls:
        try:
            results.append(perform(file, call))
        except UnicodeError as error:
            results.append("!" + str(error).encode().hex())
            break
    print("read", about, errors, piece, field(data), ",".join(calls), ",".join(results))


def write_case(name, about, errors, texts):
    wire = Kept()
    file = io.TextIOWrapper(wire, name, errors, "")
    results = []
    for text in texts:
        try:
            results.append(str(file.write(text)))
        except UnicodeEncodeError as error:
            results.append("!" + str(error).encode().hex())
    file.close()
    fields = ",".join(field(text.encode()) for text in texts)
    print("write", about, errors, fields, field(wire.wire), ",".join(results))


def report(name, rng):
    print("encoding", name)
    for alias, of in encodings.aliases.aliases.items():
        if of == name:
            print("alias", alias)
            print("alias", alias.upper().replace("_", "-"))
    everything = "".join(characters(name))
    sample = SAMPLE.encode(name, "ignore").decode(name)

    # All characters of the encoding, and well-formed text in pieces.
    read_case(name, "reading", "strict", 0, everything.encode(name), ["read:-1"])
    calls = ["read:1", "readline:-1", "read:3", "read:1", "readline:4", "readline:-1", "readlines:-1"]
    for piece in PIECES:
        read_case(name, "reading", "strict", piece, sample.encode(name), calls)
        read_case(name, "reading", "strict", piece, "".encode(name), ["read:-1"])

    # Each byte, and each pair of bytes that may be a character, on a line.
    newline = "\n".encode(name + "_le" if name in ("utf_16", "utf_32") else name)
    singles = b"".join(bytes([byte]) + newline for byte in range(256))
    read_case(name, "malformed", "replace", 0, singles, ["readlines:-1"])
    if name in PAIRED:
        for lead in range(0x80, 0x100):
            pairs = b"".join(bytes([lead, trail]) + newline for trail in range(0x100))
            read_case(name, "malformed", "replace", 0, pairs, ["readlines:-1"])

    # Random bytes in text.
    for _ in range(12):
        data = b"".join(
            rng.choice([rng.choice(everything).encode(name), rng.randbytes(rng.randint(1, 3))])
            for _ in range(rng.randint(1, 6))
        )
        read_case(name, "malformed", "strict", 0, data, ["read:-1"])
        for errors in ("replace", "ignore"):
            read_case(name, "malformed", errors, 0, data, ["read:-1"])
            for piece in (1, 2, 3):
                read_case(name, "malformed", errors, piece, data, ["readlines:-1"])

    # Writing: all characters of the encoding, text in pieces, and characters that it lacks.
    write_case(name, "writing", "strict", [everything])
    for piece in PIECES:
        pieces = [sample[at : at + piece] for at in range(0, len(sample), piece or len(sample))]
        write_case(name, "writing", "strict", pieces or [sample])
    for errors in ERRORS:
        write_case(name, "writing", errors, ["a", SAMPLE, "\u0378\ud7ffb\U0010fffd", "", "z"])


def main():
    part, parts = map(int, sys.argv[1:])
    rng = random.Random(20240229)
    for name in list(text_encodings())[part::parts]:
        report(name, rng)


main()
