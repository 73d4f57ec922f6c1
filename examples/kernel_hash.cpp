// Prints the checksums of files as sha256sum does. The kernel computes them.
//
// The lesson: AF_ALG offers the kernel's cryptography through sockets. The bound socket stands for
// an algorithm, and accept() returns a socket for one operation. The program sends the data to it
// with MSG_MORE and then receives the result.

#include <fcntl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

constexpr std::ptrdiff_t kLargestDigest = 64;

std::string hex(const plug::Bytes& data) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : data) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[byte & 15];
  }
  return text;
}

plug::Bytes digest(plug::Socket& algorithm, const std::string& name) {
  plug::OwnedFd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) plug::throw_if({errno, std::system_category()}, name);
  plug::Socket operation = algorithm.accept().first;
  plug::Bytes piece(1 << 16, '\0');
  for (;;) {
    const ssize_t count = ::read(file.fileno(), piece.data(), piece.size());
    if (count < 0) plug::throw_if({errno, std::system_category()}, name);
    if (count == 0) break;
    operation.sendall(plug::BytesView(piece.data(), static_cast<std::size_t>(count)),
                      plug::MSG::MORE);
  }
  return operation.recv(kLargestDigest);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string name = "sha256";
  std::string key;
  std::vector<std::string> files;
  CLI::App app("Prints the checksum of each file.");
  app.add_option("FILE", files)->required();
  app.add_option("--algorithm", name, "sha1, sha512, md5, crc32c ...; see /proc/crypto");
  app.add_option("--key", key, "of hmac(sha256) and its like");
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    plug::Socket algorithm(plug::AF::ALG, plug::SOCK::SEQPACKET);
    algorithm.bind(plug::AlgAddress("hash", name));
    if (!key.empty()) algorithm.setsockopt(plug::SOL::ALG, plug::ALG::SET_KEY, key);
    for (const std::string& file : files)
      lesson::print_line(hex(digest(algorithm, file)) + "  " + file);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
