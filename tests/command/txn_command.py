#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transactions from outside: put --txn, and what is in the journal."""
import http.server
import pathlib
import subprocess
import threading
import time
import unittest

from case import COMMAND, Case, Served


class SlowPut(http.server.BaseHTTPRequestHandler):
    """Takes its time for each file that it is sent, and keeps none."""
    protocol_version = 'HTTP/1.1'

    def do_PUT(self):
        self.rfile.read(int(self.headers['Content-Length']))
        time.sleep(self.server.seconds)
        self.answer(201)

    def do_GET(self):
        time.sleep(self.server.looks)
        self.answer(404)

    do_HEAD = do_GET

    def answer(self, status):
        self.send_response(status)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass


class Transactions(Case):
    def setUp(self):
        super().setUp()
        self.source = self.tree({'a': b'1', 'b/c': b'22', 'b/large': b'x' * 300000})
        self.target = self.dir / 'target'
        self.target.mkdir()

    def killed(self, point, target):
        """What is listed of a put that was killed there."""
        self.environment['LARDER_CRASH_AT'] = point
        done = self.run_('put', '-r', '--txn', f'{self.source}/', f'{target}/')
        if done.returncode == 0:
            self.skipTest('built without crash points')
        del self.environment['LARDER_CRASH_AT']
        [entry] = self.objects('txn', 'list')
        return entry

    def slow_server(self, seconds, looks=0):
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), SlowPut)
        server.seconds, server.looks, server.daemon_threads = seconds, looks, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f'http://127.0.0.1:{server.server_port}'

    def test_put_txn_commits_all_of_it_and_says_what(self):
        lines = self.objects('put', '-r', '--txn', f'{self.source}/', f'{self.target}/')
        self.assertEqual([(pathlib.Path(line['path']).name, line['size']) for line in lines],
                         [('a', 1), ('c', 2), ('large', 300000)])
        self.assertTrue(all(line['etag'] for line in lines))
        self.assertEqual((self.target / 'b/c').read_bytes(), b'22')
        self.assertEqual((self.target / 'b/large').stat().st_size, 300000)
        self.assertEqual(self.lines('txn', 'list'), [])

    def test_put_txn_puts_nothing_when_one_of_it_fails(self):
        self.larder('put', '--txn', self.source / 'a', self.source / 'missing', f'{self.target}/', code=5)
        self.assertEqual(list(self.target.iterdir()), [])
        self.assertEqual(self.lines('txn', 'list'), [])

    def test_what_was_killed_when_it_was_committed_is_listed_and_published(self):
        entry = self.killed('txn.sealed', self.target)
        self.assertEqual([path for path in self.target.rglob('*') if not path.name.startswith('.')], [])
        self.assertEqual((entry['state'], entry['alive'], entry['conflicts']), ('committed', False, []))
        self.larder('txn', 'rollback', entry['id'], code=1)
        self.larder('txn', 'recover')
        self.assertEqual((self.target / 'b/c').read_bytes(), b'22')
        self.assertEqual(self.lines('txn', 'list'), [])
        self.assertFalse([path for path in self.target.rglob('.larder*')])

    def test_what_cannot_be_put_is_named_whole(self):
        (self.target / 'file').write_bytes(b'')
        self.larder('put', '--txn', '-r', f'{self.source}/', f'{self.target}/file/', code=1)
        for line in self.stderr.splitlines():
            self.assertRegex(line, f'^larder: .*: {self.target}/file.*: a file is in the way$')
        self.larder('put', '--txn', '-r', f'{self.source}/', '/proc/larder/', code=5)
        self.assertIn(': /proc/larder/b/large: ', self.stderr)

    def test_an_id_that_is_none_and_one_that_is_not_there(self):
        self.larder('put', '--txn', self.source / 'a', f'{self.target}/')
        self.larder('txn', 'rollback', 'x', code=1)
        self.larder('txn', 'rollback', '0123456789abcdef', code=3)
        self.larder('txn', 'recover', '--theirs', '--ours', code=2)

    def test_a_failure_is_said_once(self):
        entry = self.killed('txn.sealed', self.target)
        for then in 'rollback', 'resume':
            self.larder('txn', then, entry['id'], code=1 if then == 'rollback' else 0)
            self.assertEqual(self.stderr.count(entry['id']), then == 'rollback')

    def test_a_conflict_names_the_file_and_what_was_found(self):
        self.killed('txn.sealed', self.target)
        (self.target / 'a/in the way').mkdir(parents=True)
        self.larder('txn', 'recover', code=5)
        [entry] = self.objects('txn', 'list')
        self.assertEqual((entry['state'], [conflict['path'] for conflict in entry['conflicts']]),
                         ('conflicted', [str(self.target / 'a')]))
        self.assertEqual([line.strip() for line in self.lines('txn', 'list') if 'conflict at' in line],
                         [f'conflict at {self.target}/a: a directory'])
        self.assertEqual((self.target / 'b/c').read_bytes(), b'22')
        self.larder('txn', 'recover', '--theirs')
        self.assertEqual(self.lines('txn', 'list'), [])

    def test_what_is_open_elsewhere_is_listed(self):
        """While a put is under way, which waits for an answer of what is there."""
        child = subprocess.Popen([COMMAND, 'put', '--txn', '-o', 'http.write=true', self.source / 'a',
                                  f'{self.slow_server(0, 60)}/'], env=self.environment,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(child.kill)
        deadline = time.monotonic() + 60
        while not (found := self.objects('txn', 'list')) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual([(entry['state'], entry['alive']) for entry in found], [('open', True)])
        self.assertNotIn('began', found[0])
        child.kill()
        child.wait()
        self.assertEqual(self.objects('txn', 'list'), [])

    def test_a_bar_is_drawn_while_it_is_committed(self):
        for name in 'defg':
            (self.source / name).write_bytes(b'x' * 1000)
        url = self.slow_server(0.3)
        text = self.on_terminal('put', '-r', '--txn', '-o', 'http.write=true', '-o', 'http.max_connections=1',
                                f'{self.source}/', f'{url}/')
        self.assertIn(b'%', text)
        self.assertEqual(self.on_terminal('put', '-r', '--txn', '--no-progress', '-o', 'http.write=true', '-o',
                                          'http.max_connections=1', f'{self.source}/', f'{url}/'), b'')


class StagedTransactions(Served):
    """Of a place that is sent large files when they are to be committed."""

    def test_what_was_killed_while_it_was_staged_is_resumed_or_rolled_back(self):
        self.environment['LARDER_STATE_DIR'] = str(self.dir / 'state')
        source = self.tree({'a': b'1', 'b/c': b'22', 'b/large': b'x' * 300000})
        for then in 'resume', 'rollback':
            target = self.server.dir / 'dav' / then
            target.mkdir()
            url = f'webdav{self.server.url[4:]}/dav/{then}'
            self.environment['LARDER_CRASH_AT'] = 'txn.stage_noted'
            done = self.run_('put', '-r', '--txn', f'{source}/', f'{url}/')
            if done.returncode == 0:
                self.skipTest('built without crash points')
            del self.environment['LARDER_CRASH_AT']
            [entry] = self.objects('txn', 'list')
            self.assertEqual(entry['state'], 'staging')
            self.larder('txn', then, entry['id'])
            self.assertEqual((target / 'b/large').exists(), then == 'resume')
            self.assertEqual(self.lines('txn', 'list'), [])
            self.assertFalse([path for path in target.rglob('.larder*')])


if __name__ == '__main__':
    unittest.main(verbosity=2)
