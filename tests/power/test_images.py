#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The images themselves: a careful writer's hold what it was promised, and each carelessness is found out."""
import sys
import textwrap
import unittest

from images import Disk
from power import Power, images

RECORDER = sys.argv.pop(1)
OLD, NEW = b'o' * 3000, b'n' * 5000
OPEN = 'import os, sys; os.chdir(sys.argv[1]); marks = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)\n'
TEMPORARY = "fd = os.open('t', os.O_WRONLY | os.O_CREAT); os.write(fd, b'n' * 2000); os.write(fd, b'n' * 3000)\n"
SYNC = 'os.fsync(fd)\n'
RENAME = "os.rename('t', 'f')\n"
SYNC_DIR = "os.fsync(os.open('.', os.O_RDONLY))\n"
MARK = "os.write(marks, b'done')\n"


class Images(unittest.TestCase):
    def setUp(self):
        self.power = Power(RECORDER)
        self.addCleanup(self.power.close)
        with open(f'{self.power.root}/f', 'wb') as file:
            file.write(OLD)

    def outcomes(self, program):
        """Of each image: was it marked, and what is in f?"""
        record = self.power.record([sys.executable, '-c', textwrap.dedent(program), self.power.root, self.power.marks])
        seen = set()
        for marks, disk in images(record, 1, 1000):
            path = f'{self.power.root}/f'
            content = bytes(disk.bytes.get(disk.files[path], b'')) if path in disk.files else None
            seen.add((bool(marks), {OLD: 'old', NEW: 'new'}.get(content, 'bad')))
        return seen

    GOOD = {(False, 'old'), (False, 'new'), (True, 'new')}

    def test_a_careful_writer_is_safe(self):
        self.assertEqual(self.outcomes(OPEN + TEMPORARY + SYNC + RENAME + SYNC_DIR + MARK), self.GOOD)

    def test_a_file_that_is_not_synced_may_be_torn(self):
        self.assertIn((True, 'bad'), self.outcomes(OPEN + TEMPORARY + RENAME + SYNC_DIR + MARK))

    def test_a_name_that_is_not_synced_may_be_lost(self):
        self.assertEqual(self.outcomes(OPEN + TEMPORARY + SYNC + RENAME + MARK), self.GOOD | {(True, 'old')})

    def test_writing_in_place_is_found_out(self):
        seen = self.outcomes(OPEN + "fd = os.open('f', os.O_WRONLY); os.write(fd, b'n' * 5000)\n" + SYNC + MARK)
        self.assertIn((False, 'bad'), seen)
        self.assertNotIn((True, 'old'), seen)

    def test_syncfs_and_dsync(self):
        sync_all = "import ctypes; ctypes.CDLL(None).syncfs(fd)\n"
        self.assertEqual(self.outcomes(OPEN + TEMPORARY + RENAME + sync_all + MARK) & {(True, 'old'), (True, 'bad')}, set())
        dsync = "fd = os.open('f', os.O_WRONLY | os.O_DSYNC); os.write(fd, b'n' * 5000)\n"
        self.assertEqual({content for marked, content in self.outcomes(OPEN + dsync + MARK) if marked}, {'new'})

    def test_what_is_put_back_has_its_inodes(self):
        record = self.power.record([sys.executable, '-c', OPEN + TEMPORARY + "os.link('t', 'g')", self.power.root, self.power.marks])
        ask = "import os, sys; os.chdir(sys.argv[1]); print(*(os.stat(name).st_ino for name in 'ftg'), os.stat('g').st_nlink)"
        inode, = {step.inode[0] for step in record.steps if step.what == 'C'}
        done = self.power.run_on(record.image(len(record.steps), keep=True), [sys.executable, '-c', ask, self.power.root])
        numbers = [int(number) & ~(1 << 56) for number in done.stdout.split()]
        self.assertEqual(numbers[1:], [inode, inode, 2], done.stderr)
        self.assertEqual(Disk.of(self.power.root).files.keys(), {f'{self.power.root}/{name}' for name in 'ftg'})


if __name__ == '__main__':
    unittest.main()
