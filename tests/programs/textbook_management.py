"""The management server and client as a textbook writes them.

Both take the data of each receive for one message, and the server trusts its client.
"""

import json
import os

from harness import connect

BUFSIZ = 1024


class TextbookServer:
    """Serves that many clients of a listening socket, one after another, in `root`."""

    def __init__(self, root, encoding="utf-8", clients=1):
        self.directory = root
        self.encoding = encoding
        self.clients = clients

    def __call__(self, sock):
        for _ in range(self.clients):
            conn, _ = sock.accept()
            with conn:
                self.converse(conn)

    def converse(self, conn):
        conn.sendall("欢迎进入管理界面.".encode(self.encoding))
        while data := conn.recv(BUFSIZ):
            command = data.decode(self.encoding)
            if command == "dir":
                listing = "\n".join(sorted(os.listdir(self.directory))) or "nothing"
                conn.sendall(listing.encode(self.encoding))
            elif command.startswith("cd "):
                self.directory = os.path.join(self.directory, command[3:])
                conn.sendall(f"{command[3:]}成功".encode(self.encoding))
            else:
                self.put(conn, json.loads(command))

    def put(self, conn, header):
        assert set(header) == {"action", "filename", "file_size"}, header
        conn.sendall(json.dumps({"status": 200}).encode(self.encoding))
        left = header["file_size"]
        with open(os.path.join(self.directory, header["filename"]), "wb") as file:
            while left > 0:
                # May receive more than is left, if more has arrived: our client allows for this
                # mistake.
                data = conn.recv(BUFSIZ)
                if not data:
                    return
                file.write(data)
                left -= len(data)


class TextbookClient:
    """A session. `greeting` and each answer are the data of one receive."""

    def __init__(self, address, encoding="utf-8"):
        self.encoding = encoding
        self.sock = connect(address)
        self.greeting = self.sock.recv(BUFSIZ).decode(encoding)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, command):
        self.sock.sendall(command.encode(self.encoding))
        return self.sock.recv(BUFSIZ).decode(self.encoding)

    def ask_object(self, value):
        """Sends an object, or text. Returns the answer as an object."""
        text = value if isinstance(value, str) else json.dumps(value)
        return json.loads(self.ask(text))

    def answer(self):
        """Returns the next answer as an object."""
        return json.loads(self.sock.recv(BUFSIZ).decode(self.encoding))

    def begin_put(self, name, size, **more):
        return self.ask_object({"action": "put", "filename": name, "file_size": size, **more})

    def put(self, name, data):
        """Puts a file. Returns the answer that permits it."""
        answer = self.begin_put(name, len(data))
        for begin in range(0, len(data), BUFSIZ):
            self.sock.sendall(data[begin : begin + BUFSIZ])
        return answer

    def put_with_ack(self, name, data):
        """Puts a file. Returns the final answer."""
        answer = self.begin_put(name, len(data), ack=True)
        if answer != {"status": 200}:
            raise AssertionError(answer)
        self.sock.sendall(data)
        return self.answer()
