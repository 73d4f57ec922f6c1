#pragma once

// Network servers. A server calls a handler class (server/request_handler.hpp) for each request.
//
//   struct Echo : StreamRequestHandler {
//     void handle() override {
//       for (Bytes& line : rfile) wfile.write(line);
//     }
//   };
//   ThreadingTCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//   server.serve_forever();
//
//                    one at a time       a thread each                  a process each
//   TCP              TCPServer           ThreadingTCPServer             ForkingTCPServer
//   UDP              UDPServer           ThreadingUDPServer             ForkingUDPServer
//   Unix, stream     UnixStreamServer    ThreadingUnixStreamServer      ForkingUnixStreamServer
//   Unix, datagrams  UnixDatagramServer  ThreadingUnixDatagramServer    ForkingUnixDatagramServer
//
// ThreadPoolTCPServer and the other ThreadPool servers use a bounded number of threads.
// server/group.hpp has groups of servers on one address. fiber/server.hpp has servers that handle
// each request in a fiber.
//
// Hooks. Each step is a virtual function that a subclass may override, as in Python. One hook has
// another name: a subclass overrides try_get_request() instead of get_request().
//
//   opening   server_bind, server_activate
//   serving   try_get_request, verify_request, process_request -> finish_request,
//             shutdown_request -> close_request; service_actions in each turn; handle_timeout,
//             handle_error
//   closing   server_close
//
// Subclasses. Virtual hooks must not run before the subclass is constructed or after it is
// destroyed. Therefore wrap your class T in Server<T>, which opens the server once T is
// constructed. Before any part of T is destroyed, Server<T> closes the server, joins its threads
// and reaps its children:
//
//   class Counting : public ThreadingTCPServer {
//    public:
//     using ThreadingTCPServer::ThreadingTCPServer;
//     bool verify_request(Request&, const Address&) override { return ++seen_ < 100; }
//    private:
//     int seen_ = 0;
//   };
//   Server<Counting> server({"127.0.0.1", 8000}, handler<Echo>);
//
// The attributes (allow_reuse_address, request_queue_size ...) are data members. A subclass sets
// them in its constructor. The constructor of each server also takes them as options
// (server/options.hpp):
//
//   TCPServer server({"::1", 8000}, handler<Echo>, {.request_queue_size = 5});
//
// Address. The family of a TCP or UDP server is AF::INET6 for a numeric IPv6 host, otherwise
// AF::INET, also for names (see BaseServer::address_family). Instead of an address, a server also
// takes a socket that is bound already: TCPServer server(std::move(listener), handler<Echo>).
//
// Errors. If handling a request throws, the server calls handle_error() and continues, even if the
// exception is not a std::exception. Only BaseException (error.hpp), such as CancelledError, and
// pthread_exit(3) bypass handle_error(). A client that disconnects before it is accepted is
// skipped. Do not call pthread_cancel(3) on a thread that uses plug: if it interrupts a call that
// waits, or a destructor that closes a file descriptor, the process ends by std::terminate().
//
// Stopping. shutdown() and stop_serving() end serve_forever(). Requests that are being handled
// continue, as in Python. A program that should exit on SIGINT and SIGTERM, and give such requests
// some seconds to finish, calls serve_until_signal() instead of serve_forever():
//
//   server.serve_until_signal({.drain = 10s});
//
// Threads. One thread serves. Any other thread may call shutdown() and stop_serving(), and also
// server_close() if the handlers run in threads. Do not change the attributes of a server while it
// serves.
//
// Python: https://docs.python.org/3/library/socketserver.html

#include <plug/server/base.hpp>
#include <plug/server/options.hpp>
#include <plug/server/pool.hpp>
#include <plug/server/processes.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/server/server.hpp>
#include <plug/server/servers.hpp>
#include <plug/server/threads.hpp>
