// Waits of files, framers and request handlers.

#include <plug/framing.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/socketserver.hpp>

#include <gtest/gtest.h>

#include "support/waits.hpp"

namespace waits {

using plug::Bytes;
using plug::File;
using plug::Framer;
using plug::Timeout;

namespace {

const std::string kMuch(std::size_t{4} << 20, 'x');

struct Stream : Pair {
  std::optional<File> file;
  std::optional<Framer> framer;
  Drain drain;

  // Shuts the peer down, so that a file with buffered data fails to write it and does not block.
  ~Stream() {
    std::error_code gone;
    peer.shutdown(plug::SHUT::RDWR, gone);
  }
};

std::shared_ptr<Stream> make_stream(Timeout timeout, const char* mode) {
  auto ends = plug::socketpair();
  auto stream = std::make_shared<Stream>();
  static_cast<Pair&>(*stream) = Pair{std::move(ends.first), std::move(ends.second)};
  stream->sock.settimeout(timeout);
  if (mode != nullptr) stream->file.emplace(stream->sock.makefile(mode));
  stream->framer.emplace(stream->sock, plug::Delimiter("\n"));
  return stream;
}

/// `read` has received "part" and waits for the end of the line, or for the end of the stream.
template <class F>
Wait reading(Timeout timeout, const char* mode, F read) {
  auto stream = make_stream(timeout, mode);
  stream->peer.sendall("part");
  return {.call = [stream, read] { read(*stream); },
          .let_go =
              [stream] {
                std::error_code gone;
                stream->peer.sendall(" and the rest\n", gone);
                stream->peer.shutdown(plug::SHUT::WR, gone);
              }};
}

/// A scenario without a timeout: as in Python, a file cannot be read after a timeout.
template <class F>
Scenario of_reading(std::string_view name, const char* mode, F read) {
  return {name, "recv", "stream/reader.cpp", 0,
          [mode, read](Timeout timeout) { return reading(timeout, mode, read); }};
}

template <class F>
Scenario of_framer(std::string_view name, F read) {
  return {name, "recv", "framing/receive.cpp", kTimed,
          [read](Timeout timeout) { return reading(timeout, nullptr, read); }};
}

template <class F>
Wait writing(Timeout timeout, const char* mode, F write) {
  auto stream = make_stream(timeout, mode);
  return {.call = [stream, write] { write(*stream); },
          .let_go = [stream] { stream->drain.begin(stream->peer.fileno()); }};
}

Wait flushing(Timeout timeout) {
  auto stream = make_stream(timeout, nullptr);
  stream->file.emplace(stream->sock.makefile("wb", {.buffering = 8 << 20}));
  stream->file->write(kMuch);
  return {.call = [stream] { stream->file->flush(); },
          .let_go = [stream] { stream->drain.begin(stream->peer.fileno()); }};
}

/// Waits while a handler flushes its files. It has written more than the client reads.
Wait finishing(Timeout timeout) {
  class Handler : public plug::StreamRequestHandler {
   public:
    Handler() { wbufsize = 8 << 20; }
    void handle() override { wfile.write(kMuch); }
  };
  auto stream = make_stream(std::nullopt, nullptr);
  auto server =
      std::make_shared<plug::TCPServer>(plug::HostPort("127.0.0.1", 0), plug::handler<Handler>);
  return {.call =
              [stream, server, timeout] {
                plug::Socket copy = stream->sock.dup();
                copy.settimeout(timeout);
                plug::Request request(std::move(copy));
                server->finish_request(request, plug::Address());
              },
          .let_go = [stream] { stream->drain.begin(stream->peer.fileno()); }};
}

}  // namespace

std::vector<Scenario> of_streams() {
  return {
      of_reading("File::read", "rb", [](Stream& it) { (void)it.file->read(); }),
      of_reading("File::read(n)", "rb", [](Stream& it) { (void)it.file->read(10); }),
      of_reading("File::readinto", "rb",
                 [](Stream& it) {
                   char room[10];
                   (void)it.file->readinto(room);
                 }),
      of_reading("File::readline", "rb", [](Stream& it) { (void)it.file->readline(); }),
      of_reading("File::readline of text", "r", [](Stream& it) { (void)it.file->readline(); }),
      of_reading("File::readlines", "r", [](Stream& it) { (void)it.file->readlines(); }),
      {"File::write", "send", "stream/stream.cpp", kTimed,
       [](Timeout t) { return writing(t, "wb", [](Stream& it) { it.file->write(kMuch); }); }},
      {"File::flush", "send", "stream/stream.cpp", kTimed, flushing},
      {"File::close", "send", "stream/stream.cpp", kTimed,
       [](Timeout t) {
         return writing(t, nullptr, [](Stream& it) {
           File file = it.sock.makefile("wb", {.buffering = 8 << 20});
           file.write(kMuch);
           file.close();
         });
       }},
      {"~File", "send", "stream/stream.cpp", kEndsAtOnce,
       [](Timeout t) {
         return writing(t, nullptr, [](Stream& it) {
           File file = it.sock.makefile("wb", {.buffering = 8 << 20});
           file.write(kMuch);
         });
       }},
      {"StreamRequestHandler::finish", "send", "server/request_handler.cpp", 0, finishing},
      of_framer("Framer::recv", [](Stream& it) { (void)it.framer->recv(); }),
      of_framer("Framer::readexactly", [](Stream& it) { (void)it.framer->readexactly(10); }),
      of_framer("Framer::readinto",
                [](Stream& it) {
                  char room[10];
                  it.framer->readinto(room);
                }),
      of_framer("Framer::skip", [](Stream& it) { it.framer->skip(plug::FixedSize{10}); }),
      of_framer("Framer::recv of a long message",
                [](Stream& it) { (void)it.framer->recv(plug::FixedSize{10}); }),
      {"Framer::copy", "recv", "framing/receive.cpp", kTimed,
       [](Timeout t) {
         return reading(t, nullptr, [](Stream& it) { it.framer->copy(5, [](plug::BytesView) {}); });
       }},
      {"Framer::send", "sendmsg", "socket/state.cpp", kTimed,
       [](Timeout t) {
         return writing(t, nullptr,
                        [](Stream& it) { it.framer->send(kMuch, plug::LengthPrefix{}); });
       }},
  };
}

}  // namespace waits
