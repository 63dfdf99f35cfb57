"""watchdog.py SOCKET NODE CGROUP IF...: a host's watchdog outside the host, for the failover bench. One JSON message a line:
{"arm":ms}, {"pet":n}, {"disarm":true}. Not petted in time: freeze the node's cgroup, set its interfaces down, kill all of it."""
import json, os, selectors, socket, subprocess, sys, time

path, node, cgroup, *interfaces = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(8)
selector = selectors.DefaultSelector()
selector.register(server, selectors.EVENT_READ, None)
timeout = petted = None  # seconds; monotonic time of the last pet


def answer(line):
    global timeout, petted
    now, message = time.monotonic(), json.loads(line)
    if "arm" in message:
        timeout, petted = message["arm"] / 1000, now
        return {"armed": message["arm"]}
    if "pet" in message:
        age, petted = (0 if petted is None else now - petted), now
        return {"petted": message["pet"], "ageMs": round(age * 1000, 3)}
    timeout = petted = None
    return {"disarmed": True}


def bite():
    def write(name, value):
        with open(f"{cgroup}/cgroup.{name}", "w") as file:
            file.write(value)
    write("freeze", "1")
    for name in interfaces:
        subprocess.run(["ip", "-n", f"fo-{node}", "link", "set", name, "down"], check=False)
    write("kill", "1")
    write("freeze", "0")
    print(f"watchdog of {node} bit", flush=True)


buffers = {}
while True:
    wait = None if timeout is None else max(0, petted + timeout - time.monotonic())
    for key, _ in selector.select(wait):
        if key.fileobj is server:
            client = server.accept()[0]
            buffers[client] = b""
            selector.register(client, selectors.EVENT_READ, None)
            continue
        client = key.fileobj
        try:
            data = client.recv(4096)
        except OSError:
            data = b""
        if not data:
            selector.unregister(client)
            buffers.pop(client)
            client.close()
            continue
        *lines, buffers[client] = (buffers[client] + data).split(b"\n")
        for line in lines:
            try:
                client.sendall((json.dumps(answer(line)) + "\n").encode())
            except OSError:
                pass
    if timeout is not None and time.monotonic() >= petted + timeout:
        bite()
        timeout = petted = None
