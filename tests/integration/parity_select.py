"""The operations of parity_select_test.cpp on Python's select and selectors."""

import os
import select
import selectors
import socket
import struct

SELECTORS = {
    "select": selectors.SelectSelector,
    "poll": selectors.PollSelector,
    "epoll": selectors.EpollSelector,
}
SECONDS = 10  # far more than the loopback interface takes


def outcome(call):
    """Returns the result of a call, or the class of its error."""
    try:
        return str(call())
    except OSError as error:
        return f"OSError {error.errno or 0}"
    except (KeyError, OverflowError, RuntimeError, ValueError) as error:
        return type(error).__name__


def constants():
    names = {
        name: getattr(select, name)
        for name in dir(select)
        if name.startswith(("POLL", "EPOLL", "PIPE_BUF"))
    }
    names["EVENT_READ"] = selectors.EVENT_READ
    names["EVENT_WRITE"] = selectors.EVENT_WRITE
    return " ".join(f"{name}={value}" for name, value in sorted(names.items()))


# --- reports for each state ---


def settle(fd, events):
    """Waits until the peer's action has arrived."""
    poll = select.poll()
    poll.register(fd, events)
    assert poll.poll(SECONDS * 1000)


def fill(fd):
    os.set_blocking(fd, False)
    try:
        while True:
            os.write(fd, bytes(1000))
    except BlockingIOError:
        pass


def pair(kind):
    if kind == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        return sock, listener.accept()[0]


def in_state(kind, state):
    """Returns the object to watch, followed by objects that must stay open."""
    if kind == "pipe":
        reader, writer = (os.fdopen(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb")))
        if state in ("readable", "drained"):
            writer.write(b"x")
        if state == "drained":
            reader.read(1)
        if state == "full":
            fill(writer.fileno())
        if state == "writer gone":
            writer.close()
            return [reader]
        if state == "reader gone":
            reader.close()
            return [writer]
        return [writer, reader] if state in ("full", "room") else [reader, writer]
    if state == "fresh":
        return [socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)]
    if state.startswith("listening"):
        listener = socket.create_server(("127.0.0.1", 0))
        if state == "listening":
            return [listener]
        client = socket.create_connection(listener.getsockname())
        settle(listener, select.POLLIN)
        return [listener, client]
    sock, peer = pair(kind)
    if state == "readable":
        peer.send(b"x")
        settle(sock, select.POLLIN)
    if state == "urgent":
        peer.send(b"x", socket.MSG_OOB)
        settle(sock, select.POLLPRI)
    if state == "full":
        fill(sock.fileno())
    if state == "peer shut down":
        peer.shutdown(socket.SHUT_WR)
        settle(sock, select.POLLIN)
    if state == "shut down":
        sock.shutdown(socket.SHUT_WR)
    if state == "both shut down":
        sock.shutdown(socket.SHUT_RDWR)
    if state == "peer gone":
        peer.close()
        settle(sock, select.POLLIN)
    if state == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        settle(sock, select.POLLIN)
    return [sock, peer]


def reported(kind, state):
    watched, *_ = objects = in_state(kind, state)
    texts = []
    for name, make in SELECTORS.items():
        for events in (1, 2, 3):
            with make() as selector:
                selector.register(watched, events)
                texts.append(f"{name} {events}:" + "".join(f" {e}" for _, e in selector.select(0)))
    poll = select.poll()
    poll.register(watched, 0x20CF)
    texts.append("poll object:" + "".join(f" {e}" for _, e in poll.poll(0)))
    poll.register(watched)
    texts.append("poll default:" + "".join(f" {e}" for _, e in poll.poll(0)))
    with select.epoll() as epoll:
        epoll.register(watched)
        texts.append("epoll default:" + "".join(f" {e}" for _, e in epoll.poll(0)))
        epoll.modify(watched, 0x20CF)
        texts.append("epoll object:" + "".join(f" {e}" for _, e in epoll.poll(0)))
    sets = select.select([watched], [watched], [watched], 0)
    texts.append("sets: " + " ".join(str(len(ready)) for ready in sets))
    for which in range(3):
        lists = [[watched] if which == i else [] for i in range(3)]
        texts.append(f"set {which}: {len(select.select(*lists, 0)[which])}")
    for item in objects:
        item.close()
    return "; ".join(texts)


# --- errors ---


def errors_of_selector(name):
    selector = SELECTORS[name]()
    sock, peer = socket.socketpair()
    closed = socket.socket()
    closed.close()
    number = sock.fileno()
    fds = lambda key: key.fd - number

    texts = [
        outcome(lambda: selector.register(sock, 0)),
        outcome(lambda: selector.register(sock, 4)),
        outcome(lambda: selector.register(sock, 7)),
        outcome(lambda: selector.register(-1, 1)),
        outcome(lambda: selector.register(closed, 1)),
        outcome(lambda: selector.register(closed, 0)),
        outcome(lambda: fds(selector.register(sock, 1))),
        outcome(lambda: selector.register(sock, 1)),
        outcome(lambda: selector.register(number, 2)),
        outcome(lambda: selector.unregister(peer)),
        outcome(lambda: selector.unregister(-1)),
        outcome(lambda: selector.unregister(closed)),
        outcome(lambda: selector.modify(peer, 1)),
        outcome(lambda: selector.modify(closed, 1)),
        outcome(lambda: selector.get_key(peer)),
        outcome(lambda: selector.get_key(closed)),
        outcome(lambda: fds(selector.get_key(number))),
        outcome(lambda: fds(selector.modify(sock, 2))),
        outcome(lambda: len(selector.get_map())),
        outcome(lambda: peer in selector.get_map()),
        outcome(lambda: len(selector.select(-1))),
        outcome(lambda: len(selector.select(float("-inf")))),
    ]
    sock.close()
    texts.append(outcome(lambda: fds(selector.get_key(sock))))
    texts.append(outcome(lambda: fds(selector.unregister(sock))))
    texts.append(outcome(lambda: selector.unregister(sock)))
    texts.append(outcome(lambda: len(selector.select(0))))
    selector.close()
    texts.append(outcome(lambda: selector.get_key(peer)))
    texts.append(outcome(lambda: selector.get_map()))
    texts.append(outcome(lambda: selector.unregister(peer)))
    texts.append(outcome(lambda: selector.modify(peer, 1)))
    texts.append(outcome(lambda: selector.close()))
    peer.close()
    return ", ".join(texts)


def errors_of_objects():
    sock, peer = socket.socketpair()
    closed = socket.socket()
    not_open = closed.fileno()
    closed.close()
    poll = select.poll()
    epoll = select.epoll()
    texts = [
        outcome(lambda: poll.register(closed)),
        outcome(lambda: poll.register(-1)),
        outcome(lambda: poll.modify(sock, 1)),
        outcome(lambda: poll.unregister(sock)),
        outcome(lambda: poll.register(sock)),
        outcome(lambda: poll.register(sock, 1)),
        outcome(lambda: len(poll.poll(0))),
        outcome(lambda: poll.modify(sock, 4)),
        outcome(lambda: len(poll.poll(-1))),
        outcome(lambda: len(poll.poll(None))),
        outcome(lambda: poll.unregister(sock)),
        outcome(lambda: poll.unregister(sock)),
        outcome(lambda: poll.poll(float("nan"))),
        outcome(lambda: poll.poll(1e300)),
        outcome(lambda: select.epoll(0)),
        outcome(lambda: select.epoll(-2)),
        outcome(lambda: select.epoll(-1, 1)),
        outcome(lambda: select.epoll(5, select.EPOLL_CLOEXEC).closed),
        outcome(lambda: epoll.register(closed)),
        outcome(lambda: epoll.register(-1)),
        outcome(lambda: epoll.register(not_open + 9)),
        outcome(lambda: epoll.modify(sock, 1)),
        outcome(lambda: epoll.unregister(sock)),
        outcome(lambda: epoll.register(sock)),
        outcome(lambda: epoll.register(sock, 1)),
        outcome(lambda: len(epoll.poll(0))),
        outcome(lambda: len(epoll.poll(-1, 5))),
        outcome(lambda: epoll.poll(0, 0)),
        outcome(lambda: epoll.poll(0, -2)),
        outcome(lambda: epoll.poll(float("nan"))),
        outcome(lambda: epoll.poll(1e300)),
        outcome(lambda: epoll.close()),
        outcome(lambda: epoll.close()),
        outcome(lambda: epoll.closed),
        outcome(lambda: epoll.fileno()),
        outcome(lambda: epoll.register(sock)),
        outcome(lambda: epoll.modify(sock, 1)),
        outcome(lambda: epoll.unregister(sock)),
        outcome(lambda: epoll.poll(0)),
        outcome(lambda: epoll.poll(0, 0)),
        outcome(lambda: select.select([closed], [], [], 0)),
        outcome(lambda: select.select([], [-1], [], 0)),
        outcome(lambda: select.select([], [], [], -1)),
        outcome(lambda: select.select([], [], [], float("nan"))),
        outcome(lambda: len(select.select([], [], [], 0))),
        outcome(lambda: len(select.select([], [sock, sock, sock.fileno()], [], None)[1])),
    ]
    epoll.close()
    texts.append(outcome(lambda: select.select([], [], [not_open + 9], 0)))
    sock.close()
    peer.close()
    return ", ".join(texts)


# --- sequences ---


def sequence(name, steps):
    selector = SELECTORS[name]()
    pairs = []
    texts = []
    label = 0

    def is_open(sock):
        return sock.fileno() >= 0

    for step in steps.split(";"):
        what, index, events = step.split(",")
        index, events = int(index), int(events)
        sock, peer = pairs[index] if pairs and index < len(pairs) else (None, None)
        label += 1
        text = ""
        if what == "open":
            if len(pairs) <= index:
                pairs.append(socket.socketpair())
            elif not is_open(sock) and not is_open(peer):
                pairs[index] = socket.socketpair()
        elif what == "register":
            text = outcome(lambda: selector.register(sock, events, label).events)
        elif what == "modify":
            # Python's SelectSelector registers again: it loses the key of a closed object, and
            # replaces the object with another one that now has its number.
            key = selector.get_map().get(sock) if is_open(sock) else None
            if name != "select" or is_open(sock) and (key is None or key.fileobj is sock):
                text = outcome(lambda: selector.modify(sock, events, label).data)
        elif what == "unregister":
            text = outcome(lambda: selector.unregister(sock).data)
        elif what == "get":
            text = outcome(lambda: selector.get_key(sock).data)
        elif what == "write" and is_open(peer) and is_open(sock):
            peer.send(b"x")
        elif what == "read" and is_open(sock):
            sock.setblocking(False)
            text = outcome(lambda: len(sock.recv(1)))
        elif what == "close":
            sock.close()
        elif what == "hang up":
            peer.close()
        elif what == "select":
            text = outcome(
                lambda: sorted((key.data, events) for key, events in selector.select(0))
            )
        texts.append(text)
    selector.close()
    for ends in pairs:
        for end in ends:
            end.close()
    return "|".join(texts)


OPERATIONS = {
    "constants": constants,
    "reported": reported,
    "errors of selector": errors_of_selector,
    "errors of objects": errors_of_objects,
    "sequence": sequence,
}
