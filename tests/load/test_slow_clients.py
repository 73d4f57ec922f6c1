"""slow_clients.py with few clients, for a moment."""

import os
import unittest

import slow_clients

PROGRAM = os.environ["PLUG_LOAD_SERVER"]


class SlowClients(unittest.TestCase):
    def test_a_threading_server_serves_healthy_clients_and_gives_all_back(self):
        slow_clients.threading(PROGRAM, clients=100, seconds=0.5)

    @unittest.skipUnless("PLUG_HAS_FIBERS" in os.environ, "plug has been built without fibers")
    def test_fibers_serve_many_and_give_all_back(self):
        slow_clients.fibers(PROGRAM, slow=100, asking=50, seconds=0.5)
        slow_clients.idle(PROGRAM, clients=200, seconds=0.3)

    def test_slow_clients_of_one_address_leave_a_pool_to_others(self):
        slow_clients.pool(PROGRAM, clients=40, seconds=1, idle=2.0)


if __name__ == "__main__":
    unittest.main()
