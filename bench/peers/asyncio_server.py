"""Python's asyncio, with protocols: its manual's way to high performance. Prints its port.

asyncio_server.py [echo|sink|udp]
"""

import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Sink(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.total = 0

    def data_received(self, data):
        self.total += len(data)

    def eof_received(self):
        self.transport.write(self.total.to_bytes(8, "little"))


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def main(what):
    loop = asyncio.get_running_loop()
    host = ("127.0.0.1", 0)
    if what == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=host)
        print(transport.get_extra_info("sockname")[1], flush=True)
    else:
        server = await loop.create_server(Sink if what == "sink" else Echo, *host, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main((sys.argv + ["echo"])[1]))
