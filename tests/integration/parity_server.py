"""The operations of parity_server_test.cpp on Python's socketserver module.

Each operation returns a trace: the hooks in the order of their calls, first those of the loop, then
those of the request's own thread or process.
"""

import os
import socket
import socketserver
import tempfile
import threading

CLASSES = {
    name: getattr(socketserver, name, None)
    for name in """
    TCPServer UDPServer UnixStreamServer UnixDatagramServer
    ThreadingTCPServer ThreadingUDPServer ThreadingUnixStreamServer ThreadingUnixDatagramServer
    ForkingTCPServer ForkingUDPServer
    """.split()
}
for kind in ("Stream", "Datagram"):  # they came with 3.12
    base = getattr(socketserver, f"Unix{kind}Server")
    CLASSES[f"ForkingUnix{kind}Server"] = type("Forking", (socketserver.ForkingMixIn, base), {})

ERRORS = {
    "ValueError": lambda: ValueError("as told"),
    "OSError": lambda: OSError(104, "as told"),
    "BaseException": lambda: BaseException("as told"),
}
HOOKS = """
    server_bind server_activate server_close get_request verify_request process_request
    finish_request shutdown_request close_request handle_timeout
""".split()

threading.excepthook = lambda *_: None


def name_of(error):
    if isinstance(error, OSError):
        return f"OSError {error.errno}"
    return type(error).__name__


class Trace:
    def __init__(self, failing="", error=""):
        self.file = tempfile.TemporaryFile()
        self.owner = (os.getpid(), threading.get_ident())
        self.failing = failing.split()
        self.error = error

    def add(self, text):
        """Appends a line. Raises if the hook is to fail."""
        here = (os.getpid(), threading.get_ident()) == self.owner
        os.write(self.file.fileno(), f"{'L' if here else 'R'} {text}\n".encode())
        if text.split()[0] in self.failing:
            raise ERRORS[self.error]()

    def text(self):
        self.file.seek(0)
        lines = self.file.read().decode().splitlines()
        parts = [" ".join(line[2:] for line in lines if line[0] == who) for who in "LR"]
        return " | ".join(parts)

    def run(self, call):
        try:
            return call()
        except BaseException as error:
            self.failing = []
            self.add(f"raised {name_of(error)}")
            return None


def traced(name, trace):
    """Returns a class, derived from the server `name`, that records its hooks."""
    base = CLASSES[name]

    def hook(name):
        def call(self, *arguments):
            trace.add(name)
            if name == "verify_request" and "refused" in trace.failing:
                return False
            return getattr(base, name)(self, *arguments)

        return call

    def handle_error(self, request, client_address):
        import sys

        trace.add(f"handle_error {name_of(sys.exc_info()[1])}")

    def service_actions(self):
        trace.add("service_actions")
        base.service_actions(self)
        self._BaseServer__shutdown_request = True

    members = {name: hook(name) for name in HOOKS}
    members.update(handle_error=handle_error, service_actions=service_actions)
    return type("Traced", (base,), members)


def handler(name, trace):
    base = socketserver.StreamRequestHandler
    if "UDP" in name or "Datagram" in name:
        base = socketserver.DatagramRequestHandler

    class Handler(base):
        def setup(self):
            trace.add("setup")
            super().setup()

        def handle(self):
            trace.add("handle")
            self.wfile.write(self.rfile.readline().upper())

        def finish(self):
            trace.add("finish")
            super().finish()

    return Handler


def address_for(name, directory):
    return os.path.join(directory, "server") if "Unix" in name else ("127.0.0.1", 0)


def client_for(name, server):
    datagrams = "UDP" in name or "Datagram" in name
    family = socket.AF_UNIX if "Unix" in name else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    client.settimeout(20)
    if datagrams:
        client.bind("" if "Unix" in name else ("127.0.0.1", 0))
    client.connect(server.server_address)
    client.sendall(b"line\nrest")
    return client


def settle():
    """Waits until the request's thread or process has ended."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        pass


def request(name, how, failing, error):
    """Serves one request, from opening to closing."""
    trace = Trace(failing, error)
    with tempfile.TemporaryDirectory() as directory:
        make = lambda: traced(name, trace)(address_for(name, directory), handler(name, trace))
        server = trace.run(make)
        if server is None:
            return trace.text()
        with client_for(name, server) as client:
            trace.run(getattr(server, how))
            if not failing:
                trace.add(client.recv(100).decode().strip())
            settle()
        trace.run(server.server_close)
        return trace.text()


def timeout(name, servers, sockets):
    """Handles a request that nobody makes."""
    trace = Trace()
    with tempfile.TemporaryDirectory() as directory:
        with traced(name, trace)(address_for(name, directory), handler(name, trace)) as server:
            server.timeout = None if servers == "None" else float(servers)
            server.socket.settimeout(None if sockets == "None" else float(sockets))
            trace.run(server.handle_request)
    return trace.text()


def shutdown(name, when):
    trace = Trace()
    with tempfile.TemporaryDirectory() as directory:
        server = traced(name, trace)(address_for(name, directory), handler(name, trace))
        with server, client_for(name, server):
            if when == "before":
                stopper = threading.Thread(target=server.shutdown)
                stopper.start()
                while not server._BaseServer__shutdown_request:
                    pass
                server.serve_forever()
                stopper.join()
            elif when == "after":
                server.serve_forever()
                server.shutdown()
                server.serve_forever()
            trace.add("next")
            server.socket.setblocking(False)
            server.serve_forever(0)
            settle()
    return trace.text()


def opening(name, *steps):
    """Runs the steps of a server that its constructor does not open."""
    trace = Trace()
    with tempfile.TemporaryDirectory() as directory:
        path = address_for(name, directory)
        server = traced(name, trace)(path, handler(name, trace), bind_and_activate=False)
        for step in steps:
            if step == "taken":
                trace.run(lambda: traced(name, trace)(server.server_address, handler(name, trace)))
            else:
                trace.run(getattr(server, step))
        options = server.fileno() >= 0 and [
            server.socket.getsockopt(socket.SOL_SOCKET, option)
            for option in (socket.SO_REUSEPORT, socket.SO_ACCEPTCONN)
        ]
        server.server_close()
        return f"{trace.text()} {options}"


def attributes(name):
    values = CLASSES[name].__dict__
    cls = CLASSES[name]
    # The table of docs/python-to-plug.md lists those that differ.
    names = """timeout address_family socket_type allow_reuse_port max_packet_size daemon_threads
               block_on_close max_children"""
    shown = []
    for attribute in names.split():
        if hasattr(cls, attribute):
            value = getattr(cls, attribute)
            shown.append(f"{attribute}={int(value) if value is not None else None}")
    return " ".join(shown)


OPERATIONS = {
    "request": request,
    "timeout": timeout,
    "shutdown": shutdown,
    "opening": opening,
    "attributes": attributes,
}
