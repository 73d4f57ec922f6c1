// Sends frames to a CAN bus, in the notation of can-utils: can_send can0 123#DEADBEEF
//
// The lesson: a raw CAN socket is bound to an interface and has no peer. Every node on the bus
// receives each frame. The identifier of a frame names its content, not its receiver.

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

/// Parses a line: a frame alone, or a line that candump -L or can_dump --log has written, such as
/// "(1436509053.850870) can0 123#DEADBEEF".
plug::CanFrame frame_of(const std::string& line) {
  const std::size_t space = line.rfind(' ');
  return plug::CanFrame::parse(space == std::string::npos ? line : line.substr(space + 1));
}

}  // namespace

int main(int argc, char** argv) try {
  std::string interface;
  std::vector<std::string> frames;
  CLI::App app("Sends frames to a CAN bus; without any, those of each line of its input.");
  app.add_option("INTERFACE", interface, "such as can0, vcan0")->required();
  app.add_option("FRAME", frames, "123#DEADBEEF, 12345678#00.11, 123#R4, 123##1DEADBEEF");
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    plug::Socket bus(plug::AF::CAN, plug::SOCK::RAW, plug::CAN::RAW);
    bus.setsockopt(plug::SOL::CAN_RAW_, plug::CAN::RAW_FILTER, plug::can_filters({}));
    bus.setsockopt(plug::SOL::CAN_RAW_, plug::CAN::RAW_FD_FRAMES, 1);
    bus.bind(plug::CanAddress(interface));
    const auto send = [&bus](const std::string& line) {
      bus.sendall(frame_of(line).to_bytes());
      return true;
    };
    for (const std::string& frame : frames) send(frame);
    if (frames.empty()) lesson::for_each_line(lesson::EmptyLine::ends, send);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
