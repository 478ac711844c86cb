#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""larder cache from outside: what is cached and why, pins, pruning."""
import os
import unittest

from case import Served


class Cache(Served):
    def setUp(self):
        super().setUp()
        self.files = {'a.json': b'{}', 'sub/large': os.urandom(300000), 'sub/small': b's' * 1000}
        self.serve(self.files)

    def read(self, *names, cached='cached/'):
        for name in names:
            self.larder('cat', f'cache::{self.url_of(name, cached)}')

    def url_of(self, name, where='cached/'):
        return f'{self.server.url}/{where}{self._testMethodName}/{name}'

    def why(self, name, *options, where='cached/', code=0):
        entry, = self.objects(*options, 'cache', 'why', self.url_of(name, where), code=code)
        return entry

    def test_why(self):
        self.read('a.json', 'sub/large')
        entry = self.why('a.json')
        self.assertEqual((entry['url'], entry['kind'], entry['size'], entry['bytes_there']),
                         (self.url_of('a.json'), 'file', 2, 2))
        self.assertEqual((entry['fresh'], entry['lifetime_by'], entry['pinned'], entry['strong']), (True, 'answer', False, True))
        self.assertAlmostEqual(entry['lifetime'], 60, delta=30) # but for how long the answer took
        self.assertRegex(entry['fetched'], r'^\d{4}-.*Z$')
        self.assertEqual(self.why('sub/large')['blocks'], 5)
        entry = self.why('a.json', '-o', 'cache.ttl_rules=*.json=forever,*=5')
        self.assertEqual((entry['lifetime'], entry['lifetime_by'], entry['rule']), ('forever', 'ttl_rules', '*.json'))
        self.assertFalse(self.why('a.json', '-o', 'cache.ttl=0')['fresh'])
        self.larder('cat', '--range', '70000-70010', f'cache::{self.url_of("sub/large", "")}')
        entry = self.why('sub/large', where='')
        self.assertEqual((entry['blocks_there'], entry['bytes_there'], entry['fresh']), (1, 65504, False))
        self.assertNotIn('lifetime', entry)
        text = self.lines('cache', 'why', self.url_of('sub/large', ''))
        self.assertIn('there       65504 bytes, 1 of 5 blocks', text)
        self.assertIn('fresh       no', text)
        entry = self.why('none', code=3)
        self.assertEqual((entry['kind'], entry['fresh']), ('nothing', False))
        self.assertIn('not in the cache', self.stderr)
        self.larder('cat', f'cache::{self.url_of("none")}', code=3)
        self.assertEqual(self.why('none')['kind'], 'absence')

    def test_ls(self):
        self.assertEqual(self.larder('cache', 'ls'), b'')
        self.read('a.json', 'sub/large')
        self.larder('ls', f'cache::{self.url_of("sub")}')
        lines = [line.split() for line in self.lines('cache', 'ls')]
        self.assertEqual([(line[0], line[1], line[-1]) for line in lines],
                         [('2', 'file', self.url_of('a.json')), ('300000', 'file', self.url_of('sub/large')),
                          ('-', 'listing', self.url_of('sub'))])
        below = self.objects('cache', 'ls', self.url_of('sub'))
        self.assertEqual([entry['kind'] for entry in below], ['file', 'listing'])
        self.assertEqual(self.larder('cache', 'ls', '-0', self.url_of('a.json'))[-2:], b'n\0')

    def test_pins_and_pruning(self):
        self.read('a.json', 'sub/large', 'sub/small')
        self.larder('cache', 'pin', self.url_of('sub'))
        self.assertTrue(self.why('sub/large')['pinned'])
        self.assertFalse(self.why('a.json')['pinned'])
        after, = self.objects('cache', 'prune', '--max-size', '0')
        self.assertGreater(after['bytes'], 300000)
        self.assertGreater(after['pinned_bytes'], 300000)
        self.assertEqual(self.why('a.json', code=3)['kind'], 'nothing')
        self.assertEqual(self.larder('--offline', 'cat', self.url_of('sub/large')), self.files['sub/large'])
        self.larder('--offline', 'cat', self.url_of('a.json'), code=4)
        self.assertEqual(self.objects('cache', 'unpin', self.url_of('')), [{'url': self.url_of(''), 'pins': 1}])
        self.assertEqual(self.objects('cache', 'unpin', self.url_of('')), [{'url': self.url_of(''), 'pins': 0}])
        after, = self.objects('cache', 'prune', '--max-size=100K')
        self.assertLess(after['bytes'], 100 << 10)
        self.larder('--offline', 'cat', self.url_of('sub/large'), code=4)

    def test_what_is_pruned_or_cleared_leaves_the_disk(self):
        on_disk = lambda: (self.dir / 'cache/cache-1.mdb').stat().st_blocks * 512
        (self.www / 'huge').write_bytes(os.urandom(8 << 20))
        for command in (['prune', '--max-size', '1M'], ['clear', self.url_of('')], ['clear']):
            self.read('huge')
            self.assertGreater(on_disk(), 8 << 20)
            self.larder('cache', *command)
            self.assertLess(on_disk(), 2 << 20)
            self.assertEqual(self.objects('cache', 'stat')[0]['disk_bytes'], on_disk())
        self.read('huge')
        sizes, = self.objects('cache', 'prune', '--max-size', '0')
        self.assertGreater(sizes['disk_before'], 8 << 20)
        self.assertLess(sizes['disk_bytes'], 1 << 20)

    def test_a_mirror_is_pinned_until_it_is_not(self):
        url = f'{self.server.url}/cached/{self._testMethodName}'
        self.larder('mirror', url)
        self.larder('cache', 'prune', '--max-size', '0')
        self.assertEqual(self.lines('--offline', 'find', url), sorted(self.files))
        self.assertEqual(self.lines('cache', 'unpin', url), [f'{url}: 1 pin taken back'])
        self.larder('cache', 'prune', '--max-size', '0')
        self.larder('--offline', 'find', url, code=4)

    def test_a_mirror_that_does_not_fit(self):
        url = f'{self.server.url}/cached/{self._testMethodName}'
        (self.www / 'huge').write_bytes(os.urandom(3 << 20))
        self.larder('-o', 'cache.max_size=2M', 'mirror', url, code=1)
        self.assertRegex(self.stderr, r'4 files take up to \d+ bytes.*room for 2097152.*raise cache\.max_size')
        self.assertEqual([entry['kind'] for entry in self.objects('cache', 'ls')], ['listing'] * 2)
        self.larder('-o', 'cache.max_size=6M', 'mirror', url)
        self.assertEqual(self.objects('cache', 'stat')[0]['max_bytes'], 6 << 20)

    def other(self):
        """Another machine's cache from here on."""
        self.environment['LARDER_CACHE_DIR'] = str(self.dir / 'other')

    def test_a_mirror_travels(self):
        url = self.url_of('')[:-1]
        self.larder('mirror', url)
        self.larder('cat', f'cache::{self.server.url}/status/404', code=3)
        file = self.dir / 'archive'
        stats, = self.objects('cache', 'export', file, url)
        self.assertEqual((stats['files'], stats['listings'], stats['bytes'], stats['pins']), (3, 2, 301002, 1))
        self.assertEqual(file.read_bytes()[:4], bytes.fromhex('28b52ffd')) # zstd's
        self.other()
        self.larder('--offline', 'find', url, code=4)
        self.assertEqual(self.lines('cache', 'import', file), ['3 files, 2 listings, 301002 bytes, 0 of 5 entries known already'])
        self.assertEqual(self.lines('--offline', 'find', url), sorted(self.files))
        for name, data in self.files.items():
            self.assertEqual(self.larder('--offline', 'cat', f'{url}/{name}'), data)
        self.larder('--offline', 'cat', f'{url}/none', code=3)
        self.larder('cache', 'prune', '--max-size', '0')
        self.assertEqual(self.larder('--offline', 'cat', f'{url}/a.json'), b'{}')
        self.assertEqual(self.objects('cache', 'import', file)[0]['known'], 5)

    def test_a_pipe_will_do(self):
        self.read('a.json', 'sub/small')
        archive = self.larder('cache', 'export', '-')
        self.other()
        self.assertEqual(self.objects('cache', 'import', '-', stdin=archive)[0]['files'], 2)
        self.assertEqual(self.larder('--offline', 'cat', self.url_of('sub/small')), self.files['sub/small'])

    def test_a_bad_archive_changes_nothing(self):
        self.read('a.json')
        archive = self.larder('cache', 'export', '-')
        self.other()
        for data, words in ((archive[:-3], 'it is cut'), (b'nonsense', 'no sound archive'), (b'', 'empty'),
                            (archive[:50] + b'?' + archive[51:], 'no sound archive')):
            self.larder('cache', 'import', '-', stdin=data, code=1)
            self.assertIn(f'larder: stdin: ', self.stderr)
            self.assertIn(words, self.stderr)
        self.larder('cache', 'import', self.dir / 'none', code=3)
        file = self.dir / 'file'
        file.write_text('before')
        self.larder('cache', 'export', file, 'nonsense://x', code=2)
        self.larder('cache', 'export', self.dir / 'none' / 'file', code=1)
        self.assertEqual(file.read_text(), 'before')
        self.larder('cache', 'export', file)
        self.assertNotEqual(file.read_bytes(), b'before')
        self.assertEqual([name for name in os.listdir(self.dir) if name.startswith('file')], ['file'])

    def test_verify(self):
        self.read('a.json', 'sub/large')
        found, = self.objects('cache', 'verify')
        self.assertEqual((found['damaged'], found['set_aside']), (0, 0))
        self.assertGreaterEqual((found['records'], found['blocks']), (2, 5))
        store = self.dir / 'cache' / 'cache-1.mdb'
        data = bytearray(store.read_bytes())
        at = data.index(self.files['sub/large'][70000:70100])
        data[at] ^= 1
        store.write_bytes(data)
        found, = self.objects('cache', 'verify', code=1)
        self.assertEqual(found['damaged'], 1)
        self.assertIn('larder: cache: ', self.stderr)
        self.assertEqual(self.objects('cache', 'verify')[0]['damaged'], 0)
        self.assertEqual(self.larder('cat', f'cache::{self.url_of("sub/large")}'), self.files['sub/large'])

    def test_wrong_usage(self):
        for args in (['cache', 'why'], ['cache', 'pin'], ['cache', 'unpin'], ['cache', 'prune', '--max-size', 'x'],
                     ['cache', 'prune', self.url], ['cache', 'export'], ['cache', 'import'], ['cache', 'ls', 'a', 'b'], ['cache', 'why', 'nonsense://x']):
            with self.subTest(args):
                self.larder(*args, code=2)


if __name__ == '__main__':
    unittest.main(verbosity=2)
