#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""larder mirror from outside, against nginx."""
import json
import os
import signal
import subprocess
import time
import unittest

from case import COMMAND, Served

TREE = {'a.json': b'{}', 'b.bin': b'b' * 100, 'c/a.json': b'{1}', 'c/0': b'0' * 200, 'c/d/1': b'1' * 300, 'tmp/x': b'x'}


class Mirror(Served):
    def stats(self, *args, **more):
        return self.objects('mirror', *args, **more)[-1]

    def requests(self):
        """Of the test's own tree, as nginx logged them."""
        return [line for line in (self.server.dir / 'access.log').read_text().splitlines() if self._testMethodName in line]

    def find_offline(self):
        return self.lines('--offline', 'find', self.url)

    def test_it_prints_what_it_did(self):
        self.serve(TREE)
        total = sum(map(len, TREE.values()))
        self.assertEqual(self.lines('mirror', self.url), [f'6 files, {total} bytes fetched, 0 bytes already there'])
        self.assertEqual(self.stats(self.url), {'files': 6, 'bytes_fetched': 0, 'bytes_present': total, 'failed': 0, 'vanished': 0})
        self.assertEqual(len([line for line in self.requests() if '/ HTTP' in line]), 2 * 4) # listings
        self.assertEqual(len(self.requests()), 2 * (6 + 4))

    def test_patterns_and_depth(self):
        self.serve(TREE)
        for options, expected in (
                (['--max-depth', '1'], ['a.json', 'b.bin']),
                (['--include', '*.json'], ['a.json', 'c/a.json']),
                (['--include', '*.json', '--include', '/c/'], ['a.json', 'c/0', 'c/a.json', 'c/d/1']),
                (['--exclude', 'd/', '--exclude=tmp'], ['a.json', 'b.bin', 'c/0', 'c/a.json'])):
            with self.subTest(options):
                self.environment['LARDER_CACHE_DIR'] = str(self.dir / f'cache{len(options)}{options[0]}')
                planned = self.lines('mirror', '--dry-run', *options, self.url)
                self.assertEqual(sorted(planned), expected)
                self.assertRegex(self.stderr, r'^larder: \d files, \d+ bytes to fetch, 0 bytes already there\n$')
                self.assertEqual(sorted(self.larder('mirror', '--dry-run', '-0', *options, self.url).split(b'\0')[:-1]),
                                 [name.encode() for name in expected])
                named = [json.loads(line) for line in self.lines('mirror', '--dry-run', '--json', *options, self.url)]
                self.assertEqual(sorted(entry['name'] for entry in named), expected)
                self.larder('-q', 'mirror', '--dry-run', *options, self.url)
                self.assertEqual(self.stderr, '')
                self.larder('--offline', 'cat', f'{self.url}/{expected[0]}', code=4)
                self.assertEqual(self.stats(*options, self.url)['files'], len(expected))
                for name, data in TREE.items():
                    if name in expected:
                        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/{name}'), data)
                    else:
                        self.larder('--offline', 'cat', f'{self.url}/{name}', code=4)
        self.larder('mirror', '--include', 'a**', self.url, code=1)
        self.assertIn('"**"', self.stderr)
        for wrong in (['--max-depth', '0'], ['--limit-rate', '0'], ['--limit-rate', '5X'], ['--from', str(self.dir / 'none')]):
            self.larder('mirror', *wrong, self.url, code=1 if 'from' in wrong[0] else 2)

    def test_part_of_a_tree_shows_offline_what_is_known_of_it(self):
        self.serve(TREE)
        self.larder('mirror', '--max-depth', '2', self.url)
        offline = lambda *args, **more: self.lines('--offline', *args, **more)
        self.assertEqual(offline('find', self.url, code=5), ['a.json', 'b.bin', 'c/0', 'c/a.json', 'tmp/x'])
        self.assertEqual([line for line in self.stderr.splitlines() if line],
                         [f'larder: {self.url}: {self.url}/c/d: offline, and its listing is not in the cache'])
        self.assertEqual(offline('find', '--maxdepth', '2', self.url), ['a.json', 'b.bin', 'c/0', 'c/a.json', 'tmp/x'])
        self.assertEqual(offline('ls', f'{self.url}/c'), ['0', 'a.json', 'd/'])
        self.assertEqual(offline('stat', f'{self.url}/c/d')[:2], ['name:  d', 'type:  directory'])
        for command in ('ls', 'find'):
            self.assertEqual(offline(command, f'{self.url}/c/d', code=4), [])
        for command in ('cat', 'stat', 'exists', 'ls'):
            offline(command, f'{self.url}/c/d/1', code=4) # nobody has looked
            offline(command, f'{self.url}/c/none', code=3) # the listing has no such name
        self.larder('mirror', '--include', '/c/d/', self.url)
        self.assertEqual(offline('find', self.url), ['a.json', 'b.bin', 'c/0', 'c/a.json', 'c/d/1', 'tmp/x'])

    def test_names_from_a_file(self):
        self.serve({**TREE, 'new\nline': b'n'})
        url = self.url.replace(self.server.url, f'{self.server.url}/noindex')
        names = self.dir / 'names'
        names.write_text('b.bin\nc/0\nnone\n../etc/passwd\n')
        self.assertEqual(self.stats('--from', names, url, code=5)['failed'], 2)
        self.assertIn('larder: none: ', self.stderr)
        self.assertIn('larder: ../etc/passwd: ', self.stderr)
        self.assertEqual(self.larder('--offline', 'cat', f'{url}/b.bin', f'{url}/c/0'), TREE['b.bin'] + TREE['c/0'])
        self.larder('--offline', 'cat', f'{url}/none', code=3)
        self.larder('--offline', 'cat', f'{url}/a.json', code=4)
        stats = self.stats('--from', '-', '-0', url, stdin=b'new\nline\0a.json\0')
        self.assertEqual((stats['files'], stats['bytes_fetched']), (2, 3))
        self.assertEqual(self.larder('--offline', 'cat', f'{url}/new%0Aline'), b'n')
        self.assertFalse([line for line in self.requests() if '/ HTTP' in line])

    def test_a_changed_tree_is_followed(self):
        self.serve(TREE)
        self.larder('mirror', self.url)
        self.serve({'b.bin': b'changed', 'new/f': b'new'})
        (self.www / 'c/0').unlink()
        (self.www / 'tmp/x').unlink()
        (self.www / 'tmp').rmdir()
        self.assertIn(', 2 files gone from the server', self.lines('mirror', self.url)[0])
        self.assertEqual(self.find_offline(), ['a.json', 'b.bin', 'c/a.json', 'c/d/1', 'new/f'])
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/b.bin', f'{self.url}/new/f'), b'changednew')
        for name in ('c/0', 'tmp/x', 'tmp'):
            self.larder('--offline', 'exists', f'{self.url}/{name}', code=3)
            self.larder('--offline', 'cat', f'{self.url}/{name}', code=3)
        self.larder('--offline', 'ls', f'{self.url}/tmp', code=3)

    def test_links_that_lead_up(self):
        self.serve({'a/b/f': b'f', 'a/g': b'g'})
        (self.www / 'a/b/up').symlink_to('..')
        (self.www / 'a/b/top').symlink_to('../..')
        (self.www / 'a/self').symlink_to('.')
        stats = self.stats(self.url)
        self.assertEqual((stats['files'], stats['failed']), (2, 0))
        self.assertIn('taken for a link', self.stderr)
        self.assertLess(len(self.requests()), 20)
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/a/b/f', f'{self.url}/a/g'), b'fg')

    def stopped(self, number):
        """A slow mirror of 3 MB, stopped after a while: what the next one then finds, and what there is."""
        files = {f'd{i % 3}/f{i:02}': bytes([i]) * 50000 for i in range(60)}
        self.serve(files)
        child = subprocess.Popen([COMMAND, 'mirror', '--limit-rate', '1500K', '-j', '4', self.url], env=self.environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while len(self.requests()) < 30 and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(number)
        _, stderr = child.communicate(timeout=60)
        self.assertEqual(stderr, b'')
        stats = self.stats(self.url)
        self.assertEqual(stats['bytes_fetched'] + stats['bytes_present'], 3000000)
        self.assertEqual(len(self.find_offline()), 60)
        self.assertEqual(self.larder('--offline', 'cat', *(f'{self.url}/{name}' for name in files)), b''.join(files.values()))
        return child.returncode, stats

    def test_an_interrupted_mirror_goes_on(self):
        code, stats = self.stopped(signal.SIGINT)
        self.assertEqual(code, 130)
        self.assertGreater(stats['bytes_present'], 15 * 50000) # what was fetched is kept

    def test_a_killed_mirror_goes_on(self):
        code, stats = self.stopped(signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)
        self.assertGreater(stats['bytes_present'], 0) # what had been written by then

    def halves(self, number):
        """A mirror of one large file, stopped in the middle of it: the next one asks only for what is missing."""
        data = os.urandom(20 << 20)
        self.serve({'large': data})
        child = subprocess.Popen([COMMAND, 'mirror', '--limit-rate', '10M', self.url], env=self.environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        there, deadline = 0, time.monotonic() + 60
        while there == 0 and time.monotonic() < deadline:
            why = self.run_('--json', 'cache', 'why', f'{self.url}/large')
            there = json.loads(why.stdout).get('bytes_there', 0) if why.returncode == 0 else 0
        child.send_signal(number)
        child.communicate(timeout=60)
        while not any('/large ' in line for line in self.requests()) and time.monotonic() < deadline:
            time.sleep(0.01) # nginx logs it once it has seen that its client is gone
        before = len(self.requests())
        self.larder('--offline', 'cat', f'{self.url}/large', code=4)
        stats = self.stats(self.url)
        asked = [line.split() for line in self.requests()[before:] if '/large ' in line]
        self.assertEqual({line[4] for line in asked}, {'304', '206'})
        ranges = [line[5].removeprefix('bytes=').split('-') for line in asked if line[4] == '206']
        self.assertEqual(sum(int(last) + 1 - int(first) for first, last in ranges), stats['bytes_fetched'])
        self.assertEqual(stats['bytes_fetched'] + stats['bytes_present'], len(data))
        self.assertGreaterEqual(stats['bytes_present'], there)
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/large'), data)

    def test_an_interrupted_file_goes_on(self):
        self.halves(signal.SIGINT)

    def test_a_file_of_a_killed_mirror_goes_on(self):
        self.halves(signal.SIGKILL)

    def test_the_rate_is_kept(self):
        self.serve({'large': os.urandom(400000), **{f'f{i}': os.urandom(20000) for i in range(20)}})
        begun = time.monotonic()
        self.larder('mirror', '--limit-rate', '1000K', self.url)
        self.assertGreater(time.monotonic() - begun, 800000 / 1024000 - 0.1) # slower, if the machine is


if __name__ == '__main__':
    unittest.main(verbosity=2)
