#!/usr/bin/env python3
"""A bad network between a lab's hosts, for drills: every frame of the named cables passes through here and may be lost,
duplicated, delayed (and so reordered) or altered. usage: chaos-relay.py '{"cables": [[NAMESPACE, DEVICE, NAMESPACE, DEVICE], ...],
"lose": 0.3, "twice": 0.05, "delayMs": 800, "alter": 0, "seed": 1, "forS": 60}'

How: at both ends of a cable nftables drops what arrives, unless its source address bears our mark; a packet socket sees a frame
before that. Whatever is let through is sent again from the other end with the mark. Checksums that the sender left to its
device travel in the virtio header. Prints a JSON line with counts at its end; ends by itself after forS, or on SIGTERM."""
import ctypes, heapq, json, os, random, select, signal, socket, subprocess, sys, time

MARK = b"\x06\x55\x53"
SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 263, 15, 4
HEADER = 10  # struct virtio_net_hdr
CLONE_NEWNET = 0x40000000
MAX_HELD = 20_000

libc = ctypes.CDLL(None, use_errno=True)
plan = json.loads(sys.argv[1])
chance = random.Random(plan.get("seed", 1))
# A package of Node.js has a command of the same name as nftables', and npm puts it first.
system = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
counts = dict(frames=0, lost=0, twice=0, altered=0, overflow=0)


def inside(namespace, act):
    """Runs act() in a network namespace; the sockets it opens stay there."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/" + namespace, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)
        return act()
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def nft(namespace, script):
    inside(namespace, lambda: subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True, env=system))


def end_of(namespace, device):
    def opened():
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        end.bind((device, 3))  # ETH_P_ALL
        end.setblocking(False)
        return end

    end = inside(namespace, opened)
    nft(namespace, f"""table netdev chaos-{device} {{
  chain in {{
    type filter hook ingress device "{device}" priority 1;
    ether saddr & ff:ff:ff:00:00:00 != 06:55:53:00:00:00 drop
  }}
}}
""")
    return end


def forget(namespace, device):
    if os.path.exists("/run/netns/" + namespace):
        nft(namespace, f"delete table netdev chaos-{device}\n")


def altered(frame):
    counts["altered"] += 1
    at = chance.randrange(HEADER + 14, len(frame))
    return frame[:at] + bytes([frame[at] ^ (1 << chance.randrange(8))]) + frame[at + 1 :]


other = {}
ends = [end for cable in plan["cables"] for end in ((cable[0], cable[1]), (cable[2], cable[3]))]
held, number, running = [], 0, True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
try:
    for cable in plan["cables"]:
        one, two = end_of(cable[0], cable[1]), end_of(cable[2], cable[3])
        other[one], other[two] = two, one
    print(json.dumps({"ready": True}), flush=True)
    until = time.monotonic() + plan.get("forS", 60)
    while running and time.monotonic() < until:
        wait = max(0.0, min(held[0][0] - time.monotonic(), 0.2)) if held else 0.2
        readable, _, _ = select.select(list(other), [], [], wait)
        for end in readable:
            for _ in range(256):
                try:
                    frame, (_, _, kind, _, _) = end.recvfrom(HEADER + 65536)
                except (BlockingIOError, OSError):
                    break  # Nothing more, or the device is gone with its host.
                if kind == PACKET_OUTGOING or frame[HEADER + 6 : HEADER + 9] == MARK:
                    continue
                counts["frames"] += 1
                if chance.random() < plan.get("lose", 0):
                    counts["lost"] += 1
                    continue
                if chance.random() < plan.get("alter", 0) and len(frame) > HEADER + 14:
                    frame = altered(frame)
                frame = frame[: HEADER + 6] + MARK + frame[HEADER + 9 :]
                copies = 2 if chance.random() < plan.get("twice", 0) else 1
                counts["twice"] += copies - 1
                for _ in range(copies):
                    if len(held) >= MAX_HELD:
                        counts["overflow"] += 1
                        continue
                    number += 1
                    due = time.monotonic() + chance.random() * plan.get("delayMs", 0) / 1000
                    heapq.heappush(held, (due, number, other[end], frame))
        while held and held[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(held)
            try:
                end.send(frame)
            except OSError:
                counts["overflow"] += 1  # The device is gone or its queue full: lost like any other.
finally:
    for namespace, device in ends:
        forget(namespace, device)
    print(json.dumps(counts), flush=True)
