# SPDX-License-Identifier: Apache-2.0
"""What tests of the command have in common. $LARDER_COMMAND is the binary."""
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from server import Server

COMMAND = os.environ.get('LARDER_COMMAND', 'larder')
ROOT = pathlib.Path(os.environ.get('LARDER_SOURCE_ROOT', pathlib.Path(__file__).parents[2]))


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='larder-command-'))
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(('LARDER_', 'XDG_', 'http', 'HTTP'))}
        self.environment['LARDER_CACHE_DIR'] = str(self.dir / 'cache')
        self.environment['LARDER_STATE_DIR'] = str(self.dir / 'state')
        self.environment['LC_ALL'] = 'C.UTF-8'

    def run_(self, *args, stdin=b'', **more):
        return subprocess.run([COMMAND, *map(str, args)], input=stdin, stdout=more.pop('stdout', subprocess.PIPE),
                              stderr=subprocess.PIPE, env=self.environment, timeout=100, **more)

    def larder(self, *args, code=0, stdin=b'', **more):
        """stdout of a run that must exit with `code`; what went wrong is said, and in the agreed form."""
        done = self.run_(*args, stdin=stdin, **more)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        for line in done.stderr.splitlines():
            self.assertTrue(line.startswith(b'larder: '), done.stderr)
        self.stderr = done.stderr.decode()
        if code not in (0, 3):
            self.assertTrue(self.stderr)
        return done.stdout

    def lines(self, *args, **more):
        return self.larder(*args, **more).decode().splitlines()

    def objects(self, *args, **more):
        return [json.loads(line) for line in self.larder('--json', *args, **more).splitlines()]

    def tree(self, files, where='tree'):
        for name, data in files.items():
            path = self.dir / where / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return self.dir / where

    def on_terminal(self, *args, both=False):
        """What stderr gets when it is a terminal, or `both` it and stdout."""
        try:
            master, slave = pty.openpty()
        except OSError as error:
            self.skipTest(f'NO TERMINAL CAN BE HAD: {error}')
        child = subprocess.Popen([COMMAND, *args], stdout=slave if both else subprocess.DEVNULL, stderr=slave,
                                 env=self.environment)
        os.close(slave)
        text = b''
        while select.select([master], [], [], 60)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            text += piece
            if not piece:
                break
        os.close(master)
        self.assertEqual(child.wait(60), 0, text)
        return text


class Served(Case):
    """Tests with a directory of their own on an nginx of the class's."""
    @classmethod
    def setUpClass(cls):
        cls.server = Server('nginx')
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.www = self.server.www / self._testMethodName
        self.url = f'{self.server.url}/{self._testMethodName}'
        self.www.mkdir(parents=True)

    def serve(self, files):
        for name, data in files.items():
            path = self.www / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def interrupt(self, number, *args, times=1, **more):
        child = subprocess.Popen([COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE,
                                 env=self.environment, **more)
        self.addCleanup(child.kill)
        time.sleep(0.5)
        for _ in range(times):
            child.send_signal(number)
        stdout, stderr = child.communicate(timeout=30)
        self.assertEqual(stderr, b'')
        return child.returncode
