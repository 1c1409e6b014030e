"""A web server as the rig's container images have one: ADDRESS PORT NAME. `/slow` takes a second; told to end it answers
what has begun and takes nothing new."""
import os, signal, socket, sys, threading, time

address, port, name = sys.argv[1:4]
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, int(port)))
server.listen(128)
busy = []


def end(*_):
    server.close()
    while any(thread.is_alive() for thread in busy):
        time.sleep(0.01)
    os._exit(0)


def answer(link):
    with link:
        head = link.recv(65536)
        if not head:
            return
        path = head.split(b" ", 2)[1].decode()
        if path == "/slow":
            time.sleep(1)
        body = ("%s on %s\n" % (name, os.environ["HOSTNAME"])).encode()
        link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        print("GET " + path, flush=True)


signal.signal(signal.SIGTERM, end)
print("listening on port " + port, flush=True)
while True:
    link, _ = server.accept()
    busy[:] = [thread for thread in busy if thread.is_alive()]
    thread = threading.Thread(target=answer, args=(link,), daemon=True)
    busy.append(thread)
    thread.start()
