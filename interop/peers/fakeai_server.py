"""``fakeai``'s server, on a port that the system chooses."""

import sys
import threading
import time

import uvicorn
from fakeai.app import app
from stage import tell


def main() -> None:
    """Serve until the test is over."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    tell(port=server.servers[0].sockets[0].getsockname()[1])
    sys.stdin.read()


if __name__ == "__main__":
    main()
