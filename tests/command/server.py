# SPDX-License-Identifier: Apache-2.0
"""A real server on loopback for tests of the command: tests/servers/NAME-up.sh says what each serves."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(os.environ['LARDER_SOURCE_ROOT'])


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(('127.0.0.1', 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def need(*programs):
    """Skip where one of them is not installed, and say so; but not in CI."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing and 'CI' not in os.environ:
        print(f'not tested: {", ".join(missing)} not installed', file=sys.stderr)
        raise unittest.SkipTest(f'{", ".join(missing)} not installed')


class Server:
    """On the same port whenever it is started. It ends with this process, however that ends."""

    def __init__(self, name='nginx'):
        self.script = ROOT / f'tests/servers/{name}-up.sh'
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f'larder-{name}-'))
        self.www = self.dir / 'www'
        self.ports = free_ports(2)
        self.url = f'http://127.0.0.1:{self.ports[0]}'
        self.process = None

    def start(self):
        self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', self.script, self.dir, *map(str, self.ports)],
                                        stdin=subprocess.PIPE, start_new_session=True)
        while not (self.dir / 'up').exists():
            if self.process.poll() is not None:
                raise RuntimeError(f'{self.script} ended with {self.process.returncode}')
            time.sleep(0.01)

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir)
