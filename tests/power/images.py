# SPDX-License-Identifier: Apache-2.0
"""The disks that a power cut may leave, from what recorder.c wrote down.

After each step of the record the power may go. What was synced is there. What was not may be there or not, each write
by itself, and a write may be torn between sectors. Names (made, linked, renamed, removed) reach the disk in their
order, as on a journalling file system, up to any one; at least to the last that a sync of its directory promised, for
a sync of a file promises nothing of its name. A write to a file opened with O_DSYNC is there when it has returned.
"""
import os
import shutil
import struct
from dataclasses import dataclass

HEAD = struct.Struct('=IHHc?6xQq')
SECTOR = 512
NAMES = 'CMRLUD'
FIRST_BIT = 56 # of a record; one on a disk that another left has the next


@dataclass
class Step:
    what: str # Create Mkdir Rename Link Unlink rmDir; Write Truncate; Sync sYncfs; mArk
    durable: bool
    inode: tuple[int, int] # its number, and how many files had that before
    offset: int
    path: str
    to: str
    data: bytes


def read_steps(log, taken):
    """The steps of a record; `taken`: the inodes that there were before."""
    with open(log, 'rb') as file:
        record = file.read()
    at, steps = 0, []
    files = {inode: 0 for inode, _ in taken}
    while at < len(record):
        size, path_size, to_size, what, durable, inode, offset = HEAD.unpack_from(record, at)
        at += HEAD.size
        rest, at = record[at:at + size], at + size
        path, to = rest[:path_size], rest[path_size:path_size + to_size]
        if what in (b'C', b'M'):
            files[inode] = files.get(inode, -1) + 1
        steps.append(Step(what.decode(), durable, (inode, files.get(inode, 0)), offset, os.fsdecode(path), os.fsdecode(to),
                          rest[path_size + to_size:]))
    return steps


def inode_of(path):
    return os.stat(path).st_ino, 0


class Disk:
    """Names and contents: files by path and inode, the bytes of each inode, directories by path and inode. Numbers of
    inodes are those of the disk that was recorded; `numbers` are told instead of some."""

    def __init__(self, level=1, numbers=()):
        self.files, self.dirs, self.bytes = {}, {}, {}
        self.level, self.numbers = level, dict(numbers)

    @classmethod
    def of(cls, root):
        disk = cls()
        for where, _, names in os.walk(root):
            disk.dirs[where] = inode_of(where)
            for name in names:
                path = os.path.join(where, name)
                disk.files[path] = inode_of(path)
                with open(path, 'rb') as file:
                    disk.bytes[disk.files[path]] = bytearray(file.read())
        return disk

    def name(self, step):
        if step.what == 'C':
            self.files[step.path] = step.inode
        elif step.what == 'M':
            self.dirs[step.path] = step.inode
        elif step.what == 'D':
            del self.dirs[step.path]
        elif step.what == 'U':
            del self.files[step.path]
        elif step.what == 'L':
            self.files[step.to] = step.inode
        elif step.path in self.files:
            if self.files.get(step.to) != step.inode: # two names of one file: rename does nothing
                self.files[step.to] = self.files.pop(step.path)
        else:
            for all_of in (self.dirs, self.files):
                for path in [path for path in all_of if path == step.path or path.startswith(step.path + '/')]:
                    all_of[step.to + path[len(step.path):]] = all_of.pop(path)

    def write(self, step, sectors=None):
        content = self.bytes.setdefault(step.inode, bytearray())
        if step.what == 'T':
            del content[step.offset:]
            content.extend(bytes(step.offset - len(content)))
            return
        end = step.offset + len(step.data)
        content.extend(bytes(max(0, end - len(content))))
        if sectors is None:
            content[step.offset:end] = step.data
            return
        for sector in sectors:
            start, stop = max(step.offset, sector * SECTOR), min(end, (sector + 1) * SECTOR)
            content[start:stop] = step.data[start - step.offset:stop - step.offset]

    def told(self, inode):
        """Which number programs see: never one of two files, also of another level."""
        number, before = inode
        return self.numbers[number] if before == 0 and number in self.numbers else number | 1 << (FIRST_BIT + self.level - 1)

    def put(self, root, inodes):
        """Make `root` this disk; `inodes` becomes the list that the recorder reads. What it tells of each file there."""
        shutil.rmtree(root)
        for path in sorted(self.dirs):
            os.mkdir(path)
        made = {}
        for path, inode in self.files.items():
            if inode in made:
                os.link(made[inode], path)
                continue
            made[inode] = path
            with open(path, 'wb') as file:
                file.write(self.bytes.get(inode, b''))
        numbers = {os.stat(path).st_ino: self.told(inode) for inode, path in made.items()}
        with open(inodes, 'w', encoding='ascii') as file:
            file.writelines(f'{real} {told}\n' for real, told in numbers.items())
        return numbers


class Record:
    """What a program did to what `before` (Disk.of) was, of which it was told these `numbers`."""

    def __init__(self, before, log, level=1, numbers=()):
        self.before, self.level, self.numbers = before, level, numbers
        self.steps = read_steps(log, [*before.files.values(), *before.dirs.values()])

    def marks(self, count):
        return [step.data.decode() for step in self.steps[:count] if step.what == 'A']

    def _promised(self, count):
        """Of the first `count` steps: the writes that are on the disk, and up to which step names are."""
        directory = {inode: path for path, inode in self.before.dirs.items()}
        pending, there, names = {}, set(), 0
        last_of = {} # directory: the last step that changed a name in it
        for at, step in enumerate(self.steps[:count]):
            if step.what in NAMES:
                for path in filter(None, (step.path, step.to)):
                    last_of[os.path.dirname(path)] = at + 1
                if step.what == 'M':
                    directory[step.inode] = step.path
            elif step.what in 'WT':
                if step.durable and at + 1 < count: # the last step may still be under way
                    there.add(at)
                else:
                    pending.setdefault(step.inode, []).append(at)
            elif step.what == 'S':
                there.update(pending.pop(step.inode, ()))
                names = max(names, last_of.get(directory.get(step.inode), 0))
            elif step.what == 'Y':
                for inode in list(pending):
                    there.update(pending.pop(inode))
                names = at
        return there, names

    def image(self, count, chance=None, keep=False):
        """A disk after the first `count` steps. Without `chance`: of what is not promised, all or nothing."""
        there, names = self._promised(count)
        if chance:
            names = chance.choice([names, chance.randint(names, count), count])
            mood = chance.choice(['', 'keep', 'drop', 'tear'])
        elif keep:
            names = count
        disk = Disk(self.level, self.numbers)
        disk.files, disk.dirs = dict(self.before.files), dict(self.before.dirs)
        disk.bytes = {inode: bytearray(content) for inode, content in self.before.bytes.items()}
        for at, step in enumerate(self.steps[:count]):
            if step.what in NAMES:
                if at < names:
                    disk.name(step)
            elif step.what in 'WT':
                fate = 'keep' if keep or at in there else 'drop'
                if chance and at not in there:
                    fate = mood or chance.choice(['keep', 'drop', 'tear'])
                if fate == 'keep' or (fate == 'tear' and step.what == 'T'):
                    disk.write(step)
                elif fate == 'tear':
                    first, last = step.offset // SECTOR, (step.offset + len(step.data) - 1) // SECTOR
                    disk.write(step, [sector for sector in range(first, last + 1) if chance.random() < 0.5])
        return disk
