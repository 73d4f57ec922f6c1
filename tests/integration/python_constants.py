"""Checks that plug's headers have every constant of Python's socket module, with its value.

Usage: python_constants.py HEADER...
Uses the constants of the Python that runs this; DOCUMENTED adds those of newer ones on Linux.
Prints each missing or different constant; the status is then 1.
"""

import pathlib
import re
import socket
import sys

# Error numbers that the module exports; they are in std::errc in C++.
ERRNO = {"EAGAIN", "EBADF", "EWOULDBLOCK"}

# Documented up to Python 3.15 where Linux defines them; src/layout compares their values with the system's.
DOCUMENTED = """
    BDADDR_ANY BDADDR_LOCAL BDADDR_BREDR BDADDR_LE_PUBLIC BDADDR_LE_RANDOM
    BTPROTO_L2CAP BTPROTO_RFCOMM BTPROTO_HCI BTPROTO_SCO
    BT_CHANNEL_POLICY BT_CHANNEL_POLICY_AMP_PREFERRED BT_CHANNEL_POLICY_BREDR_ONLY
    BT_CHANNEL_POLICY_BREDR_PREFERRED BT_CODEC BT_DEFER_SETUP BT_FLUSHABLE BT_FLUSHABLE_OFF
    BT_FLUSHABLE_ON BT_ISO_QOS BT_MODE BT_MODE_BASIC BT_MODE_ERTM BT_MODE_EXT_FLOWCTL
    BT_MODE_LE_FLOWCTL BT_MODE_STREAMING BT_PHY BT_PHY_BR_1M_1SLOT BT_PHY_BR_1M_3SLOT
    BT_PHY_BR_1M_5SLOT BT_PHY_EDR_2M_1SLOT BT_PHY_EDR_2M_3SLOT BT_PHY_EDR_2M_5SLOT
    BT_PHY_EDR_3M_1SLOT BT_PHY_EDR_3M_3SLOT BT_PHY_EDR_3M_5SLOT BT_PHY_LE_1M_RX BT_PHY_LE_1M_TX
    BT_PHY_LE_2M_RX BT_PHY_LE_2M_TX BT_PHY_LE_CODED_RX BT_PHY_LE_CODED_TX BT_PKT_STATUS BT_POWER
    BT_POWER_FORCE_ACTIVE_OFF BT_POWER_FORCE_ACTIVE_ON BT_RCVMTU BT_SECURITY BT_SECURITY_FIPS
    BT_SECURITY_HIGH BT_SECURITY_LOW BT_SECURITY_MEDIUM BT_SECURITY_SDP BT_SNDMTU BT_VOICE
    BT_VOICE_CVSD_16BIT BT_VOICE_TRANSPARENT BT_VOICE_TRANSPARENT_16BIT
    CAN_RAW_ERR_FILTER ETHERTYPE_ARP ETHERTYPE_IP ETHERTYPE_IPV6 ETHERTYPE_VLAN ETH_P_ALL
    HCI_CHANNEL_CONTROL HCI_CHANNEL_LOGGING HCI_CHANNEL_MONITOR HCI_CHANNEL_RAW HCI_CHANNEL_USER
    HCI_DATA_DIR HCI_DEV_NONE HCI_FILTER HCI_TIME_STAMP
    IPV6_HDRINCL IPV6_RECVERR
    IP_ADD_SOURCE_MEMBERSHIP IP_BLOCK_SOURCE IP_DROP_SOURCE_MEMBERSHIP IP_FREEBIND IP_PKTINFO
    IP_RECVERR IP_RECVORIGDSTADDR IP_RECVTTL IP_UNBLOCK_SOURCE
    L2CAP_LM L2CAP_LM_AUTH L2CAP_LM_ENCRYPT L2CAP_LM_MASTER L2CAP_LM_RELIABLE L2CAP_LM_SECURE
    L2CAP_LM_TRUSTED
    NI_IDN RDS_CANCEL_SENT_TO RDS_CMSG_RDMA_ARGS RDS_CMSG_RDMA_DEST RDS_CMSG_RDMA_MAP
    RDS_CMSG_RDMA_STATUS RDS_CONG_MONITOR RDS_FREE_MR RDS_GET_MR RDS_GET_MR_FOR_DEST
    RDS_RDMA_DONTWAIT RDS_RDMA_FENCE RDS_RDMA_INVALIDATE RDS_RDMA_NOTIFY_ME RDS_RDMA_READWRITE
    RDS_RDMA_SILENT RDS_RDMA_USE_ONCE RDS_RECVERR
    RFCOMM_LM RFCOMM_LM_AUTH RFCOMM_LM_ENCRYPT RFCOMM_LM_MASTER RFCOMM_LM_RELIABLE RFCOMM_LM_SECURE
    RFCOMM_LM_TRUSTED
    SOL_BLUETOOTH SOL_HCI SOL_L2CAP SOL_RFCOMM SOL_SCO SO_BINDTOIFINDEX SO_INCOMING_CPU
    TCP_CC_INFO TCP_CM_INQ TCP_FASTOPEN_CONNECT TCP_FASTOPEN_KEY TCP_FASTOPEN_NO_COOKIE TCP_INQ
    TCP_MD5SIG TCP_MD5SIG_EXT TCP_QUEUE_SEQ TCP_REPAIR TCP_REPAIR_OPTIONS TCP_REPAIR_QUEUE
    TCP_REPAIR_WINDOW TCP_SAVED_SYN TCP_SAVE_SYN TCP_THIN_DUPACK TCP_THIN_LINEAR_TIMEOUTS
    TCP_TIMESTAMP TCP_TX_DELAY TCP_ULP TCP_ZEROCOPY_RECEIVE
    UDPLITE_RECV_CSCOV UDPLITE_SEND_CSCOV
""".split()


def ours(texts):
    """Returns each constant of the headers by its C name, with its value."""
    found = {}
    for text in texts:
        text = re.sub(r"//[^\n]*", "", text)
        for enum, body in re.findall(r"(?:enum class|struct) (\w+)(?: : [\w:]+)? \{(.*?)\n\};", text, re.S):
            for name, value in re.findall(r"(\w+) = (-?\w+|\"[^\"]*\")[,;]", body):
                value = value[1:-1] if value[0] == '"' else int(value.rstrip("u"), 0)
                found[f"{enum.rstrip('_')}_{name.rstrip('_')}"] = value
        for alias, enum in re.findall(r"using (\w+) = (\w+);", text):
            same = {alias + name[len(enum) :]: value for name, value in found.items() if name.startswith(enum + "_")}
            found.update(same)
        for name, value in re.findall(r"inline constexpr \w+ (SOMAXCONN_|has_ipv6) = (\w+);", text):
            found[name.rstrip("_")] = {"true": 1}.get(value) or int(value)
    return found


def pythons():
    return {
        name: value if isinstance(value, str) else int(value)
        for name, value in vars(socket).items()
        if re.fullmatch(r"[A-Z][A-Z0-9_]*|AF_DECnet|has_ipv6", name) and isinstance(value, (int, str))
    }


def main():
    have = ours([pathlib.Path(name).read_text() for name in sys.argv[1:]])
    want = pythons()
    problems = [
        f"{name}: {value!r} in Python, {have.get(name, 'missing')!r} here"
        for name, value in sorted(want.items())
        if name not in ERRNO and have.get(name) != value
    ]
    problems += [f"{name}: missing" for name in DOCUMENTED if name not in have]
    if len(want) < 300:
        problems.append(f"only {len(want)} constants were found in Python")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
