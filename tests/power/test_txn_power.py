#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a power cut leaves of transactions on a local disk, journal and all: after a recovery each is wholly there or not at
all, those that were acknowledged are there, and nothing is left of any. The same of what a second cut leaves, amid a
recovery. $LARDER_POWER_MOMENTS; $LARDER_POWER_SEED."""
import os
import random
import sys
import unittest

from power import Power, images

RECORDER, WRITER = sys.argv.pop(1), sys.argv.pop(1)
LARDER = os.environ['LARDER_COMMAND']
MOMENTS = int(os.environ.get('LARDER_POWER_MOMENTS', '12'))
RECOVERIES = MOMENTS // 3 # that the power goes amid
SEED = int(os.environ.get('LARDER_POWER_SEED', '1'))
SIZES = [0, 1, 700, 5000, 70000, 300000]


def content_of(size, word):
    return (word * (size // len(word) + 1))[:size].encode()


class Plan:
    """Transactions by chance, as the writer's script; `states`: what is there before each of them, and at last."""

    def __init__(self, chance, count):
        self.script, self.states = [], [{}]
        for number in range(1, count + 1):
            self.states.append(self._transaction(chance, number, dict(self.states[-1])))

    def _transaction(self, chance, number, files):
        before = dict(files)
        for path in chance.sample(['a', 'b', 'd/a', 'd/b', 'd/e/a', 'f/a', 'g', 'h'], chance.randint(1, 6)):
            if path in files and chance.random() < 0.3:
                self.script.append(f'remove {path}')
                del files[path]
                continue
            how = 'write' if chance.random() < 0.6 else 'replace' if path in files else 'create'
            size, word = chance.choice(SIZES), f'{number}:{path}.'
            self.script.append(f'{how} {path} {size} {word}')
            files[path] = content_of(size, word)
        keep = chance.random() < 0.85
        self.script.append(f'{"commit" if keep else "rollback"} {number}')
        return files if keep else before


class Transactions(unittest.TestCase):
    def setUp(self):
        self.power = Power(RECORDER)
        self.addCleanup(self.power.close)
        self.tree, self.state = f'{self.power.root}/tree', f'{self.power.root}/state'
        os.mkdir(self.tree)
        os.environ['LARDER_STATE_DIR'] = self.state

    def tree_now(self):
        files = {}
        for where, _, names in os.walk(self.tree):
            for name in names:
                path = os.path.join(where, name)
                with open(path, 'rb') as file:
                    files[os.path.relpath(path, self.tree)] = file.read()
        return files

    def check(self, plan, marks, disk):
        recovered = self.power.run_on(disk, [LARDER, 'txn', 'recover'])
        self.assertEqual(recovered.returncode, 0, recovered.stderr)
        found = self.tree_now()
        there = plan.states.index(found, marks) if found in plan.states[marks:marks + 2] else None
        self.assertIsNotNone(there, f'{marks} were acknowledged: ' + self.differences(plan, marks, found))
        listed = self.power.run_again([LARDER, '--json', 'txn', 'list'])
        self.assertEqual((listed.returncode, listed.stdout), (0, b''), listed.stderr)
        payload = f'{self.state}/payload'
        self.assertEqual(os.listdir(payload) if os.path.isdir(payload) else [], [])
        return there > marks

    def cut_recovery(self, plan, marks, recovery, chance):
        """How many disks were left of it. What it came to, stays."""
        came_to = self.tree_now()
        left = [disk for _, disk in images(recovery, chance.randrange(1 << 30), 4)]
        for disk in left:
            self.check(plan, marks, disk)
        for disk in recovery.image(len(recovery.steps)), recovery.image(len(recovery.steps), chance):
            self.check(plan, marks, disk)
            self.assertEqual(self.tree_now(), came_to)
        return len(left) + 2

    def cut_recoveries(self, plan, record):
        """How many disks were left of how many recoveries that publish, and of as many that roll back."""
        chance, left, found = random.Random(SEED), 0, {True: 0, False: 0}
        disks = list(images(record, SEED + 1, 3 * MOMENTS))
        chance.shuffle(disks)
        for marks, disk in disks:
            recovery = self.power.record([LARDER, 'txn', 'recover'], disk=disk)
            publishes = any(step.what in 'RL' for step in recovery.steps)
            if not (publishes or any(step.what == 'U' for step in recovery.steps)) or found[publishes] == RECOVERIES:
                continue
            left += self.cut_recovery(plan, len(marks), recovery, chance)
            found[publishes] += 1
            if found[True] == RECOVERIES:
                break
        return left, found[True]

    @staticmethod
    def differences(plan, marks, found):
        texts = []
        for state in plan.states[marks:marks + 2]:
            paths = sorted(path for path in {*state, *found} if state.get(path) != found.get(path))
            texts.append(', '.join(f'{path} {str(found.get(path))[:40]} not {str(state.get(path))[:40]}' for path in paths))
        return ' | '.join(texts)

    def test_each_is_wholly_there_or_not_at_all(self):
        plan = Plan(random.Random(SEED), 8)
        record = self.power.record([WRITER, self.tree, self.state, self.power.marks], text='\n'.join(plan.script) + '\n')
        tried = finished = 0
        for marks, disk in images(record, SEED, MOMENTS):
            finished += self.check(plan, len(marks), disk)
            tried += 1
        again, amid = self.cut_recoveries(plan, record)
        print(f'{len(record.steps)} steps, {tried} disks, {finished} on which a transaction was there before it was told; '
              f'{again} disks that recoveries left, {amid} of which published something', file=sys.stderr)
        self.assertGreater(finished, 0)
        self.assertGreater(amid, 0)


if __name__ == '__main__':
    unittest.main()
