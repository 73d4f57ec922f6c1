// Tests Framers with a Python program that implements the framings by hand (framing_peer.py).

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/process.hpp"
#include "support/sockets.hpp"

using namespace std::string_literals;

namespace plug {
namespace {

/// The Python program, connected to a socket of the test. It ends when that socket is closed.
class PythonPeer {
 public:
  explicit PythonPeer(const std::string& what) {
    Socket listener = tcp_listener();
    listener.settimeout(30);
    const std::string port = std::to_string(listener.getsockname().port());
    runs_ = std::thread([this, what, port] {
      output_ = run_program(
          {"python3", source_path("tests/integration/framing_peer.py"), what, port}, status_);
    });
    std::error_code error;
    sock = listener.accept(error).first;
    EXPECT_FALSE(error) << error.message();
    sock.settimeout(30);
  }
  ~PythonPeer() {
    std::error_code ignored;
    sock.close(ignored);
    runs_.join();
    EXPECT_EQ(status_, 0) << output_;
    EXPECT_EQ(output_, "done\n");
  }

  Socket sock{Socket(AF::INET)};

 private:
  std::string output_;
  int status_ = -1;
  std::thread runs_;
};

Bytes reversed(const Bytes& bytes) { return {bytes.rbegin(), bytes.rend()}; }

Bytes counted(std::size_t size) {
  Bytes text;
  while (text.size() < size) text += std::to_string(text.size()) + ' ';
  text.resize(size);
  return text;
}

/// Sends messages one by one, then several before it reads the first answer.
void expect_echo(const std::string& what, const Framing& framing,
                 const std::vector<Bytes>& messages) {
  SCOPED_TRACE(what);
  PythonPeer peer(what);
  Framer framer(peer.sock, framing);
  for (const Bytes& message : messages) {
    framer.send(message);
    EXPECT_TRUE(framer.recv() == reversed(message)) << message.size();
  }
  std::thread sender([&] {
    for (const Bytes& message : messages) framer.send(message);
    peer.sock.shutdown(SHUT::WR);
  });
  for (const Bytes& message : messages)
    EXPECT_TRUE(framer.recv() == reversed(message)) << message.size();
  EXPECT_EQ(framer.recv(), std::nullopt);
  sender.join();
}

TEST(PythonPeer, UnderstandsLengthPrefixesOfEveryWidthAndOrder) {
  const std::vector<Bytes> small = {"a", "", "\0\xff\n"s, counted(255)};
  const std::vector<Bytes> large = {"a", "", "\0\xff\n"s, counted(65'535)};
  const std::vector<Bytes> huge = {"a", "", "\0\xff\n"s, counted(70'000), counted(1 << 20)};
  expect_echo("!B", LengthPrefix{1}, small);
  expect_echo("!H", LengthPrefix{2}, large);
  expect_echo("<H", LengthPrefix{2, ByteOrder::little}, large);
  expect_echo("!I", LengthPrefix{}, huge);
  expect_echo("<I", LengthPrefix{4, ByteOrder::little}, huge);
  expect_echo("!Q", LengthPrefix{8}, huge);
  expect_echo("<Q", LengthPrefix{8, ByteOrder::little}, huge);
}

TEST(PythonPeer, UnderstandsVarints) {
  expect_echo(
      "varint", VarintPrefix{},
      {"", "a", counted(127), counted(128), counted(16'383), counted(16'384), counted(300'000)});
}

TEST(PythonPeer, UnderstandsLines) {
  expect_echo("lines", Delimiter{"\n"}, {"", "a", "\0\xff"s, counted(100'000)});
}

/// Returns a JSON header as both sides write it.
Bytes header(std::string_view name, std::size_t size) {
  return "{\"name\": \"" + Bytes(name) + "\", \"size\": " + std::to_string(size) + "}";
}

std::uint64_t sum(const Bytes& bytes) {
  std::uint64_t total = 0;
  for (const char byte : bytes) total += static_cast<unsigned char>(byte);
  return total;
}

TEST(PythonPeer, ExchangesJsonHeadersFollowedByRawBytesBothWays) {
  PythonPeer peer("json");
  Framer framer(peer.sock, Delimiter{"\n"});
  const std::vector<Bytes> files = {"", "x", "\n{}\n", counted(64 << 10), counted(5 << 20)};
  std::thread sender([&] {
    for (std::size_t i = 0; i < files.size(); ++i) {
      framer.send(header("file" + std::to_string(i), files[i].size()));
      peer.sock.sendall(files[i]);
    }
    peer.sock.shutdown(SHUT::WR);
  });
  for (std::size_t i = 0; i < files.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(framer.recv(), "{\"name\": \"file" + std::to_string(i) +
                                 ".back\", \"size\": " + std::to_string(files[i].size()) +
                                 ", \"sum\": " + std::to_string(sum(files[i])) + "}");
    Bytes back;
    EXPECT_EQ(framer.copy(files[i].size(), [&](BytesView piece) { back += piece; }),
              files[i].size());
    EXPECT_TRUE(back == reversed(files[i]));
  }
  EXPECT_EQ(framer.recv(), std::nullopt);
  sender.join();
}

}  // namespace
}  // namespace plug
