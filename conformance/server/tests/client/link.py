"""A slow and lossy link between two network namespaces, for kernels without netem.

link.py NAMESPACE_A NAMESPACE_B DELAY_MS LOSS SEED

Opens a TUN device in each namespace, with the addresses 10.77.0.1 and 10.77.0.2, and carries IP packets between them.
Each packet is delayed by DELAY_MS, and a share LOSS of them is dropped. Prints "ready". Each line on standard input
sets a new loss. The end of standard input ends the program and removes the devices.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def open_device(name, namespace, address):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    run = lambda *words: subprocess.run(["ip", *words], check=True)
    run("link", "set", name, "netns", namespace)
    run("-n", namespace, "address", "add", f"{address}/24", "dev", name)
    run("-n", namespace, "link", "set", name, "up")
    run("-n", namespace, "link", "set", "lo", "up")
    return device


def main():
    first, second, delay_ms, loss, seed = sys.argv[1:]
    delay, loss, chance = float(delay_ms) / 1000, float(loss), random.Random(int(seed))
    name = f"bn{os.getpid()}"
    devices = [open_device(name + "a", first, "10.77.0.1"), open_device(name + "b", second, "10.77.0.2")]
    other = {devices[0]: devices[1], devices[1]: devices[0]}
    print("ready", flush=True)
    # Due time, a number that keeps the order of equal times, target, and packet.
    in_flight, number = [], 0
    while True:
        wait = max(0, in_flight[0][0] - time.monotonic()) if in_flight else None
        readable, _, _ = select.select([*devices, sys.stdin], [], [], wait)
        for source in readable:
            if source is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                loss = float(line)
                print("ready", flush=True)
                continue
            packet = os.read(source, 65536)
            if chance.random() >= loss:
                number += 1
                heapq.heappush(in_flight, (time.monotonic() + delay, number, other[source], packet))
        while in_flight and in_flight[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(in_flight)
            try:
                os.write(target, packet)
            except OSError:
                pass  # The device is full or down, so the packet is lost.


main()
