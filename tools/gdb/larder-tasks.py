# SPDX-License-Identifier: Apache-2.0
"""
gdb: source tools/gdb/larder-tasks.py, then

    larder-tasks            the tasks of every loop of the process
    larder-tasks LOOP       those of one loop (an expression)

A suspended task is not a thread, and its registers are in a jmp_buf that glibc scrambles. But its innermost frame is
kept at each suspend, and Larder is built with frame pointers: the chain from there is its stack. (Frames of libraries
without frame pointers are left out.) Works on live processes and on cores.
"""
import gdb

FRAMES_MAX = 64


def each(head, type_name, member):
    """The things in an intrusive list (base/list.h)."""
    kind = gdb.lookup_type('struct ' + type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    node = head['next']
    while node != head.address:
        yield gdb.Value(int(node) - offset).cast(kind.pointer())
        node = node['next']


def functions(address):
    """The function at an address, after those that were inlined into it there."""
    block = gdb.block_for_pc(address)
    names = []
    while block is not None and not block.is_global:
        if block.function is not None:
            names.append(block.function.name)
        block = block.superblock
    return names or [gdb.execute(f'info symbol {address:#x}', to_string=True).split(' in section')[0].strip()]


def backtrace(fiber):
    word = gdb.lookup_type('unsigned long')
    low, size = int(fiber['low']), int(fiber['size'])
    frame = int(fiber['frame'])
    for number in range(FRAMES_MAX):
        if not low <= frame <= low + size - 2 * word.sizeof:
            return
        up, back = (int(gdb.Value(frame + i * word.sizeof).cast(word.pointer()).dereference()) for i in (0, 1))
        if back == 0:
            return
        # A return address: the call is before it.
        names, line = functions(back - 1), gdb.find_pc_line(back - 1)
        where = f' at {line.symtab.filename}:{line.line}' if line.symtab else ''
        print(f'    #{number:<2} {back:#018x} in {" in ".join(names)}{where}')
        if up <= frame or names[-1] == 'fiber_main':
            return
        frame = up


class LarderTasks(gdb.Command):
    """List the tasks of Larder's loops, with the stacks of those that wait."""

    def __init__(self):
        super().__init__('larder-tasks', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if argument:
            loop = gdb.parse_and_eval(argument)
            loops = [loop.cast(gdb.lookup_type('struct larder_loop').pointer())]
        else:
            loops = each(gdb.parse_and_eval("'process.c'::kept"), 'larder_loop', 'node')
        for loop in loops:
            print(f'loop {int(loop):#x}: {int(loop["live"])} tasks')
            for task in each(loop['tasks'], 'larder_task', 'all'):
                state = str(task['state']).replace('TASK_', '').lower()
                print(f'  task {int(task):#x} {state} {task["fn"].format_string(address=False)}'
                      f'({int(task["arg"]):#x})')
                if state in ('waiting', 'ready') and int(task['fiber']['frame']) != 0 and task['fiber']['born']:
                    backtrace(task['fiber'])


LarderTasks()
