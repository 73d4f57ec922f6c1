#include <plug/ancillary.hpp>
#include <plug/error.hpp>
#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <cstring>
#include <limits>
#include <span>

#include "address/access.hpp"
#include "layout/sockaddr.hpp"
#include "socket/calls.hpp"
#include "socket/scratch.hpp"
#include "socket/state.hpp"
#include "sys/control.hpp"

namespace plug {

namespace {

using detail::AddressAccess;
using detail::checked_size;
using detail::Deadline;
using detail::error_from;
using detail::Op;
using detail::Scratch;
using detail::SocketState;
using detail::state_or_closed;
namespace sys = detail::sys;

constexpr int kRights = static_cast<int>(SCM::RIGHTS);
constexpr int kSocketLevel = static_cast<int>(SOL::SOCKET);

static_assert(detail::kControlHeader == sizeof(sys::ControlHeader));
static_assert(CMSG_SPACE_(1) == sizeof(sys::ControlHeader) + sys::control_padded(1));

bool is_rights(int level, int type) noexcept { return level == kSocketLevel && type == kRights; }

/// Calls found(number) for each descriptor in the data of an SCM_RIGHTS item.
template <class Found>
void each_descriptor(const char* data, std::size_t size, Found found) {
  int number = -1;
  for (; size >= sizeof number; size -= sizeof number, data += sizeof number) {
    std::memcpy(&number, data, sizeof number);
    found(number);
  }
}

void close_descriptors(const char* data, std::size_t size) noexcept {
  each_descriptor(data, size, [](int number) { sys::close(number); });
}

/// Control data that the kernel has written or will write. Closes the descriptors in it unless they
/// are handed over.
class Arrived {
 public:
  Arrived(char* control, const sys::Message& message) noexcept
      : control_(control), message_(message) {
    // Nothing is read from it unless the kernel has written to it.
    if (message.control_size > 0)
      std::memset(control, 0, std::min(message.control_size, sizeof(sys::ControlHeader)));
  }
  Arrived(const Arrived&) = delete;
  Arrived& operator=(const Arrived&) = delete;
  ~Arrived() {
    if (handed_over_) return;
    sys::read_control(control_, message_.control_size,
                      [](int level, int type, const char* data, std::size_t size) {
                        if (is_rights(level, type)) close_descriptors(data, size);
                      });
  }

  void hand_over() noexcept { handed_over_ = true; }

 private:
  const char* control_;
  const sys::Message& message_;
  bool handed_over_ = false;
};

}  // namespace

namespace detail {

struct AncillaryAccess {
  static AncillaryData make(std::vector<ControlMessage> items) noexcept {
    AncillaryData made;
    made.items_ = std::move(items);
    return made;
  }
};

void throw_control_length(const char* call, std::int64_t length) {
  throw OverflowError(std::string(call) + " argument out of range: " + std::to_string(length));
}

}  // namespace detail

// --- OwnedFd ---

OwnedFd::~OwnedFd() {
  if (fileno_ >= 0) sys::close(fileno_);
}

void OwnedFd::close() {
  const int number = fileno_;
  std::error_code error;
  close(error);
  if (error) throw_if(error, "close of fileno " + std::to_string(number));
}

void OwnedFd::close(std::error_code& error) {
  error.clear();
  if (fileno_ >= 0) error = error_from(sys::close(detach()));
}

// --- ControlMessage ---

namespace {

template <class T>
ControlMessage item_of(OptionLevel level, ControlType type, const T& value) {
  return {level, type, BytesView(&value, sizeof value)};
}

std::string about(const ControlMessage& item) {
  return "control message of level " + std::to_string(item.level) + ", type " +
         std::to_string(item.type) + ", " + std::to_string(item.data.size()) + " bytes";
}

[[noreturn]] void throw_no(const char* what, const ControlMessage& item) {
  throw ValueError(about(item) + ": no " + what);
}

/// Reads the data of an item that is exactly a T. Returns false for any other item.
template <class T>
bool holds(const ControlMessage& item, OptionLevel level, ControlType type, T& value) noexcept {
  if (!item.is(level, type) || item.data.size() != sizeof value) return false;
  std::memcpy(&value, item.data.data(), sizeof value);
  return true;
}

Address host_address(AF family, const unsigned char* host) {
  sys::InetFields fields;
  fields.family = static_cast<int>(family);
  std::memcpy(fields.host, host, family == AF::INET ? 4 : 16);
  return detail::inet_address(fields);
}

/// Converts `time`, in seconds and parts of seconds, to a time point. Returns nothing if no clock
/// can represent it.
std::optional<Timestamp> moment(const sys::TimePair& time, std::int64_t nanoseconds_of_part) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::int64_t since = 0;
  if (time.fraction < 0 || time.fraction >= kSecond / nanoseconds_of_part) return std::nullopt;
  const std::int64_t nanoseconds = time.fraction * nanoseconds_of_part;
  // Rounds the seconds towards zero first, so that the least time point fits.
  const bool before = time.seconds < 0 && nanoseconds > 0;
  if (__builtin_mul_overflow(before ? time.seconds + 1 : time.seconds, kSecond, &since) ||
      __builtin_add_overflow(since, before ? nanoseconds - kSecond : nanoseconds, &since))
    return std::nullopt;
  return Timestamp(std::chrono::nanoseconds(since));
}

}  // namespace

ControlMessage ControlMessage::rights(const detail::ListOf<int>& filenos) {
  return {SOL::SOCKET, SCM::RIGHTS, BytesView(filenos.data(), filenos.size() * sizeof(int))};
}

std::vector<int> ControlMessage::rights() const {
  if (!is_rights(level, type)) throw_no("descriptors", *this);
  std::vector<int> numbers;
  each_descriptor(data.data(), data.size(), [&](int number) { numbers.push_back(number); });
  return numbers;
}

ControlMessage ControlMessage::credentials(const Credentials& sender) {
  return item_of(SOL::SOCKET, SCM::CREDENTIALS,
                 sys::UserCredentials{sender.pid, sender.uid, sender.gid});
}

Credentials ControlMessage::credentials() const {
  sys::UserCredentials value{};
  if (!holds(*this, SOL::SOCKET, SCM::CREDENTIALS, value)) throw_no("credentials", *this);
  return {value.pid, value.uid, value.gid};
}

ControlMessage ControlMessage::packet_info(const PacketInfo& info) {
  sys::InetFields local;
  if (!sys::read_inet(info.local.bytes(), local))
    throw ValueError("packet information needs an IPv4 or IPv6 address: " + to_string(info.local));
  if (info.local.family() == AF::INET) {
    sys::PacketInfo4 value{};
    value.interface_index = info.interface_index;
    std::memcpy(value.local, local.host, sizeof value.local);
    return item_of(IPPROTO::IP_, IP_::PKTINFO, value);
  }
  sys::PacketInfo6 value{};
  value.interface_index = info.interface_index;
  std::memcpy(value.local, local.host, sizeof value.local);
  return item_of(IPPROTO::IPV6, IPV6::PKTINFO, value);
}

PacketInfo ControlMessage::packet_info() const {
  if (sys::PacketInfo4 value{}; holds(*this, IPPROTO::IP_, IP_::PKTINFO, value))
    return {value.interface_index, host_address(AF::INET, value.local),
            host_address(AF::INET, value.destination)};
  sys::PacketInfo6 value{};
  if (!holds(*this, IPPROTO::IPV6, IPV6::PKTINFO, value)) throw_no("packet information", *this);
  const Address local = host_address(AF::INET6, value.local);
  return {value.interface_index, local, local};
}

ControlMessage ControlMessage::ttl(int hops) { return item_of(IPPROTO::IP_, IP_::TTL, hops); }

ControlMessage ControlMessage::hop_limit(int hops) {
  return item_of(IPPROTO::IPV6, IPV6::HOPLIMIT, hops);
}

int ControlMessage::ttl() const {
  int hops = 0;
  if (!holds(*this, IPPROTO::IP_, IP_::TTL, hops) &&
      !holds(*this, IPPROTO::IPV6, IPV6::HOPLIMIT, hops))
    throw_no("TTL", *this);
  return hops;
}

ControlMessage ControlMessage::tos(int value) { return item_of(IPPROTO::IP_, IP_::TOS, value); }

ControlMessage ControlMessage::traffic_class(int value) {
  return item_of(IPPROTO::IPV6, IPV6::TCLASS, value);
}

int ControlMessage::tos() const {
  // The kernel takes an int for IP_TOS and returns a byte.
  if (unsigned char byte = 0; holds(*this, IPPROTO::IP_, IP_::TOS, byte)) return byte;
  int value = 0;
  if (!holds(*this, IPPROTO::IP_, IP_::TOS, value) &&
      !holds(*this, IPPROTO::IPV6, IPV6::TCLASS, value))
    throw_no("TOS", *this);
  return value;
}

Timestamp ControlMessage::timestamp() const {
  sys::TimePair time{};
  std::optional<Timestamp> when;
  if (holds(*this, SOL::SOCKET, SCM::TIMESTAMP, time))
    when = moment(time, 1000);
  else if (holds(*this, SOL::SOCKET, SCM::TIMESTAMPNS, time))
    when = moment(time, 1);
  if (!when) throw_no("timestamp", *this);
  return *when;
}

Timestamps ControlMessage::timestamps() const {
  struct {
    sys::TimePair software, unused, hardware;
  } times{};
  if (!holds(*this, SOL::SOCKET, SCM::TIMESTAMPING, times)) throw_no("timestamps", *this);
  const auto given = [this](const sys::TimePair& time) -> std::optional<Timestamp> {
    if (time.seconds == 0 && time.fraction == 0) return std::nullopt;
    const std::optional<Timestamp> when = moment(time, 1);
    if (!when) throw_no("timestamps", *this);
    return when;
  };
  return {given(times.software), given(times.hardware)};
}

std::string to_string(const ControlMessage& item) {
  return "(" + std::to_string(item.level) + ", " + std::to_string(item.type) + ", " +
         detail::bytes_repr(item.data) + ")";
}

// --- AncillaryData ---

AncillaryData::AncillaryData(AncillaryData&& other) noexcept
    : items_(std::move(other.items_)), owns_(std::exchange(other.owns_, false)) {
  other.items_.clear();
}

AncillaryData& AncillaryData::operator=(AncillaryData&& other) noexcept {
  const AncillaryData old(std::move(*this));
  items_ = std::move(other.items_);
  owns_ = std::exchange(other.owns_, false);
  other.items_.clear();
  return *this;
}

AncillaryData::~AncillaryData() {
  if (!owns_) return;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type)) close_descriptors(item.data.data(), item.data.size());
}

const ControlMessage* AncillaryData::find(OptionLevel level, ControlType type) const noexcept {
  for (const ControlMessage& item : items_)
    if (item.is(level, type)) return &item;
  return nullptr;
}

std::vector<OwnedFd> AncillaryData::take_fds() {
  std::vector<OwnedFd> fds;
  if (!owns_) return fds;
  std::size_t bytes = 0;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type)) bytes += item.data.size();
  fds.reserve(bytes / sizeof(int));
  owns_ = false;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type))
      each_descriptor(item.data.data(), item.data.size(),
                      [&](int number) { fds.emplace_back(number); });
  return fds;
}

std::vector<ControlMessage> AncillaryData::release() noexcept {
  owns_ = false;
  return std::exchange(items_, {});
}

// --- sending ---

namespace {

/// The buffers of a message in the kernel's form. Allocates only for more than a few.
class Pieces {
 public:
  template <class View>
  explicit Pieces(const detail::ListOf<View>& views) : size_(views.size()) {
    sys::IoVec* piece = few_;
    if (size_ > kFew) {
      many_ = std::make_unique_for_overwrite<sys::IoVec[]>(size_);
      piece = many_.get();
    }
    for (const View& view : views) *piece++ = {const_cast<char*>(view.data()), view.size()};
  }

  sys::IoVec* data() noexcept { return many_ ? many_.get() : few_; }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kFew = 16;

  std::size_t size_;
  sys::IoVec few_[kFew];
  std::unique_ptr<sys::IoVec[]> many_;
};

std::size_t send_message(SocketState& state, const Buffers& buffers, const ControlMessages& ancdata,
                         MSG flags, const Address& to, Deadline deadline, std::error_code& error) {
  if (state.layer()) {
    error = std::make_error_code(std::errc::operation_not_supported);
    return 0;
  }
  std::size_t control_size = 0;
  for (const ControlMessage& item : ancdata) {
    if (!sys::add_control_space(control_size, item.data.size())) {
      error = Errc::ancillary_overflow;
      return 0;
    }
  }
  std::optional<Scratch> control;
  if (control_size > 0) {
    control.emplace(control_size);
    char* out = control->data();
    for (const ControlMessage& item : ancdata)
      out = sys::write_control(out, item.level, item.type, item.data.data(), item.data.size());
  }
  Pieces pieces(buffers);
  const BytesView address = to.bytes();
  sys::Message message{.address = address.empty() ? nullptr : const_cast<char*>(address.data()),
                       .address_size = static_cast<std::uint32_t>(address.size()),
                       .pieces = pieces.data(),
                       .count = pieces.size(),
                       .control = control ? control->data() : nullptr,
                       .control_size = control_size};
  Op op{.kind = Op::Kind::send_message, .flags = static_cast<int>(flags), .data = &message};
  const long sent = detail::perform(state.descriptor, op, deadline);
  error = detail::error_with(sent, state, to);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

std::string message_text(const char* call, std::size_t buffers, std::size_t items) {
  return std::string(call) + " of " + std::to_string(buffers) + " buffers, " +
         std::to_string(items) + " control messages";
}

std::string receive_text(const char* call, std::ptrdiff_t size, std::ptrdiff_t ancsize) {
  return std::string(call) + "(" + std::to_string(size) + ", " + std::to_string(ancsize) + ")";
}

}  // namespace

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags) {
  std::error_code error;
  const std::size_t count = sendmsg(buffers, ancdata, flags, error);
  if (error) [[unlikely]]
    throw_if(error, message_text("sendmsg", buffers.size(), ancdata.size()));
  return count;
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                            std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  return send_message(state, buffers, ancdata, flags, {}, state.deadline(), error);
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                            const AddressLike& address) {
  std::error_code error;
  const std::size_t count = sendmsg(buffers, ancdata, flags, address, error);
  detail::throw_about(error, address, state_);
  return count;
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                            const AddressLike& address, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  const Deadline deadline = state.deadline();
  Address found;
  error.clear();
  const Address* target = detail::target_of(state, address, deadline, found, error);
  if (error) return 0;
  return send_message(state, buffers, ancdata, flags, *target, deadline, error);
}

std::size_t Socket::sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options) {
  std::error_code error;
  const std::size_t count = sendmsg_afalg(op, buffers, options, error);
  if (error)
    throw_if(error, "sendmsg_afalg(" + std::to_string(static_cast<int>(op)) + ") of " +
                        std::to_string(buffers.size()) + " buffers");
  return count;
}

std::size_t Socket::sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options,
                                  std::error_code& error) {
  std::vector<ControlMessage> items;
  items.push_back(item_of(SOL::ALG, ALG::SET_OP, op));
  if (!options.iv.empty()) {
    const auto size = static_cast<std::uint32_t>(options.iv.size());
    items.push_back(item_of(SOL::ALG, ALG::SET_IV, size));
    items.back().data.append(options.iv.data(), options.iv.size());
  }
  if (options.assoclen)
    items.push_back(item_of(SOL::ALG, ALG::SET_AEAD_ASSOCLEN, *options.assoclen));
  return sendmsg(buffers, items, options.flags, error);
}

// --- receiving ---

namespace {

/// Calls recvmsg() once, into `pieces`; the control data goes to `control`.
ReceivedInto receive_message(SocketState& state, Pieces& pieces, char* control,
                             std::size_t control_size, MSG flags, std::error_code& error) {
  ReceivedInto received;
  if (state.layer()) {
    error = std::make_error_code(std::errc::operation_not_supported);
    return received;
  }
  sys::Message message{.address = AddressAccess::storage(received.address),
                       .address_size = Address::kCapacity,
                       .pieces = pieces.data(),
                       .count = pieces.size(),
                       .control = control,
                       .control_size = control_size};
  Arrived arrived(control, message);
  Op op{.kind = Op::Kind::receive_message, .flags = static_cast<int>(flags), .data = &message};
  const long result = detail::perform(state.descriptor, op, state.deadline());
  error = error_from(result);
  if (result < 0) return received;
  std::vector<ControlMessage> items;
  sys::read_control(control, message.control_size,
                    [&](int level, int type, const char* data, std::size_t size) {
                      items.emplace_back(level, type, BytesView(data, size));
                    });
  arrived.hand_over();
  received.ancdata = detail::AncillaryAccess::make(std::move(items));
  received.count = static_cast<std::size_t>(result);
  received.flags = static_cast<MSG>(message.flags);
  AddressAccess::set_size(received.address, message.address_size, state.proto);
  return received;
}

/// Returns the room for ancillary data; sets Errc if the system cannot take that much.
std::size_t checked_ancsize(std::ptrdiff_t ancsize, std::error_code& error) noexcept {
  if (ancsize < 0 || ancsize > detail::kLargestControl) {
    error = Errc::ancillary_size;
    return 0;
  }
  return static_cast<std::size_t>(ancsize);
}

}  // namespace

ReceivedMessage Socket::recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize, MSG flags) {
  std::error_code error;
  ReceivedMessage received = recvmsg(size, ancsize, flags, error);
  if (error) [[unlikely]]
    throw_if(error, receive_text("recvmsg", size, ancsize));
  return received;
}

ReceivedMessage Socket::recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize, MSG flags,
                                std::error_code& error) {
  const std::size_t wanted = checked_size(size, error);
  if (error) return {};
  const std::size_t control_size = checked_ancsize(ancsize, error);
  if (error) return {};
  // The control data comes first, where it is aligned.
  const std::size_t room = sys::control_padded(control_size);
  Scratch scratch(room + wanted);
  if ((flags & MSG::TRUNC) != MSG{}) scratch.clear(room + wanted);
  Pieces pieces(MutableBuffers{MutableBytes(scratch.data() + room, wanted)});
  ReceivedInto into =
      receive_message(state_or_closed(state_), pieces, scratch.data(), control_size, flags, error);
  if (error) return {};
  return {Bytes(scratch.data() + room, std::min(into.count, wanted)), std::move(into.ancdata),
          into.flags, into.address};
}

ReceivedInto Socket::recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize,
                                  MSG flags) {
  std::error_code error;
  ReceivedInto received = recvmsg_into(buffers, ancsize, flags, error);
  if (error) [[unlikely]]
    throw_if(error, std::to_string(buffers.size()) + " buffers, " + std::to_string(ancsize) +
                        " bytes of ancillary data");
  return received;
}

ReceivedInto Socket::recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize, MSG flags,
                                  std::error_code& error) {
  if (error) [[unlikely]]
    error.clear();
  const std::size_t control_size = checked_ancsize(ancsize, error);
  if (error) return {};
  Pieces pieces(buffers);
  if (control_size == 0)
    return receive_message(state_or_closed(state_), pieces, nullptr, 0, flags, error);
  Scratch control(control_size);
  return receive_message(state_or_closed(state_), pieces, control.data(), control_size, flags,
                         error);
}

// --- descriptors ---

Credentials peer_credentials(const Socket& sock) {
  std::error_code error;
  const Credentials peer = peer_credentials(sock, error);
  if (error) throw_if(error, "the peer's credentials");
  return peer;
}

Credentials peer_credentials(const Socket& sock, std::error_code& error) {
  Credentials peer;
  static_assert(sizeof peer == 12);  // struct ucred
  const Bytes raw = sock.getsockopt(SOL::SOCKET, SO::PEERCRED, sizeof peer, error);
  if (error) return {};
  std::memcpy(&peer, raw.data(), std::min(raw.size(), sizeof peer));
  // A socket that is not a Unix socket has no peer credentials.
  if (peer.pid == 0 && sock.family() != AF::UNIX)
    error = std::make_error_code(std::errc::operation_not_supported);
  return error ? Credentials{} : peer;
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, flags);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, std::error_code& error) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, flags, error);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, const AddressLike& address) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, flags, address);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, const AddressLike& address, std::error_code& error) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, flags, address, error);
}

ReceivedFds recv_fds(Socket& sock, std::ptrdiff_t bufsize, std::ptrdiff_t maxfds, MSG flags) {
  std::error_code error;
  ReceivedFds received = recv_fds(sock, bufsize, maxfds, flags, error);
  if (error) [[unlikely]]
    throw_if(error, receive_text("recv_fds", bufsize, maxfds));
  return received;
}

ReceivedFds recv_fds(Socket& sock, std::ptrdiff_t bufsize, std::ptrdiff_t maxfds, MSG flags,
                     std::error_code& error) {
  constexpr std::ptrdiff_t kMost =
      (detail::kLargestControl - static_cast<std::ptrdiff_t>(detail::kControlHeader)) /
      static_cast<std::ptrdiff_t>(sizeof(int));
  if (maxfds < 0 || maxfds > kMost) {
    error = Errc::control_length;
    return {};
  }
  const auto room = CMSG_LEN_(maxfds * static_cast<std::ptrdiff_t>(sizeof(int)));
  ReceivedMessage received =
      sock.recvmsg(bufsize, static_cast<std::ptrdiff_t>(room), flags | MSG::CMSG_CLOEXEC, error);
  if (error) return {};
  std::vector<OwnedFd> fds = received.ancdata.take_fds();
  // The kernel returns this flag as well, though the caller did not ask for it.
  const MSG unasked = ~flags & MSG::CMSG_CLOEXEC;
  return {std::move(received.data), std::move(fds), received.flags & ~unasked, received.address};
}

}  // namespace plug
