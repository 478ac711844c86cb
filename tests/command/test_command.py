#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The larder command from outside: what scripts depend on. $LARDER_COMMAND is the binary; nginx is the server."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import unittest

from case import COMMAND, ROOT, Case, Served
from server import free_ports

ODD_NAMES = ['a b', '%41', 'hash#tag', 'what?', '[1]', '*', 'é', '-dash', '..dots', "quote'\"", 'semi;&=+,:@$']
RFC3339 = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$')
BIG = 300 << 20


class Usage(Case):
    def test_help_names_every_command(self):
        text = self.larder('help').decode()
        for word in 'ls find stat exists cat pipe get map mirror cache --option --cache --offline --jobs --json'.split():
            self.assertIn(word, text)
        for command in re.findall(r'^  ((?:map |cache )?[a-z]+)  ', text, re.M):
            with self.subTest(command):
                usage = self.larder('help', *command.split())
                self.assertTrue(usage.startswith(b'usage: larder ' + command.encode()))
                self.assertEqual(usage, self.larder(*command.split(), '--help'))
        self.assertEqual(len(self.lines('help', 'map')), 8)
        self.larder('help', 'nonsense', code=2)

    def test_the_version_is_one_line(self):
        self.assertRegex(self.larder('--version').decode(), r'^larder \d+\.\d+\.\d+\n$')
        self.assertEqual(self.larder('--version'), self.larder('version'))

    def test_the_options_of_all_layers_can_be_listed(self):
        text = self.larder('help', 'options').decode()
        for option in ('http.timeout', 'cache.dir', 'cache.ttl', 'cache.mode'):
            self.assertIn(option, text)

    def test_wrong_usage_is_2(self):
        for args in ([], ['nonsense'], ['ls'], ['ls', 'a', 'b'], ['map'], ['map', 'nonsense'], ['map', 'get', 'memory://'],
                     ['ls', '--nonsense', '/'], ['ls', '-Z', '/'], ['ls', '--range=1-2', '/'], ['cat', '-l', '/'],
                     ['-j', '0', 'ls', '/'], ['-j', 'x', 'ls', '/'], ['ls', '/', '-j'], ['-o', 'novalue', 'ls', '/'],
                     ['-o', 'nonsense=1', 'ls', '/'], ['-o', 'nolayer.x=1', 'ls', '/'], ['cat', '--range=x', '/'],
                     ['cat', '--range=5', '/'], ['cat', '--range=1-2-3', '/'], ['ls', 'nonsense://x'], ['ls', 'nonsense::/x'],
                     ['find', '--maxdepth', '0', '/'], ['cache'], ['cache', 'nonsense'], ['--json=1', 'ls', '/'],
                     ['get', '/', '']):
            with self.subTest(args):
                self.assertEqual(self.larder(*args, code=2), b'')

    def test_half_a_command_is_told_the_other_halves(self):
        for group in ('map', 'cache'):
            self.larder(group, code=2)
            self.assertIn(f'`larder help {group}`', self.stderr)
            self.larder(group, 'nonsense', code=2)
            self.assertIn(f'{group} nonsense: no such command', self.stderr)
            self.assertEqual(self.larder(group, '--help'), self.larder('help', group))
        self.larder('--json=1', 'ls', '/', code=2)
        self.assertIn('--json: it takes no argument', self.stderr)

    def test_options_stand_anywhere_and_end_at_two_dashes(self):
        tree = self.tree({'-l': b'x', 'a/b': b'y'})
        before = self.larder('-l', '--json', '-q', 'ls', tree)
        self.assertEqual(before, self.larder('ls', tree, '--json', '-l', '-q'))
        self.environment['POSIXLY_CORRECT'] = '1'
        self.assertEqual(before, self.larder('ls', tree, '--json', '-l', '-q'))
        self.assertEqual(self.larder('cat', '--', '-l', cwd=tree), b'x')
        self.assertEqual(self.larder('map', 'get', tree, '--', '-l'), b'x')


class Local(Case):
    def test_ls(self):
        tree = self.tree({'b': b'12', 'a': b'', 'sub/x': b'', 'B': b''})
        self.assertEqual(self.lines('ls', tree), ['B', 'a', 'b', 'sub/'])
        self.assertEqual(self.larder('ls', '-0', tree), b'B\0a\0b\0sub/\0')
        self.assertEqual(self.lines('ls', f'{tree}/'), ['B', 'a', 'b', 'sub/'])
        self.assertEqual(self.lines('ls', tree / 'b'), ['b'])
        size, time_, name = self.lines('ls', '-l', tree)[2].split()
        self.assertEqual((size, name), ('2', 'b'))
        self.assertRegex(time_, RFC3339)
        self.assertEqual(self.larder('ls', tree / 'none', code=3), b'')
        self.assertIn('none: ', self.stderr)

    def test_ls_json(self):
        tree = self.tree({'b': b'12', 'sub/x': b''})
        os.utime(tree / 'b', ns=(0, 1_500_000_000_250_000_000))
        b, sub = self.objects('ls', tree)
        self.assertEqual((b['name'], b['type'], b['size']), ('b', 'file', 2))
        self.assertEqual(b['mtime'], '2017-07-14T02:40:00.25Z')
        self.assertLessEqual(set(b), {'name', 'type', 'size', 'mtime', 'etag'})
        self.assertEqual((sub['name'], sub['type']), ('sub', 'directory'))

    def test_odd_names_survive(self):
        names = ODD_NAMES + ['new\nline', 'tab\t', '\x01']
        tree = self.tree({name: name.encode() for name in names})
        listed = self.larder('ls', '-0', tree).decode().split('\0')[:-1]
        self.assertEqual(listed, sorted(names, key=str.encode))
        self.assertEqual([o['name'] for o in self.objects('find', tree)], listed)
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.larder('cat', f'{tree}/{name}'), name.encode())
                self.assertEqual(self.larder('map', 'get', tree, '--', name), name.encode())
        (tree / os.fsdecode(b'\xff\xfe')).write_bytes(b'raw')
        self.assertIn(b'\xff\xfe\0', self.larder('ls', '-0', tree))
        self.assertIn('\ufffd\ufffd', [o['name'] for o in self.objects('ls', tree)])

    def test_names_do_not_speak_to_the_terminal(self):
        self.larder('cat', self.dir / 'x\x1b[31m\x9b31m\x7f\u00e9\u009b31m', code=3)
        self.assertIn('x?[31m??31m?\u00e9??31m: ', self.stderr)

    def test_find(self):
        tree = self.tree({'b': b'', 'a/c/d': b'', 'a/e': b'', 'a-': b''})
        self.assertEqual(self.lines('find', tree), ['a-', 'a/c/d', 'a/e', 'b'])
        self.assertEqual(self.lines('find', '--maxdepth=2', tree), ['a-', 'a/e', 'b'])
        self.assertEqual(self.lines('find', '--dirs', tree), ['a/', 'a-', 'a/c/', 'a/c/d', 'a/e', 'b'])
        self.assertEqual(self.lines('find', tree / 'b'), ['b'])
        (tree / 'empty').mkdir()
        self.assertEqual(self.lines('find', tree / 'empty'), [])
        self.larder('find', tree / 'none', code=3)

    def test_stat_and_exists(self):
        tree = self.tree({'a': b'123'})
        stat, = self.objects('stat', tree / 'a')
        self.assertEqual((stat['name'], stat['type'], stat['size']), ('a', 'file', 3))
        self.assertRegex(stat['mtime'], RFC3339)
        self.assertIn('size:  3', self.lines('stat', tree / 'a'))
        self.assertEqual(self.objects('stat', tree)[0]['type'], 'directory')
        self.larder('stat', tree / 'none', code=3)
        self.assertTrue(self.stderr)
        for path, code in ((tree, 0), (tree / 'a', 0), (tree / 'none', 3), (tree / 'a' / 'below', 3)):
            self.assertEqual(self.larder('exists', path, code=code), b'')
            self.assertEqual(self.stderr, '')

    def test_cat_writes_in_argument_order(self):
        tree = self.tree({str(i): f'<{i}>'.encode() for i in range(200)})
        (tree / '7').write_bytes(b'7' * (2 << 20))
        order = [7, 3, 199, 0, *range(150, 0, -1)]
        expected = b''.join((tree / str(i)).read_bytes() for i in order)
        self.assertEqual(self.larder('cat', *(tree / str(i) for i in order)), expected)
        self.assertEqual(self.larder('-j1', 'cat', *(f'file://{tree}/{i}' for i in order)), expected)

    def test_ranges_are_pythons(self):
        data = bytes(range(256)) * 8
        large = data * 1024
        tree = self.tree({'f': data, 'large': large})
        for text, part in (('0-10', slice(0, 10)), ('5-', slice(5, None)), ('-10', slice(0, 10)), ('-', slice(None)),
                           ('-100-', slice(-100, None)), ('-100--20', slice(-100, -20)), ('--20', slice(0, -20)),
                           ('5--20', slice(5, -20)), ('-100-300', slice(-100, 300)), ('9-5', slice(9, 5)),
                           ('2000-99999', slice(2000, 99999)), ('-99999-5', slice(-99999, 5)), ('1000-2000000', slice(1000, 2000000))):
            with self.subTest(text):
                self.assertEqual(self.larder('cat', f'--range={text}', tree / 'f'), data[part])
                self.assertEqual(self.larder('cat', '--range', text, tree / 'f', tree / 'large'), data[part] + large[part])

    def test_some_of_many_is_5_and_all_alike_is_theirs(self):
        tree = self.tree({'a': b'A', 'b': b'B'})
        self.assertEqual(self.larder('cat', tree / 'a', tree / 'none', tree / 'b', code=5), b'AB')
        self.assertIn(f'{tree}/none: ', self.stderr)
        self.assertEqual(self.larder('cat', tree / 'none', tree / 'nil', code=3), b'')
        self.assertEqual(len(self.stderr.splitlines()), 2)
        self.larder('cat', tree / 'none', tree, code=5)
        self.larder('cat', tree, code=1)

    def test_pipe(self):
        data = os.urandom(3 << 20)
        self.larder('pipe', self.dir / 'file', stdin=data)
        self.assertEqual((self.dir / 'file').read_bytes(), data)
        self.larder('pipe', self.dir / 'file', stdin=b'')
        self.assertEqual((self.dir / 'file').read_bytes(), b'')
        self.larder('pipe', '--create', self.dir / 'file', stdin=b'x', code=1)
        self.assertEqual((self.dir / 'file').read_bytes(), b'')
        self.larder('pipe', '--create', self.dir / 'new', stdin=b'x')
        self.larder('pipe', self.dir, stdin=b'x', code=1)

    def test_get(self):
        tree = self.tree({'a b': b'12345'})
        (self.dir / 'out').mkdir()
        self.larder('get', tree / 'a b', self.dir / 'copy')
        self.assertEqual((self.dir / 'copy').read_bytes(), b'12345')
        self.larder('get', tree / 'a b', self.dir / 'out')
        self.larder('get', tree / 'a b', f'{self.dir}/out/')
        self.assertEqual(os.listdir(self.dir / 'out'), ['a b'])
        self.assertEqual(self.larder('get', tree / 'a b', '-'), b'12345')
        self.larder('get', tree / 'none', self.dir / 'copy', code=3)
        self.assertEqual((self.dir / 'copy').read_bytes(), b'12345')
        self.larder('get', tree, self.dir / 'out', code=1)
        self.assertEqual(sorted(os.listdir(self.dir)), ['copy', 'out', 'tree'])

    def test_glob(self):
        tree = self.tree({'f1': b'1', 'f2': b'2', 'd/g1': b'3', 'd/e/h1': b'4', 'q[1]': b'5', 'q1': b'6'})
        found = lambda pattern, *more, **how: self.lines('glob', f'{tree}/{pattern}', *more, **how)
        full = lambda *names: [f'{tree}/{name}' for name in names]
        self.assertEqual(found('*'), full('d', 'f1', 'f2', 'q1', 'q[1]'))
        self.assertEqual(found('*/'), full('d'))
        self.assertEqual(found('d/**'), full('d', 'd/e', 'd/e/h1', 'd/g1'))
        self.assertEqual(found('**/h?'), full('d/e/h1'))
        self.assertEqual(self.lines('glob', 'd/**', cwd=tree), ['d', 'd/e', 'd/e/h1', 'd/g1'])
        self.assertEqual(self.lines('glob', '**', cwd=tree / 'd'), ['.', 'e', 'e/h1', 'g1'])
        self.assertEqual(found('**/*1', '--maxdepth', 2), full('d/g1', 'f1', 'q1'))
        self.assertEqual(found('f1'), full('f1'))
        self.assertEqual(found('none*', code=3), [])
        self.assertEqual(found('none', code=3), [])
        self.assertEqual(found('a**', code=2), [])
        self.assertEqual(self.lines('glob', 'd/*', cwd=tree), ['d/e', 'd/g1'])
        self.assertEqual(self.lines('glob', f'file://{tree}/[f]*'), [f'file://{tree}/f1', f'file://{tree}/f2'])
        self.assertEqual([entry['name'] for entry in self.objects('glob', f'{tree}/f*')], full('f1', 'f2'))
        self.assertEqual(self.larder('glob', '-0', f'{tree}/f*'), b''.join(f'{n}\0'.encode() for n in full('f1', 'f2')))
        # The directories above are no part of the pattern, and a name must not turn into a URL.
        odd = self.tree({'a:b': b'', 'cache::c': b''}, where='[odd] *')
        self.assertEqual(self.lines('glob', '*', cwd=odd), ['./a:b', './cache::c'])

    def test_patterns_are_expanded_unless_the_name_exists(self):
        tree = self.tree({'f1': b'1', 'f2': b'2', 'd/f1': b'3', 'q[1]': b'5', 'q1': b'6', 'a*': b'7', 'ab': b'8'})
        self.assertEqual(self.larder('cat', f'{tree}/f?', f'{tree}/d/*'), b'123')
        self.assertEqual(self.larder('cat', f'{tree}/q[1]', f'{tree}/a*'), b'57')
        self.assertEqual(self.larder('cat', f'{tree}/[q]*'), b'65')
        self.assertEqual(self.larder('cat', f'{tree}/*'), b'7' b'8' b'1' b'2' b'6' b'5')
        self.larder('cat', '--literal', f'{tree}/f?', code=3)
        self.assertEqual(self.larder('cat', f'{tree}/none*', f'{tree}/f1', code=5), b'1')
        self.assertIn('nothing matches', self.stderr)
        (self.dir / 'out').mkdir()
        self.larder('get', f'{tree}/f*', self.dir / 'out')
        self.assertEqual(sorted(os.listdir(self.dir / 'out')), ['f1', 'f2'])
        self.larder('get', f'{tree}/none*', self.dir / 'copy', code=3)
        self.assertFalse((self.dir / 'copy').exists())
        self.larder('get', f'{tree}/q[1]', self.dir / 'copy')
        self.assertEqual((self.dir / 'copy').read_bytes(), b'5')
        self.assertEqual(self.larder('get', f'{tree}/f*', '-'), b'12')

    def test_du(self):
        tree = self.tree({'a': b'12345', 'd/b': b'678', 'd/e/c': b''})
        self.assertEqual(self.larder('du', tree), b'8\n')
        self.assertEqual(self.larder('du', tree / 'a'), b'5\n')
        self.assertEqual(self.lines('du', '-a', tree), ['5\ta', '3\td/b', '0\td/e/c'])
        self.assertEqual(self.objects('du', tree), [{'size': 8}])
        self.assertEqual(self.objects('du', '-a', tree / 'd'), [{'name': 'b', 'size': 3}, {'name': 'e/c', 'size': 0}])
        self.assertEqual(self.larder('du', tree / 'none', code=3), b'')

    def test_head_and_tail(self):
        tree = self.tree({'a': bytes(range(256)) * 16, 'b': b'xyz'})
        whole = (tree / 'a').read_bytes()
        self.assertEqual(self.larder('head', tree / 'a'), whole[:1024])
        self.assertEqual(self.larder('tail', tree / 'a'), whole[-1024:])
        self.assertEqual(self.larder('head', '-c', 5, tree / 'a', tree / 'b'), whole[:5] + b'xyz')
        self.assertEqual(self.larder('tail', '-c', 2, tree / 'a', tree / 'b'), whole[-2:] + b'yz')
        for command in 'head', 'tail':
            self.assertEqual(self.larder(command, '-c', 0, tree / 'a'), b'')
            self.larder(command, '-c', 0, tree / 'none', code=3)
            self.larder(command, '-c', -1, tree / 'a', code=2)

    def test_rm_removes_what_is_named_and_nothing_else(self):
        tree = self.tree({'a': b'1', 'b': b'2', 'd/x': b'3', 'd/e/y': b'4', 'q[1]': b'5', 'q1': b'6', 'f1': b'', 'f2': b''})
        self.tree({'kept': b'7'}, where='outside')
        (tree / 'd/link').symlink_to(self.dir / 'outside')
        (tree / 'top').symlink_to(self.dir / 'outside')
        self.larder('rm', tree / 'a', tree / 'none', tree / 'b', code=5)
        self.assertIn('none', self.stderr)
        self.larder('rm', tree / 'd', code=1)
        self.assertIn('-r removes those', self.stderr)
        self.larder('rm', tree / 'q[1]', f'{tree}/f*')
        self.assertEqual(sorted(os.listdir(tree)), ['d', 'q1', 'top'])
        self.larder('rm', '--literal', f'{tree}/q*', code=3)
        self.larder('rm', f'{tree}/none*', code=3)
        self.larder('rm', '-r', tree / 'd', tree / 'top')
        self.assertEqual(os.listdir(tree), ['q1'])
        self.assertEqual((self.dir / 'outside/kept').read_bytes(), b'7')
        self.tree({'d/x': b'', 'd-/y': b'', 'd/e/z': b'', 'e/f/g': b'', 'e/h': b''})
        self.larder('rm', f'{tree}/d*', code=3)
        self.larder('rm', '-r', f'{tree}/d*', f'{tree}/e/**')
        self.assertEqual(os.listdir(tree), ['q1'])
        self.larder('rm', '-r', 'memory://', code=1)
        whole = self.tree({'a': b'', 'd/e/f': b'', 'd-': b'', '.h': b'', '.d/x': b''}, where='whole')
        self.larder('rm', '-r', '**', cwd=whole)
        self.assertEqual(os.listdir(whole), [])
        self.larder('rm', '-r', '**', cwd=whole, code=3)
        for dots in '.', '..', './', 'x/..':
            self.larder('rm', '-r', f'{tree}/{dots}', code=1)
        self.larder('rm', tree / 'q1', 'nonsense://x', code=2)
        self.assertEqual(os.listdir(tree), ['q1'])

    def test_directories_are_made_and_removed(self):
        tree = self.tree({'a': b''})
        self.larder('mkdir', tree / 'd')
        self.larder('mkdir', tree / 'd', code=1)
        self.larder('mkdir', tree / 'x/y', code=3)
        self.larder('mkdir', '-p', tree / 'x/y', tree / 'd')
        self.assertTrue((tree / 'x/y').is_dir())
        self.larder('mkdir', '-p', tree / 'a', code=1)
        self.larder('rmdir', tree / 'x', code=1)
        self.larder('rmdir', tree / 'x/y', tree / 'x', tree / 'd')
        self.assertEqual(os.listdir(tree), ['a'])
        self.larder('rmdir', tree / 'x', code=3)
        self.larder('rmdir', tree / 'a', code=1)

    def test_get_replaces_files_only(self):
        tree = self.tree({'a': b'12345'})
        (self.dir / 'file').write_bytes(b'old')
        (self.dir / 'link').symlink_to('file')
        self.larder('get', tree / 'a', self.dir / 'link')
        self.assertTrue((self.dir / 'link').is_symlink())
        self.assertEqual((self.dir / 'file').read_bytes(), b'12345')
        # Devices behave alike, but a failure here must not cost a machine its /dev/null.
        os.mkfifo(self.dir / 'pipe')
        reader = os.open(self.dir / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.larder('get', tree / 'a', self.dir / 'pipe')
        self.assertTrue((self.dir / 'pipe').is_fifo())
        self.assertEqual(os.read(reader, 100), b'12345')
        self.assertEqual(sorted(os.listdir(self.dir)), ['file', 'link', 'pipe', 'tree'])

    def test_a_file_is_no_directory_to_copy_into(self):
        tree = self.tree({'a': b'12345'})
        self.larder('get', tree / 'a', tree / 'a' / 'b', code=1)
        self.assertEqual((tree / 'a').read_bytes(), b'12345')

    def test_trees_are_copied_put_and_moved(self):
        tree = self.tree({'a': b'1', 'd/b': b'22', 'd/e/c': b'333', 'x/a': b'4'})
        out = self.dir / 'out'
        self.larder('get', '-r', tree / 'd', out)
        self.assertEqual((out / 'e' / 'c').read_bytes(), b'333')
        self.larder('get', '-r', tree / 'd', out) # it is there now
        self.assertEqual((out / 'd' / 'b').read_bytes(), b'22')
        self.larder('put', '-r', f'{tree}/d/', self.dir / 'put')
        self.assertEqual((self.dir / 'put' / 'b').read_bytes(), b'22')
        self.larder('cp', tree / 'a', self.dir / 'new' / 'name')
        self.assertEqual((self.dir / 'new' / 'name').read_bytes(), b'1')
        self.larder('cp', tree / 'a', f'{tree}/x/a', self.dir / 'new', code=1)
        self.assertIn('same name', self.stderr)
        self.larder('cp', f'{tree}/a*', f'{tree}/x/[ab]', self.dir / 'none-yet/', code=1)
        self.assertIn('same name', self.stderr)
        self.larder('cp', f'{tree}/[adx]/a', f'{tree}/d/b', f'{tree}/d/e/?', self.dir / 'several/')
        self.assertEqual(sorted(os.listdir(self.dir / 'several')), ['a', 'b', 'c'])
        self.larder('cp', f'{tree}/**/a', self.dir / 'trees/')
        self.assertFalse((self.dir / 'none-yet').exists())
        self.larder('cp', tree / 'd', self.dir / 'no', code=1)
        self.assertIn('-r copies those', self.stderr)
        self.larder('mv', tree / 'd', self.dir / 'moved')
        self.assertEqual((self.dir / 'moved' / 'e' / 'c').read_bytes(), b'333')
        self.assertFalse((tree / 'd').exists())
        self.larder('cp', tree / 'none', out, code=3)
        self.larder('touch', self.dir / 'touched')
        self.assertEqual((self.dir / 'touched').read_bytes(), b'')

    def test_sync_makes_one_tree_like_another(self):
        tree = self.tree({'a': b'1', 'd/b': b'22', 'odd\nname': b'3', 'x.tmp': b''})
        out = self.dir / 'out'
        self.assertIn('copy d/b', self.lines('sync', '--dry-run', tree, out))
        self.assertFalse(out.exists())
        self.assertEqual(self.lines('sync', tree, out), ['4 files, 4 bytes sent, 0 removed, 0 the same'])
        self.assertEqual(self.lines('sync', f'{tree}/', f'{out}/'), ['0 files, 0 bytes sent, 0 removed, 4 the same'])
        (tree / 'd' / 'b').write_bytes(b'23')
        (tree / 'a').unlink()
        self.assertEqual(self.lines('sync', '--size-only', tree, out), ['0 files, 0 bytes sent, 0 removed, 3 the same'])
        lines = [json.loads(line) for line in self.lines('sync', '--json', '--checksum', '--delete', tree, out)]
        self.assertEqual(lines, [{'action': 'copy', 'name': 'd/b', 'status': 'OK', 'size': 2},
                                 {'action': 'remove', 'name': 'a', 'status': 'OK'},
                                 {'sent': 1, 'bytes': 2, 'removed': 1, 'same': 2, 'failed': 0}])
        (tree / 'x.tmp').unlink()
        self.assertEqual(self.larder('sync', '--dry-run', '-0', '--delete', tree, out), b'remove x.tmp\0')
        self.assertIn('1 removed', self.stderr)
        self.larder('sync', '--delete', '--exclude', '*.tmp', tree, out)
        self.assertTrue((out / 'x.tmp').exists())
        (out / 'file').mkdir()
        (tree / 'file').write_bytes(b'1')
        self.larder('sync', tree, out, code=5)
        self.assertIn('in the way', self.stderr)
        self.larder('sync', '--delete', self.dir / 'none', out, code=3)
        self.assertTrue((out / 'd' / 'b').exists())
        self.larder('sync', '--checksum', '--size-only', tree, out, code=2)
        self.larder('sync', tree, code=2)

    def test_map(self):
        root = self.dir / 'map'
        for key in ('z', 'a/b', 'a/c', 'a[1]', 'x*'):
            self.larder('map', 'set', root, key, stdin=key.encode() * 2)
        self.assertEqual(self.lines('map', 'keys', root), ['a/b', 'a/c', 'a[1]', 'x*', 'z'])
        self.assertEqual(self.lines('map', 'keys', 'a', root), ['a/b', 'a/c'])
        self.assertEqual(self.larder('map', 'keys', '-0', 'a/', root), b'a/b\0a/c\0')
        self.assertEqual([o['key'] for o in self.objects('map', 'keys', root)], ['a/b', 'a/c', 'a[1]', 'x*', 'z'])
        self.assertEqual(self.larder('map', 'get', root, 'z', 'a/b', 'a[1]'), b'zza/ba/ba[1]a[1]')
        self.larder('map', 'set', '--create', root, 'z', stdin=b'', code=1)
        self.assertEqual(self.larder('map', 'get', root, 'z', 'none', 'a', 'a/c', code=5), b'zza/ca/c')
        self.larder('map', 'get', root, 'none', 'a', 'z/below', code=3)
        self.larder('map', 'get', root, '../map/z', code=1)
        self.larder('map', 'del', root, 'z', 'a/b')
        self.larder('map', 'del', root, 'x*', 'z', code=5)
        self.larder('map', 'del', root, 'z', code=3)
        self.assertEqual(self.lines('map', 'keys', root), ['a/c', 'a[1]'])
        self.assertEqual(self.lines('map', 'keys', self.dir / 'none'), [])

    def test_map_get_reports_and_reads_names(self):
        root = self.tree({'a': b'123', 'b c': b'', 'new\nline': b'1', 'big': b'x' * (1 << 20)})
        report = self.objects('map', 'get', root, 'b c', 'none', 'a', 'big', '/', code=5)
        self.assertEqual(report, [{'key': 'b c', 'status': 'OK', 'size': 0}, {'key': 'none', 'status': 'ENOENT'},
                                  {'key': 'a', 'status': 'OK', 'size': 3}, {'key': 'big', 'status': 'OK', 'size': 1 << 20},
                                  {'key': '/', 'status': 'EINVAL'}])
        self.assertEqual(self.larder('map', 'get', root, '-', stdin=b'a\nb c\na'), b'123123')
        self.assertEqual(self.larder('map', 'get', '-0', root, '-', stdin=b'new\nline\0a\0'), b'1123')
        self.assertEqual(self.larder('map', 'get', root, '-', stdin=b''), b'')

    def test_what_stdout_does_not_take_is_a_failure(self):
        tree = self.tree({'a': b'x' * 200000, 'b': b'y'})
        with open('/dev/full', 'wb') as full:
            self.larder('cat', tree / 'a', stdout=full, code=1)
            self.assertIn('stdout: No space left', self.stderr)
            self.larder('ls', tree, stdout=full, code=1)
            self.larder('help', stdout=full, code=1)
        done = self.run_('cat', tree / 'b', stdout=None, preexec_fn=lambda: os.close(1))
        self.assertEqual((done.returncode, done.stderr), (1, b'larder: stdout: Bad file descriptor\n'))

    def test_a_closed_pipe_is_quiet(self):
        tree = self.tree({'a': b'x' * (4 << 20)})
        read, write = os.pipe()
        os.close(read)
        done = self.run_('cat', tree / 'a', stdout=write)
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (1, b''))


@unittest.skipUnless(shutil.which('nginx') or os.path.exists('/usr/sbin/nginx') or os.environ.get('CI'), 'NGINX IS MISSING: nothing of HTTP was tested')
class Http(Served):
    def test_reading_works_as_from_a_disk(self):
        self.serve({'a': b'AAA', 'sub/b': b'B', 'empty': b'', 'large': b'L' * (2 << 20)})
        self.assertEqual(self.lines('ls', self.url), ['a', 'empty', 'large', 'sub/'])
        self.assertEqual(self.lines('find', self.url), ['a', 'empty', 'large', 'sub/b'])
        self.assertEqual(self.larder('cat', f'{self.url}/large', f'{self.url}/a', f'{self.url}/empty', f'{self.url}/sub/b'),
                         b'L' * (2 << 20) + b'AAAB')
        self.assertEqual(self.larder('cat', '--range=-2-', f'{self.url}/a'), b'AA')
        stat, = self.objects('stat', f'{self.url}/a')
        self.assertEqual((stat['name'], stat['type'], stat['size']), ('a', 'file', 3))
        self.assertRegex(stat['mtime'], RFC3339)
        self.assertTrue(stat['etag'])
        self.assertEqual(self.larder('map', 'get', self.url, 'sub/b', 'a'), b'BAAA')
        self.assertEqual(self.lines('map', 'keys', 'sub', self.url), ['sub/b'])
        self.larder('get', f'{self.url}/large', self.dir / 'large')
        self.assertEqual((self.dir / 'large').stat().st_size, 2 << 20)

    def test_rm_of_a_pattern_before_a_query(self):
        tree = self.server.dir / 'dav/rm'
        for name in 'd/x', 'd/e/y', 'kept':
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(b'')
        self.larder('rm', '-r', f'webdav{self.server.url[4:]}/dav/rm/d/**?x=1')
        self.assertEqual(os.listdir(tree), ['kept'])

    def test_odd_names_over_http(self):
        self.serve({name: name.encode() for name in ODD_NAMES})
        listed = [name for name in ODD_NAMES if name[0] != '.'] # nginx does not list the others
        self.assertEqual(self.lines('ls', self.url), sorted(listed, key=str.encode))
        self.assertEqual(self.larder('map', 'get', self.url, '--', *ODD_NAMES), ''.join(ODD_NAMES).encode())

    def test_patterns_over_http(self):
        self.serve({'f1': b'1', 'f2': b'2', 'd/g 1': b'3', 'x?y': b'4', 'p*q': b'5', 'pq': b'6', 'caf\u00e9': b'7'})
        url = self.url + '/'
        found = lambda pattern: self.lines('glob', url + pattern)
        self.assertEqual(found('f*'), [f'{url}f1', f'{url}f2'])
        self.assertEqual(found('*/*'), [f'{url}d/g%201'])
        self.assertEqual(found('x*'), [f'{url}x%3Fy'])
        self.assertEqual(found('c*%C3%A9'), [f'{url}caf%C3%A9'])
        self.assertEqual(found('p%2A[q]'), [f'{url}p%2Aq'])
        self.assertEqual(found('f*?token=1'), [f'{url}f1?token=1', f'{url}f2?token=1'])
        self.assertEqual(self.larder('cat', url + 'f*', url + 'd/*', url + 'x*'), b'1234')
        self.assertEqual(self.larder('cat', url + 'p*q'), b'5')
        self.assertEqual(self.larder('cat', url + '[p]*q'), b'56')
        self.larder('cat', url + 'f?', code=3)
        self.larder('mirror', url)
        self.server.stop()
        self.addCleanup(self.server.start)
        self.assertEqual(self.larder('--offline', 'cat', url + 'f*'), b'12')
        self.assertEqual(self.lines('--offline', 'glob', url + 'none*', code=3), [])
        self.larder('glob', url + 'f*', code=1)

    def test_missing_is_3_and_a_failing_server_is_1(self):
        self.larder('cat', f'{self.url}/none', code=3)
        self.larder('stat', f'{self.url}/none', code=3)
        self.larder('exists', f'{self.url}/none', code=3)
        self.larder('find', f'{self.url}/none', code=3)
        for command in ('cat', 'stat', 'exists'):
            self.larder(command, f'{self.server.url}/status/403', code=1)
        dead = f'http://127.0.0.1:{free_ports(1)[0]}/x'
        for command in ('cat', 'stat', 'exists', 'ls', 'find'):
            self.larder(command, dead, code=1)
        self.serve({'a': b'A'})
        self.assertEqual(self.larder('cat', f'{self.url}/a', dead, code=5), b'A')
        refused = f'{self.server.url}/status/403'
        self.larder('cat', refused, f'{refused}?2', code=1)
        self.assertIn(f'GET {refused}: 403', self.stderr)  # all of it was asked for

    def test_offline_local_files_are_local(self):
        self.serve({'a': b'A', 'd/b': b'B'})
        self.larder('mirror', self.url)
        cached = self.lines('cache', 'ls')
        out = self.dir / 'out'
        self.larder('--offline', 'cp', '-r', f'{self.url}/', f'{out}/')
        self.assertEqual((out / 'd/b').read_bytes(), b'B')
        self.larder('--offline', 'sync', self.url, out)  # which gives them their times, as cp does not
        self.assertEqual(self.lines('--offline', 'sync', self.url, out),
                         ['0 files, 0 bytes sent, 0 removed, 2 the same'])
        self.larder('--offline', 'cp', out / 'a', f'file://{self.dir}/copy')
        self.assertEqual(self.larder('--offline', 'cat', self.dir / 'copy'), b'A')
        self.assertEqual(self.lines('--offline', 'ls', f'dir::{out}'), ['a', 'd/'])
        self.larder('--offline', 'cat', out / 'none', code=3)
        self.larder('--offline', 'cat', f'cache::{out}/a', code=4)
        self.assertEqual([line.split()[-1] for line in self.lines('cache', 'ls')], [line.split()[-1] for line in cached])

    def test_messages_keep_the_secrets_of_a_url(self):
        host = self.server.url.removeprefix('http://')
        for args in (['stat', f'http://sesame@{host}/none'], ['cat', f'http://u:sesame@{host}/none?t=sesame'],
                     ['ls', f'cache::http://u:sesame@{host}/none?t=sesame'], ['find', f'http://u:sesame@{host}/none/?sesame'],
                     ['get', f'http://u:sesame@{host}/none?sesame', self.dir / 'x'], ['--offline', 'ls', f'{self.url}?sesame'],
                     ['mirror', f'http://u:sesame@{host}/none?t=sesame'], ['ls', f'nonsense://u:sesame@{host}/?t=sesame'],
                     ['cat', 'http://u:sesame@127.0.0.1:99999/x'], ['-v', 'stat', f'http://u:sesame@{host}/none?t=sesame'],
                     ['map', 'get', f'http://u:sesame@{host}/?t=sesame', 'none'], ['cache', 'clear', 'nonsense://sesame@h/']):
            with self.subTest(args):
                done = self.run_(*args)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr)
                self.assertNotIn(b'sesame', done.stderr)
        self.larder('cat', f'http://u:sesame@{host}/none?t=sesame', code=3)
        self.assertIn(f'larder: http://{host}/none?…: ', self.stderr)
        self.assertNotIn(b'sesame', self.larder('stat', f'http://u:sesame@{host}/?t=sesame'))
        # A question mark in the name of a local file begins no query, and a key is no URL.
        self.larder('cat', f'file://{self.dir}/what?', code=3)
        self.assertIn(f'file://{self.dir}/what?: ', self.stderr)

    def test_no_cache_directory_is_not_a_missing_file(self):
        for name in ('LARDER_CACHE_DIR', 'HOME'):
            self.environment.pop(name, None)
        for args in (['cache', 'stat'], ['exists', f'cache::{self.url}/'], ['--offline', 'cat', f'{self.url}/a']):
            self.larder(*args, code=1)
            self.assertIn('no cache directory', self.stderr)

    def test_an_unusable_cache_is_told_of_once(self):
        self.serve({'a': b'A'})
        (self.dir / 'file').write_bytes(b'')
        self.assertEqual(self.larder('--cache', self.dir / 'file', 'cat', f'cache::{self.url}/a'), b'A')
        self.assertEqual(len(self.stderr.splitlines()), 1)

    def test_a_server_without_ranges(self):
        self.serve({'a': bytes(range(200)) * 10000})
        url = self.url.replace(self.server.url, f'{self.server.url}/norange')
        data = bytes(range(200)) * 10000
        self.assertEqual(self.larder('cat', f'{url}/a'), data)
        self.assertEqual(self.larder('cat', '--range=100-300', f'{url}/a', f'{url}/a'), data[100:300] * 2)
        self.assertEqual(self.larder('cat', f'{url}/a', f'{url}/a'), data * 2)

    def test_mirror_then_offline(self):
        files = {'a': b'A', 'b c': b'BC', 'sub/deep/d': b'D' * 100000, 'sub/e': b''}
        self.serve(files)
        mirrored, = self.objects('mirror', self.url)
        self.assertEqual(mirrored, {'files': 4, 'bytes_fetched': 100003, 'bytes_present': 0, 'failed': 0, 'vanished': 0})
        again = self.larder('mirror', f'cache::{self.url}/').decode()
        self.assertEqual(again, '4 files, 0 bytes fetched, 100003 bytes already there\n')
        self.server.stop()
        self.addCleanup(self.server.start)
        self.assertEqual(self.lines('--offline', 'find', self.url), sorted(files))
        self.assertEqual(self.lines('--offline', 'ls', f'cache::{self.url}/sub'), ['deep/', 'e'])
        for spelling in (self.url, f'cache::{self.url}', f'{self.url}/'):
            self.assertEqual(self.larder('map', 'get', '--offline', spelling, 'b c', 'a'), b'BCA')
        self.assertEqual(self.larder('cat', '--offline', f'{self.url}/sub/deep/d'), b'D' * 100000)
        self.larder('--offline', 'get', f'{self.url}/a', self.dir / 'a')
        self.assertEqual((self.dir / 'a').read_bytes(), b'A')
        self.assertEqual(self.objects('--offline', 'stat', f'{self.url}/a')[0]['size'], 1)
        # Missing from a complete listing is known to be missing; what was never asked for is not known at all.
        for command in ('cat', 'stat', 'exists'):
            self.larder('--offline', command, f'{self.url}/none', code=3)
            self.larder('--offline', command, f'{self.server.url}/elsewhere/x', code=4)
        self.larder('--offline', 'map', 'get', self.url, 'none', code=3)
        self.larder('--offline', 'ls', f'{self.server.url}/elsewhere', code=4)
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/a', f'{self.server.url}/elsewhere/x', code=5), b'A')
        # Without the cache in the URL nothing comes from it.
        self.larder('cat', f'{self.url}/a', code=1)

    def test_only_cached_urls_fill_the_cache(self):
        self.serve({'a': b'A', 'b': b'B'})
        self.larder('cat', f'{self.url}/a')
        self.larder('--offline', 'cat', f'{self.url}/a', code=4)
        self.assertEqual(self.larder('cat', f'cache::{self.url}/a'), b'A')
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/a'), b'A')
        self.larder('--cache', self.dir / 'other', '--offline', 'cat', f'{self.url}/a', code=4)
        self.larder('--cache', self.dir / 'other', 'cat', f'cache::{self.url}/b')
        self.assertEqual(self.larder('--offline', 'cat', f'{self.url}/b', '--cache', self.dir / 'other'), b'B')

    def test_the_cache_tells_of_itself_and_forgets(self):
        self.serve({'a': b'A' * 1000, 'b': b'B'})
        self.larder('mirror', self.url)
        stat, = self.objects('cache', 'stat')
        self.assertEqual(stat['dir'], self.environment['LARDER_CACHE_DIR'])
        self.assertLessEqual({'dir', 'bytes', 'files', 'blocks', 'hits', 'misses'}, set(stat))
        self.assertGreaterEqual(stat['files'], 2)
        self.larder('--offline', 'cat', f'{self.url}/a')
        self.assertGreater(self.objects('cache', 'stat')[0]['hits'], stat['hits'])
        self.assertTrue(self.lines('cache', 'stat')[0].startswith('dir'))
        self.larder('cache', 'clear', f'{self.url}/a')
        self.larder('--offline', 'cat', f'{self.url}/a', code=4)
        self.larder('--offline', 'cat', f'{self.url}/b')
        self.larder('cache', 'clear')
        self.larder('--offline', 'cat', f'{self.url}/b', code=4)

    def test_a_mirror_names_what_failed(self):
        self.serve({'a': b'A', 'sub/b': b'B'})
        (self.www / 'sub' / 'gone').symlink_to('nowhere')
        stats, = self.objects('mirror', self.url, code=5)
        self.assertEqual((stats['files'], stats['bytes_fetched'], stats['failed']), (3, 2, 1))
        self.assertIn('larder: sub/gone: ', self.stderr)
        self.larder('mirror', f'{self.url}/none', code=3)
        self.larder('mirror', f'http://127.0.0.1:{free_ports(1)[0]}/x', code=1)
        self.larder('--offline', 'mirror', f'{self.server.url}/elsewhere', code=4)

    def limited(self, *args, stdin=os.devnull):
        """The largest resident size in bytes of a run that writes to /dev/null."""
        with open(os.devnull, 'wb') as null, open(stdin, 'rb') as data:
            child = subprocess.Popen([COMMAND, *args], stdin=data, stdout=null, stderr=subprocess.PIPE, env=self.environment)
            stderr = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stderr.close()
        self.assertEqual(child.returncode, 0, stderr)
        return usage.ru_maxrss * 1024

    def test_a_large_file_is_never_whole_in_memory(self):
        if any(mark in pathlib.Path(COMMAND).read_bytes() for mark in (b'__asan_init', b'__tsan_init', b'__msan_init')):
            self.skipTest('a sanitizer needs more memory than the files')
        with open(self.www / 'big', 'wb') as big:
            big.truncate(BIG)
        limit = 100 << 20
        for args in (['cat', f'{self.url}/big'], ['cat', str(self.www / 'big')], ['map', 'get', self.url, 'big'],
                     ['cat', f'{self.url}/big', f'{self.url}/big'], ['get', f'{self.url}/big', str(self.dir / 'big')]):
            with self.subTest(args[0]):
                self.assertLess(self.limited(*args), limit)
        self.assertLess(self.limited('pipe', str(self.dir / 'piped'), stdin=self.www / 'big'), limit)
        for name in 'big', 'piped':
            self.assertEqual((self.dir / name).stat().st_size, BIG)

    def test_a_signal_cancels_and_cleans_up(self):
        silent = socket.socket()
        silent.bind(('127.0.0.1', 0))
        silent.listen(64)
        url = f'http://127.0.0.1:{silent.getsockname()[1]}'
        self.addCleanup(silent.close)
        self.serve({'x': b'x' * (4 << 20)})
        slow = self.url.replace(self.server.url, f'{self.server.url}/slow')
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            self.assertEqual(self.interrupt(number, 'cat', f'{url}/a', f'{url}/b'), code)
            self.assertEqual(self.interrupt(number, 'map', 'get', url, 'a', 'b', 'c'), code)
            self.assertEqual(self.interrupt(number, 'mirror', url), code)
            self.assertEqual(self.interrupt(number, 'pipe', str(self.dir / 'piped')), code)
            self.assertEqual(self.interrupt(number, 'get', f'{slow}/x', str(self.dir / 'got')), code)
        self.assertEqual([name for name in os.listdir(self.dir) if name != 'cache'], [])

    def test_a_signal_stops_a_local_copy(self):
        with open(self.www / 'long', 'wb') as big:
            big.truncate(16 << 30)
        for args in (['cp', 'long'], ['put', 'long'], ['cp', '-r', '.'], ['sync', '.']):
            with self.subTest(args[0]):
                target = self.dir / 'target'
                code = self.interrupt(signal.SIGTERM, *args[:-1], str(self.www / args[-1]), str(target))
                if code == 0:
                    self.skipTest('THIS FILE SYSTEM COPIES AT ONCE')
                self.assertEqual(code, 143)
                self.assertEqual([names for _, _, names in os.walk(self.dir) if names], [])
                if target.exists():
                    os.rmdir(target)

    def test_a_signal_soon_after_another_lets_it_clean_up(self):
        with open(self.www / 'long', 'wb') as big:
            big.truncate(16 << 30)
        code = self.interrupt(signal.SIGINT, 'cp', str(self.www / 'long'), str(self.dir / 'target'), times=5)
        self.assertIn(code, (0, 130))
        self.assertEqual([name for name in os.listdir(self.dir) if name.startswith('.larder-')], [])

    def test_a_reader_who_stopped_reading_does_not_hold_a_signal(self):
        self.serve({'x': b'x' * (8 << 20)})
        self.assertEqual(self.interrupt(signal.SIGINT, 'cat', f'{self.url}/x'), 130)

    def test_a_bar_is_drawn_on_a_terminal_after_a_second(self):
        self.serve({'x': b'x' * 300000, 'quick': b'x'})
        slow = self.url.replace(self.server.url, f'{self.server.url}/slow')
        self.assertIn(b'/s', self.on_terminal('get', f'{slow}/x', str(self.dir / 'x')))
        self.assertEqual(self.on_terminal('get', f'{self.url}/quick', str(self.dir / 'x')), b'')
        self.assertEqual(self.on_terminal('get', '--no-progress', f'{slow}/x', str(self.dir / 'x')), b'')
        self.assertEqual(self.on_terminal('get', '-q', f'{slow}/x', str(self.dir / 'x')), b'')

    def test_no_bar_in_the_data(self):
        self.serve({'x': b'x' * 300000})
        slow = self.url.replace(self.server.url, f'{self.server.url}/slow')
        self.assertEqual(self.on_terminal('cat', f'{slow}/x', both=True), b'x' * 300000)
        self.assertEqual(self.on_terminal('map', 'get', slow, 'x', both=True), b'x' * 300000)

    def test_a_message_does_not_stand_in_the_bar(self):
        self.serve({'x': b'x' * 300000, 'y': b'y'})
        slow = self.url.replace(self.server.url, f'{self.server.url}/slow')
        text = self.on_terminal('-v', '-j1', 'cat', f'{slow}/x', f'{self.url}/y', f'{self.url}/y')
        self.assertIn(b'/s', text)
        self.assertGreaterEqual(text.count(b'larder: '), 3)
        for line in text.replace(b'\r\x1b[K', b'\n').splitlines():
            self.assertEqual(line.rfind(b'larder: '), 0 if line.startswith(b'larder: ') else -1, text)

    def test_v_tells_of_requests(self):
        self.serve({'a': b'A'})
        done = self.run_('-v', 'cat', f'{self.url}/a')
        self.assertEqual(done.stdout, b'A')
        self.assertIn(b'/a', done.stderr)


class Examples(Case):
    def example(self, name, *args):
        path = pathlib.Path(os.environ.get('LARDER_EXAMPLES', pathlib.Path(COMMAND).parents[1] / 'examples')) / name
        if not path.exists():
            self.skipTest(f'{path} was not built')
        done = subprocess.run([path, *map(str, args)], capture_output=True, env=self.environment, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_map(self):
        tree = self.tree({'a/b': b'value'})
        self.assertEqual(self.example('map', tree, 'a/b'), (0, 'value', ''))
        code, out, err = self.example('map', tree, 'none')
        self.assertEqual((code, out), (1, ''))
        self.assertIn('none', err)

    def test_capitals(self):
        tree = self.tree({'text': b'some words\n' * 100000, 'data': b'a\0b'})
        self.assertEqual(self.example('capitals', tree / 'text', tree / 'new/out', tree / 'log'), (0, '', ''))
        self.assertEqual((tree / 'new/out').read_bytes(), b'SOME WORDS\n' * 100000)
        code, out, err = self.example('capitals', tree / 'data', tree / 'new/out', tree / 'log')
        self.assertEqual((code, out), (1, ''))
        self.assertIn('no text', err)
        self.assertEqual((tree / 'new/out').read_bytes(), b'SOME WORDS\n' * 100000)
        self.assertEqual(self.example('capitals', tree / 'text', tree / 'other', tree / 'log'), (0, '', ''))
        self.assertEqual((tree / 'log').read_text(), f"{tree / 'new/out'}\n{tree / 'other'}\n")
        code, out, err = self.example('capitals', tree / 'none', tree / 'other', tree / 'log')
        self.assertEqual((code, out), (1, ''))
        self.assertIn('none', err)

    def test_uvloop(self):
        tree = self.tree({str(i): b'x' * i for i in range(100)})
        self.assertEqual(self.example('uvloop', tree), (0, '100 values, 4950 bytes\n', ''))
        (tree / '7').unlink()
        code, out, err = self.example('uvloop', tree)
        self.assertEqual((code, out), (1, ''))
        self.assertIn('7', err)

    def test_transaction(self):
        tree = self.tree({'old': b'old', 'gone': b'gone'})
        self.assertEqual(self.example('transaction', tree, 'old=newer', 'a/b=made', 'gone'), (0, '', ''))
        self.assertEqual(self.lines('map', 'keys', tree), ['a/b', 'old'])
        self.assertEqual((tree / 'old').read_bytes(), b'newer')
        code, out, err = self.example('transaction', tree, 'old=newest', 'never')  # nothing to delete: nothing is done
        self.assertEqual((code, out), (1, ''))
        self.assertIn('never', err)
        self.assertEqual((tree / 'old').read_bytes(), b'newer')

    def test_upload(self):
        self.assertEqual(self.example('upload', self.dir / 'map', 2000), (0, '', ''))
        self.assertEqual(len(self.lines('map', 'keys', self.dir / 'map')), 2000)


if __name__ == '__main__':
    unittest.main(verbosity=2)
