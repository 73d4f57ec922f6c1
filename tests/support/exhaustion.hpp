#pragma once

// For servers that run out of file descriptors.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "support/process.hpp"
#include "support/serving.hpp"

/// Lets 500 clients exhaust the file descriptors of a server of the class Base. Returns 0 if the
/// server calls handle_exhaustion() and yet answers all clients; otherwise the number of the failed
/// check. Handlers call `let_others_go_on` until the descriptors are exhausted.
template <class Base>
int outlives_a_run_on_descriptors(void (*let_others_go_on)()) {
  // In a child process with a low limit on file descriptors.
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
          // No handler ends before the descriptors are exhausted.
          while (static_cast<Telling&>(by).told == 0) let_others_go_on();
          request->sendall(data);
        },
        false);
    server.request_queue_size = 1000;
    server.server_bind();
    server.server_activate();
    // The clients are in another process, which has no such limit.
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
