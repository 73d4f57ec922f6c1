#include <plug/error.hpp>
#include <plug/framing.hpp>

#include <cerrno>
#include <utility>

#include "address/access.hpp"
#include "framing/codec.hpp"
#include "framing/impl.hpp"
#include "socket/peer.hpp"
#include "socket/state.hpp"

namespace plug {

using detail::framing::bytes_text;
using detail::socket::SocketState;

// --- errors ---

namespace {

std::string with_about(std::string text, std::string_view about) {
  if (!about.empty()) (text += ": ") += about;
  return text;
}

}  // namespace

IncompleteReadError::IncompleteReadError(Bytes partial, std::optional<std::uint64_t> expected,
                                         std::string_view about)
    : EOFError(with_about(bytes_text(partial.size()) + " read of " +
                              (expected ? std::to_string(*expected) : "an unknown number") +
                              " expected",
                          about)),
      partial_(std::make_shared<const Bytes>(std::move(partial))),
      expected_(expected) {}

LimitOverrunError::LimitOverrunError(std::uint64_t size, std::size_t limit, std::string_view about)
    : ValueError(with_about(
          "message of " + bytes_text(size) + " is above the limit of " + bytes_text(limit), about)),
      size_(size),
      limit_(limit) {}

void Framer::Impl::fail_ended(std::error_code& error, std::size_t partial_from,
                              std::optional<std::uint64_t> expected) noexcept {
  error = Errc::end_in_message;
  failure_ = {0, partial_from, expected};
}

void Framer::Impl::fail_too_long(std::error_code& error, std::uint64_t size) noexcept {
  error = Errc::message_too_long;
  failure_ = {size, 0, std::nullopt};
}

void Framer::Impl::raise(const std::error_code& error, std::string_view call,
                         std::string_view preposition) const {
  std::string about = detail::socket::call_text(*state, call, preposition);
  if (error == Errc::end_in_message) {
    throw IncompleteReadError(Bytes(buffered().subspan(failure_.partial_from)), failure_.expected,
                              about);
  }
  if (error == Errc::message_too_long) throw LimitOverrunError(failure_.size, limit, about);
  if (error == Errc::malformed_length)
    about =
        detail::address::bytes_repr(view().substr(0, detail::framing::kMaxVarint)) + ", " + about;
  throw_if(error, about);
}

// --- construction ---

Framer::Framer(Socket& sock, Framing framing, std::size_t limit) {
  detail::framing::check_framing(framing);
  if (const auto* fixed = std::get_if<FixedSize>(&framing); fixed && fixed->size > limit)
    throw ValueError("a fixed size of " + bytes_text(fixed->size) + " is above the limit of " +
                     bytes_text(limit));
  const auto& state = detail::socket::SocketAccess::state(sock);
  if (!state) throw_if({EBADF, std::system_category()}, "Framer");
  impl_ = std::make_unique<Impl>(state, std::move(framing), limit);
}

Framer::Framer(Framer&&) noexcept = default;
Framer& Framer::operator=(Framer&&) noexcept = default;
Framer::~Framer() = default;

[[gnu::cold]] Framer::Impl& Framer::revive() {
  impl_ = std::make_unique<Impl>(std::make_shared<SocketState>(-1, 0, 0, 0, Timeout(std::nullopt)),
                                 LengthPrefix{}, kDefaultLimit);
  return *impl_;
}

std::size_t Framer::limit() const noexcept { return impl_ ? impl_->limit : kDefaultLimit; }
void Framer::set_limit(std::size_t limit) noexcept {
  if (impl_) impl_->limit = limit;
}

BytesView Framer::buffered() const noexcept { return impl_ ? impl_->buffered() : BytesView(); }

// --- sending ---

void Framer::Impl::send(BytesView message, const Framing& in, std::error_code& error) const {
  detail::framing::Head head;
  BytesView tail;
  if (const auto* prefix = std::get_if<LengthPrefix>(&in)) {
    head = detail::framing::encode_length(message.size(), *prefix);
  } else if (const auto* delimiter = std::get_if<Delimiter>(&in)) {
    detail::framing::check_delimited(message, delimiter->delimiters);
    tail = delimiter->delimiters.front();
  } else if (const auto* fixed = std::get_if<FixedSize>(&in)) {
    if (message.size() != fixed->size) {
      throw ValueError("message of " + bytes_text(message.size()) + ": this framing takes " +
                       bytes_text(fixed->size));
    }
  } else {
    head = detail::framing::encode_varint(message.size());
  }
  send_all(*state, {head.bytes.data(), head.size}, message, tail, state->deadline(), error);
}

void Framer::send(BytesView message) {
  const Impl& impl = live();
  std::error_code error;
  impl.send(message, impl.framing, error);
  if (error) [[unlikely]]
    impl.raise(error, "send", "to");
}

void Framer::send(BytesView message, std::error_code& error) {
  const Impl& impl = live();
  impl.send(message, impl.framing, error);
}

void Framer::send(BytesView message, const Framing& framing) {
  std::error_code error;
  send(message, framing, error);
  if (error) [[unlikely]]
    impl_->raise(error, "send", "to");
}

void Framer::send(BytesView message, const Framing& framing, std::error_code& error) {
  detail::framing::check_framing(framing);
  live().send(message, framing, error);
}

}  // namespace plug
