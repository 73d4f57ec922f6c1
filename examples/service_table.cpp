// Prints the ports of well-known services.
//
// The lesson: getservbyname() looks up the name of a service in the system's list (/etc/services).

#include <iomanip>
#include <sstream>
#include <vector>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

struct Row {
  std::string title;
  std::string service;
};

}  // namespace

int main(int argc, char** argv) try {
  std::vector<Row> rows{{"HTTP", "http"},     {"NNTP", "nntp"},    {"FTP", "ftp"},
                        {"SMTP", "smtp"},     {"POP3", "pop3"},    {"IMAP4", "imap"},
                        {"Telnet", "telnet"}, {"Gopher", "gopher"}};
  std::vector<std::string> services;
  CLI::App app("Prints the TCP ports of services.");
  app.add_option("SERVICE", services, "names to look up instead of the usual ones");
  lesson::parse(app, argc, argv);
  if (!services.empty()) rows.clear();
  for (const std::string& service : services) rows.push_back({service, service});

  return lesson::run([&] {
    for (const Row& row : rows) {
      std::ostringstream line;
      line.exceptions(std::ios::badbit);
      line << std::left << std::setw(8) << row.title << std::right << std::setw(6)
           << plug::getservbyname(row.service, "tcp");
      lesson::print_line(line.str());
    }
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
