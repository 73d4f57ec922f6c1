// Compares the reports and errors of select() and the selectors with Python's.

#include <plug/plug.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "support/parity.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using namespace parity;

std::unique_ptr<BaseSelector> selector_named(const std::string& name) {
  if (name == "select") return std::make_unique<SelectSelector>();
  if (name == "poll") return std::make_unique<PollSelector>();
  return std::make_unique<EpollSelector>();
}

constexpr const char* kSelectors[] = {"select", "poll", "epoll"};

/// Returns the result of a call, or the class of its error.
template <class Call>
std::string outcome(Call call) {
  try {
    return call();
  } catch (const OSError& error) {
    return "OSError " + std::to_string(error.number());
  } catch (const KeyError&) {
    return "KeyError";
  } catch (const OverflowError&) {
    return "OverflowError";
  } catch (const RuntimeError&) {
    return "RuntimeError";
  } catch (const ValueError&) {
    return "ValueError";
  }
}

std::string joined(const std::vector<std::string>& texts, const std::string& separator) {
  std::string result;
  for (const std::string& text : texts) result += (&text == texts.data() ? "" : separator) + text;
  return result;
}

// --- constants ---

std::string constants(const Case&) {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& name, auto value) {
    texts.push_back(name + "=" + std::to_string(static_cast<std::int64_t>(value)));
  };
#define PLUG_BOTH(name, enumerator)    \
  add("POLL" #name, POLL::enumerator); \
  add("EPOLL" #name, EPOLL::enumerator);
  PLUG_BOTH(IN, IN)
  PLUG_BOTH(PRI, PRI)
  PLUG_BOTH(OUT, OUT)
  PLUG_BOTH(ERR, ERR_)
  PLUG_BOTH(HUP, HUP)
  PLUG_BOTH(RDNORM, RDNORM)
  PLUG_BOTH(RDBAND, RDBAND)
  PLUG_BOTH(WRNORM, WRNORM)
  PLUG_BOTH(WRBAND, WRBAND)
  PLUG_BOTH(MSG, MSG)
  PLUG_BOTH(RDHUP, RDHUP)
#undef PLUG_BOTH
  add("POLLNVAL", POLL::NVAL);
  add("EPOLLEXCLUSIVE", EPOLL::EXCLUSIVE);
  add("EPOLLONESHOT", EPOLL::ONESHOT);
  add("EPOLLET", EPOLL::ET);
  add("EPOLL_CLOEXEC", EPOLL::CLOEXEC);
  add("PIPE_BUF", PIPE_BUF_);
  add("EVENT_READ", EVENT::READ);
  add("EVENT_WRITE", EVENT::WRITE);
  std::ranges::sort(texts, {}, [](const std::string& t) { return t.substr(0, t.find('=')); });
  return joined(texts, " ");
}

// --- reports for each state ---

constexpr double kSeconds = 10;

/// Waits until the peer's action has arrived.
void settle(const FileObject& object, POLL events) {
  Poll poll;
  poll.register_(object, events);
  ASSERT_FALSE(poll.poll(kSeconds * 1000).empty());
}

void fill(int fd) {
  const std::string block(1000, '\0');
  ASSERT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  while (::write(fd, block.data(), block.size()) > 0) {
  }
}

OwnedFd given_up(Socket sock) { return OwnedFd(sock.detach()); }

/// Returns the object to watch, followed by objects that must stay open.
std::vector<OwnedFd> in_state(const std::string& kind, const std::string& state) {
  std::vector<OwnedFd> result;
  if (kind == "pipe") {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    OwnedFd reader(ends[0]);
    OwnedFd writer(ends[1]);
    char byte = 'x';
    if (state == "readable" || state == "drained") {
      EXPECT_EQ(::write(ends[1], &byte, 1), 1);
    }
    if (state == "drained") {
      EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    }
    if (state == "full") fill(writer.fileno());
    if (state == "writer gone") writer.close();
    if (state == "reader gone") reader.close();
    const bool writing = state == "full" || state == "room" || state == "reader gone";
    result.push_back(std::move(writing ? writer : reader));
    result.push_back(std::move(writing ? reader : writer));
    return result;
  }
  if (state == "fresh") {
    result.push_back(given_up(Socket(kind == "unix" ? AF::UNIX : AF::INET)));
    return result;
  }
  if (state.starts_with("listening")) {
    Socket listener = tcp_listener();
    if (state != "listening") {
      Socket client = create_connection({"127.0.0.1", listener.getsockname().port()}, std::nullopt);
      settle(listener, POLL::IN);
      result.push_back(given_up(std::move(client)));
    }
    result.insert(result.begin(), given_up(std::move(listener)));
    return result;
  }
  auto [sock, peer] = kind == "unix" ? socketpair() : tcp_pair();
  if (state == "readable") {
    peer.sendall("x");
    settle(sock, POLL::IN);
  } else if (state == "urgent") {
    peer.sendall("x", MSG::OOB);
    settle(sock, POLL::PRI);
  } else if (state == "full") {
    fill(sock.fileno());
  } else if (state == "peer shut down") {
    peer.shutdown(SHUT::WR);
    settle(sock, POLL::IN);
  } else if (state == "shut down") {
    sock.shutdown(SHUT::WR);
  } else if (state == "both shut down") {
    sock.shutdown(SHUT::RDWR);
  } else if (state == "peer gone") {
    peer.close();
    settle(sock, POLL::IN);
  } else if (state == "reset") {
    const int linger[2] = {1, 0};
    peer.setsockopt(SOL::SOCKET, SO::LINGER, BytesView(linger, sizeof linger));
    peer.close();
    settle(sock, POLL::IN);
  }
  result.push_back(given_up(std::move(sock)));
  result.push_back(given_up(std::move(peer)));
  return result;
}

template <class Events>
std::string events_text(const Events& events) {
  std::string text;
  for (const auto& event : events)
    text += " " + std::to_string(static_cast<std::int64_t>(event.events));
  return text;
}

std::string reported(const Case& c) {
  const std::vector<OwnedFd> objects = in_state(c[1], c[2]);
  const OwnedFd& watched = objects.front();
  std::vector<std::string> texts;
  for (const std::string name : kSelectors) {
    for (const int events : {1, 2, 3}) {
      const auto selector = selector_named(name);
      selector->register_(watched, EVENT{events});
      texts.push_back(name + " " + std::to_string(events) + ":" + events_text(selector->select(0)));
    }
  }
  Poll poll;
  poll.register_(watched, POLL{0x20CF});
  texts.push_back("poll object:" + events_text(poll.poll(0)));
  poll.register_(watched);
  texts.push_back("poll default:" + events_text(poll.poll(0)));
  Epoll epoll;
  epoll.register_(watched);
  texts.push_back("epoll default:" + events_text(epoll.poll(0)));
  epoll.modify(watched, EPOLL{0x20CF});
  texts.push_back("epoll object:" + events_text(epoll.poll(0)));
  const auto [r, w, x] = select({watched}, {watched}, {watched}, 0);
  texts.push_back("sets: " + std::to_string(r.size()) + " " + std::to_string(w.size()) + " " +
                  std::to_string(x.size()));
  texts.push_back("set 0: " + std::to_string(select({watched}, {}, {}, 0).readable.size()));
  texts.push_back("set 1: " + std::to_string(select({}, {watched}, {}, 0).writable.size()));
  texts.push_back("set 2: " + std::to_string(select({}, {}, {watched}, 0).exceptional.size()));
  return joined(texts, "; ");
}

// --- errors ---

/// Records the results of calls.
class Outcomes {
 public:
  /// Records a call that returns None in Python, or that fails.
  template <class Call>
  void none(Call call) {
    texts_.push_back(outcome([&] { return call(), std::string("None"); }));
  }
  template <class Call>
  void count(Call call) {
    texts_.push_back(outcome([&] { return std::to_string(call()); }));
  }
  template <class Call>
  void flag(Call call) {
    texts_.push_back(outcome([&] { return truth(call()); }));
  }
  std::string text() const { return joined(texts_, ", "); }

 private:
  std::vector<std::string> texts_;
};

std::string errors_of_selector(const Case& c) {
  const auto owner = selector_named(c[1]);
  BaseSelector& selector = *owner;
  auto ends = socketpair();
  Socket& sock = ends.first;
  Socket& peer = ends.second;
  Socket closed;
  closed.close();
  const int number = sock.fileno();
  Outcomes o;
  o.none([&] { selector.register_(sock, EVENT{}); });
  o.none([&] { selector.register_(sock, EVENT{4}); });
  o.none([&] { selector.register_(sock, EVENT{7}); });
  o.none([&] { selector.register_(-1, EVENT::READ); });
  o.none([&] { selector.register_(closed, EVENT::READ); });
  o.none([&] { selector.register_(closed, EVENT{}); });
  o.count([&] { return selector.register_(sock, EVENT::READ).fd - number; });
  o.none([&] { selector.register_(sock, EVENT::READ); });
  o.none([&] { selector.register_(number, EVENT::WRITE); });
  o.none([&] { selector.unregister(peer); });
  o.none([&] { selector.unregister(-1); });
  o.none([&] { selector.unregister(closed); });
  o.none([&] { selector.modify(peer, EVENT::READ); });
  o.none([&] { selector.modify(closed, EVENT::READ); });
  o.none([&] { std::ignore = selector.get_key(peer); });
  o.none([&] { std::ignore = selector.get_key(closed); });
  o.count([&] { return selector.get_key(number).fd - number; });
  o.count([&] { return selector.modify(sock, EVENT::WRITE).fd - number; });
  o.count([&] { return selector.get_map()->size(); });
  o.flag([&] { return selector.get_map()->contains(peer); });
  o.count([&] { return selector.select(-1).size(); });
  o.count([&] { return selector.select(-std::numeric_limits<double>::infinity()).size(); });
  sock.close();
  o.count([&] { return selector.get_key(sock).fd - number; });
  o.count([&] { return selector.unregister(sock).fd - number; });
  o.none([&] { selector.unregister(sock); });
  o.count([&] { return selector.select(0).size(); });
  selector.close();
  o.none([&] { std::ignore = selector.get_key(peer); });
  o.none([&] { EXPECT_EQ(selector.get_map(), nullptr); });
  o.none([&] { selector.unregister(peer); });
  o.none([&] { selector.modify(peer, EVENT::READ); });
  o.none([&] { selector.close(); });
  return o.text();
}

std::string errors_of_objects(const Case&) {
  auto ends = socketpair();
  Socket& sock = ends.first;
  Socket closed;
  const int not_open = closed.fileno();
  closed.close();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Poll poll;
  Epoll epoll;
  Outcomes o;
  o.none([&] { poll.register_(closed); });
  o.none([&] { poll.register_(-1); });
  o.none([&] { poll.modify(sock, POLL::IN); });
  o.none([&] { poll.unregister(sock); });
  o.none([&] { poll.register_(sock); });
  o.none([&] { poll.register_(sock, POLL::IN); });
  o.count([&] { return poll.poll(0).size(); });
  o.none([&] { poll.modify(sock, POLL::OUT); });
  o.count([&] { return poll.poll(-1).size(); });
  o.count([&] { return poll.poll(std::nullopt).size(); });
  o.none([&] { poll.unregister(sock); });
  o.none([&] { poll.unregister(sock); });
  o.none([&] { std::ignore = poll.poll(kNan); });
  o.none([&] { std::ignore = poll.poll(1e300); });
  o.none([&] { Epoll(0); });
  o.none([&] { Epoll(-2); });
  o.none([&] { Epoll(-1, EPOLL{1}); });
  o.flag([&] { return Epoll(5, EPOLL::CLOEXEC).closed(); });
  o.none([&] { epoll.register_(closed); });
  o.none([&] { epoll.register_(-1); });
  o.none([&] { epoll.register_(not_open + 9); });
  o.none([&] { epoll.modify(sock, EPOLL::IN); });
  o.none([&] { epoll.unregister(sock); });
  o.none([&] { epoll.register_(sock); });
  o.none([&] { epoll.register_(sock, EPOLL::IN); });
  o.count([&] { return epoll.poll(0).size(); });
  o.count([&] { return epoll.poll(-1, 5).size(); });
  o.none([&] { std::ignore = epoll.poll(0, 0); });
  o.none([&] { std::ignore = epoll.poll(0, -2); });
  o.none([&] { std::ignore = epoll.poll(kNan); });
  o.none([&] { std::ignore = epoll.poll(1e300); });
  o.none([&] { epoll.close(); });
  o.none([&] { epoll.close(); });
  o.flag([&] { return epoll.closed(); });
  o.none([&] { std::ignore = epoll.fileno(); });
  o.none([&] { epoll.register_(sock); });
  o.none([&] { epoll.modify(sock, EPOLL::IN); });
  o.none([&] { epoll.unregister(sock); });
  o.none([&] { std::ignore = epoll.poll(0); });
  o.none([&] { std::ignore = epoll.poll(0, 0); });
  o.none([&] { std::ignore = select({closed}, {}, {}, 0); });
  o.none([&] { std::ignore = select({}, {-1}, {}, 0); });
  o.none([&] { std::ignore = select({}, {}, {}, -1); });
  o.none([&] { std::ignore = select({}, {}, {}, kNan); });
  o.count([&] { return select({}, {}, {}, 0).empty() ? 3 : 0; });
  o.count([&] { return select({}, {sock, sock, sock.fileno()}, {}).writable.size(); });
  o.none([&] { std::ignore = select({}, {}, {not_open + 9}, 0); });
  return o.text();
}

// --- sequences ---

std::string ready_text(ReadyKeys keys) {
  std::vector<std::pair<int, int>> ready;
  for (const auto& [key, events] : keys)
    ready.emplace_back(key.data.get<int>(), static_cast<int>(events));
  std::ranges::sort(ready);
  std::vector<std::string> texts;
  for (const auto& [data, events] : ready)
    texts.push_back("(" + std::to_string(data) + ", " + std::to_string(events) + ")");
  return "[" + joined(texts, ", ") + "]";
}

using Pairs = std::vector<std::unique_ptr<std::pair<Socket, Socket>>>;

/// Returns true if Python's SelectSelector, which unregisters and registers again, behaves the
/// same.
bool can_modify_anew(const BaseSelector& selector, Socket& sock) {
  if (sock.fileno() < 0) return false;
  const SelectorKey* const key = selector.get_map()->find(sock);
  return key == nullptr || key->fileobj.is(sock);
}

/// Makes one step of a sequence. Replaced objects stay alive, so that no new object takes their
/// place.
std::string step(BaseSelector& selector, Pairs& pairs, Pairs& replaced, const std::string& what,
                 std::size_t index, EVENT events, int label, bool can_modify_all) {
  if (what == "open") {
    const bool exists = pairs.size() > index;
    if (exists && (pairs[index]->first.fileno() >= 0 || pairs[index]->second.fileno() >= 0))
      return "";
    if (exists) replaced.push_back(std::move(pairs[index]));
    if (!exists) pairs.emplace_back();
    pairs[index] = std::make_unique<Pairs::value_type::element_type>(socketpair());
    return "";
  }
  if (what == "select") return outcome([&] { return ready_text(selector.select(0)); });
  auto& [sock, peer] = *pairs.at(index);
  const auto number = [](auto value) { return std::to_string(static_cast<int>(value)); };
  if (what == "close") sock.close();
  if (what == "hang up") peer.close();
  if (what == "write" && peer.fileno() >= 0 && sock.fileno() >= 0) peer.sendall("x");
  return outcome([&, &s = sock]() -> std::string {
    if (what == "register") return number(selector.register_(s, events, label).events);
    if (what == "modify" && (can_modify_all || can_modify_anew(selector, s)))
      return number(selector.modify(s, events, label).data.get<int>());
    if (what == "unregister") return number(selector.unregister(s).data.get<int>());
    if (what == "get") return number(selector.get_key(s).data.get<int>());
    if (what == "read" && s.fileno() >= 0) {
      s.setblocking(false);
      return number(s.recv(1).size());
    }
    return "";
  });
}

std::string sequence(const Case& c) {
  const auto selector = selector_named(c[1]);
  Pairs pairs;
  Pairs replaced;
  std::vector<std::string> texts;
  int label = 0;
  for (std::string_view rest = c[2]; !rest.empty();) {
    const std::string_view text = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    const std::size_t first = text.find(',');
    const std::size_t second = text.find(',', first + 1);
    texts.push_back(step(
        *selector, pairs, replaced, std::string(text.substr(0, first)),
        static_cast<std::size_t>(number(std::string(text.substr(first + 1, second - first - 1)))),
        EVENT{number(std::string(text.substr(second + 1)))}, ++label, c[1] != "select"));
  }
  return joined(texts, "|");
}

std::string random_steps(std::mt19937& random, int count) {
  constexpr int kPairs = 6;
  // Steps that are more frequent are listed more often.
  constexpr const char* kWhat[] = {"register",   "register", "register", "modify", "modify",
                                   "unregister", "write",    "write",    "read",   "close",
                                   "hang up",    "open",     "open",     "get",    "select",
                                   "select",     "select"};
  std::string steps;
  for (int i = 0; i < kPairs; ++i) steps += "open," + std::to_string(i) + ",0;";
  const auto below = [&](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  for (int i = 0; i < count; ++i) {
    const std::string what = kWhat[below(std::size(kWhat))];
    // Python's selectors differ in whether modify() accepts 0 and 4.
    const int events = what == "modify" ? 1 + below(3)
                       : below(20) == 0 ? 4 * below(2)
                                        : 1 + below(3);
    steps += what + "," + std::to_string(below(kPairs)) + "," + std::to_string(events) + ";";
  }
  steps.pop_back();
  return steps;
}

const Operations& operations() {
  static const Operations table = {{"constants", constants},
                                   {"reported", reported},
                                   {"errors of selector", errors_of_selector},
                                   {"errors of objects", errors_of_objects},
                                   {"sequence", sequence}};
  return table;
}

void expect_same(const std::vector<Case>& cases, std::size_t least) {
  expect_parity(operations(), "parity_select.py", cases, least);
}

TEST(PythonSelect, HasTheSameConstants) { expect_same({{"constants"}}, 1); }

TEST(PythonSelect, ReportsTheSameOfEveryState) {
  std::vector<Case> cases;
  for (const char* state :
       {"empty", "readable", "drained", "writer gone", "room", "full", "reader gone"})
    cases.push_back({"reported", "pipe", state});
  for (const char* kind : {"unix", "tcp"}) {
    for (const char* state : {"fresh", "connected", "readable", "peer shut down", "shut down",
                              "both shut down", "peer gone"})
      cases.push_back({"reported", kind, state});
  }
  cases.push_back({"reported", "unix", "full"});
  for (const char* state : {"listening", "listening with a client", "urgent", "reset"})
    cases.push_back({"reported", "tcp", state});
  expect_same(cases, 26);
}

TEST(PythonSelect, FailsInTheSameWays) {
  std::vector<Case> cases = {{"errors of objects"}};
  for (const char* name : kSelectors) cases.push_back({"errors of selector", name});
  expect_same(cases, 4);
}

TEST(PythonSelect, DoesTheSameInRandomSequences) {
  std::mt19937 random(20);
  std::vector<Case> cases;
  for (int i = 0; i < 40; ++i)
    for (const char* name : kSelectors)
      cases.push_back({"sequence", name, random_steps(random, 200)});
  expect_same(cases, 120);
}

}  // namespace
}  // namespace plug
