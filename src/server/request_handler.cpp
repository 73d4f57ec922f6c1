#include <plug/error.hpp>
#include <plug/server/request_handler.hpp>

#include <algorithm>
#include <system_error>

#include "stream/access.hpp"
#include "sys/process.hpp"

namespace plug {

using detail::stream::StreamAccess;

Request::Request() : connection_(Socket::closed()) {}
Request::Request(Socket connection) : connection_(std::move(connection)) {}
Request::Request(Bytes data, Socket& socket)
    : connection_(Socket::closed()), data_(std::move(data)), shared_(&socket) {}

// --- handlers ---

void BaseRequestHandler::run(Request& given, const Address& from, BaseServer& by) {
  /// Returns the request to its owner, however the handler ends.
  class Lent {
   public:
    Lent(Request& mine, Request& owner) noexcept : mine_(mine), owner_(owner) {
      mine_ = std::move(owner_);
    }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() { owner_ = std::move(mine_); }

   private:
    Request& mine_;
    Request& owner_;
  };
  const Lent lent(request, given);
  client_address = from;
  server_ = &by;
  setup();
  try {
    handle();
  } catch (const detail::sys::ForcedUnwind&) {
    try {
      finish();
    } catch (const detail::sys::ForcedUnwind&) {
      throw;
    } catch (...) {
      // The end of the thread continues: the process would end if another exception replaced it.
    }
    throw;
  } catch (const BaseException&) {
    try {
      finish();
    } catch (const std::exception&) {
      // An exception that ends more than this request takes precedence.
    }
    throw;
  } catch (...) {
    finish();
    throw;
  }
  finish();
}

StreamRequestHandler::StreamRequestHandler()
    : rfile(StreamAccess::closed_file()), wfile(StreamAccess::closed_file()) {}
StreamRequestHandler::~StreamRequestHandler() = default;

void StreamRequestHandler::setup() {
  connection = &request.socket();
  if (!timeout_.is_none()) connection->settimeout(timeout_);
  if (disable_nagle_algorithm) connection->setsockopt(IPPROTO::TCP, TCP::NODELAY, 1);
  rfile = connection->makefile("rb", {.buffering = rbufsize});
  wfile = wbufsize == 0 ? StreamAccess::make_whole_writer(*connection)
                        : connection->makefile("wb", {.buffering = wbufsize});
}

void StreamRequestHandler::finish() {
  /// Closes the files without another wait, after the first one was ended.
  class Dropped {
   public:
    explicit Dropped(StreamRequestHandler& handler) noexcept : handler_(handler) {}
    Dropped(const Dropped&) = delete;
    Dropped& operator=(const Dropped&) = delete;
    ~Dropped() {
      StreamAccess::drop(handler_.wfile);
      StreamAccess::drop(handler_.rfile);
    }

   private:
    StreamRequestHandler& handler_;
  };
  const Dropped dropped(*this);
  if (!wfile.closed()) {
    std::error_code error;
    wfile.flush(error);
    // Any other error: the client may be gone.
    if (detail::base::ends_call(error)) throw_if(error);
  }
  wfile.close();
  rfile.close();
}

void DatagramRequestHandler::setup() {
  packet = request.data();
  socket_ = &request.socket();
  rfile = BytesIO(packet);
  wfile = BytesIO();
}

void DatagramRequestHandler::finish() { socket_->sendto(wfile.getvalue(), client_address); }

// --- BytesIO ---

Bytes BytesIO::take(std::size_t size) {
  Bytes taken = bytes_.substr(position_, size);
  position_ += taken.size();
  return taken;
}

Bytes BytesIO::read(std::ptrdiff_t size) {
  if (position_ >= bytes_.size()) return {};
  return take(static_cast<std::size_t>(size));
}

Bytes BytesIO::readline(std::ptrdiff_t size) {
  if (position_ >= bytes_.size()) return {};
  const std::size_t newline = bytes_.find('\n', position_);
  const std::size_t end = newline == Bytes::npos ? bytes_.size() : newline + 1;
  return take(std::min(end - position_, static_cast<std::size_t>(size)));
}

std::vector<Bytes> BytesIO::readlines(std::ptrdiff_t hint) {
  std::vector<Bytes> lines;
  std::size_t total = 0;
  for (Bytes line = readline(); !line.empty(); line = readline()) {
    total += line.size();
    lines.push_back(std::move(line));
    if (hint > 0 && total >= static_cast<std::size_t>(hint)) break;
  }
  return lines;
}

std::size_t BytesIO::write(BytesView data) {
  if (data.empty()) return 0;
  if (bytes_.size() < position_) bytes_.resize(position_);
  bytes_.replace(position_, std::min(data.size(), bytes_.size() - position_), data.data(),
                 data.size());
  position_ += data.size();
  return data.size();
}

}  // namespace plug
