#pragma once

// A server of which more is asked than it has descriptors for.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "support/process.hpp"
#include "support/serving.hpp"

/// Whether a server of the class Base says so when there are no descriptors to spare, and in the
/// end has answered all of 500 clients: 0, or which part of that is not true. Its handlers call
/// `let_others_go_on` while they wait for that.
template <class Base>
int outlives_a_run_on_descriptors(void (*let_others_go_on)()) {
  // In a process of its own, which has few.
  return run_in_child([let_others_go_on] {
    struct Telling : Base {
      using Base::Base;
      void handle_exhaustion(const plug::OSError& error) override {
        ++told;
        if (error.number() != EMFILE) told = 1000;
      }
      std::atomic<int> told{0};
    };
    const int more = 64 - count_descriptors();
    if (more < 0) return 1;
    plug::Server<Telling> server(
        {"127.0.0.1", 0},
        [let_others_go_on](plug::Request& request, const plug::Address&, plug::BaseServer& by) {
          request->settimeout(20);
          const plug::Bytes data = request->recv(100);
          // Nobody leaves before there are none to spare.
          while (static_cast<Telling&>(by).told == 0) let_others_go_on();
          request->sendall(data);
        },
        false);
    server.request_queue_size = 1000;
    server.server_bind();
    server.server_activate();
    // The clients are another process, which has as many as it likes.
    const plug::Address address = server.server_address;
    const int clients = fork();
    if (clients == 0) {
      std::vector<plug::Socket> all;
      for (int i = 0; i < 500; ++i) all.push_back(client_of(address));
      for (plug::Socket& client : all) client.sendall("x");
      for (plug::Socket& client : all)
        if (client.recv(10) != "x") _exit(1);
      _exit(0);
    }
    const rlimit few{64, 64};
    setrlimit(RLIMIT_NOFILE, &few);
    {
      const Serving serving(server);
      int ended = -1;
      if (waitpid(clients, &ended, 0) != clients || ended != 0) return 2;
      if (ask(server.server_address, "after") != "after") return 3;
    }
    return server.told > 0 && server.told < 1000 ? 0 : 4;
  });
}
