// Compares messages, descriptors and files with Python's socket module.

#include <plug/plug.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/parity.hpp"

namespace plug {
namespace {

using namespace parity;

// --- plug's side ---

std::string cmsg(const Case& c) {
  return std::to_string(c[1] == "CMSG_LEN" ? CMSG::LEN(wide(c[2])) : CMSG::SPACE(wide(c[2])));
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

std::vector<std::string> buffers(const std::string& text) {
  std::vector<std::string> all;
  for (const std::string& word : words(text)) all.push_back(unhex(word.substr(1)));
  return all;
}

std::vector<ControlMessage> items(const std::string& text) {
  std::vector<ControlMessage> all;
  for (const std::string& word : words(text)) {
    const std::size_t first = word.find(':');
    const std::size_t second = word.find(':', first + 1);
    all.emplace_back(number(word.substr(0, first)),
                     number(word.substr(first + 1, second - first - 1)),
                     unhex(word.substr(second + 1)));
  }
  return all;
}

std::string shown(const std::string& what, const AncillaryData& ancdata, MSG flags,
                  const Address& address) {
  std::string text;
  for (const ControlMessage& item : ancdata) {
    text += (text.empty() ? "(" : ", (") + std::to_string(item.level) + ", " +
            std::to_string(item.type) + ", ";
    text += item.level == 1 ? std::to_string(item.data.size()) + " bytes" : hex(item.data);
    text += ")";
  }
  return what + " [" + text + "] " + std::to_string(static_cast<int>(flags)) +
         (address ? " an address" : " no address");
}

std::pair<Socket, Socket> pair(const std::string& kind) {
  auto ends = socketpair(AF::UNIX, SOCK{number(kind)});
  ends.first.setblocking(false);
  ends.second.setblocking(false);
  return ends;
}

std::string exchange(const Case& c) {
  auto [first, second] = pair(c[1]);
  const std::size_t count = first.sendmsg(buffers(c[2]), items(c[3]));
  const ReceivedMessage got = second.recvmsg(wide(c[4]), wide(c[5]), MSG{number(c[6])});
  return std::to_string(count) + " " + shown(hex(got.data), got.ancdata, got.flags, got.address);
}

std::string exchange_into(const Case& c) {
  auto [first, second] = pair(c[1]);
  first.sendmsg(buffers(c[2]));
  std::vector<std::string> room;
  for (const std::string& size : words(c[3]))
    room.emplace_back(static_cast<std::size_t>(number(size)), '.');
  const ReceivedInto got = second.recvmsg_into(room, wide(c[4]), MSG{number(c[5])});
  std::string text = shown(std::to_string(got.count), got.ancdata, got.flags, got.address) + " ";
  for (std::size_t i = 0; i < room.size(); ++i) text += (i > 0 ? " " : "") + hex(room[i]);
  return text;
}

std::string datagram(const Case& c) {
  Socket receiver = make(c[1], "2");
  Socket sender = make(c[1], "2");
  receiver.bind({c[1] == "2" ? "127.0.0.1" : "::1", 0});
  receiver.settimeout(20);
  for (const std::string& option : words(c[2])) {
    const std::size_t colon = option.find(':');
    receiver.setsockopt(number(option.substr(0, colon)), number(option.substr(colon + 1)), 1);
  }
  sender.sendmsg({"abc"}, items(c[3]), receiver.getsockname());
  const ReceivedMessage got = receiver.recvmsg(2, wide(c[4]));
  return shown(hex(got.data), got.ancdata, got.flags, got.address);
}

Socket in_state(const Case& c) {
  Socket sock = make(c[1], c[2]);
  sock.setblocking(false);
  if (c[3] == "closed") sock.close();
  return sock;
}

std::string bad_send(const Case& c) {
  return std::to_string(in_state(c).sendmsg({"x"}, items(c[4]), MSG{number(c[5])}));
}

std::string bad_receive(const Case& c) {
  const ReceivedMessage got = in_state(c).recvmsg(wide(c[4]), wide(c[5]), MSG{number(c[6])});
  return shown(hex(got.data), got.ancdata, got.flags, got.address);
}

std::string fds(const Case& c) {
  auto [first, second] = pair(c[1]);
  const std::size_t sent =
      send_fds(first, buffers(c[2]), std::vector<int>(static_cast<std::size_t>(number(c[3])), 0));
  const ReceivedFds got = recv_fds(second, wide(c[4]), wide(c[5]));
  return std::to_string(sent) + " " + hex(got.data) + " " + std::to_string(got.fds.size()) + " " +
         std::to_string(static_cast<int>(got.flags));
}

/// Computes the same checksum as zlib.
std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t sum = ~0u;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
  }
  return ~sum;
}

std::string sendfile(const Case& c) {
  auto [first, second] = socketpair(AF::UNIX, SOCK{number(c[1])});
  if (c[2] != "None") first.settimeout(std::stod(c[2]));
  second.setblocking(false);
  const OwnedFd file(::memfd_create("plug", MFD_CLOEXEC));
  std::string content;
  for (int n = 0; n < number(c[3]); ++n) content += static_cast<char>(n % 251);
  EXPECT_EQ(::write(file.fileno(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  ::lseek(file.fileno(), wide(c[4]), SEEK_SET);
  std::string text;
  try {
    std::optional<std::int64_t> count;
    if (c[6] != "None") count = wide(c[6]);
    text = std::to_string(first.sendfile(file.fileno(), wide(c[5]), count)) + " ";
  } catch (const TimeoutError& error) {
    text = "TimeoutError " + error.strerror() + " ";
  } catch (const OSError& error) {
    text = "OSError [Errno " + std::to_string(error.number()) + "] " + error.strerror() + " ";
  } catch (const ValueError& error) {
    const std::string what = error.what();
    text = "ValueError " + what.substr(0, what.find(':')) + " ";
  }
  std::string arrived;
  std::error_code error;
  for (Bytes piece = second.recv(1 << 20, error); !error && !piece.empty();
       piece = second.recv(1 << 20, error))
    arrived += piece;
  return text + std::to_string(arrived.size()) + " " + std::to_string(crc32(arrived)) + " " +
         std::to_string(::lseek(file.fileno(), 0, SEEK_CUR));
}

const Operations& operations() {
  static const Operations table = {
      {"cmsg", cmsg},         {"exchange", exchange}, {"exchange_into", exchange_into},
      {"datagram", datagram}, {"bad_send", bad_send}, {"bad_receive", bad_receive},
      {"fds", fds},           {"sendfile", sendfile},
  };
  return table;
}

// --- the cases ---

const std::string kStream = "1", kDatagram = "2", kSeqpacket = "5";

TEST(PythonParity, HoldsForControlSizes) {
  std::vector<Case> cases;
  for (const std::string name : {"CMSG_LEN", "CMSG_SPACE"}) {
    for (int length = 0; length < 40; ++length)
      cases.push_back({"cmsg", name, std::to_string(length)});
    for (std::int64_t length = 0x7fffffff - 40; length <= 0x7fffffff + std::int64_t{8}; ++length)
      cases.push_back({"cmsg", name, std::to_string(length)});
    for (const std::string length : {"-1", "-9223372036854775808", "9223372036854775807"})
      cases.push_back({"cmsg", name, length});
  }
  expect_parity(operations(), "parity_messages.py", cases, 170);
}

TEST(PythonParity, HoldsForMessagesAndTheirAncillaryData) {
  std::vector<Case> cases;
  const std::string one = "1:1:00000000";
  const std::string two = "1:1:0000000001000000";
  const std::vector<std::string> ancillary = {"",
                                              one,
                                              two,
                                              one + " " + two,
                                              "1:1:ffffffff",
                                              "1:1:",
                                              "1:1:00",
                                              "1:1:000000",
                                              "1:9:00000000",
                                              "1:2:00",
                                              "1:2:000000000000000000000000",
                                              "7:1:00000000"};
  for (const std::string& kind : {kStream, kDatagram, kSeqpacket}) {
    for (const std::string sent : {"x", "x616263", "x61 x x6263", ""})
      for (const std::string& items : ancillary)
        cases.push_back({"exchange", kind, sent, items, "2", "64", "0"});
    for (int size = 0; size <= 48; ++size)
      cases.push_back({"exchange", kind, "x61", two, "10", std::to_string(size), "0"});
    for (const std::string size : {"-1", "0", "1"})
      for (const std::string ancsize : {"-1", "-9223372036854775808", "0", "2147483648"})
        for (const std::string flags : {"0", "2", "0x20", "0x40000000"})
          cases.push_back({"exchange", kind, "x6162", one, size, ancsize, flags});
    for (const std::string sizes : {"", "0", "1", "1 1", "0 2 0 9", "1 2 3"})
      for (const std::string flags : {"0", "2", "0x20"})
        cases.push_back({"exchange_into", kind, "x616263 x64", sizes, "0", flags});
    cases.push_back({"exchange_into", kind, "x61", "1", "-1", "0"});
  }
  expect_parity(operations(), "parity_messages.py", cases, 400);
}

TEST(PythonParity, HoldsForAncillaryDataOfDatagrams) {
  std::vector<Case> cases;
  const std::vector<std::string> options4 = {"",     "0:12", "0:13",     "0:8", "0:12 0:13 0:8",
                                             "1:29", "1:35", "1:29 0:12"};
  const std::vector<std::string> items4 = {"",
                                           "0:2:07000000",
                                           "0:1:10",
                                           "0:1:10000000",
                                           "0:2:07000000 0:1:20000000",
                                           "0:2:00000000",
                                           "0:2:07",
                                           "0:8:010000007f00000100000000",
                                           "0:8:0100",
                                           "0:99:00"};
  for (const std::string& options : options4) {
    for (const std::string& items : items4)
      for (const std::string ancsize : {"0", "100"})
        cases.push_back({"datagram", "2", options, items, ancsize});
    for (int ancsize = 1; ancsize < 90; ancsize += 3)
      cases.push_back({"datagram", "2", options, "", std::to_string(ancsize)});
  }
  for (const std::string options : {"", "41:51", "41:66", "41:49", "41:51 41:66 41:49"})
    for (const std::string items : {"", "41:52:09000000", "41:67:20000000", "41:52:09",
                                    "41:52:09000000 41:67:20000000", "41:52:ffff0000"})
      for (const std::string ancsize : {"0", "16", "20", "40", "200"})
        cases.push_back({"datagram", "10", options, items, ancsize});
  expect_parity(operations(), "parity_messages.py", cases, 450);
}

TEST(PythonParity, HoldsForMessagesThatAreImpossible) {
  std::vector<Case> cases;
  for (const std::string family : {"2", "10", "1"}) {
    for (const std::string& kind : {kStream, kDatagram}) {
      for (const std::string state : {"fresh", "closed"}) {
        for (const std::string items : {"", "1:1:00000000", "1:1:ffffffff", "0:2:00000000"})
          for (const std::string flags : {"0", "1", "0x40"})
            cases.push_back({"bad_send", family, kind, state, items, flags});
        for (const std::string size : {"-1", "0", "5"})
          for (const std::string ancsize : {"-1", "0", "64", "2147483648"})
            for (const std::string flags : {"0", "1"})
              cases.push_back({"bad_receive", family, kind, state, size, ancsize, flags});
      }
    }
  }
  expect_parity(operations(), "parity_messages.py", cases, 400);
}

TEST(PythonParity, HoldsForSentDescriptors) {
  std::vector<Case> cases;
  for (const std::string& kind : {kStream, kDatagram, kSeqpacket}) {
    for (const std::string sent : {"x61", "x61 x6263", ""})
      for (const std::string count : {"0", "1", "2", "3", "253", "254"})
        for (const std::string most : {"0", "1", "2", "3", "253"})
          cases.push_back({"fds", kind, sent, count, "10", most});
    for (const std::string most : {"-1", "536870907", "536870908", "4611686018427387903"})
      cases.push_back({"fds", kind, "x61", "1", "10", most});
    cases.push_back({"fds", kind, "x61", "1", "-1", "1"});
    cases.push_back({"fds", kind, "x6162", "1", "1", "1"});
  }
  expect_parity(operations(), "parity_messages.py", cases, 280);
}

TEST(PythonParity, HoldsForSentFilesAndTheirPositionsAfterwards) {
  std::vector<Case> cases;
  for (const std::string size : {"0", "1", "1000", "60000"})
    for (const std::string position : {"0", "7"})
      for (const std::string offset : {"0", "1", "999", "60000", "70000"})
        for (const std::string count : {"None", "1", "500", "1000000"})
          cases.push_back({"sendfile", kStream, "None", size, position, offset, count});
  for (const std::string timeout : {"None", "5", "0"})
    for (const std::string kind : {"1", "2"})
      for (const std::string count : {"None", "0", "-1", "-1000000000000", "3"})
        cases.push_back({"sendfile", kind, timeout, "100", "3", "5", count});
  cases.push_back({"sendfile", kStream, "None", "100", "3", "-1", "None"});
  // More data than the socket accepts while nobody reads.
  cases.push_back({"sendfile", kStream, "0.05", "3000000", "3", "5", "None"});
  expect_parity(operations(), "parity_messages.py", cases, 190);
}

}  // namespace
}  // namespace plug
