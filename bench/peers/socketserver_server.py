"""Python's socketserver: a thread for each connection. Prints its port.

socketserver_server.py [echo|sink]
"""

import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Sink(socketserver.BaseRequestHandler):
    def handle(self):
        total = 0
        while data := self.request.recv(65536):
            total += len(data)
        self.request.sendall(total.to_bytes(8, "little"))


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 4096
    daemon_threads = True


with Server(("127.0.0.1", 0), Sink if sys.argv[1:] == ["sink"] else Echo) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
