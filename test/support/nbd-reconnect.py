# A client of the NBD server at 127.0.0.1:10809 that comes from the address argv[1], and stays, or asks once, or asks until it is in.
import socket
import struct
import sys
import time


def ask():
    client = socket.create_connection(("127.0.0.1", 10809), timeout=10, source_address=(sys.argv[1], 0))
    stream = client.makefile("rwb")
    stream.read(18)
    stream.write(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">III3sH", 7, 9, 3, b"vol", 0))
    stream.flush()
    _, _, kind, length = struct.unpack(">QIII", stream.read(20))
    return client, None if kind == 3 else stream.read(length).decode()


began = time.monotonic()
while True:
    client, refused = ask()
    if refused is None:
        print("in after %.1f s" % (time.monotonic() - began), flush=True)
        if sys.argv[2] == "stay":
            time.sleep(600)
        break
    if sys.argv[2] == "once":
        print("refused:", refused)
        break
    client.close()
    time.sleep(0.25)
    if time.monotonic() - began > 60:
        sys.exit("it was not let in for a minute")
