// Prints the frames on a CAN bus, as candump does.
//
// The lesson: the kernel filters the frames. A frame that matches no filter never reaches this
// program. recvmsg() returns each frame together with its timestamp and the interface that it
// arrived on. With INTERFACE "any" the program listens on all buses at once.

#include <charconv>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

/// Parses a filter such as "123:7FF": a frame matches if its identifier equals 123 in the bits of
/// the mask 7FF.
plug::CanFilter filter_of(const std::string& text) {
  const auto number = [&text](std::string_view digits) {
    std::uint32_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, value, 16);
    if (digits.empty() || error != std::errc{} || rest != end)
      throw std::runtime_error("no filter: '" + text + "'; it is ID:MASK in hexadecimal digits");
    return value;
  };
  const std::string_view all = text;
  const std::size_t colon = std::min(all.find(':'), all.size());
  const std::string_view mask = all.substr(std::min(colon + 1, all.size()));
  return {number(all.substr(0, colon)), number(mask)};
}

/// Formats a frame as candump does: "  vcan0  123   [4]  DE AD BE EF".
std::string columns(const std::string& interface, const plug::CanFrame& frame) {
  std::string text = to_string(frame);
  const std::string id = text.substr(0, text.find('#'));
  const bool remote = !frame.fd && (frame.id & plug::CAN::RTR_FLAG);
  const std::size_t size = remote ? frame.remote_size : frame.data.size();
  char begin[80];
  std::snprintf(begin, sizeof begin, frame.fd ? "  %s  %8s  [%02zu] " : "  %s  %8s   [%zu] ",
                interface.c_str(), id.c_str(), size);
  text = begin;
  for (const char byte : frame.data) {
    char digits[4];
    std::snprintf(digits, sizeof digits, " %02X", static_cast<unsigned>(byte) & 0xffu);
    text += digits;
  }
  return remote ? text + " remote request" : text;
}

/// Formats a frame as candump -L does: "(1436509053.850870) vcan0 123#DEADBEEF".
std::string log_line(const std::string& interface, const plug::CanFrame& frame,
                     plug::Timestamp time) {
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  char stamp[40];
  std::snprintf(stamp, sizeof stamp, "(%lld.%06lld)",
                static_cast<long long>(microseconds / 1000000),
                static_cast<long long>(microseconds % 1000000));
  return stamp + (" " + interface + " " + to_string(frame));
}

}  // namespace

int main(int argc, char** argv) try {
  std::string interface;
  std::vector<std::string> filters;
  long count = -1;
  bool log = false;
  CLI::App app("Prints the frames on a CAN bus, one a line.");
  app.add_option("INTERFACE", interface, "such as can0, vcan0; any: every bus")->required();
  app.add_option("--filter", filters, "ID:MASK, in hexadecimal digits; several are or-ed");
  app.add_option("--count", count, "end after that many frames")->check(CLI::PositiveNumber);
  app.add_flag("--log", log, "with the time, as candump -L writes and can_send reads it");
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    plug::Socket bus(plug::AF::CAN, plug::SOCK::RAW, plug::CAN::RAW);
    std::vector<plug::CanFilter> all;
    for (const std::string& filter : filters) all.push_back(filter_of(filter));
    if (!all.empty())
      bus.setsockopt(plug::SOL::CAN_RAW_, plug::CAN::RAW_FILTER, plug::can_filters(all));
    bus.setsockopt(plug::SOL::CAN_RAW_, plug::CAN::RAW_FD_FRAMES, 1);
    bus.setsockopt(plug::SOL::SOCKET, plug::SO::TIMESTAMPNS, 1);
    bus.bind(plug::CanAddress(interface == "any" ? "" : interface));
    for (; count != 0; count -= count > 0) {
      const plug::ReceivedMessage message =
          bus.recvmsg(plug::kLargestCanFrame, plug::CMSG::SPACE(16));
      const auto frame = plug::CanFrame::from_bytes(message.data);
      const std::string from = plug::CanAddress(message.address).interface;
      const auto* stamp = message.ancdata.find(plug::SOL::SOCKET, plug::SCM::TIMESTAMPNS);
      lesson::print_line(log && stamp ? log_line(from, frame, stamp->timestamp())
                                      : columns(from, frame));
    }
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
