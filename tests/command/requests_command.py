#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a call costs, counted in the access logs of real servers. Redirects are not counted."""
import http.client
import re
import time
import unittest

from case import Case
from server import Server

FILES = ['one', 'a/1', 'a/2', 'a/b/3', 'c d/4', 'c d/e/f/5']
DIRECTORIES = ['', 'a', 'a/b', 'c d', 'c d/e', 'c d/e/f']


class Log:
    """The access log of a server: what came since it was made."""
    marks = 0

    def __init__(self, server):
        self.server = server
        self.size = (server.dir / 'access.log').stat().st_size

    def lines(self):
        with (self.server.dir / 'access.log').open('rb') as file:
            file.seek(self.size)
            return [line for line in file.read().decode().splitlines() if not re.search(' /(mark|up)-| 301 ', line)]

    def count(self, least):
        """Once so many requests are in it, and one of our own that came behind them."""
        Log.marks += 1
        connection = http.client.HTTPConnection('127.0.0.1', self.server.ports[0])
        connection.request('HEAD', f'/mark-{Log.marks}.')
        connection.getresponse().read()
        connection.close()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            marked = f'/mark-{Log.marks}. '.encode() in (self.server.dir / 'access.log').read_bytes()
            if marked and len(self.lines()) >= least:
                break
            time.sleep(0.01)
        return len(self.lines())


class Requests(Case):
    def check(self, name):
        server = Server(name)
        self.addCleanup(server.remove)
        server.start()
        for path in FILES:
            file = server.www / 't' / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f'the text of {path}')
        self.server, self.url = server, f'{server.url}/t/'

    def cost(self, least, *args):
        log = Log(self.server)
        out = self.larder(*args)
        count = log.count(least)
        self.assertEqual(count, least, (args, log.lines()))
        return out

    def one_request_each(self):
        self.assertEqual(self.cost(1, 'cat', self.url + 'a/b/3'), b'the text of a/b/3')
        self.assertIn(b'17', self.cost(1, 'stat', self.url + 'a/b/3'))
        self.assertEqual(self.cost(1, 'ls', self.url + 'a/').split(), [b'1', b'2', b'b/'])
        self.cost(1, 'ls', self.url + 'c%20d/')
        self.assertEqual(self.cost(1, 'head', '-c', '3', self.url + 'one'), b'the')
        self.cost(2, 'get', self.url + 'one', self.dir / 'one') # is it a directory?
        self.assertEqual((self.dir / 'one').read_text(), 'the text of one')
        self.cost(1 + len(FILES) + len(DIRECTORIES), 'get', '-r', self.url, self.dir / 'all')
        self.cost(len(DIRECTORIES), 'find', self.url)

    def a_mirror_is_a_request_for_each_file_and_directory(self):
        self.cost(len(FILES) + len(DIRECTORIES), 'mirror', self.url)
        self.cost(0, '--offline', 'cat', *(self.url + path.replace(' ', '%20') for path in FILES))
        self.cost(len(FILES) + len(DIRECTORIES), 'mirror', self.url) # what is unchanged is asked about, too

    def all_of(self, name):
        self.check(name)
        self.one_request_each()
        self.a_mirror_is_a_request_for_each_file_and_directory()

    def test_nginx(self):
        self.all_of('nginx')

    def test_apache(self):
        self.all_of('apache')

    def test_lighttpd(self):
        self.all_of('lighttpd')


if __name__ == '__main__':
    unittest.main()
