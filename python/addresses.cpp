#include "addresses.hpp"

#include <plug/family/addresses.hpp>

#include <concepts>

namespace plug::python {

namespace {

void need_tuple(PyObject* value, const char* call, const char* family) {
  if (!PyTuple_Check(value))
    fail(PyExc_TypeError, "%s(): %s address must be tuple, not %.500s", call, family,
         Py_TYPE(value)->tp_name);
}

std::string unix_path(PyObject* value) {
  // An abstract address may contain any byte.
  const Object encoded =
      PyUnicode_Check(value) ? Object(PyUnicode_EncodeFSDefault(value)) : Object::borrow(value);
  Lent lent;
  if (PyObject_GetBuffer(encoded.get(), lent.place(), PyBUF_SIMPLE) < 0) throw PythonError();
  return std::string(lent.data(), lent.size());
}

Address can_address(int proto, PyObject* value, const char* call) {
  need_tuple(value, call, "AF_CAN");
  PyObject* interface = nullptr;
  if (proto == static_cast<int>(CAN::ISOTP)) {
    unsigned long rx_id = 0;
    unsigned long tx_id = 0;
    parse(value, "Okk", &interface, &rx_id, &tx_id);
    return IsotpAddress(system_name(interface), rx_id, tx_id);
  }
  if (proto == static_cast<int>(CAN::J1939)) {
    unsigned long long name = 0;
    unsigned pgn = 0;
    unsigned char addr = 0;
    parse(value, "OKIB", &interface, &name, &pgn, &addr);
    return J1939Address(system_name(interface), name, pgn, addr);
  }
  parse(value, "O", &interface);
  return CanAddress(system_name(interface));
}

Address bluetooth_address(int proto, PyObject* value, const char* call) {
  if (proto == static_cast<int>(BTPROTO::HCI)) {
    if (!PyTuple_Check(value)) return HciAddress(c_int(value));
    int number = 0;
    int channel = static_cast<int>(HCI::CHANNEL_RAW);
    parse(value, "i|i", &number, &channel);
    return HciAddress(number, channel);
  }
  if (proto == static_cast<int>(BTPROTO::SCO)) {
    if (PyTuple_Check(value)) {
      const char* bdaddr = nullptr;
      parse(value, "s", &bdaddr);
      return ScoAddress(bdaddr);
    }
    return ScoAddress(host_name(value));
  }
  need_tuple(value, call, "AF_BLUETOOTH");
  const char* bdaddr = nullptr;
  int number = 0;
  if (proto == static_cast<int>(BTPROTO::RFCOMM)) {
    parse(value, "si", &bdaddr, &number);
    return RfcommAddress(bdaddr, number);
  }
  if (proto != static_cast<int>(BTPROTO::L2CAP)) throw_if(Errc::address_family);
  int cid = 0;
  int type = BDADDR::BREDR;
  parse(value, "si|ii", &bdaddr, &number, &cid, &type);
  return L2capAddress(bdaddr, number, cid, type);
}

Address packet_address(PyObject* value, const char* call) {
  need_tuple(value, call, "AF_PACKET");
  const char* interface = nullptr;
  int proto = 0;
  int pkttype = 0;
  int hatype = 0;
  Lent addr;
  parse(value, "si|iiy*", &interface, &proto, &pkttype, &hatype, addr.place());
  return PacketAddress(interface, proto, pkttype, hatype, {addr.data(), addr.size()});
}

Address tipc_address(PyObject* value, const char* call) {
  need_tuple(value, call, "AF_TIPC");
  unsigned type = 0;
  unsigned v1 = 0;
  unsigned v2 = 0;
  unsigned v3 = 0;
  auto scope = static_cast<unsigned>(TIPC::CLUSTER_SCOPE);
  parse(value, "IIII|I", &type, &v1, &v2, &v3, &scope);
  return TipcAddress(type, v1, v2, v3, scope);
}

Address alg_address(PyObject* value, const char* call) {
  need_tuple(value, call, "AF_ALG");
  const char* type = nullptr;
  const char* name = nullptr;
  unsigned feat = 0;
  unsigned mask = 0;
  parse(value, "ss|II", &type, &name, &feat, &mask);
  return AlgAddress(type, name, feat, mask);
}

/// Converts addresses of families whose address is two numbers.
template <class Typed>
Address two_numbers(PyObject* value, const char* call, const char* family) {
  need_tuple(value, call, family);
  unsigned first = 0;
  unsigned second = 0;
  parse(value, "II", &first, &second);
  return Typed(first, second);
}

Address typed_address(Kind kind, PyObject* value, const char* call) {
  switch (static_cast<AF>(kind.family)) {
    case AF::UNIX:
      return UnixAddress(unix_path(value));
    case AF::NETLINK:
      return two_numbers<NetlinkAddress>(value, call, "AF_NETLINK");
    case AF::QIPCRTR:
      return two_numbers<QrtrAddress>(value, call, "AF_QIPCRTR");
    case AF::VSOCK:
      return two_numbers<VsockAddress>(value, call, "AF_VSOCK");
    case AF::CAN:
      return can_address(kind.proto, value, call);
    case AF::BLUETOOTH:
      return bluetooth_address(kind.proto, value, call);
    case AF::PACKET:
      return packet_address(value, call);
    case AF::TIPC:
      return tipc_address(value, call);
    case AF::ALG:
      return alg_address(value, call);
    default:
      throw_if(Errc::address_family);
      return {};
  }
}

Object can_tuple(const Address& address) {
  switch (static_cast<CAN>(address.protocol())) {
    case CAN::ISOTP: {
      const IsotpAddress can(address);
      return build("NII", system_text(can.interface).release(), can.rx_id, can.tx_id);
    }
    case CAN::J1939: {
      const J1939Address can(address);
      return build("NKIB", system_text(can.interface).release(),
                   static_cast<unsigned long long>(can.name), can.pgn, can.addr);
    }
    default:
      return build("(N)", system_text(CanAddress(address).interface).release());
  }
}

Object bluetooth_tuple(const Address& address) {
  switch (static_cast<BTPROTO>(address.protocol())) {
    case BTPROTO::L2CAP: {
      const L2capAddress peer(address);
      if (peer.bdaddr_type == BDADDR::BREDR) return build("sH", peer.bdaddr.c_str(), peer.psm);
      return build("sHHB", peer.bdaddr.c_str(), peer.psm, peer.cid, peer.bdaddr_type);
    }
    case BTPROTO::RFCOMM: {
      const RfcommAddress peer(address);
      return build("sB", peer.bdaddr.c_str(), peer.channel);
    }
    case BTPROTO::HCI: {
      const HciAddress peer(address);
      if (peer.channel == static_cast<int>(HCI::CHANNEL_RAW)) return build("H", peer.dev);
      return build("HH", peer.dev, peer.channel);
    }
    default:
      return build("s", ScoAddress(address).bdaddr.c_str());
  }
}

Object packet_tuple(const Address& address) {
  const PacketAddress packet(address);
  return build("NHBHN", system_text(packet.interface).release(), packet.proto, packet.pkttype,
               packet.hatype, bytes_of(packet.addr).release());
}

Object tipc_tuple(const Address& address) {
  const TipcAddress tipc(address);
  return build("BIIIB", tipc.addr_type, tipc.v1, tipc.v2, tipc.v3, tipc.scope);
}

Object unix_text(const Address& address) {
  const std::string path = address.path();
  return !path.empty() && path.front() == '\0' ? bytes_of(path) : system_text(path);
}

}  // namespace

std::string host_name(PyObject* value) {
  if (PyUnicode_Check(value)) {
    Py_ssize_t size = 0;
    const char* const text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == nullptr) throw PythonError();
    return std::string(text, static_cast<std::size_t>(size));
  }
  if (!PyBytes_Check(value) && !PyByteArray_Check(value))
    fail(PyExc_TypeError, "str, bytes or bytearray expected, not %s", Py_TYPE(value)->tp_name);
  Lent lent;
  if (PyObject_GetBuffer(value, lent.place(), PyBUF_SIMPLE) < 0) throw PythonError();
  return std::string(lent.data(), lent.size());
}

std::string system_name(PyObject* value) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(value, &encoded) == 0) throw PythonError();
  const Object owner(encoded);
  return std::string(PyBytes_AS_STRING(encoded),
                     static_cast<std::size_t>(PyBytes_GET_SIZE(encoded)));
}

HostPort host_and_port(PyObject* tuple, bool ipv6, const char* call) {
  PyObject* host = nullptr;
  PyObject* port = nullptr;
  unsigned flowinfo = 0;
  unsigned scope_id = 0;
  if (ipv6)
    parse(tuple, "OO|II", &host, &port, &flowinfo, &scope_id);
  else
    parse(tuple, "OO", &host, &port);
  int overflow = 0;
  const long number = PyLong_AsLongAndOverflow(port, &overflow);
  if (PyErr_Occurred() != nullptr) throw PythonError();
  if (overflow != 0 || number < 0 || number > 0xffff)
    fail(PyExc_OverflowError, "%s(): port must be 0-65535.", call);
  return HostPort(host_name(host), static_cast<int>(number), flowinfo, scope_id);
}

AddressArgument::AddressArgument(Kind kind, PyObject* value, const char* call) {
  const auto family = static_cast<AF>(kind.family);
  if (family == AF::INET || family == AF::INET6 || family == AF::RDS) {
    need_tuple(value, call, family == AF::INET6 ? "AF_INET6" : "AF_INET");
    host_.emplace(host_and_port(value, family == AF::INET6, call));
  } else {
    address_ = typed_address(kind, value, call);
  }
}

Object to_python(const Address& address) {
  if (!address) return none();
  switch (address.family()) {
    case AF::INET:
      return build("si", address.host().c_str(), address.port());
    case AF::INET6:
      return build("siII", address.host().c_str(), address.port(), address.flowinfo(),
                   address.scope_id());
    case AF::UNIX:
      return unix_text(address);
    case AF::NETLINK: {
      const NetlinkAddress netlink(address);
      return build("II", netlink.pid, netlink.groups);
    }
    case AF::QIPCRTR: {
      const QrtrAddress qrtr(address);
      return build("II", qrtr.node, qrtr.port);
    }
    case AF::VSOCK: {
      const VsockAddress vsock(address);
      return build("II", vsock.cid, vsock.port);
    }
    case AF::CAN:
      return can_tuple(address);
    case AF::BLUETOOTH:
      return bluetooth_tuple(address);
    case AF::PACKET:
      return packet_tuple(address);
    case AF::TIPC:
      return tipc_tuple(address);
    default: {
      const BytesView rest = address.bytes().subspan(sizeof(std::uint16_t));
      return build("iN", static_cast<int>(address.family()), bytes_of(rest).release());
    }
  }
}

}  // namespace plug::python
