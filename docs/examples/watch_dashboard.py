"""Looks at the dashboard from another process, and presses a button of it.

``python watch_dashboard.py dashboard.png`` starts ``dashboard.py``, kills one of its nodes,
saves a picture of that, waits until the node is back, and ends the dashboard.
"""

import subprocess
import sys
import time
from pathlib import Path

from pyacq_rpc import RPCClient

DASHBOARD = Path(__file__).with_name("dashboard.py")


def wait_for(row, state):
    while state not in row.state.text():
        time.sleep(0.05)


def use(client, picture):
    for name in ("north", "middle", "south"):
        wait_for(client[name], "alive")
    middle = client["middle"]
    middle.kill.click()
    wait_for(middle, "died")
    client["window"].grab(_return_type="proxy").save(picture)
    print("middle has died")
    wait_for(middle, "alive")
    print("middle is back")


def main(picture):
    command = [sys.executable, str(DASHBOARD)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            client = RPCClient(process.stdout.readline().split()[-1])
            use(client, picture)
            client.close_server()
        except BaseException:
            process.kill()
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
