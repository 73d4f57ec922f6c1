#pragma once

// Includes all of plug except the parts that need another library: fibers (plug/fiber.hpp,
// plug/group.hpp and others, target plug::fiber) and the formatters for {fmt} (plug/format.hpp).

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/error.hpp>
#include <plug/family/addresses.hpp>
#include <plug/family/can.hpp>
#include <plug/family/constants.hpp>
#include <plug/family/multicast.hpp>
#include <plug/family/netlink.hpp>
#include <plug/family/packets.hpp>
#include <plug/family/sctp.hpp>
#include <plug/family/tipc.hpp>
#include <plug/framing.hpp>
#include <plug/queue.hpp>
#include <plug/resolve.hpp>
#include <plug/select.hpp>
#include <plug/select/constants.hpp>
#include <plug/selectors.hpp>
#include <plug/server/group.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/socket.hpp>
#include <plug/socket/batch.hpp>
#include <plug/socketserver.hpp>
#include <plug/stream.hpp>
#include <plug/sync.hpp>
#include <plug/text.hpp>
#include <plug/timeout.hpp>
