// The programs of tests/programs/textbook.py in C++, function by function, in about as many lines.

#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;

// --- the programs ---

constexpr int kChunk = 1024;
using Messages = std::vector<Bytes>;

std::string ctime_now() {
  const std::time_t now = std::time(nullptr);
  return strip(std::string(std::ctime(&now)));
}

template <class Converse>
void each_client(Socket& sock, int clients, Converse converse) {
  for (int i = 0; i < clients; ++i) converse(sock.accept().first);
}

template <class Answer>
void answer_chunks(Socket& sock, int clients, Answer answer) {
  each_client(sock, clients, [&](Socket conn) {
    for (Bytes data; !(data = conn.recv(kChunk)).empty();) conn.sendall(answer(data));
  });
}

Messages ask(const HostPort& address, const Messages& messages) {
  Socket sock = create_connection(address);
  Messages answers;
  for (const Bytes& message : messages) {
    sock.sendall(message);
    answers.push_back(sock.recv(kChunk));
  }
  return answers;
}

// --- time_echo, echo ---

void time_echo_server(Socket& sock, int clients = 1) {
  answer_chunks(sock, clients, [](const Bytes& data) { return "[" + ctime_now() + "] " + data; });
}

void time_echo_server_of_text(Socket& sock, int clients = 1) {
  answer_chunks(sock, clients,
                [](const Bytes& data) { return "[" + ctime_now() + "] b'" + data + "'"; });
}

void echo_server(Socket& sock, int clients = 1) {
  answer_chunks(sock, clients, [](const Bytes& data) { return data; });
}

const auto time_echo_client = ask, echo_client = ask;

// --- select ---

void select_server(Socket& sock, int clients = 1) {
  std::vector<Socket> conns;
  for (int left = clients; left > 0;) {
    std::vector<FileObject> watched(conns.begin(), conns.end());
    watched.push_back(sock);
    for (const FileObject& ready : select(watched, {}, {}).readable) {
      if (ready.fileno() == sock.fileno()) {
        conns.push_back(sock.accept().first);
        conns.back().sendall("hello");
        continue;
      }
      const auto conn = std::ranges::find(conns, ready.fileno(), &Socket::fileno);
      if (const Bytes data = conn->recv(kChunk); !data.empty()) {
        conn->sendall(data + "response");
      } else {
        conns.erase(conn);
        --left;
      }
    }
  }
}

Messages select_client(const HostPort& address, const Messages& messages) {
  Socket sock = create_connection(address);
  Framer framer(sock);
  Messages answers = {framer.readexactly(5)};
  for (const Bytes& message : messages) {
    sock.sendall(message);
    answers.push_back(framer.readexactly(message.size() + 8));
  }
  return answers;
}

// --- udp ---

std::vector<Address> udp_server(Socket& sock, int datagrams = 2) {
  std::vector<Address> senders;
  for (int i = 0; i < datagrams; ++i) {
    const auto [data, address] = sock.recvfrom(kChunk);
    senders.push_back(address);
    sock.sendto("Hello " + to_string(address), address);
  }
  return senders;
}

std::pair<Messages, HostPort> udp_client(const HostPort& address, const Messages& messages) {
  Socket sock(address.host.find(':') != std::string::npos ? AF::INET6 : AF::INET, SOCK::DGRAM);
  sock.settimeout(30);
  Messages answers;
  for (const Bytes& message : messages) {
    sock.sendto(message, address);
    answers.push_back(sock.recvfrom(kChunk).first);
  }
  return {answers, {address.host, sock.getsockname().port()}};
}

// --- upper ---

void upper_server(Socket& sock, int clients = 1) {
  each_client(sock, clients, [](Socket conn) {
    for (Bytes data; !(data = conn.recv(kChunk)).empty() && data != "exit";)
      conn.sendall(upper(data));
  });
}

const auto upper_client = ask;

// --- command ---

Bytes command_answer(const Bytes& command) {
  Bytes output;
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  char piece[kChunk];
  while (const std::size_t size = std::fread(piece, 1, sizeof piece, pipe))
    output.append(piece, size);
  pclose(pipe);
  return output.empty() ? "return null" : output;
}

void command_server(Socket& sock, int clients = 1) { answer_chunks(sock, clients, command_answer); }

Messages command_client(const HostPort& address, const Messages& commands) {
  return ask(address, commands);
}

// --- mail ---

std::vector<int> mail_client(const HostPort& address, const Messages& messages) {
  Socket sock = create_connection(address);
  Messages codes = {sock.recv(kChunk).substr(0, 3)};
  const auto say = [&](const Bytes& data) {
    sock.sendall(data);
    codes.push_back(sock.recv(kChunk).substr(0, 3));
  };
  say("HELO client.example\r\n");
  for (const Bytes& message : messages) {
    say("MAIL FROM:<me@a.example>\r\n");
    say("RCPT TO:<you@b.example>\r\n");
    say("DATA\r\n");
    say(message + "\r\n.\r\n");
  }
  say("QUIT\r\n");
  std::vector<int> numbers;
  for (const Bytes& code : codes) numbers.push_back(std::stoi(code));
  return numbers;
}

// --- greeting ---

void greeting_server(Socket& sock, int clients = 1) {
  each_client(sock, clients, [](Socket conn) { conn.sendall("Thank you for connecting"); });
}

Messages greeting_client(const HostPort& address) {
  return {create_connection(address).recv(kChunk)};
}

// --- json_echo: a length of four bytes, big-endian, and the JSON, which is passed on unchanged ---

void json_server(Socket& sock, int clients = 1) {
  each_client(sock, clients, [](Socket conn) {
    Framer framer(conn);
    while (const std::optional<Bytes> value = framer.recv()) framer.send(*value);
  });
}

Messages json_client(const HostPort& address, const Messages& values) {
  Socket sock = create_connection(address);
  Framer framer(sock);
  Messages answers;
  for (const Bytes& value : values) {
    framer.send(value);
    answers.push_back(framer.recv().value());
  }
  return answers;
}

// --- the tests ---

template <class Server, class Client, class... Messages>
auto conversation(Server server, Client client, const Messages&... messages) {
  Socket listener = tcp_listener();
  listener.settimeout(30);
  std::thread serving([&] { server(listener, 1); });
  const HostPort address{"127.0.0.1", listener.getsockname().port()};
  auto answers = client(address, messages...);
  serving.join();
  return answers;
}

TEST(TextbookProgram, AnswersItsClient) {
  const Messages lines = {"one", "two words"};
  EXPECT_EQ(conversation(echo_server, echo_client, lines), lines);
  EXPECT_THAT(conversation(time_echo_server, time_echo_client, lines),
              ElementsAre(MatchesRegex("\\[.{24}\\] one"), MatchesRegex("\\[.{24}\\] two words")));
  EXPECT_THAT(conversation(time_echo_server_of_text, time_echo_client, lines),
              ElementsAre(MatchesRegex("\\[.{24}\\] b'one'"), MatchesRegex(".*b'two words'")));
  EXPECT_THAT(conversation(select_server, select_client, lines),
              ElementsAre("hello", "oneresponse", "two wordsresponse"));
  EXPECT_THAT(conversation(upper_server, upper_client, lines), ElementsAre("ONE", "TWO WORDS"));
  EXPECT_THAT(conversation(command_server, command_client, Messages{"echo one", "true"}),
              ElementsAre("one\n", "return null"));
  EXPECT_THAT(conversation(greeting_server, greeting_client),
              ElementsAre("Thank you for connecting"));
  EXPECT_EQ(conversation(json_server, json_client, lines), lines);
  const auto mail_server = [](Socket& sock, int clients) {
    each_client(sock, clients, [](Socket conn) {
      conn.sendall("220 ready");
      while (!conn.recv(kChunk).empty()) conn.sendall("250 fine");
    });
  };
  EXPECT_THAT(conversation(mail_server, mail_client, Messages{"text"}),
              ElementsAre(220, 250, 250, 250, 250, 250, 250));
}

TEST(TextbookProgram, AnswersDatagrams) {
  Socket sock(AF::INET, SOCK::DGRAM);
  sock.bind({"127.0.0.1", 0});
  sock.settimeout(30);
  std::vector<Address> senders;
  std::thread serving([&] { senders = udp_server(sock, 2); });
  const HostPort address{"127.0.0.1", sock.getsockname().port()};
  const auto [answers, client] = udp_client(address, {"one", "two"});
  serving.join();
  EXPECT_THAT(answers, testing::Each("Hello " + to_string(senders.at(0))));
  EXPECT_EQ(client.port, senders.at(0).port());
}

TEST(TextbookProgram, HasAtMostAFifthMoreLinesThanInPython) {
  constexpr const char* kCount = R"(
import ast, pathlib, re, sys
python, cpp = (pathlib.Path(name).read_text() for name in sys.argv[1:])
documents = set()
for node in ast.walk(ast.parse(python)):
    if isinstance(node, (ast.FunctionDef, ast.Module)) and ast.get_docstring(node):
        documents |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
theirs = [line for number, line in enumerate(python.splitlines(), 1)
          if number not in documents and not re.match(r'(import|from) |\s*(#.*)?$', line)]
programs = cpp.partition('// --- the programs ---')[2].partition('// --- the tests ---')[0]
ours = [line for line in programs.splitlines() if not re.match(r'[\s{}();]*(//.*)?$', line)]
print(len(ours), 'to', len(theirs))
sys.exit(len(ours) > 1.2 * len(theirs))
)";
  int status = 0;
  const std::string counted =
      run_program({"python3", "-c", kCount, source_path("tests/programs/textbook.py"),
                   source_path("tests/integration/textbook_test.cpp")},
                  status);
  EXPECT_EQ(status, 0) << counted;
  RecordProperty("lines", counted);
}

}  // namespace
}  // namespace plug
