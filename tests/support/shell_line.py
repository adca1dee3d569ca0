"""A real shell on a terminal: what a command line becomes when Tab is pressed."""

import os
import pty
import re
import select
import subprocess
import time

from patience import HANG_S

LINE_END = "=line-ends="  # printed behind the words of the line, but not part of what is typed


class Shell:
    """bash or zsh with completion for `headwater`, which is `program`. `folder` is the working directory."""

    def __init__(self, name, program, script, folder):
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "headwater").symlink_to(program)
        (folder / "_headwater").write_text(script.read_text())
        self.outer, inner = pty.openpty()
        environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(folder),
                       "HF_HOME": str(folder / "hub"), "LC_ALL": "C.UTF-8", "PS1": "", "COLUMNS": "400"}
        start = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[name]
        self.process = subprocess.Popen(start, stdin=inner, stdout=inner, stderr=inner, cwd=folder, env=environment,
                                        start_new_session=True)
        os.close(inner)
        ready = "printf '%s-%s\\n' now ready\r"
        setup = {"bash": "bind 'set enable-bracketed-paste off'; stty -echo cols 400; source ./_headwater; ",
                 "zsh": "unset zle_bracketed_paste; stty cols 400; setopt no_prompt_cr no_always_last_prompt; "
                        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; "}[name]
        self.send(setup + ready)
        self.read_until("now-ready")
        self.send("words() { printf '[%s]' \"$@\"; printf '=line-%s=\\n' ends; }; printf '%s-%s\\n' words made\r")
        self.read_until("words-made")

    def send(self, text):
        os.write(self.outer, text.encode())

    def read_until(self, mark):
        read, end = "", time.monotonic() + HANG_S
        while mark not in read:
            assert time.monotonic() < end, read
            if select.select([self.outer], [], [], 1)[0]:
                read += os.read(self.outer, 65536).decode(errors="replace")
        return read

    def complete(self, line):
        """The words of the line after Tab: the line is then run as arguments of a function that prints them."""
        self.send(f"{line}\t")
        time.sleep(0.4)  # the shell reads Tab and the keys below as one paste otherwise
        self.send("\x01words \r")
        printed = self.read_until(LINE_END)
        return re.findall(r"\[([^\]]*)\]", printed.split(LINE_END)[0].splitlines()[-1])[1:]

    def close(self):
        os.close(self.outer)
        self.process.wait()

