#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a power cut leaves of local files and of the cache. $LARDER_POWER_MOMENTS: how many moments; $LARDER_POWER_SEED."""
import os
import shlex
import sys
import unittest

from power import Power, images

RECORDER = sys.argv.pop(1)
LARDER = os.environ['LARDER_COMMAND']
MOMENTS = int(os.environ.get('LARDER_POWER_MOMENTS', '15'))
SEED = int(os.environ.get('LARDER_POWER_SEED', '1'))


class PowerCase(unittest.TestCase):
    def setUp(self):
        self.power = Power(RECORDER)
        self.addCleanup(self.power.close)
        self.source = f'{self.power.dir}/source'
        os.mkdir(self.source)

    def script(self, *commands):
        """The commands one after the other, each with a mark behind it: its number from 1 on."""
        lines = ['set -e']
        for number, command in enumerate(commands, 1):
            lines += [' '.join(map(shlex.quote, command)) + ' >&2', f'echo {number} >>{shlex.quote(self.power.marks)}']
        return ['sh', '-c', '\n'.join(lines)]

    def images(self, record):
        for marks, disk in images(record, SEED, MOMENTS):
            yield len(marks), disk

    def write(self, name, content):
        with open(f'{self.source}/{name}', 'wb') as file:
            file.write(content)


class Local(PowerCase):
    def test_a_synced_write_is_whole_and_there(self):
        versions = [b'old' * 1000, b'new' * 30000, b'newer' * 300]
        target = f'{self.power.root}/f'
        with open(target, 'wb') as file:
            file.write(versions[0])
        for number, content in enumerate(versions):
            self.write(str(number), content)
        record = self.power.record(self.script(*(
            [LARDER, '-o', 'local.sync=true', 'cp', f'{self.source}/{number}', target] for number in (1, 2))))
        for done, disk in self.images(record):
            content = bytes(disk.bytes[disk.files[target]])
            self.assertTrue(content in versions[done:done + 2], f'{done} done: {content[:20]}… of {len(content)}')


class Cache(PowerCase):
    def read(self, disk, *arguments):
        return self.power.run_on(disk, [LARDER, '--cache', self.power.root, *arguments])

    def test_what_was_mirrored_is_there_and_nothing_is_wrong(self):
        content = {'a': os.urandom(200000), 'b': b'b' * 100, 'c': os.urandom(70000)}
        for name, data in content.items():
            self.write(name, data)
        url = f'cache::{self.source}'
        options = ['--cache', self.power.root, '-q']
        record = self.power.record(self.script(
            [LARDER, *options, 'cat', f'{url}/a'], [LARDER, *options, 'mirror', f'{url}/'], [LARDER, *options, 'cat', f'{url}/c']))
        for done, disk in self.images(record):
            for name, data in content.items():
                read = self.read(disk, '--offline', 'cat', f'{url}/{name}')
                self.assertIn(read.returncode, (0, 4) if done < 2 else (0,), read.stderr)
                self.assertTrue(read.returncode == 4 or read.stdout == data, name)
            checked = self.read(disk, 'cache', 'verify')
            self.assertEqual(checked.returncode, 0, checked.stderr)


if __name__ == '__main__':
    unittest.main()
