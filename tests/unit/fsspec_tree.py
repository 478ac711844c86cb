# SPDX-License-Identifier: Apache-2.0
"""The tree that Larder and fsspec are compared over, as lib/fsspec_tree.c makes it, and what the tables have in common."""
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem

PIECES = ['a', 'a', 'a', 'a', 'b', 'b', 'b', '1', '1', 'c', ' ', '%', '%20', 'é', '日本', '[', ']', '*', '?', '\n', '.',
          '.', '~', '{a}', '\\', '-', '!', '^', 'n' * 240]
COUNT = 64
STATUS = {FileNotFoundError: '-ENOENT', NotADirectoryError: '-ENOTDIR', IsADirectoryError: '-EISDIR',
          FileExistsError: '-EEXIST', ValueError: '-EINVAL'}


def make_tree():
    """{path: is it a directory?} in byte order."""
    state = 80

    def draw(bound):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return (state >> 33) % bound

    entries, dirs = {}, ['']
    while len(entries) < COUNT:
        parent, name = dirs[draw(len(dirs))], ''
        for _ in range(1 + draw(3)):
            name += PIECES[draw(len(PIECES))]
        directory = draw(5) < 2
        path = parent + '/' + name if parent else name
        if name in ('.', '..') or len(name.encode()) > 255 or path.count('/') > 3 or path in entries:
            continue
        entries[path] = directory
        if directory:
            dirs.append(path)
    return dict(sorted(entries.items(), key=lambda entry: entry[0].encode()))


TREE = make_tree()
EVERY = list(TREE)


def content(index):
    """Of the file EVERY[index]; each has a size of its own."""
    return bytes(ord('\n') if (7 * at + index) % 10 == 0 else ord('a') + (at * at + index) % 13
                 for at in range(index * 37 % 200))


class Model(AsyncFileSystem):
    """AsyncFileSystem's own operations, over a place that does as little as it may. The tree is below `root`."""
    root_marker = '/'
    cachable = False

    def __init__(self, root):
        super().__init__()
        self.memory = MemoryFileSystem(global_store=False, skip_instance_cache=True)
        for index, path in enumerate(EVERY):
            if TREE[path]:
                self.memory.makedirs(root + '/' + path, exist_ok=True)
            else:
                self.memory.pipe_file(root + '/' + path, content(index))

    @classmethod
    def _strip_protocol(cls, path):
        strip = MemoryFileSystem._strip_protocol
        return [strip(one) for one in path] if isinstance(path, list) else strip(path)

    async def _info(self, path, **kwargs):
        return self.memory.info(path)

    async def _ls(self, path, detail=True, **kwargs):
        return self.memory.ls(path, detail)

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        return self.memory.cat_file(path, start, end)

    async def _cp_file(self, path1, path2, **kwargs):
        self.memory.cp_file(path1, path2)

    async def _makedirs(self, path, exist_ok=False):
        self.memory.makedirs(path, exist_ok)

    async def _get_file(self, rpath, lpath, **kwargs):
        self.memory.get_file(rpath, lpath)

    async def _put_file(self, lpath, rpath, mode='overwrite', **kwargs):
        self.memory.put_file(lpath, rpath)

    def _open(self, path, mode='rb', **kwargs):
        return self.memory._open(path, mode)


def component(rng, name):
    """One segment of a pattern: `name` with some of its characters replaced."""
    roll = rng.random()
    if roll < .25:
        return name
    if roll < .40:
        return '*'
    if roll < .52:
        return '**'
    out = []
    for character in name[:8]:
        roll = rng.random()
        if roll < .50:
            out.append(character)
        elif roll < .65:
            out.append('*')
        elif roll < .80:
            out.append('?')
        elif roll < .90 and character not in '!^-]':
            out.append('[' + character + rng.choice(['', 'b', '-z', 'a-c', '-', '[', '*', '?']) + ']')
        else:
            out.append(rng.choice(['[ab]', '[!a]', '[a-c]', '[!a-b]', '[^a]', '[]', '[!]', '[]a]', '[!]a]', '[b-a]',
                                   '[!b-a]', '[a-]', '[-a]', '[a-b-c]', '[', ']', '[é]', '[a-é]', '[[]', '[*]', '[?]',
                                   '[\\]', '[!-0]', '[1-9]', '**', '*?', '{a,b}', '[&&~||]', '[.]', '[--b]']))
    return ''.join(out) + '*' * (len(name) > 8)


def pattern(rng):
    """Made of a path of the tree, with a level more or less now and then."""
    names = rng.choice(EVERY).split('/')
    roll = rng.random()
    if roll < .10:
        names.append(rng.choice(EVERY).split('/')[-1])
    elif roll < .25:
        del names[rng.randrange(len(names)):]
    return '/'.join(component(rng, name) for name in names or ['a']) + rng.choice(['', '', '', '/'])


def quote(text):
    """As a string of C, in which N240 is the long piece."""
    text = text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('\0', '\\000')
    while '??' in text:
        text = text.replace('??', '?\\?')
    return ('"' + text.replace('n' * 240, '" N240 "') + '"').replace('"" ', '').replace(' ""', '')


def mask(indices):
    return '%#x' % sum({1 << index for index in indices})
