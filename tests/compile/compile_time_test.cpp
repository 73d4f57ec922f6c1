// Tests code that the compiler must reject and that no concept can check: arguments that are not
// constant.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace {

using ::testing::HasSubstr;

#ifdef __clang__
const std::string kCompiler = "clang++ -ferror-limit=0";
#else
const std::string kCompiler = "g++";
#endif

/// Returns the compiler's messages about these function bodies. Those about the n-th begin with
/// "case-n:".
std::string complaints(const std::vector<std::string>& bodies) {
  std::string source = R"(
      #include <plug/plug.hpp>
      using namespace plug;
      void take(BytesView);
      void fill(MutableBytes);
      void connect(const AddressLike&);
      char read_one();
  )";
  for (std::size_t n = 0; n < bodies.size(); ++n) {
    const std::string number = std::to_string(n);
    source += "\n#line 1 \"case-" + number + "\"\nvoid body_" + number + "() { " + bodies[n] + " }";
  }
  const TemporaryDirectory directory;
  const std::string file = directory / "bodies.cpp";
  std::ofstream(file) << source << "\n";
  int status = 0;
  return run_program({"sh", "-c",
                      kCompiler + " -std=c++20 -fsyntax-only -I'" + source_path("include") + "' '" +
                          file + "' 2>&1"},
                     status);
}

TEST(Compiler, TakesWhatIsCompleteAndTyped) {
  EXPECT_EQ(complaints({
                R"(take("abc"); take("a\0b"); take("");)",
                R"(static constexpr char text[] = "abc"; take(text);)",
                R"(const unsigned char bytes[] = {1, 2}; take(bytes);)",
                R"(char room[4]; fill(room);)",
                R"(connect({"host", 80}); connect({"::1", 80, 0, 1});)",
                R"(Socket(AF::INET, SOCK::STREAM, IPPROTO::TCP);)",
            }),
            "");
}

TEST(Compiler, RefusesWhatWouldLoseAByteOrSwapAnArgument) {
  const std::vector<std::string> bodies = {
      R"(const char run_time[3] = {read_one(), 'b', 'c'}; take(run_time);)",
      R"(static constexpr char no_nul[3] = {'a', 'b', 'c'}; take(no_nul);)",
      R"(char room[4]; take(room);)",
      R"(const char* pointer = "abc"; take(pointer);)",
      R"(const char constant[4] = "abc"; fill(constant);)",
      R"(fill("abc");)",
      R"(Socket(SOCK::STREAM, AF::INET);)",
      R"(Socket(2, 1);)",
      R"(Socket(AF::INET, SOCK::STREAM, SOL::SOCKET);)",
      R"(connect({"host", "80"});)",
      R"(connect({"host"});)",
      R"(connect("host");)",
      R"(Socket().connect("host:80");)",
      R"(Socket().sendto({"host", 80}, "data");)",
      R"(Socket().setsockopt(SO::REUSEADDR, SOL::SOCKET, 1);)",
      R"(Socket().shutdown(MSG::PEEK);)",
      R"(Socket().recv(MSG::PEEK);)",
      R"(Socket().send("data", SHUT::WR);)",
      R"(Socket().settimeout("5");)",
      R"(create_server("127.0.0.1", 80);)",
      R"(create_connection({80, "host"});)",
  };
  const std::string output = complaints(bodies);
  for (std::size_t n = 0; n < bodies.size(); ++n) {
    // Without -W options each message about a line is an error or explains one.
    EXPECT_THAT(output, HasSubstr("case-" + std::to_string(n) + ":1:")) << bodies[n];
  }
  EXPECT_THAT(output, HasSubstr("error:"));
}

/// Returns the first error that the compiler has for this text.
std::string first_error(const std::string& text, const std::string& options = "-std=c++20") {
  const TemporaryDirectory directory;
  const std::string file = directory / "text.cpp";
  std::ofstream(file) << "#include <plug/socketserver.hpp>\nusing namespace plug;\n"
                      << text << "\n";
  int status = 0;
  const std::string output = run_program({"sh", "-c",
                                          kCompiler + " " + options + " -fsyntax-only -I'" +
                                              source_path("include") + "' '" + file + "' 2>&1"},
                                         status);
  const std::size_t error = output.find("error:");
  if (error == std::string::npos) return output;
  return output.substr(error, output.find('\n', error) - error);
}

/// Returns the source of a function that makes a server with this handler class.
std::string serving(const std::string& handler_class) {
  return handler_class + "void serve() { TCPServer server({\"127.0.0.1\", 0}, handler<H>); }";
}

TEST(Compiler, AsksAHandlerForHandleInItsFirstError) {
  EXPECT_THAT(first_error(serving("struct H : StreamRequestHandler {}; ")),
              HasSubstr("a handler class must define 'void handle() override'"));
}

TEST(Compiler, AsksAHandlerForItsBaseInItsFirstError) {
  const std::string text =
      "a handler class must derive publicly from plug::StreamRequestHandler, "
      "plug::DatagramRequestHandler or plug::BaseRequestHandler";
  EXPECT_THAT(first_error(serving("struct H { void handle(); }; ")), HasSubstr(text));
  EXPECT_THAT(first_error(serving("class H : StreamRequestHandler { void handle() override; }; ")),
              HasSubstr(text));
}

TEST(Compiler, TellsAHandlerWithArgumentsHowToPassThem) {
  EXPECT_THAT(first_error(serving("struct H : StreamRequestHandler {"
                                  "  explicit H(int); void handle() override; }; ")),
              HasSubstr("pass a lambda instead of handler<H>: "
                        "[](auto&... request) { H(arguments).run(request...); }"));
}

TEST(Compiler, TakesACompleteHandler) {
  EXPECT_EQ(first_error(serving("struct H : StreamRequestHandler { void handle() override; }; ")),
            "");
}

TEST(Compiler, AcceptsLocalVariablesOfAHandlerThatAreNamedServerSocketAndTimeout) {
  const std::string locals =
      "{ int server = 1, socket = 2, timeout = 3; (void)(server + socket + timeout); } };";
  for (const std::string base : {"StreamRequestHandler", "DatagramRequestHandler"}) {
    EXPECT_EQ(first_error("struct H : " + base + " { void handle() override " + locals,
                          "-std=c++20 -Wshadow -Werror"),
              "");
  }
}

TEST(Compiler, IsToldInItsFirstErrorThatPlugNeedsCpp20) {
  EXPECT_THAT(first_error("", "-std=c++17"),
              HasSubstr("plug needs C++20: compile with -std=c++20"));
}

TEST(Compiler, RefusesAnOverrideOfGetRequest) {
  const auto with = [](const std::string& suffix) {
    return first_error("struct S : TCPServer { std::pair<Request, Address> get_request()" + suffix +
                       "; };");
  };
  for (const std::string suffix : {"", " override"}) EXPECT_THAT(with(suffix), HasSubstr("final"));
}

}  // namespace
