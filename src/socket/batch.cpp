#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/socket/batch.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "address/access.hpp"
#include "socket/calls.hpp"
#include "socket/state.hpp"
#include "sys/control.hpp"
#include "wait/io_driver.hpp"

namespace plug {

namespace sys = detail::sys;

namespace {

constexpr std::size_t kMostDatagrams = 1024;  // the system's limit
constexpr std::size_t kLargestDatagram = std::size_t{1} << 20;
// More than packet information needs, in case the socket has been told to report more.
constexpr std::size_t kControlSize = 128;

std::size_t checked_option(std::size_t value, std::size_t most, const char* name) {
  if (value >= 1 && value <= most) return value;
  throw ValueError("a batch with a " + std::string(name) + " of " + std::to_string(value) +
                   ": it has to be 1 to " + std::to_string(most));
}

}  // namespace

// --- Datagram ---

void Datagram::resize(std::size_t size) {
  if (size > memory_.size())
    throw ValueError("a datagram of " + std::to_string(size) + " bytes in a batch of " +
                     std::to_string(memory_.size()) + " each");
  size_ = size;
}

void Datagram::assign(BytesView data) {
  resize(data.size());
  if (!data.empty()) std::memmove(memory_.data(), data.data(), data.size());
}

std::optional<PacketInfo> Datagram::packet_info() const {
  std::optional<PacketInfo> info;
  sys::read_control(
      control_.data(), control_size_, [&](int level, int type, const char* data, std::size_t size) {
        const ControlMessage item{OptionLevel(level), ControlType(type), BytesView(data, size)};
        if (item.is(IPPROTO::IP_, IP_::PKTINFO) || item.is(IPPROTO::IPV6, IPV6::PKTINFO))
          info = item.packet_info();
      });
  return info;
}

void Datagram::set_source(const PacketInfo& info) {
  if (control_.empty())
    throw ValueError("set_source: a batch without packet_info has no room for it");
  const ControlMessage item = ControlMessage::packet_info(info);
  const char* const end = sys::write_control(control_.data(), item.level, item.type,
                                             item.data.data(), item.data.size());
  control_size_ = static_cast<std::size_t>(end - control_.data());
  has_source_ = true;
}

// --- DatagramBatch ---

/// The kernel's structures point to each other, to the datagrams and to their memory.
struct DatagramBatch::Memory {
  explicit Memory(const BatchOptions& options)
      : count(checked_option(options.count, kMostDatagrams, "count")),
        size(checked_option(options.size, kLargestDatagram, "size")),
        bytes(new char[count * size]),
        control(options.packet_info ? new char[count * kControlSize] : nullptr),
        datagrams(new Datagram[count]),
        pieces(count),
        messages(count) {
    for (std::size_t i = 0; i < count; ++i) {
      datagrams[i].memory_ = {bytes.get() + i * size, size};
      if (control) datagrams[i].control_ = {control.get() + i * kControlSize, kControlSize};
      pieces[i].data = datagrams[i].memory_.data();
      messages[i].message.pieces = &pieces[i];
      messages[i].message.count = 1;
    }
  }

  const std::size_t count;
  const std::size_t size;
  std::unique_ptr<char[]> bytes;
  std::unique_ptr<char[]> control;
  std::unique_ptr<Datagram[]> datagrams;
  std::vector<sys::IoVec> pieces;
  std::vector<sys::MMsgHdr> messages;
  // From this message on all are ready for receiving, with or without room for control data.
  std::size_t used = count;
  bool has_control = false;
};

DatagramBatch::DatagramBatch(const BatchOptions& options)
    : memory_(std::make_unique<Memory>(options)) {}
DatagramBatch::DatagramBatch(DatagramBatch&& other) noexcept
    : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
DatagramBatch& DatagramBatch::operator=(DatagramBatch&& other) noexcept {
  memory_ = std::move(other.memory_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}
DatagramBatch::~DatagramBatch() = default;

std::size_t DatagramBatch::capacity() const noexcept { return memory_ ? memory_->count : 0; }

Datagram* DatagramBatch::begin() noexcept { return memory_ ? memory_->datagrams.get() : nullptr; }

Datagram& DatagramBatch::add() {
  if (full()) throw ValueError("a batch of " + std::to_string(capacity()) + " is full");
  Datagram& datagram = begin()[size_++];
  datagram.size_ = 0;
  datagram.address = Address();
  datagram.control_size_ = 0;
  datagram.has_source_ = false;
  datagram.flags_ = MSG{};
  return datagram;
}

Datagram& DatagramBatch::add(BytesView data, const Address& to) {
  Datagram& datagram = add();
  try {
    datagram.assign(data);
  } catch (...) {
    --size_;
    throw;
  }
  datagram.address = to;
  return datagram;
}

// --- the calls ---

namespace detail::socket {

struct BatchAccess {
  using Memory = DatagramBatch::Memory;

  static std::size_t receive(SocketState& state, DatagramBatch& batch, int flags,
                             std::error_code& error) {
    batch.size_ = 0;
    if (!usable(state, batch, error)) return 0;
    Memory& memory = *batch.memory_;
    // The control data of other families may hold descriptors.
    const auto family = static_cast<AF>(state.family);
    const bool control = memory.control && (family == AF::INET || family == AF::INET6);
    if (std::exchange(memory.has_control, control) != control) memory.used = memory.count;
    for (std::size_t i = 0; i < memory.used; ++i) {
      Datagram& datagram = memory.datagrams[i];
      sys::Message& message = memory.messages[i].message;
      memory.pieces[i].size = memory.size;
      message.address = address::AddressAccess::storage(datagram.address);
      message.address_size = Address::kCapacity;
      message.control = control ? datagram.control_.data() : nullptr;
      message.control_size = control ? kControlSize : 0;
    }
    // With MSG_TRUNC, some sockets report data and write nothing.
    if ((flags & static_cast<int>(MSG::TRUNC)) != 0)
      std::memset(memory.bytes.get(), 0, memory.count * memory.size);
    wait::Op op{.kind = wait::Op::Kind::receive_batch,
                .flags = flags,
                .data = memory.messages.data(),
                .size = memory.count};
    const std::size_t count =
        base::count_of(wait::perform(state.descriptor, op, state.deadline()), error);
    // The call may have begun to fill the message after the last one.
    memory.used = std::min(count + 1, memory.count);
    for (std::size_t i = 0; i < count; ++i) {
      Datagram& datagram = memory.datagrams[i];
      const sys::MMsgHdr& got = memory.messages[i];
      datagram.size_ = std::min<std::size_t>(got.size, memory.size);
      address::AddressAccess::set_size(datagram.address, got.message.address_size, state.proto);
      datagram.control_size_ = control ? got.message.control_size : 0;
      datagram.has_source_ = false;
      datagram.flags_ = static_cast<MSG>(got.message.flags);
    }
    return batch.size_ = count;
  }

  static std::size_t send(SocketState& state, DatagramBatch& batch, int flags,
                          std::error_code& error) {
    if (!usable(state, batch, error)) return 0;
    Memory& memory = *batch.memory_;
    for (std::size_t i = 0; i < batch.size_; ++i) {
      const Datagram& datagram = memory.datagrams[i];
      sys::Message& message = memory.messages[i].message;
      const BytesView address = datagram.address.bytes();
      memory.pieces[i].size = datagram.size_;
      message.address = address.empty() ? nullptr : const_cast<char*>(address.data());
      message.address_size = static_cast<std::uint32_t>(address.size());
      message.control = datagram.has_source_ ? datagram.control_.data() : nullptr;
      message.control_size = datagram.has_source_ ? datagram.control_size_ : 0;
    }
    memory.used = std::max(memory.used, batch.size_);
    const Deadline deadline = state.deadline();
    std::size_t sent = 0;
    while (sent < batch.size_) {
      wait::Op op{.kind = wait::Op::Kind::send_batch,
                  .flags = flags,
                  .data = memory.messages.data() + sent,
                  .size = batch.size_ - sent};
      sent += base::count_of(wait::perform(state.descriptor, op, deadline), error);
      if (error || (sent < batch.size_ && !may_send_on(error))) break;
    }
    if (error && error.category() == std::system_category())
      error = error_with(-error.value(), state, memory.datagrams[sent].address);
    return sent;
  }

 private:
  static bool usable(SocketState& state, const DatagramBatch& batch, std::error_code& error) {
    error.clear();
    if (state.layer() || !batch.memory_)
      error = std::make_error_code(std::errc::operation_not_supported);
    return !error;
  }
};

}  // namespace detail::socket

std::size_t recv_batch(Socket& sock, DatagramBatch& batch, MSG flags) {
  return detail::base::throwing(
      [&](std::error_code& error) { return recv_batch(sock, batch, error, flags); }, "recv_batch");
}

std::size_t recv_batch(Socket& sock, DatagramBatch& batch, std::error_code& error, MSG flags) {
  return detail::socket::BatchAccess::receive(
      detail::socket::state_or_closed(detail::socket::SocketAccess::state(sock)), batch,
      static_cast<int>(flags), error);
}

std::size_t send_batch(Socket& sock, DatagramBatch& batch, MSG flags) {
  std::size_t count = 0;
  detail::base::throwing(
      [&](std::error_code& error) { count = send_batch(sock, batch, error, flags); },
      [&] {
        return "send_batch: " + std::to_string(count) + " of " + std::to_string(batch.size()) +
               " datagrams sent";
      });
  return count;
}

std::size_t send_batch(Socket& sock, DatagramBatch& batch, std::error_code& error, MSG flags) {
  return detail::socket::BatchAccess::send(
      detail::socket::state_or_closed(detail::socket::SocketAccess::state(sock)), batch,
      static_cast<int>(flags), error);
}

}  // namespace plug
