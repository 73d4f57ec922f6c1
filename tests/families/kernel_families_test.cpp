// Tests families without a network: the kernel's cryptography, and Bluetooth on a virtual adapter.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <plug/family/addresses.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <tuple>

#include "support/errors.hpp"
#include "support/family.hpp"

namespace plug {
namespace {

using namespace std::string_literals;

// --- ALG ---

class Alg : public FamilyTest {
 protected:
  Alg() : FamilyTest(AF::ALG, SOCK::SEQPACKET) {}
  void prepare() override { operation("hash", "sha256"); }

  Socket operation(const std::string& type, const std::string& name, BytesView key = {},
                   std::size_t authsize = 0) const {
    // No timeout: accept() never blocks, and poll() never reports the socket as readable.
    Socket sock(AF::ALG, SOCK::SEQPACKET);
    sock.bind(AlgAddress(type, name));
    if (!key.empty()) sock.setsockopt(SOL::ALG, ALG::SET_KEY, key);
    if (authsize > 0) sock.setsockopt(SOL::ALG, ALG::SET_AEAD_AUTHSIZE, std::nullopt, authsize);
    Socket made = sock.accept().first;
    made.settimeout(10);
    return made;
  }

  static std::string hex(const Bytes& data) {
    std::string text;
    for (const char c : data) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += {kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15]};
    }
    return text;
  }
};

TEST_F(Alg, ComputesTheSameDigestInOnePartOrSeveral) {
  Socket sock = operation("hash", "sha256");
  sock.sendall("abc");
  EXPECT_EQ(hex(sock.recv(64)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  sock.sendall("a", MSG::MORE);
  sock.sendall("bc");
  EXPECT_EQ(hex(sock.recv(4)), "ba7816bf");
}

TEST_F(Alg, AuthenticatesWithAKey) {
  Socket sock = operation("hash", "hmac(sha256)", "Jefe");  // RFC 4231, case 2
  sock.sendall("what do ya want for nothing?");
  EXPECT_EQ(hex(sock.recv(32)), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(Alg, EncryptsAndDecrypts) {
  const Bytes key = "\x06\xa9\x21\x40\x36\xb8\xa1\x5b\x51\x2e\x03\xd5\x34\x12\x00\x06"s;
  const Bytes iv = "\x3d\xaf\xba\x42\x9d\x9e\xb4\x30\xb4\x22\xda\x80\x2c\x9f\xac\x41"s;
  Socket sock = operation("skcipher", "cbc(aes)", key);  // RFC 3602, case 1
  sock.sendmsg_afalg(ALG::OP_ENCRYPT, {"Single block msg"}, {.iv = iv});
  const Bytes secret = sock.recv(16);
  EXPECT_EQ(hex(secret), "e353779c1079aeb82708942dbe77181a");
  sock.sendmsg_afalg(ALG::OP_DECRYPT, {secret}, {.iv = iv});
  EXPECT_EQ(sock.recv(16), "Single block msg");
}

TEST_F(Alg, EncryptsWithAssociatedData) {
  Socket sock = operation("aead", "gcm(aes)", Bytes(16, '\0'), 16);
  const Bytes iv(12, '\0');
  sock.sendmsg_afalg(ALG::OP_ENCRYPT, {"head", Bytes(16, '\0')}, {.iv = iv, .assoclen = 4});
  const Bytes sealed = sock.recv(4 + 16 + 16);
  // The text of case 2 in the specification of GCM. Its tag there covers no associated data.
  EXPECT_EQ(hex(sealed.substr(4, 16)), "0388dace60b6a392f328c2b971b2fe78");
  sock.sendmsg_afalg(ALG::OP_DECRYPT, {sealed}, {.iv = iv, .assoclen = 4});
  EXPECT_EQ(sock.recv(4 + 16), "head" + Bytes(16, '\0'));
  Bytes forged = sealed;
  forged[0] = 'H';
  sock.sendmsg_afalg(ALG::OP_DECRYPT, {forged}, {.iv = iv, .assoclen = 4});
  EXPECT_EQ(number_of_error([&] { sock.recv(20); }), EBADMSG);
}

TEST_F(Alg, GivesRandomBytes) {
  Socket sock = operation("rng", "stdrng", Bytes(32, 's'));  // a seed
  EXPECT_EQ(sock.recv(32).size(), 32u);
}

TEST_F(Alg, WithoutTheAlgorithmNamesIt) {
  Socket sock = make();
  EXPECT_THAT(
      text_of_error<FileNotFoundError>([&] { sock.bind(AlgAddress("hash", "no-such-hash")); }),
      testing::HasSubstr("no-such-hash"));
  EXPECT_THROW(sock.bind(AlgAddress("no-type", "sha256")), FileNotFoundError);
}

// --- Bluetooth ---

/// An adapter that exists while it is open. It answers no commands.
class VirtualAdapter {
 public:
  VirtualAdapter() : fd_(::open("/dev/vhci", O_RDWR | O_CLOEXEC)) {
    if (fd_.fileno() < 0) throw_if({errno, std::system_category()}, "/dev/vhci");
    // Vendor packet: creates a primary controller. The answer is its number.
    if (::write(fd_.fileno(), "\xff\0", 2) != 2) throw_if({errno, std::system_category()}, "vhci");
    pollfd waiting{fd_.fileno(), POLLIN, 0};
    unsigned char answer[260];
    while (::poll(&waiting, 1, 10'000) == 1) {
      if (::read(fd_.fileno(), answer, sizeof answer) >= 4 && answer[0] == 0xff) {
        number_ = answer[2] | answer[3] << 8;
        return;
      }
    }
    throw_if({ETIMEDOUT, std::system_category()}, "vhci");
  }

  int number() const { return number_; }

 private:
  OwnedFd fd_;
  int number_ = -1;
};

class Bluetooth : public FamilyTest {
 protected:
  Bluetooth() : FamilyTest(AF::BLUETOOTH, SOCK::RAW, BTPROTO::HCI) {}
};

TEST_F(Bluetooth, AdaptersAreBoundByTheirNumber) {
  const VirtualAdapter adapter;
  Socket sock = make();
  sock.bind(HciAddress(adapter.number()));
  EXPECT_EQ(HciAddress(sock.getsockname()).dev, adapter.number());
  EXPECT_EQ(number_of_error([&] { make().bind(HciAddress(999)); }), ENODEV);
}

TEST_F(Bluetooth, ManagementNamesTheAdapter) {
  const VirtualAdapter adapter;
  Socket control = make();
  control.bind(HciAddress(HCI::DEV_NONE, HCI::CHANNEL_CONTROL));
  control.sendall("\x01\0\xff\xff\0\0"s);  // Read Management Version
  for (;;) {
    const Bytes event = control.recv(512);
    ASSERT_GE(event.size(), 6u);
    if (event[0] != 1 || event[1] != 0) continue;  // about other adapters
    EXPECT_EQ(event.substr(6, 2), "\x01\0"s);      // the command that is complete
    break;
  }
}

TEST_F(Bluetooth, SocketsOfEachProtocolAreBoundAndNamed) {
  Socket l2cap(AF::BLUETOOTH, SOCK::SEQPACKET, BTPROTO::L2CAP);
  l2cap.bind(L2capAddress(BDADDR::ANY, 0x1001));
  EXPECT_EQ(L2capAddress(l2cap.getsockname()).psm, 0x1001);
  Socket rfcomm(AF::BLUETOOTH, SOCK::STREAM, BTPROTO::RFCOMM);
  rfcomm.bind(RfcommAddress(BDADDR::ANY, 11));
  EXPECT_EQ(RfcommAddress(rfcomm.getsockname()).channel, 11);
  Socket sco(AF::BLUETOOTH, SOCK::SEQPACKET, BTPROTO::SCO);
  sco.bind(ScoAddress(BDADDR::ANY));
  EXPECT_EQ(ScoAddress(sco.getsockname()).bdaddr, BDADDR::ANY);
  rfcomm.listen();
  rfcomm.settimeout(0.05);
  EXPECT_THROW(std::ignore = rfcomm.accept(), TimeoutError);
  Socket nowhere(AF::BLUETOOTH, SOCK::SEQPACKET, BTPROTO::L2CAP);
  EXPECT_EQ(number_of_error([&] { nowhere.connect(L2capAddress("01:23:45:67:89:AB", 1)); }),
            EHOSTUNREACH);
}

}  // namespace
}  // namespace plug
