#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command against a server that misbehaves by a script (tests/servers/fault_server.c, argument 1)."""
import subprocess
import sys
import unittest

from case import Case

FAULT_SERVER = sys.argv.pop(1)
SIZE = 300000
FILES = f'file /f size={SIZE} seed=1 etag=v1\nfile /same size={SIZE} seed=1\n'


class Faults(Case):
    def serve(self, script):
        path = self.dir / 'script'
        path.write_text(FILES + script)
        self.server = subprocess.Popen([FAULT_SERVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.server.kill)
        self.url = self.server.stdout.readline().strip()

    def requests(self):
        """Those of the path /f, once the server has ended."""
        out, _ = self.server.communicate('')
        return [line.split() for line in out.splitlines() if line.split()[1] == '/f']

    def test_bytes_are_right_whatever_the_server_does_once(self):
        for rule, count in (
                ('end=reset at=100000', 2), ('end=close at=299999', 2), ('status=503 header="Retry-After: 1"', 2),
                ('status=200 body="<html>an error</html>" header="Content-Length: 300000" end=close at=21', 2),
                ('gzip', 2), ('chunked', 1), ('until-close http-1.0', 1), ('extra=100', 1), ('interim=103', 1),
                ('trickle=100000/1', 1), ('status=206 body=x', 2), ('no-answer end=reset', 2), ('status=421', 2)):
            with self.subTest(rule):
                self.serve(f'on GET /f count=1 -> {rule}\n')
                right = self.larder('cat', self.url + '/same')
                self.assertEqual(len(right), SIZE)
                self.assertEqual(self.larder('cat', self.url + '/f'), right)
                self.assertEqual(len(self.requests()), count)

    def test_what_was_cut_goes_on_where_it_was(self):
        self.serve('on GET /f count=1 -> end=reset at=100000\n')
        self.larder('cat', self.url + '/f')
        _, (method, target, wanted) = self.requests()
        self.assertRegex(wanted, '^bytes=[0-9]+-299999$')

    def test_what_never_passes_is_an_error_that_says_so(self):
        self.serve('on * /f -> status=503\n')
        self.assertEqual(self.larder('cat', self.url + '/f', code=1), b'')
        self.assertRegex(self.stderr, '503 Service Unavailable, 5 tries in [0-9.]+ s')
        self.assertEqual(len(self.requests()), 5)

    def test_each_url_has_a_slash_of_its_own(self):
        self.serve('file /t size=3 seed=1\nfile /t/x size=1 seed=1\n')
        self.assertEqual(len(self.larder('cat', self.url + '/same', self.url + '/t')), SIZE + 3)
        self.larder('cat', self.url + '/same', self.url + '/t/', code=5)
        self.assertIn('/t: a directory', self.stderr)

    def test_rules_are_a_script_by_hits(self):
        self.serve('on GET /f skip=1 count=1 -> status=404\non GET /f has=Range -> status=403\n')
        self.larder('cat', self.url + '/f')
        self.larder('cat', self.url + '/f', code=3)
        self.assertIn('404', self.stderr)
        self.larder('head', '-c', '3', self.url + '/f', code=1)
        self.assertIn('403', self.stderr)
        self.larder('cat', self.url + '/f')

    def test_a_script_says_what_is_wrong_with_it(self):
        for number, line in enumerate(('on GET', 'on GET /f status=200', 'on GET /f -> end=never', 'file f size=1', 'index xml',
                                       'on GET /f skip=x -> gzip', 'on GET /f -> body="open', 'nothing')):
            script = self.dir / f'wrong{number}'
            script.write_text(f'# a comment\n\nwritable\n{line}\n')
            done = subprocess.run([FAULT_SERVER, script], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (1, f'{script}:4: not a line of such a script\n'))


if __name__ == '__main__':
    unittest.main()
