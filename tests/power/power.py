# SPDX-License-Identifier: Apache-2.0
"""Run a program under the recorder, and another on each disk that a power cut may leave."""
import os
import random
import shutil
import subprocess
import tempfile

from images import FIRST_BIT, Disk, Record


class Power:
    def __init__(self, recorder):
        self.recorder = recorder
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix='larder-test-'))
        self.root = os.path.join(self.dir, 'disk')
        os.mkdir(self.root)
        self.marks = self._file('marks')
        open(self.marks, 'w', encoding='ascii').close()

    def close(self):
        shutil.rmtree(self.dir)

    def _file(self, name):
        return os.path.join(self.dir, name)

    def _run(self, command, text=None, **environment):
        return subprocess.run(command, env={**os.environ, 'LD_PRELOAD': self.recorder, 'POWER_ROOT': self.root, **environment},
                              input=text and text.encode(), capture_output=True, timeout=100, check=False)

    def record(self, command, text=None, disk=None):
        """What the command does to root, or to a `disk` that another record left, with `text` to read. It writes its marks
        to the file `marks`."""
        numbers = disk.put(self.root, self._file('inodes')) if disk else {}
        level = disk.level + 1 if disk else 1
        more = {'POWER_INODES': self._file('inodes')} if disk else {}
        before, log = Disk.of(self.root), self._file(f'log-{level}')
        if os.path.exists(log):
            os.remove(log)
        done = self._run(command, text, POWER_LOG=log, POWER_MARKS=self.marks, POWER_BIT=str(FIRST_BIT + level - 1), **more)
        if done.returncode != 0:
            raise AssertionError(f'{command}: {done.returncode}: {done.stderr.decode()}')
        return Record(before, log, level, numbers)

    def run_on(self, disk, command):
        """The command on the disk: with the inodes that its files had."""
        disk.put(self.root, self._file('inodes'))
        return self.run_again(command)

    def run_again(self, command):
        """Another command, on what there is then."""
        return self._run(command, POWER_INODES=self._file('inodes'))


def images(record, seed, limit):
    """(marks, disk) of up to `limit` moments, drawn by `seed`: nothing and all of what no sync promised, and two by chance."""
    chance = random.Random(seed)
    moments = range(len(record.steps) + 1)
    if len(moments) > limit:
        moments = sorted(chance.sample(moments, limit))
    for count in moments:
        marks = record.marks(count)
        yield marks, record.image(count)
        yield marks, record.image(count, keep=True)
        for _ in range(2):
            yield marks, record.image(count, chance)
