"""Several commands one after another in one process: `python tests/helpers/in_turn.py benchmark ... , fit ...`.

Python with torch and Lightning needs seconds to start; a test of `torchrun`, which starts new processes, shares them.
The commands after the first one meet at the next port: one store of torchrun's agent serves one process group.
"""

import os
import sys

from inpaint_zoo.cli.main import main
from tests.helpers.toys import painter_registered

if __name__ == "__main__":
    commands = [[]]
    for word in sys.argv[1:]:
        if word == ",":
            commands.append([])
        else:
            commands[-1].append(word)
    codes = []
    for words in commands:
        with painter_registered():
            codes.append(main(words))
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
        os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + 1)
    sys.exit(max(codes))
