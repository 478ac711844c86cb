#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-man.py PAGE COMMAND [--write]: the manual page names every option that the command knows, with its help.

COMMAND is the larder command. --write makes it so.
"""
import os
import re
import subprocess
import sys

BEGIN = '.\\" The options, as "larder help options" has them: tools/check-man.py --write\n'
END = '.\\" The end of the options\n'


def known_options(command):
    """(layers, name, help) of each option; what several layers have alike comes once."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('LARDER_')}
    environment['XDG_CONFIG_HOME'] = '/nonexistent'
    lines = subprocess.run([command, 'help', 'options'], env=environment, check=True, stdout=subprocess.PIPE,
                           text=True).stdout.splitlines()
    layers = {}
    for line in lines:
        option = re.fullmatch(r'  (\w+)\.(\w+) +(.*)', line)
        if option:
            layers.setdefault((option[2], option[3]), []).append(option[1])
    return [(names, name, text) for (name, text), names in layers.items()]


def escaped(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[0] in ".'" else text


def section(options):
    out = []
    for layers, name, text in options:
        names = ' ", " '.join(f'{layer}.{name}' for layer in layers)
        out.append(f'.TP\n.BR {names}\n{escaped(text)}\n')
    return ''.join(out)


def main(page, command, write=False):
    with open(page, encoding='utf-8') as f:
        text = f.read()
    before, found, rest = text.partition(BEGIN)
    shown, end, behind = rest.partition(END)
    options = known_options(command)
    if not found or not end or not options:
        return f'{page}: no section of options, or the command has none'
    wanted = section(options)
    if write:
        with open(page, 'w', encoding='utf-8') as f:
            f.write(before + BEGIN + wanted + END + behind)
    elif shown != wanted:
        return f'{page}: its options are not those of "larder help options": {sys.argv[0]} {page} {command} --write'
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2], '--write' in sys.argv[3:]))
