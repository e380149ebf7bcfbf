"""Run scripts one after the other in the processes that torchrun has started: `torchrun ... run_scripts.py A.py B.py`.

Starting a process takes longer than any of the scripts. Each script gets its own rendezvous, as under its own torchrun.
"""

import os
import runpy
import sys

if __name__ == "__main__":
    for number, script in enumerate(sys.argv[1:]):
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)
        sys.path[0] = os.path.dirname(os.path.abspath(script))
        print(f"script {os.path.basename(script)}", flush=True)
        runpy.run_path(script, run_name="__main__")
