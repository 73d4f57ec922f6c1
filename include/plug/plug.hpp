#pragma once

// Includes all of plug except the parts that need another library: fibers (plug/fiber.hpp and
// others, target plug::fiber) and the formatters for {fmt} (plug/format.hpp).

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/batch.hpp>
#include <plug/bytes.hpp>
#include <plug/can.hpp>
#include <plug/constants.hpp>
#include <plug/error.hpp>
#include <plug/families.hpp>
#include <plug/family_constants.hpp>
#include <plug/framing.hpp>
#include <plug/multicast.hpp>
#include <plug/netlink.hpp>
#include <plug/packets.hpp>
#include <plug/request_handler.hpp>
#include <plug/resolve.hpp>
#include <plug/sctp.hpp>
#include <plug/select.hpp>
#include <plug/select_constants.hpp>
#include <plug/selectors.hpp>
#include <plug/server_group.hpp>
#include <plug/socket.hpp>
#include <plug/socketserver.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>
#include <plug/tipc.hpp>
